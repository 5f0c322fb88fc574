"""A real ElectrumX before a real bcoin as a source."""

from __future__ import annotations

import asyncio
import ssl
import subprocess
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from connectors.bitcoin.sources.base import BlockSource, Change, Doubt, NewBlock, Touched
from connectors.bitcoin.sources.electrum import ElectrumSource
from connectors.bitcoin.sources.identity import Asked
from connectors.bitcoin.sources.proof import outpoint
from connectors.bitcoin.sources.wire import Server, WireLimits
from connectors.errors import Misconfigured, Unavailable
from connectors.transport import Timing
from tests.integration.bcoin import satoshis
from tests.integration.electrumx import ElectrumX
from tests.integration.purse import Lock, Money, parse, transaction, txid_of
from tests.integration.regtest import ASKED, Regtest, eventually, now

pytestmark = [pytest.mark.real, pytest.mark.timeout(60)]


@pytest.fixture
def scripts(locks: list[Lock]) -> list[bytes]:
    return [lock.script for lock in locks]


@asynccontextmanager
async def source_at(server: Server, *, asked: Asked = ASKED) -> AsyncIterator[ElectrumSource]:
    async with ElectrumSource(server, chain="btc", asked=asked, now=now, timing=Timing()) as source:
        yield source


@pytest.fixture
async def source(chain: Regtest, electrumx: ElectrumX) -> AsyncIterator[ElectrumSource]:
    """As far as the chain."""
    async with source_at(electrumx.server) as source:
        await caught_up(source, chain)
        yield source


async def caught_up(source: ElectrumSource, chain: Regtest) -> None:
    _, tip = await chain.node.head()

    async def is_so() -> bool:
        return (await source.head()).hash == tip

    await eventually(is_so)


async def pending_is(source: ElectrumSource, scripts: list[bytes], expected: set[bytes]) -> None:
    async def is_so() -> bool:
        return set((await source.pending(scripts)).fees) == expected

    await eventually(is_so)


async def next_change(changes: AsyncGenerator[Change, None], kind: type[Change]) -> Change:
    async with asyncio.timeout(10):
        async for change in changes:
            if isinstance(change, kind):
                return change
    raise AssertionError("the notices ended")


async def test_headers_prove_their_hashes(chain: Regtest, source: ElectrumSource) -> None:
    assert not isinstance(source, BlockSource)
    height, tip = await chain.node.head()
    head = await source.head()
    assert (head.height, head.hash) == (height, tip)
    assert await source.header_at(height) == head
    assert await source.header_at(height + 1) is None
    between = await source.headers_between(height - 3, height)
    assert [header.height for header in between] == [height - 2, height - 1]
    assert between[-1].hash == head.parent


async def test_blocks_below_the_newest_are_read_where_confirmations_are_asked_for(
    chain: Regtest, electrumx: ElectrumX
) -> None:
    async with source_at(electrumx.server, asked=replace(ASKED, depth=5)) as source:
        height, _ = await chain.node.head()

        async def is_so() -> bool:
            return (await source.head()).height == height - 5

        await eventually(is_so)


async def test_a_server_on_another_chain_is_misconfigured(electrumx: ElectrumX, scripts: list[bytes]) -> None:
    async with source_at(electrumx.server, asked=Asked({0: "00" * 32})) as source:
        with pytest.raises(Misconfigured, match="is on another chain: genesis is 0f9188f1"):
            await source.head()
    async with source_at(electrumx.server, asked=Asked({**ASKED.anchors, 10: "11" * 32})) as source:
        with pytest.raises(Misconfigured, match="block 10"):
            await source.coins(scripts)


async def test_coins_are_those_of_a_naive_recomputation_whatever_is_pending(
    chain: Regtest, source: ElectrumSource, locks: list[Lock], scripts: list[bytes]
) -> None:
    money = [await chain.fund(lock, 100_000 + number) for number, lock in enumerate(locks)]
    await chain.node.mine(2)
    await caught_up(source, chain)
    expected = await chain.truth(scripts)
    assert len(expected[1]) == len(locks)
    (snapshot,) = await source.coins(scripts)
    assert (snapshot.header.hash, set(snapshot.coins)) == expected
    assert not snapshot.refused
    spent = await chain.spend(money[:5], [(locks[1].script, 490_000)])
    again = await chain.spend([Money(spent, 0, 490_000, locks[1])], [(locks[5].script, 480_000)])
    await pending_is(source, scripts, {spent, again})
    (snapshot,) = await source.coins(scripts)
    assert (snapshot.header.hash, set(snapshot.coins)) == expected
    await chain.node.mine()
    await caught_up(source, chain)
    (snapshot,) = await source.coins(scripts)
    assert (snapshot.header.hash, set(snapshot.coins)) == await chain.truth(scripts)


async def test_coins_are_exact_after_reorganisations(
    chain: Regtest, source: ElectrumSource, locks: list[Lock], scripts: list[bytes]
) -> None:
    await chain.fund(locks[0], 50_000)
    await chain.node.mine(4)
    await caught_up(source, chain)
    await source.coins(scripts)
    await chain.node.reorganise(depth=4)
    await caught_up(source, chain)
    (snapshot,) = await source.coins(scripts)
    assert (snapshot.header.hash, set(snapshot.coins)) == await chain.truth(scripts)


async def test_only_scripts_that_changed_are_read_again(
    chain: Regtest, source: ElectrumSource, locks: list[Lock], scripts: list[bytes]
) -> None:
    for lock in locks:
        await chain.fund(lock, 50_000)
    await chain.node.mine()
    await caught_up(source, chain)
    await source.coins(scripts)
    before = source.transport.stats().requests
    await source.coins(scripts)
    assert source.transport.stats().requests - before == len(scripts) + 3  # the tip, its end before and after


async def test_pending_transactions_come_with_fees_and_go_when_replaced_or_evicted(
    chain: Regtest, source: ElectrumSource, locks: list[Lock], scripts: list[bytes]
) -> None:
    money = await chain.fund(locks[0], 100_000)
    await pending_is(source, scripts, {money.txid})
    await chain.node.mine()
    await pending_is(source, scripts, set())
    first = await chain.spend([money], [(locks[1].script, 99_000)])
    await pending_is(source, scripts, {first})
    assert await source.fees([first, b"\x00" * 32]) == {first: 1_000}
    raws = await source.transactions([first, b"\x11" * 32])
    assert set(raws) == {first}
    assert list(map(outpoint, parse(raws[first]).inputs())) == [(money.txid, money.vout)]
    replacement = transaction([money], [(locks[2].script, 95_000)])
    await chain.node.replace(replacement)
    await pending_is(source, scripts, {txid_of(replacement)})
    assert (await source.pending([locks[1].script])).fees == {}
    await chain.node.evict(txid_of(replacement)[::-1].hex())
    await pending_is(source, scripts, set())
    (snapshot,) = await source.coins(scripts)
    assert [coin.script for coin in snapshot.coins] == [locks[0].script]


async def test_blocks_and_touched_scripts_are_notified(
    chain: Regtest, source: ElectrumSource, locks: list[Lock], scripts: list[bytes]
) -> None:
    async with aclosing(source.changes(scripts)) as changes:
        assert await anext(changes) == Doubt("listening from now on")
        await chain.fund(locks[3], 50_000)
        assert await next_change(changes, Touched) == Touched(locks[3].script)
        await chain.node.mine()
        await next_change(changes, NewBlock)


async def test_a_server_that_restarts_is_a_doubt_and_is_heard_again(
    chain: Regtest, scripts: list[bytes], tmp_path: Path
) -> None:
    electrumx = ElectrumX(chain.node.url, folder=tmp_path)
    electrumx.start()
    try:
        async with source_at(electrumx.server) as source, aclosing(source.changes(scripts)) as changes:
            await anext(changes)
            electrumx.kill()
            assert isinstance(await anext(changes), Doubt)
            with pytest.raises(Unavailable):
                await source.head()
            electrumx.start()
            assert await next_change(changes, Doubt) == Doubt("listening from now on")
            await chain.node.mine()
            await next_change(changes, NewBlock)
    finally:
        electrumx.stop()


async def test_certificates_are_checked_and_one_of_our_own_can_be_trusted(chain: Regtest, tmp_path: Path) -> None:
    certificate, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    subject = ["-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1", "-days", "2"]
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", *subject]
    options = ["-keyout", str(key), "-out", str(certificate)]
    subprocess.run([*command, *options], check=True, capture_output=True)  # noqa: ASYNC221 - takes no time
    folder = tmp_path / "index"
    folder.mkdir()
    electrumx = ElectrumX(chain.node.url, folder=folder, tls=(certificate, key))
    electrumx.start()
    try:
        trusting = replace(electrumx.server, tls=ssl.create_default_context(cafile=str(certificate)))
        async with source_at(trusting) as source:
            assert (await source.head()).height > 0
        strict = replace(electrumx.server, tls=ssl.create_default_context())
        async with source_at(strict) as source:
            with pytest.raises(Misconfigured, match="its certificate is not good"):
                await source.head()
    finally:
        electrumx.stop()


async def test_amounts_are_those_of_the_node(chain: Regtest, source: ElectrumSource, locks: list[Lock]) -> None:
    money = await chain.fund(locks[2], 123_456_789)
    await chain.node.mine()
    await caught_up(source, chain)
    (snapshot,) = await source.coins([locks[2].script])
    told = await chain.node.rpc("gettxout", money.txid[::-1].hex(), 0)
    assert [coin.value for coin in snapshot.coins] == [satoshis(told["value"])]


async def test_requests_are_paced(chain: Regtest, electrumx: ElectrumX) -> None:
    """One slot each 5 ms: fourteen requests can't be answered before the thirteenth slot."""
    limits = WireLimits(requests_per_second=200, in_flight=5, deadline=timedelta(seconds=5))
    timing = Timing()
    async with ElectrumSource(electrumx.server, chain="btc", asked=ASKED, now=now, timing=timing, limits=limits) as one:
        started = timing.clock()
        await one.headers_between(0, 15)
        assert timing.clock() - started >= 13 / 200
