"""Publishes to an MQTT broker what holds now: states and findings, retained, which it forgets when nobody renews them.

MQTT 5.0 (OASIS, 2019): QoS 1 (section 4.3.2), message expiry (3.3.2.3.3), will (3.1.2.5).
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import replace

import structlog
from aiomqtt import Will

from daemon.broker import KEEPALIVE, Broker, BrokerError, Connection, connected, left
from daemon.emit.board import FIRST, Board, Parcel
from daemon.emit.config import NAME
from daemon.emit.topics import OFFLINE, STATUS, gates, topics
from daemon.model import Report
from daemon.supervisor import Backoff

log = structlog.get_logger(__name__)

MOST_FLYING, MOST_OTHERS_FLYING = 20, 15
"""Messages that the broker has not taken yet, at most; some room is kept for what nobody may miss."""

MOST_BACKOFF_SECONDS = 5.0
FAREWELL_SECONDS = 2.0
MOST_HEARD = 10_000


class MqttSink:
    """The broker's end of the pipe. `offer` notes what is to be told, `deliver` tells it.

    `settled` says whether the open findings of an earlier run are known: before, none that the broker keeps is cleared.
    """

    name = NAME

    def __init__(
        self,
        broker: Broker,
        *,
        prefix: str,
        expiry: float,
        settled: Callable[[], bool],
        monotonic: Callable[[], float],
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        drill: str = "",
    ) -> None:
        self.counts: dict[str, int] = {"delivered": 0, "failed": 0, "refused": 0}
        """Messages taken, connections that broke or did not come about, messages refused, since start."""
        self.problem: str | None = f"{broker.name}: not connected yet"
        """What is wrong with the broker, None while it takes what it is sent."""
        self._broker = broker
        self._prefix = prefix
        self._expiry = expiry
        self._settled = settled
        self._monotonic = monotonic
        self._sleep = sleep
        self._drill = drill
        self._board = Board(expiry=expiry)
        self._backoff = Backoff(most=MOST_BACKOFF_SECONDS)
        self._identifier = f"pyrometer-{secrets.token_hex(6)}"
        self._news = asyncio.Event()
        self._flying = 0
        self._deaf = False
        self._down: bool | None = None

    @property
    def pending(self) -> int:
        """Topics whose newest state the broker has not taken."""
        return self._board.pending

    def offer(self, report: Report) -> None:
        """Notes what the report says; the worker tells it."""
        self._board.take(topics(self._said(report)), at=report.at, now=self._monotonic(), settled=self._settled())
        self._news.set()

    def stop(self, report: Report) -> None:
        """Notes what the report says of gates, before any of it is durable: a store that is slow keeps no gate open."""
        self._board.take_beside(gates(self._said(report)), at=report.at, now=self._monotonic())
        self._news.set()

    def _said(self, report: Report) -> Report:
        return replace(report, entity=f"DRILL {self._drill}: {report.entity}") if self._drill else report

    async def deliver(self) -> None:
        """One step of the worker: a connection from its begin to its end, and the pause after it.

        What the broker does wrong raises nothing: it is logged when it begins and ends, counted, and told in `problem`.
        Who is cancelled says farewell first, which takes at most twice FAREWELL_SECONDS and the broker's `timeout`.
        """
        try:
            async with self._connected() as line:
                self._noted(None)
                await self._serve(line)
        except BrokerError as error:
            self._noted(error)
            await self._sleep(self._backoff.next())

    @asynccontextmanager
    async def _connected(self) -> AsyncIterator[Connection]:
        line = Connection(
            self._broker,
            will=Will(self._topic(STATUS), OFFLINE, qos=1, retain=True),
            keepalive=max(1, min(KEEPALIVE, int(self._expiry / 3))),
            identifier=self._identifier,
            queued=MOST_HEARD,
        )
        await connected(line, self._broker)
        try:
            self._board.connected()
            yield line
        finally:
            self._board.disconnected()
            await left(line)

    async def _serve(self, line: Connection) -> None:
        """Tells what there is to tell until the connection breaks (BrokerError) or we are to stop."""
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._listen(line), name="mqtt: what is kept")
                await self._publish(line, group=group)
        except ExceptionGroup as errors:
            _unless_cancelled()
            raise _broken(errors) from None
        except asyncio.CancelledError:
            await self._say_farewell(line)
            raise

    async def _listen(self, line: Connection) -> None:
        """Looks for what an earlier run, or a part of this one before the connection broke, has left at the broker."""
        self._deaf = not await line.hears(*(self._topic(f"{first}+") for first in FIRST))
        self._look_for_problems()
        while True:
            message = await line.heard()
            if message.retain and message.payload:
                self._board.found(message.topic.value.removeprefix(f"{self._prefix}/"))
                self._news.set()

    async def _publish(self, line: Connection, *, group: asyncio.TaskGroup) -> None:
        self._flying = 0
        while True:
            self._news.clear()
            parcel = self._next()
            if parcel is not None:
                self._flying += 1
                group.create_task(self._send(line, parcel), name=f"mqtt: {parcel.name}")
                continue
            with suppress(TimeoutError):
                async with asyncio.timeout(self._board.wait(self._monotonic())):
                    await self._news.wait()

    def _next(self) -> Parcel | None:
        if self._flying >= MOST_FLYING:
            return None
        return self._board.next(self._monotonic(), everything=self._flying < MOST_OTHERS_FLYING)

    async def _send(self, line: Connection, parcel: Parcel) -> None:
        refusal = await line.tell(self._topic(parcel.name), parcel.payload, lives=parcel.lives)
        self._flying -= 1
        self._news.set()
        self._backoff.reset()
        if refusal is None:
            self.counts["delivered"] += 1
            self._board.taken(parcel)
        else:
            self.counts["refused"] += 1
            self._board.refused(parcel)
            log.debug("message refused", sink=NAME, topic=self._topic(parcel.name), reason=refusal)
        self._look_for_problems()

    async def _say_farewell(self, line: Connection) -> None:
        """What nobody may miss, as far as there is time, and that we are gone."""
        self._board.recall()
        with suppress(TimeoutError, BrokerError):
            async with asyncio.timeout(FAREWELL_SECONDS):
                while (parcel := self._board.next(self._monotonic(), everything=False)) is not None:
                    await self._send(line, parcel)
        with suppress(TimeoutError, BrokerError):
            async with asyncio.timeout(FAREWELL_SECONDS):
                await line.tell(self._topic(STATUS), OFFLINE)

    def _topic(self, name: str) -> str:
        return f"{self._prefix}/{name}"

    def _look_for_problems(self) -> None:
        """What the broker refuses while it takes the rest: a lack of rights, mostly."""
        refused = self._board.refusals
        problem = None
        if refused:
            more = f" and {len(refused) - 1} more" if len(refused) > 1 else ""
            problem = f"{self._broker.name}: does not take {self._topic(refused[0])}{more}"
        elif self._deaf:
            problem = f"{self._broker.name}: refuses to show what it keeps, findings of an earlier run may stay there"
        if problem is not None and self.problem is None:
            log.warning("receiver refuses", sink=NAME, error=problem)
        self.problem = problem

    def _noted(self, error: BrokerError | None) -> None:
        """One log line when the broker goes down and one when it is up again."""
        if error is None:
            log.info("receiver up", sink=NAME, queued=self.pending)
        else:
            self.counts["failed"] += 1
            if not self._down:
                log.warning("receiver down", sink=NAME, error=str(error))
        self._down = error is not None
        self.problem = None if error is None else str(error)


async def trouble_with(broker: Broker, *, prefix: str) -> str | None:
    """What would keep a daemon from publishing there, None for nothing. What is published for it nobody keeps."""
    line = Connection(broker)
    try:
        await connected(line, broker)
        try:
            hears = await line.hears(*(f"{prefix}/{first}+" for first in FIRST))
            refusal = await line.tell(f"{prefix}/check", b"", retain=False)
        finally:
            await left(line)
    except BrokerError as error:
        return str(error)
    if refusal is not None:
        return f"{broker.name}: refuses what is published under {prefix}/ ({refusal})"
    return None if hears else f"{broker.name}: refuses to show what it keeps under {prefix}/"


def _unless_cancelled() -> None:
    """A group whose parts fail while it is cancelled forgets that it was (Python before 3.13)."""
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise asyncio.CancelledError from None


def _broken(errors: ExceptionGroup[Exception]) -> Exception:
    """The first of the group, as alone: all of them say that the one connection broke. Other errors stay a group."""
    first = errors.exceptions[0]
    return first if errors.split(BrokerError)[1] is None else errors
