"""The small Electrum server before a played ledger, asked over TCP."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest

from daemon.replay.bitcoin.played import PlayedBitcoin
from daemon.replay.bitcoin.serial import genesis
from tests.played_bitcoin import BEGIN, COLD, CUSTOMER, HOT, THIEF, WHOLE
from tests.unit.replay.bitcoin.asking import Electrum, electrum, eventually, name_of, played, urls

STRANGER = "11" * 32
HASH = "blockchain.scripthash"


@pytest.fixture
async def chain() -> AsyncIterator[PlayedBitcoin]:
    """Three blocks and a pending payment."""
    async with played({HOT: 10 * WHOLE, COLD: 90 * WHOLE}, nodes=2) as chain:
        chain.pay(HOT, CUSTOMER, units=WHOLE, fee=1_000)
        chain.mine(time=BEGIN + timedelta(minutes=10))
        chain.pay(HOT, CUSTOMER, units=2 * WHOLE, fee=3_000)
        yield chain


@pytest.fixture
async def server(chain: PlayedBitcoin) -> AsyncIterator[Electrum]:
    async with electrum(urls(chain)[1]) as server:
        yield server


def named(chain: PlayedBitcoin, account: str) -> str:
    return name_of(chain.ledger.script(account))


def digest(history: list[dict[str, object]]) -> str | None:
    """Protocol basics, «Status»."""
    text = "".join(f"{one['tx_hash']}:{one['height']}:" for one in history)
    return hashlib.sha256(text.encode()).hexdigest() if text else None


async def test_it_speaks_protocol_1_4_of_regtest(server: Electrum) -> None:
    _, version = await server.ask("server.version", "test", ["1.4", "1.4.3"])
    features = await server.ask("server.features")
    assert (version, features["genesis_hash"], features["hash_function"]) == ("1.4", genesis().hash, "sha256")
    assert await server.ask("server.ping") is None


async def test_headers_are_those_of_the_chain(chain: PlayedBitcoin, server: Electrum) -> None:
    tip = chain.ledger.tip
    assert await server.ask("blockchain.headers.subscribe") == {"height": 3, "hex": tip.header.hex()}
    assert await server.ask("blockchain.block.header", 3) == tip.header.hex()
    several = await server.ask("blockchain.block.headers", 2, 5)
    assert (several["count"], several["hex"]) == (2, "".join(block.header.hex() for block in chain.ledger.blocks[2:]))
    assert (await server.ask("blockchain.block.headers", 9, 5))["count"] == 0


async def test_a_script_s_history_is_mined_then_pending(chain: PlayedBitcoin, server: Electrum) -> None:
    history = await server.ask(f"{HASH}.get_history", named(chain, HOT))
    assert [one["height"] for one in history] == [2, 3, 0]
    (pending,) = await server.ask(f"{HASH}.get_mempool", named(chain, HOT))
    assert pending == history[-1]
    assert pending["fee"] == 3_000


async def test_what_spends_pending_money_has_height_minus_one(chain: PlayedBitcoin, server: Electrum) -> None:
    chain.sweep(HOT, THIEF)
    assert [one["height"] for one in await server.ask(f"{HASH}.get_mempool", named(chain, HOT))] == [0, -1]


async def test_a_balance_has_its_pending_part_apart(chain: PlayedBitcoin, server: Electrum) -> None:
    balance = await server.ask(f"{HASH}.get_balance", named(chain, HOT))
    assert balance == {"confirmed": 9 * WHOLE - 1_000, "unconfirmed": -2 * WHOLE - 3_000}
    assert await server.ask(f"{HASH}.get_balance", named(chain, CUSTOMER)) == {
        "confirmed": WHOLE,
        "unconfirmed": 2 * WHOLE,
    }


async def test_the_pending_part_of_a_chain_of_payments_is_the_sum(chain: PlayedBitcoin, server: Electrum) -> None:
    chain.sweep(HOT, THIEF, fee=1)
    balance = await server.ask(f"{HASH}.get_balance", named(chain, HOT))
    assert balance["confirmed"] + balance["unconfirmed"] == 0


async def test_unspent_coins_are_those_that_nothing_pending_spends(chain: PlayedBitcoin, server: Electrum) -> None:
    (change,) = await server.ask(f"{HASH}.listunspent", named(chain, HOT))
    assert (change["height"], change["value"]) == (0, 7 * WHOLE - 4_000)
    (kept,) = await server.ask(f"{HASH}.listunspent", named(chain, COLD))
    assert (kept["height"], kept["value"]) == (2, 90 * WHOLE)


@pytest.mark.parametrize("account", [HOT, COLD, CUSTOMER, THIEF])
async def test_a_status_is_the_digest_of_the_history(chain: PlayedBitcoin, server: Electrum, account: str) -> None:
    name = named(chain, account)
    for _ in range(3):
        history = await server.ask(f"{HASH}.get_history", name)
        assert await server.ask(f"{HASH}.subscribe", name) == digest(history)
        chain.mine(time=BEGIN + timedelta(minutes=10 * chain.height))
        chain.pay(COLD, HOT, units=5)
    chain.reorganise(2, time=BEGIN + timedelta(minutes=10 * chain.height))
    assert await server.ask(f"{HASH}.subscribe", name) == digest(await server.ask(f"{HASH}.get_history", name))


async def test_transactions_are_given_as_serialised(chain: PlayedBitcoin, server: Electrum) -> None:
    mined, pending = chain.ledger.tip.transactions[1], next(iter(chain.ledger.mempool.values()))
    assert await server.ask("blockchain.transaction.get", mined.txid) == mined.raw.hex()
    assert await server.ask("blockchain.transaction.get", pending.txid) == pending.raw.hex()


async def test_who_subscribed_hears_of_blocks_and_of_scripts_that_were_touched(
    chain: PlayedBitcoin, server: Electrum
) -> None:
    await server.ask("blockchain.headers.subscribe")
    for account in (HOT, COLD):
        await server.ask(f"{HASH}.subscribe", named(chain, account))
    chain.pay(HOT, THIEF, units=5)
    await server.ask("server.ping")
    status = digest(await server.ask(f"{HASH}.get_history", named(chain, HOT)))
    assert server.notices == [(f"{HASH}.subscribe", [named(chain, HOT), status])]
    server.notices.clear()
    chain.mine(time=BEGIN + timedelta(minutes=20))
    await server.ask("server.ping")
    status = digest(await server.ask(f"{HASH}.get_history", named(chain, HOT)))
    head = {"hex": chain.ledger.tip.header.hex(), "height": 4}
    assert server.notices == [
        ("blockchain.headers.subscribe", [head]),
        (f"{HASH}.subscribe", [named(chain, HOT), status]),
    ]


async def test_who_did_not_subscribe_hears_nothing(chain: PlayedBitcoin, server: Electrum) -> None:
    await server.ask("server.ping")
    chain.pay(HOT, THIEF, units=5)
    chain.mine(time=BEGIN + timedelta(minutes=20))
    await server.ask("server.ping")
    assert server.notices == []


async def test_a_script_that_nobody_has_used_can_be_subscribed_to(chain: PlayedBitcoin, server: Electrum) -> None:
    assert await server.ask(f"{HASH}.subscribe", named(chain, THIEF)) is None
    assert await server.ask(f"{HASH}.get_balance", named(chain, THIEF)) == {"confirmed": 0, "unconfirmed": 0}
    chain.pay(HOT, THIEF, units=5)
    await server.ask("server.ping")
    assert [params[0] for _, params in server.notices] == [named(chain, THIEF)]


@pytest.mark.parametrize(
    ("method", "params", "code"),
    [
        ("blockchain.block.header", [4], 1),
        ("blockchain.block.header", [-1], 1),
        ("blockchain.block.header", ["1"], 1),
        ("blockchain.block.header", [], -32602),
        ("blockchain.block.headers", [0, -1], 1),
        (f"{HASH}.subscribe", ["12"], 1),
        (f"{HASH}.get_balance", [5], 1),
        ("blockchain.transaction.get", [STRANGER], 2),
        ("blockchain.transaction.get", ["12"], 1),
        ("blockchain.transaction.get", [STRANGER, True], 1),
        ("blockchain.transaction.broadcast", ["00"], -32601),
    ],
)
async def test_what_cannot_be_answered_is_refused_by_electrumx_s_code(
    server: Electrum, method: str, params: list[object], code: int
) -> None:
    assert (await server.ask(method, *params))["code"] == code


@pytest.mark.parametrize(
    ("line", "code"),
    [(b"{nope", -32700), (b"5", -32600), (b'{"id": 1}', -32600), (b'{"method": "server.ping", "params": {}}', -32602)],
)
async def test_what_is_no_request_is_refused_and_the_connection_lives(server: Electrum, line: bytes, code: int) -> None:
    await server.send(line)
    assert (await server.hear())["error"]["code"] == code
    assert await server.ask("server.ping") is None


# ── faults ──────────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_a_server_that_is_behind_tells_the_chain_of_then(chain: PlayedBitcoin, server: Electrum) -> None:
    chain.faults[1].behind = 1
    name = named(chain, HOT)
    assert (await server.ask("blockchain.headers.subscribe"))["height"] == 2
    history = await server.ask(f"{HASH}.get_history", name)
    assert [one["height"] for one in history] == [2]
    assert await server.ask(f"{HASH}.subscribe", name) == digest(history)
    assert await server.ask(f"{HASH}.get_balance", name) == {"confirmed": 10 * WHOLE, "unconfirmed": 0}
    assert [one["value"] for one in await server.ask(f"{HASH}.listunspent", name)] == [10 * WHOLE]


async def test_a_server_that_is_behind_tells_of_a_block_when_it_has_come_to_it(
    chain: PlayedBitcoin, server: Electrum
) -> None:
    chain.faults[1].behind = 1
    await server.ask("blockchain.headers.subscribe")
    await server.ask(f"{HASH}.subscribe", named(chain, HOT))
    third = chain.ledger.tip
    chain.mine(time=BEGIN + timedelta(minutes=20))
    await server.ask("server.ping")
    assert [method for method, _ in server.notices] == ["blockchain.headers.subscribe", f"{HASH}.subscribe"]
    assert server.notices[0][1] == [{"hex": third.header.hex(), "height": 3}]


async def test_a_liar_tells_a_larger_coin_another_status_and_true_blocks(
    chain: PlayedBitcoin, server: Electrum
) -> None:
    chain.mine(time=BEGIN + timedelta(minutes=20))
    name = named(chain, HOT)
    truth = await server.ask(f"{HASH}.subscribe", name)
    chain.faults[1].lying = True
    assert await server.ask(f"{HASH}.subscribe", name) != truth
    balance = await server.ask(f"{HASH}.get_balance", name)
    assert balance["confirmed"] > chain.units(HOT)
    assert balance["confirmed"] == sum(one["value"] for one in await server.ask(f"{HASH}.listunspent", name))
    assert await server.ask("blockchain.block.header", 4) == chain.ledger.tip.header.hex()


async def test_a_failing_server_says_internal_error(chain: PlayedBitcoin, server: Electrum) -> None:
    chain.faults[1].failing = 1.0
    assert (await server.ask("server.ping"))["code"] == -32603
    chain.faults[1].failing = 0.0
    assert await server.ask("server.ping") is None


async def test_a_throttled_server_says_excessive_use_and_hangs_up(chain: PlayedBitcoin, server: Electrum) -> None:
    chain.faults[1].per_second = 2
    assert [await server.ask("server.ping") for _ in range(2)] == [None, None]
    assert (await server.ask("server.ping"))["code"] == -101
    assert await server.is_hung_up()


async def test_a_server_that_ends_hangs_up_on_who_waits_for_simulated_time() -> None:
    async with played({HOT: WHOLE}, nodes=2) as chain:
        chain.faults[1].latency = timedelta(hours=1)
        async with electrum(urls(chain)[1]) as server:
            await server.send({"jsonrpc": "2.0", "id": 1, "method": "server.ping", "params": []})
            await eventually(lambda: chain.requests == 1)
            await chain.__aexit__(None, None, None)
            assert await server.is_hung_up()
