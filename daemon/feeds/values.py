"""What sources outside the chains say, as the pipe takes it: exact, with its age, or not at all."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from enum import StrEnum

from daemon.interval import EXACT, NOTHING, ZERO, Interval
from daemon.model import Tier


class FeedKind(StrEnum):
    """What is asked for: prices and rates in the entity's currency, whole coins owed or kept elsewhere, money, and
    withdrawals that were approved."""

    PRICES = "prices"
    RATES = "rates"
    LIABILITIES = "liabilities"
    CUSTODIANS = "custodians"
    FUND = "fund"
    VOLUME = "volume"
    APPROVALS = "approvals"


class FeedReason(StrEnum):
    """Why a source has no current values; a metric label."""

    STARTING = "starting"
    UNAVAILABLE = "unavailable"
    TIMEOUT = "timeout"
    BAD_ANSWER = "bad_answer"
    STALE = "stale"
    MISCONFIGURED = "misconfigured"


@dataclass(frozen=True, slots=True)
class Stated:
    """What a source states: money per coin, whole coins, or money; `at` is when that was so."""

    value: Interval
    source: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Answer:
    """What one source said at one moment, checked: exact numbers by name, as of `at`.

    `withheld` says of single names why their number was not taken, in words. `merkle_root` is what the exchange has
    published of its liabilities, where the source tells it. `times` is, of prices whose source tells it for each, as of
    when each is; `at` is then the oldest of them.
    """

    values: Mapping[str, Decimal]
    at: datetime
    withheld: Mapping[str, str] = field(default_factory=dict)
    merkle_root: str | None = None
    times: Mapping[str, datetime] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Fault:
    """Why a source gave no answer, or one that can't be used."""

    reason: FeedReason
    detail: str


@dataclass(frozen=True, slots=True)
class SourceState:
    """How one source stands. `at` is as of when its newest values are; `reason` why they are not current, if so.

    `since` is when that began; `withheld` as in its newest answer, and what it said that is too far from what it said
    before. `causes` are what verdicts call it that this source is to say and does not; `leaves` those of them that
    nobody makes up for now.
    """

    feed: FeedKind
    name: str
    at: datetime | None
    reason: FeedReason | None
    detail: str
    since: datetime | None
    max_age: timedelta | None
    withheld: Mapping[str, str] = field(default_factory=dict)
    leaves: tuple[str, ...] = ()
    causes: tuple[str, ...] = ()

    @property
    def label(self) -> str:
        """What people call it."""
        return f"{self.feed.value}/{self.name}"


@dataclass(frozen=True, slots=True)
class Custody:
    """What a third party attests to keep of an asset for the exchange's customers, in whole coins."""

    custodian: str
    asset: str
    tier: Tier
    amount: Stated


@dataclass(frozen=True, slots=True)
class Spread:
    """How far apart the current quotes of an asset are: each source's, in the entity's currency.

    `withheld` says by source what was not taken; `silent` are the sources that are to speak of it, and have nothing
    current. `width` is (highest − lowest) / lowest; 0 for one quote, and for none.
    """

    quotes: Mapping[str, Decimal]
    withheld: Mapping[str, str] = field(default_factory=dict)
    silent: tuple[str, ...] = ()
    width: Decimal = field(init=False)

    def __post_init__(self) -> None:
        lowest = min(self.quotes.values(), default=ZERO)
        apart = EXACT.subtract(max(self.quotes.values(), default=ZERO), lowest)
        object.__setattr__(self, "width", EXACT.divide(apart, lowest) if apart else ZERO)


@dataclass(frozen=True, slots=True)
class Feeds:
    """Everything that the sources say at one moment. What is absent is not known.

    `prices` in the entity's currency; `rates` what one unit of another currency is worth in it; `trailing` the average
    prices of a regulatory valuation, `untrailed` how many days of its year have none, by asset; `liabilities` in whole
    coins; `fund` and `volume` in the entity's currency,
    `insurance` the cover that is in force; None where none is configured. `spreads` by asset, and `rate:<currency>`.
    `unpriced` names, of assets that have a quote and no price, what is missing beside the quote: `rate:<currency>`.
    """

    prices: Mapping[str, Stated] = field(default_factory=dict)
    rates: Mapping[str, Stated] = field(default_factory=dict)
    trailing: Mapping[str, Stated] = field(default_factory=dict)
    untrailed: Mapping[str, int] = field(default_factory=dict)
    liabilities: Mapping[str, Stated] = field(default_factory=dict)
    custody: tuple[Custody, ...] = ()
    fund: Stated | None = None
    insurance: Interval = NOTHING
    volume: Stated | None = None
    spreads: Mapping[str, Spread] = field(default_factory=dict)
    sources: tuple[SourceState, ...] = ()
    merkle_root: str | None = None
    unpriced: Mapping[str, str] = field(default_factory=dict)
