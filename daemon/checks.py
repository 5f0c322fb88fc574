"""What was judged on schedule goes to the store, and comes back from it after a restart."""

from collections.abc import Mapping
from datetime import datetime, timedelta

from daemon.errors import StoreError
from daemon.model import Check
from daemon.policy.standing import Standing
from daemon.store import CheckRow, Checks
from daemon.store.codec import decode_check, encode_check

STANDS = timedelta(days=2)
"""More than a day of any clock: a check that was due earlier stands no more."""


class CheckKeeper:
    """Saves what is new. Until the earlier run's checks are known nothing is saved, or it would take their place."""

    def __init__(self, store: Checks) -> None:
        self._store = store
        self._saved: Mapping[tuple[str, str], Check] | None = None

    @property
    def restored(self) -> bool:
        """Whether the store has told what an earlier run left in it."""
        return self._saved is not None

    async def restore(self, now: datetime) -> tuple[Check, ...]:
        """The checks of the earlier run that may still stand, the newest last; StoreError."""
        rows = await self._store.between(since=now - STANDS, until=now + STANDS)
        try:
            checks = tuple(decode_check(row.body) for row in rows)
        except ValueError as error:
            raise StoreError(f"a check can't be read: {error}") from error
        self._saved = {(check.verdict.policy, check.verdict.subject): check for check in checks}
        return checks

    async def save(self, standing: Standing) -> None:
        """Stores what is not stored yet; StoreError, after which the next call stores it."""
        if self._saved is None:
            return
        saved = self._saved
        new = [check for key, check in standing.items() if saved.get(key) is not check]
        if new:
            await self._store.keep([_row(check) for check in new])
        self._saved = {**saved, **standing}

    async def drop(self, *, before: datetime) -> None:
        """Forgets what was due before that time; StoreError."""
        await self._store.drop(before=before)


def _row(check: Check) -> CheckRow:
    return CheckRow(check.verdict.policy, check.verdict.subject, check.due, encode_check(check))
