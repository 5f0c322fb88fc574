"""Liabilities from real databases: exact, read only, in time or not at all, and back after the server was killed."""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest

from connectors.transport import REAL
from daemon.feeds.checking import Expected, checked
from daemon.feeds.liabilities import SqlLiabilities
from daemon.feeds.reserves import SqlMoney
from daemon.feeds.rows import AMOUNTS, MONEY
from daemon.feeds.source import SUM, FeedError, Measure, Raw, Row
from daemon.feeds.sql import SqlReader, SqlSource, opened_sql
from daemon.feeds.values import FeedReason
from tests.integration.postgres import Postgres

pytestmark = [pytest.mark.real, pytest.mark.timeout(120)]

OWED = "select asset, amount from owed order by asset"
FOREVER = (
    "with recursive n(i) as (select 1 union all select i + 1 from n) select 'BTC' as asset, max(i) as amount from n"
)
BOTH = frozenset(("BTC", "ETH"))
EXPECTED = Expected(BOTH, BOTH, decimals={"BTC": 8, "ETH": 18})
NOW = datetime(2026, 11, 23, tzinfo=UTC)


@pytest.fixture(scope="module")
def running() -> Iterator[Postgres]:
    server = Postgres()
    server.start()
    try:
        server.execute(
            "create table owed (asset text, amount numeric)",
            "insert into owed values ('BTC', 1250.00000001), ('ETH', 30000)",
            "create table floats (asset text, amount float8)",
            "insert into floats values ('BTC', 0.1), ('ETH', 2)",
        )
        yield server
    finally:
        server.remove()


@pytest.fixture
def postgres(running: Postgres) -> Postgres:
    running.start_again()
    return running


@asynccontextmanager
async def asking(url: str, query: str, *, timeout: str = "20s") -> AsyncIterator[SqlReader]:  # noqa: ASYNC109
    config = SqlLiabilities(kind="sql", url=url, query=query, timeout=timeout)
    async with opened_sql(config, columns=AMOUNTS, timing=REAL) as reader:
        yield reader


async def refused(url: str, query: str, *, timeout: str = "20s") -> FeedError:  # noqa: ASYNC109
    async with asking(url, query, timeout=timeout) as reader:
        with pytest.raises(FeedError) as caught:
            await reader.read()
    assert "throw-away" not in str(caught.value)
    return caught.value


async def rows(url: str, query: str) -> list[Row]:
    async with asking(url, query) as reader:
        return list((await reader.read()).rows)


# PostgreSQL.


async def test_numeric_amounts_are_read_exactly(postgres: Postgres) -> None:
    assert await rows(postgres.url, OWED) == [Row("BTC", Decimal("1250.00000001")), Row("ETH", Decimal(30000))]


async def test_units_and_texts_are_read_as_they_are(postgres: Postgres) -> None:
    found = await rows(postgres.url, "select 'ETH' as asset, '123456789012345678901234567890' as units;")
    assert found == [Row("ETH", "123456789012345678901234567890", Measure.UNITS)]


async def test_rows_may_have_a_time_of_their_own(postgres: Postgres) -> None:
    (row,) = await rows(postgres.url, "select 'BTC' asset, 1 amount, timestamptz '2026-11-23 09:00+09' at")
    assert row.at == datetime(2026, 11, 23, 0, 0, tzinfo=UTC)


async def test_colons_and_percent_signs_in_a_query_are_its_own(postgres: Postgres) -> None:
    query = "select 'BTC' asset, '1.50'::numeric amount where 'a:b' like 'a:%'"
    assert await rows(postgres.url, query) == [Row("BTC", Decimal("1.50"))]


async def test_floats_are_refused_with_the_way_out(postgres: Postgres) -> None:
    async with asking(postgres.url, "select asset, amount from floats") as reader:
        raw = await reader.read()
    with pytest.raises(FeedError, match="in SQL cast to NUMERIC or text"):
        checked(raw, expected=EXPECTED, now=NOW)


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("select asset, amount from owed union all select 'BTC', 1", "BTC stands twice"),
        ("select asset, -amount as amount from owed", "is negative"),
        ("select asset, 'NaN'::numeric as amount from owed", "not a finite number"),
        ("select asset, 'much' as amount from owed", "expected a number, found 'much'"),
        ("select asset, null::numeric as amount from owed", "found nothing"),
        ("select asset, amount from owed where false", "says nothing of what was asked for"),
        ("select asset, amount from owed where asset = 'BTC'", "says nothing of ETH"),
        ("select asset, amount from owed union all select 'DOGE', 1", "'DOGE' is none"),
        ("select null::text as asset, 1 as amount", "expected a text as the name"),
        ("select asset, true as amount from owed", "found true"),
        ("select asset, amount, now()::timestamp at from owed", "time zone"),
    ],
)
async def test_a_bad_answer_is_refused_whole(postgres: Postgres, query: str, words: str) -> None:
    async with asking(postgres.url, query) as reader:
        raw = await reader.read()
    with pytest.raises(FeedError) as caught:
        checked(raw, expected=EXPECTED, now=NOW)
    assert caught.value.reason is FeedReason.BAD_ANSWER
    assert words in caught.value.detail


@pytest.mark.parametrize(
    ("query", "reason", "words"),
    [
        ("select asset, total from owed", FeedReason.MISCONFIGURED, 'column "total" does not exist'),
        ("select asset, amount from owned", FeedReason.MISCONFIGURED, 'relation "owned" does not exist'),
        ("selekt", FeedReason.MISCONFIGURED, "syntax error"),
        ("insert into owed values ('X', 1) returning asset, amount", FeedReason.MISCONFIGURED, "25006"),
        ("set local statement_timeout = 0", FeedReason.MISCONFIGURED, "gives no rows"),
        ("select asset, amount / 0 as amount from owed", FeedReason.BAD_ANSWER, "division by zero"),
        ("select asset, amount as total from owed", FeedReason.BAD_ANSWER, "expected the columns asset and amount"),
        ("select asset, amount, 1 as extra from owed", FeedReason.BAD_ANSWER, "expected the columns"),
        ("select asset, amount, amount from owed", FeedReason.BAD_ANSWER, "expected the columns"),
        ("select amount from owed", FeedReason.BAD_ANSWER, "expected the columns"),
        ("select asset, amount from owed, generate_series(1, 6000)", FeedReason.BAD_ANSWER, "more than 10,000 rows"),
    ],
)
async def test_a_query_that_gives_no_answer_says_why(
    postgres: Postgres, query: str, reason: FeedReason, words: str
) -> None:
    error = await refused(postgres.url, query)
    assert error.reason is reason
    assert words in error.detail


async def test_what_would_write_has_written_nothing(postgres: Postgres) -> None:
    await refused(postgres.url, "insert into owed values ('X', 1) returning asset, amount")
    assert len(await rows(postgres.url, OWED)) == 2


async def test_a_wrong_password_is_ours_to_mend(postgres: Postgres) -> None:
    assert (await refused(postgres.url_of("wrong"), OWED)).reason is FeedReason.MISCONFIGURED


async def test_a_missing_database_is_ours_to_mend(postgres: Postgres) -> None:
    url = postgres.url_of("throw-away", database="nowhere")
    assert (await refused(url, OWED)).reason is FeedReason.MISCONFIGURED


async def test_a_query_that_takes_forever_is_ended_by_the_server(postgres: Postgres) -> None:
    error = await refused(postgres.url, "select 'BTC' asset, 1 amount, pg_sleep(600)", timeout="300ms")
    assert (error.reason, error.detail) == (FeedReason.TIMEOUT, "no answer within 0.3s")
    left = await rows(
        postgres.url, "select 'BTC' asset, count(*) amount from pg_stat_activity where query like '%sleep(600)'"
    )
    assert left == [Row("BTC", 0)]


async def test_a_server_killed_in_the_middle_of_a_query_gives_no_answer_and_comes_back(postgres: Postgres) -> None:
    async with (
        asking(postgres.url, "select 'BTC' asset, 1 amount, pg_sleep(600)", timeout="60s") as slow,
        asking(postgres.url, OWED) as reader,
    ):
        asked = asyncio.create_task(slow.read())
        await _sleeping(postgres)
        postgres.kill()
        with pytest.raises(FeedError) as killed:
            await asked
        with pytest.raises(FeedError) as refused_:
            await reader.read()
        postgres.start()
        back = await reader.read()
    assert {killed.value.reason, refused_.value.reason} == {FeedReason.UNAVAILABLE}
    assert len(back.rows) == 2


async def test_a_server_that_answers_nothing_any_more_is_given_up_in_time(postgres: Postgres) -> None:
    async with asking(postgres.url, OWED, timeout="500ms") as reader:
        await reader.read()
        postgres.freeze()
        try:
            with pytest.raises(FeedError) as caught:
                await asyncio.wait_for(reader.read(), timeout=60)
        finally:
            postgres.thaw()
    assert caught.value.reason is FeedReason.TIMEOUT
    assert len(await rows(postgres.url, OWED)) == 2


async def test_money_comes_from_one_row(postgres: Postgres) -> None:
    config = SqlMoney(kind="sql", url=postgres.url, query="select 2000.5 as amount")
    async with opened_sql(config, columns=MONEY, timing=REAL) as reader:
        assert await reader.read() == Raw([Row(SUM, Decimal("2000.5"))])


async def test_money_in_two_rows_is_a_bad_answer(postgres: Postgres) -> None:
    config = SqlMoney(kind="sql", url=postgres.url, query="select amount from owed")
    async with opened_sql(config, columns=MONEY, timing=REAL) as reader:
        with pytest.raises(FeedError, match="expected one row, found 2"):
            await reader.read()


async def _sleeping(postgres: Postgres) -> None:
    """Until the server works on the query that sleeps."""
    query = "select 'BTC' asset, count(*) amount from pg_stat_activity where wait_event = 'PgSleep'"
    end = time.monotonic() + 30
    while await rows(postgres.url, query) != [Row("BTC", 1)]:
        assert time.monotonic() < end
        await asyncio.sleep(0.05)


# SQLite.


@pytest.fixture
def ledger(tmp_path: Path) -> Path:
    path = tmp_path / "led ger?.db"
    with sqlite3.connect(path) as connection:
        connection.execute("create table owed (asset text, amount text, units integer, rough real)")
        connection.execute("insert into owed values ('BTC', '1250.00000001', 5, 0.1), ('ETH', '30000', 7, 2)")
    connection.close()
    return path


def content(path: Path) -> bytes:
    return path.read_bytes()


def names(folder: Path) -> list[Path]:
    return list(folder.iterdir())


def url_of(path: Path) -> str:
    return f"sqlite+aiosqlite:///{str(path).replace('?', '%3F')}"


async def test_sqlite_gives_texts_and_whole_numbers(ledger: Path) -> None:
    assert await rows(url_of(ledger), OWED) == [Row("BTC", "1250.00000001"), Row("ETH", "30000")]
    units = await rows(url_of(ledger), "select asset, units from owed order by asset")
    assert units == [Row("BTC", 5, Measure.UNITS), Row("ETH", 7, Measure.UNITS)]


async def test_a_real_number_of_sqlite_is_refused(ledger: Path) -> None:
    async with asking(url_of(ledger), "select asset, rough as amount from owed") as reader:
        raw = await reader.read()
    with pytest.raises(FeedError, match="binary fraction"):
        checked(raw, expected=EXPECTED, now=NOW)


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("select asset, total from owed", "no such column: total"),
        ("insert into owed values ('X', '1', 1, 1) returning asset, amount", "readonly"),
        ("update owed set amount = '0'", "readonly"),
        ("pragma user_version = 7", "readonly"),
        ("", "gives no rows"),
    ],
)
async def test_sqlite_is_asked_and_never_written(ledger: Path, query: str, words: str) -> None:
    before = content(ledger)
    error = await refused(url_of(ledger), query or "-- nothing")
    assert error.reason is FeedReason.MISCONFIGURED
    assert words in error.detail.replace("query_only", "readonly")
    assert content(ledger) == before


async def test_a_query_of_sqlite_that_takes_forever_is_ended(ledger: Path) -> None:
    error = await refused(url_of(ledger), FOREVER, timeout="300ms")
    assert error.reason is FeedReason.TIMEOUT


async def test_a_missing_file_gives_no_answer_and_is_not_made(tmp_path: Path) -> None:
    error = await refused(url_of(tmp_path / "nowhere.db"), OWED)
    assert error.reason is FeedReason.UNAVAILABLE
    assert names(tmp_path) == []


async def test_a_file_that_is_no_database_gives_no_answer(tmp_path: Path) -> None:
    (tmp_path / "a.db").write_bytes(b"half a file " * 500)
    assert (await refused(url_of(tmp_path / "a.db"), OWED)).reason is FeedReason.UNAVAILABLE


async def test_a_locked_file_gives_no_answer_and_comes_back(ledger: Path) -> None:
    async with asking(url_of(ledger), OWED, timeout="500ms") as reader:
        writer = sqlite3.connect(ledger, isolation_level=None)
        writer.execute("begin exclusive")
        with pytest.raises(FeedError) as caught:
            await reader.read()
        writer.execute("commit")
        writer.close()
        assert caught.value.reason in (FeedReason.UNAVAILABLE, FeedReason.TIMEOUT)
        assert len((await reader.read()).rows) == 2


def test_a_database_is_never_shown_with_its_password() -> None:
    config: SqlSource = SqlLiabilities(kind="sql", url="postgresql+asyncpg://u:hunter2@db/x", query="select 1")
    assert "hunter2" not in repr(config) + str(config) + config.model_dump_json()
