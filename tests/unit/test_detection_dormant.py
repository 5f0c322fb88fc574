"""The first payment after long silence: from when silence counts, and what ends it."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, datetime, timedelta

import pytest

from connectors.base import Movement, Stage
from daemon.detection.case import Case
from daemon.detection.detection import Around, Detection
from daemon.detection.profiles import Profiles
from daemon.model import Inventory, Judgement, Moved, Step, Tier
from daemon.policy.dormant import ALERT, Dormant, judge
from tests.build import NOON, inventory, movement, picture, tip, two_tiers, wallet

THIEF = "0x" + "be" * 20
DAY = timedelta(days=1)


def moved(told: Movement, *, first_seen: datetime) -> Moved:
    return Moved(1, told, first_seen, (Step(told.stage, first_seen, told.tip),))


class Vault:
    """A cold wallet that is watched since noon, and a hot one."""

    def __init__(self, *, quiet_since: date | None = None, **keys: str) -> None:
        self.rule = Dormant.model_validate({"kind": "dormant", **keys})
        cold = replace(wallet("cold", Tier.COLD, 2), quiet_since=quiet_since)
        self.inventory: Inventory = inventory(wallet("hot", Tier.HOT, 1), cold)
        self.profiles = Profiles()
        self.profiles.watch(self.inventory.wallets, now=NOON)
        self.detection = self.detecting()

    def detecting(self) -> Detection:
        return Detection(Around(self.inventory, self.profiles), policies=[("dormant", self.rule)])

    def pay(self, transaction: str, *, days: float, stage: Stage = Stage.PENDING, units: int = 7) -> Case | None:
        told = movement(transaction, {2: -units - 1}, destinations=[(THIEF, units)], fee=1, stage=stage)
        self.detection.take([moved(told, first_seen=NOON + days * DAY)])
        return self.case(transaction)

    def refill(self, transaction: str, *, days: float) -> None:
        told = movement(transaction, {2: -8, 1: 7}, fee=1)
        self.detection.take([moved(told, first_seen=NOON + days * DAY)])

    def case(self, transaction: str) -> Case | None:
        cases = self.detection.look(NOON)["dormant"].by_wallet.get("cold", ())
        return next((case for case in cases if case.outflow.key.transaction == transaction), None)


def test_the_first_payment_after_the_silence_is_a_case_and_a_moment_before_it_is_not() -> None:
    assert Vault().pay("t", days=90) is not None
    assert Vault().pay("t", days=89.99) is None


def test_silence_counts_from_the_last_spend_that_is_known() -> None:
    vault = Vault(quiet_since=date(2020, 1, 1), silence="90d")
    vault.pay("a", days=1)
    assert vault.pay("b", days=90.9) is None
    vault = Vault(silence="90d")
    vault.pay("a", days=1)
    case = vault.pay("b", days=91)
    assert case is not None
    assert case.says == ("cold pays 0.000000000000000007 ETH after 90 days of silence (last spend on 2026-11-24)")
    assert case.facts["silent_days"] == 90


def test_what_is_declared_counts_for_the_time_before_we_watched() -> None:
    case = Vault(quiet_since=date(2026, 8, 25)).pay("t", days=0)
    assert case is not None
    assert "after 90 days of silence (declared quiet since 2026-08-25)" in case.says
    assert Vault(quiet_since=date(2026, 8, 26)).pay("t", days=0) is None


def test_without_a_declaration_nothing_is_said_of_the_time_before_we_watched() -> None:
    assert Vault().pay("t", days=0) is None
    case = Vault().pay("t", days=100)
    assert case is not None
    assert "after 100 days of silence (watched since 2026-11-23)" in case.says


def test_only_the_first_payment_after_the_silence_is_a_case() -> None:
    vault = Vault()
    assert vault.pay("a", days=90) is not None
    assert vault.pay("b", days=90.01) is None


def test_a_refill_ends_the_silence_and_is_no_case() -> None:
    vault = Vault()
    vault.refill("r", days=89)
    assert vault.case("r") is None
    assert vault.pay("t", days=90) is None


def test_a_payment_that_is_taken_back_did_not_end_the_silence() -> None:
    vault = Vault()
    vault.pay("a", days=90)
    vault.pay("b", days=90.01)
    vault.pay("a", days=90, stage=Stage.REPLACED)
    assert vault.case("a") is None
    assert vault.case("b") is not None


def test_it_goes_on_through_a_restart_from_what_was_stored() -> None:
    vault = Vault()
    vault.pay("a", days=0)
    rows = {key: row for key, row in vault.profiles.changed().items() if row is not None}
    vault.profiles = Profiles()
    vault.profiles.restore(rows)
    vault.profiles.watch(vault.inventory.wallets, now=NOON + 80 * DAY)
    vault.detection = vault.detecting()
    assert vault.pay("b", days=90) is not None


def test_told_again_after_a_restart_it_is_still_the_first_after_the_silence() -> None:
    vault = Vault()
    vault.pay("a", days=90)
    vault.pay("b", days=90.01)
    vault.detection = vault.detecting()
    assert vault.pay("b", days=90.01) is None
    assert vault.pay("a", days=90) is not None


def test_it_is_over_when_it_was_mined_long_enough_ago() -> None:
    vault = Vault(silence="1m", keep="1h", quiet_since=date(2026, 1, 1))
    told = movement("t", {2: -8}, destinations=[(THIEF, 7)], fee=1, block=tip(1))
    vault.detection.take([moved(told, first_seen=NOON)])
    assert vault.detection.look(NOON + timedelta(minutes=59))["dormant"].by_wallet
    assert not vault.detection.look(NOON + timedelta(minutes=60))["dormant"].by_wallet


@pytest.mark.parametrize(("days", "wanted"), [(89, Judgement.OK), (90, Judgement.BREACH)])
def test_the_verdict_of_a_wallet_follows_its_cases(days: int, wanted: Judgement) -> None:
    vault = Vault()
    vault.pay("t", days=days)
    inv, ledger = two_tiers(1, 1)
    seen = replace(
        picture(ledger, inv), telling={"ethereum": NOON}, cases={"dormant": vault.detection.look(NOON)["dormant"]}
    )
    found = {verdict.subject: verdict for verdict in judge(vault.rule, seen, policy="dormant")}
    assert (found["cold"].alert, found["cold"].judgement) == (ALERT, wanted)
    assert (found["hot"].judgement, found["hot"].summary) == (Judgement.OK, "hot has not been woken")
