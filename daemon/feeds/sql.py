"""Sources that are databases, asked by a query of the operator's own."""

from __future__ import annotations

import asyncio
import re
import sqlite3
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal
from urllib.parse import quote

import aiosqlite
from pydantic import Field
from sqlalchemy import Connection
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine
from sqlalchemy.pool import NullPool

from connectors.transport import Timing
from daemon.database import DatabaseUrl, driver_errors, open_sqlite
from daemon.document import reason
from daemon.feeds.rows import Columns, table
from daemon.feeds.source import FeedError, Raw, SourceConfig, bad
from daemon.feeds.values import FeedReason


class SqlSource(SourceConfig):
    """A query, in a transaction that can't write."""

    kind: Literal["sql"]
    url: DatabaseUrl = Field(
        description="SQLAlchemy URL of the database, sqlite+aiosqlite or postgresql+asyncpg; shown is its host"
    )
    url_file: Path | None = Field(None, description="instead of `url`: a file that holds it, beside this one")
    query: str = Field(
        min_length=1,
        max_length=100_000,
        description="one SELECT with the columns `asset` and `amount` or `units`, and `at` if rows have a time",
    )


SINCE = re.compile(r"(?<![:\w]):since\b")
"""In a query: what is newer than this. `::since` would be a type."""

MOST_ROWS = 10_000
SLICE = 2_000
"""Rows that are fetched at a time."""
LONGEST_WORDS = 200

# Classes of SQLSTATE (PostgreSQL, appendix A) and single ones → why there is no answer.
STATES = {
    "57014": FeedReason.TIMEOUT,  # query_canceled: past the time that we gave it
    "22": FeedReason.BAD_ANSWER,  # data exceptions, such as a division by zero
    "25006": FeedReason.MISCONFIGURED,  # the query would write
    "28": FeedReason.MISCONFIGURED,  # who we are
    "3D": FeedReason.MISCONFIGURED,  # no such database
    "42": FeedReason.MISCONFIGURED,  # syntax, names, access
}


@asynccontextmanager
async def opened_sql(config: SqlSource, *, columns: Columns, timing: Timing) -> AsyncIterator[SqlReader]:
    """The reader of a database."""
    async with opened_database(config, timing=timing) as database:
        yield SqlReader(database, config.query, columns=columns)


@asynccontextmanager
async def opened_database(config: SqlSource, *, timing: Timing) -> AsyncIterator[Database]:
    """Each question has a connection of its own, so that a lost one costs one answer."""
    url = make_url(config.url.get_secret_value())
    lite = url.get_backend_name() == "sqlite"
    arguments = {"async_creator_fn": open_sqlite} if lite else {}
    engine = create_async_engine(_read_only(url) if lite else url, poolclass=NullPool, connect_args=arguments)
    try:
        yield Database(engine, seconds=config.timeout.total_seconds(), timing=timing)
    finally:
        await engine.dispose()


def _read_only(url: URL) -> URL:
    """SQLite makes a file where there is none, unless told that it must not write."""
    if not url.database or url.database == ":memory:":
        return url
    return url.set(database=f"file:{quote(url.database)}").update_query_dict({"mode": "ro", "uri": "true"})


class SqlReader:
    """Asks for numbers."""

    pushed = False

    def __init__(self, database: Database, query: str, *, columns: Columns) -> None:
        self._database = database
        self._query = query
        self._columns = columns

    async def read(self) -> Raw:
        found = await self._database.ask(self._query, most=MOST_ROWS)
        if len(found.rows) > MOST_ROWS:
            raise bad(f"more than {MOST_ROWS:,} rows")
        return table(found.columns, found.rows, measures=self._columns)


@dataclass(frozen=True, slots=True)
class Found:
    """What a query gives."""

    columns: list[str]
    rows: list[tuple[object, ...]]


class Database:
    """Runs a query in a transaction that can't write, within the deadline: the server's time-out, and ours."""

    def __init__(self, engine: AsyncEngine, *, seconds: float, timing: Timing) -> None:
        self._engine = engine
        self._seconds = seconds
        self._timing = timing

    async def ask(self, query: str, *, most: int, since: datetime | None = None) -> Found:
        """Up to one more row than `most`; `since` is bound to what the query calls `:since`. FeedError."""
        try:
            with self._timing.away():
                async with asyncio.timeout(self._seconds * 1.2 + 0.2):  # the server's own goes first: it says more
                    return await self._ask(query, most=most, since=since)
        except TimeoutError:
            raise self._late() from None
        except DBAPIError as error:
            raise self._said(error.orig or error) from None
        except SQLAlchemyError as error:
            raise FeedError(FeedReason.MISCONFIGURED, f"the query gives no rows ({type(error).__name__})") from None
        except driver_errors() as error:
            raise self._said(error) from None
        except OSError as error:
            raise FeedError(FeedReason.UNAVAILABLE, f"the database can't be reached: {reason(error)}") from None

    async def _ask(self, query: str, *, most: int, since: datetime | None) -> Found:
        async with self._engine.connect() as connection:
            await self._bound(connection)
            if since is None:
                return await connection.run_sync(_fetched, query, (), most)
            text, value = _with_since(query, since, dialect=connection.dialect.name)
            return await connection.run_sync(_fetched, text, (value,), most)

    async def _bound(self, connection: AsyncConnection) -> None:
        """Makes the database itself end a query that takes too long, and refuse one that writes."""
        if connection.dialect.name == "postgresql":
            await connection.execution_options(postgresql_readonly=True)
            await connection.exec_driver_sql(f"SET LOCAL statement_timeout = {max(1, round(self._seconds * 1000))}")
            return
        end = time.monotonic() + self._seconds
        driver = (await connection.get_raw_connection()).driver_connection
        assert isinstance(driver, aiosqlite.Connection)
        await driver.execute("PRAGMA query_only = ON")
        await driver.set_progress_handler(lambda: time.monotonic() > end, 10_000)

    def _said(self, error: BaseException) -> FeedError:
        """The database's error as ours: of its words only those about the query itself, which is no secret."""
        state = str(getattr(error, "sqlstate", None) or "")
        why = STATES.get(state) or STATES.get(state[:2]) or FeedReason.UNAVAILABLE
        if isinstance(error, sqlite3.Error):
            why = _of_sqlite(error)
        if why is FeedReason.TIMEOUT:
            return self._late()
        words = _words(error) if state.startswith(("22", "42")) or isinstance(error, sqlite3.Error) else ""
        if not state and not isinstance(error, sqlite3.Error):
            return FeedError(why, f"the connection broke ({type(error).__name__})")
        return FeedError(why, f"the database answered {type(error).__name__} {state}".rstrip() + words)

    def _late(self) -> FeedError:
        return FeedError(FeedReason.TIMEOUT, f"no answer within {self._seconds:g}s")


def _fetched(connection: Connection, query: str, values: tuple[object, ...], most: int) -> Found:
    """In slices, between which others have their turn."""
    result = connection.exec_driver_sql(query, values, execution_options={"stream_results": True})
    rows: list[tuple[object, ...]] = []
    while len(rows) <= most and (some := result.fetchmany(min(SLICE, most + 1 - len(rows)))):
        rows.extend(tuple(row) for row in some)
    return Found(list(result.keys()), rows)


def _with_since(query: str, since: datetime, *, dialect: str) -> tuple[str, object]:
    """The query as the driver wants it, and the value: a time in PostgreSQL, in SQLite a text as of its own functions.

    Such a text sorts before every other that names the same second as of ISO 8601, so that none of these is missed.
    """
    if dialect == "postgresql":
        return SINCE.sub("CAST($1 AS timestamptz)", query), since
    return SINCE.sub("?1", query), f"{since.astimezone(UTC):%Y-%m-%d %H:%M:%S}"


def asks_since(query: str) -> bool:
    """Whether it can be asked for what is new."""
    return SINCE.search(query) is not None


def _of_sqlite(error: sqlite3.Error) -> FeedReason:
    if isinstance(error, sqlite3.ProgrammingError):
        return FeedReason.MISCONFIGURED
    match error.sqlite_errorcode & 0xFF:
        case sqlite3.SQLITE_INTERRUPT:
            return FeedReason.TIMEOUT
        case sqlite3.SQLITE_ERROR | sqlite3.SQLITE_READONLY:
            return FeedReason.MISCONFIGURED
        case _:
            return FeedReason.UNAVAILABLE


def _words(error: BaseException) -> str:
    text = str(error).splitlines()[0] if str(error) else ""
    text = "".join(mark if mark.isprintable() else " " for mark in text[:LONGEST_WORDS])
    return f": {text}" if text else ""
