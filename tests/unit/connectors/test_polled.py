"""One consumer of a polled chain: when it is told, what is told beside, and what ends when it leaves."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, aclosing, asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

import pytest

from connectors.base import Address, Drift, Token, Update, Watch
from connectors.config import ReadingConfig
from connectors.errors import Reason, Unavailable
from connectors.polled import LEAST_PAUSE, Accompany, Companion, PolledConnector, alone
from connectors.quorum import Header
from tests.unit.connectors.chain import START, Chain, FakeNode, read_at
from tests.unit.connectors.stepped import SteppedTime, settled

COIN = Token("eth", None, 18)
WATCH = Watch("eth", (Address("acc0"), Address("acc1")), (COIN,))
A = Chain(100)
POLL = 5.0
NOTE = (Drift(Address("acc0"), COIN, 1, 2),)


class Config(ReadingConfig):
    """Of nodes x and y, polled every five seconds."""

    poll: timedelta = timedelta(seconds=POLL)

    @property
    def providers(self) -> tuple[str, ...]:
        return ("x", "y")

    @property
    def reader(self) -> str:
        return "one by one"


@dataclass
class Beside:
    """A Companion that puts a note on every update."""

    news: asyncio.Event = field(default_factory=asyncio.Event)
    doubt: bool = False
    told: list[Update] = field(default_factory=list)
    watched: list[Watch] = field(default_factory=list)
    gone: int = 0

    async def tell(self, update: Update) -> Update:
        self.told.append(update)
        return replace(update, drift=NOTE)

    @asynccontextmanager
    async def accompany(self, watch: Watch) -> AsyncIterator[Companion]:
        self.watched.append(watch)
        try:
            yield self
        finally:
            self.gone += 1


@dataclass
class Node(FakeNode):
    """Takes so many seconds to tell its head."""

    takes: float = 0.0

    async def head(self) -> Header:
        await self.timing.sleep(self.takes)
        return await super().head()


@dataclass
class Scene:
    """A consumer that takes every update at once, and notes when."""

    time: SteppedTime
    nodes: list[Node]
    connector: PolledConnector[Node]
    updates: list[Update] = field(default_factory=list)
    hours: list[float] = field(default_factory=list)

    async def consume(self) -> None:
        async with aclosing(self.connector.updates(WATCH)) as updates:
            async for update in updates:
                self.updates.append(update)
                self.hours.append(self.time.now)

    def grow(self) -> None:
        for node in self.nodes:
            node.chain = node.chain.grown()

    def slow_down(self, seconds: float) -> None:
        for node in self.nodes:
            node.takes = seconds


async def examined(node: Node, watch: Watch) -> str | None:
    """What is wrong with x; y is away."""
    assert watch is WATCH
    await asyncio.sleep(0)
    if node.name == "y":
        raise Unavailable("y: away")
    return None


def scene(accompany: Accompany = alone) -> Scene:
    time = SteppedTime()
    timing = time.timing()
    nodes = [Node(name, timing, A) for name in ("x", "y")]
    connector = PolledConnector(
        nodes,
        chain="eth",
        config=Config(),
        read_at=read_at,
        examine=examined,
        timing=timing,
        now=lambda: _now(time),
        accompany=accompany,
    )
    return Scene(time, nodes, connector)


def _now(time: SteppedTime) -> datetime:
    return START + timedelta(seconds=time.now)


@asynccontextmanager
async def consumed(accompany: Accompany = alone) -> AsyncIterator[Scene]:
    made = scene(accompany)
    async with AsyncExitStack() as stack:
        consumer = asyncio.create_task(made.consume())
        stack.push_async_callback(asyncio.wait, [consumer])
        stack.callback(consumer.cancel)
        await settled()
        yield made


async def test_the_consumer_is_told_at_once_and_then_once_a_poll() -> None:
    async with consumed() as it:
        assert it.hours == [0.0]
        await it.time.passes(3 * POLL)
        assert it.hours == [0.0, POLL, 2 * POLL, 3 * POLL]
        assert [update.complete for update in it.updates] == [True, False, False, False]


async def test_a_poll_that_took_long_is_followed_by_the_next_on_time() -> None:
    async with consumed() as it:
        it.slow_down(2)
        await it.time.passes(4 * POLL)
        assert it.hours == [0.0, POLL + 2, 2 * POLL + 2, 3 * POLL + 2]


async def test_a_poll_that_took_longer_than_the_interval_is_followed_by_a_short_rest() -> None:
    async with consumed() as it:
        it.slow_down(POLL + 1)
        await it.time.passes(3 * POLL)
        assert it.hours == pytest.approx([0.0, 11.0])
        await it.time.passes(3)
        assert it.hours == pytest.approx([0.0, 11.0, 17.0 + LEAST_PAUSE])


async def test_what_changed_is_told_with_the_next_poll() -> None:
    async with consumed() as it:
        it.grow()
        await it.time.passes(POLL)
        assert [[held.units for held in update.held] for update in it.updates] == [[1100, 1001], [1101]]


async def test_a_chain_that_can_not_be_read_is_told_each_poll_and_then_everything() -> None:
    async with consumed() as it:
        for node in it.nodes:
            node.error = Unavailable("away")
        await it.time.passes(2 * POLL)
        for node in it.nodes:
            node.error = None
        await it.time.passes(POLL)
        assert [update.failure is None for update in it.updates] == [True, False, False, True]
        assert it.updates[-1].complete


async def test_one_reading_tells_everything_and_nothing_beside() -> None:
    beside = Beside()
    it = scene(beside.accompany)
    it.grow()
    update = await it.connector.read(WATCH)
    assert (update.complete, update.drift, [held.units for held in update.held]) == (True, None, [1101, 1001])
    assert beside.watched == []


async def test_two_consumers_are_each_told_everything_first() -> None:
    async with consumed() as it:
        await it.time.passes(POLL)
        async with aclosing(it.connector.updates(WATCH)) as other:
            assert (await anext(other)).complete
        await it.time.passes(POLL)
        assert not it.updates[-1].complete


# ── beside ──────────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_every_update_is_told_through_the_companion_of_its_watch() -> None:
    beside = Beside()
    async with consumed(beside.accompany) as it:
        await it.time.passes(POLL)
        assert [replace(update, drift=None) for update in it.updates] == beside.told
        assert [update.drift for update in it.updates] == [NOTE, NOTE]
        assert beside.watched == [WATCH]


async def test_news_does_not_wait_for_the_next_poll() -> None:
    beside = Beside()
    async with consumed(beside.accompany) as it:
        await it.time.passes(2.0)
        beside.news.set()
        await settled()
        assert it.hours == [0.0, 2.0]
        await it.time.passes(POLL)
        assert it.hours == [0.0, 2.0, 2.0 + POLL]


async def test_news_without_end_is_told_in_short_steps() -> None:
    beside = Beside()
    async with consumed(beside.accompany) as it:
        for _ in range(100):
            beside.news.set()
            await it.time.passes(LEAST_PAUSE / 10)
        assert len(it.hours) == pytest.approx(10, abs=1)


async def test_news_that_comes_while_an_update_is_made_brings_another() -> None:
    """It may have come too late for that one."""
    beside = Beside()
    async with consumed(beside.accompany) as it:
        it.slow_down(2)
        await it.time.passes(POLL + 1)
        beside.news.set()
        await it.time.passes(1)
        assert it.hours == [0.0, POLL + 2]
        await it.time.passes(2 + LEAST_PAUSE)
        assert it.hours == pytest.approx([0.0, POLL + 2, POLL + 4 + LEAST_PAUSE])


async def test_news_that_was_told_is_no_news_any_more() -> None:
    beside = Beside()
    beside.news.set()
    async with consumed(beside.accompany) as it:
        await it.time.passes(POLL - 1)
        assert it.hours == [0.0]
        assert not beside.news.is_set()


async def test_after_a_doubt_everything_is_told_once() -> None:
    beside = Beside()
    async with consumed(beside.accompany) as it:
        await it.time.passes(POLL)
        beside.doubt = True
        await it.time.passes(2 * POLL)
        assert [update.complete for update in it.updates] == [True, False, True, False]
        assert not beside.doubt


async def test_the_companion_goes_with_its_consumer() -> None:
    beside = Beside()
    async with consumed(beside.accompany) as it:
        await it.time.passes(POLL)
        assert beside.gone == 0
    assert beside.gone == 1


# ── the nodes ───────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_a_probe_says_of_each_node_what_is_wrong() -> None:
    assert await scene().connector.probe(WATCH) == (("x", None), ("y", "y: away"))


async def test_the_counters_are_those_of_the_nodes() -> None:
    it = scene()
    it.nodes[1].transport.blame(Unavailable("away"))
    assert [(one.provider, one.errors) for one in it.connector.stats()] == [("x", {}), ("y", {Reason.UNAVAILABLE: 1})]


def test_it_is_named_as_configured() -> None:
    it = scene()
    assert (it.connector.chain, it.connector.reader) == ("eth", "one by one")
