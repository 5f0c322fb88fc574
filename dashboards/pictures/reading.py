"""A dashboard as Grafana reads it: the parts of its file that matter to who draws it or asks its queries."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from dashboards.catalogue import rendered


class Part(BaseModel):
    """What we do not name we do not need."""

    model_config = ConfigDict(extra="ignore", frozen=True)


class Target(Part):
    """A query."""

    refId: str  # noqa: N815 - Grafana's own names, here and below
    expr: str
    legendFormat: str = ""  # noqa: N815
    instant: bool = False


class GridPos(Part):
    """In a grid 24 wide; heights in rows of 30 pixels."""

    x: int
    y: int
    w: int
    h: int


class Mapped(Part):
    """What stands in the place of a value."""

    text: str = ""
    color: str = ""


class ValueMapping(Part):
    """Values to words, or what no value at all reads."""

    type: Literal["value", "special"]
    options: Mapping[str, Any]

    def of(self, value: float | None) -> Mapped | None:
        """What is said of this value."""
        if self.type == "special":
            return Mapped.model_validate(self.options["result"]) if value is None else None
        named = None if value is None else self.options.get(f"{value:g}")
        return None if named is None else Mapped.model_validate(named)


class Step(Part):
    """A colour from a value on."""

    color: str
    value: float | None


class Thresholds(Part):
    """The lowest first; its value is None."""

    steps: tuple[Step, ...] = ()


class Shown(Part):
    """How values are shown."""

    unit: str = "short"
    decimals: int | None = None
    min: float | None = None
    noValue: str = ""  # noqa: N815
    mappings: tuple[ValueMapping, ...] = ()
    thresholds: Thresholds = Thresholds()
    custom: Mapping[str, Any] = Field(default_factory=dict)


class Matcher(Part):
    """Whom an override is about."""

    id: Literal["byName", "byFrameRefID"]
    options: str


class Property(Part):
    """What is other for them."""

    id: str
    value: Any = None


class Override(Part):
    """Of one query or one column."""

    matcher: Matcher
    properties: tuple[Property, ...]


class FieldConfig(Part):
    """How values are shown, and the exceptions."""

    defaults: Shown
    overrides: tuple[Override, ...] = ()

    def of(self, name: str) -> Mapping[str, Any]:
        """The exceptions of a query or a column, by id."""
        found = (one for one in self.overrides if one.matcher.options == name)
        return {part.id: part.value for one in found for part in one.properties}

    def column(self, name: str) -> Shown:
        """How a column of a table is shown."""
        others = {key: value for key, value in self.of(name).items() if not key.startswith("custom.")}
        return Shown.model_validate({**self.defaults.model_dump(), "mappings": (), **others})


class Transformation(Part):
    """What Grafana does with answers before it shows them."""

    id: str
    options: Mapping[str, Any]


class Panel(Part):
    """One of a dashboard."""

    id: int
    type: Literal["stat", "timeseries", "table", "state-timeline"]
    title: str
    description: str
    gridPos: GridPos  # noqa: N815
    targets: tuple[Target, ...]
    fieldConfig: FieldConfig  # noqa: N815
    options: Mapping[str, Any]
    transformations: tuple[Transformation, ...] = ()
    repeat: str | None = None
    maxPerRow: int = 4  # noqa: N815


class Variable(Part):
    """What a reader may choose."""

    name: str
    query: Mapping[str, str]
    multi: bool = False
    includeAll: bool = False  # noqa: N815


class Variables(Part):
    """In the order in which they may rest on each other."""

    list: tuple[Variable, ...]


class Annotation(Part):
    """What is marked on graphs."""

    name: str
    expr: str
    enable: bool
    iconColor: str  # noqa: N815
    textFormat: str  # noqa: N815
    useValueForTime: Literal["on", False]  # noqa: N815


class Annotations(Part):
    """All of them."""

    list: tuple[Annotation, ...]


class Dashboard(Part):
    """One file."""

    uid: str
    title: str
    description: str
    panels: tuple[Panel, ...]
    templating: Variables
    annotations: Annotations


def read(name: str) -> Dashboard:
    """A dashboard of ours, by the name of its file."""
    return Dashboard.model_validate_json(rendered(name))
