"""Whether an answer can be what was asked for: of a sum of amounts all of it or nothing, of prices each by itself."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from daemon.document import shown
from daemon.feeds.source import FeedError, Measure, Raw, Row, Unstated
from daemon.feeds.values import Answer, FeedReason
from daemon.interval import EXACT, ZERO

AHEAD = timedelta(minutes=1)
"""How far the clock of a source may be before ours."""

EARLIEST = datetime(1970, 1, 1, tzinfo=UTC)
"""Nothing that a source may know is older."""

MOST_DIGITS = 50
"""Before the point, and after it: products of two such numbers are exact in `EXACT`, and so are their comparisons."""

MOST_UNITS = 10**78
"""Smallest units, of which 256 bits hold less."""

NUMBER = re.compile(r"[+-]?[0-9]+(?:_[0-9]+)*(?:\.[0-9]+)?(?:[eE][+-]?[0-9]{1,3})?")
LONGEST = 200
LONGEST_ROOT = 200


@dataclass(frozen=True, slots=True)
class Expected:
    """What an answer is held to.

    `required` names must come and `known` ones may; `ignored` ones are dropped; any other makes it a bad answer, where
    it is not `each_by_itself`, as prices are. `decimals` are those of each asset's finest token, which units count in.
    """

    known: frozenset[str]
    required: frozenset[str] = frozenset()
    ignored: frozenset[str] = frozenset()
    decimals: Mapping[str, int] = field(default_factory=dict)
    each_by_itself: bool = False


class Flaw(Exception):
    """Why a number or a time is none, in words."""


def checked(raw: Raw, *, expected: Expected, now: datetime) -> Answer:
    """The answer, exact. `now` is when it was asked for, which it is as of when it doesn't say itself.

    FeedError with BAD_ANSWER: of amounts for any flaw; of prices only when it holds no price that was asked for.
    """
    try:
        at = as_of(raw.at, now=now)
        rows = _wanted(raw.rows, expected=expected)
        if expected.each_by_itself:
            return _prices(rows, at=at, now=now)
        answer = _whole(rows, expected=expected, at=at, now=now)
        return replace(answer, merkle_root=_root(raw.merkle_root))
    except Flaw as flaw:
        raise FeedError(FeedReason.BAD_ANSWER, str(flaw)) from None


def _wanted(rows: Iterable[Row], *, expected: Expected) -> list[tuple[str, Row]]:
    """The rows that mean something to us, with their names."""
    wanted = []
    for row in rows:
        if not isinstance(row.name, str):
            raise Flaw(f"expected a text as the name of an asset, found {shape(row.name)}")
        if row.name in expected.known:
            if row.number is not None or not expected.each_by_itself:  # a price of null is none
                wanted.append((row.name, row))
        elif row.name not in expected.ignored and not expected.each_by_itself:
            raise Flaw(f"{shown(row.name)} is none of what it is to speak of; `ignore` lists names to be dropped")
    if not wanted:
        raise Flaw("it says nothing of what was asked for")
    return wanted


def _whole(rows: Iterable[tuple[str, Row]], *, expected: Expected, at: datetime, now: datetime) -> Answer:
    values: dict[str, Decimal] = {}
    for name, row in rows:
        if name in values:
            raise Flaw(f"{name} stands twice")
        try:
            values[name] = _coins(row, decimals=expected.decimals.get(name, 0))
            at = min(at, as_of(row.at, now=now))
        except Flaw as flaw:
            raise Flaw(f"{name}: {flaw}") from None
    missing = sorted(expected.required - values.keys())
    if missing:
        more = f" and {len(missing) - 1} more" if len(missing) > 1 else ""
        raise Flaw(f"says nothing of {missing[0]}{more}")
    return Answer(values, at)


def _prices(rows: Iterable[tuple[str, Row]], *, at: datetime, now: datetime) -> Answer:
    values: dict[str, Decimal] = {}
    times: dict[str, datetime] = {}
    withheld: dict[str, str] = {}
    for name, row in rows:
        if name in values or name in withheld:
            withheld[name] = "stands twice"
            continue
        try:
            price = _price(row.number)
            times[name] = at if row.at is None else as_of(row.at, now=now)
            values[name] = price
        except Flaw as flaw:
            withheld[name] = str(flaw)
    for name in withheld.keys() & values.keys():
        del values[name], times[name]
    oldest = min(times.values(), default=at)
    return Answer(values, oldest, withheld=withheld, times={} if set(times.values()) <= {oldest} else times)


def _price(number: object) -> Decimal:
    price = exact(number)
    if not price:
        raise Flaw("0 is no price")
    return price


def _root(text: str | None) -> str | None:
    if text is not None and not 0 < len(text) <= LONGEST_ROOT:
        raise Flaw("the Merkle root is empty or too long")
    return text


def _coins(row: Row, *, decimals: int) -> Decimal:
    """Whole coins, or money, exactly."""
    number = exact(row.number, units=row.measure is Measure.UNITS)
    return number.scaleb(-decimals, EXACT) if row.measure is Measure.UNITS else number


def exact(number: object, *, units: bool = False) -> Decimal:
    """A number that is not negative, without any change in its value. Flaw."""
    value = _number(number)
    if not value.is_finite():
        raise Flaw("not a finite number")
    if value < ZERO:
        raise Flaw(f"{shape(number)} is negative")
    if not value:
        return ZERO
    if not units:
        if value.adjusted() >= MOST_DIGITS or _exponent(value) < -MOST_DIGITS:
            raise Flaw(f"a number of more than {MOST_DIGITS} digits before or after the point")
        return value
    if value.adjusted() > LONGEST or value != value.to_integral_value(context=EXACT) or value >= MOST_UNITS:
        raise Flaw(f"expected a whole number of smallest units below 10^78, found {shape(number)}")
    return Decimal(int(value))


def _number(number: object) -> Decimal:
    match number:
        case bool() | None:
            raise Flaw(f"expected a number, found {shape(number)}")
        case Decimal():
            return number
        case int():
            if abs(number) >= MOST_UNITS:
                raise Flaw("a whole number of more than 78 digits")
            return Decimal(number)
        case float():
            raise Flaw("a binary fraction, which is not exact; have it sent as a text, in SQL cast to NUMERIC or text")
        case str() if len(number) <= LONGEST and NUMBER.fullmatch(number):
            return Decimal(number)
        case Unstated(why=why):
            raise Flaw(why)
        case _:
            raise Flaw(f"expected a number, found {shape(number)}")


def _exponent(value: Decimal) -> int:
    exponent = value.as_tuple().exponent
    return exponent if isinstance(exponent, int) else 0


def as_of(at: datetime | None, *, now: datetime) -> datetime:
    """As of when it is: never later than now, however the clocks differ. Flaw."""
    if at is None:
        return now
    if at.utcoffset() is None:
        raise Flaw("its time has no time zone")
    if at < EARLIEST:  # 0001-01-01 is what programs write that have no time; there is no room before it to reckon in
        raise Flaw(f"its time is before {EARLIEST:%Y}, {at.isoformat(timespec='seconds')}")
    if at > now + AHEAD:
        raise Flaw(f"its time is in the future, {at.astimezone(now.tzinfo).isoformat(timespec='seconds')}")
    return min(at, now)


def shape(value: object) -> str:
    """The value if it is short, else its kind: a source must not be able to fill our logs."""
    match value:
        case None:
            return "nothing"
        case bool():
            return str(value).lower()
        case str():
            return shown(value)
        case int() | Decimal() if len(text := str(value)) <= MOST_DIGITS:
            return text
        case _:
            return "a mapping" if isinstance(value, dict) else f"a {type(value).__name__}"
