"""The Bitcoin connector on a real bcoin behind our small Bitcoin Core."""

from __future__ import annotations

import pytest

from connectors.base import Stage
from connectors.bitcoin.derive import ExtendedKey
from connectors.bitcoin.descriptors import parse
from daemon.replay.bitcoin.wrapped import BitcoinNode
from tests.integration.bitcoin_chain import REGTEST, Known, address, balances, connected_to, following, held, watching
from tests.integration.electrumx import ElectrumX
from tests.integration.purse import Lock
from tests.integration.regtest import Regtest

pytestmark = [pytest.mark.real, pytest.mark.timeout(60)]


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


async def test_a_spend_is_a_movement_with_change_destinations_and_fee(
    chain: Regtest, node: BitcoinNode, locks: list[Lock]
) -> None:
    cold, stranger = locks[0], locks[1]
    money = await chain.fund(cold, 1_000_000)
    await chain.node.mine()
    known = Known()
    async with connected_to(node=node.url) as connector, following(connector, watching([cold])) as updates:
        known.take(await anext(updates))
        txid = await chain.spend([money], [(stranger.script, 700_000), (cold.script, 295_000)])
        await chain.node.mine()
        await known.until(updates, tip=(await chain.node.head())[1])
    assert known.last is not None
    (movement,) = known.mined
    assert movement.transaction == txid[::-1].hex()
    assert (movement.stage, movement.tip) == (Stage.MINED, known.last.tip)
    assert movement.changes == ((address(cold.script), -705_000),)
    assert (movement.change, movement.fee) == (295_000, 5_000)
    assert movement.destinations == ((address(stranger.script), 700_000),)
    assert movement.sources == ((address(cold.script), 1_000_000),)


async def test_what_a_reorganisation_mines_again_is_told_once_more_and_nothing_older(
    chain: Regtest, node: BitcoinNode, locks: list[Lock]
) -> None:
    known = Known()
    async with connected_to(node=node.url) as connector, following(connector, watching(locks)) as updates:
        known.take(await anext(updates))
        told: list[str] = []
        for lock in locks[:2]:
            told.append((await chain.pay([(lock.script, 50_000)]))[::-1].hex())
            await chain.node.mine()
            await known.until(updates, tip=(await chain.node.head())[1])
        await chain.node.reorganise(depth=1)
        await known.until(updates, tip=(await chain.node.head())[1])
    _, coins = await chain.truth({locks[1].script})  # the node may have dropped what it took back
    assert [movement.transaction for movement in known.mined] == [*told, *(coin.txid[::-1].hex() for coin in coins)]


# A public key (the generator) and a made-up chain code: nobody derives a private key from it here.
GENERATOR = bytes.fromhex("0279be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798")
MASTER = ExtendedKey(0, bytes(4), 0, b"\x01" * 32, GENERATOR).text(bytes.fromhex("043587cf"))


@pytest.mark.parametrize("source", ["node", "electrum"])
async def test_an_xpub_is_one_account_over_leaps_within_its_gap_limit(
    source: str, chain: Regtest, node: BitcoinNode, electrumx: ElectrumX
) -> None:
    """Up to index 500, paid before the start and while it runs."""
    account = parse(f"wpkh({MASTER}/{len(source)}/*)", network=REGTEST)
    scripts = account.scripts(0, 561)
    before, after = range(0, 401, 20), range(420, 501, 20)
    settings = {"node": node.url} if source == "node" else {"electrum": [f"tcp://127.0.0.1:{electrumx.port}"]}
    await chain.pay([(scripts[index - 1 if index else 0], 10_000 + index) for index in before])
    await chain.node.mine()
    known = Known()
    async with (
        connected_to(**settings) as connector,
        following(connector, watching([], account.canonical)) as updates,
    ):
        await known.until(updates, tip=(await chain.node.head())[1])
        assert known.holdings == {account.canonical: sum(10_000 + index for index in before)}
        await chain.pay([(scripts[index - 1], 10_000 + index) for index in after])
        await chain.node.mine()
        await known.until(updates, tip=(await chain.node.head())[1])
        assert known.holdings == {account.canonical: sum(10_000 + index for index in (*before, *after))}
