"""The rule `drift`: from a sweep that finds something until a sweep that finds nothing."""

import json
from datetime import timedelta

import pytest

from connectors.base import Drift, Update
from daemon.emit.alert import Origin, alert
from daemon.findings import advance
from daemon.ledger import Ledger
from daemon.model import Finding, Inventory, Judgement, State, Tier, Verdict
from daemon.policy import judge, worst
from daemon.policy.blind import Blind
from daemon.policy.drift import DriftRule
from daemon.policy.rule import Rule
from daemon.store.codec import decode, encode
from tests.build import (
    ETH,
    ETHER,
    USDT,
    address,
    at,
    complete,
    failed,
    inventory,
    picture,
    tip,
    told,
    two_tiers,
    wallet,
)

RULE = DriftRule(kind="drift")
ONE = Drift(address(1), ETH, followed=5 * ETHER, found=7 * ETHER)


def judged(ledger: Ledger, inv: Inventory, *, seconds: float = 1) -> Verdict:
    (verdict,) = judge([("builtin/drift", RULE)], picture(ledger, inv, seconds=seconds))
    return verdict


def after(*updates: Update, seconds: float = 1) -> Verdict:
    inv, ledger = two_tiers(5 * ETHER, 95 * ETHER)
    for update in updates:
        ledger.apply(update)
    return judged(ledger, inv, seconds=seconds)


def test_a_sweep_that_found_drift_is_a_breach_with_all_that_it_takes_to_look_into_it() -> None:
    found = after(told(5, drift=(ONE,)), seconds=5)
    assert (found.alert, found.subject, found.judgement, found.cleared) == (
        "PyrometerDrift",
        "ethereum",
        Judgement.BREACH,
        False,
    )
    assert found.summary == (
        f"A sweep of ethereum at block 1 found 7 ETH on {address(1)} (hot), and not 5 ETH as followed"
    )
    assert found.evidence == {
        "drift": [
            {
                "account": address(1),
                "wallet": "hot",
                "asset": "ETH",
                "contract": None,
                "followed": "5000000000000000000",
                "found": "7000000000000000000",
            }
        ],
        "accounts": 1,
        "at": at(5).isoformat(),
        "blocks": {"ethereum": {"height": 1, "hash": tip(1).hash}},
    }


def test_it_stays_a_breach_while_the_chain_goes_on_and_until_a_sweep_finds_nothing() -> None:
    drifted = told(5, drift=(ONE,))
    block = Update("ethereum", at(6), tip(2), tip(1))
    assert after(drifted, block).judgement is Judgement.BREACH
    assert after(drifted, complete(2, {(1, ETH): 1, (2, ETH): 1})).judgement is Judgement.BREACH
    over = after(drifted, told(7, drift=()), seconds=7)
    assert (over.judgement, over.cleared, over.evidence) == (Judgement.OK, True, {})
    assert over.summary == "The last sweep of ethereum, at block 1, found what was followed"


def test_before_the_first_sweep_nothing_contradicts_but_nothing_is_cleared_either() -> None:
    found = after()
    assert (found.judgement, found.cleared, found.causes) == (Judgement.OK, False, ())
    assert found.summary == "No sweep of ethereum has ended yet, and nothing contradicts what is followed"


def test_a_chain_that_is_not_read_is_unknown_and_blames_itself() -> None:
    for sweep in (told(1), told(1, drift=())):
        found = after(sweep, failed(5), seconds=100)
        assert (found.judgement, found.cleared, found.causes) == (Judgement.UNKNOWN, False, ("chain:ethereum",))
        assert found.summary == "Nobody knows whether ethereum is followed rightly"


def test_drift_stands_when_the_chain_falls_silent_on_it() -> None:
    found = after(told(1, drift=(ONE,)), failed(5), seconds=100)
    assert (found.judgement, found.cleared, found.causes) == (Judgement.BREACH, False, ())


def test_each_chain_is_judged_by_its_own_sweeps() -> None:
    from connectors.base import Token

    btc = Token("bitcoin", None, 8)
    inv = inventory(
        wallet("hot", Tier.HOT, 1),
        wallet("btc", Tier.COLD, 2, chain="bitcoin"),
        assets={"ETH": [ETH], "BTC": [btc]},
    )
    ledger = Ledger(inv)
    ledger.apply(complete(1, {(1, ETH): 5}))
    ledger.apply(Update("bitcoin", at(1), tip(1), complete=True, drift=(Drift(address(2), btc, 5, 0),)))
    verdicts = judge([("drift", RULE)], picture(ledger, inv, seconds=1))
    assert {item.subject: item.judgement for item in verdicts} == {
        "ethereum": Judgement.OK,
        "bitcoin": Judgement.BREACH,
    }


def test_a_million_drifted_accounts_fit_in_one_alert() -> None:
    many = tuple(Drift(address(n), USDT, followed=0, found=1_500_000) for n in range(1000))
    found = after(told(5, drift=many))
    assert (len(found.evidence["drift"]), found.evidence["accounts"]) == (20, 1000)
    assert "found 1.5 on" in found.summary
    assert found.summary.endswith("(and 999 more)")


def findings(*verdicts: Verdict, before: tuple[Finding, ...] = (), seconds: float = 0) -> tuple[Finding, ...]:
    return advance(before, verdicts, rules={"builtin/drift": RULE}, now=at(seconds)).open


def test_a_finding_survives_a_restart_until_a_sweep_finds_nothing() -> None:
    """After a restart no sweep has ended yet; that alone must not call it over."""
    (firing,) = findings(after(told(5, drift=(ONE,))))
    restored = decode(encode(firing))
    for seconds in (10, 1000, 10_000):
        (firing,) = findings(after(), before=(restored,), seconds=seconds)
        assert (firing.state, firing.clear_since) == (State.FIRING, None)
    swept = after(told(5, drift=()))
    clearing = findings(swept, before=(firing,), seconds=10_000)
    later = 10_000 + RULE.clear_after.total_seconds()
    assert findings(swept, before=clearing, seconds=later) == ()


def test_the_alert_names_the_block_and_the_account() -> None:
    (firing,) = findings(after(told(5, drift=(ONE,))))
    sent = alert(firing, origin=Origin(entity="Example", runbook_url="docs/alerts"), ends=at(60))
    annotations = sent["annotations"]
    assert isinstance(annotations, dict)
    assert annotations["blocks"] == f"ethereum 1 {tip(1).hash}"
    assert json.loads(annotations["evidence"])["drift"][0]["wallet"] == "hot"
    assert annotations["runbook_url"] == "docs/alerts/PyrometerDrift.md"


def test_an_unknown_drift_is_part_of_blindness_like_every_other_unknown() -> None:
    inv, ledger = two_tiers(ETHER, ETHER)
    ledger.apply(failed(5))
    rules: list[tuple[str, Rule]] = [("drift", RULE), ("blind", Blind(kind="blind"))]
    drift, blind = judge(rules, picture(ledger, inv, seconds=100))
    assert blind.evidence["blinded"] == ["drift on ethereum"]
    assert worst([drift, blind]) is Judgement.UNKNOWN


@pytest.mark.parametrize("key", ["hold", "clear_after"])
def test_its_times_can_be_set(key: str) -> None:
    rule = DriftRule.model_validate({"kind": "drift", key: "5m"})
    assert getattr(rule, key) == timedelta(minutes=5)
