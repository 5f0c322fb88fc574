"""The rules `wallet_band`, `blind` and `disagreement`."""

from collections.abc import Mapping
from decimal import Decimal

import pytest
from pydantic import ValidationError

from connectors.base import Disagreement
from daemon.ledger import Ledger
from daemon.model import Judgement, Move, Owner, Tier, Verdict
from daemon.policy import JUDGES, RuleConfig, judge, worst
from daemon.policy.blind import Blind
from daemon.policy.disagreement import DisagreementRule
from daemon.policy.hot_share import HotShare
from daemon.policy.rule import Picture, Rule
from daemon.policy.wallet_band import WalletBand
from tests.build import ETH, ETHER, USDT, address, complete, failed, inventory, picture, tip, two_tiers, wallet

SHARE = HotShare(kind="hot_share", limit=Decimal("0.05"))


def band(**keys: object) -> WalletBand:
    return WalletBand.model_validate({"kind": "wallet_band", "wallets": ["hot*"], "asset": "ETH", **keys})


def banded(hot: int, *, rule: WalletBand, unread: bool = False) -> Verdict:
    inv, ledger = two_tiers(hot, ETHER)
    if unread:
        ledger.apply(complete(2, {(2, ETH): ETHER}, unread=[(1, ETH)]))
    (verdict,) = judge([("band", rule)], picture(ledger, inv))
    return verdict


@pytest.mark.parametrize(
    ("coins", "expected", "cleared"),
    [
        (9, Judgement.BREACH, False),
        (10, Judgement.OK, False),
        (11, Judgement.OK, True),
        (98, Judgement.OK, True),
        (99, Judgement.OK, False),
        (100, Judgement.OK, False),
        (101, Judgement.BREACH, False),
    ],
)
def test_a_band_breaks_past_its_limits_and_clears_past_its_hysteresis(
    coins: int, expected: Judgement, cleared: bool
) -> None:
    verdict = banded(coins * ETHER, rule=band(floor=10, ceiling=100))
    assert (verdict.judgement, verdict.cleared) == (expected, cleared)


def test_one_wei_below_the_floor_is_below() -> None:
    assert banded(10 * ETHER - 1, rule=band(floor=10)).judgement is Judgement.BREACH


def test_a_band_says_which_side_and_how_much_brings_it_back() -> None:
    low = banded(4 * ETHER, rule=band(floor=10))
    assert low.summary == "hot holds 4 ETH, below its floor of 10"
    assert (low.moves, low.limit) == ((Move("hot", "ETH", Decimal("6.2"), "in"),), Decimal(10))
    high = banded(200 * ETHER, rule=band(floor=10, ceiling=100))
    assert high.summary == "hot holds 200 ETH, above its ceiling of 100"
    assert (high.moves, high.limit) == ((Move("hot", "ETH", Decimal(102)),), Decimal(100))


def test_an_unread_wallet_never_keeps_its_floor() -> None:
    verdict = banded(50 * ETHER, rule=band(floor=10), unread=True)
    assert (verdict.judgement, verdict.cleared, verdict.causes) == (Judgement.UNKNOWN, False, ("chain:ethereum",))


def test_an_unread_wallet_that_could_not_have_grown_past_the_ceiling_is_within_it() -> None:
    assert banded(ETHER, rule=band(ceiling=100), unread=True).judgement is Judgement.OK
    assert banded(60 * ETHER, rule=band(ceiling=100), unread=True).judgement is Judgement.UNKNOWN


def test_a_band_narrower_than_its_hysteresis_can_still_clear() -> None:
    verdict = banded(100 * ETHER, rule=band(floor=99, ceiling=101, hysteresis="0.1"))
    assert verdict.cleared


def test_a_band_judges_only_the_wallets_that_its_patterns_name() -> None:
    inv = inventory(wallet("hot-1", Tier.HOT, 1), wallet("hot-2", Tier.HOT, 2), wallet("cold", Tier.COLD, 3))
    ledger = Ledger(inv)
    ledger.apply(complete(1, {(1, ETH): 1, (2, ETH): 1, (3, ETH): 1}))
    assert [v.subject for v in judge([("band", band(floor=1))], picture(ledger, inv))] == ["hot-1", "hot-2"]


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({}, "expected a floor, a ceiling or both"),
        ({"floor": 5, "ceiling": 5}, "expected the floor below the ceiling"),
    ],
)
def test_a_band_without_an_inside_is_refused(keys: Mapping[str, int], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        band(**keys)


def blind(found: Picture) -> dict[str, Verdict]:
    verdicts = judge([("blind", Blind(kind="blind")), ("share", SHARE), ("band", band(floor=1))], found)
    return {verdict.subject: verdict for verdict in verdicts if verdict.policy == "blind"}


def test_a_dead_chain_is_one_finding_however_many_verdicts_hang_on_it() -> None:
    inv, ledger = two_tiers(ETHER, 99 * ETHER)
    ledger.apply(failed(5))
    verdicts = blind(picture(ledger, inv, seconds=100))
    assert set(verdicts) == {"chain:ethereum"}
    found = verdicts["chain:ethereum"]
    assert (found.judgement, found.cleared) == (Judgement.BREACH, False)
    assert found.evidence["blinded"] == ["share on all", "band on hot"]
    assert found.evidence["reason"] == "unavailable"
    assert "connection refused" in found.summary


def test_an_account_that_blinds_is_said_in_the_words_of_its_connector() -> None:
    inv = inventory(wallet("hot", Tier.HOT, 1), wallet("cold", Tier.COLD, 2))
    ledger = Ledger(inv)
    ledger.apply(complete(1, {(1, ETH): ETHER}, unread=[(2, ETH)]))
    found = blind(picture(ledger, inv))["chain:ethereum"]
    assert found.judgement is Judgement.BREACH
    assert found.summary == "Unknown because of chain ethereum: share on all (refused)"
    assert found.evidence["detail"] == "refused"


def test_an_unread_account_that_changes_no_verdict_blinds_nobody() -> None:
    inv = inventory(wallet("hot", Tier.HOT, 1, 3), wallet("cold", Tier.COLD, 2))
    ledger = Ledger(inv)
    ledger.apply(complete(1, {(1, ETH): 2 * ETHER, (3, ETH): 1, (2, ETH): 98 * ETHER}))
    ledger.apply(complete(2, {(1, ETH): 2 * ETHER, (2, ETH): 98 * ETHER}, unread=[(3, ETH)]))
    found = blind(picture(ledger, inv))["chain:ethereum"]
    assert (found.judgement, found.cleared) == (Judgement.OK, True)


def test_a_start_is_no_blindness_until_nothing_is_heard_for_too_long() -> None:
    inv = inventory(wallet("hot", Tier.HOT, 1), wallet("cold", Tier.COLD, 2))
    waiting = [blind(picture(Ledger(inv), inv, seconds=seconds))["chain:ethereum"] for seconds in (1, 61)]
    assert [verdict.judgement for verdict in waiting] == [Judgement.UNKNOWN, Judgement.BREACH]
    assert not any(verdict.cleared for verdict in waiting)


def test_a_missing_price_is_a_cause_of_its_own() -> None:
    inv = inventory(wallet("hot", Tier.HOT, 1), wallet("cold", Tier.COLD, 2), assets={"ETH": [ETH], "USDT": [USDT]})
    ledger = Ledger(inv)
    ledger.apply(complete(1, {(1, ETH): ETHER, (2, ETH): 99 * ETHER, (1, USDT): 1, (2, USDT): 1}))
    verdicts = blind(picture(ledger, inv))
    assert verdicts["price:USDT"].judgement is Judgement.BREACH
    assert verdicts["chain:ethereum"].judgement is Judgement.OK


def test_nodes_that_contradict_each_other_are_a_finding_with_both_answers() -> None:
    inv = inventory(wallet("hot", Tier.HOT, 1))
    ledger = Ledger(inv)
    answers = (("node-1", "5"), ("node-2", "7"), ("node-3", "5"))
    evidence = Disagreement(address(1), ETH, tip(1), answers)
    ledger.apply(complete(1, {(1, ETH): 5}, disagreements=(evidence,)))
    rule = DisagreementRule(kind="disagreement")
    (found,) = judge([("nodes", rule)], picture(ledger, inv))
    assert (found.alert, found.judgement, found.subject) == ("PyrometerDisagreement", Judgement.BREACH, "ethereum")
    assert found.evidence["answers"][0]["answers"] == {"node-1": "5", "node-2": "7", "node-3": "5"}
    assert "node-2 says 7" in found.summary
    ledger.apply(complete(2, {(1, ETH): 5}))
    (over,) = judge([("nodes", rule)], picture(ledger, inv))
    assert (over.judgement, over.cleared) == (Judgement.OK, True)


def test_of_a_chain_that_is_not_read_nobody_knows_whether_its_nodes_agree() -> None:
    """Whatever other rules there are: a node that is dead is never a picture in which all is ok."""
    inv = inventory(wallet("company", Tier.HOT, 1, owner=Owner.COMPANY))
    rules: list[tuple[str, Rule]] = [
        ("share", SHARE),
        ("nodes", DisagreementRule(kind="disagreement")),
        ("blind", Blind(kind="blind")),
    ]
    ledger = Ledger(inv)
    for seconds, blindness in ((0, Judgement.UNKNOWN), (62, Judgement.BREACH)):
        share, nodes, blind = judge(rules, picture(ledger, inv, seconds=seconds))
        assert (share.judgement, nodes.judgement, nodes.cleared) == (Judgement.OK, Judgement.UNKNOWN, False)
        assert nodes.summary == "Nobody knows whether the nodes of ethereum agree"
        assert (blind.subject, blind.judgement) == ("chain:ethereum", blindness)
        assert worst([share, nodes, blind]) is Judgement.UNKNOWN
        ledger.apply(complete(1, {(1, ETH): 5}))
        assert {item.judgement for item in judge(rules, picture(ledger, inv))} == {Judgement.OK}


def test_a_contradiction_stands_when_the_chain_falls_silent_on_it() -> None:
    inv = inventory(wallet("hot", Tier.HOT, 1))
    ledger = Ledger(inv)
    evidence = Disagreement(address(1), ETH, tip(1), (("node-1", "5"), ("node-2", "7")))
    ledger.apply(complete(1, {(1, ETH): 5}, disagreements=(evidence,)))
    (found,) = judge([("nodes", DisagreementRule(kind="disagreement"))], picture(ledger, inv, seconds=62))
    assert (found.judgement, found.cleared, found.causes) == (Judgement.BREACH, False, ())


def test_a_million_contradictions_fit_in_one_alert() -> None:
    inv = inventory(wallet("hot", Tier.HOT, 1))
    ledger = Ledger(inv)
    many = tuple(Disagreement(address(n), ETH, tip(1), (("a", "1"), ("b", "2"))) for n in range(1000))
    ledger.apply(complete(1, {(1, ETH): 5}, disagreements=many))
    (found,) = judge([("nodes", DisagreementRule(kind="disagreement"))], picture(ledger, inv))
    assert (len(found.evidence["answers"]), found.evidence["accounts"]) == (20, 1000)


def test_every_rule_that_can_be_configured_has_a_judge() -> None:
    union = RuleConfig.__origin__  # type: ignore[attr-defined]
    assert set(union.__args__) == set(JUDGES)


def test_nodes_that_nobody_hears_are_not_said_to_agree() -> None:
    inv, ledger = two_tiers(ETHER, ETHER)
    ledger.apply(failed(5))
    (found,) = judge([("nodes", DisagreementRule(kind="disagreement"))], picture(ledger, inv, seconds=100))
    assert (found.judgement, found.cleared, found.causes) == (Judgement.UNKNOWN, False, ("chain:ethereum",))
