"""What was judged on schedule goes to the store, and comes back from it after a restart."""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Protocol

from daemon.errors import StoreError
from daemon.model import Check, Finding
from daemon.policy.standing import Standing
from daemon.store import CheckRow, Checks
from daemon.store.codec import decode_check, encode_check

PAUSE_SECONDS = 1.0
STANDS = timedelta(days=2)
"""More than a day of any clock: a check that was due earlier stands no more."""


class Judging(Protocol):
    """Whatever judges on schedule (the pipeline)."""

    @property
    def standing(self) -> Standing: ...

    async def adopt(self, stored: Sequence[Finding], *, checks: Sequence[Check], now: datetime) -> None: ...


class CheckKeeper:
    """Saves what is new. Until the earlier run's checks are known nothing is saved, or it would take their place."""

    def __init__(self, store: Checks, judging: Judging, *, clock: Callable[[], datetime]) -> None:
        self._store = store
        self._judging = judging
        self._clock = clock
        self._saved: Standing | None = None

    async def restore(self) -> None:
        """The checks of the earlier run stand again, as far as their day is not over; StoreError."""
        now = self._clock()
        rows = await self._store.between(since=now - STANDS, until=now + STANDS)
        try:
            checks = tuple(decode_check(row.body) for row in rows)
        except ValueError as error:
            raise StoreError(f"a check can't be read: {error}") from error
        await self._judging.adopt((), checks=checks, now=now)
        self._saved = {(check.verdict.policy, check.verdict.subject): check for check in checks}

    async def step(self) -> None:
        """For the supervisor: restores what could not be, and saves what is new; StoreError."""
        await asyncio.sleep(PAUSE_SECONDS)
        if self._saved is None:
            await self.restore()
        await self.save()

    async def save(self) -> None:
        """Stores what is not stored yet; StoreError."""
        if self._saved is None:
            return
        saved, standing = self._saved, self._judging.standing
        new = [check for key, check in standing.items() if saved.get(key) is not check]
        if new:
            await self._store.keep([_row(check) for check in new])
        self._saved = {**saved, **standing}

    async def flush(self) -> None:
        """Saves what it can before the end; what is lost is judged anew after the start."""
        with suppress(StoreError):
            await self.save()

    async def drop(self, *, before: datetime) -> None:
        """Forgets what was due before that time; StoreError."""
        await self._store.drop(before=before)


def _row(check: Check) -> CheckRow:
    return CheckRow(check.verdict.policy, check.verdict.subject, check.due, encode_check(check))
