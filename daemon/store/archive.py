"""Snapshots, closings and reports on SQL."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Row, Table, delete, func, insert, select

from daemon.model import Finding
from daemon.store import ClosingRow, Notice, ReportRow, SnapshotRow
from daemon.store.codec import decode
from daemon.store.doing import Do, packed, replace_rows, unpacked
from daemon.store.tables import CLOSINGS, FINDINGS, NOTIFICATIONS, REPORTS, SNAPSHOTS


class SqlArchive:
    """`daemon.store.Archive` on an SQL database."""

    def __init__(self, do: Do) -> None:
        self._do = do

    async def keep_snapshots(self, rows: Sequence[SnapshotRow]) -> None:
        values = [{"grain": _seconds(row.grain), "at": row.at, "body": packed(row.body)} for row in rows]
        await self._do(lambda connection: replace_rows(connection, SNAPSHOTS, values), writing=True)

    async def snapshots(self, *, grain: timedelta, since: datetime, until: datetime) -> tuple[SnapshotRow, ...]:
        of = (SNAPSHOTS.c.grain == _seconds(grain)) & (SNAPSHOTS.c.at >= since) & (SNAPSHOTS.c.at < until)
        query = select(SNAPSHOTS.c.at, SNAPSHOTS.c.body).where(of).order_by(SNAPSHOTS.c.at)

        def work(connection: Connection) -> tuple[SnapshotRow, ...]:
            return tuple(SnapshotRow(at, grain, unpacked(body)) for at, body in connection.execute(query))

        return await self._do(work)

    async def oldest_snapshot(self, *, grain: timedelta | None = None) -> datetime | None:
        query = select(func.min(SNAPSHOTS.c.at))
        if grain is not None:
            query = query.where(SNAPSHOTS.c.grain == _seconds(grain))
        return await self._do(lambda connection: connection.scalar(query))

    async def newest_snapshot(self, *, grain: timedelta) -> datetime | None:
        query = select(func.max(SNAPSHOTS.c.at)).where(SNAPSHOTS.c.grain == _seconds(grain))
        return await self._do(lambda connection: connection.scalar(query))

    async def drop_snapshots(self, *, grain: timedelta, before: datetime) -> int:
        old = (SNAPSHOTS.c.grain == _seconds(grain)) & (SNAPSHOTS.c.at < before)
        statement = delete(SNAPSHOTS).where(old)
        return await self._do(lambda connection: connection.execute(statement).rowcount, writing=True)

    async def keep_closing(self, row: ClosingRow) -> None:
        values: dict[str, object] = {"day": row.day.isoformat(), "at": row.at, "body": packed(row.body)}
        await self._do(lambda connection: _keep_first(connection, CLOSINGS, values), writing=True)

    async def closing(self, day: date) -> ClosingRow | None:
        query = select(CLOSINGS.c.at, CLOSINGS.c.body).where(CLOSINGS.c.day == day.isoformat())

        def work(connection: Connection) -> ClosingRow | None:
            found = connection.execute(query).first()
            return None if found is None else ClosingRow(day, found.at, unpacked(found.body))

        return await self._do(work)

    async def closing_days(self) -> tuple[date, ...]:
        query = select(CLOSINGS.c.day).order_by(CLOSINGS.c.day)
        return await self._do(lambda connection: tuple(map(date.fromisoformat, connection.scalars(query))))

    async def keep_report(self, row: ReportRow) -> None:
        values: dict[str, object] = {
            "day": row.day.isoformat(),
            "sha256": row.sha256,
            "previous": row.previous,
            "body": packed(row.body),
        }
        await self._do(lambda connection: _keep_first(connection, REPORTS, values), writing=True)

    async def report(self, day: date) -> ReportRow | None:
        query = select(REPORTS).where(REPORTS.c.day == day.isoformat())

        def work(connection: Connection) -> ReportRow | None:
            found = connection.execute(query).first()
            return None if found is None else ReportRow(day, found.sha256, found.previous, unpacked(found.body))

        return await self._do(work)

    async def findings(self, *, since: datetime, until: datetime) -> tuple[Finding, ...]:
        still = FINDINGS.c.resolved.is_(None) | (FINDINGS.c.resolved >= since)
        query = (
            select(FINDINGS.c.body).where((FINDINGS.c.since < until) & still).order_by(FINDINGS.c.since, FINDINGS.c.id)
        )
        return await self._do(lambda connection: tuple(map(decode, connection.scalars(query))))

    async def notices(self, *, since: datetime, until: datetime) -> tuple[Notice, ...]:
        of = (NOTIFICATIONS.c.at >= since) & (NOTIFICATIONS.c.at < until)
        query = select(NOTIFICATIONS).where(of).order_by(NOTIFICATIONS.c.seq)
        return await self._do(lambda connection: tuple(map(_notice, connection.execute(query))))


def _notice(row: Row[Any]) -> Notice:
    return Notice(row.at, row.id.partition(":")[0], row.event, row.sink, row.settled, row.refusal)


def _keep_first(connection: Connection, table: Table, row: dict[str, object]) -> None:
    if connection.scalar(select(func.count()).select_from(table).where(table.c.day == row["day"])) == 0:
        connection.execute(insert(table), [row])


def _seconds(grain: timedelta) -> int:
    return round(grain.total_seconds())
