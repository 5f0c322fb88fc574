"""A sink between an outbox and a receiver that answers as a test says, all on a clock by hand."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import aiohttp
from aiohttp import web

from daemon.emit.alert import Origin
from daemon.emit.alertmanager import AlertmanagerSink, Endpoint
from daemon.model import Finding
from daemon.outbox import Outbox
from tests.delivery_cases import NOON, HandClock, MemoryStore, report, told
from tests.integration.alertmanager import serving

RESEND = timedelta(minutes=1)
LIFE = 5 * RESEND

Answer = Callable[[list[dict[str, Any]]], int]


@dataclass
class Receiver:
    """Takes what is posted unless told otherwise, and knows as Alertmanager does what fires by now."""

    clock: HandClock
    answers: list[int] = field(default_factory=list)
    poison: set[str] = field(default_factory=set)
    posts: list[list[dict[str, Any]]] = field(default_factory=list)
    headers: list[str | None] = field(default_factory=list)
    ends: dict[str, datetime] = field(default_factory=dict)
    meanwhile: Callable[[], Awaitable[None]] | None = None

    async def handle(self, request: web.Request) -> web.Response:
        alerts = await request.json()
        self.headers.append(request.headers.get("Authorization"))
        meanwhile, self.meanwhile = self.meanwhile, None
        if meanwhile is not None:
            await meanwhile()
        status = self.answers.pop(0) if self.answers else 200
        if status == 200 and any(alert["labels"]["subject"] in self.poison for alert in alerts):
            status = 400
        if status == 200:
            self.posts.append(alerts)
            for alert in alerts:
                self.ends[alert["labels"]["subject"]] = datetime.fromisoformat(alert["endsAt"])
        return web.Response(status=status, text=f'"answer {status}"')

    def hold(self) -> asyncio.Event:
        """Lets the next request wait until the event is set."""
        event = asyncio.Event()

        async def wait() -> None:
            await event.wait()

        self.meanwhile = wait
        return event

    def fires(self, subject: str) -> bool:
        return self.ends.get(subject, NOON) > self.clock.now

    def subjects(self) -> list[list[str]]:
        """Who was spoken of in each request that was taken, the watchdog left out."""
        return [[alert["labels"]["subject"] for alert in post if not is_watchdog(alert)] for post in self.posts]

    def spoken(self) -> list[str]:
        return [name for post in self.subjects() for name in post]


def is_watchdog(alert: dict[str, Any]) -> bool:
    return bool(alert["labels"]["alertname"] == "PyrometerWatchdog")


@dataclass
class Bench:
    """A sink with everything around it."""

    clock: HandClock
    store: MemoryStore
    outbox: Outbox
    receiver: Receiver
    sink: AlertmanagerSink
    make: Callable[[Outbox], AlertmanagerSink]

    async def record(self, *findings: Finding) -> None:
        """What the pipe does with findings that changed."""
        await self.outbox.record(findings, [told(item, sink=self.sink.name, at=self.clock.now) for item in findings])

    def offer(self, *findings: Finding) -> None:
        self.sink.offer(report(*findings, at=self.clock.now))

    def restart(self) -> None:
        """A new life of the daemon, with nothing but what the store holds."""
        self.outbox = Outbox(self.store, sinks=[self.sink.name], clock=self.clock)
        self.sink = self.make(self.outbox)

    async def deliver(self, *, steps: int = 1) -> None:
        for _ in range(steps):
            await self.sink.deliver()

    async def drain(self) -> None:
        """Until nothing is queued and the reminders that are due are out."""
        for _ in range(1000):
            idle = len(self.clock.slept)
            await self.sink.deliver()
            if len(self.clock.slept) > idle and not self.outbox.pending(self.sink.name):
                return
        raise AssertionError("never idle")


@asynccontextmanager
async def benched(**changes: object) -> AsyncIterator[Bench]:
    clock = HandClock()
    receiver = Receiver(clock)
    app = web.Application()
    app.router.add_post("/prefix/api/v2/alerts", receiver.handle)
    async with serving(app) as port, aiohttp.ClientSession() as session:
        endpoint = Endpoint.parse(f"http://user:p%40ss@127.0.0.1:{port}/prefix/")
        store = MemoryStore()
        outbox = Outbox(store, sinks=[endpoint.name], clock=clock)
        options: dict[str, Any] = {"sleep": clock.sleep, "random": lambda: 1.0, "resend": RESEND, **changes}

        def make(outbox: Outbox) -> AlertmanagerSink:
            origin = Origin(entity="Example KK")
            return AlertmanagerSink(endpoint, outbox=outbox, session=session, origin=origin, clock=clock, **options)

        yield Bench(clock, store, outbox, receiver, make(outbox), make)
