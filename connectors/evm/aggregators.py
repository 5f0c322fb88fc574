"""What price aggregators on an EVM chain say, at one block that enough nodes agree on."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime

from connectors.base import Address, Round, Tip
from connectors.errors import ConnectorError, Reason, Unavailable
from connectors.evm import wire
from connectors.evm.client import opened_nodes
from connectors.evm.config import EvmConfig
from connectors.evm.node import EvmNode
from connectors.follow import TRIES, UnknownBlock
from connectors.heads import Heads, Sighting
from connectors.jsonrpc import Result
from connectors.panel import ask, shortfall
from connectors.quorum import Flaw, Value, agree_on_values
from connectors.transport import REAL, Timing

LATEST_ROUND = "0xfeaf968c"  # latestRoundData(), https://docs.chain.link/data-feeds/api-reference
ROUND = re.compile(r"0x[0-9a-fA-F]{320}", re.ASCII)  # roundId, answer, startedAt, updatedAt, answeredInRound
WORD_BITS = 256
MOST_DECIMALS = 77


class Aggregators:
    """The nodes of one chain, asked about aggregators."""

    def __init__(
        self, nodes: Sequence[EvmNode], *, config: EvmConfig, now: Callable[[], datetime], timing: Timing
    ) -> None:
        self._nodes = nodes
        self._agree = config.agree
        self._timing = timing
        self._heads = Heads(nodes, agree=config.agree, timing=timing, now=now)

    async def latest(self, contracts: Sequence[Address]) -> tuple[Tip, tuple[Round | Flaw, ...]]:
        """The newest round of each contract at the agreed head, or why there is none. Raises ConnectorError."""
        for _ in range(TRIES):
            sighting = await self._heads.advance()
            try:
                values = await self._values(sighting, contracts=contracts)
            except UnknownBlock as error:
                gone = error
                continue
            pairs = zip(values[::2], values[1::2], strict=True)
            return sighting.header.tip, tuple(_round(decimals, data) for decimals, data in pairs)
        raise Unavailable(f"the block was gone {TRIES} times before it was read: {gone}")

    async def _values(self, sighting: Sighting[EvmNode], *, contracts: Sequence[Address]) -> Sequence[Value]:
        block = sighting.header.hash

        async def question(node: EvmNode) -> list[Value]:
            return await _read(node, contracts=contracts, block=block)

        answers = await ask(sighting.nodes, question, need=self._agree, timing=self._timing, proof=True)
        if len(answers.given) < self._agree:
            gone = next((error for error in answers.failed.values() if isinstance(error, UnknownBlock)), None)
            raise gone or shortfall(self._nodes, failed=answers.failed, need=self._agree, given=len(answers.given))
        return agree_on_values(answers.given, need=self._agree).values


@asynccontextmanager
async def aggregators(
    config: EvmConfig, *, chain: str, now: Callable[[], datetime], timing: Timing = REAL
) -> AsyncIterator[Aggregators]:
    """The aggregators on the chain called `chain` in the configuration, until the block ends. Asks nothing yet."""
    async with opened_nodes(config, chain=chain, now=now, timing=timing) as nodes:
        yield Aggregators(nodes, config=config, now=now, timing=timing)


async def _read(node: EvmNode, *, contracts: Sequence[Address], block: str) -> list[Value]:
    """For each contract its decimals, and its round as one number of 1280 bits; a Flaw in the place of either."""
    await node.identify()
    if not await node.knows(block):
        raise UnknownBlock(f"{node.transport.provider}: does not have block {block}", code=0)
    changeable = await node.may_change(block)
    values = await _asked(node, contracts=contracts, block=block)
    if changeable and not await node.may_change(block):
        values = await _asked(node, contracts=contracts, block=block)  # now the block is history, which keeps still
    return values


async def _asked(node: EvmNode, *, contracts: Sequence[Address], block: str) -> list[Value]:
    calls = [({"to": contract, "data": data}) for contract in contracts for data in (wire.DECIMALS, LATEST_ROUND)]
    results = await node.node.batch([("eth_call", (call, {"blockHash": block})) for call in calls])
    readings = (wire.word, _round_data) * len(contracts)
    return [_value(result, read=read) for result, read in zip(results, readings, strict=True)]


def _value(result: Result, *, read: Callable[[object], Value]) -> Value:
    return Flaw(result.reason, str(result)) if isinstance(result, ConnectorError) else read(result)


def _round_data(result: object) -> Value:
    if type(result) is str and ROUND.fullmatch(result):
        return int(result, 16)
    if result == "0x":
        return Flaw(Reason.NO_CONTRACT, "the call returned nothing: no contract there, or no aggregator")
    return Flaw(Reason.BAD_ANSWER, "expected the five words of latestRoundData")


def _round(decimals: Value, data: Value) -> Round | Flaw:
    for value in (decimals, data):
        if isinstance(value, Flaw):
            return value
    assert isinstance(decimals, int)
    assert isinstance(data, int)
    if decimals > MOST_DECIMALS:
        return Flaw(Reason.BAD_ANSWER, f"expected at most {MOST_DECIMALS} decimals, found more")
    _, answer, _, updated, _ = (data >> (WORD_BITS * place) & (1 << WORD_BITS) - 1 for place in (4, 3, 2, 1, 0))
    if not 0 < updated < wire.LARGEST_TIME:
        return Flaw(Reason.BAD_ANSWER, "the round was not answered yet, or at a time that nobody knows")
    signed = answer - (1 << WORD_BITS) if answer >> (WORD_BITS - 1) else answer
    return Round(signed, decimals, datetime.fromtimestamp(updated, tz=UTC))
