"""The connector for EVM chains: opens the nodes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import datetime

from connectors.base import Connector, Watch
from connectors.evm.blocks import Blocks, sides
from connectors.evm.companion import EvmCompanion, Sources
from connectors.evm.config import EvmConfig
from connectors.evm.controls import Controls
from connectors.evm.node import Asked, EvmNode
from connectors.evm.pending import Asking, Pool
from connectors.evm.reader import read_balances
from connectors.evm.reckoning import Reckoning
from connectors.evm.transfers import Teller
from connectors.follow import Keys
from connectors.jsonrpc import Node
from connectors.polled import Companion, PolledConnector
from connectors.quorum import Flaw
from connectors.transport import REAL, Timing, Transport


@asynccontextmanager
async def connect(
    config: EvmConfig,
    *,
    chain: str,
    now: Callable[[], datetime],
    timing: Timing = REAL,
) -> AsyncIterator[Connector]:
    """The connector for the chain called `chain` in the configuration, until the block ends.

    Asks nothing yet: a node that is down or on another chain shows in the updates. `now` gives the time in UTC,
    `timing` is what is waited by.
    """
    async with opened_nodes(config, chain=chain, now=now, timing=timing) as nodes:
        yield PolledConnector(
            nodes,
            chain=chain,
            config=config,
            read_at=read_balances,
            examine=_examine,
            timing=timing,
            now=now,
            accompany=_Beside(nodes, config=config, timing=timing).accompany,
        )


@asynccontextmanager
async def opened_nodes(
    config: EvmConfig, *, chain: str, now: Callable[[], datetime], timing: Timing
) -> AsyncIterator[Sequence[EvmNode]]:
    """The nodes of a chain, the preferred one first; arguments as of `connect`."""
    asked = Asked(chain_id=config.chain_id, depth=config.confirmations - 1, batch=config.batch)
    async with AsyncExitStack() as stack:
        nodes: list[EvmNode] = []
        for endpoint in config.endpoints:
            transport = Transport(endpoint, chain=chain, timeout=config.timeout, timing=timing)
            await stack.enter_async_context(transport)
            nodes.append(EvmNode(Node(transport), asked=asked, now=now))
        yield nodes


async def _examine(node: EvmNode, watch: Watch) -> str | None:
    """Asks for the head and, at that block, for the first account's balances; see connectors.polled.Examine."""
    head = await node.head()
    keys = Keys(watch, range(min(len(watch.tokens), len(watch.accounts) * len(watch.tokens))))
    values = await read_balances(node, keys=keys, block=head.hash)
    flaw = next((value for value in values if isinstance(value, Flaw)), None)
    return None if flaw is None else f"{node.transport.provider}: {flaw.detail}"


class _Beside:
    """Makes companions."""

    def __init__(self, nodes: Sequence[EvmNode], *, config: EvmConfig, timing: Timing) -> None:
        self._nodes = nodes
        self._config = config
        self._timing = timing

    @asynccontextmanager
    async def accompany(self, watch: Watch) -> AsyncIterator[Companion]:
        """See connectors.polled.Accompany."""
        config, timing, pool = self._config, self._timing, Pool(enabled=self._config.pending == "auto")
        reckoning = Reckoning(watch)
        teller = Teller(watch, accounts=reckoning.accounts)
        blocks = Blocks(
            sides(self._nodes, chain=watch.chain, timing=timing),
            teller=teller,
            agree=config.agree,
            traces=config.traces == "auto",
            patience=2 * config.timeout,
            timing=timing,
        )
        asking = Asking(self._nodes, chain=watch.chain, teller=teller, pool=pool, timing=timing)
        task = asyncio.create_task(asking.forever(config.poll), name=f"pending transactions of {watch.chain}")
        sources = Sources(blocks, pool, teller, timing, self._controls(watch))
        try:
            yield EvmCompanion(watch, reckoning=reckoning, sources=sources, asking=task)
        finally:
            task.cancel()
            await asyncio.wait([task])

    def _controls(self, watch: Watch) -> Controls | None:
        if self._config.controls == "off":
            return None
        return Controls(
            watch,
            sides=sides(self._nodes, chain=watch.chain, timing=self._timing, purpose="control"),
            agree=self._config.agree,
            sweep=self._config.sweep,
            patience=2 * self._config.timeout,
            timing=self._timing,
        )
