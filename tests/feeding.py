"""Small plans of sources, and what they say, for tests of the book."""

from collections.abc import Mapping
from datetime import timedelta
from decimal import Decimal

from daemon.feeds.ageing import Ageing
from daemon.feeds.book import FeedBook
from daemon.feeds.plan import Plan, SourcePlan
from daemon.feeds.quotes import Quoting
from daemon.feeds.values import Answer, Fault, FeedKind, FeedReason, Feeds
from tests.build import at

MINUTE = timedelta(minutes=1)
TIMEOUT = Fault(FeedReason.TIMEOUT, "no answer within 5s")
BAD = Fault(FeedReason.BAD_ANSWER, "two rows for BTC")


def source(
    feed: FeedKind,
    name: str,
    *,
    max_age: timedelta = MINUTE,
    tolerance: str | None = None,
    currency: str | None = None,
    assets: frozenset[str] = frozenset(),
    custodian: str = "",
    identity: object = None,
) -> SourcePlan:
    ageing = Ageing(max_age, None if tolerance is None else Decimal(tolerance))
    return SourcePlan(feed, name, ageing, currency, assets=assets, custodian=custodian, identity=identity)


def fixed(
    feed: FeedKind, name: str = "fixed", *, currencies: Mapping[str, str] | None = None, **values: str
) -> SourcePlan:
    numbers = {asset: Decimal(value) for asset, value in values.items()}
    return SourcePlan(feed, name, currencies=currencies or {}, fixed=numbers)


def book(*sources: SourcePlan, assets: str = "BTC ETH", quoting: Quoting | None = None) -> FeedBook:
    return FeedBook(Plan(sources, quoting or Quoting(), assets=frozenset(assets.split())))


def says(seconds: float, **values: str | int) -> Answer:
    """An answer as of so many seconds after noon."""
    return Answer({name: Decimal(value) for name, value in values.items()}, at(seconds))


class Told:
    """A book and its clock, in seconds after noon."""

    def __init__(self, *sources: SourcePlan, assets: str = "BTC ETH", quoting: Quoting | None = None) -> None:
        self.book = book(*sources, assets=assets, quoting=quoting)

    def hear(self, seconds: float, feed: FeedKind, name: str, **values: str | int) -> None:
        self.book.take((feed, name), says(seconds, **values), now=at(seconds))

    def fail(self, seconds: float, feed: FeedKind, name: str, fault: Fault) -> None:
        self.book.take((feed, name), fault, now=at(seconds))

    def look(self, seconds: float) -> Feeds:
        return self.book.look(at(seconds))

    def price(self, seconds: float, asset: str = "BTC") -> Decimal | None:
        stated = self.look(seconds).prices.get(asset)
        return None if stated is None else stated.value.value
