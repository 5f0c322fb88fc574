"""The connector for Symbol: opens the nodes."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, aclosing, asynccontextmanager
from datetime import datetime
from functools import partial

from connectors.base import Connector, ProviderStats, Tip, Update, Watch
from connectors.errors import Reason
from connectors.follow import Keys
from connectors.polled import PolledConnector
from connectors.quorum import Flaw
from connectors.symbol.companion import accompanying
from connectors.symbol.config import SymbolConfig
from connectors.symbol.depth import HeldBack
from connectors.symbol.networks import NETWORKS
from connectors.symbol.node import Asked, SymbolNode
from connectors.symbol.reader import read_balances
from connectors.transport import REAL, Timing, Transport

COMPANIONS_PART = 6
"""So many times the companion's patience is `max_age`: it asks three questions, and balances wait for its answers."""


@asynccontextmanager
async def connect(
    config: SymbolConfig,
    *,
    chain: str,
    now: Callable[[], datetime],
    timing: Timing = REAL,
) -> AsyncIterator[Connector]:
    """The connector for the chain called `chain` in the configuration, until the block ends.

    Asks nothing yet: a node that is down or on another network shows in the updates. `now` gives the time in UTC,
    `timing` is what is waited by.
    """
    asked = Asked(NETWORKS[config.network], batch=config.batch, settle=config.settle.total_seconds())
    async with AsyncExitStack() as stack:
        nodes: list[SymbolNode] = []
        for endpoint in config.endpoints:
            transport = Transport(endpoint, chain=chain, timeout=config.timeout, timing=timing)
            await stack.enter_async_context(transport)
            nodes.append(SymbolNode(transport, asked=asked, now=now))
        newest = PolledConnector(
            nodes,
            chain=chain,
            config=config,
            read_at=read_balances,
            examine=_examine,
            timing=timing,
            now=now,
            accompany=partial(accompanying, nodes=nodes, patience=config.max_age / COMPANIONS_PART),
        )
        deep = config.confirmations > 1 or config.finalized
        yield DeepConnector(newest, nodes=nodes, config=config) if deep else newest


class DeepConnector:
    """A Connector that tells the readings of another one when their blocks are deep enough, or final."""

    def __init__(
        self, newest: PolledConnector[SymbolNode], *, nodes: Sequence[SymbolNode], config: SymbolConfig
    ) -> None:
        self.chain = newest.chain
        self.reader = newest.reader
        self._newest = newest
        self._nodes = nodes
        self._config = config

    async def read(self, watch: Watch) -> Update:
        """Everything watched, at one tip; takes as long as the block that is read first takes to be deep enough."""
        async with aclosing(self.updates(watch)) as updates:
            async for update in updates:
                if update.failure is None or update.failure.reason is not Reason.STARTING:
                    return update
        raise RuntimeError("updates never end")

    async def updates(self, watch: Watch) -> AsyncGenerator[Update, None]:
        """One update a poll, without end; see Connector."""
        back = HeldBack(self._deepest)
        async with aclosing(self._newest.updates(watch)) as updates:
            async for update in updates:
                yield back.pass_on(update)

    async def hash_at(self, height: int) -> str | None:
        """As the other connector; see Connector."""
        return await self._newest.hash_at(height)

    async def probe(self, watch: Watch) -> tuple[tuple[str, str | None], ...]:
        """As the other connector; see Connector."""
        return await self._newest.probe(watch)

    def stats(self) -> tuple[ProviderStats, ...]:
        """Counters since the connector was opened; see Connector."""
        return self._newest.stats()

    def _deepest(self, tip: Tip) -> int:
        confirmed = tip.height - self._config.confirmations + 1
        if not self._config.finalized:
            return confirmed
        finals = sorted((node.final_at(tip.hash) for node in self._nodes), reverse=True)
        return min(confirmed, finals[self._config.agree - 1])


async def _examine(node: SymbolNode, watch: Watch) -> str | None:
    """Asks for the head and, at that block, for the first account's balances; see connectors.polled.Examine."""
    head = await node.head()
    keys = Keys(watch, range(min(len(watch.tokens), len(watch.accounts) * len(watch.tokens))))
    values = await read_balances(node, keys=keys, block=head.hash)
    flaw = next((value for value in values if isinstance(value, Flaw)), None)
    return None if flaw is None else f"{node.transport.provider}: {flaw.detail}"
