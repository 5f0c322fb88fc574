"""The store on a real PostgreSQL: the same cases as on SQLite, and the settings of a server that must not matter."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import Engine, event
from sqlalchemy.engine import Connection

from daemon.store import ReportRow
from daemon.store.repository import SqlStore
from tests.delivery_cases import NOON, firing, told
from tests.integration.postgres import Postgres, started
from tests.integration.postgres_databases import PostgresDatabase
from tests.kept import CONFIG, FIRST, SECOND, kept, reporter
from tests.store_audit_cases import AuditCases
from tests.store_cases import StoreCases
from tests.store_history_cases import MANY_MARKS, HistoryCases
from tests.store_memory_cases import MemoryCases
from tests.store_sql_cases import SchemaCases, SqlCases, patient

pytestmark = [pytest.mark.real, pytest.mark.timeout(120)]

SCHEMA_1 = """
CREATE TABLE pyrometer_schema (version INTEGER NOT NULL, PRIMARY KEY (version));
CREATE TABLE pyrometer_findings (
    id VARCHAR NOT NULL, state VARCHAR NOT NULL, since TIMESTAMP WITH TIME ZONE NOT NULL,
    resolved TIMESTAMP WITH TIME ZONE, body TEXT NOT NULL, PRIMARY KEY (id)
);
CREATE INDEX pyrometer_findings_state ON pyrometer_findings (state, resolved);
CREATE TABLE pyrometer_notifications (
    seq BIGSERIAL NOT NULL, id VARCHAR NOT NULL, sink VARCHAR NOT NULL, event VARCHAR NOT NULL,
    at TIMESTAMP WITH TIME ZONE NOT NULL, finding TEXT NOT NULL, settled TIMESTAMP WITH TIME ZONE, refusal TEXT,
    PRIMARY KEY (seq), UNIQUE (id)
);
CREATE INDEX pyrometer_notifications_queue ON pyrometer_notifications (sink, settled, seq);
INSERT INTO pyrometer_schema (version) VALUES (1);
INSERT INTO pyrometer_notifications (id, sink, event, at, finding)
    VALUES ('f0:firing:am', 'am', 'firing', '2026-11-23 12:00:00+00', 'x');
"""
"""A database as the version before the history has made it."""


@pytest.fixture(scope="module")
def server() -> Iterator[Postgres]:
    yield from started()


@pytest.fixture
def database(server: Postgres) -> PostgresDatabase:
    return PostgresDatabase(server)


@pytest.fixture
async def store(database: PostgresDatabase) -> AsyncIterator[SqlStore]:
    async with patient(database) as store:
        yield store


@pytest.fixture
def first_schema() -> list[str]:
    return [statement for statement in SCHEMA_1.split(";\n") if statement.strip()]


class TestOnPostgresql(StoreCases, SqlCases):
    """What StoreCases and SqlCases say."""


class TestMemoriesOnPostgresql(MemoryCases):
    """What MemoryCases says."""


class TestAuditOnPostgresql(AuditCases):
    """What AuditCases says."""


class TestHistoryOnPostgresql(HistoryCases):
    """What HistoryCases says."""


class TestSchemaOnPostgresql(SchemaCases):
    """What SchemaCases says."""


async def test_times_lie_in_the_tables_with_their_zone(store: SqlStore, database: PostgresDatabase) -> None:
    await store.record([firing("f1")], [])
    query = "select since = timestamptz '2026-11-23 12:00:00+00' from pyrometer_findings"
    assert await database.run(query) == [(True,)]


async def test_commits_survive_a_power_cut_whatever_the_server_s_default(store: SqlStore) -> None:
    """Which is not to wait for the disk, in this database; and writers read what was committed before their turn."""
    found: dict[str, object] = {}

    def look(connection: Connection) -> None:
        for name in ("synchronous_commit", "transaction_isolation", "lock_timeout", "statement_timeout"):
            found[name] = connection.exec_driver_sql(f"SHOW {name}").scalar()

    await store.findings()
    event.listen(Engine, "commit", look)
    try:
        await store.record([firing("f0")], [])
    finally:
        event.remove(Engine, "commit", look)
    assert found == {
        "synchronous_commit": "on",
        "transaction_isolation": "read committed",
        "lock_timeout": "10s",
        "statement_timeout": "20s",
    }


async def test_a_dump_restored_into_another_database_is_the_same_store(
    store: SqlStore, database: PostgresDatabase, server: Postgres
) -> None:
    """And it goes on where the dumped one ended: as docs/operations.md says of the backup."""
    first, second = told(firing("f1")), told(firing("f2"))
    report = ReportRow(NOON.date(), "a" * 64, None, MANY_MARKS)
    await store.record([firing("f1")], [first])
    await store.archive.keep_report(report)
    other = PostgresDatabase(server)
    await asyncio.to_thread(server.copy, database.name, into=other.name)
    async with patient(other) as restored:
        assert await restored.findings() == (firing("f1"),)
        assert await restored.archive.report(NOON.date()) == report
        await restored.record([], [second])
        assert await restored.undelivered("am") == (first, second)


async def test_the_reports_of_two_days_are_the_same_to_the_byte_on_both_databases(
    store: SqlStore, tmp_path: Path
) -> None:
    async with kept(tmp_path) as lite:
        await _copy(lite, to=store)
        for day in (FIRST, SECOND):
            assert await reporter(store).report(day) == await reporter(lite).report(day)


async def _copy(store: SqlStore, *, to: SqlStore) -> None:
    """All that a report is made of."""
    always = {"since": NOON - timedelta(days=1000), "until": NOON + timedelta(days=1000)}
    findings = await store.archive.findings(**always)
    await to.record(findings, await store.undelivered("am", limit=10**6))
    for grain, _ in CONFIG.ladder:
        await to.archive.keep_snapshots(await store.archive.snapshots(grain=grain, **always))
    for day in await store.archive.closing_days():
        closing = await store.archive.closing(day)
        assert closing is not None
        await to.archive.keep_closing(closing)
    assert findings
    assert await to.archive.notices(**always) == await store.archive.notices(**always)
