"""Between judging and sinks: what people must hear is stored first, sent in order, and marked when it was taken."""

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TypeVar

import structlog

from daemon.errors import StoreError
from daemon.model import Event, Finding, Notification
from daemon.store import Outcome, Store

log = structlog.get_logger(__name__)

T = TypeVar("T")

REMEMBERED = 10_000
"""Ids of settled notifications that are known as such when a judgement that was cut off records them again."""


def addressed(
    events: Iterable[tuple[Event, Finding]], *, sinks: Iterable[str], at: datetime
) -> tuple[Notification, ...]:
    """One notification per event and sink, in the order of the events. The same event always gets the same ids."""
    names = tuple(sinks)
    return tuple(
        Notification(f"{finding.id}:{event.value}:{sink}", sink, event, at, finding)
        for event, finding in events
        for sink in names
    )


class Outbox:
    """Keeps the queue of every sink in memory, and in the store what it takes to rebuild them after a crash.

    The queues are never read back from the store while we live. A database that is locked, full or gone therefore
    delays nobody's page and mixes up no order; what it has not taken yet stays in memory and goes there with the next
    `record`, `flush` or settlement, all in one transaction. Nothing is ever dropped: memory grows by the notifications
    (some kilobytes each) that a dead receiver has not taken, while findings fold to the newest under each id.
    """

    def __init__(self, store: Store, *, sinks: Iterable[str], clock: Callable[[], datetime]) -> None:
        self._store = store
        self._clock = clock
        self._queues: dict[str, dict[str, Notification]] = {sink: {} for sink in sinks}
        self._waiting = {sink: asyncio.Event() for sink in self._queues}
        self._settled: dict[str, None] = {}
        self._unsaved = _Unsaved()
        self._saving = asyncio.Lock()
        self._error: StoreError | None = None
        self._unread: StoreError | None = None
        self._own: set[str] = set()
        self.restored = False
        """Whether the store has told what an earlier life left in it."""

    @property
    def unsaved(self) -> int:
        """How many findings, notifications and outcomes live in memory alone."""
        return len(self._unsaved)

    @property
    def problem(self) -> str | None:
        """Why what we hold would not survive a crash, or lacks what did (for readiness); None when all is well."""
        if self._error is not None:
            return f"{self.unsaved} changes are in memory alone: {self._error}"
        return None if self._unread is None else f"what an earlier run left can't be read: {self._unread}"

    async def restore(self) -> tuple[Finding, ...]:
        """The open findings of the previous life, with its undelivered notifications queued before all newer ones.

        StoreError when the store can't tell; asking again later is safe. What was recorded meanwhile is of this life.
        """
        try:
            async with self._saving:  # nothing is settled in the store while we page through it
                findings = await self._store.findings()
                for sink in self._queues:
                    self._requeue(sink, await self._undelivered(sink))
        except StoreError as error:
            self._unread = error
            raise
        own, self._own = self._own, set()
        self._unread, self.restored = None, True
        return tuple(finding for finding in findings if finding.id not in own)

    async def record(self, findings: Sequence[Finding], notifications: Sequence[Notification]) -> None:
        """Stores what one judgement changed, then hands the notifications to their sinks.

        Never raises StoreError: what the store does not take is kept, and sent all the same, because people must be
        paged also when a disk is full. Then a crash may lose it; `problem` says so.
        """
        new = [item for item in notifications if item.id not in self._settled]
        if not self.restored:
            self._own.update(finding.id for finding in findings)
        self._unsaved.add(findings, new)
        try:
            await self._save()
        finally:
            # Also when cancelled: it may be stored by now, and nothing else would queue it before the next start.
            for item in new:
                self._queues[item.sink].setdefault(item.id, item)
                self._waiting[item.sink].set()

    async def flush(self) -> None:
        """Offers the store again what it has not taken."""
        await self._save()

    def queued(self, sink: str, *, limit: int) -> tuple[Notification, ...]:
        """The next notifications for a sink, the oldest first, at most `limit`."""
        queue = self._queues[sink].values()
        return tuple(item for item, _ in zip(queue, range(limit), strict=False))

    def pending(self, sink: str) -> int:
        """How many notifications a sink has not taken yet, stored or not."""
        return len(self._queues[sink])

    async def arrival(self, sink: str) -> None:
        """Waits until something is queued for the sink."""
        await self._waiting[sink].wait()

    async def delivered(self, notifications: Iterable[Notification]) -> None:
        """The receiver has taken them: they leave the queue, and the store learns it now or later."""
        await self._settle(notifications, Outcome(self._clock()))

    async def refused(self, notification: Notification, *, reason: str) -> None:
        """The receiver will never take it: it leaves the queue and stays in the store, with the reason."""
        await self._settle((notification,), Outcome(self._clock(), reason))

    async def _settle(self, notifications: Iterable[Notification], outcome: Outcome) -> None:
        for item in notifications:
            queue = self._queues[item.sink]
            if queue.pop(item.id, None) is not None:
                self._unsaved.outcomes[item.id] = outcome
                self._settled[item.id] = None
            if not queue:
                self._waiting[item.sink].clear()
        while len(self._settled) > REMEMBERED:
            del self._settled[next(iter(self._settled))]
        await self._save()

    async def _save(self) -> None:
        """Commits what is unsaved, as far as the store lets us."""
        async with self._saving:
            batch = self._unsaved.copy()
            if not batch:
                return
            findings, notifications = tuple(batch.findings.values()), tuple(batch.notifications.values())
            try:
                await self._store.record(findings, notifications, outcomes=batch.outcomes)
            except StoreError as error:
                self._noted(error)
                return
            # After the commit alone: when we are cancelled within it, nobody knows whether it happened, and storing
            # twice is storing once.
            self._unsaved.remove(batch)
            self._noted(None)

    async def _undelivered(self, sink: str) -> list[Notification]:
        found: list[Notification] = []
        while page := await self._store.undelivered(sink, skip=len(found)):
            found.extend(page)
        return found

    def _requeue(self, sink: str, earlier: Iterable[Notification]) -> None:
        known = {item.id: item for item in earlier if item.id not in self._unsaved.outcomes}
        self._queues[sink] = known | self._queues[sink]
        if self._queues[sink]:
            self._waiting[sink].set()

    def _noted(self, error: StoreError | None) -> None:
        """One log line when the store goes down and one when it is up again."""
        if error and not self._error:
            log.error("store down: everything is kept in memory", error=str(error))
        elif self._error and not error:
            log.info("store up: everything is saved")
        self._error = error


@dataclass(slots=True)
class _Unsaved:
    """What the store has not confirmed, in the order of arrival, each id once."""

    findings: dict[str, Finding] = field(default_factory=dict)
    notifications: dict[str, Notification] = field(default_factory=dict)
    outcomes: dict[str, Outcome] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.findings) + len(self.notifications) + len(self.outcomes)

    def add(self, findings: Iterable[Finding], notifications: Iterable[Notification]) -> None:
        self.findings |= {finding.id: finding for finding in findings}
        for item in notifications:
            self.notifications.setdefault(item.id, item)

    def copy(self) -> "_Unsaved":
        return _Unsaved(dict(self.findings), dict(self.notifications), dict(self.outcomes))

    def remove(self, saved: "_Unsaved") -> None:
        """Forgets what was saved, but not what has taken its place meanwhile."""
        _subtract(self.findings, saved.findings)
        _subtract(self.notifications, saved.notifications)
        _subtract(self.outcomes, saved.outcomes)


def _subtract(mine: dict[str, T], saved: Mapping[str, T]) -> None:
    for key, value in saved.items():
        if mine.get(key) is value:
            del mine[key]
