"""The connector for NEM: opens the nodes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import datetime

from connectors.base import Connector, Watch
from connectors.nem.accounts import AccountReader
from connectors.nem.block import Blocks
from connectors.nem.book import Rules
from connectors.nem.books import Books
from connectors.nem.companion import NemCompanion, Sources
from connectors.nem.config import NemConfig
from connectors.nem.mined import MinedBlocks
from connectors.nem.movements import Teller
from connectors.nem.networks import NETWORKS
from connectors.nem.node import Asked, NisNode
from connectors.nem.pending import Asking, Pool
from connectors.polled import Companion, PolledConnector
from connectors.quorum import Flaw
from connectors.transport import REAL, Timing, Transport

COMPANIONS_PART = 6
"""So many times the patience with nodes that tell older blocks is `max_age`: balances wait for them."""


@asynccontextmanager
async def connect(
    config: NemConfig,
    *,
    chain: str,
    now: Callable[[], datetime],
    timing: Timing = REAL,
) -> AsyncIterator[Connector]:
    """The connector for the chain called `chain` in the configuration, until the block ends.

    Asks nothing yet: a node that is down or on another chain shows in the updates. `now` gives the time in UTC,
    `timing` is what is waited by.
    """
    asked = Asked(NETWORKS[config.network], config.nemesis_hash, depth=config.confirmations - 1, batch=config.batch)
    blocks = Blocks()
    books = Books(rules=Rules(settle=config.settle, sweep=config.sweep))
    async with AsyncExitStack() as stack:
        nodes: list[NisNode] = []
        for endpoint in config.endpoints:
            transport = Transport(endpoint, chain=chain, timeout=config.timeout, timing=timing)
            await stack.enter_async_context(transport)
            nodes.append(NisNode(transport, asked=asked, blocks=blocks, now=now))
        beside = _Beside(nodes, config=config, books=books, blocks=blocks, timing=timing)
        yield PolledConnector(
            nodes,
            chain=chain,
            config=config,
            read_at=books.read,
            examine=_examine,
            timing=timing,
            now=now,
            accompany=beside.accompany,
        )


async def _examine(node: NisNode, watch: Watch) -> str | None:
    """Asks for the head and for what the first account holds; see connectors.polled.Examine."""
    await node.head()
    (state,) = (await AccountReader(node, watch=watch).states(range(min(1, len(watch.accounts))))).values()
    flaw = next((value for value in state.values if isinstance(value, Flaw)), None)
    return None if flaw is None else f"{node.transport.provider}: {flaw.detail}"


class _Beside:
    """Makes companions."""

    def __init__(
        self, nodes: Sequence[NisNode], *, config: NemConfig, books: Books, blocks: Blocks, timing: Timing
    ) -> None:
        self._nodes = nodes
        self._config = config
        self._books = books
        self._blocks = blocks
        self._timing = timing

    @asynccontextmanager
    async def accompany(self, watch: Watch) -> AsyncIterator[Companion]:
        """See connectors.polled.Accompany."""
        config, pool = self._config, Pool()
        asking = Asking(self._nodes, watch=watch, pool=pool, most=config.pending_accounts, timing=self._timing)
        task = asyncio.create_task(asking.forever(config.poll), name=f"unconfirmed transactions of {watch.chain}")
        patience = config.max_age / COMPANIONS_PART
        mined = MinedBlocks(self._nodes, blocks=self._blocks, teller=Teller(watch), patience=patience)
        sources = Sources(self._books, mined, pool, need=config.agree)
        try:
            yield NemCompanion(watch, sources=sources, asking=task)
        finally:
            task.cancel()
            await asyncio.wait([task])
