"""A played EVM chain: one scripted ledger, and several small nodes before it that speak Ethereum's JSON-RPC."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from contextlib import AsyncExitStack
from datetime import datetime
from typing import Self

from daemon.replay.evm.ledger import EvmLedger, Transfer
from daemon.replay.evm.node import Node
from daemon.replay.evm.rpc import TokenContract
from daemon.replay.faults import Door, Faults
from daemon.replay.played import Opening

CHAIN_ID = 31337  # the number that test chains use, so that nobody takes it for Ethereum


class PlayedEvm:
    """See `PlayedChain`. Fees are burnt. `ledger` may be asked and told directly, also for code and storage."""

    def __init__(self, opening: Opening) -> None:
        self.ledger = EvmLedger(opening.purses, time=opening.time)
        self.faults: Sequence[Faults] = [Faults() for _ in range(opening.nodes)]
        self._doors = [
            Door(faults, simulation=opening.simulation, seed=opening.seed + number)
            for number, faults in enumerate(self.faults)
        ]
        tokens = {token.contract: TokenContract(token.symbol, token.decimals) for token in opening.tokens}
        self.nodes = [Node(self.ledger, chain_id=CHAIN_ID, tokens=tokens, door=door) for door in self._doors]
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        async with AsyncExitStack() as stack:
            for node in self.nodes:
                await stack.enter_async_context(node)
            self._stack = stack.pop_all()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()

    @property
    def requests(self) -> int:
        """That all nodes have answered so far."""
        return sum(door.requests for door in self._doors)

    def settings(self) -> dict[str, object]:
        """This chain's section of a configuration. A majority of its nodes has to agree."""
        endpoints = [{"url": node.url, "name": f"node-{number}"} for number, node in enumerate(self.nodes, start=1)]
        return {"kind": "evm", "chain_id": CHAIN_ID, "endpoints": endpoints, "agree": len(self.nodes) // 2 + 1}

    @staticmethod
    def account(name: str) -> str:
        """An address of nobody: it comes out of a hash, so no key is known for it."""
        return "0x" + hashlib.sha256(f"Pyrometer replay: {name}".encode()).hexdigest()[:40]

    @staticmethod
    def contract(name: str) -> str:
        """The address of a token's contract."""
        return PlayedEvm.account(f"token {name}")

    def pay(self, payer: str, payee: str, *, units: int, token: str | None = None, fee: int = 0) -> str:
        """The hash of a transaction that now waits; see `PlayedChain`."""
        return self.ledger.pay(Transfer(payer, payee, units, token, fee))

    def mine(self, *, time: datetime) -> None:
        """A block with all that waits."""
        self.ledger.mine(time=time)

    def reorganise(self, depth: int, *, time: datetime) -> None:
        """Other blocks, one more, in the place of the newest `depth`; see `EvmLedger.reorganise`."""
        self.ledger.reorganise(depth, time=time)

    def units(self, account: str, token: str | None = None) -> int:
        """What an account has now, without what waits."""
        return self.ledger.units(account, token)
