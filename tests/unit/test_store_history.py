"""The history's tables on a real SQLite, and the way to them from a database of the first schema."""

import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from daemon.errors import StoreError
from daemon.store import CheckRow, ClosingRow, Notice, Outcome, PriceDay, ReportRow, SnapshotRow
from daemon.store.repository import SqlStore, open_store
from tests.delivery_cases import NOON, firing, told

MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)
DAY = date(2026, 11, 23)
NEXT = DAY + timedelta(days=1)

SCHEMA_1 = """
CREATE TABLE pyrometer_schema (version INTEGER NOT NULL, PRIMARY KEY (version));
CREATE TABLE pyrometer_findings (
    id VARCHAR NOT NULL, state VARCHAR NOT NULL, since DATETIME NOT NULL, resolved DATETIME, body TEXT NOT NULL,
    PRIMARY KEY (id)
);
CREATE INDEX pyrometer_findings_state ON pyrometer_findings (state, resolved);
CREATE TABLE pyrometer_notifications (
    seq INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, id VARCHAR NOT NULL, sink VARCHAR NOT NULL,
    event VARCHAR NOT NULL, at DATETIME NOT NULL, finding TEXT NOT NULL, settled DATETIME, refusal TEXT, UNIQUE (id)
);
CREATE INDEX pyrometer_notifications_queue ON pyrometer_notifications (sink, settled, seq);
INSERT INTO pyrometer_schema (version) VALUES (1);
INSERT INTO pyrometer_notifications (id, sink, event, at, finding)
    VALUES ('f0:firing:am', 'am', 'firing', '2026-11-23 12:00:00.000000', 'x');
"""
"""A database as the version before the history has made it."""


def url(folder: Path) -> str:
    return f"sqlite+aiosqlite:///{folder / 'pyrometer.db'}"


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[SqlStore]:
    async with open_store(url(tmp_path)) as store:
        yield store


def row(minutes: int, *, grain: timedelta = MINUTE, body: str = "body") -> SnapshotRow:
    return SnapshotRow(NOON + minutes * MINUTE, grain, body)


def structure(file: Path) -> dict[str, str]:
    """Name → statement of everything in the database, white space aside."""
    with closing(sqlite3.connect(file)) as database:
        found = database.execute("select name, sql from sqlite_master where sql is not null")
        return {name: "".join(sql.split()) for name, sql in found if not name.startswith("sqlite_")}


async def test_a_database_of_the_first_schema_gains_the_history_and_keeps_what_it_holds(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "pyrometer.db")) as database, database:
        database.executescript(SCHEMA_1)
    async with open_store(url(tmp_path)) as store:
        await store.archive.keep_snapshots([row(0)])
        assert (await store.archive.notices(since=NOON, until=NOON + HOUR))[0].finding == "f0"
        assert await store.archive.snapshots(grain=MINUTE, since=NOON, until=NOON + HOUR) == (row(0),)
    with closing(sqlite3.connect(tmp_path / "pyrometer.db")) as database:
        assert database.execute("select version from pyrometer_schema").fetchall() == [(2,)]


async def test_a_migrated_database_has_the_structure_of_a_new_one(tmp_path: Path) -> None:
    """And the first step makes what it always made."""
    old, new = tmp_path / "old", tmp_path / "new"
    for folder in (old, new):
        folder.mkdir()
    with closing(sqlite3.connect(old / "pyrometer.db")) as database, database:
        database.executescript(SCHEMA_1)
    for folder in (old, new):
        async with open_store(url(folder)) as store:
            await store.archive.keep_snapshots([])
    found, expected = structure(old / "pyrometer.db"), structure(new / "pyrometer.db")
    notifications = "pyrometer_notifications"  # where a column's key stands in the text differs
    assert found.pop(notifications).count("NOTNULL") == expected.pop(notifications).count("NOTNULL")
    assert found == expected


async def test_snapshots_come_back_in_order_by_their_grain(store: SqlStore) -> None:
    archive = store.archive
    await archive.keep_snapshots([row(2), row(0), row(1), row(0, grain=HOUR)])
    assert await archive.snapshots(grain=MINUTE, since=NOON, until=NOON + 2 * MINUTE) == (row(0), row(1))
    assert await archive.snapshots(grain=HOUR, since=NOON, until=NOON + HOUR) == (row(0, grain=HOUR),)
    assert await archive.newest_snapshot(grain=MINUTE) == NOON + 2 * MINUTE
    assert await archive.newest_snapshot(grain=timedelta(minutes=10)) is None


async def test_a_snapshot_is_replaced_by_a_later_one_of_its_time(store: SqlStore) -> None:
    await store.archive.keep_snapshots([row(0), row(1)])
    await store.archive.keep_snapshots([row(1, body="other"), row(1, body="newest")])
    found = await store.archive.snapshots(grain=MINUTE, since=NOON, until=NOON + HOUR)
    assert [one.body for one in found] == ["body", "newest"]


async def test_more_snapshots_than_a_statement_takes_are_stored(store: SqlStore) -> None:
    await store.archive.keep_snapshots([row(n) for n in range(1000)])
    assert len(await store.archive.snapshots(grain=MINUTE, since=NOON, until=NOON + 1000 * MINUTE)) == 1000


async def test_old_snapshots_of_one_grain_go(store: SqlStore) -> None:
    await store.archive.keep_snapshots([row(0), row(1), row(0, grain=HOUR)])
    assert await store.archive.drop_snapshots(grain=MINUTE, before=NOON + MINUTE) == 1
    assert await store.archive.oldest_snapshot(grain=MINUTE) == NOON + MINUTE
    assert await store.archive.oldest_snapshot() == NOON


async def test_the_first_closing_of_a_day_stays(store: SqlStore) -> None:
    first = ClosingRow(DAY, NOON, "first")
    await store.archive.keep_closing(first)
    await store.archive.keep_closing(replace(first, body="second"))
    await store.archive.keep_closing(ClosingRow(NEXT, NOON, "next"))
    assert await store.archive.closing(DAY) == first
    assert await store.archive.closing(DAY - timedelta(days=1)) is None
    assert await store.archive.closing_days() == (DAY, NEXT)


async def test_the_first_report_of_a_day_stays(store: SqlStore) -> None:
    first = ReportRow(DAY, "a" * 64, None, "first")
    await store.archive.keep_report(first)
    await store.archive.keep_report(ReportRow(DAY, "b" * 64, "c" * 64, "second"))
    assert await store.archive.report(DAY) == first
    assert await store.archive.report(NEXT) is None


async def test_what_became_of_notifications_is_told(store: SqlStore) -> None:
    early, late = told(firing("f1")), told(firing("f2"), at=NOON + HOUR)
    await store.record([], [early, late], outcomes={early.id: Outcome(NOON + MINUTE, "HTTP 400")})
    assert await store.archive.notices(since=NOON, until=NOON + HOUR) == (
        Notice(NOON, "f1", "firing", "am", NOON + MINUTE, "HTTP 400"),
    )


async def test_a_damaged_text_is_a_store_error(store: SqlStore, tmp_path: Path) -> None:
    await store.archive.keep_closing(ClosingRow(DAY, NOON, "text"))
    with closing(sqlite3.connect(tmp_path / "pyrometer.db")) as database, database:
        database.execute("update pyrometer_closings set body = x'00'")
    with pytest.raises(StoreError, match="damaged"):
        await store.archive.closing(DAY)


async def test_daily_prices_are_exact_and_by_time_zone_and_currency(store: SqlStore) -> None:
    price = PriceDay("BTC", DAY, "Asia/Seoul", "KRW", Decimal("0.1000000000000000000000000000000000000001"), 3)
    others = [replace(price, timezone="Asia/Tokyo"), replace(price, currency="USD"), replace(price, day=NEXT)]
    await store.price_days.keep([price, *others])
    assert await store.price_days.between(DAY, DAY, timezone="Asia/Seoul", currency="KRW") == (price,)
    await store.price_days.keep([replace(price, sum=Decimal(7), count=4)])
    found = await store.price_days.between(DAY, NEXT, timezone="Asia/Seoul", currency="KRW")
    assert [one.count for one in found] == [4, 3]
    assert await store.price_days.drop(before=NEXT) == 3


async def test_checks_are_kept_by_rule_subject_and_moment(store: SqlStore) -> None:
    check = CheckRow("kr-vaupa/hot-share", "all", NOON, "{}")
    await store.checks.keep([check, replace(check, due=NOON + HOUR), replace(check, subject="BTC")])
    await store.checks.keep([replace(check, body="newer")])
    assert [one.body for one in await store.checks.between(since=NOON, until=NOON + HOUR)] == ["{}", "newer"]
    assert await store.checks.drop(before=NOON + HOUR) == 2
