"""All that the store holds of one day, and how much of the day it covers."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from functools import reduce
from operator import add

from daemon.history.days import ONE_DAY, Days, floor
from daemon.history.figure import Figure, Judged, Key, Snapshot, decode
from daemon.model import Finding
from daemon.reporting.closed import Closed, read
from daemon.store import Archive, ClosingRow, Notice, SnapshotRow

LADDER = tuple(timedelta(minutes=minutes) for minutes in (10, 60))
STEP = timedelta(minutes=10)
ALWAYS: Key = ("verdicts", "ok")
"""A figure that every snapshot has: it tells how many seconds are covered."""
SHARE: Key = ("hot_share", "all")


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
    rows: Sequence[SnapshotRow] = field(repr=False)
    snapshots: Sequence[Snapshot] = field(repr=False)
    """The same, of their figures those alone that the day is drawn from."""
    judged: Mapping[Key, Judged] = field(repr=False)
    """For how long each rule said what of each subject."""
    findings: Sequence[Finding] = field(repr=False)
    notices: Sequence[Notice] = field(repr=False)

    @property
    def start(self) -> datetime:
        return self.days.start(self.day)

    @property
    def end(self) -> datetime:
        return self.days.end(self.day)

    def hours(self) -> list[Span]:
        """The hot share of all, hour by hour."""
        return [self._span(start, end) for start, end in self.days.hours(self.day)]

    def steps(self) -> list[Span]:
        """The same in steps of ten minutes, or of what was kept where that is coarser."""
        return list(self._steps())

    def first_breach(self, key: Key, *, since: datetime) -> Snapshot | None:
        """The first snapshot from that time on in which the rule says breach, with all of its figures."""
        for row, one in zip(self.rows, self.snapshots, strict=True):
            if one.at + one.grain > since and one.judged.get(key, Judged()).breach:
                return decode(row.body, at=row.at, grain=row.grain)
        return None

    def _steps(self) -> Iterator[Span]:
        step, start = max(STEP, self.grain or STEP), self.start
        while start < self.end:
            end = min(start + step, self.end)
            yield self._span(start, end)
            start = end

    def _span(self, start: datetime, end: datetime) -> Span:
        parts = [one.figures[SHARE] for one in self.snapshots if start <= one.at < end and SHARE in one.figures]
        return Span(start, end, reduce(add, parts) if parts else None)


async def gather(archive: Archive, day: date, *, days: Days, grain: timedelta) -> Evidence:
    """Reads the day out of the store; `grain` is the finest of the snapshots. StoreError."""
    start, end = days.start(day), days.end(day)
    rows, snapshots = await _finest(archive, start=start, end=end, grain=grain)
    return Evidence(
        day=day,
        days=days,
        opening=await _closing(archive, day - ONE_DAY),
        closing=await _closing(archive, day),
        grain=rows[0].grain if rows else None,
        rows=rows,
        snapshots=snapshots,
        judged=_judged(snapshots),
        findings=await archive.findings(since=start, until=end),
        notices=await archive.notices(since=start, until=end),
    )


def _judged(snapshots: Iterable[Snapshot]) -> dict[Key, Judged]:
    seconds: dict[Key, Judged] = {}
    for one in snapshots:
        for key, said in one.judged.items():
            seconds[key] = seconds[key] + said if key in seconds else said
    return seconds


async def _finest(
    archive: Archive, *, start: datetime, end: datetime, grain: timedelta
) -> tuple[Sequence[SnapshotRow], Sequence[Snapshot]]:
    """The snapshots that cover most of the day, the finest of several that cover as much."""
    most: int = 0
    best: tuple[Sequence[SnapshotRow], Sequence[Snapshot]] = ((), ())
    for one in sorted({grain, *LADDER}):
        if floor(start, one) != start or floor(end, one) != end:
            continue  # snapshots that reach over the end of the day say nothing exact about it
        rows = await archive.snapshots(grain=one, since=start, until=end)
        snapshots = [decode(row.body, at=row.at, grain=row.grain, only=(ALWAYS, SHARE)) for row in rows]
        covered = sum(part.figures[ALWAYS].known for part in snapshots if ALWAYS in part.figures)
        if covered > most:
            most, best = covered, (rows, snapshots)
        if timedelta(seconds=covered) >= end - start:
            break
    return best


async def _closing(archive: Archive, day: date) -> tuple[ClosingRow, Closed] | None:
    row = await archive.closing(day)
    return None if row is None else (row, read(row.body))
