"""What is kept of the gates, on SQL."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from sqlalchemy import Connection, delete, select

from daemon.store import Entry, GateRow
from daemon.store.audit import write
from daemon.store.doing import AT_ONCE, Do, replace_rows
from daemon.store.tables import GATES, MEMORY

ACCOUNTS = "gate-accounts"
"""The kind, in the table of what is remembered, of the accounts that closed gates stand for; the key is the wallet."""

EVER = datetime(1970, 1, 1, tzinfo=UTC)
"""These never get old."""


class SqlGates:
    """`daemon.store.GateRows` on an SQL database."""

    def __init__(self, do: Do) -> None:
        self._do = do

    async def keep(self, rows: Sequence[GateRow], *, entries: Sequence[Entry]) -> None:
        def work(connection: Connection) -> None:
            replace_rows(connection, GATES, [{"wallet": row.wallet, "body": row.body} for row in rows])
            _put_accounts(connection, {row.wallet: row.accounts for row in rows if row.accounts is not None})
            for entry in entries:
                write(connection, entry)

        await self._do(work, writing=True)

    async def all(self) -> tuple[GateRow, ...]:
        def work(connection: Connection) -> tuple[GateRow, ...]:
            known = select(MEMORY.c.key, MEMORY.c.body).where(MEMORY.c.kind == ACCOUNTS)
            accounts = {row.key: row.body for row in connection.execute(known)}
            found = connection.execute(select(GATES)).all()
            return tuple(GateRow(row.wallet, row.body, accounts.get(row.wallet)) for row in found)

        return tuple(sorted(await self._do(work), key=lambda row: row.wallet))


def _put_accounts(connection: Connection, accounts: dict[str, str]) -> None:
    gone = [name for name, body in accounts.items() if not body]
    for start in range(0, len(gone), AT_ONCE):
        part = (MEMORY.c.kind == ACCOUNTS) & MEMORY.c.key.in_(gone[start : start + AT_ONCE])
        connection.execute(delete(MEMORY).where(part))
    kept = [{"kind": ACCOUNTS, "key": name, "at": EVER, "body": body} for name, body in accounts.items() if body]
    replace_rows(connection, MEMORY, kept)
