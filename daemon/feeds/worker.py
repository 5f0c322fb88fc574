"""One worker per source: asks it, holds its answers to what they must be, and takes them to the book."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import timedelta

import structlog

from daemon.feeds.approvals import Approving
from daemon.feeds.approved import ApprovalReader, opened_approvals
from daemon.feeds.asking import Asked
from daemon.feeds.book import Heard
from daemon.feeds.checking import checked
from daemon.feeds.opening import Surroundings, opened
from daemon.feeds.plan import SourceKey
from daemon.feeds.source import FeedError, Reader
from daemon.feeds.values import Fault, FeedReason
from daemon.supervisor import keep

log = structlog.get_logger(__name__)

Take = Callable[[SourceKey, Heard], Awaitable[None]]

GRACE = timedelta(seconds=2)
"""A source's own deadline comes first, and knows better why; this one is for what hangs beside it."""


class FeedWorker:
    """Asks one source again and again; `take` receives each answer, and why there was none."""

    def __init__(self, asked: Asked, *, take: Take, around: Surroundings) -> None:
        self.asked = asked
        self._take = take
        self._around = around
        self._down = False

    @property
    def name(self) -> str:
        feed, name = self.asked.key
        return f"feed {feed}/{name}"

    async def follow(self) -> None:
        """A step for the supervisor: lasts until the source can't even be opened, or something unforeseen happens."""
        try:
            async with _opened(self.asked, around=self._around) as reader:
                while True:
                    answered = await self._ask(reader)
                    if not (reader.pushed and answered):
                        await self._rest()
        except FeedError as error:
            await self._say(_fault(error))
            await self._rest()

    async def _ask(self, reader: Reader | ApprovalReader) -> bool:
        patience = None if reader.pushed else self.asked.config.timeout + GRACE
        said = await heard(self.asked, reader, around=self._around, patience=patience)
        await self._say(said)
        return not isinstance(said, Fault)

    async def _rest(self) -> None:
        await self._around.timing.sleep(self.asked.config.every.total_seconds())

    async def _say(self, said: Heard) -> None:
        source = self.asked.source
        down = isinstance(said, Fault)
        if isinstance(said, Fault) and not self._down:
            log.warning("feed down", feed=source.feed, source=source.name, reason=said.reason, detail=said.detail)
        if self._down and not down:
            log.info("feed up again", feed=source.feed, source=source.name)
        self._down = down
        await self._take(self.asked.key, said)


async def heard(
    asked: Asked, reader: Reader | ApprovalReader, *, around: Surroundings, patience: timedelta | None
) -> Heard:
    """What an open source says within `patience`; None waits for as long as it takes."""
    now = around.now()
    try:
        async with asyncio.timeout(None if patience is None else patience.total_seconds()):
            if isinstance(reader, ApprovalReader):
                batch = await reader.read()
            else:
                raw = await reader.read()
        now = around.now() if reader.pushed else now
        if isinstance(reader, ApprovalReader):
            return await reader.approved(batch, source=asked.key, expected=asked.approvable, now=now)
        return checked(raw, expected=asked.expected, now=now)
    except FeedError as error:
        return _fault(error)
    except TimeoutError:
        return Fault(FeedReason.TIMEOUT, "no answer in time")


async def ask_all(asked: Sequence[Asked], *, around: Surroundings) -> list[tuple[SourceKey, Heard]]:
    """Every source once, all at the same time, each within its time-out."""
    said = await asyncio.gather(*(ask_once(one, around=around) for one in asked))
    return [(one.key, answer) for one, answer in zip(asked, said, strict=True)]


async def ask_once(asked: Asked, *, around: Surroundings) -> Heard:
    """What a source says now."""
    try:
        async with _opened(asked, around=around) as reader:
            return await heard(asked, reader, around=around, patience=asked.config.timeout + GRACE)
    except FeedError as error:
        return _fault(error)


@asynccontextmanager
async def following(asked: Iterable[Asked], *, take: Take, around: Surroundings) -> AsyncIterator[None]:
    """A worker on every source while the block lasts, kept going by the time of `around`."""
    workers = [FeedWorker(one, take=take, around=around) for one in asked]
    tasks = [
        asyncio.create_task(keep(worker.name, worker.follow, sleep=around.timing.sleep), name=worker.name)
        for worker in workers
    ]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


class FeedWorkers:
    """The workers of a daemon whose configuration may change. `start` keeps a step going by name, `stop` ends it."""

    def __init__(
        self,
        *,
        start: Callable[[str, Callable[[], Awaitable[None]]], None],
        stop: Callable[[str], Awaitable[None]],
        take: Take,
    ) -> None:
        self._start = start
        self._stop = stop
        self._take = take
        self._running: dict[SourceKey, FeedWorker] = {}

    async def stop_changed(self, wanted: Iterable[Asked]) -> None:
        """Ends the workers of sources that are not asked any more, or not in the same way."""
        same = {one.key: one.identity for one in wanted}
        for key, worker in list(self._running.items()):
            if worker.asked.identity != same.get(key):
                await self._stop(worker.name)
                del self._running[key]

    def start(self, wanted: Iterable[Asked], *, around: Surroundings) -> None:
        """Begins on every source that nobody works on yet."""
        for one in wanted:
            if one.key not in self._running:
                worker = self._running[one.key] = FeedWorker(one, take=self._take, around=around)
                self._start(worker.name, worker.follow)


def _opened(asked: Asked, *, around: Surroundings) -> AbstractAsyncContextManager[Reader | ApprovalReader]:
    if isinstance(asked.config, Approving):
        return opened_approvals(asked.config, folder=around.folder, now=around.now, timing=around.timing)
    return opened(asked.source, around=around)


def _fault(error: FeedError) -> Fault:
    return Fault(error.reason, error.detail)
