"""Transactions of interest that wait for a block: asks one node after the other, and remembers what waits."""

from __future__ import annotations

import asyncio
from collections.abc import Container, Sequence
from dataclasses import dataclass, field
from datetime import timedelta

import structlog

from connectors.base import Address, Stage
from connectors.errors import BadAnswer, ConnectorError
from connectors.evm import answers
from connectors.evm.answers import Raw
from connectors.evm.mempool import Listing, Mempool
from connectors.evm.node import EvmNode
from connectors.evm.transfers import Deed, Teller
from connectors.transport import Timing

log = structlog.get_logger()

MOST_WAITING = 10_000
"""Transactions that are remembered; whoever invents them can't fill our memory."""

MOST_LOOKED_FOR = 200
"""Waiting transactions that are asked for by their hash with one look, where they are not listed, in turns."""

Slot = tuple[Address, int]
"""Sender and nonce: only one transaction of those that share one can be mined."""


@dataclass(slots=True)
class Waiting:
    """A transaction in no block. `told`: the stage that was reported last, None as yet. `slot` is None where it is not
    known, of what a reorg undid.

    `absent_since`: the height of the newest block of the node that first was found not to know it any more; if a block
    holds it, then one that is not much higher. `replaced_by` waits in its place.
    """

    slot: Slot | None
    deeds: tuple[Deed, ...]
    told: Stage | None = None
    absent_since: int | None = None
    replaced_by: str | None = None


@dataclass(slots=True)
class Pool:
    """What waits, by hash. `enabled`: whether mempools are looked at; what a reorg undid is looked for in any case."""

    enabled: bool
    waiting: dict[str, Waiting] = field(default_factory=dict)
    news: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when there is something that was not there before."""


class Asking:
    """Fills a pool. What goes wrong here rests no node: that is for those who read balances to decide."""

    def __init__(self, nodes: Sequence[EvmNode], *, chain: str, teller: Teller, pool: Pool, timing: Timing) -> None:
        self._nodes = nodes
        self._chain = chain
        self._mempools = {node.transport.provider: Mempool(node) for node in nodes}
        self._teller = teller
        self._pool = pool
        self._timing = timing
        self._turn = 0
        self._silent = False

    async def forever(self, every: timedelta) -> None:
        """A look each time."""
        while True:
            await self.look()
            await self._timing.sleep(every.total_seconds())

    async def look(self) -> None:
        """At the mempool of the first node that answers and has one. Never raises ConnectorError.

        Whether one that failed is well again is found out by whoever reads balances.
        """
        if not self._pool.enabled and not self._pool.waiting:
            return
        for node in (node for node in self._nodes if node.transport.circuit.error is None):
            mempool = self._mempools[node.transport.provider]
            try:
                await node.identify()
                listing = await mempool.look() if self._pool.enabled else Listing((), whole=False)
                self._take(node, listing)
                await self._miss(node, listing, mempool=mempool)
            except ConnectorError:
                continue  # counted where it happened
            except ValueError as error:
                node.transport.blame(BadAnswer(f"{node.transport.provider}: pending transactions: {error}"))
                continue
            if mempool.offered or not self._pool.enabled:
                return
        self._say_if_silent()

    def _say_if_silent(self) -> None:
        if self._pool.enabled and not self._silent and not any(one.offered for one in self._mempools.values()):
            self._silent = True
            log.warning("no node tells what waits for a block", chain=self._chain)

    def _take(self, node: EvmNode, listing: Listing) -> None:
        """One that makes no sense costs none of the others."""
        slots = {one.slot: name for name, one in self._pool.waiting.items() if one.slot is not None}
        senders = {sender for sender, _ in slots}
        for raw in listing.transactions:
            try:
                if self._may_concern(raw, senders=senders):
                    self._offer(raw, slots=slots)
            except ValueError as error:
                node.transport.blame(BadAnswer(f"{node.transport.provider}: a pending transaction: {error}"))

    def _offer(self, raw: Raw, *, slots: dict[Slot, str]) -> None:
        one, waiting = answers.sent(raw), self._pool.waiting
        known, slot = waiting.get(one.hash), (one.sender, one.nonce)
        if known is not None:
            known.absent_since = known.replaced_by = None
            return
        rival = slots.get(slot)
        if rival is not None and rival in waiting:
            waiting[rival].replaced_by = one.hash
            self._pool.news.set()
        deeds = self._teller.waiting(one)
        if deeds and len(waiting) < MOST_WAITING:
            waiting[one.hash] = Waiting(slot, deeds)
            slots[slot] = one.hash
            self._pool.news.set()

    def _may_concern(self, raw: Raw, *, senders: Container[str]) -> bool:
        """A quick look, of which there are as many as transactions are listed."""
        accounts, tokens = self._teller.accounts, self._teller.tokens
        sender, to = str(raw.get("from")).lower(), str(raw.get("to")).lower()
        return sender in accounts or to in accounts or to in tokens or sender in senders

    async def _miss(self, node: EvmNode, listing: Listing, *, mempool: Mempool) -> None:
        """Whatever waits and is not known to this node any more may wait no more. Raises ConnectorError."""
        waiting = self._pool.waiting
        listed = {raw.get("hash") for raw in listing.transactions}
        unlisted = [name for name in waiting if name not in listed]
        gone = frozenset(unlisted)
        if unlisted and not listing.whole:
            due = [unlisted[(self._turn + step) % len(unlisted)] for step in range(min(len(unlisted), MOST_LOOKED_FOR))]
            self._turn += len(due)
            alive = await mempool.alive(due)
            gone = frozenset(due) - alive
            for name in alive:
                if name in waiting:
                    waiting[name].absent_since = None
        missing = [waiting[name] for name in gone if name in waiting and waiting[name].absent_since is None]
        if missing:
            height = answers.number(await node.node.call("eth_blockNumber"))
            for one in missing:
                one.absent_since = height
