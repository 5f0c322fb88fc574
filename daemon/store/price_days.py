"""Daily prices on SQL."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from decimal import Decimal
from typing import Any

from sqlalchemy import Row, delete, select

from daemon.store import PriceDay
from daemon.store.doing import Do, replace_rows
from daemon.store.tables import PRICE_DAYS


class SqlPriceDays:
    """`daemon.store.PriceDays` on an SQL database."""

    def __init__(self, do: Do) -> None:
        self._do = do

    async def keep(self, days: Sequence[PriceDay]) -> None:
        rows = [
            {
                "asset": one.asset,
                "day": one.day.isoformat(),
                "timezone": one.timezone,
                "currency": one.currency,
                "sum": str(one.sum),
                "count": one.count,
            }
            for one in days
        ]
        await self._do(lambda connection: replace_rows(connection, PRICE_DAYS, rows), writing=True)

    async def between(self, first: date, last: date, *, timezone: str, currency: str) -> tuple[PriceDay, ...]:
        table = PRICE_DAYS.c
        days = (table.day >= first.isoformat()) & (table.day <= last.isoformat())
        of = days & (table.timezone == timezone) & (table.currency == currency)
        query = select(PRICE_DAYS).where(of)
        found = await self._do(lambda connection: tuple(map(_price_day, connection.execute(query))))
        # Sorted here: a database sorts texts as its locale does.
        return tuple(sorted(found, key=lambda one: (one.day, one.asset)))

    async def drop(self, *, before: date) -> int:
        statement = delete(PRICE_DAYS).where(PRICE_DAYS.c.day < before.isoformat())
        return await self._do(lambda connection: connection.execute(statement).rowcount, writing=True)


def _price_day(row: Row[Any]) -> PriceDay:
    # By the columns' names: a row has methods called `sum` and `count`.
    at = row._mapping
    return PriceDay(
        at["asset"], date.fromisoformat(at["day"]), at["timezone"], at["currency"], Decimal(at["sum"]), at["count"]
    )
