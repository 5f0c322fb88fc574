"""Why a limit was broken, prices, flows or the configuration: the same share with one of them as it was before."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal

from daemon.exposure import ALL
from daemon.feeds.values import Stated
from daemon.history.closing import JSON, bounds
from daemon.history.figure import Figure, Snapshot
from daemon.history.snapshot import rounded
from daemon.interval import NOTHING, Interval, total
from daemon.model import Exposure, Finding, Owner, Tier
from daemon.reporting.closed import Closed
from daemon.reporting.evidence import Evidence

SHARE = "PyrometerHotShareHigh"
IN_COINS = frozenset(f"Pyrometer{rule}" for rule in ("GuaranteeShort", "BackingShort", "WalletBand", "Drain"))
"""Rules that count coins: no price enters them."""

Amounts = Mapping[tuple[str, Tier], Interval]
"""Customers' whole coins by asset and tier."""
Prices = Mapping[str, Interval]


@dataclass(frozen=True, slots=True)
class Cause:
    """What was found, in a word, with the figures that it was found from, or why nothing was."""

    word: str
    why: str
    figures: Mapping[str, Interval]

    def shown(self) -> JSON:
        return {"cause": self.word, "why": self.why, **{name: bounds(one) for name, one in self.figures.items()}}


def cause_of(finding: Finding, evidence: Evidence) -> Cause:
    """Of a finding that was opened on this day.

    The holdings of the first snapshot in which the rule says breach are valued at the prices of the closing before, and
    the holdings of that closing at the prices of the snapshot. What alone keeps the share within its limit when it is
    as before is what broke it.
    """
    verdict = finding.verdict
    if finding.since < evidence.start:
        return _unknown("it was opened on an earlier day, whose report says so")
    if evidence.opening is None:
        return _unknown("there is no closing before this day to compare with")
    before = evidence.opening[1]
    if _reconfigured(verdict.policy, before, evidence.closing and evidence.closing[1]):
        changed = "the rule or a wallet's tier or owner differs between the two closings"
        if verdict.alert != SHARE:
            return Cause("configuration", changed + ", or flows", {})
    if verdict.alert in IN_COINS:
        return Cause("flow", "the rule counts coins, so that no price enters it", {})
    if verdict.alert != SHARE:
        return _unknown("this version derives no cause for this kind of rule")
    return _of_share(finding, evidence, before=before)


def _of_share(finding: Finding, evidence: Evidence, *, before: Closed) -> Cause:
    verdict = finding.verdict
    key = (verdict.policy, verdict.subject)
    seen = evidence.first_breach(key, since=finding.since)
    limit = None if seen is None else seen.figures.get(("limit", " ".join(key)))
    if seen is None or limit is None:
        return _unknown("no snapshot shows the breach")
    scope = verdict.subject
    held, priced = _amounts(before.exposure()), _prices(before.prices)
    held_then, priced_then = _seen(seen)
    figures = {
        "limit": Interval.exactly(limit.low),
        "share_before": share(held, priced, scope=scope),
        "share_then": share(held_then, priced_then, scope=scope),
        "share_at_prices_before": share(held_then, priced, scope=scope),
        "share_of_holdings_before": share(held, priced_then, scope=scope),
    }
    closing = evidence.closing
    if closing is not None:
        roles = {name: role for name, role in closing[1].roles.items() if name in before.roles}
        figures["share_before_as_configured_then"] = share(_amounts(before.exposure(roles=roles)), priced, scope=scope)
    return _decided({name: one if name == "limit" else rounded(one) for name, one in figures.items()})


def _decided(figures: Mapping[str, Interval]) -> Cause:
    limit = figures["limit"].low
    configured = figures.get("share_before_as_configured_then", NOTHING)
    if configured.above(limit):
        return Cause("configuration", "what was held before breaks the limit as it is configured now", figures)
    price_alone = figures["share_of_holdings_before"]
    flow_alone = figures["share_at_prices_before"]
    if price_alone.value is None or flow_alone.value is None:
        return Cause("unknown", "a part of what was held or of the prices was unknown", figures)
    if flow_alone.within(limit) and not price_alone.within(limit):
        return Cause("price", "at the prices of the closing before, the same holdings are within the limit", figures)
    if price_alone.within(limit) and not flow_alone.within(limit):
        return Cause("flow", "at the new prices, the holdings of the closing before are within the limit", figures)
    alone = "neither alone breaks" if flow_alone.within(limit) else "each alone breaks"
    return Cause("price and flow", f"{alone} the limit", figures)


def share(held: Amounts, prices: Prices, *, scope: str) -> Interval:
    """Hot over all: of one asset in coins, of all in value."""
    parts = {
        tier: total(_worth(one, asset, prices=prices, scope=scope) for (asset, of), one in held.items() if of is tier)
        for tier in Tier
    }
    return parts[Tier.HOT].share_with(parts[Tier.WARM] + parts[Tier.COLD])


def _worth(one: Interval, asset: str, *, prices: Prices, scope: str) -> Interval:
    if scope != ALL:
        return one if asset == scope else NOTHING
    return one.times(prices.get(asset, Interval(Decimal(0), None, None)))


def _amounts(exposure: Exposure) -> Amounts:
    return {
        (asset, tier): held.amount
        for (asset, tier, owner), held in exposure.holdings.items()
        if owner is Owner.CUSTOMER
    }


def _prices(stated: Mapping[str, Stated]) -> Prices:
    return {asset: one.value for asset, one in stated.items()}


def _seen(snapshot: Snapshot) -> tuple[Amounts, Prices]:
    """Holdings and prices of a snapshot; a custodian's stand among the holdings."""
    held: dict[tuple[str, Tier], Interval] = {}
    prices: dict[str, Interval] = {}
    for (metric, scope), figure in snapshot.figures.items():
        if metric == "price":
            prices[scope] = _interval(figure)
        if metric == "holdings":
            asset, tier, owner = scope.rsplit("/", 2)
            if owner == Owner.CUSTOMER:
                held[asset, Tier(tier)] = _interval(figure)
    return held, prices


def _interval(figure: Figure) -> Interval:
    return Interval(figure.low, figure.value, figure.high)


def _reconfigured(policy: str, before: Closed, after: Closed | None) -> bool:
    if after is None:
        return False
    rules = [next((one for one in of.raw["rules"] if one["policy"] == policy), None) for of in (before, after)]
    both = before.roles.keys() & after.roles.keys()
    return rules[0] != rules[1] or any(before.roles[name] != after.roles[name] for name in both)


def _unknown(why: str) -> Cause:
    return Cause("unknown", why, {})
