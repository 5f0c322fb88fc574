"""What a NEM chain tells beside balances: movements, also of what waits for a block, control, and drift."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

import structlog

from connectors.base import Control, Disagreement, Movement, Stage, Tip, Update, Watch
from connectors.nem.block import EPOCH
from connectors.nem.books import Books
from connectors.nem.config import DEEPEST
from connectors.nem.mined import Mined, MinedBlocks, Way
from connectors.nem.movements import Teller
from connectors.nem.pending import Pool, Waiting

log = structlog.get_logger()

PATIENCE = 2
"""Blocks after which a transaction that no list holds any more, and no block either, is given up."""


@dataclass(frozen=True, slots=True)
class Sources:
    """Where it is told from. `need` nodes must agree on who controls an account."""

    books: Books
    mined: MinedBlocks
    pool: Pool
    need: int


class NemCompanion:
    """A Companion. `asking` fills the pool.

    Telling goes on after the blocks that the watch names in `since`. A transaction that waited in vain is EVICTED: when
    its deadline has passed by the clock of the chain, or when it is listed no more and stands in none of the blocks
    since; never while blocks are not told yet. After a reorg it waits again. Where blocks are passed over, what waits
    is forgotten: nobody knows what became of it.
    """

    def __init__(self, watch: Watch, *, sources: Sources, asking: asyncio.Task[None]) -> None:
        self.news = sources.pool.news
        self.doubt = False
        self._watch = watch
        self._books = sources.books
        self._mined_blocks = sources.mined
        self._pool = sources.pool
        self._sources = sources
        self._asking = asking
        self._teller = Teller(watch)
        self._accounts = frozenset(watch.accounts)
        self._controls: list[Control | None] = [None] * len(watch.accounts)
        self._told: list[Mined] = []
        """The newest blocks that were told, those of an earlier run among them; in the beginning the first tip."""
        self._behind = False
        """Whether there are blocks between those and the tip that were not told yet."""
        self._mined: frozenset[str] = frozenset()
        """Transactions of the newest blocks: a list may be older than a block that we know."""

    async def tell(self, update: Update) -> Update:
        """The update with what there is to tell beside it; see Companion."""
        if self._asking.done():
            self._asking.result()  # only a fault of ours ends it: that must not pass in silence
        if update.tip is None:
            return update
        movements = (*await self._of_blocks(update.tip), *self._of_waiting(update.tip))
        controls, disputes = self._who_controls(update.tip, anew=update.complete)
        return replace(
            update,
            movements=(*update.movements, *movements),
            controls=controls,
            disagreements=(*update.disagreements, *disputes),
            drift=self._books.take_drift(self._watch),
            owed=self._behind,
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

    async def _of_blocks(self, tip: Tip) -> list[Movement]:
        """What blocks have done since those that were told before, also by an earlier run; nothing while not all of it
        is known."""
        if not self._told:
            self._begin(tip)
        if self._told[-1].tip.hash == tip.hash:
            self._behind = False
            return []
        way = await self._mined_blocks.up_to(tip, known={one.tip.hash: one.tip.height for one in self._told})
        self._behind = way is None
        return [] if way is None else list(self._entered(way, tip=tip))

    def _begin(self, tip: Tip) -> None:
        """After the blocks that were told before us, but those that the nodes do not have (yet); else from here on."""
        cached = self._mined_blocks.cached(tip.hash, above=tip.height - DEEPEST)
        self._mined = _names(cached)
        before = [one for one in self._watch.since if one.height <= tip.height]
        at_hand = {one.tip.hash: one for one in cached}
        self._told = [at_hand.get(one.hash) or Mined(one, "") for one in before] or [*cached] or [Mined(tip, "")]

    def _entered(self, way: Way, *, tip: Tip) -> Iterator[Movement]:
        """What the way undoes, and what it does."""
        ancestor = self._ancestor(way, tip=tip)
        undone = [one for one in self._told if one.tip.height > ancestor]
        stand = [one for one in self._told if one.tip.height <= ancestor]
        if way.begins is None:
            self._pass_over(way, since=self._told[-1].tip, tip=tip)
            stand = []
        told = [*stand, *way.blocks]
        self._mined = _names(told)
        for block in reversed(undone):
            yield from self._undone(block, waits=way.begins is not None)
        for block in way.blocks:
            yield from self._applied(block)
        self._told = told[-DEEPEST:] or [Mined(tip, "")]

    def _ancestor(self, way: Way, *, tip: Tip) -> int:
        """The height of the newest block told that may still stand."""
        if way.begins is not None:
            return next(one.tip.height for one in self._told if one.tip.hash == way.begins)
        return way.blocks[0].tip.height - 2 if way.blocks else tip.height - 1

    def _pass_over(self, way: Way, *, since: Tip, tip: Tip) -> None:
        """What blocks did that nobody tells is not known; any of them may hold what waits, so none is called gone."""
        first = way.blocks[0].tip.height if way.blocks else tip.height + 1
        log.warning(
            "movements passed over", chain=self._watch.chain, since=since.height, told_from=first, tip=tip.height
        )
        self._pool.waiting.clear()

    def _undone(self, block: Mined, *, waits: bool) -> Iterator[Movement]:
        """Its transactions that no other block is known to hold; without `waits` none of them is called gone later."""
        for transaction in block.transactions:
            name = transaction.hash()
            if name in self._mined:
                continue
            if waits:
                parties = frozenset({transaction.debtor, transaction.signed_by, *transaction.named()})
                self._pool.waiting[name] = Waiting(transaction, parties & self._accounts, told=True)
            yield from self._teller.told(transaction, stage=Stage.PENDING, tip=None)

    def _applied(self, block: Mined) -> Iterator[Movement]:
        for transaction in block.transactions:
            self._pool.waiting.pop(transaction.hash(), None)
            yield from self._teller.told(transaction, stage=Stage.MINED, tip=block.tip)

    def _of_waiting(self, tip: Tip) -> Iterator[Movement]:
        """What is new among those that wait, and what waits no more."""
        clock = (tip.time - EPOCH).total_seconds()
        for name, waiting in list(self._pool.waiting.items()):
            since = waiting.absent_since
            if name in self._mined:
                del self._pool.waiting[name]
            elif not self._behind and (
                waiting.transaction.deadline < clock or (since is not None and tip.height >= since + PATIENCE)
            ):
                del self._pool.waiting[name]
                if waiting.told:
                    yield from self._teller.told(waiting.transaction, stage=Stage.EVICTED, tip=None)
            elif not waiting.told:
                waiting.told = True
                yield from self._teller.told(waiting.transaction, stage=Stage.PENDING, tip=None)


def _names(blocks: Iterable[Mined]) -> frozenset[str]:
    return frozenset(name for block in blocks for name in block.names)
