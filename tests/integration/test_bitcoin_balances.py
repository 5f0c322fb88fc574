"""The Bitcoin connector on a real bcoin behind our small Bitcoin Core."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest

from daemon.replay.bitcoin_node import BitcoinNode, UtxoSet
from tests.integration.bitcoin_chain import Known, balances, connected_to, following, held, watching
from tests.integration.purse import KINDS, Lock
from tests.integration.regtest import Regtest, connected, prepared

pytestmark = [pytest.mark.real, pytest.mark.timeout(60)]


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


@pytest.fixture
def locks(chain: Regtest) -> list[Lock]:
    return chain.locks(*KINDS)


async def test_balances_of_every_kind_of_address_follow_payments_and_spends(
    chain: Regtest, node: BitcoinNode, locks: list[Lock]
) -> None:
    scripts = [lock.script for lock in locks]
    money = [await chain.fund(lock, 100_000 + number) for number, lock in enumerate(locks)]
    await chain.node.mine()
    known = Known()
    async with connected_to(node=node.url) as connector, following(connector, watching(locks)) as updates:
        first = await anext(updates)
        tip, expected = await balances(chain, scripts)
        assert (first.complete, first.tip and first.tip.hash, held(first)) == (True, tip, expected)
        known.take(first)
        await chain.spend(money[:3], [(locks[4].script, 150_000), (locks[0].script, 100_000)])
        await chain.node.mine(3)
        tip, expected = await balances(chain, scripts)
        await known.until(updates, tip=tip)
        assert known.holdings == expected
    assert node.calls["scantxoutset"] == 1


async def test_a_reorganisation_is_undone_without_another_scan(
    chain: Regtest, node: BitcoinNode, locks: list[Lock]
) -> None:
    scripts = [lock.script for lock in locks]
    known = Known()
    async with connected_to(node=node.url) as connector, following(connector, watching(locks)) as updates:
        known.take(await anext(updates))
        money = await chain.fund(locks[0], 50_000)
        await chain.node.mine(3)
        await known.until(updates, tip=(await chain.node.head())[1])
        await chain.spend([money], [(locks[1].script, 40_000)])
        await chain.node.mine(2)
        await known.until(updates, tip=(await chain.node.head())[1])
        await chain.node.reorganise(depth=4)
        tip, expected = await balances(chain, scripts)
        await known.until(updates, tip=tip)
        assert known.holdings == expected
        assert known.last is not None
        assert known.last.reorg_depth > 0
    assert node.calls["scantxoutset"] == 1
