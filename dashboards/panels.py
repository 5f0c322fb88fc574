"""The kinds of panels that our dashboards are made of. None is made without saying what it means when it is empty."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeVar

from grafana_foundation_sdk.builders import common, prometheus, stat, statetimeline, table, timeseries
from grafana_foundation_sdk.builders import dashboard as builder
from grafana_foundation_sdk.models import common as options
from grafana_foundation_sdk.models import dashboard as model
from grafana_foundation_sdk.models import prometheus as prometheus_model

from dashboards import looks, rules

SOURCE = model.DataSourceRef(type_val="prometheus", uid="pyrometer-prometheus")
LOW, HIGH = "lowest possible", "highest possible"
NOT_KNOWN = "not known"
NO_WORDS: Mapping[int, tuple[str, str]] = {}

AnyPanel = stat.Panel | timeseries.Panel | table.Panel | statetimeline.Panel
P = TypeVar("P", stat.Panel, timeseries.Panel, table.Panel, statetimeline.Panel)


class Role(StrEnum):
    """What a query is in its panel."""

    VALUE = "value"
    LIMIT = "limit"
    LOW = "low"
    HIGH = "high"


@dataclass(frozen=True, slots=True)
class Query:
    """PromQL, and how its series are called."""

    expr: str
    legend: str = ""
    role: Role = Role.VALUE


@dataclass(frozen=True, slots=True)
class About:
    """What a panel is called and shows, what an empty one means in a sentence, and in the panel itself in few words."""

    title: str
    shows: str
    empty: str
    nothing: str

    @property
    def description(self) -> str:
        """As the panel's (i) tells it."""
        return f"{self.shows}\n\n**No data:** {self.empty}"


@dataclass(frozen=True, slots=True)
class Place:
    """On a grid that is 24 wide."""

    width: int
    height: int


@dataclass(frozen=True, slots=True)
class Scale:
    """The unit in Grafana's words, the fewest that the axis spans, and how many decimals."""

    unit: str = "short"
    least: float | None = 0
    soft_most: float | None = None
    decimals: int | None = None


def number(
    about: About,
    query: Query,
    *,
    place: Place,
    scale: Scale,
    steps: builder.ThresholdsConfig,
    said: Mapping[int, tuple[str, str]] = NO_WORDS,
    text: options.BigValueTextMode = options.BigValueTextMode.VALUE,
) -> stat.Panel:
    """One big number for each series, as of now: an instant query, because a reduced range would show yesterday's."""
    panel = _about(stat.Panel(), about, place=place, scale=scale)
    reduced = common.ReduceDataOptions().calcs(["last"]).values(values=False)
    return (
        panel.with_target(_target(query, "A").instant())
        .thresholds(steps)
        .mappings(looks.words(said, nothing=about.nothing))
        .color_scheme(builder.FieldColor().mode(model.FieldColorModeId.THRESHOLDS))
        .color_mode(options.BigValueColorMode.BACKGROUND_SOLID)
        .graph_mode(options.BigValueGraphMode.NONE)
        .text_mode(text)
        .reduce_options(reduced)
    )


def lines(
    about: About,
    *queries: Query,
    place: Place,
    scale: Scale,
    style: options.GraphDrawStyle = options.GraphDrawStyle.LINE,
) -> timeseries.Panel:
    """Lines over time. Where a number was not known the line is broken; bounds are a band, limits dashed."""
    panel = _about(timeseries.Panel(), about, place=place, scale=scale)
    for query, name in _named(queries):
        panel.with_target(_target(query, name).range())
        if query.role is not Role.VALUE:
            panel.override_by_query(name, _role(query.role))
    if scale.soft_most is not None:
        panel.axis_soft_max(scale.soft_most)
    bars = style is options.GraphDrawStyle.BARS
    return (
        panel.draw_style(style)
        .fill_opacity(60 if bars else 0)
        .line_width(1 if bars else 2)
        .span_nulls(span_nulls=False)
        .show_points(options.VisibilityMode.AUTO)
        .color_scheme(builder.FieldColor().mode(model.FieldColorModeId.PALETTE_CLASSIC_BY_NAME))
        .legend(_legend())
        .tooltip(common.VizTooltipOptions().mode(options.TooltipDisplayMode.MULTI))
    )


def rows(about: About, query: Query, *, place: Place, said: Mapping[int, tuple[str, str]]) -> statetimeline.Panel:
    """Who was in which state when, a row each; nothing is drawn where nobody knew."""
    panel = _about(statetimeline.Panel(), about, place=place, scale=Scale("none", least=None))
    return (
        panel.with_target(_target(query, "A").range())
        .mappings(looks.words(said, nothing=about.nothing))
        .thresholds(looks.steps())
        .color_scheme(builder.FieldColor().mode(model.FieldColorModeId.THRESHOLDS))
        .show_value(options.VisibilityMode.NEVER)
        .merge_values(merge_values=True)
        .fill_opacity(85)
        .row_height(0.8)
        .legend(_legend())
    )


@dataclass(frozen=True, slots=True)
class Column:
    """Of a table: the query whose value stands in it and how; without an `expr` a label called `label`."""

    title: str
    expr: str = ""
    label: str = ""
    unit: str = "short"
    decimals: int | None = None
    steps: builder.ThresholdsConfig | None = None
    said: Mapping[int, tuple[str, str]] | None = None
    width: int | None = None


def grid(about: About, *columns: Column, place: Place, more: Sequence[Query] = ()) -> table.Panel:
    """A table as of now. Queries are joined by the labels that they share; `more` add rows and no column."""
    panel = _about(table.Panel(), about, place=place, scale=Scale("short", least=None))
    asking = [column for column in columns if column.expr]
    queries = [*(Query(column.expr) for column in asking), *more]
    for query, name in _named(queries):
        panel.with_target(_target(query, name).instant().format(prometheus_model.PromQueryFormat.TABLE))
    values = {f"Value #{name}": column.title for column, name in zip(asking, _names(len(asking)), strict=True)}
    unnamed = {f"Value #{name}": True for name in _names(len(queries))[len(asking) :]}
    if len(queries) == 1:
        values = {"Value": asking[0].title}
    names = {column.label: column.title for column in columns if column.label} | values
    order = {name: place for place, column in enumerate(columns) for name in names if names[name] == column.title}
    organised = {"excludeByName": {"Time": True, **unnamed}, "renameByName": names, "indexByName": order}
    panel.with_transformation(model.DataTransformerConfig(id_val="merge", options={}))
    panel.with_transformation(model.DataTransformerConfig(id_val="organize", options=organised))
    for column in columns:
        panel.override_by_name(column.title, _cells(column))
    return panel.cell_height(options.TableCellHeight.SM).align(options.FieldTextAlignment.AUTO)


def repeated(panel: P, variable: str, *, a_row: int) -> P:
    """One such panel for each chosen value of a variable, so many in a row."""
    return panel.repeat(variable).repeat_direction("h").max_per_row(a_row)


def _about(panel: P, about: About, *, place: Place, scale: Scale) -> P:
    panel.title(about.title).description(about.description).datasource(SOURCE).no_value(about.nothing)
    panel.grid_pos(model.GridPos(w=place.width, h=place.height)).unit(scale.unit)
    if scale.least is not None:
        panel.min(scale.least)
    if scale.decimals is not None:
        panel.decimals(scale.decimals)
    return panel


def _target(query: Query, name: str) -> prometheus.Dataquery:
    asked = prometheus.Dataquery().ref_id(name).expr(rules.of_one_exchange(query.expr)).datasource(SOURCE)
    asked.editor_mode(prometheus_model.QueryEditorMode.CODE)
    return asked.legend_format(query.legend) if query.legend else asked


def _names(count: int) -> list[str]:
    return [chr(ord("A") + place) for place in range(count)]


def _named(queries: Sequence[Query]) -> list[tuple[Query, str]]:
    return list(zip(queries, _names(len(queries)), strict=True))


def _fixed(colour: str) -> model.DynamicConfigValue:
    return model.DynamicConfigValue(id_val="color", value={"mode": "fixed", "fixedColor": colour})


def _role(role: Role) -> list[model.DynamicConfigValue]:
    """How it is drawn, as overrides of the panel's own."""
    value = model.DynamicConfigValue
    if role is Role.LIMIT:
        dashed = value(id_val="custom.lineStyle", value={"fill": "dash", "dash": [8, 6]})
        return [_fixed(looks.OVER), dashed, value(id_val="custom.lineWidth", value=2)]
    band = [_fixed(looks.UNKNOWN), value(id_val="custom.lineWidth", value=1)]
    if role is Role.HIGH:
        band += [value(id_val="custom.fillBelowTo", value=LOW), value(id_val="custom.fillOpacity", value=25)]
    return band


def _cells(column: Column) -> list[model.DynamicConfigValue]:
    value = model.DynamicConfigValue
    found = [value(id_val="unit", value=column.unit), value(id_val="noValue", value=NOT_KNOWN)]
    if column.decimals is not None:
        found.append(value(id_val="decimals", value=column.decimals))
    if column.width is not None:
        found.append(value(id_val="custom.width", value=column.width))
    if column.steps is not None:
        found.append(value(id_val="thresholds", value=column.steps.build()))
    if column.said is not None:
        found.append(value(id_val="mappings", value=looks.words(column.said, nothing=NOT_KNOWN)))
    if column.steps is not None or column.said is not None:
        found.append(value(id_val="custom.cellOptions", value={"type": "color-background", "mode": "basic"}))
    return found


def _legend() -> common.VizLegendOptions:
    """Names alone: a number beside them would be the last that was known."""
    listed = common.VizLegendOptions().display_mode(options.LegendDisplayMode.LIST)
    return listed.placement(options.LegendPlacement.BOTTOM).show_legend(show_legend=True)
