"""The store on SQL: one transaction an operation, and every foreign error made ours."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from typing import TypeVar

from sqlalchemy import Column, Connection, Delete, bindparam, delete, func, insert, select, update
from sqlalchemy.engine import RowMapping
from sqlalchemy.ext.asyncio import AsyncEngine

from daemon.errors import StoreError
from daemon.model import Event, Finding, Notification, State
from daemon.store import Outcome, Stores, Tally, migrations
from daemon.store.archive import SqlArchive
from daemon.store.audit import SqlAudit
from daemon.store.checks import SqlChecks
from daemon.store.codec import decode, encode, storable
from daemon.store.engine import busy_seconds, database_errors, make_engine, reason
from daemon.store.gates import SqlGates
from daemon.store.price_days import SqlPriceDays
from daemon.store.tables import FINDINGS, NOTIFICATIONS

T = TypeVar("T")

AT_ONCE = 500
"""Ids in one `IN (...)`: databases limit the parameters of a statement."""


@asynccontextmanager
async def open_store(url: str, *, deadline: float = 4.0) -> AsyncIterator["SqlStore"]:
    """The store at `url`, `sqlite+aiosqlite:///path` or `postgresql+asyncpg://user:password@host/name`.

    An operation that takes longer than `deadline` seconds has failed, although it may still come to pass. Opening does
    not touch the database; the first operation brings its schema up to date. ConfigError when the URL can't be used.
    """
    engine = make_engine(url, deadline=deadline)
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
        self.audit = SqlAudit(self._do)
        self.gates = SqlGates(self._do)

    @property
    def stores(self) -> Stores:
        """This database as all the ports to it."""
        return Stores(self, self.checks, self.price_days, self.audit, self.archive, self.gates)

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
            await asyncio.wait(self._abandoned, timeout=busy_seconds(self._deadline) + self._deadline)

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
        except database_errors() as error:
            # What comes back may be another database, put there from a copy or empty: its schema is looked at anew.
            self._migrated = False
            raise StoreError(reason(error, url=self._engine.url)) from error
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
    # Many times one row, which the driver sends together: several rows in one statement would promise no order of the
    # sequence, and a statement each waits for the server a thousand times after an outage.
    if new := [row for key, row in rows.items() if key not in known]:
        connection.execute(insert(NOTIFICATIONS), new)


def _known(connection: Connection, column: Column[str], ids: Sequence[str]) -> set[str]:
    """Those of the ids that stand in the column."""
    queries = (select(column).where(column.in_(part)) for part in _chunks(ids))
    return {key for query in queries for key in connection.scalars(query)}


def _settle(connection: Connection, outcomes: Mapping[str, Outcome]) -> None:
    if outcomes:
        rows = [{"of": key, "moment": it.at, "reason": _words(it.refusal)} for key, it in outcomes.items()]
        connection.execute(_SETTLE, rows)


def _words(refusal: str | None) -> str | None:
    return None if refusal is None else storable(refusal)


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
