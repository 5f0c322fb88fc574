"""The ports to what must outlive a crash: findings, notifications that people are still owed, and the history."""

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any, Protocol

from daemon.model import Finding, Notification


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a notification, and when (UTC): delivered, or refused for good when `refusal` says why."""

    at: datetime
    refusal: str | None = None


@dataclass(frozen=True, slots=True)
class Tally:
    """How many notifications of one sink are stored, by what became of them."""

    waiting: int = 0
    delivered: int = 0
    refused: int = 0


class Store(Protocol):
    """Every method raises StoreError, one line without credentials, when the database does not do it."""

    async def record(
        self,
        findings: Sequence[Finding],
        notifications: Sequence[Notification],
        *,
        outcomes: Mapping[str, Outcome] | None = None,
    ) -> None:
        """Stores all of it in one transaction; doing so twice is doing it once.

        `findings` replace what is stored under their ids; one that is resolved and never fired is forgotten instead,
        because nobody was told of it. `notifications` keep the order in which they come. `outcomes` settle
        notifications by id, those just recorded included; the first outcome stays.
        """
        ...

    async def findings(self) -> tuple[Finding, ...]:
        """Those pending and firing, the oldest first."""
        ...

    async def undelivered(self, sink: str, *, skip: int = 0, limit: int = 500) -> tuple[Notification, ...]:
        """At most `limit` unsettled notifications of a sink after the first `skip`, in the order recorded."""
        ...

    async def tallies(self) -> Mapping[str, Tally]:
        """By sink, those of an earlier configuration included."""
        ...

    async def resolved_since(self, moment: datetime) -> tuple[Finding, ...]:
        """The findings resolved at `moment` or later, in the order of their resolution."""
        ...

    async def prune(self, *, before: datetime) -> int:
        """Forgets findings resolved and notifications settled before that time; gives how many rows went."""
        ...

    async def drop_sink(self, sink: str) -> int:
        """Forgets all notifications of a sink that is not configured any more; gives how many rows went."""
        ...


@dataclass(frozen=True, slots=True)
class SnapshotRow:
    """One snapshot of the totals; it covers `grain` from `at` on, and `body` is its text."""

    at: datetime
    grain: timedelta
    body: str


@dataclass(frozen=True, slots=True)
class ClosingRow:
    """The raw readings of the end of a day, taken at `at`; `body` is their text."""

    day: date
    at: datetime
    body: str


@dataclass(frozen=True, slots=True)
class ReportRow:
    """The report of a day; `sha256` is that of `body`, `previous` that of the day before, None before the first."""

    day: date
    sha256: str
    previous: str | None
    body: str


@dataclass(frozen=True, slots=True)
class Notice:
    """A notification and what became of it: `settled` None while it waits, `refusal` when it never will be taken."""

    at: datetime
    finding: str
    event: str
    sink: str
    settled: datetime | None
    refusal: str | None


class Archive(Protocol):
    """Snapshots, closings and reports. Every method raises StoreError, as those of Store do."""

    async def keep_snapshots(self, rows: Sequence[SnapshotRow]) -> None:
        """Stores them in one transaction; one of the same grain and time takes the place of the earlier one."""
        ...

    async def snapshots(self, *, grain: timedelta, since: datetime, until: datetime) -> tuple[SnapshotRow, ...]:
        """Those of that grain from `since` to before `until`, in order."""
        ...

    async def oldest_snapshot(self, *, grain: timedelta | None = None) -> datetime | None:
        """When the oldest of that grain begins, or of any."""
        ...

    async def newest_snapshot(self, *, grain: timedelta) -> datetime | None: ...

    async def drop_snapshots(self, *, grain: timedelta, before: datetime) -> int:
        """Forgets those of that grain that begin before that time; gives how many went."""
        ...

    async def keep_closing(self, row: ClosingRow) -> None:
        """Stores it; the first of a day stays."""
        ...

    async def closing(self, day: date) -> ClosingRow | None: ...

    async def closing_days(self) -> tuple[date, ...]:
        """The days that have a closing, in order."""
        ...

    async def keep_report(self, row: ReportRow) -> None:
        """Stores it; the first of a day stays."""
        ...

    async def report(self, day: date) -> ReportRow | None: ...

    async def findings(self, *, since: datetime, until: datetime) -> tuple[Finding, ...]:
        """Those that were open at any moment from `since` to before `until`, the oldest first."""
        ...

    async def notices(self, *, since: datetime, until: datetime) -> tuple[Notice, ...]:
        """The notifications of that time, in the order recorded."""
        ...


@dataclass(frozen=True, slots=True)
class PriceDay:
    """The prices of an asset on one day of a time zone: their sum in `currency` and how many they were."""

    asset: str
    day: date
    timezone: str
    currency: str
    sum: Decimal
    count: int


class PriceDays(Protocol):
    """Daily prices for trailing valuations. Every method raises StoreError."""

    async def keep(self, days: Sequence[PriceDay]) -> None:
        """Stores them; they take the place of earlier ones of the same asset, day, time zone and currency."""
        ...

    async def between(self, first: date, last: date, *, timezone: str, currency: str) -> tuple[PriceDay, ...]:
        """From the first day to the last, both included, by day and asset."""
        ...

    async def drop(self, *, before: date) -> int: ...


@dataclass(frozen=True, slots=True)
class CheckRow:
    """What came of a check that was due at a moment; `body` is its text."""

    policy: str
    subject: str
    due: datetime
    body: str


class Checks(Protocol):
    """The checks that are bound to a schedule. Every method raises StoreError."""

    async def keep(self, rows: Sequence[CheckRow]) -> None:
        """Stores them; they take the place of earlier ones of the same rule, subject and moment."""
        ...

    async def between(self, *, since: datetime, until: datetime) -> tuple[CheckRow, ...]:
        """Those due from `since` to before `until`, in order."""
        ...

    async def drop(self, *, before: datetime) -> int: ...


@dataclass(frozen=True, slots=True)
class Entry:
    """What is to be told to the audit log: `who` did `what` (`announce`, `reload`, ...) when, and why, as they said.

    `body` is JSON: what exactly.
    """

    at: datetime
    who: str
    what: str
    why: str
    body: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class AuditRecord:
    """A record as it is stored: `text` tells all of it (daemon.store.audit.canonical), `sha256` is that of the text.

    `previous` is the hash of the record before, which stands in the text as well. Numbers are given from 1 on.
    """

    number: int
    at: datetime
    text: str
    sha256: str
    previous: str


class Audit(Protocol):
    """The audit log: records are added and never changed. Every method raises StoreError.

    What changes something in the store takes the Entry along and writes both in one transaction
    (daemon.store.audit.write), so that nothing is done that the log does not tell.
    """

    async def append(self, entry: Entry) -> AuditRecord:
        """Adds a record by itself: for what is done elsewhere than in the store, before it is done."""
        ...

    def records(self, *, after: int = 0) -> AsyncIterator[AuditRecord]:
        """Those of higher numbers, in order, as they lie there."""
        ...


@dataclass(frozen=True, slots=True)
class MemoryRow:
    """A text that is remembered, and when it was written down."""

    at: datetime
    body: str


class Memories(Protocol):
    """What must outlive a restart beside findings, by kind and key. Every method raises StoreError."""

    async def keep(self, changes: Mapping[str, Mapping[str, MemoryRow | None]]) -> None:
        """By kind and key: rows take the place of earlier ones, None forgets one; all kinds in one transaction."""
        ...

    async def load(
        self, kind: str, *, since: datetime | None = None, skip: int = 0, limit: int = 1000
    ) -> tuple[tuple[str, MemoryRow], ...]:
        """At most `limit` rows of a kind after the first `skip`, the newest first, with their keys."""
        ...

    async def drop(self, kind: str, *, before: datetime | None = None, beyond: int | None = None) -> int:
        """Forgets rows older than that, and those beyond so many newest ones (with any of the same moment as the first
        of them); gives how many went."""
        ...


@dataclass(frozen=True, slots=True)
class AnnouncementRow:
    """A planned transfer as it stands; `body` is its text."""

    id: str
    ends: datetime
    body: str


class Announcements(Protocol):
    """Planned transfers. Every method raises StoreError."""

    async def keep(self, row: AnnouncementRow, *, before: str | None, entry: Entry) -> bool:
        """Stores it in the place of the body `before` (None: of nothing), and the entry in the audit log, together.

        False, and nothing done, where something else stands there: somebody was faster.
        """
        ...

    async def since(self, moment: datetime) -> tuple[AnnouncementRow, ...]:
        """Those that end then or later, in order."""
        ...

    async def drop(self, *, before: datetime) -> int:
        """Forgets those that ended before; gives how many went. The audit log keeps what it told of them."""
        ...


@dataclass(frozen=True, slots=True)
class GateRow:
    """What is kept of a wallet's gate; `body` is its text. `accounts` are what it stands for, as a text that may have
    megabytes: None leaves what is stored, "" forgets it."""

    wallet: str
    body: str
    accounts: str | None = None


class GateRows(Protocol):
    """The gates that were ever closed, those of wallets that are not configured any more included. Every method raises
    StoreError."""

    async def keep(self, rows: Sequence[GateRow], *, entries: Sequence[Entry]) -> None:
        """Stores them in the place of earlier ones of the same wallets, and tells the audit log, in one transaction."""
        ...

    async def all(self) -> tuple[GateRow, ...]:
        """Each with its accounts, None where none are stored."""
        ...


@dataclass(frozen=True, slots=True)
class Stores:
    """Every part of what a daemon stores. Without an archive it keeps no history; without memories it begins anew, and
    without rows for gates it forgets them when it ends."""

    findings: Store
    checks: Checks
    price_days: PriceDays
    audit: Audit
    announcements: Announcements
    archive: Archive | None = None
    memories: Memories | None = None
    gates: GateRows | None = None
