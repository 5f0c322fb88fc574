"""What is no graph: numbers, tables, and rows of states; as values that a template can write down."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from dashboards.pictures.asking import Series, Window
from dashboards.pictures.graph import CHARACTER, Answer, Plane, Tick, broken, times
from dashboards.pictures.reading import Panel, Shown
from dashboards.pictures.values import colour, written

Row = Mapping[str, str | float]


@dataclass(frozen=True, slots=True)
class Tile:
    """One big number."""

    text: str
    name: str
    colour: str


@dataclass(frozen=True, slots=True)
class Cell:
    """Of a table; `colour` is its background, if any."""

    text: str
    colour: str
    right: bool


@dataclass(frozen=True, slots=True)
class Table:
    """Heads (and whether they stand to the right), and rows."""

    heads: Sequence[tuple[str, bool]]
    rows: Sequence[Sequence[Cell]]


@dataclass(frozen=True, slots=True)
class Box:
    """A time in one state."""

    x: float
    y: float
    width: float
    height: float
    colour: str


@dataclass(frozen=True, slots=True)
class Timeline:
    """Rows of states, in pixels, and what the colours mean."""

    width: int
    height: int
    left: float
    names: Sequence[Tick]
    columns: Sequence[Tick]
    boxes: Sequence[Box]
    legend: Sequence[tuple[str, str]]


def tiles(panel: Panel, answers: Sequence[Answer]) -> list[Tile]:
    """One for each series; where there is none, one that says so."""
    shown, named = panel.fieldConfig.defaults, panel.options.get("textMode") == "value_and_name"
    found: list[Tile] = []
    for answer in answers:
        several = len(answer.series) > 1
        for one in sorted(answer.series, key=lambda one: one.named(answer.legend)):
            value = one.points[-1][1]
            name = one.named(answer.legend) if named or several else ""
            found.append(Tile(written(value, shown), name, colour(value, shown)))
    return found or [Tile(written(None, shown), "", colour(None, shown))]


def table(panel: Panel, answers: Sequence[Answer]) -> Table:
    """Answers joined and columns named as the panel's transformations say."""
    organised = next(one.options for one in panel.transformations if one.id == "organize")
    names, places = organised["renameByName"], organised["indexByName"]
    columns = sorted(names, key=lambda name: places[name])
    lone = len(answers) == 1
    rows: dict[tuple[tuple[str, str], ...], dict[str, str | float]] = {}
    for answer in answers:
        for one in answer.series:
            labels = {name: value for name, value in one.labels.items() if name != "__name__"}
            row = rows.setdefault(tuple(sorted(labels.items())), dict(labels))
            row["Value" if lone else f"Value #{answer.target}"] = one.points[-1][1]
    numeric = {name for name in columns if name.startswith("Value")}
    config = panel.fieldConfig
    kept = [row for _, row in sorted(rows.items())]
    return Table(
        [(names[name], name in numeric) for name in columns],
        [[_cell(row.get(name), config.column(names[name]), right=name in numeric) for name in columns] for row in kept],
    )


def _cell(value: str | float | None, shown: Shown, *, right: bool) -> Cell:
    if not right:
        return Cell(str(value) if value is not None else "", "", right=False)
    known = None if value is None else float(value)
    coloured = bool(shown.mappings or shown.thresholds.steps)
    return Cell(written(known, shown), colour(known, shown) if coloured else "", right=True)


def timeline(panel: Panel, answers: Sequence[Answer], *, window: Window, width: int, height: int) -> Timeline:
    """A row for each series, a box for each time that it was in one state."""
    named = sorted(
        ((one.named(answer.legend), one) for answer in answers for one in answer.series), key=lambda pair: pair[0]
    )
    left = max((len(name) for name, _ in named), default=1) * CHARACTER + 14
    plane = Plane(window, width=width, height=height, least=0, most=1, left=left)
    high = (plane.bottom - plane.top) / max(1, len(named))
    boxes: list[Box] = []
    names: list[Tick] = []
    for place, (name, one) in enumerate(named):
        top = plane.top + place * high
        names.append(Tick(round(top + high / 2 + 4, 1), name))
        boxes += _boxes(one, panel.fieldConfig.defaults, window=window, plane=plane, top=top, height=high)
    return Timeline(width, height, left, names, times(window, plane), boxes, _legend(panel.fieldConfig.defaults))


def _boxes(one: Series, shown: Shown, *, window: Window, plane: Plane, top: float, height: float) -> list[Box]:
    found: list[Box] = []
    for piece in broken(one.points, step=window.step):
        began = 0
        for place in range(1, len(piece) + 1):
            if place == len(piece) or piece[place][1] != piece[began][1]:
                ends = piece[place][0] if place < len(piece) else piece[-1][0] + window.step
                x, right = plane.x(piece[began][0]), min(plane.right, plane.x(ends))
                inner = height * 0.76
                y = round(top + (height - inner) / 2, 1)
                found.append(Box(x, y, round(right - x, 1), round(inner, 1), colour(piece[began][1], shown)))
                began = place
    return found


def _legend(shown: Shown) -> list[tuple[str, str]]:
    values = [mapping for mapping in shown.mappings if mapping.type == "value"]
    return [(said["text"], said["color"]) for mapping in values for said in mapping.options.values()]


def has_value(series: Sequence[Series]) -> bool:
    """Whether any of them has a number anywhere."""
    return any(math.isfinite(value) for one in series for _, value in one.points)
