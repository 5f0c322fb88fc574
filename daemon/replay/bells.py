"""Rings the real bells in a drill: what a replay finds goes to Alertmanager and MQTT, by the daemon's own sinks."""

from __future__ import annotations

import asyncio
import random
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

import aiohttp

from daemon.emit.alert import Origin
from daemon.emit.alertmanager import AlertmanagerSink, Endpoint
from daemon.emit.mqtt import MqttSink
from daemon.outbox import Outbox
from daemon.replay.broadcast import broadcaster
from daemon.replay.player import Bells
from daemon.replay.scenario import Scenario
from daemon.sinks import RUNBOOKS, drain
from daemon.store.repository import open_store
from daemon.supervisor import keep

DRAIN_SECONDS = 10.0
"""How long what is still queued at the end of a replay may take."""


@asynccontextmanager
async def rung(urls: Sequence[str], *, mqtt: str | None = None, scenario: Scenario) -> AsyncIterator[Bells]:
    """Bells that ring at these Alertmanagers, and publish to this broker. Alerts carry the label `drill`.

    Alerts have the times of the scenario. What fires at the end goes out by itself, as when a daemon dies.
    ConfigError for a URL that is none, and where a daemon publishes already.
    """
    endpoints = [Endpoint.parse(url) for url in urls]
    brokers = () if mqtt is None else (await broadcaster(mqtt, drill=scenario.incident),)
    async with AsyncExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="pyrometer-drill-"))
        store = await stack.enter_async_context(open_store(f"sqlite+aiosqlite:///{Path(folder) / 'drill.db'}"))
        session = await stack.enter_async_context(aiohttp.ClientSession())
        outbox = Outbox(store, sinks=[endpoint.name for endpoint in endpoints], clock=_now)
        await outbox.restore()
        sinks = [_sink(endpoint, scenario=scenario, outbox=outbox, session=session) for endpoint in endpoints]
        # The broker hears from its own worker until the end, which is its farewell.
        async with _kept(brokers):
            async with _kept(sinks):
                yield Bells(outbox, tuple(sink.name for sink in sinks), (*brokers, *sinks))
            with suppress(TimeoutError):
                async with asyncio.timeout(DRAIN_SECONDS):
                    told = (_told(broker) for broker in brokers)
                    await asyncio.gather(*told, *(drain(sink, outbox=outbox) for sink in sinks))


@asynccontextmanager
async def _kept(sinks: Sequence[AlertmanagerSink | MqttSink]) -> AsyncIterator[None]:
    """Each with its worker."""
    steps: dict[str, Callable[[], Awaitable[None]]] = {f"sink {sink.name}": sink.deliver for sink in sinks}
    tasks = [asyncio.create_task(keep(name, step), name=name) for name, step in steps.items()]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _told(broker: MqttSink) -> None:
    while broker.pending:  # noqa: ASYNC110 - its worker is at it
        await asyncio.sleep(0.02)


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
