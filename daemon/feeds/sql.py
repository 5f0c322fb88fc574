"""Sources that are databases, asked by a query of the operator's own."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field

from daemon.database import DatabaseUrl
from daemon.feeds.source import SourceConfig


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
