"""What customers have and are owed, as a rule counts it: by tiers, in coins or in value, at spot or averaged prices."""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum

from daemon.coverage import kept
from daemon.exposure import ALL
from daemon.feeds.values import Stated
from daemon.interval import NOTHING, UNKNOWN, Interval
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


def held(picture: Picture, *, scope: str, tiers: Collection[Tier], prices: Prices) -> Sum:
    """What customers have in these tiers: of one asset in coins, of everything in value."""
    if scope != ALL:
        return held_of(picture, scope, tiers=tiers, prices=None)
    return whole(
        picture,
        customers_assets(picture),
        part=lambda asset: held_of(picture, asset, tiers=tiers, prices=prices),
        key=("held", frozenset(tiers)),
        prices=prices,
    )


def held_of(picture: Picture, asset: str, *, tiers: Collection[Tier], prices: Prices | None) -> Sum:
    """What customers have of one asset in these tiers, in coins, or in value when there are prices."""
    amount, causes = kept(picture.exposure, asset, owner=Owner.CUSTOMER, tiers=frozenset(tiers))
    return _valued(asset, amount, causes=causes, prices=prices)


def owed(picture: Picture, *, scope: str, prices: Prices) -> Sum:
    """What customers are owed: of one asset in coins, of everything that they have or are owed in value.

    What a source is to speak of and does not is unknown, also where no wallet of customers is to hold it.
    """
    if scope != ALL:
        return owed_of(picture, scope, prices=None)
    return whole(
        picture,
        sorted({*customers_assets(picture), *picture.feeds.liabilities, *picture.coverage.backing}),
        part=lambda asset: owed_of(picture, asset, prices=prices),
        key=("owed",),
        prices=prices,
    )


def owed_of(picture: Picture, asset: str, *, prices: Prices | None) -> Sum:
    """What customers are owed of one asset, in coins, or in value when there are prices."""
    stated = picture.feeds.liabilities.get(asset)
    coins = UNKNOWN if stated is None else stated.value
    return _valued(asset, coins, causes=(f"liabilities:{asset}",) if coins.value is None else (), prices=prices)


def customers_assets(picture: Picture) -> Sequence[str]:
    """The assets that customers may have, in order."""
    return [scope for scope in picture.exposure.hot_share if scope != ALL]


def whole(
    picture: Picture, assets: Sequence[str], *, part: Callable[[str], Sum], key: tuple[object, ...], prices: Prices
) -> Sum:
    """The sum of a `part` of each of these assets; what a part rests on is what `key` says."""
    memory, key = picture.memory, (*key, prices.sort)
    owing, priced, missing = picture.feeds.liabilities, prices.of, prices.missing

    def summed() -> Sum:
        each = [(found, assets) for found in (picture.exposure.by_asset, owing, priced, missing)]
        parts = memory.each(key, part, of=assets, each=each)
        causes = frozenset[str]().union(*[one.causes for one in parts])
        return Sum(memory.total(key, [one.measured for one in parts]), causes)

    return memory.value(key, summed, rests_on=(picture.exposure, picture.coverage.backing, owing, priced, missing))


def _valued(asset: str, coins: Interval, *, causes: Iterable[str], prices: Prices | None) -> Sum:
    if prices is None:
        return Sum(coins, frozenset(causes))
    price = prices.price(asset)
    unpriced = price.value is None and coins != NOTHING
    return Sum(coins.times(price), frozenset(causes) | ({prices.cause(asset)} if unpriced else set()))
