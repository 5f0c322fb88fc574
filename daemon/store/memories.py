"""What parts of the daemon remember over a restart, on SQL: texts under keys of their own, by kind."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from sqlalchemy import Connection, delete, select, tuple_

from daemon.store import MemoryRow
from daemon.store.doing import AT_ONCE, Do, replace_rows
from daemon.store.tables import MEMORY


class SqlMemories:
    """`daemon.store.Memories` on an SQL database."""

    def __init__(self, do: Do) -> None:
        self._do = do

    async def keep(self, changes: Mapping[str, Mapping[str, MemoryRow | None]]) -> None:
        gone = [(kind, key) for kind, rows in changes.items() for key, row in rows.items() if row is None]
        kept = [
            {"kind": kind, "key": key, "at": row.at, "body": row.body}
            for kind, rows in changes.items()
            for key, row in rows.items()
            if row is not None
        ]

        def work(connection: Connection) -> None:
            for start in range(0, len(gone), AT_ONCE):
                part = gone[start : start + AT_ONCE]
                connection.execute(delete(MEMORY).where(tuple_(MEMORY.c.kind, MEMORY.c.key).in_(part)))
            replace_rows(connection, MEMORY, kept)

        await self._do(work, writing=True)

    async def load(
        self, kind: str, *, since: datetime | None = None, skip: int = 0, limit: int = 1000
    ) -> tuple[tuple[str, MemoryRow], ...]:
        of = MEMORY.c.kind == kind
        if since is not None:
            of &= MEMORY.c.at >= since
        query = select(MEMORY).where(of).order_by(MEMORY.c.at.desc(), MEMORY.c.key).offset(skip).limit(limit)
        found = await self._do(lambda connection: connection.execute(query).all())
        return tuple((row.key, MemoryRow(row.at, row.body)) for row in found)

    async def drop(self, kind: str, *, before: datetime | None = None, beyond: int | None = None) -> int:
        def work(connection: Connection) -> int:
            went = 0
            if before is not None:
                old = (MEMORY.c.kind == kind) & (MEMORY.c.at < before)
                went += connection.execute(delete(MEMORY).where(old)).rowcount
            if beyond is not None:
                newest = select(MEMORY.c.at).where(MEMORY.c.kind == kind).order_by(MEMORY.c.at.desc())
                first = connection.scalar(newest.offset(beyond).limit(1))
                if first is not None:
                    more = (MEMORY.c.kind == kind) & (MEMORY.c.at <= first)
                    went += connection.execute(delete(MEMORY).where(more)).rowcount
            return went

        return await self._do(work, writing=True)
