"""Reads balances from one EVM node at one block hash: JSON-RPC batches of eth_getBalance and balanceOf."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterable, Sequence

from connectors.base import Address, Token
from connectors.errors import BadAnswer, ConnectorError, NodeError, Reason, Unavailable
from connectors.evm import wire
from connectors.evm.node import EvmNode
from connectors.follow import Keys, UnknownBlock
from connectors.jsonrpc import Call, Result
from connectors.quorum import STATEMENTS, Flaw, Value

AT_ONCE = 4
"""Batches that are under way on one node at a time."""

REVERTED = 3  # the code of geth and those who follow it; others say it in the message only


async def read_balances(node: EvmNode, *, keys: Keys, block: str) -> list[Value]:
    """The units of each key at the block hash (EIP-1898), or why that one could not be read.

    Raises UnknownBlock when the node does not have the block, and another ConnectorError when the node as a whole
    can't be read, which includes that it fails every single call.
    """
    await node.identify()
    if not await node.knows(block):
        raise _unknown(node, block=block)
    if not keys.indices:
        return []
    flawed = await _check_decimals(node, tokens=keys.watch.tokens, block=block)
    changeable = await node.may_change(block)
    values = await _ask_all(node, keys=keys, block=block)
    if changeable and not await node.may_change(block):
        values = await _ask_all(node, keys=keys, block=block)  # now the block is history, which keeps still
    for place, index in enumerate(keys.indices):
        flaw = flawed.get(keys.pair(index)[1]) if flawed else None
        if flaw is not None:
            values[place] = flaw
    await _inspect(node, values=values, block=block, whole=keys.whole)
    return values


async def _ask_all(node: EvmNode, *, keys: Keys, block: str) -> list[Value]:
    values: list[Value] = [0] * len(keys.indices)  # every place is overwritten, or an error leaves this function
    starts = iter(range(0, len(values), node.asked.batch))

    async def work() -> None:
        for start in starts:
            pairs = [keys.pair(index) for index in keys.indices[start : start + node.asked.batch]]
            results = await node.node.batch([_call(account, token, block=block) for account, token in pairs])
            values[start : start + len(pairs)] = [
                _value(result, token=token) for result, (_, token) in zip(results, pairs, strict=True)
            ]

    failure: ConnectorError | None = None
    try:
        async with asyncio.TaskGroup() as group:
            for _ in range(AT_ONCE):
                group.create_task(work())
    except* ConnectorError as errors:
        failure = next(error for error in errors.exceptions if isinstance(error, ConnectorError))
    if failure is not None:
        raise failure
    return values


async def _check_decimals(node: EvmNode, *, tokens: Iterable[Token], block: str) -> dict[Token, Flaw]:
    """What is wrong with tokens: their contract has other decimals than declared, or could not be asked.

    A contract without decimals() is fine, it is optional (ERC-20). Asked until it is settled, then not again.
    """
    open_ = [token for token in tokens if token.contract is not None and token not in node.decimals_settled]
    results = await node.node.batch([_eth_call(token, data=wire.DECIMALS, block=block) for token in open_])
    flawed: dict[Token, Flaw] = {}
    for token, result in zip(open_, results, strict=True):
        flaw = _decimals_flaw(result, token=token)
        if flaw is not None:
            flawed[token] = flaw
        elif result != "0x":
            node.decimals_settled.add(token)
    return flawed


def _decimals_flaw(result: Result, *, token: Token) -> Flaw | None:
    if isinstance(result, NodeError) and (result.code == REVERTED or "revert" in str(result).lower()):
        return None
    if isinstance(result, ConnectorError):
        return Flaw(result.reason, f"its decimals could not be checked: {result}")
    told = wire.word(result)
    if isinstance(told, Flaw):
        return None if told.reason is Reason.NO_CONTRACT else told
    if told != token.decimals:
        return Flaw(Reason.MISCONFIGURED, f"the contract has {told} decimals, declared are {token.decimals}")
    return None


async def _inspect(node: EvmNode, *, values: Sequence[Value], block: str, whole: bool) -> None:
    """Tells single failures from a node that can't be read, or that lost the block meanwhile."""
    flaws = [value for value in values if isinstance(value, Flaw) and value.reason not in STATEMENTS]
    reasons = Counter(flaw.reason for flaw in flaws)
    provider = node.transport.provider
    if Reason.BAD_ANSWER in reasons:
        node.transport.blame(BadAnswer(f"{provider}: {reasons[Reason.BAD_ANSWER]} balances make no sense"))
    if flaws and not await node.knows(block):
        raise _unknown(node, block=block)
    if whole and len(flaws) == len(values):
        text = f"{provider}: every one of {len(values)} balances failed, first: {flaws[0].detail}"
        raise Unavailable(text, reason=reasons.most_common(1)[0][0])


def _call(account: Address, token: Token, *, block: str) -> Call:
    if token.contract is None:
        return "eth_getBalance", (account, {"blockHash": block})
    return _eth_call(token, data=wire.balance_of(account), block=block)


def _eth_call(token: Token, *, data: str, block: str) -> Call:
    return "eth_call", ({"to": token.contract, "data": data}, {"blockHash": block})


def _value(result: Result, *, token: Token) -> Value:
    if isinstance(result, ConnectorError):
        return Flaw(result.reason, str(result))
    return wire.quantity(result) if token.contract is None else wire.word(result)


def _unknown(node: EvmNode, *, block: str) -> UnknownBlock:
    return UnknownBlock(f"{node.transport.provider}: does not have block {block}", code=0)
