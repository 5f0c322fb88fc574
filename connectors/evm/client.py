"""The connector for EVM chains: opens the nodes."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import datetime

from connectors.base import Connector, Watch
from connectors.evm.config import EvmConfig
from connectors.evm.node import Asked, EvmNode
from connectors.evm.reader import read_balances
from connectors.follow import Keys
from connectors.jsonrpc import Node
from connectors.polled import PolledConnector
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
            nodes, chain=chain, config=config, read_at=read_balances, examine=_examine, timing=timing, now=now
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
