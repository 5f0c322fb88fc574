"""Readers of approvals: what a database, a server, a file or a topic says, and what of it is new."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Protocol, TypeVar

from connectors.transport import Timing, Transport
from daemon.detection.approval import Approved
from daemon.feeds.approvals import Approving, FileApprovals, HttpApprovals, MqttApprovals, SqlApprovals
from daemon.feeds.approving import NOTHING, Approvable, Checked, checked_approvals
from daemon.feeds.checking import Flaw, as_of
from daemon.feeds.entries import MOST_ENTRIES, Batch, of_document, of_list, of_table, too_many
from daemon.feeds.expression import Look
from daemon.feeds.file import Watched, csv_rows, value_in
from daemon.feeds.http import transport_to
from daemon.feeds.mqtt import Topic, json_of, opened_topic, undated
from daemon.feeds.plan import SourceKey
from daemon.feeds.rows import dated
from daemon.feeds.source import bad, ours
from daemon.feeds.sql import Database, asks_since, opened_database

MOST_BYTES = 64 * 1024 * 1024
"""Of an answer or a file."""

AT_ONCE = 64 * 1024
"""Bytes that are taken apart, or as many as FEW entries, between two turns of the loop; more of it in a thread."""
FEW = 500

OVERLAP = timedelta(minutes=5)
"""How much earlier than the newest approval `:since` is: so long a transaction may take from its time to its commit."""

T = TypeVar("T")


class Fetch(Protocol):
    """How a source is asked. One that is `pushed` gives an answer when there is a new one."""

    pushed: bool

    async def batch(self, newest: datetime | None) -> Batch:
        """What it says; `newest` is the time of the newest approval that it has named. FeedError."""
        ...


class ApprovalReader:
    """An open source of approvals. Remembers the last good answer: one row in the books is one object here."""

    def __init__(self, fetch: Fetch, *, timing: Timing) -> None:
        self.pushed = fetch.pushed
        self._fetch = fetch
        self._timing = timing
        self._newest: datetime | None = None
        self._spoken: datetime | None = None
        self._before = NOTHING

    async def read(self) -> Batch:
        """What it says, not checked yet. FeedError."""
        return await self._fetch.batch(self._newest)

    async def approved(self, batch: Batch, *, source: SourceKey, expected: Approvable, now: datetime) -> Approved:
        """What it means; `now` is when it was asked for. FeedError, and nothing is changed, when it can't be right."""
        checked = await _aside(
            lambda: checked_approvals(batch.entries, expected=expected, now=now, before=self._before),
            small=len(batch.entries) <= FEW,
            timing=self._timing,
        )
        asked = self._as_of(batch, checked, now=now)
        self._before = checked
        if checked.approvals:
            newest = max(one.at for one in checked.approvals)
            self._newest = newest if self._newest is None else max(self._newest, newest)
        self._spoken = asked
        return Approved(source, checked.approvals, batch.complete, asked)

    def _as_of(self, batch: Batch, checked: Checked, *, now: datetime) -> datetime:
        """Until when it tells all. One that adds to what it said before knows no less than it did then."""
        if batch.at is None and batch.kept:
            if not checked.approvals:
                raise undated()
            asked = max(one.at for one in checked.approvals)
        else:
            try:
                asked = as_of(batch.at, now=now)
            except Flaw as flaw:
                raise bad(str(flaw)) from None
        return asked if batch.complete or self._spoken is None else max(asked, self._spoken)


async def _aside(work: Callable[[], T], *, small: bool, timing: Timing) -> T:
    """What takes long is done in a thread, so that the loop can go on."""
    if small:
        return work()
    with timing.away():
        return await asyncio.to_thread(work)


class _Sql:
    """With `:since` in its query it is asked for what is new, else for all."""

    pushed = False

    def __init__(
        self, database: Database, config: SqlApprovals, *, now: Callable[[], datetime], timing: Timing
    ) -> None:
        self._database = database
        self._query = config.query
        self._adds = asks_since(config.query)
        self._first = now() - config.reach
        self._timing = timing

    async def batch(self, newest: datetime | None) -> Batch:
        since = (self._first if newest is None else newest - OVERLAP) if self._adds else None
        found = await self._database.ask(self._query, most=MOST_ENTRIES, since=since)
        if len(found.rows) > MOST_ENTRIES:
            raise too_many()
        entries = await _aside(
            lambda: of_table(found.columns, found.rows), small=len(found.rows) <= FEW, timing=self._timing
        )
        return Batch(entries, complete=not self._adds)


class _Http:
    """All that its answer names."""

    pushed = False

    def __init__(self, transport: Transport, config: HttpApprovals, *, timing: Timing) -> None:
        self._transport = transport
        self._values = Look(config.values)
        self._at = None if config.at is None else Look(config.at)
        self._timing = timing

    async def batch(self, newest: datetime | None) -> Batch:  # noqa: ARG002
        with ours():
            answer = await self._transport.request("GET", ceiling=MOST_BYTES)
            return await _aside(
                lambda: self._found(answer.body), small=len(answer.body) <= AT_ONCE, timing=self._timing
            )

    def _found(self, body: bytes) -> Batch:
        answer = self._transport.parse(body, decimals=True, unique=True)
        at = None if self._at is None else dated(self._at.at(answer))
        return Batch(of_list(self._values.at(answer)), complete=True, at=at)


class _File:
    """All that stands in it, as of when it was written if it does not say."""

    pushed = False

    def __init__(self, path: Path, config: FileApprovals, *, timing: Timing) -> None:
        self._path = path
        self._file = Watched(path, parse=self._parsed, timeout=config.timeout, timing=timing, most=MOST_BYTES)

    async def batch(self, newest: datetime | None) -> Batch:  # noqa: ARG002
        return await self._file.read()

    def _parsed(self, body: bytes, written: datetime) -> Batch:
        if self._path.suffix == ".csv":
            return Batch(of_table(*csv_rows(body)), complete=True, at=written)
        batch = of_document(value_in(self._path, body), complete=True)
        return batch if batch.at is not None else Batch(batch.entries, complete=True, at=written)


class _Mqtt:
    """Each message adds to those before."""

    pushed = True

    def __init__(self, topic: Topic, *, timing: Timing) -> None:
        self._topic = topic
        self._timing = timing

    async def batch(self, newest: datetime | None) -> Batch:  # noqa: ARG002
        message = await self._topic.next()
        body: object = message.payload
        small = isinstance(body, bytes) and len(body) <= AT_ONCE
        batch = await _aside(lambda: of_document(json_of(message), complete=False), small=small, timing=self._timing)
        return Batch(batch.entries, batch.complete, batch.at, kept=bool(message.retain))


@asynccontextmanager
async def opened_approvals(
    config: Approving, *, folder: Path, now: Callable[[], datetime], timing: Timing
) -> AsyncIterator[ApprovalReader]:
    """The source, until the block ends; asks nothing yet. FeedError when it can't be opened at all."""
    match config:
        case SqlApprovals():
            async with opened_database(config, timing=timing) as database:
                yield ApprovalReader(_Sql(database, config, now=now, timing=timing), timing=timing)
        case HttpApprovals():
            async with transport_to(
                config, headers=config.headers, deadline=config.timeout, timing=timing
            ) as transport:
                yield ApprovalReader(_Http(transport, config, timing=timing), timing=timing)
        case FileApprovals():
            yield ApprovalReader(_File(folder / config.path, config, timing=timing), timing=timing)
        case MqttApprovals():
            async with opened_topic(config, folder=folder, timing=timing, every_one=True) as topic:
                yield ApprovalReader(_Mqtt(topic, timing=timing), timing=timing)
        case _:
            raise TypeError(f"{type(config).__name__} is read by nobody")
