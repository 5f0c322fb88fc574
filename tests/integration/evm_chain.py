"""A watched EVM chain for tests: accounts, two tokens, a connector on real nodes, and what the nodes say without it."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import aclosing, asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import cast

from connectors import CONNECTORS
from connectors.base import Address, Connector, Token, Update, Watch
from connectors.evm.config import EvmConfig
from tests.integration.anvil import AnvilNode

COIN = Token("eth", None, 18)
USDT = Token("eth", "0x" + "dd" * 20, 6)
DAI = Token("eth", "0x" + "da" * 20, 18)
TOKENS = (COIN, USDT, DAI)

Holdings = dict[tuple[Address, Token], int]


def watching(count: int) -> Watch:
    accounts = tuple(Address(f"0x{0xACC0000 + number:040x}") for number in range(count))
    return Watch("eth", accounts, TOKENS)


async def furnish(node: AnvilNode, watch: Watch) -> None:
    """Every account holds something of everything, as of a mined block."""
    await node.set_balances({account: 10**18 + number for number, account in enumerate(watch.accounts)})
    for token in watch.tokens:
        if token.contract is not None:
            units = {str(account): 10**6 + number * 3 for number, account in enumerate(watch.accounts)}
            await node.deploy(token.contract, decimals=token.decimals, units=units)
    await node.mine()


@asynccontextmanager
async def connected(urls: Sequence[str], **settings: object) -> AsyncIterator[Connector]:
    """A connector on these nodes, called a, b, c in the order given."""
    endpoints = [{"url": url, "name": name} for url, name in zip(urls, "abcdef", strict=False)]
    wanted = {"kind": "evm", "chain_id": 1, "endpoints": endpoints, "poll": "20ms", "timeout": "5s", **settings}
    config = EvmConfig.model_validate(wanted)
    async with CONNECTORS["evm"].connect(config, chain="eth", now=lambda: datetime.now(UTC)) as connector:
        yield connector


@asynccontextmanager
async def furnished(watch: Watch, *, state: Path | None = None) -> AsyncIterator[AnvilNode]:
    """A node on which every account holds something of everything; its chain outlives a stop in the file `state`."""
    async with AnvilNode(state=state) as node:
        await furnish(node, watch)
        yield node


def following(connector: Connector, watch: Watch) -> aclosing[AsyncGenerator[Update, None]]:
    return aclosing(cast(AsyncGenerator[Update, None], connector.updates(watch)))


@asynccontextmanager
async def followed(
    urls: Sequence[str], *, watch: Watch, **settings: object
) -> AsyncIterator[AsyncGenerator[Update, None]]:
    """The updates of a connector on these nodes."""
    async with connected(urls, **settings) as connector, following(connector, watch) as updates:
        yield updates


async def read_once(urls: Sequence[str], *, watch: Watch, **settings: object) -> Update:
    """The reading of a connector on these nodes that is opened for nothing else."""
    async with connected(urls, **settings) as connector:
        return await connector.read(watch)


async def next_tip(updates: AsyncGenerator[Update, None]) -> Update:
    """The next update at another tip."""
    async for update in updates:
        if update.tip is not None and update.tip != update.previous:
            return update
    raise AssertionError("the updates ended")


async def next_good(updates: AsyncGenerator[Update, None]) -> Update:
    async for update in updates:
        if update.failure is None:
            return update
    raise AssertionError("the updates ended")


async def next_failure(updates: AsyncGenerator[Update, None]) -> Update:
    async for update in updates:
        if update.failure is not None:
            return update
    raise AssertionError("the updates ended")


def held(update: Update) -> Holdings:
    return {(one.account, one.token): one.units for one in update.held}


async def holdings_at(node: AnvilNode, *, watch: Watch, block: str) -> Holdings:
    """What the node itself says at this block hash."""
    keys = [(account, token) for account in watch.accounts for token in watch.tokens]
    at = {"blockHash": block}
    calls: list[tuple[str, Sequence[object]]] = [
        ("eth_getBalance", (account, at))
        if token.contract is None
        else ("eth_call", ({"to": token.contract, "data": f"0x70a08231{account[2:]:0>64}"}, at))
        for account, token in keys
    ]
    results = await node.rpc_batch(calls)
    return {key: int(result, 16) for key, result in zip(keys, results, strict=True)}
