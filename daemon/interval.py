"""Numbers with what is not known about them: exact decimals, two bounds, and a value only when all of it is read."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from decimal import Context, Decimal, localcontext

EXACT = Context(prec=220)
"""Sums and products of units (≤ 78 digits) and prices are exact in it, and a quotient of two such numbers can't be
rounded across a limit: two different fractions with denominators below 10**110 differ by more than 10**-220."""

ZERO = Decimal(0)
ONE = Decimal(1)


def amount(units: int, *, decimals: int) -> Decimal:
    """Whole coins from smallest units, exactly."""
    return Decimal(units).scaleb(-decimals, EXACT)


@dataclass(frozen=True, slots=True)
class Interval:
    """A number between `low` and `high` (None: nobody knows how high); `value` is None when any part is unread.

    Never negative: it counts coins, money or shares of them.
    """

    low: Decimal
    value: Decimal | None
    high: Decimal | None

    @classmethod
    def exactly(cls, value: Decimal) -> Interval:
        return cls(value, value, value)

    def __add__(self, other: Interval) -> Interval:
        return Interval(
            EXACT.add(self.low, other.low),
            None if self.value is None or other.value is None else EXACT.add(self.value, other.value),
            None if self.high is None or other.high is None else EXACT.add(self.high, other.high),
        )

    def times(self, factor: Interval) -> Interval:
        """The product; zero times an unknown is zero, because nothing of anything is worth nothing."""
        if NOTHING in (self, factor):
            return NOTHING
        return Interval(
            EXACT.multiply(self.low, factor.low),
            None if self.value is None or factor.value is None else EXACT.multiply(self.value, factor.value),
            None if self.high is None or factor.high is None else EXACT.multiply(self.high, factor.high),
        )

    def at_least(self, floor: Interval) -> Interval:
        """The larger of the two; known where one is certainly larger than whatever the other may be."""
        high = None if self.most is None or floor.most is None else max(self.most, floor.most)
        return Interval._between(max(self.low, floor.low), high, one=self.value, other=floor.value, pick=max)

    def at_most(self, cap: Interval) -> Interval:
        """The smaller of the two; known where one is certainly smaller than whatever the other may be."""
        highs = [part.most for part in (self, cap) if part.most is not None]
        return Interval._between(
            min(self.low, cap.low), min(highs, default=None), one=self.value, other=cap.value, pick=min
        )

    @classmethod
    def _between(
        cls,
        low: Decimal,
        high: Decimal | None,
        *,
        one: Decimal | None,
        other: Decimal | None,
        pick: Callable[[Decimal, Decimal], Decimal],
    ) -> Interval:
        known = low if low == high else None
        return cls(low, known if one is None or other is None else pick(one, other), high)

    def share_with(self, rest: Interval) -> Interval:
        """self / (self + rest), each bound taken where it is worst; the share of nothing in nothing is 0.

        An unread part of an unread whole may be all of it, even when what was read last was nothing: no growth of zero
        says otherwise.
        """
        value = None
        if self.value is not None and rest.value is not None:
            value = _share(self.value, rest.value)
        low = ZERO if rest.high is None else _share(self.low, rest.high)
        high = ONE
        if self.high is not None and not (self.value is None and self.high == rest.low == ZERO):
            high = _share(self.high, rest.low)
        return Interval(low, value, high)

    def over(self, whole: Interval) -> Interval:
        """self / whole, each bound taken where it is worst; nobody knows how high over what may be nothing.

        What is unread may be anything, even when what was read last was nothing. ValueError for a whole that is
        certainly nothing.
        """
        if whole == NOTHING:
            raise ValueError("a ratio to nothing")
        value = None
        if self.value is not None and whole.value:
            value = EXACT.divide(self.value, whole.value)
        low = ZERO if whole.most is None else EXACT.divide(self.low, whole.most)
        high = None if self.most is None or not whole.low else EXACT.divide(self.most, whole.low)
        return Interval(low, value, high)

    @property
    def most(self) -> Decimal | None:
        """The highest that it may be: what was nothing when it was read last and can't be read now may be anything."""
        return None if self.value is None and self.high == ZERO else self.high

    def above(self, limit: Decimal) -> bool:
        """Whether even the lowest possibility is over the limit."""
        return self.low > limit

    def within(self, limit: Decimal) -> bool:
        """Whether even the highest possibility is not over the limit."""
        return self.high is not None and self.high <= limit


NOTHING = Interval.exactly(ZERO)
UNKNOWN = Interval(ZERO, None, None)


def total(parts: Iterable[Interval]) -> Interval:
    """The sum, NOTHING for no parts."""
    result = NOTHING
    for part in parts:
        result = result + part
    return result


def _share(part: Decimal, rest: Decimal) -> Decimal:
    whole = EXACT.add(part, rest)
    return EXACT.divide(part, whole) if whole else ZERO


def plain(value: Decimal, *, places: int = 18) -> str:
    """Decimal text without an exponent and without trailing zeros, rounded half-even to at most `places` places."""
    with localcontext(EXACT):
        rounded = round(value, places)
        text = f"{rounded:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text
