"""A daemon in small for the crash tests: it judges, records and delivers one thing, and kills itself where it is told.

Arguments: the database file, the URL of Alertmanager, `firing` or `resolved` (what the judgement finds), and where to
die: one of POINTS, or `nowhere`.
"""

import asyncio
import os
import random
import signal
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

import aiohttp

from daemon.emit.alert import Origin
from daemon.emit.alertmanager import AlertmanagerSink, Endpoint
from daemon.model import Finding, Notification, State
from daemon.outbox import Outbox
from daemon.store import Outcome
from daemon.store.repository import SqlStore, open_store
from tests.delivery_cases import firing, resolved, told

POINTS = ("before the commit", "after the commit", "before sending", "after sending", "after marking")


def now() -> datetime:
    return datetime.now(UTC)


def die_at(point: str, *, chosen: str) -> None:
    if point == chosen:
        os.kill(os.getpid(), signal.SIGKILL)


def deadly(real: SqlStore, *, chosen: str) -> SqlStore:
    """The real store, with death before and after its transactions."""

    class DeadlyStore(SqlStore):
        def __init__(self) -> None:
            vars(self).update(vars(real))

        async def record(
            self,
            findings: Sequence[Finding],
            notifications: Sequence[Notification],
            *,
            outcomes: Mapping[str, Outcome] | None = None,
        ) -> None:
            if notifications:
                die_at("before the commit", chosen=chosen)
            await super().record(findings, notifications, outcomes=outcomes)
            die_at("after the commit" if notifications else "after marking", chosen=chosen)

    return DeadlyStore()


def deadly_http(chosen: str) -> aiohttp.TraceConfig:
    trace = aiohttp.TraceConfig()

    async def start(*_: object) -> None:
        die_at("before sending", chosen=chosen)

    async def end(*_: object) -> None:
        die_at("after sending", chosen=chosen)

    trace.on_request_start.append(start)
    trace.on_request_end.append(end)
    return trace


async def live(database: str, url: str, *, judgement: str, chosen: str) -> None:
    """One life: what the last one left, one judgement, and everything delivered."""
    async with (
        open_store(f"sqlite+aiosqlite:///{database}") as real,
        aiohttp.ClientSession(trace_configs=[deadly_http(chosen)]) as session,
    ):
        endpoint = Endpoint.parse(url)
        outbox = Outbox(deadly(real, chosen=chosen), sinks=[endpoint.name], clock=now)
        sink = AlertmanagerSink(
            endpoint,
            outbox=outbox,
            session=session,
            origin=Origin(entity="Example KK"),
            clock=now,
            sleep=asyncio.sleep,
            random=random.random,
        )
        changed = judge(await outbox.restore(), judgement=judgement)
        await outbox.record(changed, [told(finding, sink=sink.name) for finding in changed])
        while outbox.pending(sink.name):
            await sink.deliver()


def judge(open_findings: Sequence[Finding], *, judgement: str) -> list[Finding]:
    """The share is over the limit, or back under it: what is new against the findings that are open."""
    if judgement == State.RESOLVED:
        return [resolved(finding, at=now()) for finding in open_findings]
    return [] if open_findings else [firing(f"f{os.getpid()}", since=now())]


if __name__ == "__main__":
    asyncio.run(live(sys.argv[1], sys.argv[2], judgement=sys.argv[3], chosen=sys.argv[4]))
