"""What a chain of Bitcoin's family tells beside balances: movements, from the mempool on, and drift."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace

import structlog

from connectors.base import Drift, Movement, Tip, Update, Watch
from connectors.bitcoin.config import BitcoinConfig
from connectors.bitcoin.histories import Histories
from connectors.bitcoin.mempool import Mempool
from connectors.bitcoin.movements import REMEMBERED, Traced
from connectors.bitcoin.networks import named
from connectors.bitcoin.reader import Books, Kept
from connectors.bitcoin.snapshot_book import SnapshotBook
from connectors.bitcoin.sources.base import HistorySource
from connectors.bitcoin.traffic import Traffic
from connectors.bitcoin.watcher import Watcher
from connectors.errors import ConnectorError
from connectors.polled import Accompany, Companion
from connectors.transport import Timing

log = structlog.get_logger()

TRIES = 3
"""How often a sweep is tried that fails: the chain may change meanwhile."""

SOON = 600.0
"""Seconds until a sweep that failed is tried again, at the most."""


def accompany(books: Books, *, config: BitcoinConfig, timing: Timing) -> Accompany:
    """Makes the Companion of each consumer."""

    @asynccontextmanager
    async def beside(watch: Watch) -> AsyncIterator[Companion]:
        companion = BitcoinCompanion(books, watch=watch, config=config, timing=timing)
        try:
            yield companion
        finally:
            await companion.close()

    return beside


class BitcoinCompanion:
    """Watches the mempool of every source whose book is used, and has the books swept now and then."""

    def __init__(self, books: Books, *, watch: Watch, config: BitcoinConfig, timing: Timing) -> None:
        self.news = asyncio.Event()
        self.doubt = False
        self._books = books
        self._watch = watch
        self._config = config
        self._timing = timing
        self._mempools: list[Mempool] = []
        self._watchers: dict[str, Watcher] = {}
        self._traffic = Traffic(self._mempools)
        self._histories: dict[str, Histories] = {}
        self._behind: _Stretch | None = None
        """Blocks whose movements nobody could tell yet."""
        self._drift: tuple[Drift, ...] | None = None
        self._tasks: list[asyncio.Task[None]] = []
        self._run(self._sweep, name="sweeps")

    async def tell(self, update: Update) -> Update:
        """See Companion."""
        for task in self._tasks:
            if task.done():
                task.result()  # they never end: what ended one is a defect of ours, and the supervisor's
        for kept in self._books.of(self._watch):
            self._begin(kept)
        for watcher in self._watchers.values():
            watcher.catch_up()
        lost = set(self._traffic.lost)
        movements = await self._movements(update)
        for watcher in self._watchers.values() if self._traffic.lost.keys() - lost else ():
            watcher.list_anew()
        return replace(update, movements=movements, drift=self._told_drift(update), owed=self._behind is not None)

    def _told_drift(self, update: Update) -> tuple[Drift, ...] | None:
        """With the update that also brings what is right, never before."""
        if self.doubt or update.tip is None:
            return None
        drift, self._drift = self._drift, None
        return drift

    async def close(self) -> None:
        """Ends what runs beside."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _movements(self, update: Update) -> tuple[Movement, ...]:
        """While nobody can tell what blocks moved, nothing is called gone: one of them may hold it."""
        tip = update.tip
        if tip is None:
            return self._traffic.tell(None, ancestor=None, mined=())
        stretch = _stretch(update, behind=self._behind)
        mined = await self._mined(stretch, tip=tip)
        if mined is None:
            self._behind = stretch
            return self._traffic.tell(None, ancestor=None, mined=())
        self._behind = None
        return self._traffic.tell(tip, ancestor=stretch.ancestor, mined=mined)

    async def _mined(self, stretch: _Stretch, *, tip: Tip) -> tuple[Traced, ...] | None:
        """What blocks moved: from the blocks themselves, else from the histories of scripts. None if nobody can tell.

        What was passed over, when coins were found anew, and what is long ago nobody will ever tell.
        """
        if tip == stretch.previous and stretch.ancestor is None:
            return ()
        ways = self._books.ways(self._watch, tip=tip, above=stretch.above)
        if ways and ways[0].whole:
            return ways[0].traced
        able = ((name, histories) for name, histories in self._histories.items() if histories.can_tell(tip))
        for name, histories in able:
            try:
                return await histories.mined(previous=stretch.previous, tip=tip, ancestor=stretch.ancestor)
            except ConnectorError as error:
                log.warning("movements can't be read", provider=name, why=str(error))
        late = stretch.above is not None and tip.height - stretch.above > REMEMBERED
        return ways[0].traced if ways and (late or ways[0].jumped) else None

    def _begin(self, kept: Kept) -> None:
        """Has the source's mempool watched from now on."""
        name = kept.source.transport.provider
        if name in self._watchers:
            return
        mempool = Mempool(kept.describer, coin_at=kept.book.coin)
        watcher = Watcher(
            kept.source,
            book=kept.book,
            mempool=mempool,
            form=named(self._config.network).block,
            every=self._config.poll,
            depth=self._config.confirmations - 1,
            news=self.news,
            timing=self._timing,
        )
        self._mempools.append(mempool)
        self._watchers[name] = watcher
        self._run(watcher.listen, name=f"notices of {name}")
        self._run(watcher.run, name=f"mempool of {name}")
        if isinstance(kept.source, HistorySource) and isinstance(kept.book, SnapshotBook):
            form = named(self._config.network).block
            self._histories[name] = Histories(kept.source, book=kept.book, describer=kept.describer, form=form)

    def _run(self, work: Callable[[], Coroutine[object, object, None]], *, name: str) -> None:
        self._tasks.append(asyncio.create_task(work(), name=name))

    async def _sweep(self) -> None:
        """Again and again, one source after the other; what is found is told with the next update."""
        while True:
            rescan = self._config.rescan.total_seconds()
            await self._timing.sleep(rescan)
            due = list(self._books.of(self._watch))
            for _ in range(TRIES):
                due = [kept for kept in due if not await self._swept(kept)]
                self.news.set()
                if not due:
                    break
                await self._timing.sleep(min(rescan, SOON))

    async def _swept(self, kept: Kept) -> bool:
        try:
            drift = await self._books.sweep(kept)
        except ConnectorError as error:
            log.warning("sweep failed", provider=kept.source.transport.provider, why=str(error))
            return False
        if drift is not None:
            self._drift = (*(self._drift or ()), *drift)
            self.doubt = self.doubt or bool(drift)
        return True


@dataclass(frozen=True, slots=True)
class _Stretch:
    """The blocks above `previous`, or above `ancestor` where blocks above that height were undone since."""

    previous: Tip | None
    ancestor: int | None

    @property
    def above(self) -> int | None:
        """None: from the beginning."""
        if self.previous is None:
            return None
        return self.previous.height if self.ancestor is None else min(self.ancestor, self.previous.height)


def _stretch(update: Update, *, behind: _Stretch | None) -> _Stretch:
    """The blocks of an update, and those before it that nobody could tell of."""
    previous = update.previous
    ancestor = previous.height - update.reorg_depth if previous is not None and update.reorg_depth else None
    if behind is None:
        return _Stretch(previous, ancestor)
    undone = [height for height in (ancestor, behind.ancestor) if height is not None]
    return _Stretch(behind.previous, min(undone, default=None))
