"""Daily averages of prices go to the store, and come back from it after a restart."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime, timedelta

from daemon.errors import StoreError
from daemon.feeds.averages import Averages, DayPrices, year_before
from daemon.store import PriceDay, PriceDays

PAUSE_SECONDS = 30.0
"""A crash costs what was counted since: less than a minute of a day's average."""


class PriceKeeper:
    """Saves what was counted. Until the earlier run's days are known nothing is saved, or it would take their place.

    `averages` gives those that are counted now, None while no rule values by them.
    """

    def __init__(
        self, store: PriceDays, *, averages: Callable[[], Averages | None], clock: Callable[[], datetime]
    ) -> None:
        self._store = store
        self._averages = averages
        self._clock = clock
        self._restored: Averages | None = None

    async def restore(self) -> None:
        """The year that an average may need, once for what is counted now; StoreError."""
        averages = self._averages()
        if averages is None or averages is self._restored:
            return
        today = self._clock().astimezone(averages.zone).date()
        first, _ = year_before(today)
        rows = await self._store.between(
            first, today + timedelta(days=1), timezone=averages.zone.key, currency=averages.currency
        )
        averages.restore({(row.asset, row.day): DayPrices(row.sum, row.count) for row in rows})
        self._restored = averages

    async def step(self) -> None:
        """For the supervisor: restores what could not be, and saves what was counted since; StoreError."""
        await asyncio.sleep(PAUSE_SECONDS)
        await self.restore()
        await self.save()

    async def save(self) -> None:
        """Stores what is not stored yet; StoreError."""
        averages = self._averages()
        if averages is None or averages is not self._restored:
            return
        changed = averages.changed()
        if changed:
            await self._store.keep(
                [
                    PriceDay(asset, day, averages.zone.key, averages.currency, found.sum, found.count)
                    for (asset, day), found in changed.items()
                ]
            )
            averages.stored(changed)

    async def flush(self) -> None:
        """Saves what it can before the end."""
        with suppress(StoreError):
            await self.save()

    async def drop(self, *, before: datetime) -> None:
        """Forgets the days before that time; StoreError."""
        await self._store.drop(before=before.date())
