"""Sweeps that find drift, scans that outlast a poll, and sources that take each other's place, on a real chain."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from pathlib import Path

import pytest

from connectors.base import Address, Drift, Stage, Update
from daemon.replay.bitcoin.wrapped import BitcoinNode, UtxoSet
from tests.integration.bitcoin_chain import COIN, address, connected_to, following, watching
from tests.integration.electrumx import ElectrumX
from tests.integration.esplora import EsploraServer
from tests.integration.purse import Lock, Money
from tests.integration.regtest import Regtest, connected, eventually, prepared

pytestmark = [pytest.mark.real, pytest.mark.timeout(120)]


@pytest.fixture(scope="module")
def shared() -> Iterator[Regtest]:
    yield from prepared()


@pytest.fixture(scope="module")
def utxos() -> UtxoSet:
    return UtxoSet()


@pytest.fixture(scope="module")
def electrumx(shared: Regtest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ElectrumX]:
    server = ElectrumX(shared.node.url, folder=tmp_path_factory.mktemp("electrumx"))
    server.start()
    yield server
    server.stop()


@pytest.fixture
async def chain(shared: Regtest) -> AsyncIterator[Regtest]:
    async with connected(shared):
        yield shared


@pytest.fixture
async def node(chain: Regtest, utxos: UtxoSet) -> AsyncIterator[BitcoinNode]:
    async with BitcoinNode(chain.node.url, utxos=utxos) as node:
        yield node


async def funded(chain: Regtest, lock: Lock, value: int) -> Money:
    money = await chain.fund(lock, value)
    await chain.node.mine()
    return money


class Following:
    """What the updates of a consumer told so far."""

    def __init__(self, updates: AsyncGenerator[Update, None]) -> None:
        self.drift: list[tuple[Drift, ...]] = []
        self.stages: dict[str, list[Stage]] = {}
        self.units: dict[Address, int] = {}
        self.failures: list[str] = []
        self.tip = ""
        self._updates = updates

    async def take(self) -> Update:
        update = await anext(self._updates)
        self.drift += [update.drift] if update.drift is not None else []
        self.failures += [update.failure.detail] if update.failure is not None else []
        self.units |= {one.account: one.units for one in update.held}
        self.tip = update.tip.hash if update.tip is not None else self.tip
        for movement in update.movements:
            self.stages.setdefault(movement.transaction, []).append(movement.stage)
        return update

    async def drifts(self, number: int) -> None:
        """Until so many sweeps were told."""
        async with asyncio.timeout(30):
            while len(self.drift) < number:
                await self.take()

    async def reads(self, tip: str) -> None:
        async with asyncio.timeout(60):
            while self.tip != tip:
                await self.take()

    async def stage(self, txid: bytes, stage: Stage) -> None:
        async with asyncio.timeout(60):
            while self.of(txid)[-1:] != [stage]:
                await self.take()

    def of(self, txid: bytes) -> list[Stage]:
        return self.stages.get(txid[::-1].hex(), [])


async def listed_since(node: BitcoinNode, lists: int) -> bool:
    """A listing that was under way is no listing since."""
    return node.calls["getrawmempool"] >= lists + 3


async def mined(chain: Regtest) -> str:
    await chain.node.mine()
    _, tip = await chain.node.head()
    return tip


# ── drift ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def damage(state: Path, change: str) -> None:
    with sqlite3.connect(state) as database:
        assert database.execute(change).rowcount == 1
    database.close()


@pytest.mark.parametrize("source", ["node", "esplora"])
async def test_a_sweep_that_finds_nothing_else_says_so(source: str, chain: Regtest, node: BitcoinNode) -> None:
    cold = chain.locks("p2wpkh")[0]
    await funded(chain, cold, 500_000)
    async with (
        EsploraServer(chain.node).running() as esplora,
        connected_to(**({"node": node.url} if source == "node" else {"esplora": [esplora.url]}), rescan="50ms") as one,
        following(one, watching([cold])) as updates,
    ):
        told = Following(updates)
        await told.drifts(3)
        assert told.drift == [(), (), ()]


async def test_a_coin_that_was_lost_is_found_told_once_and_held_from_the_next_block_on(
    chain: Regtest, node: BitcoinNode, tmp_path: Path
) -> None:
    cold, other = chain.locks("p2wpkh", "p2wpkh")
    await funded(chain, cold, 500_000)
    await funded(chain, other, 300_000)
    watch, state = watching([cold, other]), tmp_path / "state"
    async with connected_to(node=node.url, state=state) as one:
        await one.read(watch)
    damage(state, "delete from coins where outpoint = (select min(outpoint) from coins)")
    async with (
        connected_to(node=node.url, state=state, rescan="300ms") as one,
        following(one, watch) as updates,
    ):
        told = Following(updates)
        await told.take()
        right = {address(cold.script): 500_000, address(other.script): 300_000}
        (wrong,) = [account for account, units in told.units.items() if units != right[account]]
        await told.drifts(3)
        assert [len(drift) for drift in told.drift] == [1, 0, 0]
        assert told.drift[0] == (Drift(wrong, COIN, 0, right[wrong]),)
        await told.reads(await mined(chain))
        assert told.units == right
    async with connected_to(node=node.url, state=state) as one:
        again = await one.read(watch)
        assert {held.account: held.units for held in again.held} == right


async def test_a_coin_that_stands_in_another_place_is_healed_though_no_balance_differs(
    chain: Regtest, node: BitcoinNode, tmp_path: Path
) -> None:
    """Its spend would go unnoticed."""
    cold, other = chain.locks("p2wpkh", "p2wpkh")
    money = await funded(chain, cold, 500_000)
    watch, state = watching([cold]), tmp_path / "state"
    async with connected_to(node=node.url, state=state) as one:
        await one.read(watch)
    damage(state, f"update coins set outpoint = x'{'07' * 36}'")
    async with (
        connected_to(node=node.url, state=state, rescan="300ms") as one,
        following(one, watch) as updates,
    ):
        told = Following(updates)
        await told.drifts(1)
        theft = await chain.spend([money], [(other.script, 480_000)])
        await told.stage(theft, Stage.PENDING)
        await told.reads(await mined(chain))
        assert told.units == {address(cold.script): 0}
        await told.drifts(3)
        assert not any(told.drift)


async def test_a_sweep_survives_a_reorganisation_and_a_source_that_is_away_meanwhile(
    chain: Regtest, node: BitcoinNode
) -> None:
    cold = chain.locks("p2wpkh")[0]
    await funded(chain, cold, 500_000)
    async with (
        connected_to(node=node.url, rescan="150ms") as one,
        following(one, watching([cold])) as updates,
    ):
        told = Following(updates)
        await told.drifts(1)
        node.behaviour.scan_seconds = 0.3
        for _ in range(3):
            await told.take()
            await chain.node.reorganise(depth=1, length=2)
        node.behaviour.warming_up = True
        for _ in range(10):
            await told.take()
        node.behaviour.warming_up = False
        node.behaviour.scan_seconds = 0.0
        await told.drifts(len(told.drift) + 2)
        assert not any(told.drift)
        await told.reads(await mined(chain))
        _, coins = await chain.truth({cold.script})
        assert told.units == {address(cold.script): sum(coin.value for coin in coins)}


async def test_a_sweep_is_over_when_its_consumer_is(chain: Regtest, node: BitcoinNode) -> None:
    cold = chain.locks("p2wpkh")[0]
    await funded(chain, cold, 500_000)
    before = asyncio.all_tasks()
    async with connected_to(node=node.url, rescan="50ms") as one:
        async with following(one, watching([cold])) as updates:
            told = Following(updates)
            await told.take()
            node.behaviour.scan_seconds = 30
            for _ in range(10):
                await told.take()
        node.behaviour.scan_seconds = 0
    await asyncio.sleep(0)
    assert {task.get_name() for task in asyncio.all_tasks() - before if "connectors/" in repr(task)} == set()


# ── one source in place of another ──────────────────────────────────────────────────────────────────────────────────


async def test_what_is_mined_while_another_source_takes_over_is_mined_and_not_evicted(
    chain: Regtest, node: BitcoinNode, electrumx: ElectrumX
) -> None:
    """The node has blocks, and is away; the Electrum server has histories only."""
    cold, other = chain.locks("p2wpkh", "p2wpkh")
    money = await funded(chain, cold, 500_000)
    late = await funded(chain, cold, 400_000)
    async with (
        connected_to(node=node.url, electrum=[f"tcp://127.0.0.1:{electrumx.port}"]) as one,
        following(one, watching([cold])) as updates,
    ):
        told = Following(updates)
        await told.take()
        spend = await chain.spend([money], [(other.script, 480_000)])
        await told.stage(spend, Stage.PENDING)
        node.behaviour.warming_up = True
        await told.reads(await mined(chain))
        await told.stage(spend, Stage.MINED)
        assert told.of(spend) == [Stage.PENDING, Stage.MINED]
        node.behaviour.warming_up = False
        second = await chain.spend([late], [(other.script, 380_000)])
        await told.stage(second, Stage.PENDING)
        await told.reads(await mined(chain))
        await told.stage(second, Stage.MINED)
        for _ in range(50):
            await told.take()
        assert told.of(spend) == [Stage.PENDING, Stage.MINED]
        assert told.of(second) == [Stage.PENDING, Stage.MINED]


async def test_a_scan_that_lasts_longer_than_others_are_waited_for_ends_in_agreement(
    chain: Regtest, node: BitcoinNode, electrumx: ElectrumX
) -> None:
    """Two of three must agree: the node's long scan goes on beside, until it counts."""
    cold = chain.locks("p2wpkh")[0]
    await funded(chain, cold, 500_000)
    node.behaviour.scan_seconds = 3
    async with (
        EsploraServer(chain.node).running() as esplora,
        connected_to(
            node=node.url, electrum=[f"tcp://127.0.0.1:{electrumx.port}"], esplora=[esplora.url], agree=2
        ) as one,
        following(one, watching([cold])) as updates,
    ):
        told = Following(updates)
        await told.take()
        assert told.units == {address(cold.script): 500_000}
        assert node.calls["getblock"] == 0
        await told.reads(await mined(chain))
        async with asyncio.timeout(60):
            while node.calls["getblock"] == 0:
                await told.reads(await mined(chain))
        assert node.calls["scantxoutset"] < 20


@pytest.mark.parametrize("first", ["mempool", "chain"])
async def test_a_spend_that_a_reorganisation_brings_back_is_pending_and_not_evicted(
    first: str, chain: Regtest, node: BitcoinNode
) -> None:
    """Whichever is looked at first: a mempool that is ahead of the book lists spends of coins that the book has not."""
    cold, other = chain.locks("p2wpkh", "p2wpkh")
    money, more = await funded(chain, cold, 500_000), await funded(chain, cold, 400_000)
    async with (
        connected_to(node=node.url, poll="50ms") as one,
        following(one, watching([cold])) as updates,
    ):
        told = Following(updates)
        await told.take()
        _, parent = await chain.node.head()
        spend = await chain.spend([money], [(other.script, 480_000)])
        tip = await mined(chain)
        await told.reads(tip)
        await told.stage(spend, Stage.MINED)
        await chain.spend([more], [(other.script, 380_000)])
        await chain.node.branch(parent, [[], []])
        if first == "mempool":
            lists = node.calls["getrawmempool"]
            await eventually(lambda: listed_since(node, lists))
        await told.stage(spend, Stage.PENDING)
        for _ in range(20):
            await told.take()
        assert Stage.EVICTED not in told.of(spend)
        await told.reads(await mined(chain))
        await told.stage(spend, Stage.MINED)
