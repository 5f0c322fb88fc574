"""What all our dashboards have: how they are found, linked to each other and marked with what was wrong when."""

from __future__ import annotations

from dataclasses import dataclass

from grafana_foundation_sdk.builders import dashboard as builder
from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.models import dashboard as model

from dashboards.looks import NEAR, NEUTRAL, OVER
from dashboards.panels import SOURCE, AnyPanel
from dashboards.rules import of_one_exchange

TAG = "pyrometer"
GRID = 24


@dataclass(frozen=True, slots=True)
class Mark:
    """Times that are marked on every graph: where `expr` has a value above 0, or, with `is_time`, the times (in ms)
    that are its values. `text` may hold labels, `{{policy}}`."""

    name: str
    expr: str
    text: str
    colour: str
    is_time: bool = False
    shown: bool = True


MARKS = (
    Mark(
        "Alerts of Prometheus",
        'ALERTS{alertname=~"Pyrometer.*", alertname!~".*Watchdog", alertstate="firing"}',
        "{{alertname}} {{subject}}",
        OVER,
    ),
    Mark(
        "Firing findings",
        'max by (severity) (pyrometer_findings{state="firing", severity=~"critical|warning"}) > 0',
        "a {{severity}} finding fires",
        NEAR,
    ),
    Mark(
        "Broken rules",
        'max by (policy, subject) (pyrometer_verdict{verdict="breach"}) > 0',
        "{{policy}} is broken: {{subject}}",
        OVER,
        shown=False,
    ),
    Mark(
        "Configuration loaded",
        "max(pyrometer_config_reload_timestamp_seconds) * 1000",
        "the running configuration was loaded",
        NEUTRAL,
        is_time=True,
    ),
)


class Marked(model.AnnotationQuery):
    """With the fields of Prometheus' own annotations, which the general model lacks (Grafana, annotations.ts)."""

    def __init__(self, mark: Mark) -> None:
        super().__init__(mark.name, SOURCE, enable=mark.shown, hide=False, icon_color=mark.colour)
        self._mark = mark

    def to_json(self) -> dict[str, object]:
        """As Grafana reads it."""
        expr = of_one_exchange(self._mark.expr)
        asked = {"expr": expr, "refId": "Anno", "range": True, "datasource": SOURCE, "interval": ""}
        return {
            **super().to_json(),
            "expr": expr,
            "target": asked,
            "titleFormat": self.name,
            "textFormat": self._mark.text,
            "tagKeys": "severity,policy,subject",
            "useValueForTime": "on" if self._mark.is_time else False,
        }


class Annotation(Builder[model.AnnotationQuery]):
    """Gives a mark to the builder of a dashboard."""

    def __init__(self, mark: Mark) -> None:
        self._mark = mark

    def build(self) -> model.AnnotationQuery:
        """The annotation."""
        return Marked(self._mark)


def choice(name: str, *, label: str, metric: str, of: str) -> builder.QueryVariable:
    """A variable with the values that a label of a metric has; all of them at first."""
    everything = model.VariableOption(selected=True, text="All", value="$__all")
    variable = _values(name, label=label, asked=f"label_values({of_one_exchange(metric)}, {of})")
    return variable.multi(multi=True).include_all(include_all=True).current(everything)


def _exchange() -> builder.QueryVariable:
    """One at a time: nothing is added up over exchanges."""
    asked = "label_values(pyrometer_config_info, entity)"
    return _values("entity", label="Exchange", asked=asked).multi(multi=False).include_all(include_all=False)


def _values(name: str, *, label: str, asked: str) -> builder.QueryVariable:
    variable = builder.QueryVariable(name).label(label).datasource(SOURCE).query({"query": asked, "refId": name})
    return variable.refresh(model.VariableRefresh.ON_TIME_RANGE_CHANGED).sort(model.VariableSort.ALPHABETICAL_ASC)


def board(
    name: str, *, title: str, shows: str, panels: list[AnyPanel], choices: list[builder.QueryVariable] | None = None
) -> model.Dashboard:
    """A dashboard with the uid `pyrometer-<name>`; panels stand in their order, filling rows."""
    made = (
        builder.Dashboard(f"Pyrometer: {title}")
        .uid(f"{TAG}-{name}")
        .description(shows)
        .tags([TAG])
        .readonly()
        .timezone("browser")
        .time("now-6h", "now")
        .refresh("15s")
        .tooltip(model.DashboardCursorSync.CROSSHAIR)
        .link(_others())
    )
    for variable in [_exchange(), *(choices or [])]:
        made.with_variable(variable)
    for mark in MARKS:
        made.annotation(Annotation(mark))
    for number, panel in enumerate(panels, start=1):
        made.with_panel(panel.id(number))
    built = made.build()
    _arrange([panel.grid_pos for panel in built.panels or [] if panel.grid_pos is not None])
    return built


def _arrange(places: list[model.GridPos]) -> None:
    """Each as far up as it can stand below those before it, and there as far left: the builder fills plain rows."""
    floor = [0] * GRID
    for place in places:
        tops = {x: max(floor[x : x + place.w]) for x in range(GRID - place.w + 1)}
        place.x = min(tops, key=lambda x: (tops[x], x))
        place.y = tops[place.x]
        floor[place.x : place.x + place.w] = [place.y + place.h] * place.w


def _others() -> builder.DashboardLink:
    linked = builder.DashboardLink("Pyrometer").type(model.DashboardLinkType.DASHBOARDS).tags([TAG])
    return linked.as_dropdown(as_dropdown=False).include_vars(include_vars=False).keep_time(keep_time=True)
