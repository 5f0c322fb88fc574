"""Sweeps on a real chain: what was followed wrongly is found, told once, and put right; and scans that take long."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from connectors.base import Drift, Update
from daemon.replay.bitcoin.wrapped import BitcoinNode, UtxoSet
from tests.integration.bitcoin_chain import COIN, address, connected_to, following, held, watching
from tests.integration.electrumx import ElectrumX
from tests.integration.esplora import EsploraServer
from tests.integration.purse import Lock
from tests.integration.regtest import Regtest, connected, prepared

pytestmark = [pytest.mark.real, pytest.mark.timeout(120)]


@pytest.fixture(scope="module")
def shared() -> Iterator[Regtest]:
    yield from prepared()


@pytest.fixture(scope="module")
def utxos() -> UtxoSet:
    return UtxoSet()


@pytest.fixture
async def chain(shared: Regtest) -> AsyncIterator[Regtest]:
    async with connected(shared):
        yield shared


@pytest.fixture
async def node(chain: Regtest, utxos: UtxoSet) -> AsyncIterator[BitcoinNode]:
    async with BitcoinNode(chain.node.url, utxos=utxos) as node:
        yield node


async def swept(updates: AsyncIterator[Update]) -> Update:
    """The next update with which a sweep has ended."""
    async with asyncio.timeout(30):
        async for update in updates:
            if update.drift is not None:
                return update
    raise AssertionError("the updates ended")


def lose_coins(state: Path) -> None:
    """As a defect of ours would."""
    with sqlite3.connect(state) as database:
        assert database.execute("delete from coins").rowcount > 0
    database.close()


async def paid(chain: Regtest, locks: list[Lock]) -> None:
    for number, lock in enumerate(locks):
        await chain.fund(lock, 100_000 + number)
    await chain.node.mine()


async def test_a_sweep_of_what_was_followed_rightly_finds_nothing(chain: Regtest, node: BitcoinNode) -> None:
    locks = chain.locks("p2wpkh", "p2pkh")
    await paid(chain, locks)
    async with (
        connected_to(node=node.url, rescan="200ms") as connector,
        following(connector, watching(locks)) as updates,
    ):
        assert (await anext(updates)).drift is None
        for _ in range(3):
            update = await swept(updates)
            assert (update.drift, update.complete, update.held) == ((), False, ())
            await chain.node.mine()


async def test_drift_is_found_told_once_and_put_right_at_once(
    chain: Regtest, node: BitcoinNode, tmp_path: Path
) -> None:
    locks = chain.locks("p2wpkh", "p2pkh")
    await paid(chain, locks)
    state = tmp_path / "state"
    true = {address(lock.script): 100_000 + number for number, lock in enumerate(locks)}
    async with connected_to(node=node.url, state=state) as connector:
        assert held(await connector.read(watching(locks))) == true
    lose_coins(state)
    settings = {"node": node.url, "state": state}
    async with connected_to(**settings, rescan="500ms") as connector, following(connector, watching(locks)) as updates:
        assert held(await anext(updates)) == dict.fromkeys(true, 0)
        update = await swept(updates)
        assert update.drift == tuple(Drift(account, COIN, 0, units) for account, units in true.items())
        assert update.complete
        assert held(update) == true
        assert (await swept(updates)).drift == ()
    async with connected_to(**settings) as connector:
        assert held(await connector.read(watching(locks))) == true


async def test_a_scan_that_takes_longer_than_anybody_waits_comes_to_its_end(
    chain: Regtest, node: BitcoinNode, tmp_path: Path
) -> None:
    """Two of three have to agree, and two are quick: the third is given up at each poll, and its scan goes on."""
    locks = chain.locks("p2wpkh", "p2pkh")
    await paid(chain, locks)
    node.behaviour.scan_seconds = 3.0
    server = ElectrumX(chain.node.url, folder=tmp_path)
    server.start()
    try:
        async with EsploraServer(chain.node).running() as esplora:
            settings = {"node": node.url, "electrum": [f"tcp://127.0.0.1:{server.port}"], "esplora": [esplora.url]}
            async with connected_to(**settings, agree=2) as connector, following(connector, watching(locks)) as updates:
                async with asyncio.timeout(60):
                    assert (await anext(updates)).failure is None
                    assert node.calls["getblock"] == 0, "the scan was waited for"
                    while not node.calls["getblock"]:
                        await chain.node.mine()
                        await anext(updates)
    finally:
        server.stop()
