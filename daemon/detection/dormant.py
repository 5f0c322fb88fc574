"""Whether a payment is the first after long silence."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, time
from functools import partial

from daemon.detection.by_history import ByHistory
from daemon.detection.case import Case
from daemon.detection.outflow import Outflow
from daemon.detection.profile import Profile
from daemon.detection.profiles import Profiles, paid_at
from daemon.interval import amount, plain
from daemon.model import Wallet
from daemon.policy.dormant import Dormant


def detector(rule: Dormant, *, profiles: Profiles, wallets: Mapping[str, Wallet]) -> ByHistory:
    """Remembers what ByHistory does."""
    return ByHistory(partial(woken, rule, profiles=profiles, wallets=wallets), keep=rule.keep)


def woken(rule: Dormant, one: Outflow, *, profiles: Profiles, wallets: Mapping[str, Wallet]) -> Case | None:
    """None for one that is announced, and for one that has settled among the others."""
    profile = profiles.of(one.wallet)
    if profile is None or not one.uncovered:
        return None
    at = paid_at(one.tip, first_seen=one.first_seen)
    if profile.settled_last is not None and at - profile.settled_last < rule.silence:
        return None  # a wallet that pays every day: nothing has to be searched through
    began = _quiet_since(wallets.get(one.wallet)) or profile.began
    if at - min(began, profile.began) < rule.silence:
        return None
    if profile.before(one.key, tip=one.tip) is None:
        return None
    last = profile.last_before(one.key)
    since = last or began
    if at - since < rule.silence:
        return None
    days = (at - since).days
    coins = plain(amount(one.uncovered, decimals=one.key.token.decimals), places=80)
    from_what = _from_what(profile, last=last, since=since)
    return Case(
        one,
        f"{one.wallet} pays {coins} {one.asset} after {days} days of silence ({from_what})",
        {"silent_since": since.isoformat(), "silent_days": days, "silence_from": from_what},
    )


def _from_what(profile: Profile, *, last: datetime | None, since: datetime) -> str:
    if last is not None:
        return f"last spend on {last:%Y-%m-%d}"
    return f"watched since {since:%Y-%m-%d}" if since == profile.began else f"declared quiet since {since:%Y-%m-%d}"


def _quiet_since(wallet: Wallet | None) -> datetime | None:
    day = None if wallet is None else wallet.quiet_since
    return None if day is None else datetime.combine(day, time(), UTC)
