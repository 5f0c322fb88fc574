"""What detection knows goes to the store, before the findings that rest on it, and comes back after a restart."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from itertools import islice
from typing import Protocol

import structlog

from daemon.detection.detector import Remembers
from daemon.errors import StoreError
from daemon.movements import KEPT, MOST_PAID, PENDING_KEPT
from daemon.store import Memories, MemoryRow

log = structlog.get_logger(__name__)

PAUSE_SECONDS = 1.0

MOST_AT_ONCE = 2000
"""Rows in one transaction."""

MOST_WAITING = 50_000
"""Rows that wait for a store that does not take them, some 50 MB; past that the oldest go, and are forgotten."""

PAGE = 2000
"""Rows that are read at a time."""

PERIODS: Mapping[str, timedelta] = {"window": timedelta(seconds=5)}
"""What changes with every block and is large is asked for no more often."""

SINCE: Mapping[str, timedelta] = {"paid": KEPT, "movement": PENDING_KEPT}
"""How far back what an earlier run has left is of any use."""

MOST: Mapping[str, int] = {"paid": MOST_PAID}
"""How many of its rows, the newest."""

Row = tuple[str, str]


class Recalling(Protocol):
    """Whatever is to be remembered (the pipeline)."""

    remembers: bool

    def remembering(self) -> Sequence[Remembers]: ...

    def recall(self, rows: Mapping[str, Mapping[str, str]]) -> list[str]: ...


class MemoryKeeper:
    """Writes what has changed. Until what the earlier run has left is known nothing is asked for, nor written: it would
    take its place.

    Bounded: one row under each key, and MOST_WAITING of them. Without a store it does nothing.
    """

    def __init__(self, store: Memories | None, recalling: Recalling, *, clock: Callable[[], datetime]) -> None:
        self._store = store
        self._recalling = recalling
        self._clock = clock
        self._waiting: dict[Row, MemoryRow | None] = {}
        self._asked: dict[str, datetime] = {}
        self._error: StoreError | None = None
        self._turn = asyncio.Lock()
        self._dropped = 0
        recalling.remembers = store is None

    @property
    def problem(self) -> str | None:
        """Why what is known of payments would not survive a crash; None when all is well."""
        return None if self._error is None else f"{len(self._waiting)} rows are in memory alone: {self._error}"

    async def restore(self) -> None:
        """What an earlier run has left; StoreError."""
        if self._store is None or self._recalling.remembers:
            return
        async with self._turn:
            try:
                kinds = [one.kind for one in self._recalling.remembering()]
                found = {kind: await self._load(self._store, kind) for kind in kinds}
            except StoreError as error:
                self._error = error
                raise
            self._error = None
            for wrong in self._recalling.recall(found):
                log.error("what an earlier run has left can't be read, and is begun anew", what=wrong)

    async def step(self) -> None:
        """For the supervisor: restores what could not be, and writes what is new; StoreError."""
        await asyncio.sleep(PAUSE_SECONDS)
        await self.restore()
        await self._write(all_of_it=False)

    async def write(self) -> None:
        """Before findings are recorded: writes all that is new. Never raises StoreError.

        A store that has just failed is not waited for again: people are to hear of the finding.
        """
        if self._error is None:
            await self._quietly(all_of_it=False)

    async def flush(self) -> None:
        """Before the end: offers the store all that it has not taken."""
        await self._quietly(all_of_it=True)

    async def prune(self) -> None:
        """Forgets what is of no use any more; StoreError."""
        if self._store is not None:
            for kind, age in SINCE.items():
                await self._store.drop(kind, before=self._clock() - age, beyond=MOST.get(kind))

    async def _load(self, store: Memories, kind: str) -> dict[str, str]:
        since = self._clock() - SINCE[kind] if kind in SINCE else None
        rows: dict[str, str] = {}
        skip, most = 0, MOST.get(kind)
        while most is None or skip < most:
            page = await store.load(kind, since=since, skip=skip, limit=PAGE)
            rows.update((key, row.body) for key, row in page)
            skip += len(page)
            if len(page) < PAGE:
                break
        return rows

    async def _quietly(self, *, all_of_it: bool) -> None:
        with suppress(StoreError):  # it is kept, and `problem` says so
            await self._write(all_of_it=all_of_it)

    async def _write(self, *, all_of_it: bool) -> None:
        """The newest first: those are what a finding of this moment rests on."""
        if self._store is None or not self._recalling.remembers:
            return
        async with self._turn:
            self._collect(all_of_it=all_of_it)
            while self._waiting:
                part = dict(islice(reversed(self._waiting.items()), MOST_AT_ONCE))
                try:
                    await self._store.keep(_by_kind(part))
                except StoreError as error:
                    self._error = error
                    raise
                for row in part:
                    del self._waiting[row]
            self._error = None

    def _collect(self, *, all_of_it: bool) -> None:
        now = self._clock()
        for one in self._recalling.remembering():
            if one.kind in PERIODS and not all_of_it:
                if now - PERIODS[one.kind] < self._asked.get(one.kind, now - PERIODS[one.kind]) <= now:
                    continue
                self._asked[one.kind] = now
            for key, body in one.changed().items():
                self._waiting.pop((one.kind, key), None)
                self._waiting[one.kind, key] = None if body is None else MemoryRow(now, body)
        while len(self._waiting) > MOST_WAITING:
            del self._waiting[next(iter(self._waiting))]
            self._dropped += 1


def _by_kind(rows: Mapping[Row, MemoryRow | None]) -> Mapping[str, Mapping[str, MemoryRow | None]]:
    kinds: dict[str, dict[str, MemoryRow | None]] = {}
    for (kind, key), row in rows.items():
        kinds.setdefault(kind, {})[key] = row
    return kinds
