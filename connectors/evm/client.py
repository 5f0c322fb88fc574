"""The connector for EVM chains: opens the nodes, and yields what the daemon reads."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import datetime

from connectors.base import Connector, ProviderStats, Update, Watch
from connectors.errors import ConnectorError
from connectors.evm.config import EvmConfig
from connectors.evm.node import Asked, EvmNode
from connectors.evm.reader import read_balances
from connectors.follow import Follower, Keys, Reader
from connectors.heads import Heads
from connectors.jsonrpc import Node
from connectors.quorum import Flaw
from connectors.transport import Timing, Transport


@asynccontextmanager
async def connect(
    config: EvmConfig,
    *,
    chain: str,
    now: Callable[[], datetime],
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    clock: Callable[[], float] = time.monotonic,
    rng: Callable[[], float] = random.random,
) -> AsyncIterator[Connector]:
    """The connector for the chain called `chain` in the configuration, until the block ends.

    Asks nothing yet: a node that is down or on another chain shows in the updates. `now` gives the time in UTC,
    `clock` monotonic seconds, `rng` chance in [0, 1).
    """
    timing = Timing(clock=clock, sleep=sleep, rng=rng)
    asked = Asked(chain_id=config.chain_id, depth=config.confirmations - 1, batch=config.batch)
    async with AsyncExitStack() as stack:
        nodes: list[EvmNode] = []
        for endpoint in config.endpoints:
            transport = Transport(endpoint, chain=chain, timeout=config.timeout, timing=timing)
            await stack.enter_async_context(transport)
            nodes.append(EvmNode(Node(transport), asked=asked, now=now))
        yield EvmConnector(nodes, chain=chain, config=config, timing=timing, now=now)


class EvmConnector:
    """Made by `connect`."""

    def __init__(
        self,
        nodes: Sequence[EvmNode],
        *,
        chain: str,
        config: EvmConfig,
        timing: Timing,
        now: Callable[[], datetime],
    ) -> None:
        self.chain = chain
        self.reader = config.reader
        self._nodes = nodes
        self._poll = config.poll.total_seconds()
        self._timing = timing
        self._now = now
        heads = Heads(nodes, agree=config.agree, timing=timing, now=now)
        self._reader = Reader(nodes, heads=heads, read_at=read_balances, agree=config.agree, timing=timing)

    async def read(self, watch: Watch) -> Update:
        """Everything watched, at one tip; see Connector."""
        return await Follower(self._reader, watch=watch, now=self._now).next()

    async def updates(self, watch: Watch) -> AsyncGenerator[Update, None]:
        """One update a poll, without end; see Connector."""
        follower = Follower(self._reader, watch=watch, now=self._now)
        while True:
            due = self._timing.clock() + self._poll
            yield await follower.next()
            await self._timing.sleep(max(0.0, due - self._timing.clock()))

    async def probe(self, watch: Watch) -> tuple[tuple[str, str | None], ...]:
        """Asks each node for its head and, at that block, for the first account's balances; see Connector."""
        keys = Keys(watch, range(min(len(watch.tokens), len(watch.accounts) * len(watch.tokens))))
        troubles = await asyncio.gather(*(_trouble(node, keys=keys) for node in self._nodes))
        return tuple((node.transport.provider, trouble) for node, trouble in zip(self._nodes, troubles, strict=True))

    def stats(self) -> tuple[ProviderStats, ...]:
        """Counters since `connect`; see Connector."""
        return tuple(node.transport.stats() for node in self._nodes)


async def _trouble(node: EvmNode, *, keys: Keys) -> str | None:
    try:
        head = await node.head()
        values = await read_balances(node, keys=keys, block=head.hash)
    except ConnectorError as error:
        return str(error)
    flaw = next((value for value in values if isinstance(value, Flaw)), None)
    return None if flaw is None else f"{node.transport.provider}: {flaw.detail}"
