"""Everything outside that is told: each Alertmanager what people must hear, the broker what holds now."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from datetime import datetime

import aiohttp
import structlog

from daemon.emit.alert import Origin
from daemon.emit.alertmanager import AlertmanagerSink, Endpoint
from daemon.emit.metrics import Delivery
from daemon.emit.mqtt import MqttSink
from daemon.outbox import Outbox
from daemon.reload import Loaded

log = structlog.get_logger(__name__)

RUNBOOKS = "docs/alerts"
"""Where the runbooks stand, relative to the project: what alerts name while nobody says where people reach them."""
DRAIN_SECONDS = 5.0


class Sinks:
    """Made once, as the configuration says: a change of it takes a restart."""

    def __init__(
        self,
        loaded: Loaded,
        *,
        outbox: Outbox,
        session: aiohttp.ClientSession,
        clock: Callable[[], datetime],
        monotonic: Callable[[], float],
    ) -> None:
        self._outbox = outbox
        self._session = session
        self._clock = clock
        self._loaded = loaded
        self.alertmanagers = tuple(self._alertmanager(endpoint) for endpoint in loaded.endpoints)
        mqtt = loaded.settings.mqtt
        self.brokers: tuple[MqttSink, ...] = ()
        if mqtt is not None and loaded.broker is not None:
            broker = MqttSink(
                loaded.broker,
                prefix=mqtt.prefix,
                expiry=mqtt.expiry.total_seconds(),
                settled=lambda: outbox.restored,
                monotonic=monotonic,
            )
            self.brokers = (broker,)

    @property
    def every(self) -> tuple[AlertmanagerSink | MqttSink, ...]:
        """All of them; the broker first, which stops signers."""
        return (*self.brokers, *self.alertmanagers)

    @property
    def receivers(self) -> tuple[str, ...]:
        """Those that have a queue in the outbox."""
        return tuple(sink.name for sink in self.alertmanagers)

    @property
    def steps(self) -> Mapping[str, Callable[[], Awaitable[None]]]:
        """The workers, by name, each a step for the supervisor."""
        return {f"sink {sink.name}": sink.deliver for sink in self.every}

    @property
    def problems(self) -> Mapping[str, str | None]:
        """What is wrong with each, None while it takes what it is sent."""
        return {sink.name: sink.problem for sink in self.every}

    def delivery(self) -> Delivery:
        """What was sent since the start, and what waits."""
        sent = {(sink.name, result): count for sink in self.every for result, count in sink.counts.items()}
        queued = {name: self._outbox.pending(name) for name in self.receivers}
        return Delivery(sent, {**{sink.name: sink.pending for sink in self.brokers}, **queued})

    async def drain(self) -> None:
        """What is queued goes out, as far as the receivers take it within the deadline; the rest waits in the store.

        The broker has been told the last when its worker was cancelled.
        """
        with suppress(TimeoutError):
            async with asyncio.timeout(DRAIN_SECONDS):
                ways = (drain(sink, outbox=self._outbox) for sink in self.alertmanagers)
                for error in filter(None, await asyncio.gather(*ways, return_exceptions=True)):
                    log.error("not drained", error=f"{type(error).__name__}: {error}")

    def _alertmanager(self, endpoint: Endpoint) -> AlertmanagerSink:
        settings = self._loaded.settings.alertmanager
        assert settings is not None
        return AlertmanagerSink(
            endpoint,
            outbox=self._outbox,
            session=self._session,
            origin=Origin(
                entity=self._loaded.settings.entity,
                external_url=settings.external_url or "",
                runbook_url=settings.runbook_url or RUNBOOKS,
            ),
            clock=self._clock,
            sleep=asyncio.sleep,
            random=random.random,
            resend=settings.resend,
        )


async def drain(sink: AlertmanagerSink, *, outbox: Outbox) -> None:
    """Until nothing is queued for it any more."""
    while outbox.pending(sink.name):
        await sink.deliver()
