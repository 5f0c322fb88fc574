"""The store on a real PostgreSQL: the same cases as on SQLite, and the settings of a server that must not matter."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest
from sqlalchemy import Engine, event
from sqlalchemy.engine import Connection

from daemon.store.repository import SqlStore
from tests.delivery_cases import firing
from tests.integration.postgres import Postgres
from tests.integration.postgres_databases import PostgresDatabase
from tests.store_cases import StoreCases
from tests.store_history_cases import HistoryCases
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
    server = Postgres()
    server.start()
    try:
        yield server
    finally:
        server.remove()


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
