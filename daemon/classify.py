"""Which tier a wallet is in: the one that its owner declares, and the one that its behaviour and control speak for."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Literal, NamedTuple, Protocol

from pydantic import Field, model_validator

from connectors.config import Strict
from daemon.control import WalletControl, by_name
from daemon.controls import Controls
from daemon.detection.profile import Profile
from daemon.detection.profiles import Profiles
from daemon.interval import plain
from daemon.model import Inventory, Tier, Wallet

WEEK = 7
"""Days over which spends are averaged; and for so long after it a wallet stays as warm as it was. Days are those of
UTC, the one that has begun included."""

WARMEST_FIRST = (Tier.HOT, Tier.WARM, Tier.COLD)

SIGNERS = ("owner", "cosignatory")
THRESHOLDS = ("threshold", "minimum", "minApproval")


class Classification(Strict):
    """How often a wallet spends that behaves like one that is hot or warm, and which tier it is judged by."""

    hot_spends_per_day: Decimal = Field(
        Decimal(24), gt=0, le=1_000_000, description="on average over 7 days; from so many on it behaves like a hot one"
    )
    warm_spends_per_day: Decimal = Field(
        Decimal(3), gt=0, le=1_000_000, description="on average over 7 days; from so many on it behaves like a warm one"
    )
    judge_by: Literal["declared", "warmer"] = Field(
        "declared", description="the tier that rules judge by: the declared one, or the warmer of it and the observed"
    )

    @model_validator(mode="after")
    def _ordered(self) -> Classification:
        if self.warm_spends_per_day > self.hot_spends_per_day:
            raise ValueError("warm_spends_per_day: expected at most hot_spends_per_day")
        return self


@dataclass(frozen=True, slots=True)
class Observed:
    """What speaks for a tier, in words; `tier` is the warmest that anything speaks for, None where nothing does."""

    tier: Tier | None = None
    evidence: tuple[str, ...] = ()


NOTHING = Observed()


def warmer(one: Tier, other: Tier | None) -> bool:
    """Whether `other` is warmer than `one`."""
    return other is not None and WARMEST_FIRST.index(other) < WARMEST_FIRST.index(one)


def classify(
    wallets: Mapping[str, Wallet],
    *,
    observed: Mapping[str, Observed] | None = None,
    judge_by: Literal["declared", "warmer"] = "declared",
) -> dict[str, Tier]:
    """The tier by which each wallet is judged."""
    if observed is None or judge_by == "declared":
        return {name: wallet.tier for name, wallet in wallets.items()}
    seen = {name: observed.get(name, NOTHING).tier for name in wallets}
    return {
        name: tier if tier is not None and warmer(wallet.tier, tier) else wallet.tier
        for (name, wallet), tier in zip(wallets.items(), seen.values(), strict=True)
    }


class Surveyed(Protocol):
    """What is looked at: a configuration, as in Setup."""

    @property
    def inventory(self) -> Inventory: ...
    @property
    def classification(self) -> Classification: ...
    @property
    def telling(self) -> Collection[str]: ...
    @property
    def controlling(self) -> Collection[str]: ...


class Classifier:
    """What is observed of each wallet. Mutable, and pure of effects: a look costs what has changed since the last."""

    def __init__(self) -> None:
        self._setup: Surveyed | None = None
        self._basis: tuple[object, ...] = ()
        self._number = 0
        self._observed: Mapping[str, Observed] = {}

    def look(self, setup: Surveyed, *, profiles: Profiles, controls: Controls, now: datetime) -> Mapping[str, Observed]:
        """By wallet; the very same mapping as before where nothing has changed."""
        wallets = setup.inventory.wallets
        basis = (controls, controls.number, now.date())
        if setup is not self._setup or basis != self._basis:
            again: Collection[str] = wallets
        else:
            again = [name for name in profiles.changed_after(self._number) if name in wallets]
        self._setup, self._basis, self._number = setup, basis, profiles.number
        if again:
            news = {name: _look(wallets[name], setup, profiles=profiles, controls=controls, now=now) for name in again}
            self._observed = {**self._observed, **news} if len(news) < len(wallets) else news
        return self._observed


def _look(wallet: Wallet, setup: Surveyed, *, profiles: Profiles, controls: Controls, now: datetime) -> Observed:
    profile = profiles.of(wallet.name) if wallet.chain in setup.telling else None
    control = controls.of(wallet.name) if wallet.chain in setup.controlling else None
    return observe(wallet, profile=profile, control=control, by=setup.classification, now=now)


class _Sign(NamedTuple):
    """One observation, in words, and the tier that it speaks for, if any."""

    tier: Tier | None
    why: str


def observe(
    wallet: Wallet,
    *,
    profile: Profile | None,
    control: WalletControl | None,
    by: Classification,
    now: datetime,
) -> Observed:
    """What its profile and control say of a wallet; of a young profile only what more days can't take back."""
    signs = [
        *(() if profile is None else _behaves(wallet, profile, by=by, now=now)),
        *(() if control is None else _controlled(control)),
    ]
    tiers = {sign.tier for sign in signs}
    tier = next((one for one in WARMEST_FIRST if one in tiers), None)
    return Observed(tier, tuple(sign.why for sign in signs))


def _behaves(wallet: Wallet, profile: Profile, *, by: Classification, now: datetime) -> Iterator[_Sign]:
    today = now.toordinal()
    weeks = [_spends(profile, last=today - back) for back in range(WEEK + 1)]
    most = max(weeks)
    tier = _by_pace(Decimal(most) / WEEK, by=by)
    watched = today - profile.began.toordinal()
    limits = f"warm from {plain(by.warm_spends_per_day)} on, hot from {plain(by.hot_spends_per_day)}"
    pace = f"{_a_day(weeks[0])} spends a day over {WEEK} days"
    held = f", {_a_day(most)} in a week that ended no more than {WEEK} days before" if most > weeks[0] else ""
    if watched >= WEEK or tier is not Tier.COLD:
        least = "" if watched >= WEEK else "at least "
        yield _Sign(tier, f"{least}{pace}{held} ({limits})")
    else:
        yield _Sign(None, f"watched since {profile.began:%Y-%m-%d}, which is too short a time to tell")
    if profile.tally.last is not None:
        yield _Sign(None, f"last spend at {profile.tally.last:%Y-%m-%d %H:%M} UTC")
    if profile.tally.with_change and not any("(" in account for account in wallet.accounts):
        counted = f"{profile.tally.with_change} of {profile.tally.payments} payments"
        yield _Sign(None, f"addresses are used again: {counted} sent their change back to the wallet's addresses")


def _spends(profile: Profile, *, last: int) -> int:
    """Of the week that ends with this day."""
    days = profile.tally.days
    return sum(days.get(day, 0) for day in range(last - WEEK + 1, last + 1))


def _by_pace(spends: Decimal, *, by: Classification) -> Tier:
    if spends >= by.hot_spends_per_day:
        return Tier.HOT
    return Tier.WARM if spends >= by.warm_spends_per_day else Tier.COLD


def _a_day(spends: int) -> str:
    return plain(Decimal(spends) / WEEK, places=1)


def _controlled(control: WalletControl) -> Iterator[_Sign]:
    """What is read of who can move its accounts; of a plain account, whose key may be anywhere, nothing can be said."""
    for one in control.accounts:
        if one.control is None or one.unread:
            continue
        facts = by_name(one.control)
        if facts.get("delegate"):
            yield _Sign(Tier.HOT, f"{one.account} delegates to code at {facts['delegate'][0]}, which can move it too")
        signers = next((len(facts[name]) for name in SIGNERS if name in facts), 0)
        needed = next((facts[name][0] for name in THRESHOLDS if name in facts), "")
        if signers and needed.isdecimal():
            enough = int(needed) or signers  # NEM says 0 where all have to sign
            alone = enough == 1 and signers > 1
            who = f"any one of {signers} signers alone moves" if alone else f"{enough} of {signers} signers move"
            yield _Sign(Tier.HOT if alone else None, f"{who} {one.account}")
