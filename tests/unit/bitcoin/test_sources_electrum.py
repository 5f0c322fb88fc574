"""An Electrum server that tells nonsense, contradicts itself, or moves while it is read."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing, asynccontextmanager
from datetime import UTC, datetime, timedelta

import pytest

from connectors.bitcoin.sources.base import Coin, Doubt, NewBlock, Touched, electrum_hash
from connectors.bitcoin.sources.electrum import RESTARTS, ElectrumSource
from connectors.bitcoin.sources.identity import Asked
from connectors.bitcoin.sources.wire import WireLimits
from connectors.errors import BadAnswer, ConnectorError, Misconfigured, NodeError, Reason, Unavailable
from connectors.transport import Timing
from tests.integration.purse import Lock, Money, parse, transaction
from tests.integration.regtest import eventually
from tests.unit.bitcoin.lines import GENESIS, GENESIS_HEADER, ElectrumChain, LineServer, Refused, line
from tests.unit.connectors.server import FakeTime

SCRIPT, OTHER = Lock("p2wpkh", 1).script, Lock("p2wpkh", 2).script
NAME = electrum_hash(SCRIPT)
TXID = "ab" * 32
STATUS = "cd" * 32
COIN = {"tx_hash": TXID, "tx_pos": 1, "height": 0, "value": 700}
LIMITS = WireLimits(deadline=timedelta(seconds=2))


@asynccontextmanager
async def source_on(chain: ElectrumChain, **settings: object) -> AsyncIterator[tuple[ElectrumSource, LineServer]]:
    time = FakeTime()
    timing = Timing(clock=time.timing().clock, sleep=time.timing().sleep, rng=lambda: 0.5)
    async with LineServer(chain).running() as server:
        source = ElectrumSource(
            server.server,
            chain="btc",
            asked=Asked({0: GENESIS}),
            now=lambda: datetime(2026, 1, 1, tzinfo=UTC),
            timing=timing,
            limits=LIMITS,
            keep_alive=timedelta(seconds=0.1),
        )
        async with source:
            yield source, server


def used(**answers: object) -> ElectrumChain:
    """A chain on which SCRIPT, and only that, has a history."""
    chain = ElectrumChain(**answers)
    subscribe = answers.get("blockchain_scripthash_subscribe", STATUS)
    if not callable(subscribe):
        chain.answers["blockchain.scripthash.subscribe"] = lambda name: subscribe if name == NAME else None
    return chain


async def test_a_new_connection_begins_with_version_and_features() -> None:
    async with source_on(ElectrumChain()) as (source, server):
        assert (await source.head()).hash == GENESIS
        assert [request["method"] for request in server.requests[:2]] == ["server.version", "server.features"]
        assert server.requests[0]["params"] == ["pyrometer", ["1.4", "1.4.3"]]


@pytest.mark.parametrize(
    ("answers", "words"),
    [
        ({"server_version": Refused(1, "unsupported protocol version: 1.4")}, "we speak Electrum protocol 1.4"),
        ({"server_version": ["Future 9", "1.6"]}, "speaks protocol 1.6, not 1.4"),
        ({"server_features": {"genesis_hash": "11" * 32}}, "is on another chain: genesis is 1111"),
        ({"server_features": {"genesis_hash": GENESIS, "hash_function": "blake"}}, "names scripts by blake"),
        ({"blockchain_block_header": GENESIS_HEADER.replace("29ab5f49", "29ab5f4a")}, "another chain: block 0"),
    ],
)
async def test_a_server_that_can_not_be_ours_is_misconfigured(answers: dict[str, object], words: str) -> None:
    async with source_on(ElectrumChain(**answers)) as (source, _):
        with pytest.raises(Misconfigured, match=words):
            await source.head()
        assert set(source.transport.stats().errors) == {Reason.MISCONFIGURED}


Question = Callable[[ElectrumSource], object]
NONSENSE: list[object] = [None, 5, "", "zz", [], {}, [[]], [None], {"height": -1, "hex": GENESIS_HEADER}, True, 1.5]


@pytest.mark.parametrize(
    "method",
    [
        "server_version",
        "server_features",
        "blockchain_headers_subscribe",
        "blockchain_block_header",
        "blockchain_block_headers",
        "blockchain_scripthash_subscribe",
        "blockchain_scripthash_get_balance",
        "blockchain_scripthash_listunspent",
        "blockchain_scripthash_get_mempool",
    ],
)
@pytest.mark.parametrize("nonsense", NONSENSE, ids=repr)
async def test_an_answer_of_the_wrong_shape_is_a_bad_answer(method: str, nonsense: object) -> None:
    """Some of these are right for some methods: no status, no coins."""
    fine: dict[str, tuple[object]] = {
        "blockchain_scripthash_subscribe": (None,),
        "blockchain_scripthash_listunspent": ([],),
        "blockchain_scripthash_get_mempool": ([],),
    }
    async with source_on(used(**{method: nonsense})) as (source, _):
        if nonsense in fine.get(method, ()) and not isinstance(nonsense, bool):
            await source.coins([SCRIPT])
            return
        with pytest.raises(BadAnswer):
            await source.coins([SCRIPT])


@pytest.mark.parametrize(
    "coin",
    [
        COIN | {"value": -1},
        COIN | {"value": 1.5},
        COIN | {"value": 2**63},
        COIN | {"height": -2},
        COIN | {"height": "5"},
        COIN | {"tx_pos": -1},
        COIN | {"tx_hash": TXID[:-2]},
        {name: value for name, value in COIN.items() if name != "value"},
    ],
)
async def test_a_coin_that_can_not_be_is_a_bad_answer(coin: object) -> None:
    async with source_on(used(blockchain_scripthash_listunspent=[coin])) as (source, _):
        with pytest.raises(BadAnswer, match="listunspent"):
            await source.coins([SCRIPT])


async def test_a_coin_newer_than_the_newest_block_is_a_bad_answer() -> None:
    chain = used(
        blockchain_scripthash_listunspent=[COIN | {"height": 9}],
        blockchain_scripthash_get_balance={"confirmed": 700, "unconfirmed": 0},
    )
    async with source_on(chain) as (source, _):
        with pytest.raises(BadAnswer, match="newer than its newest block"):
            await source.coins([SCRIPT])


async def test_coins_that_do_not_add_up_to_the_balance_are_never_told() -> None:
    """Neither a smaller sum nor a larger one: the server is unavailable until it agrees with itself."""
    for confirmed in (0, 699, 701):
        chain = used(
            blockchain_scripthash_listunspent=[COIN | {"height": 1}],
            blockchain_scripthash_get_balance={"confirmed": confirmed, "unconfirmed": 0},
        )
        async with source_on(chain) as (source, _):
            with pytest.raises(Unavailable, match="histories change faster"):
                await source.coins([SCRIPT])


async def test_a_refused_script_spoils_no_other() -> None:
    chain = used(blockchain_scripthash_listunspent=Refused(1, "history too large"))
    async with source_on(chain) as (source, _):
        (snapshot,) = await source.coins([OTHER, SCRIPT])
        assert set(snapshot.refused) == {SCRIPT}
        assert isinstance(snapshot.refused[SCRIPT], NodeError)
        with pytest.raises(Unavailable, match="history too large"):
            await source.pending([SCRIPT])


async def test_a_status_that_is_refused_is_a_refused_script() -> None:
    chain = ElectrumChain(blockchain_scripthash_subscribe=Refused(1, "history too large"))
    async with source_on(chain) as (source, _):
        (snapshot,) = await source.coins([SCRIPT])
        assert set(snapshot.refused) == {SCRIPT}


async def test_a_confirmed_coin_that_something_pending_spends_is_found_through_that() -> None:
    maker = transaction([Money(b"\x11" * 32, 0, 900, Lock("p2wpkh", 3))], [(OTHER, 100), (SCRIPT, 700)])
    made = parse(maker).txid
    spender = transaction([Money(made, 1, 700, Lock("p2wpkh", 1))], [(OTHER, 600)])
    pending = parse(spender).txid[::-1].hex()
    raws = {made[::-1].hex(): maker.hex(), pending: spender.hex()}
    chain = used(
        blockchain_scripthash_get_balance={"confirmed": 700, "unconfirmed": -700},
        blockchain_scripthash_get_mempool=[{"tx_hash": pending, "height": 0, "fee": 100}],
        blockchain_scripthash_get_history=[
            {"tx_hash": made[::-1].hex(), "height": 1},
            {"tx_hash": pending, "height": 0, "fee": 100},
        ],
        blockchain_transaction_get=raws.__getitem__,
        blockchain_headers_subscribe={"height": 1, "hex": GENESIS_HEADER},
    )
    async with source_on(chain) as (source, _):
        (snapshot,) = await source.coins([SCRIPT])
        assert snapshot.coins == (Coin(made, 1, 700, SCRIPT, 1),)


async def test_a_pending_spend_of_an_output_that_never_was_is_a_bad_answer() -> None:
    maker = transaction([Money(b"\x11" * 32, 0, 900, Lock("p2wpkh", 3))], [(SCRIPT, 700)])
    made = parse(maker).txid
    spender = transaction([Money(made, 5, 700, Lock("p2wpkh", 1))], [(OTHER, 600)])
    pending = parse(spender).txid[::-1].hex()
    chain = used(
        blockchain_scripthash_get_balance={"confirmed": 700},
        blockchain_scripthash_get_mempool=[{"tx_hash": pending, "height": 0, "fee": 100}],
        blockchain_scripthash_get_history=[{"tx_hash": made[::-1].hex(), "height": 1}],
        blockchain_transaction_get={made[::-1].hex(): maker.hex(), pending: spender.hex()}.__getitem__,
    )
    async with source_on(chain) as (source, _):
        with pytest.raises(BadAnswer, match="never was"):
            await source.coins([SCRIPT])


async def test_another_transaction_than_asked_for_is_a_bad_answer() -> None:
    other = transaction([Money(b"\x11" * 32, 0, 900, Lock("p2wpkh", 3))], [(SCRIPT, 700)])
    async with source_on(ElectrumChain(blockchain_transaction_get=other.hex())) as (source, _):
        with pytest.raises(BadAnswer, match="gave transaction"):
            await source.transactions([b"\x22" * 32])


async def test_a_script_that_changes_while_it_is_read_is_read_again() -> None:
    statuses = iter(["01" * 32, "02" * 32, "02" * 32, "02" * 32])
    chain = used(blockchain_scripthash_subscribe=lambda _: next(statuses))
    async with source_on(chain) as (source, server):
        await source.coins([SCRIPT])
        assert server.calls["blockchain.scripthash.listunspent"] == 2


async def test_a_reading_begins_anew_when_the_tables_run_ahead_of_the_tip() -> None:
    counts = iter([1, 2, 1, 1])
    chain = ElectrumChain(blockchain_block_headers=lambda *_: {"count": next(counts), "hex": GENESIS_HEADER})
    async with source_on(chain) as (source, server):
        (snapshot,) = await source.coins([SCRIPT])
        assert snapshot.header.hash == GENESIS
        assert server.calls["blockchain.headers.subscribe"] == 2


async def test_tables_that_are_always_ahead_of_the_tip_are_unavailable_in_the_end() -> None:
    chain = ElectrumChain(blockchain_block_headers={"count": 2, "hex": GENESIS_HEADER})
    async with source_on(chain) as (source, server):
        with pytest.raises(Unavailable, match="has changed"):
            await source.coins([SCRIPT])
        assert server.calls["blockchain.headers.subscribe"] == RESTARTS


async def test_what_was_read_while_the_tip_moved_is_not_kept() -> None:
    """The server's digest of a history may lag behind its tables; only readings between two equal tips are kept."""
    counts = iter([1, 2, 1, 1])
    chain = used(blockchain_block_headers=lambda *_: {"count": next(counts), "hex": GENESIS_HEADER})
    async with source_on(chain) as (source, server):
        await source.coins([SCRIPT])
        assert server.calls["blockchain.scripthash.listunspent"] == 2


async def test_notices_become_changes() -> None:
    async with source_on(used()) as (source, server), aclosing(source.changes([SCRIPT, OTHER])) as changes:
        assert await anext(changes) == Doubt("listening from now on")
        await send(server, "blockchain.headers.subscribe", [{"height": 1, "hex": GENESIS_HEADER}])
        assert await anext(changes) == NewBlock()
        for _ in range(1000):
            await send(server, "blockchain.scripthash.subscribe", [NAME, STATUS])
        assert await anext(changes) == Touched(SCRIPT)


async def test_a_notice_about_a_script_that_nobody_watches_is_a_bad_answer() -> None:
    async with source_on(used()) as (source, server), aclosing(source.changes([SCRIPT])) as changes:
        await anext(changes)
        await send(server, "blockchain.scripthash.subscribe", ["ee" * 32, STATUS])
        change = await anext(changes)
        assert change == Doubt("listening from now on"), "on a new connection"
        assert source.transport.stats().errors == {Reason.BAD_ANSWER: 1}


async def test_a_quiet_connection_is_asked_for_a_sign_of_life() -> None:
    async with source_on(used()) as (source, server), aclosing(source.changes([SCRIPT])) as changes:
        await anext(changes)
        waiting = asyncio.ensure_future(anext(changes))

        async def pinged_twice() -> bool:
            return server.calls["server.ping"] > 1

        await eventually(pinged_twice)
        await send(server, "blockchain.headers.subscribe", [{}])
        assert await waiting == NewBlock()


async def test_scripts_that_the_server_does_not_want_to_watch_are_told() -> None:
    chain = ElectrumChain(blockchain_scripthash_subscribe=Refused(1, "too many subscriptions"))
    async with source_on(chain) as (source, _), aclosing(source.changes([SCRIPT])) as changes:
        assert await anext(changes) == Doubt("listening from now on; the server refuses to watch 1 scripts")


async def test_everything_it_raises_is_a_connector_error_whatever_is_answered() -> None:
    for nonsense in NONSENSE:
        chain = used()
        for method in chain.answers:
            if method.startswith("blockchain"):
                chain.answers[method] = nonsense
        async with source_on(chain) as (source, _):
            for question in (
                source.head(),
                source.coins([SCRIPT]),
                source.pending([SCRIPT]),
                source.headers_between(0, 3),
            ):
                with pytest.raises(ConnectorError):
                    await question


async def send(server: LineServer, method: str, params: list[object]) -> None:
    for writer in server.writers:
        writer.write(line({"jsonrpc": "2.0", "method": method, "params": params}))
        await writer.drain()
