"""What is kept of the gates, on SQL."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection, select

from daemon.store import Entry, GateRow
from daemon.store.audit import write
from daemon.store.doing import Do, replace_rows
from daemon.store.tables import GATES


class SqlGates:
    """`daemon.store.GateRows` on an SQL database."""

    def __init__(self, do: Do) -> None:
        self._do = do

    async def keep(self, rows: Sequence[GateRow], *, entries: Sequence[Entry]) -> None:
        def work(connection: Connection) -> None:
            replace_rows(connection, GATES, [{"wallet": row.wallet, "body": row.body} for row in rows])
            for entry in entries:
                write(connection, entry)

        await self._do(work, writing=True)

    async def all(self) -> tuple[GateRow, ...]:
        found = await self._do(lambda connection: connection.execute(select(GATES)).all())
        return tuple(sorted((GateRow(row.wallet, row.body) for row in found), key=lambda row: row.wallet))
