"""The history's tables on a real SQLite, and the way to them from a database of the first schema."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from daemon.store.repository import SqlStore
from tests.store_databases import SqliteDatabase
from tests.store_history_cases import HistoryCases
from tests.store_sql_cases import SchemaCases, patient

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


@pytest.fixture
def database(tmp_path: Path) -> SqliteDatabase:
    return SqliteDatabase(tmp_path / "pyrometer.db")


@pytest.fixture
async def store(database: SqliteDatabase) -> AsyncIterator[SqlStore]:
    async with patient(database) as store:
        yield store


@pytest.fixture
def first_schema() -> list[str]:
    return [statement for statement in SCHEMA_1.split(";\n") if statement.strip()]


class TestHistoryOnSqlite(HistoryCases):
    """What HistoryCases says."""


class TestSchemaOnSqlite(SchemaCases):
    """What SchemaCases says."""
