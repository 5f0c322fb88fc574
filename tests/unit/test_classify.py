"""The observed tier: what speaks for it, when nothing does, and which of the two tiers is judged by."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from decimal import Decimal

import pytest
from pydantic import ValidationError

from connectors.base import UNREAD, Address, Control
from daemon.classify import Classification, Classifier, Observed, classify, observe
from daemon.control import Controlled, WalletControl
from daemon.controls import Controls
from daemon.detection.outflow import Key
from daemon.detection.profile import Profile
from daemon.detection.profiles import Profiles
from daemon.model import Inventory, Judgement, Owner, Tier, Wallet
from daemon.policy.tier_mismatch import ALERT, TierMismatch, judge
from tests.build import ETH, NOON, address, inventory, picture, tip, told, two_tiers, wallet

COLD = wallet("cold", Tier.COLD, 2)
DAY = timedelta(days=1)
BY = Classification()
LIMITS = "(warm from 3 on, hot from 24)"


def profile(*spends: float, began: float = -30) -> Profile:
    """Spends so many days after noon."""
    found = Profile(NOON + began * DAY)
    for number, days in enumerate(spends):
        found.take(Key(f"t{number}", ETH), at=NOON + days * DAY, tip=None, paid=None)
    return found


def seen(found: Profile | None = None, *, control: WalletControl | None = None, days: float = 0) -> Observed:
    return observe(COLD, profile=found, control=control, by=BY, now=NOON + days * DAY)


def controlled(kind: str, *facts: tuple[str, str], unread: str = "") -> WalletControl:
    return WalletControl((Controlled(address(2), Control(address(2), kind, facts), tip(1), unread),))


OWNERS = tuple(("owner", f"0x{number}") for number in range(3))


def test_with_nothing_that_speaks_for_a_tier_there_is_none() -> None:
    assert seen() == Observed()
    assert seen(profile(began=-6.4)).tier is None
    assert seen(profile(began=-6.4)).evidence == ("watched since 2026-11-17, which is too short a time to tell",)


def test_after_a_week_without_spends_it_looks_cold() -> None:
    assert seen(profile(began=-7)) == Observed(Tier.COLD, (f"0 spends a day over 7 days {LIMITS}",))


@pytest.mark.parametrize(("spends", "wanted"), [(20, Tier.COLD), (21, Tier.WARM), (167, Tier.WARM), (168, Tier.HOT)])
def test_spends_a_day_on_average_over_a_week_speak_for_a_tier(spends: int, wanted: Tier) -> None:
    found = seen(profile(*(-6 * number / spends for number in range(spends))))
    assert found.tier is wanted
    assert found.evidence[1] == "last spend at 2026-11-23 12:00 UTC"


def test_too_many_spends_speak_before_a_week_is_watched() -> None:
    found = seen(profile(*[-0.1] * 21, began=-1))
    assert found.tier is Tier.WARM
    assert found.evidence[0] == f"at least 3 spends a day over 7 days {LIMITS}"


def test_a_wallet_stays_as_warm_as_it_was_for_a_week_and_not_for_longer() -> None:
    busy = profile(*[0] * 21)
    assert seen(busy, days=13).tier is Tier.WARM
    assert seen(busy, days=13).evidence[0] == (
        f"0 spends a day over 7 days, 3 in a week that ended no more than 7 days before {LIMITS}"
    )
    assert seen(busy, days=14).tier is Tier.COLD


def test_code_that_an_account_delegates_to_looks_hot() -> None:
    found = seen(profile(began=-7), control=controlled("delegated", ("delegate", "0xbad")))
    assert found.tier is Tier.HOT
    assert found.evidence[-1] == f"{address(2)} delegates to code at 0xbad, which can move it too"


@pytest.mark.parametrize("name", ["threshold", "minApproval", "minimum"])
def test_several_signers_of_whom_any_moves_it_alone_look_hot(name: str) -> None:
    found = seen(control=controlled("safe", (name, "1"), *OWNERS))
    assert found == Observed(Tier.HOT, (f"any one of 3 signers alone moves {address(2)}",))
    quorum = seen(control=controlled("safe", (name, "2"), *OWNERS))
    assert quorum == Observed(None, (f"2 of 3 signers move {address(2)}",))


def test_one_signer_of_one_is_no_lack_of_a_quorum() -> None:
    assert seen(control=controlled("safe", ("threshold", "1"), OWNERS[0])).tier is None


def test_on_nem_a_minimum_of_zero_means_all_and_an_unknown_one_nothing() -> None:
    cosignatories = [("cosignatory", "NA"), ("cosignatory", "NB")]
    all_of_them = seen(control=controlled("multisig", ("minimum", "0"), *cosignatories))
    assert all_of_them == Observed(None, (f"2 of 2 signers move {address(2)}",))
    assert seen(control=controlled("multisig", ("minimum", "unknown"), *cosignatories)) == Observed()


def test_control_that_can_not_be_read_speaks_for_nothing() -> None:
    assert seen(control=controlled(UNREAD, ("threshold", "1"), *OWNERS, unread="refused")) == Observed()


def test_addresses_that_are_used_again_are_shown_and_speak_for_nothing() -> None:
    found = profile(began=-7)
    found.tally.with_change, found.tally.payments = 3, 4
    words = "addresses are used again: 3 of 4 payments sent their change back to the wallet's addresses"
    assert seen(found).evidence[-1] == words
    descriptor = replace(COLD, accounts=(Address("wpkh(xpub/0/*)"),))
    assert words not in observe(descriptor, profile=found, control=None, by=BY, now=NOON).evidence


def test_the_warm_limit_can_not_be_above_the_hot_one() -> None:
    with pytest.raises(ValidationError, match="warm_spends_per_day: expected at most hot_spends_per_day"):
        Classification(warm_spends_per_day=Decimal(25))


@pytest.mark.parametrize("declared", list(Tier))
@pytest.mark.parametrize("observed", [None, *Tier])
def test_the_warmer_of_both_is_judged_by_where_that_is_wanted(declared: Tier, observed: Tier | None) -> None:
    wallets = {"w": wallet("w", declared, 1)}
    looks = {"w": Observed(observed)}
    warmest = next(tier for tier in (Tier.HOT, Tier.WARM, Tier.COLD) if tier in (declared, observed))
    assert classify(wallets, observed=looks, judge_by="warmer") == {"w": warmest}
    assert classify(wallets, observed=looks) == {"w": declared}


# ── what is looked at anew ──────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class Survey:
    inventory: Inventory = field(default_factory=lambda: inventory(wallet("hot", Tier.HOT, 1), COLD))
    classification: Classification = BY
    telling: tuple[str, ...] = ("ethereum",)
    controlling: tuple[str, ...] = ("ethereum",)


class Watch:
    def __init__(self, survey: Survey) -> None:
        self.survey = survey
        self.profiles = Profiles()
        self.profiles.watch(survey.inventory.wallets, now=NOON - 30 * DAY)
        self.controls = Controls(survey.inventory)
        self.classifier = Classifier()

    def look(self, now: datetime = NOON) -> dict[str, Tier | None]:
        found = self.classifier.look(self.survey, profiles=self.profiles, controls=self.controls, now=now)
        return {name: one.tier for name, one in found.items()}

    def spend(self, wallet_name: str, times: int) -> None:
        found = self.profiles.of(wallet_name)
        assert found is not None
        for number in range(times):
            found.take(Key(f"t{number}", ETH), at=NOON, tip=None, paid=None)
        self.profiles._changed(wallet_name)


def test_a_look_follows_spends_days_and_control() -> None:
    watch = Watch(Survey())
    assert watch.look() == {"hot": Tier.COLD, "cold": Tier.COLD}
    watch.spend("cold", 21)
    assert watch.look() == {"hot": Tier.COLD, "cold": Tier.WARM}
    assert watch.look(NOON + 14 * DAY) == {"hot": Tier.COLD, "cold": Tier.COLD}
    control = Control(address(1), "delegated", (("delegate", "0xbad"),))
    watch.controls.take(replace(told(1), controls=(control,)))
    assert watch.look(NOON + 14 * DAY) == {"hot": Tier.HOT, "cold": Tier.COLD}


def test_without_news_it_is_the_very_same_answer() -> None:
    watch = Watch(Survey())

    def look() -> object:
        return watch.classifier.look(watch.survey, profiles=watch.profiles, controls=watch.controls, now=NOON)

    assert look() is look()


def test_where_a_chain_tells_no_movements_spends_say_nothing() -> None:
    assert Watch(Survey(telling=())).look() == {"hot": None, "cold": None}


# ── the rule ────────────────────────────────────────────────────────────────────────────────────────────────────────

RULE = TierMismatch.model_validate({"kind": "tier_mismatch"})


@pytest.mark.parametrize(
    ("observed", "wanted"),
    [(Tier.HOT, Judgement.BREACH), (Tier.WARM, Judgement.BREACH), (Tier.COLD, Judgement.OK)],
)
def test_a_wallet_that_looks_warmer_than_declared_is_a_finding(observed: Tier, wanted: Judgement) -> None:
    inv, ledger = two_tiers(1, 1)
    plain = picture(ledger, inv)
    cold = replace(plain.wallets["cold"], observed=observed, tier_evidence=("because",))
    [found] = judge(RULE, replace(plain, wallets={**plain.wallets, "cold": cold}), policy="p")
    assert (found.subject, found.alert, found.judgement) == ("cold", ALERT, wanted)
    assert found.cleared is (wanted is Judgement.OK)
    looks = observed.value if wanted is Judgement.BREACH else "no warmer"
    assert found.summary == f"cold is declared cold and looks {looks}: because"


def test_a_wallet_of_which_nothing_is_observed_is_not_judged() -> None:
    inv, ledger = two_tiers(1, 1)
    assert list(judge(RULE, picture(ledger, inv), policy="p")) == []


def test_while_its_chain_is_not_read_nobody_knows() -> None:
    inv, ledger = two_tiers(1, 1)
    plain = picture(ledger, inv, seconds=3600)
    cold = replace(plain.wallets["cold"], observed=Tier.COLD)
    [found] = judge(RULE, replace(plain, wallets={"cold": cold}), policy="p")
    assert (found.judgement, found.causes) == (Judgement.UNKNOWN, ("chain:ethereum",))


def test_a_wallet_without_declared_owner_or_accounts_is_looked_at_as_any_other() -> None:
    bare = Wallet("w", "ethereum", Tier.HOT, Owner.COMPANY, None, ())
    assert observe(bare, profile=profile(began=-7), control=None, by=BY, now=NOON).tier is Tier.COLD
