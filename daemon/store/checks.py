"""What came of the checks that are bound to a schedule, on SQL."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import delete, select

from daemon.store import CheckRow
from daemon.store.doing import Do, replace_rows
from daemon.store.tables import CHECKS


class SqlChecks:
    """`daemon.store.Checks` on an SQL database."""

    def __init__(self, do: Do) -> None:
        self._do = do

    async def keep(self, rows: Sequence[CheckRow]) -> None:
        values = [{"policy": one.policy, "subject": one.subject, "due": one.due, "body": one.body} for one in rows]
        await self._do(lambda connection: replace_rows(connection, CHECKS, values), writing=True)

    async def between(self, *, since: datetime, until: datetime) -> tuple[CheckRow, ...]:
        of = (CHECKS.c.due >= since) & (CHECKS.c.due < until)
        found = await self._do(lambda connection: connection.execute(select(CHECKS).where(of)).all())
        rows = (CheckRow(row.policy, row.subject, row.due, row.body) for row in found)
        # Sorted here: a database sorts texts as its locale does.
        return tuple(sorted(rows, key=lambda row: (row.due, row.policy, row.subject)))

    async def drop(self, *, before: datetime) -> int:
        statement = delete(CHECKS).where(CHECKS.c.due < before)
        return await self._do(lambda connection: connection.execute(statement).rowcount, writing=True)
