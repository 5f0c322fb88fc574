"""The rule `guarantee`: own coins of the same kind, cold, behind what customers have hot, to the smallest unit."""

from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.model import Judgement, Move, Tier
from tests.build import ETHER
from tests.covered import PRICED, Books, entrusted, eth

MOVABLE = ("hot-1", "hot-2", "till", "vault", "pledge", "drawer", "cold")


@pytest.mark.parametrize(
    ("hot", "pledge", "expected"),
    [
        (7, 7, Judgement.OK),
        (7, 8, Judgement.OK),
        (8, 7, Judgement.BREACH),
        (10**30 + 1, 10**30, Judgement.BREACH),
        (10**30, 10**30, Judgement.OK),
        (0, 0, Judgement.OK),
        (1, 0, Judgement.BREACH),
    ],
)
def test_exactly_as_much_is_enough_and_one_unit_less_is_not(hot: int, pledge: int, expected: Judgement) -> None:
    verdict = Books(eth(hot_1=hot, pledge=pledge)).verdicts(kind="guarantee")["ETH"]
    assert (verdict.judgement, verdict.cleared) == (expected, expected is Judgement.OK)


def test_one_kind_never_stands_for_another() -> None:
    units = eth(hot_1=ETHER) | {("pledge", "USDT"): 10**20}
    found = Books(units).verdicts(kind="guarantee")
    assert (found["ETH"].judgement, found["USDT"].judgement) == (Judgement.BREACH, Judgement.OK)


def test_neither_the_companys_own_nor_what_is_set_aside_in_a_wallet_that_is_not_cold_counts() -> None:
    verdict = Books(eth(hot_1=1, till=9, vault=9, drawer=9)).verdicts(kind="guarantee")["ETH"]
    assert verdict.judgement is Judgement.BREACH
    assert verdict.measured is not None
    assert verdict.measured.value == 0


def test_what_a_custodian_keeps_hot_for_customers_needs_a_guarantee_too() -> None:
    books = Books(eth(pledge=ETHER), feeds=replace(PRICED, custody=(entrusted("ETH", "1.5", tier=Tier.HOT),)))
    verdict = books.verdicts(kind="guarantee")["ETH"]
    assert verdict.judgement is Judgement.BREACH
    assert verdict.moves == (Move("custodian Trust Bank", "ETH", Decimal("0.5"), counterpart="tier cold"),)


def test_what_is_missing_comes_from_the_company_largest_first_and_then_from_the_hot_wallets() -> None:
    verdict = Books(eth(hot_1=7, hot_2=5, till=2, vault=3, drawer=1)).verdicts(kind="guarantee")["ETH"]
    one = Decimal("1E-18")
    assert verdict.moves == (
        Move("vault", "ETH", 3 * one, counterpart="owner guarantee, tier cold"),
        Move("till", "ETH", 2 * one, counterpart="owner guarantee, tier cold"),
        Move("drawer", "ETH", 1 * one, counterpart="owner guarantee, tier cold"),
        Move("hot-1", "ETH", 6 * one, counterpart="tier cold"),
    )


def test_one_unit_short_asks_for_one_unit() -> None:
    (move,) = Books(eth(hot_1=10**24 + 1, pledge=10**24, vault=10**24)).verdicts(kind="guarantee")["ETH"].moves
    assert move == Move("vault", "ETH", Decimal("1E-18"), counterpart="owner guarantee, tier cold")


def test_a_breach_says_what_and_where() -> None:
    verdict = Books(eth(hot_1=1000, pledge=999)).verdicts(kind="guarantee", severity="warning")["ETH"]
    assert (
        verdict.summary
        == "Own ETH set aside, over the ETH of customers that are hot: 99.9 %, short of the limit of 100 %"
    )
    assert (verdict.alert, verdict.policy, verdict.severity.value) == ("PyrometerGuaranteeShort", "rule", "warning")
    assert list(verdict.evidence["blocks"]) == ["ethereum"]


def test_an_unread_guarantee_is_unknown_with_its_chain_and_no_moves() -> None:
    books = Books(eth(hot_1=10, pledge=10), unread=(("pledge", "ETH"),))
    verdict = books.verdicts(kind="guarantee")["ETH"]
    assert (verdict.judgement, verdict.causes, verdict.moves) == (Judgement.UNKNOWN, ("chain:ethereum",), ())
    assert not verdict.cleared


def test_a_shortage_that_nothing_unread_could_fill_stays_a_breach() -> None:
    """An unread guarantee of 1 may have become 2, which is short of 3."""
    books = Books(eth(hot_1=3, pledge=1), unread=(("pledge", "ETH"),))
    assert books.verdicts(kind="guarantee")["ETH"].judgement is Judgement.BREACH


def test_warm_counts_as_hot_where_the_rule_says_so() -> None:
    books = Books(eth(warm=5))
    assert books.verdicts(kind="guarantee")["ETH"].judgement is Judgement.OK
    assert books.verdicts(kind="guarantee", tiers=["hot", "warm"])["ETH"].judgement is Judgement.BREACH


def test_it_clears_only_past_the_hysteresis() -> None:
    cleared = [
        Books(eth(hot_1=100, pledge=pledge)).verdicts(kind="guarantee", hysteresis="0.1")["ETH"].cleared
        for pledge in (100, 109, 110)
    ]
    assert cleared == [False, False, True]


def test_only_named_assets_are_judged() -> None:
    assert set(Books({}).verdicts(kind="guarantee")) == {"ETH", "USDT"}
    assert set(Books({}).verdicts(kind="guarantee", assets=["USDT"])) == {"USDT"}


@given(
    units=st.dictionaries(st.sampled_from(MOVABLE), st.integers(0, 10**20), min_size=1),
    limit=st.decimals("0.1", "3", places=3),
    hysteresis=st.sampled_from(["0", "0.05"]),
)
def test_exactly_what_is_said_to_be_moved_ends_the_breach(
    units: dict[str, int], limit: Decimal, hysteresis: str
) -> None:
    books = Books({(name, "ETH"): value for name, value in units.items()})
    rule = {"kind": "guarantee", "limit": limit, "hysteresis": hysteresis}
    before = books.verdicts(**rule)["ETH"]
    assert bool(before.moves) == (before.judgement is Judgement.BREACH)
    if before.moves:
        after = books.after(before.moves).verdicts(**rule)["ETH"]
        assert (after.judgement, after.cleared) == (Judgement.OK, True)


@given(units=st.dictionaries(st.sampled_from(MOVABLE), st.integers(0, 10**20), min_size=1))
def test_a_unit_less_than_is_said_to_be_moved_does_not_end_the_breach(units: dict[str, int]) -> None:
    books = Books({(name, "ETH"): value for name, value in units.items()})
    moves = books.verdicts(kind="guarantee")["ETH"].moves
    if moves:
        last = replace(moves[-1], amount=moves[-1].amount - Decimal("1E-18"))
        assert books.after([*moves[:-1], last]).verdicts(kind="guarantee")["ETH"].judgement is Judgement.BREACH
