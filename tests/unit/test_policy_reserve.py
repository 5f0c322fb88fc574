"""The rule `reserve`: fund and admissible insurance over what is required, to the last digit."""

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.feeds.values import Feeds
from daemon.interval import Interval
from daemon.model import Judgement, Move, Verdict
from tests.build import ETHER
from tests.covered import PRICED, Books, eth, stated


def judged(
    feeds: Feeds | None = None,
    *,
    fund: Interval | int | str | None = None,
    insurance: int = 0,
    units: dict[tuple[str, str], int] | None = None,
    **keys: object,
) -> Verdict:
    found = replace(
        feeds or PRICED,
        fund=None if fund is None else stated(fund),
        insurance=Interval.exactly(Decimal(insurance)),
    )
    return Books(units or {}, feeds=found).verdicts(kind="reserve", **keys)["all"]


@pytest.mark.parametrize(
    ("fund", "expected"),
    [("2_000_000_000", Judgement.OK), ("1_999_999_999", Judgement.BREACH), ("1_999_999_999.999", Judgement.BREACH)],
)
def test_exactly_what_is_required_is_enough_and_one_yen_less_is_not(fund: str, expected: Judgement) -> None:
    assert judged(fund=fund, required="2_000_000_000 JPY").judgement is expected


def test_insurance_may_fill_only_its_share_of_what_is_required() -> None:
    rule: dict[str, Any] = {"required": "1000 JPY", "insurance_share": "0.4"}
    assert judged(fund=600, insurance=9_999, **rule).judgement is Judgement.OK
    assert judged(fund=599, insurance=9_999, **rule).judgement is Judgement.BREACH
    assert judged(fund=600, insurance=399, **rule).judgement is Judgement.BREACH
    assert judged(fund=601, insurance=399, **rule).judgement is Judgement.OK


def test_without_a_fund_insurance_stands_alone() -> None:
    assert judged(insurance=1000, required="1000 JPY").judgement is Judgement.OK


def test_a_fund_that_nobody_knows_is_unknown_and_not_nothing() -> None:
    found = judged(fund=Interval(Decimal(0), None, None), required="1000 JPY")
    assert (found.judgement, found.causes) == (Judgement.UNKNOWN, ("reserve:fund",))


HELD = eth(hot_1=3 * ETHER, warm=5 * ETHER, cold=7 * ETHER, till=11 * ETHER, pledge=13 * ETHER)
ROUND = replace(PRICED, prices={"ETH": stated(100), "USDT": stated(1)})


@pytest.mark.parametrize(
    ("rates", "required"),
    [
        ({"hot_rate": "1", "cold_rate": "0.5"}, 300 + 600),
        ({"hot_rate": "1", "cold_rate": "0.5", "tiers": ["hot", "warm"]}, 800 + 350),
        ({"hot_rate": "0.05", "floor": "1000 JPY"}, 1000),
        ({"hot_rate": "2", "floor": "500 JPY", "cap": "550 JPY"}, 550),
        ({"hot_rate": "1", "volume_rate": "0.001"}, 300 + 5),
    ],
)
def test_what_is_required_follows_customers_values_and_volume_between_floor_and_cap(
    rates: dict[str, Any], required: int
) -> None:
    feeds = replace(ROUND, volume=stated(5000))
    assert judged(feeds, fund=required, units=HELD, **rates).judgement is Judgement.OK
    assert judged(feeds, fund=required - 1, units=HELD, **rates).judgement is Judgement.BREACH


def test_an_amount_in_another_currency_is_counted_by_the_rate_of_the_day() -> None:
    feeds = replace(ROUND, rates={"KRW": stated("0.1")})
    assert judged(feeds, fund=300, required="3_000 KRW").judgement is Judgement.OK
    assert judged(feeds, fund=299, required="3_000 KRW").judgement is Judgement.BREACH
    unknown = judged(ROUND, fund=300, required="3_000 KRW")
    assert (unknown.judgement, unknown.causes) == (Judgement.UNKNOWN, ("rate:KRW",))


def test_a_floor_that_is_larger_than_anything_that_may_be_needs_no_more_to_be_known() -> None:
    """Nothing is hot, whatever a missing price of cold assets may be: the floor holds."""
    feeds = replace(ROUND, prices={})
    assert judged(feeds, fund=1000, units=eth(cold=ETHER), hot_rate="1", floor="1000 JPY").judgement is Judgement.OK


def test_a_volume_that_nobody_knows_is_a_cause_that_a_cap_can_make_idle() -> None:
    unknown = judged(ROUND, fund=10, volume_rate="0.1")
    assert (unknown.judgement, unknown.causes) == (Judgement.UNKNOWN, ("volume",))
    assert judged(ROUND, fund=10, volume_rate="0.1", cap="10 JPY").judgement is Judgement.OK


def test_what_is_required_may_be_valued_at_averaged_prices() -> None:
    feeds = replace(ROUND, trailing={"ETH": stated(10)})
    rule: dict[str, Any] = {"hot_rate": "1", "valuation": "trailing-year", "timezone": "Asia/Seoul"}
    assert judged(feeds, fund=30, units=HELD, **rule).judgement is Judgement.OK
    assert judged(feeds, fund=29, units=HELD, **rule).judgement is Judgement.BREACH
    unknown = judged(ROUND, fund=30, units=HELD, **rule)
    assert (unknown.judgement, unknown.causes) == (Judgement.UNKNOWN, ("trailing:ETH",))


def test_nothing_required_is_covered() -> None:
    found = judged(fund=0 + 1, hot_rate="1")
    assert (found.judgement, found.measured) == (Judgement.OK, None)
    assert found.summary.endswith("nothing to cover")


def test_the_money_that_is_missing_is_said_and_the_figures_stand_in_the_evidence() -> None:
    found = judged(fund="700", insurance=200, required="1000 JPY", insurance_share="0.1")
    assert found.moves == (Move("", "JPY", Decimal(200), "in", "reserve fund"),)
    assert found.summary == (
        "Reserve fund and admissible insurance, over what is required: 80 %, short of the limit of 100 %"
    )
    figures = {name: found.evidence[name] for name in ("fund", "insurance", "required")}
    assert figures == {"fund": "700", "insurance": "200", "required": "1000"}


money = st.decimals("0.01", "1000000", places=2)


@given(fund=money, insurance=money, hot=st.integers(0, 10**19), share=st.sampled_from(["0", "0.3", "1"]), limit=money)
def test_exactly_what_is_said_to_be_missing_ends_the_breach(
    fund: Decimal, insurance: Decimal, hot: int, share: str, limit: Decimal
) -> None:
    feeds = replace(PRICED, fund=stated(fund), insurance=Interval.exactly(insurance))
    books = Books(eth(hot_1=hot), feeds=feeds)
    rule = {"kind": "reserve", "hot_rate": "0.37", "insurance_share": share, "limit": min(limit, Decimal(100))}
    verdict = books.verdicts(**rule)["all"]
    assert bool(verdict.moves) == (verdict.judgement is Judgement.BREACH)
    assert books.after(verdict.moves).verdicts(**rule)["all"].judgement is Judgement.OK
