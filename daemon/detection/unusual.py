"""How unlike the earlier payments of its wallet a payment is: points for each way in which it is."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from functools import partial
from typing import NamedTuple

from daemon.detection.by_history import ByHistory
from daemon.detection.case import Case
from daemon.detection.outflow import Outflow
from daemon.detection.profile import Profile, Tally
from daemon.detection.profiles import FINEST, Profiles, comparable, counterparty, paid_at
from daemon.detection.usual_fees import PER_BYTE, UsualFees, rate
from daemon.interval import amount, plain
from daemon.policy.unusual import Unusual

FEES = 10
"""Transactions of which a median fee is worth a comparison."""

WITH_CHANGE = 9, 10
"""Of so many payments so many had change: a wallet that has it as a rule."""


class Part(NamedTuple):
    """One way in which a payment is unusual: its name, its points, and why, in words."""

    name: str
    points: int
    why: str


def detector(rule: Unusual, *, profiles: Profiles) -> ByHistory:
    """Remembers what ByHistory does."""
    return ByHistory(partial(scored, rule, profiles=profiles), keep=rule.keep)


def scored(rule: Unusual, one: Outflow, *, profiles: Profiles) -> Case | None:
    """None below the threshold, for one that is announced, and for one that has settled among the others."""
    profile = profiles.of(one.wallet)
    if profile is None or (one.units and not one.uncovered):
        return None
    tally = profile.before(one.key, tip=one.tip)
    if tally is None:
        return None
    found = _by_fee(rule, one, fees=profiles.fees(one.key.token))
    if one.units:
        found += _by_history(rule, one, tally=tally, profile=profile)
    if not found:
        return None
    score = sum(part.points for part in found)
    return _case(rule, one, score=score, parts=found) if score >= rule.threshold else None


def _by_history(rule: Unusual, one: Outflow, *, tally: Tally, profile: Profile) -> Iterator[Part]:
    of_asset = tally.assets.get(one.asset)
    if of_asset is not None and comparable(one.uncovered, token=one.key.token) > of_asset.largest:
        yield from _by_size(rule, one, largest=of_asset.largest, enough=of_asset.payments >= rule.history)
    if tally.payments < rule.history:
        return
    if of_asset is None and rule.new_asset:
        yield Part("new_asset", rule.new_asset, f"the first payment of {one.asset}")
    if not one.change and tally.with_change * WITH_CHANGE[1] >= tally.payments * WITH_CHANGE[0] and rule.no_change:
        why = f"nothing comes back, where {tally.with_change} of {tally.payments} payments had change"
        yield Part("no_change", rule.no_change, why)
    whom = counterparty(one)
    if whom not in tally.counterparties and rule.counterparty:
        yield Part("counterparty", rule.counterparty, f"never paid such a counterparty ({whom})")
    at = paid_at(one.tip, first_seen=one.first_seen)
    if not tally.hours[at.hour] and rule.hour and at - profile.began >= rule.history_for:
        yield Part("hour", rule.hour, f"never paid between {at.hour:02d}:00 and {(at.hour + 1) % 24:02d}:00 UTC")


def _by_size(rule: Unusual, one: Outflow, *, largest: int, enough: bool) -> Iterator[Part]:
    paid, decimals = comparable(one.uncovered, token=one.key.token), max(FINEST, one.key.token.decimals)
    ratio = plain(Decimal(paid) / largest, places=1)
    before = f"{plain(amount(largest, decimals=decimals), places=80)} {one.asset} before"
    if enough and rule.largest:
        yield Part("largest", rule.largest, f"the largest ever, {ratio} times the largest before")
    if paid >= largest * rule.far_times and rule.far_larger:
        yield Part("far_larger", rule.far_larger, f"{ratio} times the largest of {before}")


def _by_fee(rule: Unusual, one: Outflow, *, fees: UsualFees) -> list[Part]:
    if not one.fee or not rule.fee:
        return []
    if one.units and one.fee >= one.units * rule.fee_share:
        return [Part("fee", rule.fee, f"a fee of {_coins(one.fee, one)} for {_coins(one.units, one)} {one.asset}")]
    usual = fees.median() if len(fees.rates) >= FEES else None
    paid = rate(one.fee, size=one.size)
    if not usual or paid < usual * rule.fee_times:
        return []
    if not one.size and one.fee < one.units * rule.fee_floor:
        return []
    times = plain(Decimal(paid) / usual, places=0)
    a_byte = f", {plain(Decimal(paid) / PER_BYTE, places=0)} units a byte" if one.size else ""
    return [Part("fee", rule.fee, f"a fee of {_coins(one.fee, one)} {one.asset}{a_byte}, {times} times the usual one")]


def _case(rule: Unusual, one: Outflow, *, score: int, parts: list[Part]) -> Case:
    why = "; ".join(f"{part.why} (+{part.points})" for part in parts)
    what = f"{one.wallet} pays {_coins(one.uncovered, one)} {one.asset}"
    facts = {
        "score": score,
        "threshold": rule.threshold,
        "parts": {part.name: {"points": part.points, "why": part.why} for part in parts},
    }
    return Case(one, f"{what}, which scores {score} of {rule.threshold}: {why}", facts)


def _coins(units: int, one: Outflow) -> str:
    return plain(amount(units, decimals=one.key.token.decimals), places=80)
