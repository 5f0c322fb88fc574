"""What the configuration of the sources means to the book that keeps what they say."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from functools import cached_property

from daemon.feeds.ageing import NEVER, Ageing
from daemon.feeds.quotes import FIRST, Quoting
from daemon.feeds.source import SUM
from daemon.feeds.values import FeedKind
from daemon.model import Tier

SourceKey = tuple[FeedKind, str]
"""What is asked for, and who is asked."""

CALLED = {FeedKind.PRICES: "price", FeedKind.RATES: "rate", FeedKind.LIABILITIES: "liabilities"}
"""How verdicts call what a feed says of a name."""


@dataclass(frozen=True, slots=True)
class SourcePlan:
    """One source. `currency` is what its money is in, None for the entity's; `currencies` of single names, where they
    are in another one.

    `assets` is what it is to speak of, empty for whatever there is; `fixed` what it says where that stands in the
    configuration itself. `identity` is whatever else it is asked by: when any of it changes, it is another source.
    """

    feed: FeedKind
    name: str
    ageing: Ageing = NEVER
    currency: str | None = None
    currencies: Mapping[str, str] = field(default_factory=dict)
    assets: frozenset[str] = frozenset()
    fixed: Mapping[str, Decimal] | None = None
    custodian: str = ""
    tier: Tier = Tier.COLD
    identity: object = None

    @property
    def key(self) -> SourceKey:
        return self.feed, self.name

    @property
    def by_name(self) -> bool:
        """Whether each name lives for itself: one price that is missing says nothing of the others."""
        return self.feed in (FeedKind.PRICES, FeedKind.RATES)

    def currency_of(self, name: str) -> str | None:
        """What the number of this name is in; None for the entity's, and for coins."""
        return self.currencies.get(name, self.currency)

    def cause(self, name: str) -> str:
        """What verdicts and alerts call it that `name` is not known."""
        match self.feed:
            case FeedKind.CUSTODIANS:
                return f"custodian:{self.custodian}"
            case FeedKind.APPROVALS:
                return f"approvals:{self.name}"
            case FeedKind.FUND:
                return "reserve:fund"
            case FeedKind.VOLUME:
                return "volume"
            case _:
                return f"{CALLED[self.feed]}:{name}"


@dataclass(frozen=True, slots=True)
class Insured:
    """What an insurer pays at most, in the entity's currency; nothing any more from `ends` on."""

    limit: Decimal
    ends: datetime | None = None


@dataclass(frozen=True)
class Plan:
    """All sources, each feed's in the order of trust. `assets` are those of the configuration.

    `fund` and `volume` are sums that stand in the configuration itself, in the entity's currency; `written` are the
    foreign currencies in which rules write amounts.
    """

    sources: tuple[SourcePlan, ...] = ()
    quoting: Quoting = FIRST
    fund: Decimal | None = None
    volume: Decimal | None = None
    insured: tuple[Insured, ...] = ()
    assets: frozenset[str] = frozenset()
    written: frozenset[str] = frozenset()

    @cached_property
    def owed(self) -> frozenset[str]:
        """The assets that a source of liabilities is to speak of."""
        named = (plan.assets or self.assets for plan in self.sources if plan.feed is FeedKind.LIABILITIES)
        return frozenset().union(*named)

    @cached_property
    def causes(self) -> Mapping[SourceKey, tuple[str, ...]]:
        """What each source is to say, in the words of verdicts; nothing where that stands in the configuration."""
        return {
            plan.key: tuple(sorted({plan.cause(name) for name in self.names(plan)})) if plan.fixed is None else ()
            for plan in self.sources
        }

    @cached_property
    def approving(self) -> frozenset[SourceKey]:
        """The sources of approvals. They are no alternatives: what any of them names is approved."""
        return frozenset(plan.key for plan in self.sources if plan.feed is FeedKind.APPROVALS)

    def names(self, source: SourcePlan) -> frozenset[str]:
        """The names that this source may speak of."""
        match source.feed:
            case FeedKind.RATES:
                return self.currencies
            case FeedKind.FUND | FeedKind.VOLUME | FeedKind.APPROVALS:
                return frozenset((SUM,))
            case _:
                return source.assets or self.assets

    @cached_property
    def currencies(self) -> frozenset[str]:
        """The foreign currencies whose rates are wanted: something is quoted in them, or a rule written."""
        quoted = [plan for plan in self.sources if plan.by_name]
        named = {currency for plan in quoted for currency in plan.currencies.values()}
        return frozenset(named | {plan.currency for plan in quoted if plan.currency is not None} | self.written)
