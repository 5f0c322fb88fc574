"""Findings as the rules themselves make them, with names as long as real ones: for tests of what people read."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from connectors.base import Stage
from daemon.ledger import Ledger
from daemon.model import Finding, Judgement, State, Tier, Verdict
from daemon.policy import judge
from daemon.policy.blind import Blind
from daemon.policy.cold_moved import ColdMoved
from daemon.policy.control_changed import ControlChanged
from daemon.policy.hot_share import HotShare
from daemon.policy.rule import Rule
from tests.build import ETH, ETHER, at, complete, failed, inventory, movement, picture, two_tiers, wallet
from tests.unit.detected import Watched, of
from tests.unit.test_controls import OWNER, THIEF, safe, update
from tests.unit.test_policy_drain import judged, read

TRANSACTION = "0x" + "5c504ed4" * 8
DESTINATION = "0x" + "9f1c" * 10
SINCE = at(4)


def firing(verdict: Verdict) -> Finding:
    """The finding of a breach, since four seconds after noon."""
    assert verdict.judgement is Judgement.BREACH
    return Finding("5f0c2b9e4d1a7788", State.FIRING, SINCE, verdict, fired=SINCE)


def resolved(finding: Finding) -> Finding:
    """It, over an hour later."""
    over = finding.since + timedelta(hours=1)
    return replace(finding, state=State.RESOLVED, resolved=over, why_resolved="back within the limit")


async def cold_moved(*, name: str = "eth-cold-1", payments: int = 1, stage: Stage = Stage.PENDING) -> Finding:
    """A vault of 1,000 ETH pays 400 of them, or as often less, to somebody."""
    inv = inventory(wallet(name, Tier.COLD, 2))
    watch = Watched(ColdMoved(kind="cold_moved"), inv=inv, held={(2, ETH): 1_000 * ETHER})
    for n in range(payments):
        units = 400 * ETHER // payments
        transaction = TRANSACTION if n == payments - 1 else f"0x{n:064x}"
        paid = movement(transaction, {2: -units}, destinations=[(DESTINATION, units - 10**15)], fee=10**15)
        report = await watch.see(replace(paid, stage=stage), seconds=4)
    return firing(of(report, name))


def drain() -> Finding:
    """Of 450 ETH 330 are left."""
    return firing(judged(read(130, 200), highest="450"))


def hot_share(*, wallets: int = 1, prefix: str = "eth-hot-") -> Finding:
    """6 % are hot, of which every wallet has a part."""
    names = [f"{prefix}{n}" for n in range(1, wallets + 1)]
    inv = inventory(
        *(wallet(name, Tier.HOT, n) for n, name in enumerate(names, 1)), wallet("eth-cold-1", Tier.COLD, 99)
    )
    ledger = Ledger(inv)
    hot = {(n, ETH): 60 * ETHER // wallets for n in range(1, wallets + 1)}
    ledger.apply(complete(870_000, {**hot, (99, ETH): 940 * ETHER}))
    rule = HotShare.model_validate({"kind": "hot_share", "limit": "0.05"})
    (verdict,) = judge([("jp-psa/hot-share", rule)], picture(ledger, inv, seconds=870_000))
    return firing(verdict)


def blind() -> Finding:
    """A node that is not there."""
    inv, ledger = two_tiers(5 * ETHER, 95 * ETHER)
    ledger.apply(failed(5))
    share = HotShare.model_validate({"kind": "hot_share", "limit": "0.05"})
    rules: list[tuple[str, Rule]] = [("jp-psa/hot-share", share), ("builtin/blind", Blind(kind="blind"))]
    verdicts = judge(rules, picture(ledger, inv, seconds=300))
    return firing(next(verdict for verdict in verdicts if verdict.alert == "PyrometerBlind"))


def control_changed() -> Finding:
    """Somebody else is the only owner of a vault."""
    inv = inventory(wallet("eth-vault", Tier.COLD, 3))
    ledger = Ledger(inv)
    ledger.apply(complete(1, {(3, ETH): 514_000 * ETHER}))
    ledger.controls.take(update(1, safe(OWNER)))
    ledger.controls.take(update(5, replace(safe(THIEF), transaction=TRANSACTION)))
    (verdict,) = judge([("theft/control", ControlChanged(kind="control_changed"))], picture(ledger, inv, seconds=10))
    return firing(verdict)
