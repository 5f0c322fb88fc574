"""Daily averages of prices, and their mean over the year before a month: how a trailing valuation prices a coin."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Protocol, runtime_checkable
from zoneinfo import ZoneInfo

from daemon.document import reason, shown
from daemon.errors import ConfigError
from daemon.feeds.values import Stated
from daemon.interval import EXACT, ZERO, Interval

GRAIN = timedelta(minutes=1)
"""Of every asset one price is counted in each minute in which it is current."""

MINUTES_A_DAY = 1440
ENOUGH = 720
"""A day of which fewer minutes are known has no average: half a day's price may be anything but the day's."""

PLACES = Decimal("1E-18")
"""An average is rounded to so many places, half-even, so that values and sums made of it are exact again."""
EXPECTED = "expected asset,day,price such as BTC,2026-10-31,9500000.5"

Key = tuple[str, date]


@runtime_checkable
class Averaging(Protocol):
    """A rule that may value by averages."""

    @property
    def valuation(self) -> str: ...
    @property
    def timezone(self) -> str: ...


@dataclass(frozen=True, slots=True)
class DayPrices:
    """The prices of an asset on one day, in whole minutes: their sum in the entity's currency, and how many."""

    sum: Decimal
    count: int

    @property
    def mean(self) -> Decimal | None:
        """The day's average; None when too little of the day is known."""
        return EXACT.divide(self.sum, Decimal(self.count)) if self.count >= ENOUGH else None


@dataclass(frozen=True, slots=True)
class Trailing:
    """Per asset the mean of a year's daily averages, or how many of its days have none."""

    prices: Mapping[str, Stated] = field(default_factory=dict)
    missing: Mapping[str, int] = field(default_factory=dict)


def zone_of(rules: Iterable[object]) -> ZoneInfo | None:
    """The time zone in whose days these rules average prices; None when none of them does.

    ValueError when they name several: the configuration has refused that.
    """
    zones = {rule.timezone for rule in rules if isinstance(rule, Averaging) and rule.valuation == "trailing-year"}
    if len(zones) > 1:
        raise ValueError(f"prices are averaged in one time zone, found {', '.join(sorted(zones))}")
    return ZoneInfo(zones.pop()) if zones else None


def averages_for(rules: Iterable[object], *, currency: str, before: Averages | None = None) -> Averages | None:
    """What these rules need: `before` where that counts in the same days and currency; None when they need nothing."""
    zone = zone_of(rules)
    if zone is None:
        return None
    if before is not None and (before.zone, before.currency) == (zone, currency):
        return before
    return Averages(zone, currency=currency)


class Averages:
    """Mutable, and pure of effects. Its days are those of `zone`, its prices in `currency`.

    Counting begins with the first whole minute, so that nothing is counted twice when days are restored that another
    run has begun.
    """

    def __init__(self, zone: ZoneInfo, *, currency: str) -> None:
        self.zone = zone
        self.currency = currency
        self._days: dict[Key, DayPrices] = {}
        self._changed: set[Key] = set()
        self._brought: set[Key] = set()
        self._minute: datetime | None = None
        self._whole = datetime.min.replace(tzinfo=UTC)
        """The first minute that is counted."""
        self._counted: set[str] = set()
        self._known: tuple[date, frozenset[str], Trailing] | None = None

    # Counting.

    def count(self, prices: Mapping[str, Stated], *, now: datetime) -> None:
        """Counts what is current, once a minute; a clock that is set back counts nothing again."""
        minute = now - (now - datetime.min.replace(tzinfo=now.tzinfo)) % GRAIN
        if self._minute is None:
            self._minute = minute
            self._whole = minute + GRAIN
        if minute > self._minute:
            self._minute, self._counted = minute, set()
        if minute < max(self._minute, self._whole) or len(self._counted) == len(prices):
            return
        day = now.astimezone(self.zone).date()
        for asset in prices.keys() - self._counted:
            price = prices[asset].value.value
            if price is not None:
                self._counted.add(asset)
                before = self._days.get((asset, day), DayPrices(ZERO, 0))
                self._days[asset, day] = DayPrices(EXACT.add(before.sum, price), before.count + 1)
                self._changed.add((asset, day))

    # Keeping.

    def restore(self, days: Mapping[Key, DayPrices]) -> None:
        """What was stored; of a day that was counted since, both count together. What was brought in stays."""
        for key, stored in days.items():
            if key in self._brought:
                continue
            since = self._days.get(key, DayPrices(ZERO, 0)) if key in self._changed else DayPrices(ZERO, 0)
            self._days[key] = DayPrices(EXACT.add(stored.sum, since.sum), stored.count + since.count)
        self._known = None

    def changed(self) -> dict[Key, DayPrices]:
        """What was counted or brought in since it was last said to be `stored`."""
        return {key: self._days[key] for key in self._changed}

    def stored(self, days: Mapping[Key, DayPrices]) -> None:
        """The store has these now; what has changed meanwhile is still to be stored."""
        self._changed -= {key for key, kept in days.items() if self._days.get(key) == kept}

    def bring_in(self, days: Mapping[Key, Decimal]) -> None:
        """Averages of whole days, from elsewhere; they take the place of what was counted."""
        for key, price in days.items():
            self._days[key] = DayPrices(EXACT.multiply(price, Decimal(MINUTES_A_DAY)), MINUTES_A_DAY)
            self._changed.add(key)
            self._brought.add(key)
        self._known = None

    # What it is for.

    def trailing(self, assets: Iterable[str], *, now: datetime) -> Trailing:
        """The averages over the year that ended with the month before; an asset that lacks a day has none.

        Act on the Protection of Virtual Asset Users (South Korea), Supervisory Regulation, Article 9: the average of
        the daily average prices of one year, as of the end of the month before.
        """
        first, last = year_before(now.astimezone(self.zone).date())
        wanted = frozenset(assets)
        if self._known is None or self._known[:2] != (last, wanted):
            self._known = (last, wanted, self._year(wanted, first=first, last=last))
        return self._known[2]

    def _year(self, assets: Iterable[str], *, first: date, last: date) -> Trailing:
        days = [first + timedelta(days=n) for n in range((last - first).days + 1)]
        ended = datetime.combine(last + timedelta(days=1), time(), tzinfo=self.zone)
        prices: dict[str, Stated] = {}
        missing: dict[str, int] = {}
        for asset in sorted(assets):
            means = [mean for day in days if (mean := self._days.get((asset, day), NONE).mean) is not None]
            if len(means) == len(days):
                average = EXACT.divide(total(means), Decimal(len(days))).quantize(PLACES, context=EXACT)
                prices[asset] = Stated(Interval.exactly(average), f"average of {first} to {last}", ended)
            else:
                missing[asset] = len(days) - len(means)
        return Trailing(prices, missing)


NONE = DayPrices(ZERO, 0)


def total(numbers: Iterable[Decimal]) -> Decimal:
    result = ZERO
    for number in numbers:
        result = EXACT.add(result, number)
    return result


def year_before(day: date) -> tuple[date, date]:
    """The first and the last day of the twelve months before this day's month."""
    month = day.replace(day=1)
    return month.replace(year=month.year - 1), month - timedelta(days=1)


def read_days(path: Path, *, assets: Iterable[str]) -> dict[Key, Decimal]:
    """Daily averages from a CSV file with the columns asset, day (2026-10-31) and price, in the entity's currency.

    ConfigError, with the line, for a file that does not say that.
    """
    known = frozenset(assets)
    found: dict[Key, Decimal] = {}
    for line, row in _rows(path):
        try:
            key, price = (row["asset"], date.fromisoformat(row["day"])), Decimal(row["price"])
        except (ValueError, InvalidOperation):
            raise ConfigError(f"{path}:{line}", EXPECTED) from None
        if key[0] not in known:
            raise ConfigError(f"{path}:{line}", f"no asset is called {shown(key[0])}")
        if not price.is_finite() or price <= ZERO:
            raise ConfigError(f"{path}:{line}", "expected a price above zero")
        if key in found:
            raise ConfigError(f"{path}:{line}", f"{key[0]} has a price of {key[1]} already")
        found[key] = price
    return found


def _rows(path: Path) -> Iterator[tuple[int, dict[str, str]]]:
    """Each row with its line."""
    try:
        with path.open(encoding="utf-8", newline="") as file:
            reader = csv.DictReader(file, strict=True)
            if reader.fieldnames is None or set(reader.fieldnames) != {"asset", "day", "price"}:
                raise ConfigError(f"{path}:1", "expected the columns asset,day,price")
            for row in reader:
                if None in row:  # what stands beyond the last column, as in 9,500,000: which part is the price?
                    raise ConfigError(f"{path}:{reader.line_num}", EXPECTED)
                yield reader.line_num, {name: value or "" for name, value in row.items()}
    except OSError as error:
        raise ConfigError(str(path), reason(error)) from None
    except (UnicodeDecodeError, csv.Error) as error:
        raise ConfigError(str(path), f"expected a CSV file in UTF-8 ({error})") from None
