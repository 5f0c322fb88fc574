"""The store's contract, held by the real one on SQLite and by the one in memory that other tests build on."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from sqlalchemy import Table, create_mock_engine
from sqlalchemy.schema import CreateTable

from daemon.store.repository import SqlStore
from daemon.store.tables import METADATA
from tests.delivery_cases import MemoryStore, firing
from tests.store_audit_cases import AuditCases
from tests.store_cases import StoreCases
from tests.store_databases import SqliteDatabase
from tests.store_memory_cases import MemoryCases
from tests.store_sql_cases import SqlCases, patient


@pytest.fixture
def database(tmp_path: Path) -> SqliteDatabase:
    return SqliteDatabase(tmp_path / "pyrometer.db")


@pytest.fixture
async def store(database: SqliteDatabase) -> AsyncIterator[SqlStore]:
    async with patient(database) as store:
        yield store


class TestInMemory(StoreCases):
    """What StoreCases says, of the oracle of other tests."""

    @pytest.fixture
    def store(self) -> MemoryStore:
        return MemoryStore()


class TestOnSqlite(StoreCases, SqlCases):
    """What StoreCases and SqlCases say."""


class TestMemoriesOnSqlite(MemoryCases):
    """What MemoryCases says."""


class TestAuditOnSqlite(AuditCases):
    """What AuditCases says."""


async def test_times_lie_in_the_tables_in_utc(store: SqlStore, database: SqliteDatabase) -> None:
    await store.record([firing("f1")], [])
    assert await database.run("select since from pyrometer_findings") == [("2026-11-23 12:00:00.000000",)]


@pytest.mark.parametrize("table", METADATA.sorted_tables, ids=str)
def test_the_tables_are_also_good_postgresql(table: Table) -> None:
    """As far as its dialect can tell without a server: a real time type, and a sequence of our own."""
    text = str(CreateTable(table).compile(dialect=create_mock_engine("postgresql://", print).dialect))
    assert "DATETIME" not in text
    assert "seq" not in table.c or "seq BIGSERIAL NOT NULL" in text
    assert "since" not in table.c or "since TIMESTAMP WITH TIME ZONE NOT NULL" in text
