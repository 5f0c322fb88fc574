"""Daily averages of prices and their mean over a year."""

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from daemon.errors import ConfigError
from daemon.feeds.averages import (
    ENOUGH,
    Averages,
    DayPrices,
    averages_for,
    read_days,
    year_before,
    zone_of,
)
from daemon.feeds.values import Stated
from daemon.interval import Interval

SEOUL = ZoneInfo("Asia/Seoul")
MINUTE = timedelta(minutes=1)
START = datetime(2026, 10, 31, 14, 0, tzinfo=UTC)  # 23:00 in Seoul
TODAY = date(2026, 10, 31)


def stated(value: str) -> Stated:
    return Stated(Interval.exactly(Decimal(value)), "fixed", START)


def averages() -> Averages:
    return Averages(SEOUL, currency="KRW")


def counted(subject: Averages, *prices: str, start: datetime = START, step: timedelta = MINUTE) -> None:
    for number, price in enumerate(prices):
        subject.count({"BTC": stated(price)}, now=start + number * step)


def test_one_price_counts_in_each_minute_after_the_first() -> None:
    subject = averages()
    counted(subject, "1", "10", "20")
    assert subject.changed() == {("BTC", TODAY): DayPrices(Decimal(30), 2)}


def test_a_second_look_within_a_minute_counts_nothing() -> None:
    subject = averages()
    counted(subject, *("1", "10", "20", "30"), step=MINUTE / 2)
    assert subject.changed() == {("BTC", TODAY): DayPrices(Decimal(20), 1)}


def test_a_price_that_becomes_known_within_a_minute_counts_then() -> None:
    subject = averages()
    counted(subject, "1")
    unknown = Stated(Interval(Decimal(1), None, Decimal(2)), "http", START)
    subject.count({"BTC": unknown, "ETH": stated("5")}, now=START + MINUTE)
    subject.count({"BTC": stated("7"), "ETH": stated("9")}, now=START + MINUTE * 1.5)
    assert {asset: day.sum for (asset, _), day in subject.changed().items()} == {"BTC": 7, "ETH": 5}


def test_a_clock_that_is_set_back_counts_no_minute_twice() -> None:
    subject = averages()
    counted(subject, "1", "10", "20")
    counted(subject, "100", "100")
    assert subject.changed()["BTC", TODAY].sum == 30


def test_days_end_at_midnight_of_the_time_zone() -> None:
    subject = averages()
    counted(subject, *["1"] * 62)
    assert {day: prices.count for (_, day), prices in subject.changed().items()} == {
        TODAY: 59,
        date(2026, 11, 1): 2,
    }


def test_a_day_of_which_too_little_is_known_has_no_average() -> None:
    assert DayPrices(Decimal(ENOUGH), ENOUGH).mean == 1
    assert DayPrices(Decimal(ENOUGH - 1), ENOUGH - 1).mean is None


def test_the_year_before_ends_with_the_month_before() -> None:
    assert year_before(date(2026, 11, 1)) == (date(2025, 11, 1), TODAY)
    assert year_before(date(2026, 11, 30)) == (date(2025, 11, 1), TODAY)
    assert year_before(date(2024, 3, 1)) == (date(2023, 3, 1), date(2024, 2, 29))
    assert year_before(date(2026, 1, 31)) == (date(2025, 1, 1), date(2025, 12, 31))


def year(**prices: int) -> dict[tuple[str, date], Decimal]:
    """A price for each asset: one unit more each day."""
    first = date(2025, 11, 1)
    return {
        (asset, first + timedelta(days=n)): Decimal(price + n) for asset, price in prices.items() for n in range(365)
    }


NOVEMBER = datetime(2026, 11, 15, tzinfo=UTC)


def test_a_whole_year_gives_the_mean_of_its_days() -> None:
    subject = averages()
    subject.bring_in(year(BTC=100))
    found = subject.trailing(["BTC", "ETH"], now=NOVEMBER)
    stated = found.prices["BTC"]
    assert stated.value == Interval.exactly(Decimal(282))  # 100 and half of 364
    assert stated.at == datetime(2026, 11, 1, tzinfo=SEOUL)
    assert found.missing == {"ETH": 365}


def test_one_missing_day_leaves_the_year_unknown_and_is_counted() -> None:
    subject = averages()
    days = year(BTC=100)
    del days["BTC", date(2026, 2, 28)]
    subject.bring_in(days)
    assert subject.trailing(["BTC"], now=NOVEMBER).missing == {"BTC": 1}


def test_the_next_month_takes_another_year() -> None:
    subject = averages()
    subject.bring_in(year(BTC=100))
    subject.trailing(["BTC"], now=NOVEMBER)
    assert subject.trailing(["BTC"], now=NOVEMBER + timedelta(days=30)).missing == {"BTC": 30}


def test_the_month_turns_in_the_time_zone() -> None:
    subject = averages()
    subject.bring_in(year(BTC=100))
    evening = datetime(2026, 10, 31, 15, 0, tzinfo=UTC)  # midnight in Seoul
    assert subject.trailing(["BTC"], now=evening).missing == {}
    assert subject.trailing(["BTC"], now=evening - MINUTE).missing == {"BTC": 31}


def test_nothing_new_gives_the_very_same_object() -> None:
    subject = averages()
    assert subject.trailing(["BTC"], now=NOVEMBER) is subject.trailing(["BTC"], now=NOVEMBER + MINUTE)


def test_what_was_stored_goes_on_where_it_was_left() -> None:
    first, second = averages(), averages()
    counted(first, *["2"] * 11)
    counted(second, *["4"] * 6, start=START + 11 * MINUTE)
    second.restore(first.changed())
    assert second.changed() == {("BTC", TODAY): DayPrices(Decimal(40), 15)}


def test_what_is_stored_is_not_told_again_until_it_changes() -> None:
    subject = averages()
    counted(subject, "1", "10")
    kept = subject.changed()
    subject.stored(kept)
    assert subject.changed() == {}
    counted(subject, "5", start=START + 2 * MINUTE)
    subject.stored(kept)  # too late: it has changed since
    assert subject.changed() == {("BTC", TODAY): DayPrices(Decimal(15), 2)}


@dataclass
class Valuing:
    valuation: str
    timezone: str


def test_averages_are_kept_where_a_rule_values_by_them() -> None:
    spot, korean = Valuing("spot", "UTC"), Valuing("trailing-year", "Asia/Seoul")
    assert zone_of([object(), spot]) is None
    assert zone_of([spot, korean]) == SEOUL
    with pytest.raises(ValueError, match="Asia/Seoul, UTC"):
        zone_of([korean, Valuing("trailing-year", "UTC")])


def test_a_reload_goes_on_counting_in_the_same_days_and_currency() -> None:
    rules = [Valuing("trailing-year", "Asia/Seoul")]
    first = averages_for(rules, currency="KRW")
    assert averages_for(rules, currency="KRW", before=first) is first
    assert averages_for(rules, currency="JPY", before=first) is not first
    assert averages_for([], currency="KRW", before=first) is None


# The file.


def read(folder: Path, text: str) -> dict[tuple[str, date], Decimal]:
    path = folder / "averages.csv"
    path.write_text(text)
    return read_days(path, assets=["BTC"])


def test_daily_averages_come_from_a_file(tmp_path: Path) -> None:
    assert read(tmp_path, "asset,day,price\nBTC,2026-10-31,9.5\n") == {("BTC", TODAY): Decimal("9.5")}


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("", ":1: expected the columns asset,day,price"),
        ("asset,day\n", ":1: expected the columns asset,day,price"),
        ("asset,day,price\nBTC,31.10.2026,1\n", ":2: expected asset,day,price such as"),
        ("asset,day,price\nBTC,2026-10-31\n", ":2: expected asset,day,price such as"),
        ("asset,day,price\nBTC,2026-10-31,9,500,000\n", ":2: expected asset,day,price such as"),
        ("asset,day,price\nBTC,2026-10-31,NaN\n", ":2: expected a price above zero"),
        ("asset,day,price\nBTC,2026-10-31,0\n", ":2: expected a price above zero"),
        ("asset,day,price\nETH,2026-10-31,1\n", ":2: no asset is called 'ETH'"),
        ("asset,day,price\nBTC,2026-10-31,1\nBTC,2026-10-31,1\n", ":3: BTC has a price of 2026-10-31 already"),
    ],
)
def test_a_file_that_does_not_say_that_is_refused_with_its_line(tmp_path: Path, text: str, wrong: str) -> None:
    with pytest.raises(ConfigError) as caught:
        read(tmp_path, text)
    assert str(caught.value).startswith(f"{tmp_path}/averages.csv{wrong}")


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no such file"):
        read_days(tmp_path / "none.csv", assets=["BTC"])
