"""A dashboard as a page for a browser without a network: the panels' places, queries and colours are Grafana's."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from dashboards.pictures.asking import Prometheus, Series, Values, Window, chosen
from dashboards.pictures.cells import Table, Tile, Timeline, has_value, table, tiles, timeline
from dashboards.pictures.graph import CHARACTER, Answer, Graph, Span, broken, graph
from dashboards.pictures.reading import Annotation, Dashboard, GridPos, Panel

Scheme = Literal["light", "dark"]

WIDE, ROW, GAP, EDGE = 1360, 30, 8, 14
"""Pixels: of the page, of one row of the grid, between panels, and around all."""
COLUMN = (WIDE - 2 * EDGE - 23 * GAP) / 24
HEAD, TITLE, LEGEND = 58, 30, 19
"""Pixels: what stands above the panels, a panel's title, a line of its legend."""


@dataclass(frozen=True, slots=True)
class Box:
    """Of a panel on the page."""

    left: float
    top: float
    width: float
    height: float


@dataclass(frozen=True, slots=True)
class Shown:
    """A panel with what its queries gave: one of graph, tiles, table and timeline; `empty` reads instead of nothing."""

    title: str
    box: Box
    graph: Graph | None = None
    tiles: Sequence[Tile] = ()
    table: Table | None = None
    timeline: Timeline | None = None
    empty: str = ""


@dataclass(frozen=True, slots=True)
class Page:
    """A dashboard, drawn; `height` in pixels."""

    html: Mapping[Scheme, str]
    height: int
    width: int = WIDE


async def page(dashboard: Dashboard, *, asked: Prometheus, window: Window) -> Page:
    """Asks everything and draws it, light and dark."""
    choices = await asked.choices(dashboard, window=window)
    values = chosen(dashboard.templating.list, choices)
    marks = [mark async for mark in _marks(dashboard, asked=asked, window=window, values=values)]
    shown: list[Shown] = []
    for panel, with_values in unfolded(dashboard.panels, values):
        answers = [
            Answer(
                target.refId,
                target.legendFormat,
                await (asked.now if target.instant else asked.range)(target.expr, window=window, values=with_values),
            )
            for target in panel.targets
        ]
        shown.append(_shown(panel, answers, window=window, marks=marks))
    height = round(max(one.box.top + one.box.height for one in shown) + HEAD + EDGE + 26)
    return Page(
        {scheme: _html(dashboard, shown, window=window, height=height, scheme=scheme) for scheme in ("light", "dark")},
        height,
    )


def unfolded(panels: Sequence[Panel], values: Values) -> list[tuple[Panel, Values]]:
    """Panels with the values that hold in them: one that is repeated stands once for each, and others move down."""
    found: list[tuple[Panel, Values]] = []
    down = 0
    for panel in panels:
        place = panel.gridPos
        if panel.repeat is None:
            found.append((_at(panel, place.model_copy(update={"y": place.y + down})), values))
            continue
        each = values[panel.repeat]
        in_a_row = min(len(each), panel.maxPerRow) or 1
        width = 24 // in_a_row
        for number, value in enumerate(each):
            x, y = number % in_a_row * width, place.y + down + number // in_a_row * place.h
            one = _at(panel, GridPos(x=x, y=y, w=width, h=place.h))
            titled = one.model_copy(update={"title": panel.title.replace(f"${panel.repeat}", value)})
            found.append((titled, {**values, panel.repeat: value}))
        down += (max(0, len(each) - 1) // in_a_row) * place.h
    return found


def _at(panel: Panel, place: GridPos) -> Panel:
    return panel.model_copy(update={"gridPos": place})


async def _marks(dashboard: Dashboard, *, asked: Prometheus, window: Window, values: Values) -> AsyncIterator[Span]:
    for mark in dashboard.annotations.list:
        if mark.enable:
            for one in await asked.range(mark.expr, window=window, values=values):
                for span in _spans(mark, one, window=window):
                    yield span


def _spans(mark: Annotation, one: Series, *, window: Window) -> list[Span]:
    if mark.useValueForTime:
        times = {value / 1000 for _, value in one.points}
        inside = [at for at in sorted(times) if window.start.timestamp() < at <= window.end.timestamp()]
        return [Span(at, at, mark.iconColor) for at in inside]
    pieces = broken([point for point in one.points if point[1] > 0], step=window.step)
    return [Span(piece[0][0], piece[-1][0], mark.iconColor) for piece in pieces]


def _shown(panel: Panel, answers: Sequence[Answer], *, window: Window, marks: Sequence[Span]) -> Shown:
    box = _box(panel.gridPos)
    shown = Shown(panel.title, box)
    any_value = any(has_value(answer.series) for answer in answers)
    if panel.type == "stat":
        return replace(shown, tiles=tiles(panel, answers))
    if not any_value:
        return replace(shown, empty=panel.fieldConfig.defaults.noValue)
    if panel.type == "table":
        return replace(shown, table=table(panel, answers))
    names = [one.named(answer.legend) for answer in answers for one in answer.series]
    wide, high = round(box.width) - 16, round(box.height) - TITLE - 8
    if panel.type == "state-timeline":
        drawn = timeline(panel, answers, window=window, width=wide, height=high - LEGEND)
        return replace(shown, timeline=drawn)
    return replace(
        shown,
        graph=graph(panel, answers, window=window, width=wide, height=high - LEGEND * _lines(names, wide), marks=marks),
    )


def _lines(names: Sequence[str], wide: int) -> int:
    """How many lines a legend takes."""
    lines, at = 1, 0.0
    for name in names:
        size = len(name) * CHARACTER + 34
        if at + size > wide and at:
            lines, at = lines + 1, 0.0
        at += size
    return lines


def _box(place: GridPos) -> Box:
    return Box(
        left=round(place.x * (COLUMN + GAP), 1),
        top=place.y * (ROW + GAP),
        width=round(place.w * (COLUMN + GAP) - GAP, 1),
        height=place.h * (ROW + GAP) - GAP,
    )


def _html(dashboard: Dashboard, shown: Sequence[Shown], *, window: Window, height: int, scheme: Scheme) -> str:
    loader = FileSystemLoader(Path(__file__).parent)
    environment = Environment(
        loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    template = environment.get_template("page.html.j2")
    places = {"wide": WIDE, "edge": EDGE, "head": HEAD, "height": height}
    return template.render(dashboard=dashboard, shown=shown, window=window, scheme=scheme, **places)
