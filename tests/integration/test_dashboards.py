"""Every query of every dashboard, asked of a real Prometheus that scraped the real daemon through a bad morning."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Sequence

import pytest
import structlog

from dashboards.catalogue import DASHBOARDS
from dashboards.looks import OK, UNKNOWN
from dashboards.pictures.asking import Series
from dashboards.pictures.cells import Tile, has_value, tiles
from dashboards.pictures.graph import Answer
from dashboards.pictures.reading import Panel, read
from tests.integration.scraped import Answers, Recorded, recorded
from tests.real import require_program

pytestmark = [pytest.mark.real, pytest.mark.timeout(300)]

BLIND, TORN = 50, 80
"""Minutes of the story: no two nodes of Ethereum answer; a node of NEM lies."""

PANELS = {(name, panel.id): panel for name in DASHBOARDS for panel in read(name).panels}
TARGETS = [(*key, target.refId) for key, panel in PANELS.items() for target in panel.targets]
STATS = [key for key, panel in PANELS.items() if panel.type == "stat"]

WELL = {
    ("overview", "Closed gates"): BLIND,
    ("wallets", "Not known now"): BLIND,
    ("chains", "Accounts that can't be read, by reason"): BLIND,
}
"""What is rightly empty while nothing is wrong with what is read, and the minute at which it is not."""


def titled(key: tuple[str, ...] | tuple[str, int] | tuple[str, int, str]) -> str:
    panel = PANELS[key[0], int(key[1])]
    return ": ".join([key[0], panel.title, *map(str, key[2:])])


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Recorded:
    """One run for all of them."""
    require_program("prometheus", "apt-get install prometheus")
    structlog.configure(processors=[], logger_factory=structlog.ReturnLoggerFactory())
    return asyncio.run(recorded(tmp_path_factory.mktemp("scraped")))


def answers(run: Recorded, name: str, panel: int, target: str) -> list[Answers]:
    """Of a query; several where its panel is repeated."""
    return [found for key, found in run.queries.items() if key[:3] == (name, panel, target)]


def only_when_nobody_judges(panel: Panel, target: str) -> bool:
    return "absent(" in next(one.expr for one in panel.targets if one.refId == target)


@pytest.mark.parametrize("key", TARGETS, ids=titled)
def test_a_query_gives_numbers_over_the_run_and_as_of_a_moment(run: Recorded, key: tuple[str, int, str]) -> None:
    found = answers(run, *key)
    assert found
    for one in found:
        if only_when_nobody_judges(PANELS[key[:2]], key[2]):
            assert has_value(one.dead)
            assert not any(has_value(series) for series in one.at.values())
        else:
            assert has_value(one.over)
            assert any(has_value(series) for series in one.at.values())


@pytest.mark.parametrize("key", PANELS, ids=titled)
def test_a_panel_is_empty_only_where_nothing_is_wrong(run: Recorded, key: tuple[str, int]) -> None:
    panel = PANELS[key]
    found = [one for target in panel.targets for one in answers(run, *key, target.refId)]
    filled = {minute: any(has_value(one.at[minute]) for one in found) for minute in found[0].at}
    wrong = WELL.get((key[0], panel.title))
    assert filled[run.end] == (wrong is None)
    assert wrong is None or filled[wrong]


def test_nothing_that_is_said_to_be_rightly_empty_is_made_up() -> None:
    assert set(WELL) <= {(name, panel.title) for (name, _), panel in PANELS.items()}


@pytest.mark.parametrize("name", DASHBOARDS)
def test_every_variable_has_values(run: Recorded, name: str) -> None:
    for variable in read(name).templating.list:
        assert run.choices[name, variable.name], variable.name


def test_the_exchange_is_found_and_every_wallet_and_chain_of_it(run: Recorded) -> None:
    assert run.choices["overview", "entity"] == ("Example Exchange KK",)
    assert len(run.choices["wallets", "wallet"]) == 11
    assert set(run.choices["wallets", "asset"]) == {"BTC", "ETH", "USDC", "XEM"}
    assert set(run.choices["chains", "chain"]) == {"bitcoin", "ethereum", "nem"}


@pytest.mark.parametrize(
    ("name", "mark"), [(name, mark.name) for name in DASHBOARDS for mark in read(name).annotations.list]
)
def test_every_annotation_marks_something(run: Recorded, name: str, mark: str) -> None:
    assert any(value > 0 for one in run.marks[name, mark] for _, value in one.points)


def test_the_alerts_of_prometheus_are_those_of_this_exchange(run: Recorded) -> None:
    instances = {one.labels["instance"] for one in run.marks["overview", "Alerts of Prometheus"]}
    assert "127.0.0.1:1" in instances
    assert "[::1]:1" not in instances


ADDED_UP = [key for key in TARGETS if key[0] in ("overview", "wallets", "reserves")]


@pytest.mark.parametrize("key", ADDED_UP, ids=titled)
def test_two_replicas_are_not_counted_twice(run: Recorded, key: tuple[str, int, str]) -> None:
    """What both tell together is what one tells alone, but for ages, which differ by when each was scraped."""
    expr = next(target.expr for target in PANELS[key[:2]].targets if target.refId == key[2])
    for one in answers(run, *key):
        both, alone = (
            {frozenset(s.labels.items()): s.points[0][1] for s in found} for found in (one.at[run.end], one.alone)
        )
        assert both.keys() == alone.keys()
        if "_age_seconds" not in expr and "time()" not in expr:
            assert both == pytest.approx(alone)


def shown(run: Recorded, key: tuple[str, int], at: int | None) -> Sequence[Tile]:
    """The numbers of a panel at a minute of the story, or when the daemon had ended."""
    panel = PANELS[key]
    found: list[Answer] = []
    for target in panel.targets:
        (one,) = answers(run, *key, target.refId)
        series: tuple[Series, ...] = one.dead if at is None else one.at[at]
        found.append(Answer(target.refId, target.legendFormat, series))
    return tiles(panel, found)


@pytest.mark.parametrize("key", STATS, ids=titled)
def test_nothing_is_green_when_the_daemon_is_dead(run: Recorded, key: tuple[str, int]) -> None:
    for tile in shown(run, key, None):
        assert tile.colour != OK
        assert tile.text not in ("", "0", "ok")


def stat(run: Recorded, title: str, *, at: int) -> Tile:
    (key,) = [key for key in STATS if key[0] == "overview" and PANELS[key].title == title]
    (tile,) = shown(run, key, at)
    return tile


def test_what_is_not_known_is_said_in_words_and_a_colour_of_its_own(run: Recorded) -> None:
    share = stat(run, "Hot share", at=BLIND)
    assert (share.text, share.colour) == ("UNKNOWN", UNKNOWN)
    assert stat(run, "Policy", at=BLIND).text in ("UNKNOWN", "BREACH")
    assert int(stat(run, "Not known", at=BLIND).text) > 0


def test_the_overview_tells_the_story(run: Recorded) -> None:
    assert stat(run, "Policy", at=20).text == "INSIDE"
    assert stat(run, "Policy", at=TORN).text == "BREACH"
    assert stat(run, "Policy", at=run.end).text == "BREACH"
    assert stat(run, "Hot share", at=20).text.startswith("3.")
    assert stat(run, "Hot share", at=run.end).text.startswith("5.")
    assert stat(run, "Gates closed", at=20).text == "0"


def test_the_band_holds_the_share_and_widens_while_it_is_not_known(run: Recorded) -> None:
    (key,) = [key for key, panel in PANELS.items() if panel.title == "Hot share of all assets, against its limit"]
    low, high, value = (answers(run, *key, target)[0].at for target in "ABC")
    assert low[20][0].points[0][1] == value[20][0].points[0][1] == high[20][0].points[0][1]
    assert value[BLIND] == ()
    assert low[BLIND][0].points[0][1] < value[20][0].points[0][1] < high[BLIND][0].points[0][1]
    assert all(math.isfinite(one.points[0][1]) for look in (low, high) for one in look[BLIND])
