"""Bitcoin Core as a source: blocks from a real bcoin, scans and notices from a small node of ours before it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, asynccontextmanager
from dataclasses import replace
from datetime import timedelta

import pytest

from connectors.bitcoin.sources.base import BlockSource, Change, Doubt, NewBlock, NewTransaction, Pruned, block_hash
from connectors.bitcoin.sources.identity import Asked
from connectors.bitcoin.sources.node import Listening, NodeSource
from connectors.bitcoin.sources.scan import ScanLimits
from connectors.config import EndpointConfig
from connectors.errors import Misconfigured, Reason, Unavailable
from connectors.follow import UnknownBlock
from connectors.transport import Timing, Transport
from daemon.replay.bitcoin.wrapped import BitcoinNode
from tests.integration.purse import KINDS, Lock, parse
from tests.integration.regtest import ASKED, Regtest, eventually, now

pytestmark = [pytest.mark.real, pytest.mark.timeout(60)]

QUICK = ScanLimits(look_again=timedelta(milliseconds=20), progress_every=timedelta(milliseconds=20))


@asynccontextmanager
async def source_at(
    url: str, *, asked: Asked = ASKED, limits: ScanLimits = QUICK, listening: Listening | None = None
) -> AsyncIterator[NodeSource]:
    endpoint = EndpointConfig.model_validate({"url": url, "name": "core"})
    async with Transport(endpoint, chain="btc", timeout=timedelta(seconds=10), timing=Timing()) as transport:
        yield NodeSource(transport, asked=asked, now=now, limits=limits, listening=listening)


@pytest.fixture
def locks(chain: Regtest) -> list[Lock]:
    """Two of each kind."""
    return chain.locks(*KINDS, *KINDS)


@pytest.fixture
def scripts(locks: list[Lock]) -> list[bytes]:
    return [lock.script for lock in locks]


@asynccontextmanager
async def listening_at(url: str, scripts: list[bytes], *, zmq: str) -> AsyncIterator[AsyncGenerator[Change, None]]:
    async with source_at(url, listening=Listening(zmq)) as source:
        changes = source.changes(scripts)
        assert changes is not None
        async with aclosing(changes):
            yield changes


async def next_change(changes: AsyncGenerator[Change, None], kind: type[Change]) -> Change:
    async with asyncio.timeout(10):
        async for change in changes:
            if isinstance(change, kind):
                return change
    raise AssertionError("the notices ended")


async def test_headers_and_blocks_of_a_real_node_prove_their_hashes(chain: Regtest) -> None:
    """Straight from bcoin: what only we speak is not involved."""
    async with source_at(chain.node.url) as source:
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


async def test_blocks_below_the_newest_are_read_where_confirmations_are_asked_for(chain: Regtest) -> None:
    async with source_at(chain.node.url, asked=replace(ASKED, depth=5)) as source:
        height, _ = await chain.node.head()
        assert (await source.head()).height == height - 5


async def test_a_node_on_another_chain_is_misconfigured(chain: Regtest, scripts: list[bytes]) -> None:
    async with source_at(chain.node.url, asked=Asked({0: "00" * 32})) as source:
        with pytest.raises(Misconfigured, match="is on another chain: block 0 is 0f9188f1"):
            await source.head()
    async with source_at(chain.node.url, asked=Asked({**ASKED.anchors, 10: "11" * 32})) as source:
        with pytest.raises(Misconfigured, match="block 10"):
            await source.coins(scripts)
    async with source_at(chain.node.url, asked=Asked({**ASKED.anchors, 10_000: "11" * 32})) as source:
        with pytest.raises(Unavailable, match="has not come as far as block 10000"):
            await source.head()


async def test_a_node_without_scantxoutset_is_misconfigured(chain: Regtest, scripts: list[bytes]) -> None:
    async with source_at(chain.node.url) as source:
        with pytest.raises(Misconfigured, match="needs Bitcoin Core"):
            await source.coins(scripts)


async def test_credentials_that_the_node_refuses_are_misconfigured_and_not_shown(chain: Regtest) -> None:
    async with source_at(chain.node.url.replace("throwaway", "wrong-secret")) as source:
        with pytest.raises(Misconfigured) as error:
            await source.head()
        assert "wrong-secret" not in str(error.value)


async def test_a_scan_finds_exactly_the_coins_of_a_naive_recomputation(
    chain: Regtest, node: BitcoinNode, locks: list[Lock], scripts: list[bytes]
) -> None:
    async with source_at(node.url) as source:
        money = [await chain.fund(lock, 100_000 + number) for number, lock in enumerate(locks)]
        await chain.node.mine()
        await chain.spend(money[:5], [(locks[7].script, 490_000), (locks[0].script, 5_000)])
        await chain.node.mine(2)
        await chain.spend(money[6:7], [(locks[1].script, 90_000)])  # pending: changes nothing
        (snapshot,) = await source.coins(scripts)
        tip, coins = await chain.truth(scripts)
        assert snapshot.header.hash == tip
        assert snapshot.header == await source.head()
        assert set(snapshot.coins) == coins
        assert len(coins) == len(locks) - 5 + 2
        assert not snapshot.refused


async def test_scans_are_exact_after_reorganisations(
    chain: Regtest, node: BitcoinNode, locks: list[Lock], scripts: list[bytes]
) -> None:
    async with source_at(node.url) as source:
        await chain.fund(locks[0], 50_000)
        await chain.node.mine(3)
        await source.coins(scripts)
        await chain.node.reorganise(depth=3)
        (snapshot,) = await source.coins(scripts)
        assert (snapshot.header.hash, set(snapshot.coins)) == await chain.truth(scripts)


async def test_many_scripts_are_scanned_in_parts(
    chain: Regtest, node: BitcoinNode, locks: list[Lock], scripts: list[bytes]
) -> None:
    limits = replace(QUICK, scripts=5)
    async with source_at(node.url, limits=limits) as source:
        for lock in locks:
            await chain.fund(lock, 50_000)
        await chain.node.mine()
        parts = await source.coins(scripts)
        assert [len(part.scripts) for part in parts] == [5, 5, 2]
        assert {coin for part in parts for coin in part.coins} == (await chain.truth(scripts))[1]


async def test_a_scan_waits_for_the_scan_of_somebody_else(node: BitcoinNode, scripts: list[bytes]) -> None:
    async with source_at(node.url) as ours, source_at(node.url) as theirs:
        node.behaviour.scan_seconds = 0.5
        both = await asyncio.gather(theirs.coins(scripts), ours.coins(scripts))
        assert both[0][0].header == both[1][0].header
        assert node.calls["scantxoutset"] > 2


async def test_a_scan_that_takes_too_long_is_given_up_and_stopped_at_the_node(
    node: BitcoinNode, scripts: list[bytes]
) -> None:
    limits = replace(QUICK, deadline=timedelta(seconds=0.5))
    async with source_at(node.url) as patient, source_at(node.url, limits=limits) as hasty:
        await patient.coins(scripts)
        node.behaviour.scan_seconds = 30
        with pytest.raises(Unavailable) as error:
            await hasty.coins(scripts)
        assert error.value.reason is Reason.TIMEOUT
        node.behaviour.scan_seconds = 0.0
        await patient.coins(scripts)


async def test_a_node_that_warms_up_or_downloads_the_chain_is_unavailable(chain: Regtest, node: BitcoinNode) -> None:
    async with source_at(node.url) as source:
        node.behaviour.warming_up = True
        with pytest.raises(Unavailable, match="Loading block index"):
            await source.head()
        node.behaviour.warming_up = False
        node.behaviour.downloading = True
        with pytest.raises(Unavailable, match="still downloads the chain"):
            await source.head()
        node.behaviour.downloading = False
        await source.head()


async def test_a_pruned_block_is_told_from_an_unknown_one(chain: Regtest, node: BitcoinNode) -> None:
    async with source_at(node.url) as source:
        node.behaviour.pruned_below = 100
        with pytest.raises(Pruned):
            await source.block(await chain.node.rpc("getblockhash", 99))
        await source.block(await chain.node.rpc("getblockhash", 100))


async def test_the_mempool_is_listed_with_transactions_and_fees(
    chain: Regtest, locks: list[Lock], scripts: list[bytes]
) -> None:
    async with source_at(chain.node.url) as source:
        first = await chain.pay([(locks[0].script, 70_000)], fee=4_321)
        pending = await source.pending(scripts)
        assert set(pending.fees) == {first}
        assert await source.fees([first, b"\x00" * 32]) == {first: 4_321}
        raws = await source.transactions([first, b"\x11" * 32])
        assert next(parse(raws[first]).outputs()) == (locks[0].script, 70_000)
        assert set(raws) == {first}
        await chain.node.evict(first[::-1].hex())
        assert (await source.pending(scripts)).fees == {}


async def test_zmq_tells_of_blocks_and_transactions(
    chain: Regtest, node: BitcoinNode, locks: list[Lock], scripts: list[bytes]
) -> None:
    async with listening_at(node.url, scripts, zmq=node.zmq_address) as changes:
        assert isinstance(await anext(changes), Doubt)
        assert isinstance(await anext(changes), Doubt)  # connected
        txid = await chain.pay([(locks[0].script, 70_000)])
        seen = await next_change(changes, NewTransaction)
        assert isinstance(seen, NewTransaction)
        assert parse(seen.raw).txid == txid
        await chain.node.mine()
        await next_change(changes, NewBlock)


async def test_a_lost_zmq_notice_is_a_doubt(chain: Regtest, node: BitcoinNode, scripts: list[bytes]) -> None:
    async with listening_at(node.url, scripts, zmq=node.zmq_address) as changes:
        await anext(changes)
        await anext(changes)
        await chain.node.mine()
        await next_change(changes, NewBlock)
        node.lose("hashblock")
        await chain.node.mine()
        doubt = await next_change(changes, Doubt)
        assert isinstance(doubt, Doubt)
        assert "where" in doubt.why
        assert isinstance(await anext(changes), NewBlock)


async def test_a_publisher_that_restarts_is_a_doubt_and_is_heard_again(
    chain: Regtest, node: BitcoinNode, scripts: list[bytes]
) -> None:
    async with listening_at(node.url, scripts, zmq=node.zmq_address) as changes:
        await anext(changes)
        await anext(changes)
        await node.fall_silent()
        doubt = await next_change(changes, Doubt)
        assert doubt == Doubt("the connection to the publisher was lost")
        await node.publish()
        assert await next_change(changes, Doubt) == Doubt("connected to the publisher")
        await chain.node.mine()
        await next_change(changes, NewBlock)


async def test_without_zmq_a_node_sends_no_notices(node: BitcoinNode, scripts: list[bytes]) -> None:
    async with source_at(node.url) as source:
        assert source.changes(scripts) is None


async def test_progress_of_a_scan_can_be_watched(node: BitcoinNode, scripts: list[bytes]) -> None:
    async with source_at(node.url) as source:
        node.behaviour.scan_seconds = 2.0
        scan = asyncio.ensure_future(source.coins(scripts))

        async def told() -> bool:
            return source.scan_progress is not None

        await eventually(told)
        await scan
        assert source.scan_progress is None
