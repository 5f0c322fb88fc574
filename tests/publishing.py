"""Reports with findings and gates, and a sink that publishes them, for tests of what MQTT subscribers read."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta

from daemon.broker import Broker
from daemon.emit.mqtt import MqttSink
from daemon.gate.state import GateState
from daemon.ledger import Ledger
from daemon.model import Finding, Judgement, Report, Severity, State, Tier, Verdict
from daemon.supervisor import keep
from tests.build import ETH, NOON, complete, inventory, wallet
from tests.integration.mosquitto import PASSWORD, USER, Mosquitto
from tests.reported import report


def finding(identity: str, *, state: State = State.FIRING, summary: str = "too hot") -> Finding:
    verdict = Verdict(
        "jp-psa/hot-share", "all", "PyrometerHotShareHigh", Severity.CRITICAL, Judgement.BREACH, summary, cleared=False
    )
    return Finding(identity, state, NOON, verdict, fired=NOON)


def gate(name: str, *, open: bool = True, findings: tuple[str, ...] = ()) -> GateState:  # noqa: A002 - as the state has it
    return GateState(wallet=name, open=open, since=NOON, reason="well" if open else "PyrometerDrain", findings=findings)


def told(
    *wallets: str, findings: Iterable[Finding] = (), gates: Iterable[GateState] = (), hot: int = 5, seconds: float = 0
) -> Report:
    """A report of hot wallets with `hot` wei each, read at block 1."""
    names = wallets or ("hot",)
    inv = inventory(*(wallet(name, Tier.HOT, number) for number, name in enumerate(names, start=1)))
    ledger = Ledger(inv)
    ledger.apply(complete(1, {(number, ETH): hot for number in range(1, len(names) + 1)}))
    found = report(ledger, inv, seconds=2)
    made = NOON + timedelta(seconds=2 + seconds)
    return replace(found, at=made, findings=tuple(findings), gates={one.wallet: one for one in gates})


class Publishing:
    """A sink with its worker, to which one report is offered again and again, as a daemon does."""

    def __init__(self, sink: MqttSink) -> None:
        self.sink = sink
        self._report: Report | None = None
        self._seconds = 0.0

    def says(self, report: Report) -> None:
        self._report = report
        self.sink.offer(report)

    def falls_silent(self) -> None:
        """The pipe stands still, while the worker goes on."""
        self._report = None

    async def renew(self) -> None:
        while True:
            await asyncio.sleep(0.1)
            if self._report is not None:
                self._seconds += 0.1
                self.sink.offer(replace(self._report, at=self._report.at + timedelta(seconds=self._seconds)))


@asynccontextmanager
async def publishing(
    broker: Mosquitto | Broker, *, expiry: float = 30, deadline: float = 2, prefix: str = "pyrometer"
) -> AsyncIterator[Publishing]:
    """Runs until the end of the block, where it is cancelled as at a stop."""
    where = broker if isinstance(broker, Broker) else Broker("127.0.0.1", broker.port, USER, PASSWORD, None, deadline)
    monotonic = asyncio.get_running_loop().time
    subject = Publishing(MqttSink(where, prefix=prefix, expiry=expiry, settled=lambda: True, monotonic=monotonic))
    tasks = [asyncio.create_task(keep("mqtt", subject.sink.deliver)), asyncio.create_task(subject.renew())]
    try:
        yield subject
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
