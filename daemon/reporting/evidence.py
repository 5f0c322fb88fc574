"""All that the store holds of one day, and how much of the day it covers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta

from daemon.history.days import ONE_DAY, Days, floor
from daemon.history.figure import Figure, Judged, Key, Snapshot, decode, merged
from daemon.model import Finding
from daemon.reporting.closed import Closed, read
from daemon.store import Archive, ClosingRow, Notice

LADDER = tuple(timedelta(minutes=minutes) for minutes in (10, 60))
STEP = timedelta(minutes=10)
ALWAYS: Key = ("verdicts", "ok")
"""A figure that every snapshot has: it tells how many seconds are covered."""


@dataclass(frozen=True, slots=True)
class Span:
    """A part of the day, and what was seen in it: None where nobody looked."""

    start: datetime
    end: datetime
    figure: Figure | None

    @property
    def seconds(self) -> int:
        return round((self.end - self.start).total_seconds())

    @property
    def missing(self) -> int:
        seen = 0 if self.figure is None else self.figure.known + self.figure.unknown
        return max(0, self.seconds - seen)


@dataclass(frozen=True, slots=True)
class Evidence:
    """One day: the closing before it, the one at its end, what was seen between, and what people were told."""

    day: date
    days: Days
    opening: tuple[ClosingRow, Closed] | None
    closing: tuple[ClosingRow, Closed] | None
    grain: timedelta | None
    snapshots: Sequence[Snapshot] = field(repr=False)
    findings: Sequence[Finding] = field(repr=False)
    notices: Sequence[Notice] = field(repr=False)

    @property
    def start(self) -> datetime:
        return self.days.start(self.day)

    @property
    def end(self) -> datetime:
        return self.days.end(self.day)

    def hours(self, key: Key) -> list[Span]:
        """The day hour by hour."""
        return [self._span(start, end, key=key) for start, end in self.days.hours(self.day)]

    def steps(self, key: Key) -> list[Span]:
        """The day in steps of ten minutes, or of what was kept where that is coarser."""
        return list(self._steps(key))

    def judged(self) -> dict[Key, Judged]:
        """For how long each rule said what of each subject."""
        return dict(merged(self.snapshots, at=self.start, grain=ONE_DAY).judged)

    def _steps(self, key: Key) -> Iterator[Span]:
        step, start = max(STEP, self.grain or STEP), self.start
        while start < self.end:
            end = min(start + step, self.end)
            yield self._span(start, end, key=key)
            start = end

    def _span(self, start: datetime, end: datetime, *, key: Key) -> Span:
        parts = [Snapshot(one.at, one.grain, {key: one.figures[key]}) for one in self._between(start, end, key=key)]
        return Span(start, end, merged(parts, at=start, grain=end - start).figures.get(key))

    def _between(self, start: datetime, end: datetime, *, key: Key) -> Iterator[Snapshot]:
        return (one for one in self.snapshots if start <= one.at < end and key in one.figures)


async def gather(archive: Archive, day: date, *, days: Days, grain: timedelta) -> Evidence:
    """Reads the day out of the store; `grain` is the finest of the snapshots. StoreError."""
    start, end = days.start(day), days.end(day)
    found, snapshots = await _finest(archive, start=start, end=end, grain=grain)
    return Evidence(
        day=day,
        days=days,
        opening=await _closing(archive, day - ONE_DAY),
        closing=await _closing(archive, day),
        grain=found,
        snapshots=snapshots,
        findings=await archive.findings(since=start, until=end),
        notices=await archive.notices(since=start, until=end),
    )


async def _finest(
    archive: Archive, *, start: datetime, end: datetime, grain: timedelta
) -> tuple[timedelta | None, Sequence[Snapshot]]:
    """The snapshots that cover most of the day, the finest of several that cover as much."""
    best: tuple[int, timedelta | None, Sequence[Snapshot]] = (0, None, ())
    for one in sorted({grain, *LADDER}):
        if floor(start, one) != start or floor(end, one) != end:
            continue  # snapshots that reach over the end of the day say nothing exact about it
        rows = await archive.snapshots(grain=one, since=start, until=end)
        snapshots = [decode(row.body, at=row.at, grain=row.grain) for row in rows]
        covered = sum(part.figures[ALWAYS].known for part in snapshots if ALWAYS in part.figures)
        if covered > best[0]:
            best = (covered, one, snapshots)
        if timedelta(seconds=covered) >= end - start:
            break
    return best[1], best[2]


async def _closing(archive: Archive, day: date) -> tuple[ClosingRow, Closed] | None:
    row = await archive.closing(day)
    return None if row is None else (row, read(row.body))
