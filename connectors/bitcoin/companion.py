"""What a chain of Bitcoin's family tells beside balances: movements, from the mempool on, and drift."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import replace

import structlog

from connectors.base import Drift, Update, Watch
from connectors.bitcoin.config import BitcoinConfig
from connectors.bitcoin.histories import Histories
from connectors.bitcoin.mempool import Mempool
from connectors.bitcoin.movements import Traced
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
        self._books = books
        self._watch = watch
        self._config = config
        self._timing = timing
        self._mempools: list[Mempool] = []
        self._watchers: dict[str, Watcher] = {}
        self._traffic = Traffic(self._mempools)
        self._histories: dict[str, Histories] = {}
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
        lost = set(self._traffic.lost)
        ancestor = _ancestor(update)
        mined = await self._mined(update, ancestor=ancestor)
        movements = self._traffic.tell(update.tip, ancestor=ancestor, mined=mined)
        for watcher in self._watchers.values() if self._traffic.lost.keys() - lost else ():
            watcher.list_anew()
        drift, self._drift = self._drift, None
        return replace(update, movements=movements, drift=drift)

    async def close(self) -> None:
        """Ends what runs beside."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _mined(self, update: Update, *, ancestor: int | None) -> tuple[Traced, ...]:
        """What the blocks of an update moved: from the blocks themselves, else from the histories of scripts."""
        if update.tip is None or update.tip == update.previous:
            return ()
        if any(kept.mined is not None for kept in self._books.of(self._watch)):
            return self._books.mined(self._watch, previous=update.previous, tip=update.tip)
        for name, histories in self._histories.items():
            try:
                return await histories.mined(previous=update.previous, tip=update.tip, ancestor=ancestor)
            except ConnectorError as error:
                log.warning("movements can't be read", provider=name, why=str(error))
        return ()

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
            await self._timing.sleep(self._config.rescan.total_seconds())
            for kept in tuple(self._books.of(self._watch)):
                try:
                    drift = await self._books.sweep(kept)
                except ConnectorError as error:
                    log.warning("sweep failed", provider=kept.source.transport.provider, why=str(error))
                    continue
                if drift is not None:
                    self._drift = (*(self._drift or ()), *drift)
            self.news.set()


def _ancestor(update: Update) -> int | None:
    """The height above which blocks were undone; None where none was."""
    if update.previous is None or not update.reorg_depth:
        return None
    return update.previous.height - update.reorg_depth
