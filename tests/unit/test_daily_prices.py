"""Daily averages of prices outlive a restart, and nothing is counted twice or forgotten on the way."""

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from daemon.daily_prices import PriceKeeper
from daemon.errors import StoreError
from daemon.feeds.averages import Averages, DayPrices
from daemon.feeds.values import Stated
from daemon.interval import Interval
from daemon.store import PriceDay
from daemon.store.repository import open_store
from tests.delivery_cases import MemoryPriceDays

SEOUL = ZoneInfo("Asia/Seoul")
START = datetime(2026, 11, 23, 3, 0, tzinfo=UTC)
DAY = date(2026, 11, 23)


def counting(*, minutes: int, price: str = "7", since: datetime = START, averages: Averages | None = None) -> Averages:
    """Averages that were fed every minute, the first of which is not whole and does not count."""
    result = averages or Averages(SEOUL, currency="KRW")
    for minute in range(minutes + 1):
        moment = since + timedelta(minutes=minute)
        result.count({"BTC": Stated(Interval.exactly(Decimal(price)), "fixed", moment)}, now=moment)
    return result


def keeper(store: MemoryPriceDays, averages: Averages | None) -> PriceKeeper:
    return PriceKeeper(store, averages=lambda: averages, clock=lambda: START + timedelta(hours=1))


def stored(store: MemoryPriceDays) -> dict[tuple[str, date], DayPrices]:
    return {(row.asset, row.day): DayPrices(row.sum, row.count) for row in store.rows.values()}


async def test_what_was_counted_is_stored_and_goes_on_after_a_restart() -> None:
    store = MemoryPriceDays()
    first = keeper(store, counting(minutes=3))
    await first.restore()
    await first.save()
    assert stored(store) == {("BTC", DAY): DayPrices(Decimal(21), 3)}
    again = counting(minutes=2, price="10", since=START + timedelta(minutes=10))
    second = keeper(store, again)
    await second.restore()
    await second.save()
    assert stored(store) == {("BTC", DAY): DayPrices(Decimal(41), 5)}


async def test_what_is_restored_once_is_not_added_again() -> None:
    store = MemoryPriceDays()
    store.rows["BTC", DAY, "Asia/Seoul", "KRW"] = PriceDay("BTC", DAY, "Asia/Seoul", "KRW", Decimal(100), 10)
    averages = counting(minutes=1)
    one = keeper(store, averages)
    await one.restore()
    await one.restore()
    await one.save()
    await one.restore()
    assert stored(store) == {("BTC", DAY): DayPrices(Decimal(107), 11)}


async def test_while_the_store_has_not_told_what_it_has_nothing_is_written_over_it() -> None:
    store = MemoryPriceDays(fails=True)
    one = keeper(store, counting(minutes=2))
    with pytest.raises(StoreError):
        await one.restore()
    store.fails = False
    await one.save()
    assert store.rows == {}
    await one.restore()
    await one.save()
    assert stored(store) == {("BTC", DAY): DayPrices(Decimal(14), 2)}


async def test_other_averages_after_a_reload_are_restored_for_themselves() -> None:
    store = MemoryPriceDays()
    store.rows["BTC", DAY, "Asia/Tokyo", "KRW"] = PriceDay("BTC", DAY, "Asia/Tokyo", "KRW", Decimal(50), 5)
    now: list[Averages | None] = [counting(minutes=1)]
    one = PriceKeeper(store, averages=lambda: now[0], clock=lambda: START)
    await one.restore()
    now[0] = counting(minutes=1, averages=Averages(ZoneInfo("Asia/Tokyo"), currency="KRW"))
    await one.save()
    assert len(store.rows) == 1
    await one.restore()
    await one.save()
    assert store.rows["BTC", DAY, "Asia/Tokyo", "KRW"].count == 6
    now[0] = None
    await one.restore()
    await one.save()


def test_days_that_were_brought_in_are_not_mixed_with_what_was_stored_of_them() -> None:
    averages = Averages(SEOUL, currency="KRW")
    averages.bring_in({("BTC", DAY): Decimal(9)})
    averages.restore({("BTC", DAY): DayPrices(Decimal(1440), 1440)})
    assert averages.changed()["BTC", DAY].mean == Decimal(9)


@pytest.mark.parametrize("price", ["1", "0.3333333333333333333333", "12345678.9"])
async def test_sums_come_back_from_a_real_database_to_the_digit(tmp_path: Path, price: str) -> None:
    async with open_store(f"sqlite+aiosqlite:///{tmp_path}/p.db") as store:
        averages = counting(minutes=7, price=price)
        one = PriceKeeper(store.price_days, averages=lambda: averages, clock=lambda: START)
        await one.restore()
        await one.flush()
        (row,) = await store.price_days.between(DAY, DAY, timezone="Asia/Seoul", currency="KRW")
        assert (row.sum, row.count) == (7 * Decimal(price), 7)
        await one.drop(before=START + timedelta(days=1))
        assert await store.price_days.between(DAY, DAY, timezone="Asia/Seoul", currency="KRW") == ()


def test_a_mean_that_no_decimal_ends_has_eighteen_places(full_year: Callable[[str], Averages]) -> None:
    averages = full_year("1")
    averages.bring_in({("BTC", date(2026, 10, 31)): Decimal(2)})
    (found,) = averages.trailing(["BTC"], now=START).prices.values()
    assert found.value.value == Decimal("1.002739726027397260")


@pytest.fixture
def full_year() -> Callable[[str], Averages]:
    def made(price: str) -> Averages:
        averages = Averages(SEOUL, currency="KRW")
        days = (date(2025, 11, 1) + timedelta(days=n) for n in range(365))
        averages.bring_in({("BTC", day): Decimal(price) for day in days})
        return averages

    return made
