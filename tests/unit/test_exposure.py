"""Exposure: exact when all is read, bounds that contain the truth when not."""

import re
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.base import Token
from connectors.errors import Reason
from daemon.exposure import ALL, chain_state
from daemon.interval import NOTHING, Interval
from daemon.ledger import Book, Ledger
from daemon.model import Owner, Tier
from daemon.wallet_states import WalletStates
from tests.build import (
    AGES,
    ETH,
    ETHER,
    USDT,
    at,
    complete,
    failed,
    inventory,
    picture,
    tip,
    two_tiers,
    valuation,
    wallet,
)

TIERS = (Tier.HOT, Tier.HOT, Tier.COLD, Tier.COLD, Tier.WARM)


def test_shares_and_value_are_exact_when_everything_is_read() -> None:
    inv, ledger = two_tiers(5 * ETHER, 95 * ETHER)
    exposure = picture(ledger, inv).exposure
    assert exposure.hot_share == {ALL: Interval.exactly(Decimal("0.05")), "ETH": Interval.exactly(Decimal("0.05"))}
    assert exposure.value == Interval.exactly(Decimal(2_500_000))
    assert exposure.causes == {ALL: (), "ETH": ()}


def test_company_and_guarantee_assets_are_no_part_of_the_customers_share() -> None:
    inv = inventory(
        wallet("hot", Tier.HOT, 1),
        wallet("cold", Tier.COLD, 2),
        wallet("till", Tier.HOT, 3, owner=Owner.COMPANY),
        wallet("pledge", Tier.COLD, 4, owner=Owner.GUARANTEE),
    )
    ledger = Ledger(inv)
    ledger.apply(complete(1, {(1, ETH): ETHER, (2, ETH): ETHER, (3, ETH): 50 * ETHER, (4, ETH): 50 * ETHER}))
    exposure = picture(ledger, inv).exposure
    assert exposure.hot_share[ALL].value == Decimal("0.5")
    assert exposure.holdings[("ETH", Tier.HOT, Owner.COMPANY)].units == 50 * ETHER


@given(
    st.lists(st.integers(0, 10**30), min_size=5, max_size=5),
    st.lists(st.tuples(st.booleans(), st.fractions(0, 2)), min_size=5, max_size=5),
)
def test_bounds_contain_whatever_the_unread_accounts_turn_out_to_hold(
    before: list[int], then: list[tuple[bool, Fraction]]
) -> None:
    """The one assumption: an unread account holds at most its last value × (1 + growth)."""
    inv = inventory(*(wallet(f"w{n}", tier, n) for n, tier in enumerate(TIERS)))
    ledger = Ledger(inv)
    ledger.apply(complete(1, {(n, ETH): units for n, units in enumerate(before)}))
    read = {(n, ETH): units for n, units in enumerate(before) if not then[n][0]}
    ledger.apply(complete(2, read, unread=[(n, ETH) for n in range(5) if then[n][0]]))
    truth = [int(units * change) if lost else units for units, (lost, change) in zip(before, then, strict=True)]
    hot, whole = Fraction(truth[0] + truth[1]), Fraction(sum(truth))
    share = picture(ledger, inv).exposure.hot_share["ETH"]
    assert share.high is not None
    slack = Fraction(1, 10**200)
    assert Fraction(share.low) - slack <= (hot / whole if whole else 0) <= Fraction(share.high) + slack
    assert (share.value is None) == any(lost for lost, _ in then)


def test_an_account_never_read_leaves_its_side_open() -> None:
    inv = inventory(wallet("hot", Tier.HOT, 1), wallet("cold", Tier.COLD, 2))
    ledger = Ledger(inv)
    ledger.apply(complete(1, {(1, ETH): ETHER}, unread=[(2, ETH)]))
    assert picture(ledger, inv).exposure.hot_share[ALL] == Interval(Decimal(0), None, Decimal(1))


def test_one_unread_deposit_address_changes_nothing_and_an_unread_vault_everything() -> None:
    inv = inventory(wallet("hot", Tier.HOT, 1, 2), wallet("cold", Tier.COLD, 3))
    ledger = Ledger(inv)
    ledger.apply(complete(1, {(1, ETH): 4 * ETHER, (2, ETH): ETHER // 1000, (3, ETH): 96 * ETHER}))
    ledger.apply(complete(2, {(1, ETH): 4 * ETHER, (3, ETH): 96 * ETHER}, unread=[(2, ETH)]))
    assert picture(ledger, inv).exposure.hot_share[ALL].within(Decimal("0.05"))
    ledger.apply(complete(3, {(1, ETH): 4 * ETHER, (2, ETH): ETHER // 1000}, unread=[(3, ETH)]))
    vault_unread = picture(ledger, inv).exposure.hot_share[ALL]
    assert not vault_unread.within(Decimal("0.05"))
    assert not vault_unread.above(Decimal("0.05"))


def test_an_asset_without_a_price_makes_the_aggregate_unknown_but_not_its_own_share() -> None:
    inv = inventory(wallet("hot", Tier.HOT, 1), wallet("cold", Tier.COLD, 2), assets={"ETH": [ETH], "USDT": [USDT]})
    ledger = Ledger(inv)
    ledger.apply(complete(1, {(1, ETH): 1, (2, ETH): 1, (1, USDT): 10, (2, USDT): 30}))
    exposure = picture(ledger, inv, prices={"ETH": "500000"}).exposure
    assert exposure.hot_share["USDT"].value == Decimal("0.25")
    assert exposure.hot_share[ALL].value is None
    assert exposure.causes[ALL] == ("price:USDT",)


def test_tokens_of_one_asset_add_up_across_chains_and_decimals() -> None:
    coarse, fine = Token("ethereum", "0x" + "a" * 40, 6), Token("ethereum", "0x" + "b" * 40, 18)
    inv = inventory(wallet("hot", Tier.HOT, 1), assets={"USDT": [coarse, fine]})
    ledger = Ledger(inv)
    ledger.apply(complete(1, {(1, coarse): 1_500_000, (1, fine): 25 * 10**17}))
    held = picture(ledger, inv).wallets["hot"].holdings["USDT"]
    assert held.amount == Interval.exactly(Decimal(4))
    assert held.units == 4 * 10**18


def test_a_chain_whose_reading_is_too_old_vouches_for_nothing() -> None:
    inv, ledger = two_tiers(5 * ETHER, 95 * ETHER)
    seen = picture(ledger, inv, seconds=61)
    assert seen.chains["ethereum"].reason is None
    seen = picture(ledger, inv, seconds=62)
    state = seen.wallets["hot"]
    assert seen.chains["ethereum"].reason is Reason.STALE
    assert state.holdings == {}
    assert state.doubtful["ETH"].amount == Interval(Decimal(0), None, Decimal(10))
    assert (state.last["ETH"].amount, state.last["ETH"].at) == (Decimal(5), tip(1).time)
    assert state.unread == 1
    assert seen.exposure.causes[ALL] == ("chain:ethereum",)


def test_a_stale_reading_names_the_failure_behind_it() -> None:
    inv, ledger = two_tiers(1, 1)
    ledger.apply(failed(10))
    assert picture(ledger, inv, seconds=20).chains["ethereum"].reason is None
    chain = picture(ledger, inv, seconds=62).chains["ethereum"]
    assert (chain.reason, chain.since) == (Reason.UNAVAILABLE, at(1))
    assert "connection refused" in chain.detail
    assert chain.unread == {Reason.UNAVAILABLE: 2}


def test_unread_accounts_are_said_in_words_beside_a_failure_that_does_not_matter_yet() -> None:
    inv, ledger = two_tiers(1, 1)
    ledger.apply(complete(2, {(1, ETH): 1}, unread=[(2, ETH)]))
    assert picture(ledger, inv, seconds=3).chains["ethereum"].detail == "refused"
    ledger.apply(failed(4))
    detail = picture(ledger, inv, seconds=5).chains["ethereum"].detail
    assert re.fullmatch("node-1: connection refused, since .*; refused", detail)
    ledger.apply(complete(3, {(1, ETH): 1, (2, ETH): 1}))
    assert picture(ledger, inv, seconds=6).chains["ethereum"].detail == ""


def test_nodes_that_stand_still_are_not_current_although_they_answer() -> None:
    book = Book(tip=tip(0), seen=at(601))
    state = chain_state("ethereum", book=book, ages=AGES, began=at(0), now=at(601))
    assert (state.reason, state.since) == (Reason.STALLED, at(0))
    assert chain_state("ethereum", book=book, ages=AGES, began=at(0), now=at(600)).reason is None


def test_a_chain_that_is_never_heard_of_is_starting_only_so_long() -> None:
    inv = inventory(wallet("hot", Tier.HOT, 1))
    chains = [picture(Ledger(inv), inv, seconds=seconds).chains["ethereum"] for seconds in (60, 61)]
    assert [state.reason for state in chains] == [Reason.STARTING, Reason.UNAVAILABLE]
    assert chains[1].since == at(0)


@pytest.mark.parametrize("growth", ["0", "0.5", "3"])
def test_growth_bounds_what_an_unread_account_may_hold(growth: str) -> None:
    inv, ledger = two_tiers(ETHER, ETHER)
    ledger.apply(complete(2, {(2, ETH): ETHER}, unread=[(1, ETH)]))
    held = picture(ledger, inv, growth=growth).wallets["hot"].doubtful["ETH"].amount
    assert held == Interval(Decimal(0), None, 1 + Decimal(growth))


def test_a_wallet_with_nothing_in_it_holds_nothing_not_unknown() -> None:
    inv, ledger = two_tiers(0, 0)
    exposure = picture(ledger, inv).exposure
    assert exposure.hot_share[ALL] == NOTHING
    assert exposure.value == NOTHING


def test_an_empty_hot_wallet_on_a_chain_that_went_silent_is_not_a_share_of_zero() -> None:
    inv, ledger = two_tiers(0, 95 * ETHER)
    share = picture(ledger, inv, seconds=62).exposure.hot_share
    assert share[ALL] == share["ETH"] == Interval(Decimal(0), None, Decimal(1))


def test_an_asset_that_also_lives_on_a_chain_without_wallets_blames_only_what_is_read() -> None:
    bridged = Token("polygon", "0x" + "e" * 40, 18)
    inv = inventory(wallet("hot", Tier.HOT, 1), assets={"ETH": [ETH, bridged]})
    seen = picture(Ledger(inv), inv)
    assert seen.exposure.causes == {ALL: ("chain:ethereum",), "ETH": ("chain:ethereum",)}


def test_a_reading_from_the_future_is_no_current_one() -> None:
    """The clock was set back by an hour while the node was dying: its reading must not stay current for that hour."""
    inv, ledger = two_tiers(5 * ETHER, 95 * ETHER)
    assert picture(ledger, inv, seconds=-30).chains["ethereum"].reason is None
    assert picture(ledger, inv, seconds=-3600).chains["ethereum"].reason is Reason.STALE


CHANGES = st.lists(
    st.tuples(
        st.sampled_from(["balance", "unread", "price", "tier", "time", "inventory", "nothing"]),
        st.integers(1, 3),
        st.integers(0, 10**18),
    ),
    max_size=25,
)


@given(changes=CHANGES)
def test_remembered_wallets_are_as_if_reckoned_anew(changes: list[tuple[str, int, int]]) -> None:
    inv = inventory(wallet("hot", Tier.HOT, 1), wallet("warm", Tier.WARM, 2), wallet("cold", Tier.COLD, 3))
    ledger, remembering = Ledger(inv), WalletStates()
    ledger.apply(complete(1, {(number, ETH): number for number in (1, 2, 3)}))
    units, prices, seconds = {1: 1, 2: 2, 3: 3}, {"ETH": "500000"}, 0.0
    tiers = {name: item.tier for name, item in inv.wallets.items()}
    for height, (what, number, amount) in enumerate(changes, start=2):
        unread: list[tuple[int, Token]] = []
        if what == "balance":
            units[number] = amount
        elif what == "unread":
            unread = [(number, ETH)]
        elif what == "price":
            prices = {"ETH": str(amount + 1)} if number < 3 else {}
        elif what == "tier":
            tiers["warm"] = list(Tier)[number - 1]
        elif what == "time":
            seconds += number * 40
        elif what == "inventory":
            inv = inventory(wallet("hot", Tier.HOT, 1), wallet("warm", Tier.WARM, 2), wallet("cold", Tier.COLD, 3))
        held = {(each, ETH): units[each] for each in units if (each, ETH) not in unread}
        ledger.apply(complete(height, held, unread=unread))
        value = valuation(ledger, inv, prices=prices, seconds=seconds)
        known = remembering.of(ledger.totals(), tiers=tiers, valuation=value)
        assert known == WalletStates().of(ledger.totals(), tiers=tiers, valuation=value)


def test_of_many_wallets_only_those_that_changed_are_reckoned_anew() -> None:
    inv = inventory(wallet("hot", Tier.HOT, 1), wallet("cold", Tier.COLD, 2))
    ledger, remembering = Ledger(inv), WalletStates()
    tiers = {name: item.tier for name, item in inv.wallets.items()}
    states = []
    for height, hot in ((1, 5), (2, 6)):
        ledger.apply(complete(height, {(1, ETH): hot, (2, ETH): 7}))
        states.append(remembering.of(ledger.totals(), tiers=tiers, valuation=valuation(ledger, inv)))
    assert states[0]["hot"] != states[1]["hot"]
    assert states[0]["cold"] is states[1]["cold"]
