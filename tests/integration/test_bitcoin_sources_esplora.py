"""Esplora's REST as a source: from a small server of ours before a real bcoin."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta

import pytest

from connectors.bitcoin.sources.base import BlockSource, block_hash
from connectors.bitcoin.sources.esplora import EsploraSource
from connectors.bitcoin.sources.identity import Asked
from connectors.config import EndpointConfig
from connectors.errors import BadAnswer, Misconfigured, Unavailable
from connectors.follow import UnknownBlock
from connectors.transport import Timing, Transport
from tests.integration.esplora import EsploraServer
from tests.integration.purse import Lock, Money, parse, transaction, txid_of
from tests.integration.regtest import ASKED, Regtest, eventually, now

pytestmark = [pytest.mark.real, pytest.mark.timeout(60)]


@pytest.fixture
def scripts(locks: list[Lock]) -> list[bytes]:
    return [lock.script for lock in locks]


@pytest.fixture
async def server(chain: Regtest) -> AsyncIterator[EsploraServer]:
    async with EsploraServer(chain.node).running() as server:
        yield server


@asynccontextmanager
async def source_at(url: str, *, asked: Asked = ASKED) -> AsyncIterator[EsploraSource]:
    endpoint = EndpointConfig.model_validate({"url": url, "name": "esplora"})
    async with Transport(endpoint, chain="btc", timeout=timedelta(seconds=10), timing=Timing()) as transport:
        yield EsploraSource(transport, asked=asked, now=now)


@pytest.fixture
async def source(server: EsploraServer) -> AsyncIterator[EsploraSource]:
    async with source_at(server.url) as source:
        yield source


async def test_headers_and_blocks_prove_their_hashes(chain: Regtest, source: EsploraSource) -> None:
    assert isinstance(source, BlockSource)
    height, tip = await chain.node.head()
    head = await source.head()
    assert (head.height, head.hash) == (height, tip)
    assert await source.header_at(height) == head
    assert await source.header_at(height + 1) is None
    between = await source.headers_between(height - 3, height)
    assert [header.height for header in between] == [height - 2, height - 1]
    assert between[-1].hash == head.parent
    assert block_hash(await source.block(tip)) == tip
    with pytest.raises(UnknownBlock):
        await source.block("00" * 32)
    with pytest.raises(BadAnswer, match="lacks a block"):
        await source.headers_between(height, height + 3)


async def test_blocks_below_the_newest_are_read_where_confirmations_are_asked_for(
    chain: Regtest, server: EsploraServer
) -> None:
    async with source_at(server.url, asked=replace(ASKED, depth=5)) as source:
        assert (await source.head()).height == (await chain.node.head())[0] - 5


async def test_a_server_on_another_chain_or_no_esplora_at_all_is_misconfigured(server: EsploraServer) -> None:
    async with source_at(server.url, asked=Asked({0: "00" * 32})) as source:
        with pytest.raises(Misconfigured, match="is on another chain: block 0 is 0f9188f1"):
            await source.head()
    async with source_at(server.url.replace("/api", "/nothing")) as source:
        with pytest.raises(Misconfigured, match="is its URL right"):
            await source.head()


async def test_an_unchanged_head_costs_one_request(source: EsploraSource) -> None:
    await source.head()
    before = source.transport.stats().requests
    await source.head()
    assert source.transport.stats().requests == before + 1


async def test_coins_are_those_of_a_naive_recomputation_whatever_is_pending(
    chain: Regtest, source: EsploraSource, locks: list[Lock], scripts: list[bytes]
) -> None:
    money = [await chain.fund(lock, 100_000 + number) for number, lock in enumerate(locks)]
    await chain.node.mine(2)
    expected = await chain.truth(scripts)
    assert len(expected[1]) == len(locks)
    (snapshot,) = await source.coins(scripts)
    assert (snapshot.header.hash, set(snapshot.coins)) == expected
    spent = await chain.spend(money[:5], [(locks[1].script, 490_000)])
    await chain.spend([Money(spent, 0, 490_000, locks[1])], [(locks[5].script, 480_000)])
    (snapshot,) = await source.coins(scripts)
    assert (snapshot.header.hash, set(snapshot.coins)) == expected
    await chain.node.mine()
    (snapshot,) = await source.coins(scripts)
    assert (snapshot.header.hash, set(snapshot.coins)) == await chain.truth(scripts)
    await chain.node.reorganise(depth=3)
    (snapshot,) = await source.coins(scripts)
    assert (snapshot.header.hash, set(snapshot.coins)) == await chain.truth(scripts)


async def test_scripts_that_were_never_used_cost_one_request_each(
    source: EsploraSource, server: EsploraServer, scripts: list[bytes]
) -> None:
    (snapshot,) = await source.coins(scripts)
    assert snapshot.coins == ()
    assert server.calls["stats"] == len(scripts)
    assert server.calls["utxo"] == 0


async def test_a_script_with_more_coins_than_the_server_lists_is_refused_and_spoils_no_other(
    chain: Regtest, source: EsploraSource, server: EsploraServer, locks: list[Lock]
) -> None:
    server.most_utxos = 2
    await chain.pay([(locks[0].script, 10_000 + number) for number in range(3)] + [(locks[1].script, 50_000)])
    await chain.node.mine()
    (snapshot,) = await source.coins([locks[0].script, locks[1].script])
    assert [coin.value for coin in snapshot.coins] == [50_000]
    assert set(snapshot.refused) == {locks[0].script}
    assert "Too many unspent" in str(snapshot.refused[locks[0].script])


async def test_more_pending_spends_than_the_server_lists_are_a_refusal_not_a_smaller_balance(
    chain: Regtest, source: EsploraSource, server: EsploraServer, locks: list[Lock]
) -> None:
    """The server's limit of fifty, reached with fifty-two transactions."""
    await chain.pay([(locks[3].script, 10_000)] * 52)
    paid = sorted(await chain.node.mempool())[0]
    await chain.node.mine()
    for vout in range(52):
        await chain.spend([Money(bytes.fromhex(paid)[::-1], vout, 10_000, locks[3])], [(locks[0].script, 9_000)])
    (snapshot,) = await source.coins([locks[3].script])
    assert snapshot.coins == ()
    assert "lists no more than 50" in str(snapshot.refused[locks[3].script])
    assert not (await source.pending([locks[3].script])).complete


async def test_pending_transactions_come_with_fees_and_go_when_replaced_or_evicted(
    chain: Regtest, source: EsploraSource, locks: list[Lock], scripts: list[bytes]
) -> None:
    money = await chain.fund(locks[0], 100_000)
    await chain.node.mine()
    assert (await source.pending(scripts)).fees == {}
    first = await chain.spend([money], [(locks[1].script, 99_000)])
    pending = await source.pending(scripts)
    assert pending.fees == {first: 1_000}
    assert pending.complete
    assert await source.fees([first, b"\x00" * 32]) == {first: 1_000}
    raws = await source.transactions([first, b"\x11" * 32])
    assert set(raws) == {first}
    assert list(parse(raws[first]).outputs()) == [(locks[1].script, 99_000)]
    replacement = transaction([money], [(locks[2].script, 95_000)])
    await chain.node.replace(replacement)
    assert (await source.pending(scripts)).fees == {txid_of(replacement): 5_000}
    await chain.node.evict(txid_of(replacement)[::-1].hex())
    assert (await source.pending(scripts)).fees == {}


async def test_a_block_that_comes_within_a_reading_begins_another_part(
    chain: Regtest, source: EsploraSource, server: EsploraServer
) -> None:
    """Twenty scripts are read between two looks at the tip; each part is exact at its own block."""
    locks = chain.locks(*["p2wsh"] * 60)
    await chain.pay([(lock.script, 10_000) for lock in locks])
    await chain.node.mine()
    scripts = [lock.script for lock in locks]
    reading = asyncio.ensure_future(source.coins(scripts))

    async def half_way() -> bool:
        return server.calls["stats"] > 20

    await eventually(half_way)
    await chain.node.mine()
    parts = await reading
    assert [script for part in parts for script in part.scripts] == scripts
    assert len({part.header.hash for part in parts}) == len(parts) > 1
    assert {coin for part in parts for coin in part.coins} == (await chain.truth(scripts))[1]


async def test_a_server_that_sends_no_notices_says_so(source: EsploraSource, scripts: list[bytes]) -> None:
    assert source.changes(scripts) is None


async def test_a_server_whose_lists_never_match_its_sums_is_unavailable(
    chain: Regtest, source: EsploraSource, server: EsploraServer, locks: list[Lock]
) -> None:
    """Its sums say that there are coins, its lists name none."""
    server.listed = 0
    money = await chain.fund(locks[3], 50_000)
    await chain.node.mine()
    await chain.spend([money], [(locks[0].script, 40_000)])
    with pytest.raises(Unavailable, match="faster than it can be read"):
        await source.coins([locks[3].script])
