"""Announcements on SQL: each change together with its record in the audit log."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Connection, delete, select

from daemon.store import AnnouncementRow, Entry
from daemon.store.audit import write
from daemon.store.doing import Do, replace_rows
from daemon.store.tables import ANNOUNCEMENTS


class SqlAnnouncements:
    """`daemon.store.Announcements` on an SQL database."""

    def __init__(self, do: Do) -> None:
        self._do = do

    async def keep(self, row: AnnouncementRow, *, before: str | None, entry: Entry) -> bool:
        stored = select(ANNOUNCEMENTS.c.body).where(ANNOUNCEMENTS.c.id == row.id)

        def work(connection: Connection) -> bool:
            if connection.scalar(stored) != before:
                return False
            replace_rows(connection, ANNOUNCEMENTS, [{"id": row.id, "ends": row.ends, "body": row.body}])
            write(connection, entry)
            return True

        return await self._do(work, writing=True)

    async def since(self, moment: datetime) -> tuple[AnnouncementRow, ...]:
        query = select(ANNOUNCEMENTS).where(ANNOUNCEMENTS.c.ends >= moment).order_by(ANNOUNCEMENTS.c.ends)

        def work(connection: Connection) -> tuple[AnnouncementRow, ...]:
            return tuple(AnnouncementRow(row.id, row.ends, row.body) for row in connection.execute(query))

        return await self._do(work)

    async def drop(self, *, before: datetime) -> int:
        statement = delete(ANNOUNCEMENTS).where(ANNOUNCEMENTS.c.ends < before)
        return await self._do(lambda connection: connection.execute(statement).rowcount, writing=True)
