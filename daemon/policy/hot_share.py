"""`hot_share`: no more than so much of the customers' assets may be hot."""

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import Literal

from pydantic import Field, model_validator

from connectors.config import Strict
from daemon.exposure import ALL
from daemon.feeds.money import MoneyText
from daemon.interval import EXACT, NOTHING, ONE, ZERO, Interval
from daemon.model import Judgement, Move, Owner, Tier, Verdict
from daemon.policy.cover import HotTiers, all_chains, chains_of
from daemon.policy.customers import Prices, Sum, ValuedAt, customers_assets, held, owed
from daemon.policy.money import converted
from daemon.policy.rule import Picture, Rule, judgement, percent
from daemon.policy.stopping import holders
from daemon.policy.transfers import TO_COLD, coin, drawn, purses
from daemon.policy.zone import ZoneName

ALERT = "PyrometerHotShareHigh"
TYPEABLE = 6
"""Places of an amount to move: a person can type it."""


class SmallLimit(Strict):
    """Another limit for whoever keeps little."""

    limit: Decimal = Field(gt=0, lt=1, description="the largest allowed share then")
    until: MoneyText = Field(description="while customers' assets are worth no more than this")


class HotShare(Rule):
    """Breach when hot / (hot + warm + cold) of customers' assets exceeds `limit`; exactly the limit is not a breach."""

    kind: Literal["hot_share"]
    limit: Decimal = Field(gt=0, lt=1, description="the largest allowed share, such as 0.05")
    of: Literal["holdings", "owed"] = Field(
        "holdings", description="holdings: share of what customers have; owed: of what they are owed"
    )
    scope: Literal["all", "asset", "both"] = Field(
        "all", description="all: one test on the value of everything; asset: one test per asset, in units; both"
    )
    assets: tuple[str, ...] = Field((), description="with scope asset: only these; default: every asset")
    tiers: HotTiers = Field((Tier.HOT,), min_length=1, description="what counts as hot: hot, warm or both")
    valuation: ValuedAt = Field(ValuedAt.SPOT, description="spot: prices of today; trailing-year: averaged, as in law")
    timezone: ZoneName = Field("UTC", description="with trailing-year: where its days and months begin")
    limit_when_small: SmallLimit | None = Field(None, description="another limit for whoever keeps little")
    hysteresis: Decimal = Field(
        Decimal("0.02"), ge=0, lt=1, description="it is over only below limit × (1 − hysteresis)"
    )

    @model_validator(mode="after")
    def _assets_of_a_test_per_asset(self) -> "HotShare":
        if self.assets and self.scope == "all":
            raise ValueError("assets belongs to scope asset or both: one test on everything leaves none out")
        return self


def judge(rule: HotShare, picture: Picture, *, policy: str) -> Iterator[Verdict]:
    """One verdict per scope that the rule names."""
    limits = _limits(rule, picture)

    def made(scope: str) -> Verdict:
        return _verdict(rule, picture, policy=policy, scope=scope, limits=limits)

    if rule.scope in ("all", "both"):
        yield made(ALL)
    if rule.scope in ("asset", "both"):
        assets = [asset for asset in customers_assets(picture) if not rule.assets or asset in rule.assets]
        each = [(found, assets) for found in (picture.exposure.by_asset, picture.feeds.liabilities)]
        rests_on = (rule, limits.strict, limits.loose, *sorted(limits.causes))
        yield from picture.memory.verdicts(policy, made, of=assets, each=each, all_rest_on=rests_on)


def _verdict(rule: HotShare, picture: Picture, *, policy: str, scope: str, limits: "_Limits") -> Verdict:
    share, causes = _share(rule, picture, scope=scope)
    found = _judged(share, limits)
    limit = percent(Interval.exactly(limits.strict))
    what = "customers' assets" if scope == ALL else f"customers' {scope}"
    against = "" if rule.of == "holdings" else ", over what customers are owed,"
    told = "a share of nothing" if share is None else percent(share, beside=limits.strict)
    relation = {Judgement.BREACH: "over", Judgement.OK: "within", Judgement.UNKNOWN: "unknown against"}[found]
    return Verdict(
        policy=policy,
        subject=scope,
        alert=ALERT,
        severity=rule.severity,
        judgement=found,
        summary=f"The hot share of {what}{against} is {told}, {relation} the limit of {limit}",
        cleared=share is not None and share.within(_clear(rule, limits.strict)),
        measured=share,
        limit=limits.strict,
        causes=tuple(sorted(causes | limits.causes)),
        moves=tuple(_moves(rule, picture, scope=scope, limit=limits.strict)) if found is Judgement.BREACH else (),
        chains=all_chains(picture) if scope == ALL else chains_of(picture, [scope]),
        wallets=holders(rule, picture, scope=scope),
    )


@dataclass(frozen=True, slots=True)
class _Limits:
    """The limits that may hold, the `strict` one and the `loose` one; `causes` keep us from knowing which."""

    strict: Decimal
    loose: Decimal
    causes: frozenset[str] = frozenset()


def _limits(rule: HotShare, picture: Picture) -> _Limits:
    """How much customers have, or are owed, decides which limit holds."""
    small = rule.limit_when_small
    if small is None:
        return _Limits(rule.limit, rule.limit)
    prices = Prices.at(rule.valuation, picture)
    everything = held(picture, scope=ALL, tiers=tuple(Tier), prices=prices)
    if rule.of == "owed":
        everything = owed(picture, scope=ALL, prices=prices)
    until = converted(small.until, picture)
    if everything.measured.most is not None and everything.measured.most <= until.measured.low:
        return _Limits(small.limit, small.limit)
    if until.measured.most is not None and everything.measured.low > until.measured.most:
        return _Limits(rule.limit, rule.limit)
    return _Limits(min(rule.limit, small.limit), max(rule.limit, small.limit), causes=everything.causes | until.causes)


def _share(rule: HotShare, picture: Picture, *, scope: str) -> tuple[Interval | None, frozenset[str]]:
    """The share and what keeps it from being known; None when something is hot and customers are owed nothing."""
    if (rule.of, rule.valuation, rule.tiers) == ("holdings", ValuedAt.SPOT, (Tier.HOT,)):
        return picture.exposure.hot_share[scope], frozenset(picture.exposure.causes[scope])
    hot, beside = _parts(rule, picture, scope=scope)
    causes = hot.causes | beside.causes
    if rule.of == "holdings":
        return hot.measured.share_with(beside.measured), causes
    if beside.measured == NOTHING:
        return (None if hot.measured.low else Interval(ZERO, hot.measured.value, hot.measured.value)), causes
    return hot.measured.over(beside.measured), causes


def _parts(rule: HotShare, picture: Picture, *, scope: str) -> tuple[Sum, Sum]:
    """What is hot, and beside it the rest of what customers have, or what they are owed."""
    prices = Prices.at(rule.valuation, picture)
    hot = held(picture, scope=scope, tiers=rule.tiers, prices=prices)
    if rule.of == "owed":
        return hot, owed(picture, scope=scope, prices=prices)
    rest = [tier for tier in Tier if tier not in rule.tiers]
    return hot, held(picture, scope=scope, tiers=rest, prices=prices)


def _judged(share: Interval | None, limits: _Limits) -> Judgement:
    if share is None:
        return Judgement.BREACH
    return judgement(breach=share.above(limits.loose), ok=share.within(limits.strict))


def _clear(rule: HotShare, limit: Decimal) -> Decimal:
    return EXACT.multiply(limit, EXACT.subtract(ONE, rule.hysteresis))


def _moves(rule: HotShare, picture: Picture, *, scope: str, limit: Decimal) -> list[Move]:
    """Transfers into cold that bring the share to where the finding clears, with the worst case for what is unread.

    A move changes the hot part, but neither the whole nor what is owed: excess = hot − clear limit × whole.
    """
    hot, beside = (part.measured for part in _parts(rule, picture, scope=scope))
    if hot.most is None or (rule.of == "holdings" and beside.most is None):
        return []
    whole = EXACT.add(hot.most, beside.low) if rule.of == "holdings" else beside.low
    excess = EXACT.subtract(hot.most, EXACT.multiply(_clear(rule, limit), whole))
    worth = Prices.at(rule.valuation, picture).least if scope == ALL else coin
    asset = None if scope == ALL else scope
    held_hot = purses(picture, owner=Owner.CUSTOMER, tiers=rule.tiers, asset=asset)
    return drawn(held_hot, needed=excess, worth=worth, to=TO_COLD, most_places=TYPEABLE)[0]
