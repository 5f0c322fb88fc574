"""How the modules of the store reach its one connection: work in a transaction, with a deadline, errors made ours."""

import zlib
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol, TypeVar

from sqlalchemy import Connection, Table, delete, insert, tuple_

T = TypeVar("T")

AT_ONCE = 200
"""Rows in one statement: databases limit the parameters."""


class Do(Protocol):
    """`SqlStore` gives the result of `work` in a transaction of its own, or raises StoreError."""

    async def __call__(self, work: Callable[[Connection], T], *, writing: bool = False) -> T: ...


def replace_rows(connection: Connection, table: Table, rows: Sequence[Mapping[str, object]]) -> None:
    """Rows take the place of those with the same primary key; of several with one key, the last counts.

    Not ON CONFLICT, which every dialect spells differently: writers take turns, so nobody comes in between.
    """
    key = tuple(table.primary_key.columns)
    newest = {tuple(row[column.name] for column in key): row for row in rows}
    keys = list(newest)
    for start in range(0, len(keys), AT_ONCE):
        part = keys[start : start + AT_ONCE]
        connection.execute(delete(table).where(tuple_(*key).in_(part)))
        connection.execute(insert(table), [dict(newest[one]) for one in part])


def packed(text: str) -> bytes:
    return zlib.compress(text.encode(), 6)


def unpacked(body: bytes) -> str:
    """The text; ValueError when it is damaged."""
    try:
        return zlib.decompress(body).decode()
    except zlib.error as error:
        raise ValueError(f"a stored text is damaged: {error}") from error
