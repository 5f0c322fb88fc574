"""Sweeps that find drift, scans that outlast a poll, and sources that take each other's place, on a real chain."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from pathlib import Path

import pytest

from connectors.base import Address, Drift, Stage, Update
from daemon.replay.bitcoin.answers import Outpoint
from daemon.replay.bitcoin.wrapped import BitcoinNode
from tests.integration.bitcoin_chain import COIN, address, connected_to, following, held, watching
from tests.integration.electrumx import ElectrumX
from tests.integration.esplora import EsploraServer
from tests.integration.purse import Lock, Money
from tests.integration.regtest import Regtest, eventually

pytestmark = [pytest.mark.real, pytest.mark.timeout(120)]


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
        self.last: Update | None = None
        self._updates = updates

    async def take(self) -> Update:
        self.last = update = await anext(self._updates)
        self.drift += [update.drift] if update.drift is not None else []
        self.failures += [update.failure.detail] if update.failure is not None else []
        self.units |= {one.account: one.units for one in update.held}
        self.tip = update.tip.hash if update.tip is not None else self.tip
        for movement in update.movements:
            self.stages.setdefault(movement.transaction, []).append(movement.stage)
        return update

    async def sweeps(self, more: int = 1) -> None:
        """Until so many more sweeps were told."""
        until = len(self.drift) + more
        async with asyncio.timeout(30):
            while len(self.drift) < until:
                await self.take()

    async def scan(self, node: BitcoinNode) -> None:
        """Until another scan is asked for, or asked after."""
        asked = node.calls["scantxoutset"]
        async with asyncio.timeout(30):
            while node.calls["scantxoutset"] == asked:
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


def told_place(money: Money) -> Outpoint:
    return money.txid[::-1].hex(), money.vout


# ── drift ───────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("source", ["node", "esplora"])
async def test_a_sweep_of_what_was_followed_rightly_finds_nothing_and_says_so(
    source: str, chain: Regtest, node: BitcoinNode
) -> None:
    locks = chain.locks("p2wpkh", "p2pkh")
    for lock in locks:
        await funded(chain, lock, 500_000)
    async with (
        EsploraServer(chain.node).running() as esplora,
        connected_to(**({"node": node.url} if source == "node" else {"esplora": [esplora.url]}), rescan="50ms") as one,
        following(one, watching(locks)) as updates,
    ):
        told = Following(updates)
        await told.take()
        for _ in range(3):
            await told.sweeps()
            assert told.last is not None
            assert (told.last.drift, told.last.complete, told.last.held) == ((), False, ())
            await chain.node.mine()


async def test_coins_that_a_scan_lacked_are_found_told_once_and_held_at_once_and_from_then_on(
    chain: Regtest, node: BitcoinNode, tmp_path: Path
) -> None:
    """Also after a restart."""
    locks = chain.locks("p2wpkh", "p2pkh", "p2wpkh")
    money = [await funded(chain, lock, 500_000 + number) for number, lock in enumerate(locks)]
    right = {address(one.lock.script): one.value for one in money}
    watch, state = watching(locks), tmp_path / "state"
    node.behaviour.misplaced = {told_place(one): None for one in money[1:]}
    async with (
        connected_to(node=node.url, state=state, rescan="300ms") as one,
        following(one, watch) as updates,
    ):
        told = Following(updates)
        await told.take()
        assert list(told.units.values()) == [500_000, 0, 0]
        node.behaviour.misplaced.clear()
        while not any(told.drift):  # a sweep may have begun before
            await told.sweeps()
        assert told.last is not None
        assert told.last.drift == tuple(Drift(account, COIN, 0, right[account]) for account in watch.accounts[1:])
        assert told.last.complete
        assert held(told.last) == right
        await told.sweeps(2)
        assert told.drift[-2:] == [(), ()]
        await told.reads(await mined(chain))
        assert told.units == right
    scans = node.calls["scantxoutset"]
    async with connected_to(node=node.url, state=state) as one:
        assert held(await one.read(watch)) == right
    assert node.calls["scantxoutset"] == scans


async def test_a_coin_that_stands_in_another_place_is_healed_though_no_balance_differs(
    chain: Regtest, node: BitcoinNode
) -> None:
    """Its spend would go unnoticed."""
    cold, other = chain.locks("p2wpkh", "p2wpkh")
    money = await funded(chain, cold, 500_000)
    node.behaviour.misplaced = {told_place(money): ("07" * 32, 7)}
    async with (
        connected_to(node=node.url, rescan="300ms") as one,
        following(one, watching([cold])) as updates,
    ):
        told = Following(updates)
        await told.take()
        assert told.units == {address(cold.script): 500_000}
        node.behaviour.misplaced.clear()
        await told.sweeps(2)  # the first may have begun before
        theft = await chain.spend([money], [(other.script, 480_000)])
        await told.stage(theft, Stage.PENDING)
        await told.reads(await mined(chain))
        assert told.units == {address(cold.script): 0}
        await told.sweeps(2)
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
        await told.sweeps()
        node.behaviour.scan_seconds = 0.3
        for _ in range(3):
            await told.scan(node)
            await chain.node.reorganise(depth=1, length=2)
        await told.scan(node)
        node.behaviour.warming_up = True
        while not told.failures:
            await told.take()
        node.behaviour.warming_up = False
        node.behaviour.scan_seconds = 0.0
        await told.sweeps(2)
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
            await told.scan(node)
        await asyncio.sleep(0)
        assert {task.get_name() for task in asyncio.all_tasks() - before if "connectors/" in repr(task)} == set()


# ── scans that take long ────────────────────────────────────────────────────────────────────────────────────────────


async def test_a_scan_that_lasts_longer_than_anybody_waits_comes_to_its_end(
    chain: Regtest, node: BitcoinNode, electrumx: ElectrumX
) -> None:
    """Two of three have to agree, and two are quick: the third is given up at each poll, and its scan goes on."""
    locks = chain.locks("p2wpkh", "p2pkh")
    for number, lock in enumerate(locks):
        await funded(chain, lock, 500_000 + number)
    node.behaviour.scan_seconds = 3
    async with (
        EsploraServer(chain.node).running() as esplora,
        connected_to(
            node=node.url, electrum=[f"tcp://127.0.0.1:{electrumx.port}"], esplora=[esplora.url], agree=2
        ) as one,
        following(one, watching(locks)) as updates,
    ):
        told = Following(updates)
        await told.take()
        assert told.units == {address(lock.script): 500_000 + number for number, lock in enumerate(locks)}
        assert node.calls["getblock"] == 0, "the scan was waited for"
        async with asyncio.timeout(60):
            while node.calls["getblock"] == 0:
                await told.reads(await mined(chain))
        assert not told.failures
        assert node.calls["scantxoutset"] < 20


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
