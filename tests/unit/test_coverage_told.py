"""Coverage as it is told: metrics, report, table; what is unknown has no value, and nothing to cover no ratio."""

from dataclasses import replace
from decimal import Decimal
from io import StringIO
from typing import Any

from rich.console import Console

from daemon.emit import rendering
from daemon.feeds.values import Feeds
from daemon.interval import UNKNOWN, Interval
from daemon.model import Report
from daemon.policy import judge
from daemon.policy.reserve import reserves
from daemon.table import print_report
from tests.build import ETHER, at
from tests.covered import PRICED, RULES, Books, Units, eth, owing, stated
from tests.unit.test_metrics import Clock, Series, metrics, scrape, value

UNITS = eth(hot_1=2 * ETHER, cold=8 * ETHER, pledge=3 * ETHER)
FEEDS = replace(
    PRICED,
    liabilities=owing(ETH="12.5", USDT=UNKNOWN),
    fund=stated(700),
    insurance=Interval.exactly(Decimal(500)),
)
RESERVE = {"kind": "reserve", "required": "1_000 JPY", "insurance_share": "0.2"}


def report(*rules: dict[str, Any], units: Units = UNITS, feeds: Feeds = FEEDS) -> Report:
    picture = Books(units, feeds=feeds).picture()
    policies = [(f"rule-{number}", RULES.validate_python(rule)) for number, rule in enumerate(rules, 1)]
    return Report(
        entity="Example Exchange KK",
        currency="JPY",
        at=at(2),
        chains=picture.chains,
        wallets=picture.wallets,
        exposure=picture.exposure,
        verdicts=judge(policies, picture),
        findings=(),
        feeds=picture.feeds,
        coverage=replace(picture.coverage, reserve=reserves(policies, picture)),
        disagreements=(),
        problems=(),
    )


def scraped(found: Report) -> Series:
    clock = Clock()
    clock.time = at(2)
    subject = metrics(clock)
    subject.offer(found)
    return scrape(subject)


def ratios(series: Series, kind: str, asset: str) -> list[float | None]:
    bounds = ("value", "low", "high")
    return [value(series, "coverage_ratio", kind=kind, asset=asset, bound=bound) for bound in bounds]


def test_metrics_have_every_ratio_with_its_bounds() -> None:
    series = scraped(report(RESERVE))
    assert ratios(series, "guarantee", "ETH") == [1.5, 1.5, 1.5]
    assert ratios(series, "backing", "ETH") == [0.8, 0.8, 0.8]
    assert ratios(series, "reserve", "all") == [0.9, 0.9, 0.9]


def test_metrics_have_no_series_where_nothing_must_be_covered_and_none_for_what_is_unknown() -> None:
    series = scraped(report())
    assert ratios(series, "guarantee", "USDT") == [None, None, None]
    assert ratios(series, "backing", "USDT") == [None, 0, None]
    assert ratios(series, "reserve", "all") == [None, None, None]


def test_of_several_reserves_the_one_that_is_covered_least_is_measured() -> None:
    found = report(RESERVE, {"kind": "reserve", "required": "4_800 JPY"}, {"kind": "reserve", "required": "1 JPY"})
    assert ratios(scraped(found), "reserve", "all") == [0.25, 0.25, 0.25]
    unknown = report(RESERVE, {"kind": "reserve", "required": "1 KRW"})
    assert ratios(scraped(unknown), "reserve", "all") == [None, 0, 0.9]


def test_the_limit_that_holds_is_measured() -> None:
    rule = {"kind": "hot_share", "limit": "0.1", "limit_when_small": {"limit": "0.5", "until": "5_000_003.70 JPY"}}
    series = scraped(report(rule))
    assert value(series, "hot_share_limit_ratio", scope="all", policy="rule-1") == 0.5


def test_the_report_has_part_whole_ratio_and_causes() -> None:
    found = rendering.coverage(report(RESERVE).coverage)
    three = {"value": "3", "low": "3", "high": "3"}
    two = {"value": "2", "low": "2", "high": "2"}
    assert found["guarantee"]["ETH"] == {
        "value": "1.5", "low": "1.5", "high": "1.5", "part": three, "whole": two, "causes": [],
    }  # fmt: skip
    assert found["guarantee"]["USDT"]["low"] is None
    assert found["backing"]["USDT"]["causes"] == ["liabilities:USDT"]
    reserve = found["reserve"]["rule-1"]
    assert reserve["value"] == "0.9"
    assert {name: reserve[name]["value"] for name in ("part", "whole", "fund", "insurance")} == {
        "part": "900.00", "whole": "1000.00", "fund": "700.00", "insurance": "500.00",
    }  # fmt: skip
    assert reserve["insurance_share"] == "0.2"


def printed(found: Report) -> str:
    console = Console(file=StringIO(), width=160, color_system=None, highlight=False)
    print_report(found, console=console)
    return console.file.getvalue()  # type: ignore[attr-defined, no-any-return]


def lines(found: Report, *, of: str) -> list[str]:
    """The rows of the table of coverage that are of this kind."""
    rows = [" ".join(line.replace("│", " ").split()) for line in printed(found).splitlines()]
    return [row for row in rows if row.startswith(f"{of} ")]


def test_the_table_has_a_line_for_whatever_is_covered_or_ought_to_be() -> None:
    found = report(RESERVE)
    assert lines(found, of="guarantee") == ["guarantee ETH 3 2 1.5"]
    assert lines(found, of="backing") == [
        "backing ETH 10 12.5 0.8",
        "backing USDT 0 unknown [0 – ?] unknown [0 – ?]",
    ]
    assert lines(found, of="reserve") == ["reserve JPY 900 1,000 0.9"]


def test_the_table_has_no_line_for_a_guarantee_that_nobody_asks_for() -> None:
    nothing = report(units=eth(hot_1=ETHER), feeds=PRICED)
    assert "coverage" not in printed(nothing)
    asked = report({"kind": "guarantee", "assets": ["ETH"]}, units=eth(hot_1=ETHER), feeds=PRICED)
    assert lines(asked, of="guarantee") == ["guarantee ETH 0 1 0"]
