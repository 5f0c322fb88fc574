"""The store on SQL: one transaction an operation, and every foreign error made ours."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any, TypeVar

import aiosqlite
from sqlalchemy import Column, Connection, Delete, bindparam, delete, event, func, insert, select, update
from sqlalchemy.engine import URL, RowMapping, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, InvalidRequestError, SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.pool import AsyncAdaptedQueuePool

from daemon.errors import ConfigError, StoreError
from daemon.model import Event, Finding, Notification, State
from daemon.store import Outcome, Stores, Tally, migrations
from daemon.store.archive import SqlArchive
from daemon.store.checks import SqlChecks
from daemon.store.codec import decode, encode
from daemon.store.price_days import SqlPriceDays
from daemon.store.tables import FINDINGS, NOTIFICATIONS

T = TypeVar("T")

BUSY_SECONDS = 2.0
"""How long SQLite waits for another process's lock: the judging waits with it."""

AT_ONCE = 500
"""Ids in one `IN (...)`: databases limit the parameters of a statement."""


@asynccontextmanager
async def open_store(url: str, *, deadline: float = 4.0) -> AsyncIterator["SqlStore"]:
    """The store at `url`, `sqlite+aiosqlite:///path` or `postgresql+asyncpg://user:password@host/name`.

    An operation that takes longer than `deadline` seconds has failed, although it may still come to pass. Opening does
    not touch the database; the first operation brings its schema up to date. ConfigError when the URL can't be used.
    """
    engine = _engine(url, deadline=deadline)
    store = SqlStore(engine, deadline=deadline)
    try:
        yield store
    finally:
        await store.settle()
        await engine.dispose()


class SqlStore:
    """`daemon.store.Store` on an SQL database, and the other ports to the same one; made by `open_store`."""

    def __init__(self, engine: AsyncEngine, *, deadline: float) -> None:
        self._engine = engine
        self._deadline = deadline
        self._migrated = False
        self._abandoned: set[asyncio.Task[object]] = set()
        self.archive = SqlArchive(self._do)
        self.price_days = SqlPriceDays(self._do)
        self.checks = SqlChecks(self._do)

    @property
    def stores(self) -> Stores:
        """This database as all the ports to it."""
        return Stores(self, self.checks, self.price_days, self.archive)

    async def record(
        self,
        findings: Sequence[Finding],
        notifications: Sequence[Notification],
        *,
        outcomes: Mapping[str, Outcome] | None = None,
    ) -> None:
        def work(connection: Connection) -> None:
            _put_findings(connection, findings)
            _put_notifications(connection, notifications)
            _settle(connection, outcomes or {})

        await self._do(work, writing=True)

    async def findings(self) -> tuple[Finding, ...]:
        still_open = FINDINGS.c.state != State.RESOLVED
        query = select(FINDINGS.c.body).where(still_open).order_by(FINDINGS.c.since, FINDINGS.c.id)
        return await self._do(lambda connection: tuple(map(decode, connection.scalars(query))))

    async def undelivered(self, sink: str, *, skip: int = 0, limit: int = 500) -> tuple[Notification, ...]:
        waiting = (NOTIFICATIONS.c.sink == sink) & NOTIFICATIONS.c.settled.is_(None)
        query = select(NOTIFICATIONS).where(waiting).order_by(NOTIFICATIONS.c.seq).offset(skip).limit(limit)
        return await self._do(lambda connection: tuple(map(_notification, connection.execute(query).mappings())))

    async def tallies(self) -> Mapping[str, Tally]:
        refused = func.count(NOTIFICATIONS.c.refusal)
        settled = func.count(NOTIFICATIONS.c.settled)
        query = select(NOTIFICATIONS.c.sink, func.count(), settled, refused).group_by(NOTIFICATIONS.c.sink)
        rows = await self._do(lambda connection: connection.execute(query).all())
        return {sink: Tally(every - done, done - no, no) for sink, every, done, no in rows}

    async def resolved_since(self, moment: datetime) -> tuple[Finding, ...]:
        late_enough = (FINDINGS.c.state == State.RESOLVED) & (FINDINGS.c.resolved >= moment)
        query = select(FINDINGS.c.body).where(late_enough).order_by(FINDINGS.c.resolved, FINDINGS.c.id)
        return await self._do(lambda connection: tuple(map(decode, connection.scalars(query))))

    async def prune(self, *, before: datetime) -> int:
        return await self._execute(
            delete(FINDINGS).where(FINDINGS.c.resolved < before),
            delete(NOTIFICATIONS).where(NOTIFICATIONS.c.settled < before),
        )

    async def drop_sink(self, sink: str) -> int:
        return await self._execute(delete(NOTIFICATIONS).where(NOTIFICATIONS.c.sink == sink))

    async def settle(self) -> None:
        """Gives operations that nobody waits for any more the time to end."""
        if self._abandoned:
            await asyncio.wait(self._abandoned, timeout=BUSY_SECONDS + self._deadline)

    async def _execute(self, *statements: Delete) -> int:
        def work(connection: Connection) -> int:
            return sum(connection.execute(statement).rowcount for statement in statements)

        return await self._do(work, writing=True)

    async def _do(self, work: Callable[[Connection], T], *, writing: bool = False) -> T:
        """The result of `work` in a transaction of its own."""
        task = asyncio.create_task(self._transact(work, writing=writing))
        try:
            done, _ = await asyncio.wait({task}, timeout=self._deadline)
            if not done:
                raise TimeoutError(f"no answer within {self._deadline:g} s")
            return task.result()
        except (SQLAlchemyError, sqlite3.Error, OSError, ValueError) as error:
            raise StoreError(_reason(error, url=self._engine.url)) from error
        finally:
            self._let_go(task)

    async def _transact(self, work: Callable[[Connection], T], *, writing: bool) -> T:
        await self._up_to_date()
        async with self._engine.execution_options(writing=writing).begin() as connection:
            return await connection.run_sync(work)

    def _let_go(self, task: asyncio.Task[T]) -> None:
        """Leaves an operation that hangs, in a dead disk or network, to its end: its driver can't be stopped midway.

        It can't come in after a newer one either, because there is one connection and they queue for it.
        """
        if not task.done():
            self._abandoned.add(task)
            task.add_done_callback(self._abandoned.discard)
            task.add_done_callback(lambda done: done.cancelled() or done.exception())

    async def _up_to_date(self) -> None:
        """Reading comes first: a database that is up to date but can't be written still answers."""
        if self._migrated:
            return
        async with self._engine.begin() as connection:
            behind = await connection.run_sync(migrations.version) < len(migrations.STEPS)
        if behind:
            async with self._engine.execution_options(writing=True).begin() as connection:
                await connection.run_sync(migrations.migrate)
        self._migrated = True


def _put_findings(connection: Connection, findings: Sequence[Finding]) -> None:
    newest = {finding.id: finding for finding in findings}
    gone = [finding.id for finding in newest.values() if finding.state is State.RESOLVED and finding.fired is None]
    kept = [_finding_row(finding) for finding in newest.values() if finding.id not in gone]
    for ids in _chunks(gone):
        connection.execute(delete(FINDINGS).where(FINDINGS.c.id.in_(ids)))
    known = _known(connection, FINDINGS.c.id, [str(row["id"]) for row in kept])
    # Not ON CONFLICT, which every dialect spells differently: writers take turns, so nobody comes in between.
    if new := [row for row in kept if row["id"] not in known]:
        connection.execute(insert(FINDINGS), new)
    if old := [{f"new_{key}": value for key, value in row.items()} for row in kept if row["id"] in known]:
        connection.execute(_UPDATE_FINDING, old)


_UPDATE_FINDING = (
    update(FINDINGS)
    .where(FINDINGS.c.id == bindparam("new_id"))
    .values({name: bindparam(f"new_{name}") for name in ("state", "since", "resolved", "body")})
)


def _put_notifications(connection: Connection, notifications: Sequence[Notification]) -> None:
    """Inserts those that are not yet there, in order."""
    rows = {item.id: _notification_row(item) for item in notifications}
    known = _known(connection, NOTIFICATIONS.c.id, list(rows))
    for key, row in rows.items():
        # One by one: a multi-row insert promises no order of the sequence.
        if key not in known:
            connection.execute(insert(NOTIFICATIONS).values(row))


def _known(connection: Connection, column: Column[str], ids: Sequence[str]) -> set[str]:
    """Those of the ids that stand in the column."""
    queries = (select(column).where(column.in_(part)) for part in _chunks(ids))
    return {key for query in queries for key in connection.scalars(query)}


def _settle(connection: Connection, outcomes: Mapping[str, Outcome]) -> None:
    if outcomes:
        rows = [{"of": key, "moment": it.at, "reason": it.refusal} for key, it in outcomes.items()]
        connection.execute(_SETTLE, rows)


_SETTLE = (
    update(NOTIFICATIONS)
    .where((NOTIFICATIONS.c.id == bindparam("of")) & NOTIFICATIONS.c.settled.is_(None))
    .values(settled=bindparam("moment"), refusal=bindparam("reason"))
)


def _finding_row(finding: Finding) -> dict[str, object]:
    return {
        "id": finding.id,
        "state": finding.state.value,
        "since": finding.since,
        "resolved": finding.resolved,
        "body": encode(finding),
    }


def _notification_row(item: Notification) -> dict[str, object]:
    return {
        "id": item.id,
        "sink": item.sink,
        "event": item.event.value,
        "at": item.at,
        "finding": encode(item.finding),
    }


def _notification(row: RowMapping) -> Notification:
    return Notification(
        id=row[NOTIFICATIONS.c.id],
        sink=row[NOTIFICATIONS.c.sink],
        event=Event(row[NOTIFICATIONS.c.event]),
        at=row[NOTIFICATIONS.c.at],
        finding=decode(row[NOTIFICATIONS.c.finding]),
    )


def _chunks(ids: Sequence[str]) -> Iterator[Sequence[str]]:
    return (ids[start : start + AT_ONCE] for start in range(0, len(ids), AT_ONCE))


def _engine(text: str, *, deadline: float) -> AsyncEngine:
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
            pool_pre_ping=not lite,
            # asyncpg.connect: seconds to connect, and of one statement (asyncpg API reference, Connection).
            connect_args=_SQLITE if lite else {"timeout": deadline, "command_timeout": deadline},
        )
    except ModuleNotFoundError as error:
        raise ConfigError("store", f"needs the Python package {error.name}, which is not installed") from error
    except (ArgumentError, InvalidRequestError) as error:
        raise ConfigError(
            "store", "expected sqlite+aiosqlite:///<path> or postgresql+asyncpg://<user>:<password>@<host>/<name>"
        ) from error
    if lite:
        event.listen(engine.sync_engine, "begin", _begin_sqlite)
    return engine


async def _connect_sqlite(path: str, **options: Any) -> aiosqlite.Connection:  # noqa: ANN401 - as sqlite3.connect
    """As the driver does, but a failure leaves no thread behind that would speak to an event loop that is gone."""
    connection = aiosqlite.connect(path, **options)
    thread = connection._thread
    thread.daemon = True  # one that hangs must not keep the process from ending
    try:
        await connection
        # With WAL, readers and the writer don't wait for each other; FULL: what is committed survives a power cut.
        for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON"):
            await connection.execute_fetchall(f"PRAGMA {pragma}")
    except sqlite3.Error:
        await connection.close()
        await asyncio.to_thread(thread.join)
        raise
    return connection


_SQLITE = {
    "async_creator_fn": _connect_sqlite,
    "timeout": BUSY_SECONDS,
    # The driver must not begin transactions by itself: it would do so too late, after the first SELECT.
    "isolation_level": None,
}


def _begin_sqlite(connection: Connection) -> None:
    # A writer takes the lock at once: one that reads first and is overtaken by another process can't be retried.
    writing = connection.get_execution_options().get("writing", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writing else "BEGIN")


def _reason(error: Exception, *, url: URL) -> str:
    where = url.database if url.get_backend_name() == "sqlite" else f"{url.host}:{url.port or 5432}/{url.database}"
    cause = error.orig if isinstance(error, DBAPIError) and error.orig is not None else error
    text = str(cause).strip().partition("\n")[0] or type(cause).__name__
    if url.password:
        text = text.replace(str(url.password), "***")
    return f"store {where}: {text}"
