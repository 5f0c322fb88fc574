"""What the contract suite needs of a kind of chain: a chain that it can shape, and a connector on it."""

from __future__ import annotations

import asyncio
import atexit
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime
from functools import cache
from typing import Protocol

from connectors import CONNECTORS
from connectors.base import Address, Connector, Token, Watch
from connectors.evm.config import EvmConfig
from daemon.replay.bitcoin.wrapped import BitcoinNode, UtxoSet
from tests.integration.anvil import AnvilNode
from tests.integration.bitcoin_chain import COIN, balances, connected_to, watching
from tests.integration.purse import Lock, Money
from tests.integration.regtest import Regtest, connected, prepared


class Laboratory(Protocol):
    """A chain with one node; `watch` holds at least two accounts and two tokens, the last of which does not exist."""

    watch: Watch
    connector: Connector

    async def move(self) -> None:
        """Units of the first token go from the first account to the second, in a new block."""
        ...

    async def block(self) -> None:
        """A new block in which nothing happens."""
        ...

    async def reorganise(self) -> None:
        """The newest block is replaced by another one."""
        ...

    async def outage(self) -> None: ...

    async def recover(self) -> None:
        """The node is back, with the chain that it had."""
        ...

    async def truth(self) -> dict[tuple[Address, Token], int]:
        """What accounts hold of tokens that exist, asked of the node without the connector."""
        ...


class EvmLaboratory:
    """anvil with an account list, and an ERC-20 that isn't there."""

    def __init__(self, node: AnvilNode, *, connector: Connector, watch: Watch) -> None:
        self.watch = watch
        self.connector = connector
        self._node = node
        self._balances: dict[str, int] = {}

    async def move(self) -> None:
        await self._node.send(self.watch.accounts[0], to=self.watch.accounts[1], value=7)
        await self._node.mine()

    async def block(self) -> None:
        await self._node.mine()

    async def reorganise(self) -> None:
        await self._node.rpc("anvil_reorg", 1, [])

    async def outage(self) -> None:
        await self._node.stop()

    async def recover(self) -> None:
        await self._node.start()

    async def truth(self) -> dict[tuple[Address, Token], int]:
        coin = self.watch.tokens[0]
        return {
            (account, coin): int(await self._node.rpc("eth_getBalance", account, "latest"), 16)
            for account in self.watch.accounts
        }


@asynccontextmanager
async def evm_laboratory(state: str) -> AsyncIterator[Laboratory]:
    """`state` is a file in which the chain outlives an outage."""
    accounts = tuple(Address(f"0x{0xA11CE0 + number:040x}") for number in range(3))
    watch = Watch("evm", accounts, (Token("evm", None, 18), Token("evm", "0x" + "ab" * 20, 6)))
    async with AnvilNode(state=state) as node:
        await node.set_balances(dict.fromkeys(accounts, 10**18))
        await node.mine()
        config = EvmConfig.model_validate(
            {"kind": "evm", "chain_id": 1, "endpoints": [{"url": node.url, "name": "node"}], "poll": "20ms"}
        )
        async with CONNECTORS["evm"].connect(config, chain="evm", now=lambda: datetime.now(UTC)) as connector:
            yield EvmLaboratory(node, connector=connector, watch=watch)


class Door:
    """A TCP port before another one, which can be shut and opened again."""

    def __init__(self, behind: int) -> None:
        self.port = 0
        self._behind = behind
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()

    async def open(self) -> None:
        self._server = await asyncio.start_server(self._pass, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def shut(self) -> None:
        server, self._server = self._server, None
        if server is not None:
            server.close()
            for writer in self._writers:
                writer.transport.abort()
            await server.wait_closed()

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        inside, within = await asyncio.open_connection("127.0.0.1", self._behind)
        self._writers |= {writer, within}
        try:
            await asyncio.gather(_copy(reader, to=within), _copy(inside, to=writer))
        finally:
            self._writers -= {writer, within}


async def _copy(reader: asyncio.StreamReader, *, to: asyncio.StreamWriter) -> None:
    try:
        while part := await reader.read(65536):
            to.write(part)
            await to.drain()
    except OSError:
        pass
    finally:
        to.close()


class BitcoinLaboratory:
    """A real bcoin behind our small Bitcoin Core, and a contract that can't be there."""

    def __init__(self, chain: Regtest, *, door: Door, locks: Sequence[Lock], connector: Connector) -> None:
        self.watch = replace(watching(locks), tokens=(COIN, Token("btc", "none", 8)))
        self.connector = connector
        self._chain = chain
        self._door = door
        self._locks = locks
        self._money: list[Money] = []

    async def furnish(self) -> None:
        self._money = [await self._chain.fund(lock, 1_000_000) for lock in self._locks]
        await self._chain.node.mine()

    async def move(self) -> None:
        first, second = self._locks[:2]
        await self._chain.spend([self._money.pop(0)], [(second.script, 7_000), (first.script, 900_000)])
        await self._chain.node.mine()

    async def block(self) -> None:
        await self._chain.node.mine()

    async def reorganise(self) -> None:
        """To the same height: what the old block held is in the new one."""
        await self._chain.node.reorganise(depth=1, length=2)

    async def outage(self) -> None:
        await self._door.shut()

    async def recover(self) -> None:
        await self._door.open()

    async def truth(self) -> dict[tuple[Address, Token], int]:
        _, found = await balances(self._chain, [lock.script for lock in self._locks])
        return {(account, COIN): units for account, units in found.items()}


@cache
def _one_chain() -> Regtest:
    """Preparing one takes long, so that all tests of a process share it."""
    chains = prepared()
    atexit.register(next, chains, None)
    return next(chains)


UTXOS = UtxoSet()


@asynccontextmanager
async def bitcoin_laboratory(state: str) -> AsyncIterator[Laboratory]:
    one = await asyncio.to_thread(_one_chain)
    async with connected(one) as chain, BitcoinNode(chain.node.url, utxos=UTXOS) as node:
        door = Door(int(node.url.rpartition(":")[2]))
        await door.open()
        settings = {"node": {"url": f"http://127.0.0.1:{door.port}", "name": "node"}}
        async with connected_to(**settings) as connector:
            locks = chain.locks("p2wpkh", "p2pkh", "p2tr")
            laboratory = BitcoinLaboratory(chain, door=door, locks=locks, connector=connector)
            await laboratory.furnish()
            await connector.read(laboratory.watch)  # the door has a task for each connection: now it is there
            yield laboratory
        await door.shut()


LABORATORIES: Mapping[str, Callable[[str], AbstractAsyncContextManager[Laboratory]]] = {
    "bitcoin": bitcoin_laboratory,
    "evm": evm_laboratory,
}
