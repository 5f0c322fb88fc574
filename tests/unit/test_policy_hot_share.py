"""The rule `hot_share`: exact at the limit, unknown when it straddles, and an amount to move that really helps."""

from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.errors import Reason
from daemon.coverage import cover
from daemon.interval import Interval
from daemon.ledger import Ledger
from daemon.model import Judgement, Move, Owner, Severity, Tier, Verdict
from daemon.policy import judge
from daemon.policy.hot_share import HotShare
from daemon.policy.rule import Picture
from tests.build import ETH, ETHER, USDT, complete, inventory, picture, two_tiers, wallet
from tests.covered import PRICED, Books, entrusted, eth, owing, stated


def rule(**keys: object) -> HotShare:
    return HotShare.model_validate({"kind": "hot_share", "limit": Decimal("0.05"), **keys})


def verdicts(found: Picture, **keys: object) -> dict[str, Verdict]:
    return verdicts_of(rule(**keys), found)


def verdicts_of(wanted: HotShare, found: Picture) -> dict[str, Verdict]:
    return {verdict.subject: verdict for verdict in judge([("share", wanted)], found)}


@pytest.mark.parametrize(
    ("hot", "cold", "expected", "cleared"),
    [
        (49, 951, Judgement.OK, True),
        (499, 9501, Judgement.OK, False),
        (5 * 10**30, 95 * 10**30, Judgement.OK, False),
        (5 * 10**30 + 1, 95 * 10**30, Judgement.BREACH, False),
        (1, 0, Judgement.BREACH, False),
        (0, 0, Judgement.OK, True),
    ],
)
def test_exactly_the_limit_is_no_breach_and_one_unit_more_is(
    hot: int, cold: int, expected: Judgement, cleared: bool
) -> None:
    inv, ledger = two_tiers(hot, cold)
    verdict = verdicts(picture(ledger, inv))["all"]
    assert (verdict.judgement, verdict.cleared) == (expected, cleared)


def test_a_breach_says_how_much_who_and_where() -> None:
    inv, ledger = two_tiers(51 * ETHER, 949 * ETHER)
    verdict = verdicts(picture(ledger, inv), severity="warning")["all"]
    assert verdict.summary == "The hot share of customers' assets is 5.1 %, over the limit of 5 %"
    assert (verdict.alert, verdict.severity) == ("PyrometerHotShareHigh", Severity.WARNING)
    assert verdict.limit == Decimal("0.05")
    assert verdict.moves == (Move("hot", "ETH", Decimal(2), counterpart="tier cold"),)
    assert verdict.evidence["blocks"] == {"ethereum": {"height": 1, "hash": picture_hash(1)}}


def picture_hash(height: int) -> str:
    return f"0xa{height:063x}"


def test_a_share_that_rounds_to_its_limit_is_shown_with_more_places() -> None:
    inv, ledger = two_tiers(5 * 10**8 + 1, 95 * 10**8)
    assert verdicts(picture(ledger, inv))["all"].summary.startswith(
        "The hot share of customers' assets is 5.00000001 %, over the limit of 5 %"
    )


def test_an_unread_vault_makes_it_unknown_with_the_chain_as_cause() -> None:
    inv, ledger = two_tiers(ETHER, 99 * ETHER)
    ledger.apply(complete(2, {(1, ETH): ETHER}, unread=[(2, ETH)]))
    verdict = verdicts(picture(ledger, inv))["all"]
    assert (verdict.judgement, verdict.causes, verdict.moves) == (Judgement.UNKNOWN, ("chain:ethereum",), ())
    assert "between 0.5 % and 100 %" in verdict.summary


def test_a_breach_that_is_certain_whatever_the_unread_part_holds_stays_a_breach() -> None:
    inv = inventory(wallet("hot", Tier.HOT, 1), wallet("cold", Tier.COLD, 2, 3))
    ledger = Ledger(inv)
    ledger.apply(complete(1, {(1, ETH): 50, (2, ETH): 40, (3, ETH): 10}))
    ledger.apply(complete(2, {(1, ETH): 50, (2, ETH): 40}, unread=[(3, ETH)]))
    verdict = verdicts(picture(ledger, inv))["all"]
    assert verdict.judgement is Judgement.BREACH
    assert verdict.measured is not None
    assert verdict.measured.value is None


def test_a_dead_chain_is_unknown_even_where_there_was_a_breach_before() -> None:
    inv, ledger = two_tiers(50, 50)
    assert verdicts(picture(ledger, inv, seconds=100))["all"].judgement is Judgement.UNKNOWN


def test_scopes_choose_the_aggregate_the_assets_or_both() -> None:
    inv = inventory(wallet("hot", Tier.HOT, 1), wallet("cold", Tier.COLD, 2), assets={"ETH": [ETH], "USDT": [USDT]})
    ledger = Ledger(inv)
    ledger.apply(complete(1, {(1, ETH): ETHER, (2, ETH): 99 * ETHER, (1, USDT): 50, (2, USDT): 50}))
    found = picture(ledger, inv, prices={"ETH": "500000", "USDT": "0.000001"})
    assert set(verdicts(found)) == {"all"}
    assert set(verdicts(found, scope="asset")) == {"ETH", "USDT"}
    assert set(verdicts(found, scope="both", assets=["USDT"])) == {"all", "USDT"}
    assert verdicts(found, scope="asset")["USDT"].judgement is Judgement.BREACH
    assert verdicts(found)["all"].judgement is Judgement.OK


amounts = st.integers(0, 10**27)


@given(st.lists(amounts, min_size=2, max_size=5), st.lists(amounts, min_size=2, max_size=5), amounts)
def test_moving_what_the_page_says_ends_the_breach(hot_eth: list[int], hot_usdt: list[int], cold: int) -> None:
    wallets = [wallet(f"hot-{n}", Tier.HOT, n) for n in range(max(len(hot_eth), len(hot_usdt)))]
    inv = inventory(*wallets, wallet("cold", Tier.COLD, 99), assets={"ETH": [ETH], "USDT": [USDT]})
    units = {(n, ETH): value for n, value in enumerate(hot_eth)} | {
        (n, USDT): value for n, value in enumerate(hot_usdt)
    }
    units |= {(n, token): units.get((n, token), 0) for n in range(len(wallets)) for token in (ETH, USDT)}
    units |= {(99, ETH): cold, (99, USDT): 0}
    prices = {"ETH": "500000.37", "USDT": "150.01"}

    def judged() -> Verdict:
        ledger = Ledger(inv)
        ledger.apply(complete(1, units))
        return verdicts(picture(ledger, inv, prices=prices))["all"]

    before = judged()
    tokens = {"ETH": ETH, "USDT": USDT}
    for move in before.moves:
        token = tokens[move.asset]
        moved = int(move.amount.scaleb(token.decimals))
        units[(int(move.wallet.removeprefix("hot-")), token)] -= moved
        units[(99, token)] += moved
    assert all(value >= 0 for value in units.values())
    assert judged().cleared or before.judgement is Judgement.OK


def test_only_the_customers_hot_wallets_are_asked_to_move_something() -> None:
    inv = inventory(wallet("till", Tier.HOT, 3, owner=Owner.COMPANY), wallet("hot", Tier.HOT, 1))
    ledger = Ledger(inv)
    ledger.apply(complete(1, {(1, ETH): ETHER, (3, ETH): 9 * ETHER}))
    assert [move.wallet for move in verdicts(picture(ledger, inv))["all"].moves] == ["hot"]


def test_nothing_to_move_is_claimed_while_nobody_knows_how_much_there_is() -> None:
    inv = inventory(wallet("hot", Tier.HOT, 1), wallet("new", Tier.HOT, 2))
    ledger = Ledger(inv)
    ledger.apply(complete(1, {(1, ETH): ETHER}, unread=[(2, ETH)]))
    verdict = verdicts(picture(ledger, inv))["all"]
    assert verdict.judgement is Judgement.BREACH
    assert verdict.moves == ()
    assert ledger.books["ethereum"].reasons[Reason.NODE_ERROR] == 1


# Of what customers are owed.


def owed_books(*, owed: Interval | int | str, **units: int) -> Books:
    return Books(eth(**units), feeds=replace(PRICED, liabilities=owing(ETH=owed, USDT=0)))


OF_OWED = {"kind": "hot_share", "limit": "0.05", "of": "owed", "hysteresis": "0"}


@pytest.mark.parametrize("scope", [{"scope": "all"}, {"scope": "asset", "assets": ["ETH"]}])
@pytest.mark.parametrize(("hot", "expected"), [(5 * ETHER, Judgement.OK), (5 * ETHER + 1, Judgement.BREACH)])
def test_of_what_is_owed_exactly_the_limit_is_no_breach_and_one_unit_more_is(
    scope: dict[str, object], hot: int, expected: Judgement
) -> None:
    """A shortage of cold assets makes the hot share of what is held large, but not that of what is owed."""
    (verdict,) = owed_books(owed=100, hot_1=hot).verdicts(**OF_OWED | scope).values()
    assert verdict.judgement is expected


def test_nobody_is_owed_anything_so_anything_hot_is_too_much() -> None:
    rule = OF_OWED | {"scope": "asset", "assets": ["ETH"]}
    empty = owed_books(owed=0, cold=5).verdicts(**rule)["ETH"]
    assert (empty.judgement, empty.cleared) == (Judgement.OK, True)
    hot = owed_books(owed=0, hot_1=5).verdicts(**rule)["ETH"]
    assert (hot.judgement, hot.measured, hot.cleared) == (Judgement.BREACH, None, False)
    assert "over what customers are owed, is a share of nothing, over the limit" in hot.summary
    unread = replace(owed_books(owed=0, hot_1=5), unread=(("hot-1", "ETH"),)).verdicts(**rule)["ETH"]
    assert unread.judgement is Judgement.UNKNOWN


def test_liabilities_of_an_asset_that_customers_have_and_nobody_states_make_the_sum_unknown() -> None:
    """They may be so large that a hot share which looks like 10 % is less than 5 %."""
    books = Books(eth(hot_1=ETHER // 10), feeds=replace(PRICED, liabilities=owing(ETH=1)))
    verdict = books.verdicts(**OF_OWED)["all"]
    assert (verdict.judgement, verdict.causes) == (Judgement.UNKNOWN, ("liabilities:USDT",))


def test_what_is_owed_of_an_asset_that_no_wallet_is_to_hold_counts_while_nobody_states_it() -> None:
    """Owed are 900 JPY of ETH, and of BTC nobody knows what: the limit of those who keep little may be none of ours."""
    books = Books(eth(hot_1=4 * ETHER, cold=5 * ETHER), feeds=replace(ROUND, liabilities=owing(ETH=9, USDT=0)))
    found = books.picture()
    owed = cover(found.exposure, liabilities=found.feeds.liabilities, owed=("BTC", "ETH", "USDT"))
    small = rule(**(SMALL | {"of": "owed"}))
    assert verdicts_of(small, found)["all"].judgement is Judgement.OK
    verdict = verdicts_of(small, replace(found, coverage=owed))["all"]
    assert (verdict.judgement, verdict.causes) == (Judgement.UNKNOWN, ("liabilities:BTC", "price:BTC"))


# What counts as hot, and at which price.


def test_warm_counts_as_hot_where_the_rule_says_so() -> None:
    books = Books(eth(hot_1=4, warm=2, cold=94))
    assert books.verdicts(kind="hot_share", limit="0.05")["all"].judgement is Judgement.OK
    verdict = books.verdicts(kind="hot_share", limit="0.05", tiers=["hot", "warm"])["all"]
    assert verdict.measured == Interval.exactly(Decimal("0.06"))
    assert {move.wallet for move in verdict.moves} <= {"hot-1", "warm"}


def test_averaged_prices_may_judge_otherwise_than_those_of_today() -> None:
    """By spot 100 of 2,000 are hot, 5 %; by the year's mean 200 of 2,100."""
    feeds = replace(
        PRICED,
        prices={"ETH": stated(1), "USDT": stated(1)},
        trailing={"ETH": stated(2), "USDT": stated(1)},
    )
    units = {("hot-1", "ETH"): 100 * ETHER, ("cold", "USDT"): 1900 * 10**6}
    books = Books(units, feeds=feeds)
    assert books.verdicts(kind="hot_share", limit="0.05")["all"].judgement is Judgement.OK
    averaged = books.verdicts(kind="hot_share", limit="0.05", valuation="trailing-year")["all"]
    assert averaged.measured is not None
    assert averaged.measured.value is not None
    assert abs(averaged.measured.value - Decimal(200) / Decimal(2100)) < Decimal("1E-20")
    moved = books.after(averaged.moves).verdicts(kind="hot_share", limit="0.05", valuation="trailing-year")["all"]
    assert moved.cleared


def test_a_year_with_gaps_is_unknown_and_says_of_which_asset() -> None:
    books = Books(eth(hot_1=1, cold=99), feeds=replace(PRICED, trailing={}))
    verdict = books.verdicts(kind="hot_share", limit="0.2", valuation="trailing-year")["all"]
    assert (verdict.judgement, verdict.causes) == (Judgement.UNKNOWN, ("trailing:ETH",))


# Another limit for whoever keeps little.

ROUND = replace(PRICED, prices={"ETH": stated(100), "USDT": stated(1)})
SMALL = {
    "kind": "hot_share",
    "limit": "0.1",
    "hysteresis": "0",
    "limit_when_small": {"limit": "0.5", "until": "1_000 JPY"},
}


@pytest.mark.parametrize(
    ("hot", "cold", "limit", "expected"),
    [
        (5 * ETHER, 5 * ETHER, "0.5", Judgement.OK),
        (5 * ETHER + 1, 5 * ETHER - 1, "0.5", Judgement.BREACH),
        (5 * ETHER, 5 * ETHER + 1, "0.1", Judgement.BREACH),
        (ETHER, 9 * ETHER + 1, "0.1", Judgement.OK),
    ],
)
def test_up_to_exactly_the_bound_the_other_limit_holds(hot: int, cold: int, limit: str, expected: Judgement) -> None:
    verdict = Books(eth(hot_1=hot, cold=cold), feeds=ROUND).verdicts(**SMALL)["all"]
    assert (verdict.limit, verdict.judgement) == (Decimal(limit), expected)


def test_while_nobody_knows_which_limit_holds_only_what_both_allow_is_ok() -> None:
    """Nobody knows the price of USDT, so nobody knows whether there is more than 1,000 JPY."""
    feeds = replace(ROUND, prices={"ETH": stated(100)})

    def found(hot: int) -> Verdict:
        units = {("hot-1", "ETH"): hot * ETHER, ("cold", "ETH"): (8 - hot) * ETHER, ("cold", "USDT"): 5}
        return Books(units, feeds=feeds).verdicts(**SMALL)["all"]

    assert found(0).judgement is Judgement.OK
    assert (found(2).judgement, found(2).limit) == (Judgement.UNKNOWN, Decimal("0.1"))
    assert found(2).causes == ("price:USDT",)


def test_a_bound_in_another_currency_needs_its_rate() -> None:
    rule = SMALL | {"limit_when_small": {"limit": "0.5", "until": "250 THB"}}
    books = Books(eth(hot_1=2 * ETHER, cold=8 * ETHER), feeds=replace(ROUND, rates={"THB": stated(4)}))
    assert books.verdicts(**rule)["all"].judgement is Judgement.OK
    unknown = replace(books, feeds=ROUND).verdicts(**rule)["all"]
    assert (unknown.judgement, unknown.causes) == (Judgement.UNKNOWN, ("rate:THB",))


# What to move.


def test_what_a_custodian_keeps_hot_can_be_moved_too() -> None:
    feeds = replace(PRICED, custody=(entrusted("ETH", 30, tier=Tier.HOT),))
    books = Books(eth(hot_1=10 * ETHER, cold=60 * ETHER), feeds=feeds)
    rule = {"kind": "hot_share", "limit": "0.05", "hysteresis": "0", "scope": "asset", "assets": ["ETH"]}
    moves = books.verdicts(**rule)["ETH"].moves
    assert [(move.wallet, move.amount) for move in moves] == [
        ("custodian Trust Bank", Decimal(30)),
        ("hot-1", Decimal(5)),
    ]
    assert books.after(moves).verdicts(**rule)["ETH"].judgement is Judgement.OK


@given(
    units=st.dictionaries(
        st.tuples(st.sampled_from(["hot-1", "hot-2", "warm", "cold", "till"]), st.sampled_from(["ETH", "USDT"])),
        st.integers(0, 10**15),
        min_size=1,
    ),
    owed=st.tuples(st.integers(0, 10**6), st.integers(0, 10**9)),
    of=st.sampled_from(["holdings", "owed"]),
    tiers=st.sampled_from([["hot"], ["hot", "warm"]]),
    scope=st.sampled_from(["all", "both"]),
)
def test_exactly_what_is_said_to_be_moved_ends_each_breach(
    units: dict[tuple[str, str], int], owed: tuple[int, int], of: str, tiers: list[str], scope: str
) -> None:
    feeds = replace(PRICED, liabilities=owing(ETH=Decimal(owed[0]).scaleb(-9), USDT=Decimal(owed[1]).scaleb(-3)))
    books = Books(units, feeds=feeds)
    rule = {"kind": "hot_share", "limit": "0.05", "of": of, "tiers": tiers, "scope": scope}
    for subject, verdict in books.verdicts(**rule).items():
        assert bool(verdict.moves) == (verdict.judgement is Judgement.BREACH)
        if verdict.moves:
            assert books.after(verdict.moves).verdicts(**rule)[subject].cleared
