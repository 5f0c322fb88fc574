"""The rule `backing`: what is kept for customers, on chain and by custodians, over what they are owed."""

from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.interval import Interval
from daemon.model import Judgement, Move, Tier
from tests.build import ETHER
from tests.covered import PRICED, Books, entrusted, eth, owing


def books(*, owed: Interval | Decimal | str | int, **units: int) -> Books:
    return Books(eth(**units), feeds=replace(PRICED, liabilities=owing(ETH=owed)))


@pytest.mark.parametrize(
    ("kept", "expected"),
    [(10 * ETHER, Judgement.OK), (10 * ETHER + 1, Judgement.OK), (10 * ETHER - 1, Judgement.BREACH)],
)
def test_exactly_what_is_owed_is_enough_and_one_unit_less_is_not(kept: int, expected: Judgement) -> None:
    verdict = books(owed=10, cold=kept - 5, hot_1=2, warm=3).verdicts(kind="backing")["ETH"]
    assert verdict.judgement is expected


def test_company_and_guarantee_never_count_as_the_customers() -> None:
    verdict = books(owed=1, till=ETHER, vault=ETHER, pledge=ETHER, drawer=ETHER).verdicts(kind="backing")["ETH"]
    assert verdict.judgement is Judgement.BREACH
    assert verdict.measured == Interval.exactly(Decimal(0))


def test_custodians_count_in_whatever_tier() -> None:
    feeds = replace(
        PRICED,
        liabilities=owing(ETH=3),
        custody=(entrusted("ETH", 1, tier=Tier.HOT), entrusted("ETH", 1, tier=Tier.COLD)),
    )
    assert Books(eth(cold=ETHER), feeds=feeds).verdicts(kind="backing")["ETH"].judgement is Judgement.OK
    assert Books(eth(cold=ETHER - 1), feeds=feeds).verdicts(kind="backing")["ETH"].judgement is Judgement.BREACH


def test_nobody_is_owed_anything_is_covered_and_nobody_knows_is_unknown() -> None:
    assert books(owed=0).verdicts(kind="backing")["ETH"].judgement is Judgement.OK
    found = books(owed=Interval(Decimal(0), None, None), cold=ETHER).verdicts(kind="backing")["ETH"]
    assert (found.judgement, found.causes) == (Judgement.UNKNOWN, ("liabilities:ETH",))


def test_an_asset_that_no_source_speaks_of_is_unknown_when_it_is_asked_for() -> None:
    found = books(owed=1, cold=ETHER).verdicts(kind="backing", assets=["ETH", "USDT"])
    assert {name: one.judgement for name, one in found.items()} == {"ETH": Judgement.OK, "USDT": Judgement.UNKNOWN}
    assert found["USDT"].causes == ("liabilities:USDT",)


def test_a_silent_custodian_is_a_cause() -> None:
    feeds = replace(PRICED, liabilities=owing(ETH=3), custody=(entrusted("ETH", Interval(Decimal(0), None, None)),))
    found = Books(eth(cold=ETHER), feeds=feeds).verdicts(kind="backing")["ETH"]
    assert (found.judgement, found.causes) == (Judgement.UNKNOWN, ("custodian:Trust Bank",))


def test_by_value_a_surplus_of_one_asset_makes_up_for_another() -> None:
    feeds = replace(PRICED, liabilities=owing(ETH=2, USDT=1000))
    units = {("cold", "ETH"): 3 * ETHER, ("cold", "USDT"): 0}
    found = Books(units, feeds=feeds).verdicts(kind="backing", scope="both")
    judged = {name: one.judgement for name, one in found.items()}
    assert judged == {"all": Judgement.OK, "ETH": Judgement.OK, "USDT": Judgement.BREACH}


def test_by_value_only_assets_with_liabilities_are_compared() -> None:
    """Assets that nobody speaks of would make up for a shortage that is there."""
    units = {("cold", "ETH"): ETHER, ("cold", "USDT"): 10**15}
    found = Books(units, feeds=replace(PRICED, liabilities=owing(ETH=2))).verdicts(kind="backing", scope="all")
    assert found["all"].judgement is Judgement.BREACH


def test_a_price_or_rate_that_is_missing_makes_the_sum_unknown() -> None:
    feeds = replace(PRICED, liabilities=owing(ETH=2, USDT=5), prices={"ETH": PRICED.prices["ETH"]})
    missing: list[tuple[dict[str, str], str]] = [({}, "price:USDT"), ({"USDT": "rate:USD"}, "rate:USD")]
    for unpriced, cause in missing:
        books = Books(eth(cold=2 * ETHER), feeds=replace(feeds, unpriced=unpriced))
        found = books.verdicts(kind="backing", scope="all")["all"]
        assert (found.judgement, found.causes) == (Judgement.UNKNOWN, (cause,))


def test_a_shortage_that_no_price_could_mend_is_a_breach_by_value_too() -> None:
    """One of two ETH is there, and nothing of the USDT that are owed beside them."""
    feeds = replace(PRICED, liabilities=owing(ETH=2, USDT=5), prices={"ETH": PRICED.prices["ETH"]})
    found = Books(eth(cold=ETHER), feeds=feeds).verdicts(kind="backing", scope="all")["all"]
    assert (found.judgement, found.moves) == (Judgement.BREACH, ())


def test_the_company_makes_it_up_as_far_as_it_can_and_the_rest_has_to_be_bought() -> None:
    verdict = books(owed=10, cold=4 * ETHER, till=ETHER, vault=2 * ETHER).verdicts(kind="backing")["ETH"]
    assert verdict.moves == (
        Move("vault", "ETH", Decimal(2), counterpart="owner customer, tier cold"),
        Move("till", "ETH", Decimal(1), counterpart="owner customer, tier cold"),
        Move("", "ETH", Decimal(3), "in", "owner customer, tier cold"),
    )


def test_a_breach_says_what_and_as_of_when() -> None:
    verdict = books(owed=4, cold=3 * ETHER).verdicts(kind="backing")["ETH"]
    assert verdict.summary == (
        "Customers' ETH that are kept, over what customers are owed: 75 %, short of the limit of 100 %"
    )
    assert verdict.evidence["stated"] == {"bookkeeping": "2026-11-23T12:00:00+00:00"}


@given(
    units=st.dictionaries(
        st.sampled_from(["hot-1", "cold", "till", "vault", "pledge"]), st.integers(0, 10**19), min_size=1
    ),
    owed=st.decimals("0", "30", places=20),
    limit=st.decimals("0.5", "2", places=2),
)
def test_exactly_what_is_said_to_be_moved_ends_the_breach(units: dict[str, int], owed: Decimal, limit: Decimal) -> None:
    """Also of what customers are owed in fractions that no chain knows."""
    before = Books(
        {(name, "ETH"): value for name, value in units.items()}, feeds=replace(PRICED, liabilities=owing(ETH=owed))
    )
    rule = {"kind": "backing", "limit": limit}
    verdict = before.verdicts(**rule)["ETH"]
    assert bool(verdict.moves) == (verdict.judgement is Judgement.BREACH)
    assert all(move.wallet != "pledge" for move in verdict.moves)
    assert before.after(verdict.moves).verdicts(**rule)["ETH"].judgement is Judgement.OK
