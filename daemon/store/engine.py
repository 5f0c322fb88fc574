"""Connections to the database: how each kind is opened and begins a transaction, and what is said when it fails."""

import asyncio
import sqlite3
from functools import partial
from typing import Any

import aiosqlite
from sqlalchemy import Connection, event
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, InvalidRequestError, SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.pool import AsyncAdaptedQueuePool

from daemon.database import closed_on_failure, driver_errors, open_sqlite
from daemon.errors import ConfigError

BUSY_SECONDS = 2.0
"""How long another process's lock is waited for at least: the judging waits with it."""

WRITERS = int.from_bytes(b"pyrometr")
"""The advisory lock of PostgreSQL that every writer holds for its transaction."""


def make_engine(text: str, *, deadline: float) -> AsyncEngine:
    """An engine of one connection. ConfigError when the URL can't be used."""
    try:
        url = make_url(text)
        lite = url.get_backend_name() == "sqlite"
        engine = create_async_engine(
            url,
            hide_parameters=True,
            poolclass=AsyncAdaptedQueuePool,
            pool_size=1,
            max_overflow=0,
            pool_timeout=deadline,
            **(_sqlite(deadline) if lite else _postgresql(deadline)),
        )
    except ModuleNotFoundError as error:
        raise ConfigError("store", f"needs the Python package {error.name}, which is not installed") from error
    except (ArgumentError, InvalidRequestError) as error:
        raise ConfigError(
            "store", "expected sqlite+aiosqlite:///<path> or postgresql+asyncpg://<user>:<password>@<host>/<name>"
        ) from error
    begin = _begin_sqlite if lite else partial(_begin_postgresql, deadline=deadline)
    event.listen(engine.sync_engine, "begin", begin)
    return engine


def busy_seconds(deadline: float) -> float:
    """How long an operation with that deadline waits for the lock of another process."""
    return max(BUSY_SECONDS, deadline / 2)


def database_errors() -> tuple[type[Exception], ...]:
    """All that a driver, SQLAlchemy or the reading of a damaged row raises."""
    return SQLAlchemyError, sqlite3.Error, *driver_errors(), OSError, ValueError


def reason(error: Exception, *, url: URL) -> str:
    """One line without credentials: which database, and what it said."""
    where = url.database if url.get_backend_name() == "sqlite" else f"{url.host}:{url.port or 5432}/{url.database}"
    cause = error.orig if isinstance(error, DBAPIError) and error.orig is not None else error
    text = str(cause).strip().partition("\n")[0] or type(cause).__name__
    if url.password:
        text = text.replace(str(url.password), "***")
    return f"store {where}: {text}"


def _sqlite(deadline: float) -> dict[str, Any]:
    return {
        "connect_args": {
            "async_creator_fn": _connect_sqlite,
            "timeout": busy_seconds(deadline),
            # The driver must not begin transactions by itself: it would do so too late, after the first SELECT.
            "isolation_level": None,
        }
    }


async def _connect_sqlite(path: str, **options: Any) -> aiosqlite.Connection:  # noqa: ANN401 - as sqlite3.connect
    connection = await open_sqlite(path, **options)
    # With WAL, readers and the writer don't wait for each other; FULL: what is committed survives a power cut.
    async with closed_on_failure(connection):
        for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON"):
            await _set(connection, pragma, patience=options["timeout"])
    return connection


async def _set(connection: aiosqlite.Connection, pragma: str, *, patience: float) -> None:
    """SQLite waits for no lock when it changes the journal: while another process makes the file, we do."""
    end = asyncio.get_running_loop().time() + patience
    while True:
        try:
            await connection.execute_fetchall(f"PRAGMA {pragma}")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or asyncio.get_running_loop().time() > end:
                raise
            await asyncio.sleep(0.01)
        else:
            return


def _begin_sqlite(connection: Connection) -> None:
    # A writer takes the lock at once: one that reads first and is overtaken by another process can't be retried.
    writing = connection.get_execution_options().get("writing", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writing else "BEGIN")


def _postgresql(deadline: float) -> dict[str, Any]:
    return {
        "pool_pre_ping": True,
        # Whatever the server's default: with it, what a writer reads after it got the lock is the newest.
        "isolation_level": "READ COMMITTED",
        # asyncpg.connect: seconds to connect, and of one statement (asyncpg API reference, Connection).
        "connect_args": {"timeout": deadline, "command_timeout": deadline},
    }


def _begin_postgresql(connection: Connection, *, deadline: float) -> None:
    """Writers take turns, as on SQLite; one that is cut off from the server holds up the others no longer than it waits
    itself; and what is committed survives a power cut, also where the server's default is not to wait for the disk.

    PostgreSQL manual, 13.3.5 Advisory Locks, 20.5.1 synchronous_commit, 20.11.1 Statement Behavior.
    """
    if connection.get_execution_options().get("writing", False):
        locks, whole = round(busy_seconds(deadline) * 1000), round(deadline * 1000)
        connection.exec_driver_sql(
            f"SELECT set_config('lock_timeout', '{locks}', true), set_config('statement_timeout', '{whole}', true), "
            f"set_config('idle_in_transaction_session_timeout', '{whole}', true)"
        )
        connection.exec_driver_sql(
            "SELECT set_config('synchronous_commit', 'on', true) WHERE current_setting('synchronous_commit') = 'off'"
        )
        connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({WRITERS})")
