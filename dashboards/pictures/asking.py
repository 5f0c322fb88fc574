"""Asks a Prometheus what a panel asks, with everything filled in as Grafana would."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import aiohttp

from dashboards.pictures.reading import Dashboard, Variable

Labels = Mapping[str, str]
Values = Mapping[str, str | Sequence[str]]
"""What is chosen for each variable: one value, or several of one that allows it."""

LABEL_VALUES = re.compile(r"label_values\((.*), (\w+)\)")
VARIABLE = re.compile(r"\$(\w+)")
ESCAPED = re.compile(r"[\\^$*+?.()|[\]{}/]")


@dataclass(frozen=True, slots=True)
class Window:
    """A time range that is looked at, in `step` seconds, of what was scraped every `scrape` seconds."""

    start: datetime
    end: datetime
    step: float
    scrape: float

    def filled(self, values: Values) -> Mapping[str, str]:
        """All variables as text for PromQL. Grafana's rules: grafana.com/docs, "Prometheus template variables"."""
        length = (self.end - self.start).total_seconds()
        rate = max(self.step + self.scrape, 4 * self.scrape)
        built_in = {"__rate_interval": rate, "__interval": self.step, "__range": length}
        return {name: f"{seconds * 1000:.0f}ms" for name, seconds in built_in.items()} | {
            name: value if isinstance(value, str) else _one_of(value) for name, value in values.items()
        }


@dataclass(frozen=True, slots=True)
class Series:
    """What Prometheus answers: (Unix time, value) pairs; one of an instant query."""

    labels: Labels
    points: tuple[tuple[float, float], ...]

    def named(self, legend: str) -> str:
        """As its legend says, `{{label}}` filled in."""
        return re.sub(r"\{\{(\w+)\}\}", lambda found: self.labels.get(found[1], ""), legend) or _plain(self.labels)


class Prometheus:
    """A client of its HTTP API, version 1."""

    def __init__(self, url: str, *, session: aiohttp.ClientSession) -> None:
        self.url = url
        self._session = session

    async def range(self, expr: str, *, window: Window, values: Values) -> tuple[Series, ...]:
        """Over the whole window."""
        asked = {"query": filled(expr, window.filled(values)), "step": f"{window.step:g}"}
        found = await self._get("query_range", {**asked, **_bounds(window)})
        return tuple(Series(one["metric"], _points(one["values"])) for one in found["result"])

    async def now(self, expr: str, *, window: Window, values: Values) -> tuple[Series, ...]:
        """At the end of the window."""
        asked = {"query": filled(expr, window.filled(values)), "time": f"{window.end.timestamp():.3f}"}
        found = await self._get("query", asked)
        return tuple(Series(one["metric"], _points([one["value"]])) for one in found["result"])

    async def choices(self, dashboard: Dashboard, *, window: Window) -> Mapping[str, Sequence[str]]:
        """Every value that a reader can choose for each variable; each may rest on those before."""
        found: dict[str, Sequence[str]] = {}
        for variable in dashboard.templating.list:
            match = LABEL_VALUES.fullmatch(variable.query["query"])
            assert match is not None, f"{variable.name} asks what we can't: {variable.query['query']}"
            metric = filled(match[1], window.filled(chosen(dashboard.templating.list, found)))
            found[variable.name] = await self._get(f"label/{match[2]}/values", {"match[]": metric, **_bounds(window)})
        return found

    async def _get(self, path: str, asked: Mapping[str, str]) -> Any:  # noqa: ANN401 - JSON, by path
        async with self._session.get(f"{self.url}/api/v1/{path}", params=asked) as response:
            answer = await response.json()
        if answer["status"] != "success":
            raise ValueError(f"{path} {dict(asked)}: {answer['error']}")
        return answer["data"]


def filled(expr: str, texts: Mapping[str, str]) -> str:
    """With every variable in its place; what is none, such as the `$1` of a replacement, stays."""
    return VARIABLE.sub(lambda found: texts.get(found[1], found[0]), expr)


def chosen(variables: Sequence[Variable], choices: Mapping[str, Sequence[str]]) -> Values:
    """What is chosen at first: everything, or of a variable with one value the first."""
    known = {variable.name: variable for variable in variables}
    return {
        name: values if known[name].includeAll else (values[0] if values else "") for name, values in choices.items()
    }


def _one_of(values: Sequence[str]) -> str:
    """Any of several, as a regular expression in a string of PromQL."""
    escaped = [ESCAPED.sub(lambda found: f"\\\\{found[0]}", value) for value in values]
    return escaped[0] if len(escaped) == 1 else f"({'|'.join(escaped)})"


def _bounds(window: Window) -> Mapping[str, str]:
    return {"start": f"{window.start.timestamp():.3f}", "end": f"{window.end.timestamp():.3f}"}


def _points(values: Sequence[tuple[float, str]]) -> tuple[tuple[float, float], ...]:
    return tuple((at, float(value)) for at, value in values)


def _plain(labels: Labels) -> str:
    return ", ".join(f"{name}={value}" for name, value in sorted(labels.items()) if name != "__name__")
