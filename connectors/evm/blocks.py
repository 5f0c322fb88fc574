"""The blocks between what was told and the tip, as enough nodes tell them; what was read of one stays read."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta

from connectors.base import Address, Tip
from connectors.circuit import Circuit
from connectors.errors import BadAnswer, ConnectorError, Reason, Unavailable
from connectors.evm.agreement import Settled, Way, settle
from connectors.evm.branch import Branch
from connectors.evm.mined import Mined, read_block
from connectors.evm.node import EvmNode
from connectors.evm.traces import Traced, Tracer
from connectors.evm.transfers import Deed, Teller
from connectors.panel import ask, in_order, shortfall
from connectors.standing import Standing
from connectors.transport import Timing

MOST_BLOCKS = 100
"""Blocks that are told after a gap, the newest; what the others did shows in the balances."""

RESTS = 60.0
"""Seconds for which a node is not asked for traces after it could not give one."""


@dataclass(frozen=True, slots=True)
class Side:
    """A node with regard to one purpose beside balances: whoever can't serve that may still tell balances."""

    node: EvmNode
    transport: Standing


def sides(nodes: Sequence[EvmNode], *, chain: str, timing: Timing, purpose: str = "movements") -> tuple[Side, ...]:
    def circuit(provider: str) -> Circuit:
        return Circuit(f"{provider} ({purpose})", chain=chain, clock=timing.clock, rng=timing.rng)

    names = [(node, node.transport.provider) for node in nodes]
    return tuple(Side(node, Standing(name, circuit=circuit(name))) for node, name in names)


class Blocks:
    """Asks `agree` nodes, each of which may take as long as `patience` with one look; what it has read stays read."""

    def __init__(
        self, sides_: Sequence[Side], *, teller: Teller, agree: int, traces: bool, patience: timedelta, timing: Timing
    ) -> None:
        self._sides = sides_
        self._teller = teller
        self._agree = agree
        self._traces = traces
        self._patience = patience.total_seconds()
        self._timing = timing
        self._tracer = Tracer()
        self._traces_rest: dict[str, float] = {}
        self._read: dict[tuple[str, str], Mined] = {}

    async def up_to(self, tip: Tip, *, branch: Branch, senders: Collection[Address]) -> Settled:
        """The blocks from one of the branch to the tip, or the newest of them. Raises ConnectorError."""
        lowest = min(branch.hashes.values())
        self._read = {key: block for key, block in self._read.items() if block.tip.height > lowest}

        async def question(side: Side) -> Way:
            try:
                async with asyncio.timeout(self._patience):
                    return await self._way(side.node, tip=tip, branch=branch, senders=senders)
            except TimeoutError:
                text = f"{side.transport.provider}: blocks not told within {self._patience:g}s"
                raise Unavailable(text, reason=Reason.TIMEOUT) from None

        well = [side for side in self._sides if side.node.transport.circuit.error is None]
        answers = await ask(well, question, need=self._agree, timing=self._timing, proof=True)
        if len(answers.given) < self._agree:
            raise shortfall(self._sides, failed=answers.failed, need=self._agree, given=len(answers.given))
        settled = settle(answers.given, need=self._agree, teller=self._teller)
        self._read.clear()
        for side in self._sides:
            if side.transport.provider in settled.dissenters:
                side.node.transport.disagreed()
        return settled

    async def traced(self, block: Mined) -> tuple[Deed, ...] | None:
        """The block's deeds with the ether that moved inside contract calls; None where nobody tells.

        One node's word: who believes it has balances to hold against it.
        """
        if not self._traces:
            return None
        now = self._timing.clock()
        for side in in_order(self._sides):
            if self._traces_rest.get(side.transport.provider, now) > now:
                continue
            try:
                async with asyncio.timeout(self._patience):
                    traced = await self._tracer.trace(side.node, tip=block.tip)
            except (ConnectorError, TimeoutError):  # the former is counted where it happened
                traced = None
            if traced is not None:
                return self._with_calls(block, traced=traced)
            self._traces_rest[side.transport.provider] = now + RESTS
        return None

    def _with_calls(self, block: Mined, *, traced: Traced) -> tuple[Deed, ...]:
        coin = self._teller.coin
        ours = {name: flows for name, flows in traced.items() if self._teller.concerns(flows)}
        deeds: list[Deed] = []
        for deed in block.deeds:
            flows = ours.pop(deed.transaction, None) if deed.token == coin else None
            deeds.append(deed if flows is None else replace(deed, flows=flows))
        return (*deeds, *(Deed(name, coin, flows) for name, flows in ours.items() if coin is not None))

    async def _way(self, node: EvmNode, *, tip: Tip, branch: Branch, senders: Collection[Address]) -> Way:
        """Along the parents. Below the lowest block that was told nothing is looked for: a reorg that deep is a gap."""
        await node.identify()
        lowest = min(branch.hashes.values())
        found: list[Mined] = []
        at, height = tip.hash, tip.height
        while at not in branch.hashes and height > lowest and len(found) < MOST_BLOCKS:
            block = await self._block(node, at=at, senders=senders)
            if block.tip.height != height:
                raise node.transport.blame(BadAnswer(f"{node.transport.provider}: block {at} is not at {height}"))
            found.append(block)
            at, height = block.parent, height - 1
        return Way(at if at in branch.hashes else None, tuple(reversed(found)))

    async def _block(self, node: EvmNode, *, at: str, senders: Collection[Address]) -> Mined:
        key = (node.transport.provider, at)
        known = self._read.get(key)
        if known is None:
            known = self._read[key] = await read_block(node, block=at, teller=self._teller, senders=senders)
        return known
