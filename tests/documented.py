"""What docs/metrics.md says of each metric, and how a scrape is read that tests hold to it."""

import re
from dataclasses import dataclass

from prometheus_client.metrics_core import Metric
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from tests.real import ROOT

ROW = re.compile(r"^\| `((?:pyrometer|process)_\w+)` \|(.*?)\| (\w+) \|", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Documented:
    """A row of the table."""

    labels: frozenset[str]
    type: str


def documented_metrics() -> dict[str, Documented]:
    """By name; what stands in brackets in the column of labels are values."""
    text = (ROOT / "docs" / "metrics.md").read_text()
    rows = {name: (re.sub(r"\(.*?\)", "", labels), kind) for name, labels, kind in ROW.findall(text)}
    return {name: Documented(frozenset(re.findall(r"\w+", labels)), kind) for name, (labels, kind) in rows.items()}


def parsed(text: str) -> list[Metric]:
    """The families of a scrape in OpenMetrics; ValueError for what a strict reader of it refuses."""
    return list(text_string_to_metric_families(text))  # type: ignore[no-untyped-call]
