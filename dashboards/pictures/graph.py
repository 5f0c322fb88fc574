"""The geometry of a graph over time: axes that end on round numbers, lines that break where nothing was known."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from dashboards.looks import SERIES
from dashboards.panels import HIGH, LOW
from dashboards.pictures.asking import Series, Window
from dashboards.pictures.reading import Panel
from dashboards.pictures.values import number

CHARACTER = 6.1
"""Pixels of one at the size of axes and legends."""
TIMES = (60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200, 86400)
MOST_TICKS = 5


@dataclass(frozen=True, slots=True)
class Tick:
    """Where, in pixels, and what it reads."""

    at: float
    text: str


@dataclass(frozen=True, slots=True)
class Drawn:
    """A series: `path` for the line, `bars` as (x, y, width, height), `dots` where a point stands alone."""

    name: str
    colour: str
    path: str
    dashed: bool
    width: float
    dots: Sequence[tuple[float, float]] = ()
    bars: Sequence[tuple[float, float, float, float]] = ()


@dataclass(frozen=True, slots=True)
class Marking:
    """A time that is marked, from x to x."""

    left: float
    right: float
    colour: str


@dataclass(frozen=True, slots=True)
class Graph:
    """All that is to be drawn, in pixels."""

    width: int
    height: int
    left: float
    bottom: float
    rows: Sequence[Tick]
    columns: Sequence[Tick]
    band: str
    band_colour: str
    lines: Sequence[Drawn]
    marks: Sequence[Marking]


@dataclass(frozen=True, slots=True)
class Answer:
    """The series of one target."""

    target: str
    legend: str
    series: tuple[Series, ...]


@dataclass(frozen=True, slots=True)
class Span:
    """A marked time, in Unix seconds."""

    start: float
    end: float
    colour: str


class Plane:
    """Turns times and values into pixels."""

    def __init__(self, window: Window, *, width: int, height: int, least: float, most: float, left: float) -> None:
        self._start = window.start.timestamp()
        self._length = (window.end - window.start).total_seconds()
        self._least, self._span = least, (most - least) or 1.0
        self.left, self.right, self.top, self.bottom = left, width - 18.0, 8.0, height - 20.0

    def x(self, at: float) -> float:
        """From left to right."""
        return round(self.left + (at - self._start) / self._length * (self.right - self.left), 1)

    def y(self, value: float) -> float:
        """From the bottom up."""
        return round(self.bottom - (value - self._least) / self._span * (self.bottom - self.top), 1)


def graph(
    panel: Panel, answers: Sequence[Answer], *, window: Window, width: int, height: int, marks: Sequence[Span]
) -> Graph:
    """What a time series panel looks like in so many pixels."""
    shown = panel.fieldConfig.defaults
    values = [value for answer in answers for one in answer.series for _, value in one.points if math.isfinite(value)]
    soft = shown.custom.get("axisSoftMax")
    levels = _round(
        shown.min if shown.min is not None else min(values, default=0.0),
        max([*values, *([soft] if soft is not None else [])], default=1.0),
        whole=shown.unit == "none",
        seconds=shown.unit == "s",
    )
    texts = [number(level, unit=shown.unit, decimals=_places(levels, shown.unit)) for level in levels]
    left = max(map(len, texts), default=1) * CHARACTER + 14
    plane = Plane(window, width=width, height=height, least=levels[0], most=levels[-1], left=left)
    rows = [Tick(plane.y(level), text) for level, text in zip(levels, texts, strict=True)]
    lines = _lines(panel, answers, window=window, plane=plane)
    colour, band = _band(answers, panel=panel, window=window, plane=plane)
    marking = [Marking(plane.x(one.start), plane.x(one.end), one.colour) for one in marks]
    return Graph(width, height, left, plane.bottom, rows, times(window, plane), band, colour, lines, marking)


def broken(points: Sequence[tuple[float, float]], *, step: float) -> list[list[tuple[float, float]]]:
    """Pieces of a line between which there was nothing, or no number."""
    pieces: list[list[tuple[float, float]]] = []
    before = -math.inf
    for at, value in points:
        if not math.isfinite(value):
            continue
        if at - before > 1.5 * step or not pieces:
            pieces.append([])
        pieces[-1].append((at, value))
        before = at
    return pieces


def _lines(panel: Panel, answers: Sequence[Answer], *, window: Window, plane: Plane) -> list[Drawn]:
    bars = panel.fieldConfig.defaults.custom.get("drawStyle") == "bars"
    found: list[Drawn] = []
    free = iter(_palette(sum(len(answer.series) for answer in answers)))
    for answer in answers:
        other = panel.fieldConfig.of(answer.target)
        for one in answer.series:
            name = one.named(answer.legend)
            colour = other["color"]["fixedColor"] if "color" in other else next(free)
            if bars:
                found.append(_bars(one, name=name, colour=colour, window=window, plane=plane, place=len(found)))
                continue
            pieces = broken(one.points, step=window.step)
            path = " ".join(_path(piece, plane) for piece in pieces if len(piece) > 1)
            dots = [(plane.x(piece[0][0]), plane.y(piece[0][1])) for piece in pieces if len(piece) == 1]
            dashed = "custom.lineStyle" in other
            found.append(
                Drawn(name, colour, path, dashed, 1.0 if "custom.lineWidth" in other and not dashed else 1.8, dots)
            )
    return found


def _bars(one: Series, *, name: str, colour: str, window: Window, plane: Plane, place: int) -> Drawn:
    wide = max(2.0, plane.x(window.start.timestamp() + window.step) - plane.left - 1)
    boxes = [
        (plane.x(at) - wide / 2 + place % 3, plane.y(value), wide, plane.bottom - plane.y(value))
        for at, value in one.points
        if math.isfinite(value) and value > 0
    ]
    return Drawn(name, colour, "", dashed=False, width=0, bars=boxes)


def _path(piece: Sequence[tuple[float, float]], plane: Plane) -> str:
    return "M" + "L".join(f"{plane.x(at)} {plane.y(value)}" for at, value in piece)


def _band(answers: Sequence[Answer], *, panel: Panel, window: Window, plane: Plane) -> tuple[str, str]:
    """Its colour, and the area between the bounds."""
    bounds = {
        answer.legend: answer.series[0].points for answer in answers if answer.legend in (LOW, HIGH) and answer.series
    }
    if len(bounds) < 2:
        return "", ""
    low = dict(bounds[LOW])
    both = [(at, value) for at, value in bounds[HIGH] if at in low]
    pieces: list[str] = []
    for piece in broken(both, step=window.step):
        back = [(at, low[at]) for at, _ in reversed(piece)]
        pieces.append(f"{_path([*piece, *back], plane)}Z")
    upper = next(answer.target for answer in answers if answer.legend == HIGH)
    return str(panel.fieldConfig.of(upper)["color"]["fixedColor"]), " ".join(pieces)


def _palette(count: int) -> list[str]:
    return [SERIES[place % len(SERIES)] for place in range(count)]


def _round(least: float, most: float, *, whole: bool, seconds: bool) -> list[float]:
    """Levels at equal distances that are easily read, from below `least` to above `most`."""
    if most <= least:
        most = least + (1.0 if whole else abs(least) * 0.1 or 1.0)
    raw = (most - least) / MOST_TICKS
    if seconds and raw > 30:
        step = float(next((size for size in TIMES if size >= raw), TIMES[-1]))
    else:
        size = 10 ** math.floor(math.log10(raw))
        step = next(factor * size for factor in (1, 2, 2.5, 5, 10) if factor * size >= raw)
    step = max(1.0, math.ceil(step)) if whole else step
    first, last = math.floor(least / step + 1e-9), math.ceil(most / step - 1e-9)
    return [place * step for place in range(first, last + 1)]


def _places(levels: Sequence[float], unit: str) -> int | None:
    """How many decimals of percent tell two levels apart; other units find their own."""
    if unit != "percentunit":
        return None
    return max(0, -math.floor(math.log10((levels[1] - levels[0]) * 100) + 1e-9))


def times(window: Window, plane: Plane) -> list[Tick]:
    start, end = window.start.timestamp(), window.end.timestamp()
    fitting = (plane.right - plane.left) / 70
    step = next((size for size in TIMES if (end - start) / size <= fitting), TIMES[-1])
    first = math.ceil(start / step) * step
    times = [first + place * step for place in range(int((end - first) // step) + 1)]
    return [Tick(plane.x(at), f"{datetime.fromtimestamp(at, UTC):%H:%M}") for at in times]
