"""The `feeds:` section of the configuration."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Literal, Self

from pydantic import Field, model_validator

from connectors.config import Strict
from daemon.feeds.approvals import ApprovalFeed
from daemon.feeds.custodians import CustodianFeed
from daemon.feeds.liabilities import LiabilitiesFeed
from daemon.feeds.prices import PriceFeed
from daemon.feeds.reserves import FundFeed, ReservesConfig, Volume, VolumeFeed
from daemon.feeds.values import FeedKind

AnyFeed = PriceFeed | LiabilitiesFeed | CustodianFeed | FundFeed | VolumeFeed | ApprovalFeed
"""The settings of any source."""


@dataclass(frozen=True, slots=True)
class Source:
    """A configured source: the feed that it is one of, its name there, its settings and their place in the file."""

    feed: FeedKind
    name: str
    config: AnyFeed
    keys: tuple[str | int, ...]


class QuotesConfig(Strict):
    """How one price is made of several."""

    take: Literal["first", "median"] = Field(
        "first", description="first: of the first source that has it current; median: of all that have"
    )
    at_least: int = Field(1, ge=1, description="how many sources must have a price current for it to be known")
    max_jump: Decimal = Field(
        Decimal(10),
        gt=1,
        le=1_000_000,
        description="a price that is so many times the one before, or a part, is withheld",
    )


class FeedsConfig(Strict):
    """Sources from outside the chains; those of one feed stand in order of trust, but for those of approvals, which add
    up."""

    prices: tuple[PriceFeed, ...] = Field((), description="what the assets cost")
    rates: tuple[PriceFeed, ...] = Field(
        (), description="what one unit of other currencies costs in the entity's; their names stand for assets'"
    )
    daily_prices: Path | None = Field(
        None,
        description="a CSV file of daily averages, asset,day,price, of the time before they were counted here",
    )
    quotes: QuotesConfig = Field(QuotesConfig(), description="how one price is made of several")
    liabilities: tuple[LiabilitiesFeed, ...] = Field((), description="what customers are owed")
    custodians: tuple[CustodianFeed, ...] = Field((), description="what third parties keep, by their attestation")
    reserves: ReservesConfig = Field(ReservesConfig(), description="money set aside, and insurance")
    volume: Volume | None = Field(
        None, description="money traded in the year: a sum, or sources of it in order of trust"
    )
    approvals: tuple[ApprovalFeed, ...] = Field(
        (), description="which withdrawals the exchange has approved; what any of the sources names is"
    )

    @model_validator(mode="after")
    def _told_apart(self) -> Self:
        seen: set[tuple[FeedKind, str]] = set()
        for source in self.sources:
            if (source.feed, source.name) in seen:
                raise ValueError(
                    f"two sources of {source.feed} are called {source.name}; give each a `name` of its own"
                )
            seen.add((source.feed, source.name))
        return self

    @property
    def sources(self) -> tuple[Source, ...]:
        """Every source, feed by feed, each in order of trust. Sums that stand in the configuration are none."""
        return tuple(self._sources())

    @property
    def currencies(self) -> frozenset[str]:
        """In which some source states prices, as far as they are named: those whose rate may be asked for."""
        stated = {feed.currency for feed in self.prices}
        return frozenset(currency for currency in stated if currency is not None)

    def _sources(self) -> Iterator[Source]:
        yield from _named(FeedKind.PRICES, self.prices, keys=("prices",))
        yield from _named(FeedKind.RATES, self.rates, keys=("rates",))
        yield from _named(FeedKind.LIABILITIES, self.liabilities, keys=("liabilities",))
        yield from _named(FeedKind.CUSTODIANS, self.custodians, keys=("custodians",))
        if isinstance(self.reserves.fund, tuple):
            yield from _named(FeedKind.FUND, self.reserves.fund, keys=("reserves", "fund"))
        if isinstance(self.volume, tuple):
            yield from _named(FeedKind.VOLUME, self.volume, keys=("volume",))
        yield from _named(FeedKind.APPROVALS, self.approvals, keys=("approvals",))


def _named(feed: FeedKind, configs: Sequence[AnyFeed], *, keys: tuple[str, ...]) -> Iterator[Source]:
    """A source without a name is called as its kind, and numbered from 1 where several of them have none."""
    nameless = [config.kind for config in configs if not config.name]
    numbers: dict[str, int] = {}
    for place, config in enumerate(configs):
        name = config.name
        if not name:
            number = numbers[config.kind] = numbers.get(config.kind, 0) + 1
            name = config.kind if nameless.count(config.kind) == 1 else f"{config.kind}-{number}"
        yield Source(feed, name, config, ("feeds", *keys, place))
