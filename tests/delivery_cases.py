"""What the tests of store, outbox and sinks share: findings, reports, a clock by hand, a store that fails when told."""

from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

from daemon.coverage import Coverage
from daemon.errors import StoreError
from daemon.feeds.values import Feeds
from daemon.interval import NOTHING, Interval
from daemon.model import (
    Event,
    Exposure,
    Finding,
    Judgement,
    Move,
    Notification,
    Report,
    Severity,
    State,
    Verdict,
)
from daemon.outbox import addressed
from daemon.store import AnnouncementRow, AuditRecord, CheckRow, Entry, MemoryRow, Outcome, PriceDay, Tally
from daemon.store.audit import GENESIS, canonical, digest

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)


@dataclass
class HandClock:
    """Stands still until a test, or a sleep, moves it."""

    now: datetime = NOON
    slept: list[float] = field(default_factory=list)

    def __call__(self) -> datetime:
        return self.now

    def forward(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.forward(seconds)


def verdict(subject: str = "all", *, severity: Severity = Severity.CRITICAL) -> Verdict:
    """A breach of the 5 % rule with everything that a verdict can carry."""
    return Verdict(
        policy="jp-psa/hot-share",
        subject=subject,
        alert="PyrometerHotShareHigh",
        severity=severity,
        judgement=Judgement.BREACH,
        summary="6.25 % of customers' assets are hot, over 5 %",
        cleared=False,
        measured=Interval(Decimal("0.0600"), Decimal("0.0625"), None),
        limit=Decimal("0.05"),
        causes=("chain:ethereum",),
        moves=(Move("eth-hot-1", "ETH", Decimal("12.50")),),
        evidence={"blocks": {"ethereum": {"height": 19, "hash": "0xabc"}}},
    )


def pending(key: str = "f1", *, subject: str = "all", since: datetime = NOON) -> Finding:
    return Finding(key, State.PENDING, since, verdict(subject))


def firing(key: str = "f1", *, subject: str = "all", since: datetime = NOON) -> Finding:
    return replace(pending(key, subject=subject, since=since), state=State.FIRING, fired=since)


def resolved(finding: Finding, *, at: datetime) -> Finding:
    return replace(finding, state=State.RESOLVED, resolved=at, why_resolved="back within the limit")


def told(finding: Finding, *, sink: str = "am", at: datetime | None = None) -> Notification:
    """The notification of a firing or resolved finding."""
    event = Event.RESOLVED if finding.state is State.RESOLVED else Event.FIRING
    return addressed([(event, finding)], sinks=[sink], at=at or finding.resolved or finding.since)[0]


def report(*findings: Finding, at: datetime = NOON) -> Report:
    """A report with nothing but findings in it."""
    exposure = Exposure(holdings={}, value=NOTHING, hot_share={}, causes={}, by_asset={})
    return Report("Example", "JPY", at, {}, {}, exposure, (), findings, Feeds(), Coverage(), (), ())


@dataclass
class MemoryStore:
    """The store's contract in plain lists and dicts: the oracle for the real one, and a store that fails when told.

    `faults` is taken from the front, one a call: "before" fails with nothing done, "after" does it and fails, as when a
    connection breaks while the commit is answered.
    """

    kept: dict[str, Finding] = field(default_factory=dict)
    rows: list[Notification] = field(default_factory=list)
    settled: dict[str, Outcome] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)
    calls: int = 0

    async def record(
        self,
        findings: Sequence[Finding],
        notifications: Sequence[Notification],
        *,
        outcomes: Mapping[str, Outcome] | None = None,
    ) -> None:
        after = self._fault()
        for finding in findings:
            self.kept[finding.id] = finding
            if finding.state is State.RESOLVED and finding.fired is None:
                del self.kept[finding.id]
        for item in notifications:
            if item.id not in self._ids():
                self.rows.append(item)
        for key, outcome in (outcomes or {}).items():
            if key in self._ids():
                self.settled.setdefault(key, outcome)
        if after:
            raise StoreError("store memory: told to fail after the commit")

    async def findings(self) -> tuple[Finding, ...]:
        self._fault()
        found = [finding for finding in self.kept.values() if finding.state is not State.RESOLVED]
        return tuple(sorted(found, key=lambda finding: (finding.since, finding.id)))

    async def undelivered(self, sink: str, *, skip: int = 0, limit: int = 500) -> tuple[Notification, ...]:
        self._fault()
        waiting = [item for item in self.rows if item.sink == sink and item.id not in self.settled]
        return tuple(waiting[skip : skip + limit])

    async def tallies(self) -> Mapping[str, Tally]:
        self._fault()
        return {sink: self._tally(sink) for sink in {item.sink for item in self.rows}}

    async def resolved_since(self, moment: datetime) -> tuple[Finding, ...]:
        self._fault()
        over = [(finding.resolved, key) for key, finding in self.kept.items() if finding.resolved is not None]
        return tuple(self.kept[key] for at, key in sorted(over) if at >= moment)

    async def prune(self, *, before: datetime) -> int:
        self._fault()
        old = {key for key, finding in self.kept.items() if finding.resolved and finding.resolved < before}
        done = {key for key, outcome in self.settled.items() if outcome.at < before}
        self.kept = {key: finding for key, finding in self.kept.items() if key not in old}
        return len(old) + self._forget(done)

    async def drop_sink(self, sink: str) -> int:
        self._fault()
        return self._forget({item.id for item in self.rows if item.sink == sink})

    def _forget(self, ids: Collection[str]) -> int:
        self.rows = [item for item in self.rows if item.id not in ids]
        self.settled = {key: outcome for key, outcome in self.settled.items() if key not in ids}
        return len(ids)

    def _ids(self) -> set[str]:
        return {item.id for item in self.rows}

    def _tally(self, sink: str) -> Tally:
        mine = {item.id for item in self.rows if item.sink == sink}
        done = mine & self.settled.keys()
        no = {key for key in done if self.settled[key].refusal is not None}
        return Tally(len(mine - done), len(done - no), len(no))

    def _fault(self) -> bool:
        self.calls += 1
        fault = self.faults.pop(0) if self.faults else ""
        if fault == "before":
            raise StoreError("store memory: told to fail")
        return fault == "after"


@dataclass
class MemoryPriceDays:
    """`daemon.store.PriceDays` in a dict; while `fails` it does nothing."""

    rows: dict[tuple[str, date, str, str], PriceDay] = field(default_factory=dict)
    fails: bool = False

    async def keep(self, days: Sequence[PriceDay]) -> None:
        self._fail()
        self.rows |= {(day.asset, day.day, day.timezone, day.currency): day for day in days}

    async def between(self, first: date, last: date, *, timezone: str, currency: str) -> tuple[PriceDay, ...]:
        self._fail()
        same = (row for row in self.rows.values() if (row.timezone, row.currency) == (timezone, currency))
        return tuple(sorted((row for row in same if first <= row.day <= last), key=lambda row: (row.day, row.asset)))

    async def drop(self, *, before: date) -> int:
        self._fail()
        gone = [key for key, row in self.rows.items() if row.day < before]
        self.rows = {key: row for key, row in self.rows.items() if key not in gone}
        return len(gone)

    def _fail(self) -> None:
        if self.fails:
            raise StoreError("store memory: told to fail")


@dataclass(slots=True)
class MemoryAudit:
    """`daemon.store.Audit` in a list; while `fails` it does nothing."""

    rows: list[AuditRecord] = field(default_factory=list)
    fails: bool = False

    async def append(self, entry: Entry) -> AuditRecord:
        self._fail()
        previous = self.rows[-1].sha256 if self.rows else GENESIS
        number = len(self.rows) + 1
        text = canonical(entry, number=number, previous=previous)
        self.rows.append(AuditRecord(number, entry.at, text, digest(text), previous))
        return self.rows[-1]

    async def records(self, *, after: int = 0) -> AsyncIterator[AuditRecord]:
        self._fail()
        for row in self.rows[after:]:
            yield row

    def _fail(self) -> None:
        if self.fails:
            raise StoreError("store memory: told to fail")


@dataclass(slots=True)
class MemoryAnnouncements:
    """`daemon.store.Announcements` in a dict, beside an audit log; while that `fails` it does nothing."""

    audit: MemoryAudit = field(default_factory=MemoryAudit)
    rows: dict[str, AnnouncementRow] = field(default_factory=dict)

    async def keep(self, row: AnnouncementRow, *, before: str | None, entry: Entry) -> bool:
        known = self.rows.get(row.id)
        if (None if known is None else known.body) != before:
            return False
        await self.audit.append(entry)
        self.rows[row.id] = row
        return True

    async def since(self, moment: datetime) -> tuple[AnnouncementRow, ...]:
        if self.audit.fails:
            raise StoreError("store memory: told to fail")
        return tuple(sorted((row for row in self.rows.values() if row.ends >= moment), key=lambda row: row.ends))

    async def drop(self, *, before: datetime) -> int:
        gone = [number for number, row in self.rows.items() if row.ends < before]
        for number in gone:
            del self.rows[number]
        return len(gone)


@dataclass
class MemoryChecks:
    """`daemon.store.Checks` in a dict; while `fails` it does nothing."""

    rows: dict[tuple[str, str, datetime], CheckRow] = field(default_factory=dict)
    fails: bool = False

    async def keep(self, rows: Sequence[CheckRow]) -> None:
        self._fail()
        self.rows |= {(row.policy, row.subject, row.due): row for row in rows}

    async def between(self, *, since: datetime, until: datetime) -> tuple[CheckRow, ...]:
        self._fail()
        found = [row for row in self.rows.values() if since <= row.due < until]
        return tuple(sorted(found, key=lambda row: (row.due, row.policy, row.subject)))

    async def drop(self, *, before: datetime) -> int:
        self._fail()
        gone = [key for key, row in self.rows.items() if row.due < before]
        self.rows = {key: row for key, row in self.rows.items() if key not in gone}
        return len(gone)

    def _fail(self) -> None:
        if self.fails:
            raise StoreError("store memory: told to fail")


@dataclass
class MemoryMemories:
    """`daemon.store.Memories` in dicts; while `fails` it does nothing, and `writes` counts the transactions."""

    kinds: dict[str, dict[str, MemoryRow]] = field(default_factory=dict)
    fails: bool = False
    writes: int = 0

    async def keep(self, changes: Mapping[str, Mapping[str, MemoryRow | None]]) -> None:
        self._fail()
        self.writes += 1
        for kind, rows in changes.items():
            kept = self.kinds.setdefault(kind, {})
            for key, row in rows.items():
                kept.pop(key, None)
                if row is not None:
                    kept[key] = row

    async def load(
        self, kind: str, *, since: datetime | None = None, skip: int = 0, limit: int = 1000
    ) -> tuple[tuple[str, MemoryRow], ...]:
        self._fail()
        found = [pair for pair in sorted(self.kinds.get(kind, {}).items()) if since is None or pair[1].at >= since]
        found.sort(key=lambda pair: pair[1].at, reverse=True)
        return tuple(found[skip : skip + limit])

    async def drop(self, kind: str, *, before: datetime | None = None, beyond: int | None = None) -> int:
        rows = await self.load(kind, limit=10**9)
        gone = {key for key, row in rows if before is not None and row.at < before}
        left = [pair for pair in rows if pair[0] not in gone]
        if beyond is not None and len(left) > beyond:
            gone |= {key for key, row in left if row.at <= left[beyond][1].at}
        self.kinds[kind] = {key: row for key, row in rows if key not in gone}
        return len(gone)

    def _fail(self) -> None:
        if self.fails:
            raise StoreError("store memory: told to fail")
