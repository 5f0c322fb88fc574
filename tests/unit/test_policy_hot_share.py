"""The rule `hot_share`: exact at the limit, unknown when it straddles, and an amount to move that really helps."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.errors import Reason
from daemon.ledger import Ledger
from daemon.model import Judgement, Move, Owner, Severity, Tier, Verdict
from daemon.policy import judge
from daemon.policy.hot_share import HotShare
from daemon.policy.rule import Picture
from tests.build import ETH, ETHER, USDT, complete, inventory, picture, two_tiers, wallet


def rule(**keys: object) -> HotShare:
    return HotShare.model_validate({"kind": "hot_share", "limit": Decimal("0.05"), **keys})


def verdicts(found: Picture, **keys: object) -> dict[str, Verdict]:
    return {verdict.subject: verdict for verdict in judge([("share", rule(**keys))], found)}


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
