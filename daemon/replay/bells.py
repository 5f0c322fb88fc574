"""Rings the real bells in a drill: what a replay finds goes to Alertmanager, by the daemon's own outbox and sink."""

from __future__ import annotations

import asyncio
import random
import tempfile
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

import aiohttp

from daemon.app import RUNBOOKS
from daemon.emit.alert import Origin
from daemon.emit.alertmanager import AlertmanagerSink, Endpoint
from daemon.outbox import Outbox
from daemon.replay.player import Bells
from daemon.replay.scenario import Scenario
from daemon.store.repository import open_store
from daemon.supervisor import keep

DRAIN_SECONDS = 10.0
"""How long what is still queued at the end of a replay may take."""


@asynccontextmanager
async def rung(urls: Sequence[str], *, scenario: Scenario) -> AsyncIterator[Bells]:
    """Bells that ring at these Alertmanagers. Each alert carries the label `drill`, with the scenario's name.

    Alerts have the times of the scenario. What fires at the end goes out by itself, as when a daemon dies.
    ConfigError for a URL that is none.
    """
    endpoints = [Endpoint.parse(url) for url in urls]
    async with AsyncExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="pyrometer-drill-"))
        store = await stack.enter_async_context(open_store(f"sqlite+aiosqlite:///{Path(folder) / 'drill.db'}"))
        session = await stack.enter_async_context(aiohttp.ClientSession())
        outbox = Outbox(store, sinks=[endpoint.name for endpoint in endpoints], clock=_now)
        await outbox.restore()
        sinks = [_sink(endpoint, scenario=scenario, outbox=outbox, session=session) for endpoint in endpoints]
        tasks = [asyncio.create_task(keep(f"sink {sink.name}", sink.deliver), name=sink.name) for sink in sinks]
        try:
            yield Bells(outbox, tuple(sink.name for sink in sinks), tuple(sinks))
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        with suppress(TimeoutError):
            async with asyncio.timeout(DRAIN_SECONDS):
                await asyncio.gather(*(_drain(sink, outbox=outbox) for sink in sinks))


async def _drain(sink: AlertmanagerSink, *, outbox: Outbox) -> None:
    while outbox.pending(sink.name):
        await sink.deliver()


def _sink(
    endpoint: Endpoint, *, scenario: Scenario, outbox: Outbox, session: aiohttp.ClientSession
) -> AlertmanagerSink:
    return AlertmanagerSink(
        endpoint,
        outbox=outbox,
        session=session,
        origin=Origin(entity=scenario.entity, runbook_url=RUNBOOKS, drill=scenario.incident),
        clock=_now,
        sleep=asyncio.sleep,
        random=random.random,
    )


def _now() -> datetime:
    return datetime.now(UTC)
