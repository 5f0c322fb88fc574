"""One price from the quotes of several sources. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from itertools import combinations
from typing import Literal

from daemon.feeds.values import Stated
from daemon.interval import EXACT, Interval

HALF = Decimal("0.5")


@dataclass(frozen=True, slots=True)
class Quoting:
    """`take` the first source in the order of trust, or the median of all; at least so many must be current.

    A number `max_jump` times the last one of the same source, or 1/`max_jump` of it, is a jump.
    """

    take: Literal["first", "median"] = "first"
    at_least: int = 1
    max_jump: Decimal = Decimal(10)

    def jumps(self, before: Decimal, after: Decimal) -> bool:
        """Whether nobody may believe this step without a second opinion."""
        up = after >= EXACT.multiply(before, self.max_jump)
        return up or EXACT.multiply(after, self.max_jump) <= before

    def confirms(self, other: Decimal, *, before: Decimal, after: Decimal) -> bool:
        """Whether what another source says makes a jump believable: it is near what comes after, and nearer to that
        than to what was before. A source that has not moved would else confirm whatever is just a jump away from it.
        """
        squared, between = EXACT.multiply(other, other), EXACT.multiply(before, after)
        nearer = squared > between if after > before else squared < between
        return nearer and not self.jumps(after, other)


FIRST = Quoting()


@dataclass(frozen=True, slots=True)
class Quote:
    """What a source says of a price, in the entity's currency; its value is None when it is not current."""

    source: str
    price: Interval
    at: datetime


def combined(quotes: Sequence[Quote], *, by: Quoting) -> Stated | None:
    """The price that counts, of quotes in the order of trust; None when too few are known.

    With too few current ones, those that are known to a tolerance help out, and there are bounds but no value.
    """
    current = [quote for quote in quotes if quote.price.value is not None]
    if len(current) < max(1, by.at_least):
        return tightest(quotes, count=max(1, by.at_least))
    if by.take == "first" or len(current) == 1:
        return Stated(current[0].price, source=current[0].source, at=current[0].at)
    return _stated(median(quote.price.low for quote in current), current)


def tightest(quotes: Sequence[Quote], *, count: int = 1) -> Stated | None:
    """The narrowest bounds around `count` of the quotes; None for fewer quotes.

    The narrowest, because then no quote that drops out can make anything look better known than it was before.
    """
    groups = [(_hull(group), group) for group in combinations(quotes, count)]
    if not groups:
        return None
    bounds, group = min(groups, key=lambda found: EXACT.subtract(found[0][1], found[0][0]))
    return _stated(Interval(bounds[0], None, bounds[1]), group)


def median(values: Iterable[Decimal]) -> Interval:
    """Of an even number the mean of the two in the middle, exactly."""
    ordered = sorted(values)
    middle = len(ordered) // 2
    if len(ordered) % 2:
        return Interval.exactly(ordered[middle])
    return Interval.exactly(EXACT.multiply(EXACT.add(ordered[middle - 1], ordered[middle]), HALF))


def _hull(quotes: Iterable[Quote]) -> tuple[Decimal, Decimal]:
    prices = [quote.price for quote in quotes]
    return min(price.low for price in prices), max(price.high for price in prices if price.high is not None)


def _stated(price: Interval, quotes: Sequence[Quote]) -> Stated:
    """As old as the oldest that it rests on."""
    return Stated(price, source=", ".join(quote.source for quote in quotes), at=min(quote.at for quote in quotes))
