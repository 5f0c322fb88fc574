"""Tells one Alertmanager what people must hear: each event once and in order, and what is firing again and again.

Alertmanager API v2, `POST /api/v2/alerts` (api/v2/openapi.yaml in prometheus/alertmanager). It knows an alert by its
labels and forgets one whose `endsAt` has passed, so what fires is sent anew in time.
"""

import asyncio
import os
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from urllib.parse import unquote, urlsplit

import aiohttp
import structlog

from daemon.emit.alert import Alert, Identity, Origin, alert, identity, watchdog
from daemon.errors import ConfigError, SinkError
from daemon.model import Event, Notification, Report, State
from daemon.outbox import Outbox

log = structlog.get_logger(__name__)

LIVES = 5
"""A firing alert ends by itself after so many re-send intervals, unless it is sent again."""

BATCH = 64
"""Alerts in one request, at most."""

IDLE_SECONDS = 1.0
"""How late a reminder may come."""

BACKOFF_SECONDS, MOST_BACKOFF_SECONDS = 0.5, 30.0

BAD_ALERT = (400, 413, 422)
"""Statuses that speak of the alerts in the request; every other failure speaks of the receiver."""

WATCHDOG = "watchdog"


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One Alertmanager: the name that may be shown, the URL without credentials, and these as a header."""

    name: str
    url: str
    headers: Mapping[str, str] = field(repr=False)

    @classmethod
    def parse(cls, text: str, *, name: str = "") -> "Endpoint":
        """From `http(s)://[user:password@]host[:port][/prefix]`; ConfigError for anything else.

        Without a `name` it is called by its host, port and prefix.
        """
        try:
            parts = urlsplit(text)
            usable = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
            headers = {"Authorization": _basic(parts.username, parts.password)} if parts.username else {}
        except ValueError:  # no such port, IPv6 address or user; the text is not repeated, it may hold a password
            usable, headers = False, {}
        if not usable:
            raise ConfigError("alertmanager.endpoints", "expected http://<host>:<port> or https://<host>")
        where = parts.netloc.rpartition("@")[2] + parts.path.rstrip("/")
        return cls(name or f"alertmanager/{where}", f"{parts.scheme}://{where}", headers)


class AlertmanagerSink:
    """One Alertmanager's end of the outbox. Every member of a cluster gets its own sink, and so everything.

    Two things are said. *Events* come from the outbox, in order, and leave it when the receiver has taken them.
    *Reminders* repeat, every `resend`, what fires in the newest report, because Alertmanager forgets; they wait until
    no event is queued, so they can't overtake one, and never say of a finding that it fires after its end was sent.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        *,
        outbox: Outbox,
        session: aiohttp.ClientSession,
        origin: Origin,
        clock: Callable[[], datetime],
        sleep: Callable[[float], Awaitable[None]],
        random: Callable[[], float],
        resend: timedelta = timedelta(minutes=1),
        timeout: timedelta = timedelta(seconds=10),
    ) -> None:
        self.name = endpoint.name
        self.counts: dict[str, int] = {"delivered": 0, "failed": 0, "refused": 0}
        """Notifications taken, requests that failed, notifications refused for good, since start."""
        self.problem: str | None = None
        """What is wrong with the receiver, None after an answer that was well."""
        self._endpoint = endpoint
        self._outbox = outbox
        self._session = session
        self._origin = origin
        self._clock = clock
        self._sleep = sleep
        self._random = random
        self._resend = resend
        self._life = LIVES * resend
        self._timeout = timeout
        self._started = clock()
        self._failures = 0
        self._singly = 0
        self._report: Report | None = None
        self._round_ended: datetime | None = None
        self._reminded: set[str] = set()
        self._ends: dict[Identity, _End] = {}
        self._refused: set[str] = set()

    def offer(self, report: Report) -> None:
        """Takes the newest report for the reminders. Its events must have been recorded in the outbox before."""
        # One that is much older is none that comes late: the clock was set back, and no newer one comes for as long.
        if self._report is not None and timedelta(0) < self._report.at - report.at < self._resend:
            return
        self._report = report
        # A report made that long after the end was sent can't be from before it.
        self._ends = {key: end for key, end in self._ends.items() if report.at < end.sent + self._life}
        self._refused &= {WATCHDOG, *(finding.id for finding in report.findings)}

    async def deliver(self) -> None:
        """One step of the worker: waits until there is something to send, then makes one attempt to send it.

        Takes at most IDLE_SECONDS, twice `timeout`, the store's deadline and MOST_BACKOFF_SECONDS. What the receiver
        does wrong raises nothing: it is logged when it begins and ends, counted, and told in `problem`.
        """
        await self._something_due()
        try:
            if self._outbox.pending(self.name):
                await self._send_events()
            elif self._round_due():
                await self._send_reminders()
        except SinkError as error:
            self._noted(error)
            await self._sleep(self._random() * min(MOST_BACKOFF_SECONDS, BACKOFF_SECONDS * 2**self._failures))
            self._failures = min(self._failures + 1, 16)

    async def _something_due(self) -> None:
        if self._outbox.pending(self.name) or self._round_due():
            return
        idle = self._sleep(min(IDLE_SECONDS, self._resend.total_seconds()))
        ways = asyncio.ensure_future(self._outbox.arrival(self.name)), asyncio.ensure_future(idle)
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for way in ways:
                way.cancel()

    def _round_due(self) -> bool:
        if self._report is None:
            return False
        # A clock that was set back makes a reminder early, not late.
        return self._round_ended is None or not self._round_ended <= self._clock() < self._round_ended + self._resend

    async def _send_events(self) -> None:
        batch = self._next_events()
        refusal = await self._post([self._event(item) for item in batch], about=batch[0].finding.verdict.alert)
        if await self._must_split([item.finding.id for item in batch], refusal=refusal):
            return
        # No await between an answer that was well and this, so no reminder can miss an end that was sent.
        for item in batch:
            self._remember(item)
        if refusal is not None:
            self.counts["refused"] += 1
            await self._outbox.refused(batch[0], reason=refusal)
        else:
            self.counts["delivered"] += len(batch)
            await self._outbox.delivered(batch)

    def _next_events(self) -> Sequence[Notification]:
        """The head of the queue up to the first alert that comes again: in one request its events have no order."""
        batch: dict[Identity, Notification] = {}
        for item in self._outbox.queued(self.name, limit=1 if self._singly else BATCH):
            if identity(item.finding.verdict) in batch:
                break
            batch[identity(item.finding.verdict)] = item
        return tuple(batch.values())

    def _remember(self, item: Notification) -> None:
        if item.event is Event.RESOLVED:
            self._ends[identity(item.finding.verdict)] = _End(item, self._clock())
        else:
            self._ends.pop(identity(item.finding.verdict), None)

    async def _send_reminders(self) -> None:
        batch = self._next_reminders()
        if not batch:
            self._round_ended = self._clock()
            self._reminded.clear()
            return
        refusal = await self._post(tuple(batch.values()), about="a reminder")
        if not await self._must_split(list(batch), refusal=refusal):
            self._reminded |= batch.keys()

    def _next_reminders(self) -> Mapping[str, Alert]:
        """What this round has not sent yet, by key; asked anew for every request, because events come in between."""
        now = self._clock()
        left = [(key, it) for key, it in self._reminders(now) if key not in self._reminded]
        wanted = [(key, it) for key, it in left if key not in self._refused]
        # What was refused before is tried again, but alone: the refusal may have been a proxy's passing fault.
        return dict(wanted[: 1 if self._singly else BATCH] or left[:1])

    def _reminders(self, now: datetime) -> Iterator[tuple[str, Alert]]:
        """What fires, the ends of late, and the watchdog.

        An end is repeated as long as a reminder that we gave up waiting for may still be under way: were it to come
        in after the end, the alert would fire on for all its life.
        """
        if self._report is None:
            return
        for end in self._ends.values():
            if now < end.sent + self._life:
                yield end.item.finding.id, self._event(end.item)
        for finding in self._report.findings:
            if finding.state is State.FIRING and identity(finding.verdict) not in self._ends:
                yield finding.id, alert(finding, origin=self._origin, ends=now + self._life)
        # A picture that is not renewed is no sign of life: then the watchdog falls silent.
        if now < self._report.at + self._life:
            yield WATCHDOG, watchdog(self._origin, since=self._started, ends=now + self._life)

    def _event(self, item: Notification) -> Alert:
        finding = item.finding
        if item.event is Event.FIRING:
            return alert(finding, origin=self._origin, ends=self._clock() + self._life)
        return alert(finding, origin=self._origin, ends=max(finding.resolved or item.at, finding.since))

    async def _must_split(self, keys: Sequence[str], *, refusal: str | None) -> bool:
        """Whether a refused request was one of several alerts: then they are sent again singly, to find the bad one.

        A single one that is refused is given up, so that it does not keep the others back. SinkError when the
        receiver refuses even an empty request: then it is no matter of this alert.
        """
        if refusal is None:
            self._refused.difference_update(keys)
        elif len(keys) > 1:
            self._singly = len(keys)
            return True
        else:
            await self._post((), about="nothing")
            if keys[0] not in self._refused:
                log.error("alert refused", sink=self.name, finding=keys[0], reason=refusal)
            self._refused.add(keys[0])
        self._singly = max(0, self._singly - 1)
        return False

    async def _post(self, alerts: Sequence[Alert], *, about: str) -> str | None:
        """None when they were taken, else the receiver's word on why it finds one of them unacceptable.

        SinkError for every other answer, and for none.
        """
        try:
            async with self._session.post(
                f"{self._endpoint.url}/api/v2/alerts",
                json=alerts,
                headers=self._endpoint.headers,
                timeout=aiohttp.ClientTimeout(total=self._timeout.total_seconds()),
                allow_redirects=False,
            ) as response:
                status, text = response.status, await _beginning(response)
        except (aiohttp.ClientError, OSError) as error:
            raise SinkError(f"{self.name}: {_why(error, self._timeout)}, for {about}") from error
        if status in BAD_ALERT and alerts:
            return f"HTTP {status}: {text}"
        if not 200 <= status < 300:
            raise SinkError(f"{self.name}: HTTP {status}, for {about}: {text}")
        self._noted(None)
        return None

    def _noted(self, error: SinkError | None) -> None:
        """One log line when the receiver goes down and one when it is up again."""
        if error is None:
            self._failures = 0
            if self.problem is not None:
                log.info("receiver up", sink=self.name, queued=self._outbox.pending(self.name))
        else:
            self.counts["failed"] += 1
            if self.problem is None:
                log.warning("receiver down", sink=self.name, error=str(error))
        self.problem = None if error is None else str(error)


@dataclass(frozen=True, slots=True)
class _End:
    """The newest event that was sent of an alert, when it was its end."""

    item: Notification
    sent: datetime


def _basic(user: str, password: str | None) -> str:
    return aiohttp.encode_basic_auth(unquote(user), unquote(password or ""))


async def _beginning(response: aiohttp.ClientResponse) -> str:
    body = await response.content.read(500)
    return " ".join(body.decode(errors="replace").split())


def _why(error: Exception, timeout: timedelta) -> str:
    """In our own words: those of the library may repeat the URL."""
    if isinstance(error, TimeoutError):
        return f"no answer within {timeout.total_seconds():g} s"
    if isinstance(error, aiohttp.ClientConnectorError):
        number = error.os_error.errno or 0
        return f"can't connect: {os.strerror(number) if number > 0 else error.os_error.strerror}"
    return type(error).__name__
