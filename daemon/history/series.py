"""`/api/v1/history`: the past of one figure in equal steps, with its bounds, and with gaps where nobody looked."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from aiohttp import web

from connectors.config import parse_duration
from daemon.diagnosis import nearest
from daemon.document import shown
from daemon.history.closing import bounds, moment
from daemon.history.config import HistoryConfig
from daemon.history.days import floor
from daemon.history.figure import Figure, Key, Snapshot, decode, merged
from daemon.history.snapshot import METRICS
from daemon.interval import Interval
from daemon.store import Archive, SnapshotRow

PARAMETERS = ("metric", "scope", "from", "to", "step")
MOST_POINTS = 1500
MOST_READ = 6000
"""Snapshots behind one answer."""
USUAL_SPAN = timedelta(days=1)
USUAL_POINTS = 200
A_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Asked:
    """One question, checked: the points from `since` to before `until`, each of `step`, out of snapshots of `grain`."""

    key: Key
    since: datetime
    until: datetime
    step: timedelta
    grain: timedelta

    @classmethod
    def by(cls, query: Iterable[tuple[str, str]], *, now: datetime, config: HistoryConfig) -> Asked:
        """From a request's query. HTTPBadRequest, in one line that names the parameter, for whatever is wrong."""
        given = _given(query)
        metric = given.get("metric", "")
        if metric not in METRICS:
            raise _bad(
                "metric", f"expected one of {', '.join(METRICS)}, found {shown(metric)}{nearest(metric, METRICS)}"
            )
        until = _moment("to", given.get("to"), default=now)
        since = _moment("from", given.get("from"), default=until - USUAL_SPAN)
        if not since < until:
            raise _bad("from", "expected a time before `to`")
        grains = [grain for grain, _ in config.ladder]
        step = _step(given.get("step"), span=until - since, grains=grains)
        grain = max(one for one in grains if one <= step and step % one == timedelta(0))
        since = floor(since, step)
        if (until - since) / step > MOST_POINTS:
            raise _bad("step", f"more than {MOST_POINTS} points; expected a longer step or a shorter time")
        if (until - since) / grain > MOST_READ:
            raise _bad("step", f"more than {MOST_READ} snapshots to read; expected a multiple of 1h or a shorter time")
        return cls((metric, given.get("scope", "all")), since, until, step, grain)

    async def answer(self, archive: Archive) -> dict[str, Any]:
        """The points as JSON-ready values. StoreError."""
        points: list[dict[str, Any]] = []
        start = self.since
        reach = max(self.step, A_DAY // self.step * self.step)
        while start < self.until:
            end = min(start + reach, self.until)
            rows = await archive.snapshots(grain=self.grain, since=start, until=end)
            points += await asyncio.to_thread(self._points, rows, start, end)
            start = end
        metric, scope = self.key
        return {
            "metric": metric,
            "scope": scope,
            "from": moment(self.since),
            "to": moment(self.until),
            "step_seconds": round(self.step.total_seconds()),
            "grain_seconds": round(self.grain.total_seconds()),
            "points": points,
        }

    def _points(self, rows: Sequence[SnapshotRow], start: datetime, end: datetime) -> list[dict[str, Any]]:
        by_step: dict[datetime, list[Snapshot]] = {}
        for row in rows:
            part = decode(row.body, at=row.at, grain=row.grain, only=[self.key])
            by_step.setdefault(floor(row.at, self.step), []).append(part)
        return [self._point(at, by_step.get(at, ())) for at in _steps(start, end, step=self.step)]

    def _point(self, at: datetime, parts: Iterable[Snapshot]) -> dict[str, Any]:
        figure = merged(parts, at=at, grain=self.step).figures.get(self.key)
        seconds = round(self.step.total_seconds())
        return {"at": moment(at), **_shown(figure, seconds=seconds)}


def _shown(figure: Figure | None, *, seconds: int) -> Mapping[str, Any]:
    if figure is None:
        return {"low": None, "value": None, "high": None, "known": 0, "unknown": 0, "missing": seconds}
    return {
        **bounds(Interval(figure.low, figure.value, figure.high)),
        "known": figure.known,
        "unknown": figure.unknown,
        "missing": max(0, seconds - figure.known - figure.unknown),
    }


def _steps(start: datetime, end: datetime, *, step: timedelta) -> Iterator[datetime]:
    while start < end:
        yield start
        start += step


def _given(query: Iterable[tuple[str, str]]) -> dict[str, str]:
    given: dict[str, str] = {}
    for name, text in query:
        if name not in PARAMETERS:
            raise web.HTTPBadRequest(text=f"{shown(name)} is no parameter{nearest(name, PARAMETERS)}")
        if name in given:
            raise _bad(name, "stands twice; expected it once")
        given[name] = text
    return given


def _moment(name: str, text: str | None, *, default: datetime) -> datetime:
    if text is None:
        return default
    try:
        # A `+` in a query that was not escaped arrives as a space.
        at = datetime.fromisoformat(text.replace(" ", "+"))
        if at.tzinfo is not None and datetime(1970, 1, 2, tzinfo=UTC) < at < datetime(9000, 1, 1, tzinfo=UTC):
            return at.astimezone(UTC)
    except ValueError:
        pass
    raise _bad(name, f"expected a time with its zone, such as 2026-11-23T09:00:00Z, found {shown(text)}")


def _step(text: str | None, *, span: timedelta, grains: Sequence[timedelta]) -> timedelta:
    if text is None:
        fitting = [*grains, *(grains[-1] * hours for hours in (2, 3, 4, 6, 12, 24))]
        return next((one for one in fitting if span / one <= USUAL_POINTS), fitting[-1])
    try:
        step = parse_duration(text)
    except ValueError as error:
        raise _bad("step", f"{error}, found {shown(text)}") from None
    if step < grains[0] or step % grains[0] or A_DAY % step:
        finest = round(grains[0].total_seconds())
        raise _bad("step", f"expected a multiple of {finest}s that divides a day, found {shown(text)}")
    return step


def _bad(name: str, message: str) -> web.HTTPBadRequest:
    return web.HTTPBadRequest(text=f"{name}: {message}")
