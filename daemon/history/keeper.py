"""Writes the history: a snapshot for every grain, coarser ones from those, and the raw readings at each cut-off."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from datetime import date, datetime, timedelta
from itertools import groupby, pairwise

import structlog

from daemon.errors import StoreError
from daemon.feeds.values import FeedReason
from daemon.history.closing import Captured, body_of, same_picture, stand_of
from daemon.history.config import HistoryConfig
from daemon.history.days import ONE_DAY, Days, floor
from daemon.history.figure import decode, encode, merged
from daemon.history.snapshot import snapshot_of
from daemon.ledger import Ledger
from daemon.model import Report
from daemon.reload import Loaded
from daemon.setup import Setup
from daemon.store import Archive, ClosingRow, SnapshotRow

log = structlog.get_logger(__name__)

WAIT = timedelta(minutes=10)
"""How long after a cut-off, or after our start, we wait for a picture without a hole before one with holes is taken."""
MOST_WAITING = 1440
"""Snapshots that wait in memory for the store, a day of minutes; past that the oldest go, and are missing."""
MOST_CLOSINGS = 31
WRITE_SECONDS = 1.0
PRUNE_EVERY = timedelta(hours=1)


class Keeper:
    """A sink, and a worker that writes what the sink took; see `daemon.supervisor.keep`.

    `standing` gives what the configuration in force means, the ledger that it is judged from, and the configuration.
    Time is that of the reports: while nobody judges, nothing is kept, and then it is missing.
    """

    def __init__(
        self,
        archive: Archive,
        *,
        config: HistoryConfig,
        days: Days,
        standing: Callable[[], tuple[Setup, Ledger, Loaded]],
        program: str,
    ) -> None:
        self._archive = archive
        self._config = config
        self._days = days
        self._standing = standing
        self._program = program
        self._grain = config.ladder[0][0]
        self._began: datetime | None = None
        self._now: datetime | None = None
        self._slot: datetime | None = None
        self._closed: date | None = None
        """The last day that needs no closing any more."""
        self._owed: date | None = None
        """A day that ended before we began and has no closing, although there is a history of it."""
        self._waiting: deque[SnapshotRow] = deque()
        self._captured: deque[Captured] = deque()
        self._closings: deque[ClosingRow] = deque()
        self._news = asyncio.Event()
        self._learned = False
        self._rolled: dict[timedelta, datetime] = {}
        """Up to when the coarser snapshots are made."""
        self._pruned: datetime | None = None
        self._dropped = 0
        self._error: StoreError | None = None
        self._turn = asyncio.Lock()

    # As a sink.

    def offer(self, report: Report) -> None:
        """Takes a snapshot of the first report of each grain, and a closing when one is due."""
        self._began = self._began or report.at
        self._now = report.at
        slot = floor(report.at, self._grain)
        if slot != self._slot:
            self._slot = slot
            row = SnapshotRow(slot, self._grain, encode(snapshot_of(report, at=slot, grain=self._grain)))
            self._waiting.append(row)
            self._news.set()
        self._close(report)
        self._bound()

    def _close(self, report: Report) -> None:
        day = self._days.of(report.at) - ONE_DAY
        if self._closed is not None and day <= self._closed:
            return
        assert self._began is not None
        cut_off = self._days.end(day)
        if cut_off < self._began and self._owed != day:
            return
        complete = _complete(report)
        if not complete and report.at - max(cut_off, self._began) < WAIT:
            return
        setup, ledger, loaded = self._standing()
        if not same_picture(report, ledger, setup=setup):
            return
        stand = stand_of(ledger, setup=setup, config_sha256=loaded.sha256)
        self._captured.append(Captured(day, self._days, report, stand, complete, self._program))
        self._closed = day
        self._news.set()

    def _bound(self) -> None:
        while len(self._waiting) > MOST_WAITING:
            self._waiting.popleft()
            self._dropped += 1
        while len(self._closings) > MOST_CLOSINGS:
            self._closings.popleft()

    # As a worker.

    async def work(self) -> None:
        """One step: waits for news, then writes it; what the store does not take is offered again."""
        if not self._waiting and not self._closings:
            await self._news.wait()
        else:
            await asyncio.sleep(WRITE_SECONDS)
        await self.flush()

    async def flush(self) -> None:
        """Offers the store all that it has not taken. Never raises StoreError: it is kept, and logged once."""
        self._news.clear()
        async with self._turn:
            await self._hash()
            try:
                await self._learn()
                await self._write()
                await self._roll_up()
                await self._prune()
            except StoreError as error:
                self._noted(error)
            else:
                self._noted(None)

    @property
    def problem(self) -> str | None:
        """Why the history lives in memory alone; None when all is well."""
        return None if self._error is None else f"{len(self._waiting)} snapshots are in memory alone: {self._error}"

    async def _hash(self) -> None:
        while self._captured:
            captured = self._captured[0]
            body = await asyncio.to_thread(body_of, captured)
            self._closings.append(ClosingRow(captured.day, captured.report.at, body))
            self._captured.popleft()

    async def _learn(self) -> None:
        """What an earlier life has left to do: the closing of the day that ended while nobody ran."""
        if self._learned or self._began is None:
            return
        closed = await self._archive.closing_days()
        oldest = await self._archive.oldest_snapshot()
        missing = self._days.of(self._began) - ONE_DAY
        if missing not in closed and oldest is not None and oldest < self._days.end(missing):
            self._owed = missing
        self._learned = True

    async def _write(self) -> None:
        while self._waiting:
            batch = [row for row, _ in zip(self._waiting, range(200), strict=False)]
            await self._archive.keep_snapshots(batch)
            kept = {id(row) for row in batch}
            while self._waiting and id(self._waiting[0]) in kept:
                self._waiting.popleft()
        while self._closings:
            closing = self._closings[0]
            await self._archive.keep_closing(closing)
            log.info("a day is closed", day=closing.day.isoformat(), at=closing.at.isoformat())
            if self._closings and self._closings[0] is closing:
                self._closings.popleft()

    async def _roll_up(self) -> None:
        """Makes the coarser snapshots of the spans that are over, each of those one grain finer."""
        if self._now is None:
            return
        grains = [grain for grain, _ in self._config.ladder]
        for fine, coarse in pairwise(grains):
            end = floor(self._now, coarse)
            if self._rolled.get(coarse) == end:
                continue
            start = await self._archive.newest_snapshot(grain=coarse)
            start = await self._archive.oldest_snapshot(grain=fine) if start is None else start + coarse
            start = end if start is None else floor(start, coarse)
            while start < end:
                part = min(start + ONE_DAY, end)
                rows = await self._archive.snapshots(grain=fine, since=start, until=part)
                await self._archive.keep_snapshots(list(_coarser(rows, grain=coarse)))
                start = part
            self._rolled[coarse] = end

    async def _prune(self) -> None:
        if self._now is None or (self._pruned is not None and self._now - self._pruned < PRUNE_EVERY):
            return
        for grain, kept in self._config.ladder:
            await self._archive.drop_snapshots(grain=grain, before=self._now - kept)
        self._pruned = self._now

    def _noted(self, error: StoreError | None) -> None:
        if error and not self._error:
            log.error("history is kept in memory", error=str(error))
        elif self._error and not error:
            log.info("history is written again", lost=self._dropped)
        self._error = error


def _coarser(rows: Sequence[SnapshotRow], *, grain: timedelta) -> Iterator[SnapshotRow]:
    for start, group in groupby(rows, key=lambda row: floor(row.at, grain)):
        parts = (decode(row.body, at=row.at, grain=row.grain) for row in group)
        yield SnapshotRow(start, grain, encode(merged(parts, at=start, grain=grain)))


def _complete(report: Report) -> bool:
    """Whether every chain is read, every account of it, and every source outside has had the time to answer."""
    starting = any(source.reason is FeedReason.STARTING for source in report.feeds.sources)
    return not starting and not any(chain.reason or chain.unread for chain in report.chains.values())
