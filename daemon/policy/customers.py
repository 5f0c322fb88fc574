"""What customers have and are owed, as a rule counts it: by tiers, in coins or in value, at spot or averaged prices."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum

from daemon.coverage import kept
from daemon.exposure import ALL
from daemon.feeds.values import Stated
from daemon.interval import NOTHING, UNKNOWN, Interval, total
from daemon.model import Owner, Tier
from daemon.policy.rule import Picture


class ValuedAt(StrEnum):
    """Today's prices, or the mean of daily averages over the year that ended with the month before."""

    SPOT = "spot"
    TRAILING_YEAR = "trailing-year"


@dataclass(frozen=True, slots=True)
class Prices:
    """What one coin of each asset counts for. Where it is not known, `missing` or else `sort` says what to blame."""

    of: Mapping[str, Stated]
    sort: str
    missing: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def at(cls, valued: ValuedAt, picture: Picture) -> "Prices":
        if valued is ValuedAt.TRAILING_YEAR:
            return cls(picture.feeds.trailing, "trailing")
        return cls(picture.feeds.prices, "price", picture.feeds.unpriced)

    def price(self, asset: str) -> Interval:
        return self.of[asset].value if asset in self.of else UNKNOWN

    def cause(self, asset: str) -> str:
        return self.missing.get(asset, f"{self.sort}:{asset}")

    def least(self, asset: str) -> Decimal:
        """What one coin is worth for certain."""
        return self.price(asset).low


@dataclass(frozen=True, slots=True)
class Sum:
    """A number of coins or an amount of money; `causes` name what keeps it from being known."""

    measured: Interval = NOTHING
    causes: frozenset[str] = frozenset()

    def __add__(self, other: "Sum") -> "Sum":
        return Sum(self.measured + other.measured, self.causes | other.causes)

    def times(self, rate: Decimal) -> "Sum":
        return Sum(self.measured.times(Interval.exactly(rate)), self.causes)

    def at_least(self, floor: "Sum") -> "Sum":
        return self._chosen(self.measured.at_least(floor.measured), beside=floor)

    def at_most(self, cap: "Sum") -> "Sum":
        return self._chosen(self.measured.at_most(cap.measured), beside=cap)

    def _chosen(self, measured: Interval, *, beside: "Sum") -> "Sum":
        return Sum(measured, self.causes | beside.causes if measured.value is None else frozenset())

    @classmethod
    def of(cls, parts: Iterable["Sum"]) -> "Sum":
        found = list(parts)
        return cls(total(part.measured for part in found), frozenset().union(*(part.causes for part in found)))


def held(picture: Picture, *, scope: str, tiers: Collection[Tier], prices: Prices) -> Sum:
    """What customers have in these tiers: of one asset in coins, of everything in value."""
    if scope == ALL:
        return Sum.of(
            held_of(picture, asset, tiers=tiers, prices=prices) for asset in sorted(customers_assets(picture))
        )
    return held_of(picture, scope, tiers=tiers, prices=None)


def held_of(picture: Picture, asset: str, *, tiers: Collection[Tier], prices: Prices | None) -> Sum:
    """What customers have of one asset in these tiers, in coins, or in value when there are prices."""
    amount, causes = kept(picture.exposure, asset, owner=Owner.CUSTOMER, tiers=frozenset(tiers))
    return _valued(asset, amount, causes=causes, prices=prices)


def owed(picture: Picture, *, scope: str, prices: Prices) -> Sum:
    """What customers are owed: of one asset in coins, of everything that they have or are owed in value.

    What a source is to speak of and does not is unknown, also where no wallet of customers is to hold it.
    """
    if scope == ALL:
        assets = customers_assets(picture) | picture.feeds.liabilities.keys() | picture.coverage.backing.keys()
        return Sum.of(owed_of(picture, asset, prices=prices) for asset in sorted(assets))
    return owed_of(picture, scope, prices=None)


def owed_of(picture: Picture, asset: str, *, prices: Prices | None) -> Sum:
    """What customers are owed of one asset, in coins, or in value when there are prices."""
    stated = picture.feeds.liabilities.get(asset)
    coins = UNKNOWN if stated is None else stated.value
    return _valued(asset, coins, causes=(f"liabilities:{asset}",) if coins.value is None else (), prices=prices)


def customers_assets(picture: Picture) -> set[str]:
    """The assets that customers may have."""
    return {asset for asset, _, owner in picture.exposure.holdings if owner is Owner.CUSTOMER}


def _valued(asset: str, coins: Interval, *, causes: Iterable[str], prices: Prices | None) -> Sum:
    if prices is None:
        return Sum(coins, frozenset(causes))
    price = prices.price(asset)
    unpriced = price.value is None and coins != NOTHING
    return Sum(coins.times(price), frozenset(causes) | ({prices.cause(asset)} if unpriced else set()))
