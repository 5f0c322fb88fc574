"""The connector that every chain is made of: polls the agreed head and yields what the daemon reads."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import datetime
from typing import Generic, Protocol

from connectors.base import ProviderStats, Update, Watch
from connectors.config import ReadingConfig
from connectors.errors import ConnectorError, Reason, Unavailable
from connectors.follow import Follower, ReadAt, Reader
from connectors.heads import Heads, W
from connectors.transport import Timing

LEAST_PAUSE = 0.1
"""Seconds between two polls, however much news there is."""


class Companion(Protocol):
    """What a chain tells beside balances, to one consumer."""

    news: asyncio.Event
    """Set when something has happened that should not wait for the next poll."""

    doubt: bool
    """Whether something told before was wrong, so that the next update has to be complete."""

    async def tell(self, update: Update) -> Update:
        """The update with what there is to tell beside it. Never raises ConnectorError."""
        ...


Accompany = Callable[[Watch], AbstractAsyncContextManager[Companion]]
Examine = Callable[[W, Watch], Awaitable[str | None]]
"""Asks a node with the very calls that readings use: what is wrong, None when all is well. May raise ConnectorError."""


class _Alone:
    """The Companion of a chain that tells nothing beside balances."""

    def __init__(self) -> None:
        self.news = asyncio.Event()
        self.doubt = False

    async def tell(self, update: Update) -> Update:
        return update


@asynccontextmanager
async def alone(watch: Watch) -> AsyncIterator[Companion]:  # noqa: ARG001 - nothing of it is told beside
    """Where balances are all that is told."""
    yield _Alone()


class PolledConnector(Generic[W]):
    """A Connector of nodes that are asked for their head again and again."""

    def __init__(
        self,
        nodes: Sequence[W],
        *,
        chain: str,
        config: ReadingConfig,
        read_at: ReadAt[W],
        examine: Examine[W],
        timing: Timing,
        now: Callable[[], datetime],
        accompany: Accompany = alone,
    ) -> None:
        self.chain = chain
        self.reader = config.reader
        self._nodes = nodes
        self._examine = examine
        self._agree = config.agree
        self._accompany = accompany
        self._poll = config.poll.total_seconds()
        self._timing = timing
        self._now = now
        heads = Heads(nodes, agree=config.agree, timing=timing, now=now)
        self._reader = Reader(nodes, heads=heads, read_at=read_at, agree=config.agree, timing=timing)

    async def read(self, watch: Watch) -> Update:
        """Everything watched, at one tip; see Connector."""
        return await Follower(self._reader, watch=watch, now=self._now).next()

    async def updates(self, watch: Watch) -> AsyncGenerator[Update, None]:
        """One update a poll, without end, and one at once when there is news; see Connector."""
        follower = Follower(self._reader, watch=watch, now=self._now)
        async with self._accompany(watch) as companion:
            while True:
                due = self._timing.clock() + self._poll
                companion.news.clear()
                if companion.doubt:
                    companion.doubt = False
                    follower.forget()
                yield await companion.tell(await follower.next())
                await self._timing.sleep(min(self._poll, LEAST_PAUSE))
                await self._timing.sleep_or(companion.news, seconds=due - self._timing.clock())

    async def hash_at(self, height: int) -> str | None:
        """Of nodes that are asked one after the other until enough agree; see Connector."""
        said: Counter[str] = Counter()
        error: ConnectorError | None = None
        for node in self._nodes:
            try:
                header = await node.header_at(height)
            except ConnectorError as failure:
                error = failure
                continue
            if header is not None:
                said[header.hash] += 1
                if said[header.hash] >= self._agree:
                    return header.hash
        if said or error is not None:
            raise error or Unavailable(f"{self.chain}: too few nodes agree on block {height}", reason=Reason.NO_QUORUM)
        return None

    async def probe(self, watch: Watch) -> tuple[tuple[str, str | None], ...]:
        """Asks each node for its head and for what is read there; see Connector."""
        troubles = await asyncio.gather(*(self._trouble(node, watch=watch) for node in self._nodes))
        return tuple((node.transport.provider, trouble) for node, trouble in zip(self._nodes, troubles, strict=True))

    def stats(self) -> tuple[ProviderStats, ...]:
        """Counters since the connector was opened; see Connector."""
        return tuple(node.transport.stats() for node in self._nodes)

    async def _trouble(self, node: W, *, watch: Watch) -> str | None:
        try:
            return await self._examine(node, watch)
        except ConnectorError as error:
            return str(error)
