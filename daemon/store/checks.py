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
        query = select(CHECKS).where(of).order_by(CHECKS.c.due, CHECKS.c.policy, CHECKS.c.subject)
        found = await self._do(lambda connection: connection.execute(query).all())
        return tuple(CheckRow(row.policy, row.subject, row.due, row.body) for row in found)

    async def drop(self, *, before: datetime) -> int:
        statement = delete(CHECKS).where(CHECKS.c.due < before)
        return await self._do(lambda connection: connection.execute(statement).rowcount, writing=True)
