"""Databases on a real PostgreSQL for the tests of the store, set up as unlike SQLite as a server may be."""

from __future__ import annotations

from itertools import count

from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

from tests.integration.postgres import PASSWORD, Postgres
from tests.store_databases import Rows

_numbers = count(1)

UNLIKE = (
    "timezone = 'Asia/Kolkata'",
    "datestyle = 'German'",
    "bytea_output = 'escape'",
    "default_transaction_isolation = 'serializable'",
    "synchronous_commit = off",
)
"""Defaults that an operator may have set for the database, and that must not matter to us."""

STRUCTURE = """
    select table_name::text, column_name::text, data_type::text, is_nullable::text, column_default::text
    from information_schema.columns where table_schema = 'public'
    union all select tablename::text, indexname::text, indexdef, '', '' from pg_indexes where schemaname = 'public'
    order by 1, 2, 3
"""


class PostgresDatabase:
    """One of its own, empty; its texts are sorted as in English, where `a` comes before `B`."""

    def __init__(self, server: Postgres) -> None:
        self.server = server
        self.name = f"store_{next(_numbers)}"
        server.execute(
            f"create database {self.name} template template0 encoding 'UTF8' locale 'C' "
            "locale_provider icu icu_locale 'en-US'",
            *(f"alter database {self.name} set {setting}" for setting in UNLIKE),
        )

    @property
    def url(self) -> str:
        return self.server.url_of(PASSWORD, database=self.name)

    async def run(self, statement: str) -> Rows:
        engine = create_async_engine(self.url, poolclass=NullPool, isolation_level="AUTOCOMMIT")
        async with engine.connect() as connection:
            result = await connection.execute(text(statement.replace(":", r"\:")))
            return [tuple(row) for row in result] if result.returns_rows else []

    async def structure(self) -> Rows:
        """Every column with its type and whether it may be empty; every index."""
        return await self.run(STRUCTURE)
