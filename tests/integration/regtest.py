"""A Bitcoin chain for tests: a real bcoin with a funded purse, and what is on the chain by a naive recomputation."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Iterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

from connectors.bitcoin.sources.base import Coin
from connectors.bitcoin.sources.identity import Asked
from tests.integration.bcoin import GENESIS, MATURITY, SEGWIT_HEIGHT, BcoinNode, satoshis
from tests.integration.purse import REPLACEABLE, Lock, Money, transaction, txid_of

ASKED = Asked(anchors={0: GENESIS})
FAUCET = Lock("p2wpkh", 0)
FEE = 20_000
"""Satoshis; what pays less than 1,000 per kilobyte stays out of bcoin's blocks."""

Outputs = Sequence[tuple[bytes, int]]


def now() -> datetime:
    return datetime.now(UTC)


class Regtest:
    """Segwit is active, and the faucet has some 20 coins to spend. See `prepared`."""

    def __init__(self, node: BcoinNode) -> None:
        self.node = node
        self._money: list[Money] = []
        self._blocks: dict[str, dict[str, Any]] = {}
        self._locks = 0

    async def prepare(self) -> None:
        await self.node.mine(20, script=FAUCET.script)
        await self.node.mine(max(SEGWIT_HEIGHT, MATURITY))

    async def refresh(self) -> None:
        """Mines what is pending, and counts the faucet's money anew."""
        await self.node.mine()
        await self.recount()

    async def recount(self) -> None:
        """Counts the faucet's money anew, without what something pending spends."""
        height, _ = await self.node.head()
        _, coins = await self.truth({FAUCET.script})
        gone = await self.spent_in_mempool()
        ripe = sorted(coin for coin in coins if coin.height <= height - MATURITY or coin.vout)
        free = [coin for coin in ripe if (coin.txid, coin.vout) not in gone]
        self._money = [Money(coin.txid, coin.vout, coin.value, FAUCET) for coin in free]

    async def spent_in_mempool(self) -> set[tuple[bytes, int]]:
        """Outpoints, transaction ids as serialised."""
        spent: set[tuple[bytes, int]] = set()
        for txid in await self.node.mempool():
            pending = await self.node.rpc("getrawtransaction", txid, True)
            spent |= {(bytes.fromhex(one["txid"])[::-1], one["vout"]) for one in pending["vin"]}
        return spent

    def locks(self, *kinds: str) -> list[Lock]:
        """A lock of each kind that nobody has used on this chain before."""
        self._locks += 1
        return [Lock(kind, self._locks * 1000 + place) for place, kind in enumerate(kinds)]

    async def pay(self, outputs: Outputs, *, fee: int = FEE) -> bytes:
        """From the faucet into the mempool; the transaction's id as serialised."""
        money = self._money.pop(0)
        change = money.value - sum(value for _, value in outputs) - fee
        raw = transaction([money], [*outputs, (FAUCET.script, change)])
        await self.node.submit(raw)
        self._money.append(Money(txid_of(raw), len(outputs), change, FAUCET))
        return txid_of(raw)

    async def fund(self, lock: Lock, value: int) -> Money:
        """A pending output for this lock."""
        return Money(await self.pay([(lock.script, value)]), 0, value, lock)

    async def spend(self, inputs: Sequence[Money], outputs: Outputs, *, sequence: int = REPLACEABLE) -> bytes:
        """Into the mempool; the transaction's id as serialised."""
        raw = transaction(inputs, outputs, sequence=sequence)
        await self.node.submit(raw)
        return txid_of(raw)

    async def truth(self, scripts: Collection[bytes]) -> tuple[str, set[Coin]]:
        """The newest block's hash and the confirmed coins of the scripts, from all blocks."""
        height, tip = await self.node.head()
        branch, block = [], tip
        for _ in range(height + 1):
            branch.append(await self._block(block))
            block = branch[-1]["previousblockhash"]
        coins: dict[tuple[bytes, int], Coin] = {}
        for found in reversed(branch[:-1]):
            for made in found["tx"]:
                for spent in made["vin"]:
                    if spent.get("txid") is not None:
                        coins.pop((bytes.fromhex(spent["txid"])[::-1], spent["vout"]), None)
                txid = bytes.fromhex(made["txid"])[::-1]
                for output in made["vout"]:
                    script = bytes.fromhex(output["scriptPubKey"]["hex"])
                    if script in scripts:
                        value = satoshis(output["value"])
                        coins[txid, output["n"]] = Coin(txid, output["n"], value, script, found["height"])
        return tip, set(coins.values())

    async def _block(self, block: str) -> dict[str, Any]:
        if block not in self._blocks:
            self._blocks[block] = await self.node.rpc("getblock", block, True, True)
        return self._blocks[block]


def prepared() -> Iterator[Regtest]:
    """For a fixture that several tests share: a chain that nobody is connected to."""
    node = BcoinNode()
    node.start()
    try:
        chain = Regtest(node)
        asyncio.run(_prepare(chain))
        yield chain
    finally:
        node.stop()


async def _prepare(chain: Regtest) -> None:
    async with chain.node.connected():
        await chain.prepare()


@asynccontextmanager
async def connected(chain: Regtest) -> AsyncIterator[Regtest]:
    """The chain for one test, with nothing pending."""
    async with chain.node.connected():
        await chain.refresh()
        yield chain


async def eventually(question: Callable[[], Awaitable[bool]], *, within: float = 30.0) -> None:
    """Waits until it is so; AssertionError after `within` seconds."""
    deadline = time.monotonic() + within
    while not await question():
        assert time.monotonic() < deadline, "it never came to be"
        await asyncio.sleep(0.02)
