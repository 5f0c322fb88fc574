"""What was judged on schedule goes to the store, and comes back from it after a restart."""

from collections.abc import Mapping

from daemon.model import Check
from daemon.policy.standing import Standing
from daemon.store import CheckStore


class CheckKeeper:
    """Saves what is new. Until the earlier run's checks are known nothing is saved, or it would take their place."""

    def __init__(self, store: CheckStore) -> None:
        self._store = store
        self._saved: Mapping[tuple[str, str], Check] | None = None

    @property
    def restored(self) -> bool:
        """Whether the store has told what an earlier run left in it."""
        return self._saved is not None

    async def restore(self) -> tuple[Check, ...]:
        """The checks of the earlier run; StoreError."""
        checks = await self._store.checks()
        self._saved = {(check.verdict.policy, check.verdict.subject): check for check in checks}
        return checks

    async def save(self, standing: Standing) -> None:
        """Stores what is not stored yet; StoreError, after which the next call stores it."""
        if self._saved is None:
            return
        saved = self._saved
        new = [check for key, check in standing.items() if saved.get(key) is not check]
        if new:
            await self._store.keep_checks(new)
        self._saved = {**saved, **standing}
