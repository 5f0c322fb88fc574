"""What rules need of the sources outside the chains: one that can never be judged is a mistake in the configuration."""

from collections.abc import Collection, Iterable, Iterator

from daemon.document import Keys
from daemon.feeds.config import FeedsConfig
from daemon.feeds.money import Money
from daemon.policy import RuleConfig
from daemon.policy.backing import Backing
from daemon.policy.customers import ValuedAt
from daemon.policy.hot_share import HotShare
from daemon.policy.reserve import ReserveRule
from daemon.policy.unmatched_outflow import UnmatchedOutflow

Need = tuple[Keys, str]
"""The key of the rule, and what is missing for it."""

MATCHING = frozenset(("unmatched_outflow",))
"""The kinds of rules that match payments with approvals."""


def unmet(
    rule: RuleConfig,
    *,
    feeds: FeedsConfig,
    assets: Collection[str],
    currency: str,
    rated: Collection[str] | None,
) -> Iterator[Need]:
    """What a rule needs and no source gives.

    `assets` are all configured ones, `currency` is the entity's, `rated` those that a rate is asked of: None when a
    source answers for whatever it knows.
    """
    match rule:
        case Backing():
            yield from _liabilities(rule, feeds=feeds, assets=assets)
        case HotShare(of="owed") if not feeds.liabilities:
            yield ("of",), "feeds.liabilities has no source, so nobody knows what customers are owed"
        case ReserveRule():
            yield from _money(rule, feeds=feeds)
        case UnmatchedOutflow() if not feeds.approvals:
            yield ("kind",), "feeds.approvals has no source, so nobody knows which withdrawals are approved"
    for keys, money in _amounts(rule):
        if rated is not None and money.currency not in (None, currency, *rated):
            yield keys, f"feeds.rates has no source of {money.currency}, so it can't be counted in {currency}"


def currencies(rules: Iterable[RuleConfig]) -> set[str]:
    """The currencies in which rules write amounts."""
    return {money.currency for rule in rules for _, money in _amounts(rule) if money.currency is not None}


def averaging_zones(rules: Collection[RuleConfig]) -> set[str]:
    """The time zones in which rules average prices by the day and the month."""
    averaging = [rule for rule in rules if isinstance(rule, HotShare | ReserveRule)]
    return {rule.timezone for rule in averaging if rule.valuation is ValuedAt.TRAILING_YEAR}


def _liabilities(rule: Backing, *, feeds: FeedsConfig, assets: Collection[str]) -> Iterator[Need]:
    if not feeds.liabilities:
        yield ("kind",), "feeds.liabilities has no source, so nobody knows what customers are owed"
        return
    told = {asset for source in feeds.liabilities for asset in source.assets or assets}
    for place, asset in enumerate(rule.assets):
        if asset in assets and asset not in told:
            yield ("assets", place), f"no source in feeds.liabilities speaks of {asset}"


def _money(rule: ReserveRule, *, feeds: FeedsConfig) -> Iterator[Need]:
    if feeds.reserves.fund is None and not feeds.reserves.insurance:
        yield ("kind",), "feeds.reserves names neither a fund nor an insurance, so there is nothing to compare"
    if rule.volume_rate and feeds.volume is None:
        yield ("volume_rate",), "feeds.volume is missing, so nobody knows what is traded in a year"


def _amounts(rule: RuleConfig) -> Iterator[tuple[Keys, Money]]:
    if isinstance(rule, HotShare) and rule.limit_when_small is not None:
        yield ("limit_when_small", "until"), rule.limit_when_small.until
    if isinstance(rule, ReserveRule):
        for key, money in (("required", rule.required), ("floor", rule.floor), ("cap", rule.cap)):
            if money is not None:
                yield (key,), money
