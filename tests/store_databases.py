"""A database under a store, seen from below: its URL for the store, and plain SQL for the test."""

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any, Protocol

Rows = list[tuple[Any, ...]]


class Database(Protocol):
    """Empty at first; `run` commits one statement and gives its rows, `structure` is the same for the same tables."""

    @property
    def url(self) -> str: ...

    async def run(self, statement: str) -> Rows: ...

    async def structure(self) -> Rows: ...


class SqliteDatabase:
    """A file."""

    def __init__(self, file: Path) -> None:
        self.file = file

    @property
    def url(self) -> str:
        return f"sqlite+aiosqlite:///{self.file}"

    async def run(self, statement: str) -> Rows:
        with closing(sqlite3.connect(self.file)) as connection, connection:
            return connection.execute(statement).fetchall()

    async def structure(self) -> Rows:
        """Every column with its type, its key and whether it may be empty; every index."""
        columns = "select m.name, c.* from sqlite_master m, pragma_table_info(m.name) c where m.type = 'table'"
        indexes = "select m.name, i.name, c.name from sqlite_master m, pragma_index_list(m.name) i, "
        return sorted(await self.run(columns), key=str) + sorted(
            await self.run(f"{indexes} pragma_index_info(i.name) c where m.type = 'table'"), key=str
        )
