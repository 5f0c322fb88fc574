"""What the contract suite needs of a kind of chain: a chain that it can shape, and a connector on it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import UTC, datetime
from typing import Protocol

from connectors import CONNECTORS
from connectors.base import Address, Connector, Token, Watch
from connectors.evm.config import EvmConfig
from tests.integration.anvil import AnvilNode


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


LABORATORIES: Mapping[str, Callable[[str], AbstractAsyncContextManager[Laboratory]]] = {
    "evm": evm_laboratory,
}
