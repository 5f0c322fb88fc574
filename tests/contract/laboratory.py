"""What the contract suite needs of a kind of chain: a chain that it can shape, and a connector on it."""

from __future__ import annotations

import asyncio
import atexit
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, aclosing, asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Protocol, cast

from connectors import CONNECTORS
from connectors.base import Address, Connector, Token, Update, Watch
from connectors.evm.config import EvmConfig
from connectors.nem.node import AT_ONCE
from connectors.symbol.config import SymbolConfig
from daemon.replay.bitcoin.wrapped import BitcoinNode, UtxoSet
from daemon.replay.nem.node import NemNode
from daemon.replay.symbol.ledger import Ledger, Person, transfer
from daemon.replay.symbol.node import SymbolNode
from tests.integration import nem_chain
from tests.integration.anvil import AnvilNode, free_port
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
        self.port = free_port()
        self._behind = behind
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()

    async def open(self) -> None:
        self._server = await asyncio.start_server(self._pass, "127.0.0.1", self.port)

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


class NemLaboratory:
    """A small NIS1 node of ours over a scripted ledger, and a mosaic that isn't there. No real node is to be had."""

    def __init__(self, chain: nem_chain.Chain, *, node: NemNode, connector: Connector) -> None:
        self.watch = chain.watch(nem_chain.XEM, Token("nem", "exchange:nothing", 2))
        self.connector = connector
        self._chain = chain
        self._node = node

    async def move(self) -> None:
        self._chain.pay("hot", "cold", 7_000_000)

    async def block(self) -> None:
        self._chain.ledger.mine([])

    async def reorganise(self) -> None:
        """To the next height; what the old block held is not in the new ones."""
        self._chain.ledger.reorganise(1, keep=False)

    async def outage(self) -> None:
        await self._node.go_dark()

    async def recover(self) -> None:
        await self._node.come_back()

    async def truth(self) -> dict[tuple[Address, Token], int]:
        return self._chain.truth(nem_chain.XEM)


@asynccontextmanager
async def nem_laboratory(_state: str) -> AsyncIterator[Laboratory]:
    chain = nem_chain.chain()
    async with nem_chain.nodes_on(chain) as (node,), nem_chain.connected([node], chain=chain) as connector:
        laboratory = NemLaboratory(chain, node=node, connector=connector)
        # The server has a task for each connection, and there are never more than these: now they are there.
        await asyncio.gather(*(connector.probe(laboratory.watch) for _ in range(2 * AT_ONCE)))
        yield laboratory


class SymbolLaboratory:
    """Our small Symbol node, and a mosaic that isn't there: there is no real node to be had."""

    def __init__(self, node: SymbolNode, *, persons: Sequence[Person], connector: Connector, watch: Watch) -> None:
        self.watch = watch
        self.connector = connector
        self._node = node
        self._persons = persons
        self._moves = 0

    async def move(self) -> None:
        self._moves += 1
        first, second = self._persons[:2]
        self._node.ledger.mine(transfer(first, second.address, units=7, nonce=self._moves))

    async def block(self) -> None:
        self._node.ledger.mine()

    async def reorganise(self) -> None:
        self._node.ledger.reorganise(depth=1)

    async def outage(self) -> None:
        await self._node.go_dark()

    async def recover(self) -> None:
        await self._node.come_back()

    async def truth(self) -> dict[tuple[Address, Token], int]:
        coin = self.watch.tokens[0]
        return {(account, coin): self._node.ledger.held(account) for account in self.watch.accounts}


@asynccontextmanager
async def symbol_laboratory(state: str) -> AsyncIterator[Laboratory]:
    persons = [Person(name) for name in ("Alice", "Bob", "Carol")]
    balances = {person.address: 10**12 for person in persons}
    ledger = Ledger(balances, time=datetime.now(UTC) - timedelta(hours=1))
    ledger.mine()
    watch = Watch("symbol", tuple(balances), (Token("symbol", None, 6), Token("symbol", "0DC67FBE1CAD29E3", 0)))
    async with SymbolNode(ledger) as node:
        settings = {"kind": "symbol", "network": "mainnet", "endpoints": [{"url": node.url, "name": "node"}]}
        config = SymbolConfig.model_validate({**settings, "poll": "20ms", "settle": "20ms"})
        async with CONNECTORS["symbol"].connect(config, chain="symbol", now=lambda: datetime.now(UTC)) as connector:
            async with aclosing(cast(AsyncGenerator[Update, None], connector.updates(watch))) as updates:
                await anext(updates)  # the node has a task for each connection: now they are there
            yield SymbolLaboratory(node, persons=persons, connector=connector, watch=watch)


LABORATORIES: Mapping[str, Callable[[str], AbstractAsyncContextManager[Laboratory]]] = {
    "bitcoin": bitcoin_laboratory,
    "evm": evm_laboratory,
    "nem": nem_laboratory,
    "symbol": symbol_laboratory,
}
