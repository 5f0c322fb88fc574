"""Seeded random walks on a real bcoin: after every step each source's balances equal a recomputation of all blocks."""

from __future__ import annotations

import random
from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest

from connectors.base import Update
from daemon.replay.bitcoin_node import BitcoinNode, UtxoSet
from tests.integration.bitcoin_chain import Known, balances, connected_to, following, watching
from tests.integration.electrumx import ElectrumX
from tests.integration.esplora import EsploraServer
from tests.integration.purse import KINDS, SPENDABLE, Money
from tests.integration.regtest import Regtest, connected, prepared

pytestmark = [pytest.mark.real, pytest.mark.timeout(120)]

STEPS = 25
DEEPEST = 12


@pytest.fixture(scope="module")
def shared() -> Iterator[Regtest]:
    yield from prepared()


@pytest.fixture(scope="module")
def electrumx(shared: Regtest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ElectrumX]:
    server = ElectrumX(shared.node.url, folder=tmp_path_factory.mktemp("electrumx"))
    server.start()
    yield server
    server.stop()


@pytest.fixture(scope="module")
def utxos() -> UtxoSet:
    return UtxoSet()


class Walk:
    """One random step after the other, on some watched and some unwatched locks."""

    def __init__(self, chain: Regtest, *, seed: int) -> None:
        self.chain = chain
        self.chance = random.Random(seed)
        self.watched = chain.locks(*KINDS, *KINDS)
        self.others = chain.locks(*SPENDABLE)
        self._money: list[Money] = []

    @property
    def scripts(self) -> list[bytes]:
        return [lock.script for lock in self.watched]

    async def step(self) -> None:
        for _ in range(self.chance.randrange(4)):
            await self._pay() if self.chance.random() < 0.5 or not self._money else await self._spend()
        if self.chance.random() < 0.25:
            await self.chain.node.reorganise(depth=self.chance.randint(1, DEEPEST))
            await self._settle()
        else:
            await self.chain.node.mine(self.chance.randint(1, 3))

    async def _pay(self) -> None:
        lock = self.chance.choice([*self.watched, *self.others])
        money = await self.chain.fund(lock, self.chance.randrange(10_000, 1_000_000))
        if lock.kind in SPENDABLE:
            self._money.append(money)

    async def _spend(self) -> None:
        inputs = [self._money.pop(self.chance.randrange(len(self._money))) for _ in range(min(2, len(self._money)))]
        worth = sum(money.value for money in inputs) - 2_000
        lock = self.chance.choice([*self.watched, *self.others])
        part = self.chance.randrange(1_000, worth)
        txid = await self.chain.spend(inputs, [(lock.script, part), (inputs[0].lock.script, worth - part)])
        if lock.kind in SPENDABLE:
            self._money.append(Money(txid, 0, part, lock))

    async def _settle(self) -> None:
        """What the old branch had confirmed is mined again or, where the node dropped it, forgotten."""
        await self.chain.refresh()
        locks = {lock.script for lock in [*self.watched, *self.others]}
        _, coins = await self.chain.truth(locks)
        there = {(coin.txid, coin.vout) for coin in coins}
        self._money = [money for money in self._money if (money.txid, money.vout) in there]


async def walked(walk: Walk, updates: AsyncGenerator[Update, None], *, steps: int = STEPS) -> None:
    known = Known()
    for _ in range(steps):
        await walk.step()
        tip, expected = await balances(walk.chain, walk.scripts)
        await known.until(updates, tip=tip)
        assert known.holdings == expected


@asynccontextmanager
async def sources(
    names: Sequence[str], *, chain: Regtest, utxos: UtxoSet, electrumx: ElectrumX
) -> AsyncIterator[dict[str, object]]:
    """The settings of a chain that is read from these sources."""
    async with AsyncExitStack() as stack:
        settings: dict[str, object] = {"agree": len(names)}
        if "node" in names:
            node = await stack.enter_async_context(BitcoinNode(chain.node.url, utxos=utxos))
            settings["node"] = {"url": node.url, "name": "core"}
        if "electrum" in names:
            settings["electrum"] = [f"tcp://127.0.0.1:{electrumx.port}"]
        if "esplora" in names:
            server = await stack.enter_async_context(EsploraServer(chain.node).running())
            settings["esplora"] = [{"url": server.url, "name": "esplora"}]
        yield settings


@pytest.mark.parametrize(
    "names", [("node",), ("electrum",), ("esplora",), ("node", "electrum", "esplora")], ids="+".join
)
async def test_balances_are_exact_after_every_step_of_a_walk(
    names: Sequence[str], shared: Regtest, utxos: UtxoSet, electrumx: ElectrumX
) -> None:
    async with (
        connected(shared) as chain,
        sources(names, chain=chain, utxos=utxos, electrumx=electrumx) as settings,
        connected_to(**settings) as connector,
    ):
        walk = Walk(chain, seed=len("+".join(names)))
        async with following(connector, watching(walk.watched)) as updates:
            await walked(walk, updates, steps=STEPS if len(names) == 1 else STEPS // 2)


async def test_balances_are_exact_over_restarts_with_and_without_kept_state(
    shared: Regtest, utxos: UtxoSet, electrumx: ElectrumX, tmp_path: Path
) -> None:
    async with (
        connected(shared) as chain,
        sources(("node",), chain=chain, utxos=utxos, electrumx=electrumx) as settings,
    ):
        walk = Walk(chain, seed=5)
        for _ in range(5):
            kept = {"state": tmp_path / "state"} if walk.chance.random() < 0.8 else {}
            async with (
                connected_to(**settings, **kept) as connector,
                following(connector, watching(walk.watched)) as updates,
            ):
                await walked(walk, updates, steps=3)
