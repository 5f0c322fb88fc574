"""The sink and a real Alertmanager: one alert however often it is sent, its end, outages, restarts, and two of them."""

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web

from daemon.emit.alert import Origin
from daemon.emit.alertmanager import AlertmanagerSink, Endpoint
from daemon.interval import Interval
from daemon.model import Finding
from daemon.outbox import Outbox
from daemon.supervisor import keep
from tests.delivery_cases import HandClock, MemoryStore, firing, report, resolved, told
from tests.integration.alertmanager import Alertmanager, running_alertmanager, serving, until

pytestmark = [pytest.mark.real, pytest.mark.timeout(120)]

SHORT = timedelta(seconds=1)
ORIGIN = Origin(entity="Example KK", external_url="http://127.0.0.1:9517", runbook_url="https://docs.example/alerts")


def now() -> datetime:
    return datetime.now(UTC)


@dataclass
class Daemon:
    """The part of the daemon between judging and Alertmanager, for one endpoint or more."""

    outbox: Outbox
    sinks: tuple[AlertmanagerSink, ...]
    store: MemoryStore

    async def record(self, *findings: Finding, at: datetime | None = None) -> None:
        items = [told(finding, sink=sink.name, at=at) for finding in findings for sink in self.sinks]
        await self.outbox.record(findings, items)

    def offer(self, *findings: Finding, at: datetime | None = None) -> None:
        for sink in self.sinks:
            sink.offer(report(*findings, at=at or now()))

    async def drain(self) -> None:
        """Delivers what is queued, then one round of reminders."""
        [sink] = self.sinks
        while self.outbox.pending(sink.name):
            await sink.deliver()
        await sink.deliver()

    @asynccontextmanager
    async def working(self) -> AsyncIterator[None]:
        """With a worker per sink under the supervisor, as in the real daemon."""
        tasks = [asyncio.create_task(keep(sink.name, sink.deliver)) for sink in self.sinks]
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            for task in tasks:
                with suppress(asyncio.CancelledError):
                    await task


@asynccontextmanager
async def daemon(
    *urls: str, resend: timedelta = timedelta(minutes=1), clock: HandClock | None = None, origin: Origin = ORIGIN
) -> AsyncIterator[Daemon]:
    endpoints = [Endpoint.parse(url) for url in urls]
    store = MemoryStore()
    outbox = Outbox(store, sinks=[endpoint.name for endpoint in endpoints], clock=clock or now)
    async with aiohttp.ClientSession() as session:
        sinks = tuple(
            AlertmanagerSink(
                endpoint,
                outbox=outbox,
                session=session,
                origin=origin,
                clock=clock or now,
                sleep=clock.sleep if clock else asyncio.sleep,
                random=random.random,
                resend=resend,
            )
            for endpoint in endpoints
        )
        yield Daemon(outbox, sinks, store)


@pytest.fixture
async def alertmanager(tmp_path: Path) -> AsyncIterator[Alertmanager]:
    async with running_alertmanager(tmp_path) as alertmanager:
        yield alertmanager


async def subjects(alertmanager: Alertmanager) -> list[str]:
    """What fires there now, the watchdog left out."""
    return sorted(
        alert["labels"]["subject"]
        for alert in await alertmanager.alerts()
        if alert["labels"]["alertname"] != "PyrometerWatchdog"
    )


async def test_an_alert_reaches_people_with_its_numbers_and_its_end(alertmanager: Alertmanager) -> None:
    async with daemon(alertmanager.url) as it:
        finding = firing("f1", since=now() - timedelta(seconds=30))
        await it.record(finding)
        await it.drain()
        await until(lambda: alertmanager.heard("firing", subject="all"))
        await it.record(resolved(finding, at=now()))
        await it.drain()
        await until(lambda: alertmanager.heard("resolved", subject="all"))
    [alert] = alertmanager.heard("firing", subject="all")
    assert alert["labels"] == {
        "alertname": "PyrometerHotShareHigh",
        "policy": "jp-psa/hot-share",
        "subject": "all",
        "severity": "critical",
        "entity": "Example KK",
    }
    assert alert["annotations"]["amount_to_move"] == "12.5 ETH from eth-hot-1"
    assert alert["annotations"]["blocks"] == "ethereum 19 0xabc"
    assert alert["annotations"]["runbook_url"] == "https://docs.example/alerts/PyrometerHotShareHigh.md"
    assert alert["generatorURL"] == "http://127.0.0.1:9517/api/v1/findings"
    [end] = alertmanager.heard("resolved", subject="all")
    assert end["fingerprint"] == alert["fingerprint"]
    assert await subjects(alertmanager) == []


async def test_it_stays_one_alert_and_one_message_however_often_it_is_sent(alertmanager: Alertmanager) -> None:
    clock = HandClock(now() - timedelta(minutes=4))
    async with daemon(alertmanager.url, clock=clock) as it:
        finding = firing("f1", since=clock.now)
        await it.record(finding)
        for n in range(5):
            share = Interval.exactly(Decimal(f"0.06{n}"))
            newer = replace(finding, verdict=replace(finding.verdict, measured=share, summary=f"{share.low} are hot"))
            it.offer(newer, at=clock.now)
            await it.drain()
            clock.forward(60)
        [alert] = [alert for alert in await alertmanager.alerts() if alert["labels"]["subject"] == "all"]
        assert alert["annotations"]["value"] == "0.064"
        await until(lambda: alertmanager.heard("firing", subject="all"))
        await until(lambda: alertmanager.heard("firing", subject="daemon"))
    assert len({alert["fingerprint"] for alert in alertmanager.heard("firing", subject="all")}) == 1
    assert len(alertmanager.heard("firing", subject="all")) == 1


async def test_an_alert_fires_as_long_as_we_live_and_ends_soon_after(alertmanager: Alertmanager) -> None:
    """Its end is ours to say: Alertmanager's own `resolve_timeout` of five minutes has no part in it."""
    async with daemon(alertmanager.url, resend=SHORT) as it:
        await it.record(firing("f1", since=now()))
        async with it.working():
            for _ in range(65):  # longer than its life of 5 s
                it.offer(firing("f1", since=now()))
                await asyncio.sleep(0.1)
                assert await subjects(alertmanager) == ["all"]
        await until(lambda: alertmanager.heard("resolved", subject="all"))


async def test_a_restarted_alertmanager_knows_again_what_fires(alertmanager: Alertmanager) -> None:
    async with daemon(alertmanager.url) as it:
        finding = firing("f1", since=now())
        await it.record(finding)
        await it.drain()
        [before] = await alertmanager.alerts()
        await alertmanager.kill()
        await alertmanager.start()
        assert await alertmanager.alerts() == []
        it.offer(finding)
        await it.drain()
        [after] = [alert for alert in await alertmanager.alerts() if alert["labels"]["subject"] == "all"]
        assert (after["fingerprint"], after["startsAt"]) == (before["fingerprint"], before["startsAt"])


async def test_ten_minutes_without_alertmanager_lose_nothing_and_mix_up_nothing(alertmanager: Alertmanager) -> None:
    """The ten minutes pass on a clock by hand that is behind: an end in its future would be none to Alertmanager."""
    await alertmanager.kill()
    clock = HandClock(now() - timedelta(minutes=12))
    async with daemon(alertmanager.url, clock=clock) as it:
        [sink] = it.sinks
        began = clock.now
        expected = []
        for n in range(20):
            one = firing(f"f{n}", subject=f"s{n}", since=clock.now)
            await it.record(one)
            expected.append(told(one, sink=sink.name).id)
            if n % 2:
                over = resolved(one, at=clock.now + timedelta(seconds=5))
                await it.record(over)
                expected.append(told(over, sink=sink.name).id)
            while clock.now < began + (n + 1) * timedelta(seconds=30):
                await sink.deliver()
        assert clock.now >= began + timedelta(minutes=10)
        assert it.outbox.pending(sink.name) == 30
        assert sink.problem is not None
        await alertmanager.start()
        while it.outbox.pending(sink.name):
            await sink.deliver()
        assert list(it.store.settled) == expected
        assert await subjects(alertmanager) == sorted(f"s{n}" for n in range(0, 20, 2))


async def test_two_alertmanagers_of_which_one_is_dead(alertmanager: Alertmanager, tmp_path: Path) -> None:
    """The living one hears everything at once; the other one as soon as it lives."""
    async with AsyncExitStack() as stack:
        (tmp_path / "second").mkdir()
        second = await stack.enter_async_context(running_alertmanager(tmp_path / "second"))
        await second.kill()
        it = await stack.enter_async_context(daemon(alertmanager.url, second.url))
        await stack.enter_async_context(it.working())
        one, two = it.sinks
        await it.record(firing("f1", since=now()))
        await until(lambda: alertmanager.heard("firing", subject="all"))
        await until(lambda: two.counts["failed"])
        assert (it.outbox.pending(one.name), it.outbox.pending(two.name)) == (0, 1)
        await it.record(firing("f2", subject="ETH", since=now()))
        await until(lambda: alertmanager.heard("firing", subject="ETH"))
        await second.start()
        await until(lambda: second.heard("firing", subject="ETH"), seconds=40)
        assert it.outbox.pending(two.name) == 0
        assert await subjects(second) == await subjects(alertmanager) == ["ETH", "all"]


async def test_text_that_a_node_made_up_does_not_make_an_alert_unsendable(alertmanager: Alertmanager) -> None:
    async with daemon(alertmanager.url) as it:
        finding = firing("f1", since=now())
        odd = replace(
            finding.verdict, summary="\ud800\x00\u202e", evidence={"detail": "\udfff", "blocks": {"\ud800": 1}}
        )
        await it.record(replace(finding, verdict=odd))
        await it.drain()
        assert await subjects(alertmanager) == ["all"]


async def test_what_alertmanager_finds_unacceptable_is_set_aside_with_its_reason(alertmanager: Alertmanager) -> None:
    async with daemon(alertmanager.url, origin=Origin(entity="Example KK", external_url="not a URL")) as it:
        [sink] = it.sinks
        await it.record(firing("f1", since=now()))
        await it.drain()
        assert sink.counts == {"delivered": 0, "failed": 0, "refused": 1}
        [outcome] = it.store.settled.values()
        assert outcome.refusal is not None
        assert outcome.refusal.startswith("HTTP 422")
        assert "generatorURL" in outcome.refusal


async def test_a_port_that_speaks_no_alertmanager_costs_no_alert() -> None:
    async with serving(web.Application()) as port, daemon(f"http://127.0.0.1:{port}") as it:
        [sink] = it.sinks
        await it.record(firing("f1", since=now()))
        await sink.deliver()
        assert it.outbox.pending(sink.name) == 1
        assert sink.problem is not None
        assert "HTTP 404" in sink.problem
