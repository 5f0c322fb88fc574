"""The audit log on SQL: records that are only ever added, each vouching by its hash for all that came before it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, Row, insert, select

from daemon.store import AuditRecord, Entry
from daemon.store.doing import Do
from daemon.store.tables import AUDIT

GENESIS = "0" * 64
"""What stands as the hash before the first record."""

AT_ONCE = 1000


def canonical(entry: Entry, *, number: int, previous: str) -> str:
    """The text of a record, whose SHA-256 is its hash: JSON, keys sorted, no spaces, ASCII, the time in UTC.

    Like that the text can be made again from the record by anybody, in any language. ValueError for a body that is not
    JSON.
    """
    record = {
        "at": moment(entry.at),
        "body": entry.body,
        "number": number,
        "previous": previous,
        "what": entry.what,
        "who": entry.who,
        "why": entry.why,
    }
    return json.dumps(record, sort_keys=True, separators=(",", ":"), allow_nan=False)


def digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def moment(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="microseconds")


def write(connection: Connection, entry: Entry) -> AuditRecord:
    """Adds a record in the transaction of a writer (`writing=True`), which is that of the change that it tells of.

    Writers take turns, between daemons too, so that the record before it is the last one.
    """
    newest = select(AUDIT.c.number, AUDIT.c.sha256).order_by(AUDIT.c.number.desc()).limit(1)
    last = connection.execute(newest).first()
    number, previous = (1, GENESIS) if last is None else (last.number + 1, last.sha256)
    text = canonical(entry, number=number, previous=previous)
    record = AuditRecord(number, entry.at.astimezone(UTC), text, digest(text), previous)
    connection.execute(insert(AUDIT), [_row(record)])
    return record


def _row(record: AuditRecord) -> dict[str, object]:
    return {
        "number": record.number,
        "at": record.at,
        "body": record.text,
        "sha256": record.sha256,
        "previous": record.previous,
    }


class SqlAudit:
    """`daemon.store.Audit` on an SQL database."""

    def __init__(self, do: Do) -> None:
        self._do = do

    async def append(self, entry: Entry) -> AuditRecord:
        return await self._do(lambda connection: write(connection, entry), writing=True)

    async def records(self, *, after: int = 0) -> AsyncIterator[AuditRecord]:
        while page := await self._page(after):
            for record in page:
                yield record
            after = page[-1].number

    async def _page(self, after: int) -> tuple[AuditRecord, ...]:
        query = select(AUDIT).where(AUDIT.c.number > after).order_by(AUDIT.c.number).limit(AT_ONCE)
        return await self._do(lambda connection: tuple(map(_record, connection.execute(query))))


def _record(row: Row[Any]) -> AuditRecord:
    return AuditRecord(row.number, row.at, row.body, row.sha256, row.previous)
