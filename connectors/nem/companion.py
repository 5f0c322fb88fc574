"""What a NEM chain tells beside balances: movements, also of what waits for a block, control, and drift."""

from __future__ import annotations

import asyncio
from collections.abc import Container, Iterable, Iterator
from dataclasses import dataclass, replace

import structlog

from connectors.base import Control, Disagreement, Movement, Stage, Tip, Update, Watch
from connectors.nem.block import EPOCH, Block, Blocks
from connectors.nem.books import Books
from connectors.nem.config import DEEPEST
from connectors.nem.movements import Teller
from connectors.nem.pending import Pool, Waiting

log = structlog.get_logger()

PATIENCE = 2
"""Blocks after which a transaction that no list holds any more, and no block either, is given up."""


@dataclass(frozen=True, slots=True)
class Sources:
    """Where it is told from. `need` nodes must agree on who controls an account."""

    books: Books
    blocks: Blocks
    pool: Pool
    need: int


class NemCompanion:
    """A Companion. `asking` fills the pool.

    A transaction that waited in vain is EVICTED: when its deadline has passed by the clock of the chain, or when it is
    listed no more and stands in none of the blocks since. After a reorg it waits again. Where blocks are passed over,
    what waits is forgotten: nobody knows what became of it.
    """

    def __init__(self, watch: Watch, *, sources: Sources, asking: asyncio.Task[None]) -> None:
        self.news = sources.pool.news
        self.doubt = False
        self._watch = watch
        self._books = sources.books
        self._blocks = sources.blocks
        self._pool = sources.pool
        self._sources = sources
        self._asking = asking
        self._teller = Teller(watch)
        self._accounts = frozenset(watch.accounts)
        self._controls: list[Control | None] = [None] * len(watch.accounts)
        self._last: Tip | None = None
        self._mined: dict[str, int] = {}
        """Transactions of the newest blocks, with their heights: a list may be older than a block that we know."""

    async def tell(self, update: Update) -> Update:
        """The update with what there is to tell beside it; see Companion."""
        if self._asking.done():
            self._asking.result()  # only a fault of ours ends it: that must not pass in silence
        if update.tip is None:
            return update
        movements = (*self._of_blocks(update.tip), *self._of_waiting(update.tip))
        controls, disputes = self._who_controls(update.tip, anew=update.complete)
        self._last = update.tip
        return replace(
            update,
            movements=(*update.movements, *movements),
            controls=controls,
            disagreements=(*update.disagreements, *disputes),
            drift=self._books.take_drift(self._watch),
        )

    def _who_controls(self, tip: Tip, *, anew: bool) -> tuple[tuple[Control, ...], tuple[Disagreement, ...]]:
        """What is different from what was told, or everything."""
        if anew:
            self._controls = [None] * len(self._controls)
        told = self._books.controls(self._watch, tip=tip, need=self._sources.need)
        if told.known == self._controls:
            return (), told.disputes
        changed: list[Control] = []
        for number, (old, new) in enumerate(zip(self._controls, told.known, strict=True)):
            if new is not None and new != old:
                changed.append(new)
                self._controls[number] = new
        return tuple(changed), told.disputes

    def _of_blocks(self, tip: Tip) -> Iterator[Movement]:
        """What blocks have done since the tip that was told last."""
        if self._last is not None and self._last.hash == tip.hash:
            return
        path = None if self._last is None else self._blocks.path(self._last.hash, tip.hash)
        if path is None:
            self._begin(tip)
            return
        for block in path.undone:
            for transaction in block.transactions:
                self._mined.pop(transaction.hash(), None)
        self._remember(path.applied)
        for block in path.undone:
            yield from self._undone(block, but=self._mined)
        for block in path.applied:
            yield from self._applied(block)
        self._mined = {name: height for name, height in self._mined.items() if height > tip.height - DEEPEST}

    def _begin(self, tip: Tip) -> None:
        """From here on, as if nothing had been told before."""
        if self._last is not None:
            log.warning("movements passed over", chain=self._watch.chain, since=self._last.height, tip=tip.height)
            self._pool.waiting.clear()  # one of these blocks may hold any of them, so none is called gone
        self._mined.clear()
        block = self._blocks.get(tip.hash)
        while block is not None and block.height > tip.height - DEEPEST:
            self._remember([block])
            block = self._blocks.get(block.parent)

    def _remember(self, blocks: Iterable[Block]) -> None:
        self._mined |= {one.hash(): block.height for block in blocks for one in block.transactions}

    def _undone(self, block: Block, *, but: Container[str]) -> Iterator[Movement]:
        for transaction in block.transactions:
            name = transaction.hash()
            if name not in but and self._teller.concerns(transaction):
                parties = frozenset({transaction.debtor, transaction.signed_by, *transaction.named()})
                self._pool.waiting[name] = Waiting(transaction, parties & self._accounts, told=True)
                yield from self._teller.told(transaction, stage=Stage.PENDING, tip=None)

    def _applied(self, block: Block) -> Iterator[Movement]:
        for transaction in block.transactions:
            self._pool.waiting.pop(transaction.hash(), None)
            yield from self._teller.told(transaction, stage=Stage.MINED, tip=block.header.tip)

    def _of_waiting(self, tip: Tip) -> Iterator[Movement]:
        """What is new among those that wait, and what waits no more."""
        clock = (tip.time - EPOCH).total_seconds()
        for name, waiting in list(self._pool.waiting.items()):
            since = waiting.absent_since
            if name in self._mined:
                del self._pool.waiting[name]
            elif waiting.transaction.deadline < clock or (since is not None and tip.height >= since + PATIENCE):
                del self._pool.waiting[name]
                if waiting.told:
                    yield from self._teller.told(waiting.transaction, stage=Stage.EVICTED, tip=None)
            elif not waiting.told:
                waiting.told = True
                yield from self._teller.told(waiting.transaction, stage=Stage.PENDING, tip=None)
