"""What is kept beside the findings, as tests on any real database: exact, in order, and each by its own key."""

from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal

import pytest

from daemon.errors import StoreError
from daemon.store import CheckRow, ClosingRow, Notice, Outcome, PriceDay, ReportRow, SnapshotRow
from daemon.store.repository import SqlStore
from tests.delivery_cases import NOON, firing, told
from tests.store_databases import Database

MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)
DAY = date(2026, 11, 23)
NEXT = DAY + timedelta(days=1)

MANY_MARKS = "日本\r\n𝄞\0é\t" * 1000
"""A text that any change of encoding or of line ends would damage."""


def row(minutes: int, *, grain: timedelta = MINUTE, body: str = "body") -> SnapshotRow:
    return SnapshotRow(NOON + minutes * MINUTE, grain, body)


class HistoryCases:
    """Inherited by a class of tests in a module with the fixtures `database` and `store`, the store on it."""

    async def test_snapshots_come_back_in_order_by_their_grain(self, store: SqlStore) -> None:
        archive = store.archive
        await archive.keep_snapshots([row(2), row(0), row(1), row(0, grain=HOUR)])
        assert await archive.snapshots(grain=MINUTE, since=NOON, until=NOON + 2 * MINUTE) == (row(0), row(1))
        assert await archive.snapshots(grain=HOUR, since=NOON, until=NOON + HOUR) == (row(0, grain=HOUR),)
        assert await archive.newest_snapshot(grain=MINUTE) == NOON + 2 * MINUTE
        assert await archive.newest_snapshot(grain=timedelta(minutes=10)) is None

    async def test_a_snapshot_is_replaced_by_a_later_one_of_its_time(self, store: SqlStore) -> None:
        await store.archive.keep_snapshots([row(0), row(1)])
        await store.archive.keep_snapshots([row(1, body="other"), row(1, body="newest")])
        found = await store.archive.snapshots(grain=MINUTE, since=NOON, until=NOON + HOUR)
        assert [one.body for one in found] == ["body", "newest"]

    async def test_more_snapshots_than_a_statement_takes_are_stored(self, store: SqlStore) -> None:
        await store.archive.keep_snapshots([row(n) for n in range(1000)])
        assert len(await store.archive.snapshots(grain=MINUTE, since=NOON, until=NOON + 1000 * MINUTE)) == 1000

    async def test_old_snapshots_of_one_grain_go(self, store: SqlStore) -> None:
        await store.archive.keep_snapshots([row(0), row(1), row(0, grain=HOUR)])
        assert await store.archive.drop_snapshots(grain=MINUTE, before=NOON + MINUTE) == 1
        assert await store.archive.oldest_snapshot(grain=MINUTE) == NOON + MINUTE
        assert await store.archive.oldest_snapshot() == NOON

    async def test_the_first_closing_of_a_day_stays(self, store: SqlStore) -> None:
        first = ClosingRow(DAY, NOON, "first")
        await store.archive.keep_closing(first)
        await store.archive.keep_closing(replace(first, body="second"))
        await store.archive.keep_closing(ClosingRow(NEXT, NOON, "next"))
        assert await store.archive.closing(DAY) == first
        assert await store.archive.closing(DAY - timedelta(days=1)) is None
        assert await store.archive.closing_days() == (DAY, NEXT)

    async def test_the_first_report_of_a_day_stays(self, store: SqlStore) -> None:
        first = ReportRow(DAY, "a" * 64, None, "first")
        await store.archive.keep_report(first)
        await store.archive.keep_report(ReportRow(DAY, "b" * 64, "c" * 64, "second"))
        assert await store.archive.report(DAY) == first
        assert await store.archive.report(NEXT) is None

    async def test_what_became_of_notifications_is_told(self, store: SqlStore) -> None:
        early, late = told(firing("f1")), told(firing("f2"), at=NOON + HOUR)
        await store.record([], [early, late], outcomes={early.id: Outcome(NOON + MINUTE, "HTTP 400")})
        assert await store.archive.notices(since=NOON, until=NOON + HOUR) == (
            Notice(NOON, "f1", "firing", "am", NOON + MINUTE, "HTTP 400"),
        )

    async def test_daily_prices_are_exact_and_by_time_zone_and_currency(self, store: SqlStore) -> None:
        price = PriceDay("BTC", DAY, "Asia/Seoul", "KRW", Decimal("0.1000000000000000000000000000000000000001"), 3)
        others = [replace(price, timezone="Asia/Tokyo"), replace(price, currency="USD"), replace(price, day=NEXT)]
        await store.price_days.keep([price, *others])
        assert await store.price_days.between(DAY, DAY, timezone="Asia/Seoul", currency="KRW") == (price,)
        await store.price_days.keep([replace(price, sum=Decimal(7), count=4)])
        found = await store.price_days.between(DAY, NEXT, timezone="Asia/Seoul", currency="KRW")
        assert [one.count for one in found] == [4, 3]
        assert await store.price_days.drop(before=NEXT) == 3

    async def test_checks_are_kept_by_rule_subject_and_moment(self, store: SqlStore) -> None:
        check = CheckRow("kr-vaupa/hot-share", "all", NOON, "{}")
        await store.checks.keep([check, replace(check, due=NOON + HOUR), replace(check, subject="BTC")])
        await store.checks.keep([replace(check, body="newer")])
        assert [one.body for one in await store.checks.between(since=NOON, until=NOON + HOUR)] == ["{}", "newer"]
        assert await store.checks.drop(before=NOON + HOUR) == 2

    async def test_a_damaged_text_is_a_store_error(self, store: SqlStore, database: Database) -> None:
        await store.archive.keep_closing(ClosingRow(DAY, NOON, "text"))
        await database.run("update pyrometer_closings set body = substr(body, 2)")
        with pytest.raises(StoreError, match="damaged"):
            await store.archive.closing(DAY)

    async def test_compressed_texts_come_back_to_the_byte(self, store: SqlStore) -> None:
        snapshot = SnapshotRow(NOON, MINUTE, MANY_MARKS)
        closing, report = ClosingRow(DAY, NOON, MANY_MARKS), ReportRow(DAY, "a" * 64, "b" * 64, MANY_MARKS)
        await store.archive.keep_snapshots([snapshot])
        await store.archive.keep_closing(closing)
        await store.archive.keep_report(report)
        assert await store.archive.snapshots(grain=MINUTE, since=NOON, until=NOON + MINUTE) == (snapshot,)
        assert (await store.archive.closing(DAY), await store.archive.report(DAY)) == (closing, report)

    async def test_times_are_kept_to_the_microsecond(self, store: SqlStore) -> None:
        moment = NOON + timedelta(microseconds=1)
        await store.archive.keep_snapshots([SnapshotRow(moment, MINUTE, "x"), row(0)])
        assert await store.archive.newest_snapshot(grain=MINUTE) == moment
        assert await store.archive.snapshots(grain=MINUTE, since=NOON, until=moment) == (row(0),)

    @pytest.mark.parametrize("text", ["0E+3", "1E-18", "100.00", "-0.10", str(2**256), "9" * 80 + "." + "1" * 80])
    async def test_a_decimal_keeps_every_digit(self, store: SqlStore, text: str) -> None:
        await store.price_days.keep([PriceDay("BTC", DAY, "Asia/Seoul", "KRW", Decimal(text), 1)])
        (found,) = await store.price_days.between(DAY, DAY, timezone="Asia/Seoul", currency="KRW")
        assert str(found.sum) == text

    async def test_names_are_in_one_order_whatever_the_locale_of_the_database(self, store: SqlStore) -> None:
        names = ["BTC", "Zeta", "a-b", "all", "ab", "zeta"]
        await store.checks.keep([CheckRow("rule", name, NOON, "{}") for name in reversed(names)])
        await store.price_days.keep([PriceDay(name, DAY, "UTC", "KRW", Decimal(1), 1) for name in reversed(names)])
        found = await store.price_days.between(DAY, DAY, timezone="UTC", currency="KRW")
        assert [one.asset for one in found] == sorted(names)
        checks = await store.checks.between(since=NOON, until=NOON + HOUR)
        assert [one.subject for one in checks] == sorted(names)
