"""The dashboards that are shipped: made by the code, honest about what is unknown, and of documented metrics alone."""

import json
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from dashboards.catalogue import DASHBOARDS, FOLDER, rendered
from dashboards.looks import OK, UNKNOWN
from dashboards.pictures.asking import VARIABLE
from dashboards.pictures.reading import Panel, read
from dashboards.pictures.values import colour
from dashboards.rules import of_one_exchange

ROOT = Path(__file__).parents[2]
PROVISIONING = ROOT / "deploy" / "grafana" / "provisioning"
METRIC = re.compile(r"\b(?:pyrometer_|process_|scrape_)\w+|\bALERTS\b|\bup\b(?=\{)")
SUFFIXES = re.compile(r"_(?:bucket|count|sum)$")
EVERY = [(name, panel) for name in DASHBOARDS for panel in read(name).panels]


def titled(case: tuple[str, Panel] | str) -> str:
    return case if isinstance(case, str) else f"{case[0]}: {case[1].title}"


every_panel = pytest.mark.parametrize("case", EVERY, ids=titled)


def queries(name: str) -> Iterator[str]:
    """Everything that a dashboard asks."""
    board = read(name)
    for panel in board.panels:
        yield from (target.expr for target in panel.targets)
    yield from (variable.query["query"] for variable in board.templating.list)
    yield from (mark.expr for mark in board.annotations.list)


@pytest.mark.parametrize("name", DASHBOARDS)
def test_the_file_that_is_shipped_is_what_the_code_makes(name: str) -> None:
    assert (FOLDER / f"{name}.json").read_text() == rendered(name), "run `make dashboards`"


def test_no_other_dashboard_is_shipped() -> None:
    assert {path.name for path in FOLDER.iterdir()} == {f"{name}.json" for name in DASHBOARDS}


def test_what_refers_to_a_dashboard_may_rely_on_its_uid() -> None:
    assert [read(name).uid for name in DASHBOARDS] == [
        "pyrometer-overview",
        "pyrometer-wallets",
        "pyrometer-chains",
        "pyrometer-reserves",
        "pyrometer-daemon",
    ]


@pytest.mark.parametrize("name", DASHBOARDS)
def test_only_what_is_documented_is_asked_for(name: str) -> None:
    documented = set(re.findall(r"`(\w+)`", (ROOT / "docs" / "metrics.md").read_text()))
    asked = {SUFFIXES.sub("", metric) for expr in queries(name) for metric in METRIC.findall(expr)}
    assert asked
    assert asked - documented == set()


@pytest.mark.parametrize("name", DASHBOARDS)
def test_numbers_of_two_exchanges_are_never_mixed(name: str) -> None:
    for expr in queries(name):
        metrics = METRIC.findall(expr)
        assert metrics
        chosen = expr.count('entity="$entity"')
        assert chosen == len(metrics) or expr == "label_values(pyrometer_config_info, entity)", expr


def test_a_metric_is_narrowed_to_one_exchange_with_or_without_other_matchers() -> None:
    assert of_one_exchange("sum(up)") == 'sum(up{entity="$entity"})'
    assert of_one_exchange('pyrometer_a{b="c"} + pyrometer_d') == (
        'pyrometer_a{entity="$entity", b="c"} + pyrometer_d{entity="$entity"}'
    )


@every_panel
def test_a_panel_says_what_it_means_when_it_is_empty(case: tuple[str, Panel]) -> None:
    panel = case[1]
    shows, _, empty = panel.description.partition("\n\n**No data:** ")
    assert len(shows) > 5
    assert len(empty) > 10
    assert panel.fieldConfig.defaults.noValue not in ("", "No data", "0", "ok")


@every_panel
def test_what_is_shown_as_of_now_is_never_of_before(case: tuple[str, Panel]) -> None:
    """A number or a table comes out of an instant query; lines are broken where nothing was known, and have no legend
    with the last value that was."""
    panel = case[1]
    instant = panel.type in ("stat", "table")
    assert {target.instant for target in panel.targets} == {instant}
    assert "lastNotNull" not in json.dumps(panel.options)
    if panel.type == "timeseries":
        assert panel.fieldConfig.defaults.custom["spanNulls"] is False
        assert not panel.options["legend"].get("calcs")


@every_panel
def test_no_value_looks_like_nothing_else(case: tuple[str, Panel]) -> None:
    shown = case[1].fieldConfig.defaults
    if case[1].type in ("stat", "state-timeline"):
        assert colour(None, shown) == colour(float("nan"), shown) == UNKNOWN != OK


@pytest.mark.parametrize("name", DASHBOARDS)
def test_panels_do_not_overlap_and_leave_no_gap_between_rows(name: str) -> None:
    cells = Counter(
        (x, y)
        for panel in read(name).panels
        for x in range(panel.gridPos.x, panel.gridPos.x + panel.gridPos.w)
        for y in range(panel.gridPos.y, panel.gridPos.y + panel.gridPos.h)
    )
    assert set(cells.values()) == {1}
    assert max(x for x, _ in cells) == 23
    assert {y for _, y in cells} == set(range(max(y for _, y in cells) + 1))


@pytest.mark.parametrize("name", DASHBOARDS)
def test_panels_are_told_apart_by_their_number(name: str) -> None:
    numbers = [panel.id for panel in read(name).panels]
    assert numbers == list(range(1, len(numbers) + 1))


@pytest.mark.parametrize("name", DASHBOARDS)
def test_every_variable_that_is_used_is_there_to_be_chosen(name: str) -> None:
    board = read(name)
    known = {variable.name for variable in board.templating.list} | {"__rate_interval", "__range", "__interval"}
    used = {found for expr in queries(name) for found in VARIABLE.findall(expr) if not found.isdigit()}
    assert used <= known
    assert {panel.repeat for panel in board.panels if panel.repeat} <= known


@pytest.mark.parametrize("name", DASHBOARDS)
def test_dashboards_lead_to_each_other_and_mark_what_was_wrong_when(name: str) -> None:
    board: dict[str, Any] = json.loads(rendered(name))
    (link,) = board["links"]
    assert (link["type"], link["tags"], link["keepTime"]) == ("dashboards", board["tags"], True)
    assert [mark["name"] for mark in board["annotations"]["list"] if mark["enable"]] == [
        "Alerts of Prometheus",
        "Firing findings",
        "Configuration loaded",
    ]


def test_grafana_is_told_of_the_data_source_that_the_dashboards_ask() -> None:
    told = yaml.safe_load((PROVISIONING / "datasources" / "pyrometer.yaml").read_text())
    prometheus = next(one for one in told["datasources"] if one["type"] == "prometheus")
    assert (prometheus["uid"], prometheus["url"]) == ("pyrometer-prometheus", "http://prometheus:9090")
    for name in DASHBOARDS:
        uids = set(re.findall(r'"datasource": \{\s*"type": "prometheus",\s*"uid": "([^"]+)"', rendered(name)))
        assert uids == {prometheus["uid"]}


def test_grafana_is_told_where_the_dashboards_are_and_that_nobody_edits_them_there() -> None:
    (provider,) = yaml.safe_load((PROVISIONING / "dashboards" / "pyrometer.yaml").read_text())["providers"]
    assert provider["options"]["path"] == "/var/lib/grafana/dashboards"
    assert provider["allowUiUpdates"] is False


def test_what_was_never_known_is_not_known_now() -> None:
    """A balance that was not known within the whole time range has no series that could be missed: accounts have."""
    (panel,) = (one for one in read("wallets").panels if one.title == "Not known now")
    asked = [target.expr for target in panel.targets]
    assert any("pyrometer_wallet_unread_accounts{" in expr and expr.endswith("> 0") for expr in asked), asked
