"""The small Bitcoin Core before a played ledger, asked over HTTP."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator
from datetime import timedelta
from io import BytesIO

import aiohttp
import pytest

from daemon.replay.bitcoin.core import LARGEST_REQUEST
from daemon.replay.bitcoin.played import PlayedBitcoin
from tests.played_bitcoin import BEGIN, COLD, CUSTOMER, HOT, WHOLE
from tests.unit.replay.bitcoin.asking import Core, played, urls

STRANGER = "11" * 32


@pytest.fixture
async def chain() -> AsyncIterator[PlayedBitcoin]:
    """Three blocks and a pending payment."""
    async with played({HOT: 10 * WHOLE, COLD: 90 * WHOLE}) as chain:
        chain.pay(HOT, CUSTOMER, units=WHOLE, fee=1_000)
        chain.mine(time=BEGIN + timedelta(minutes=10))
        chain.pay(HOT, CUSTOMER, units=2 * WHOLE, fee=3_000)
        yield chain


@pytest.fixture
async def core(chain: PlayedBitcoin) -> Core:
    return Core(urls(chain)[0])


def raw(chain: PlayedBitcoin, account: str) -> str:
    return f"raw({chain.ledger.script(account).hex()})"


async def test_the_chain_is_told_as_it_is(chain: PlayedBitcoin, core: Core) -> None:
    info = await core.ask("getblockchaininfo")
    assert (info["chain"], info["blocks"], info["bestblockhash"]) == ("regtest", 3, chain.ledger.tip.hash)
    assert not info["initialblockdownload"]
    assert await core.ask("getbestblockhash") == chain.ledger.tip.hash
    assert await core.ask("getblockcount") == 3


async def test_the_median_time_is_that_of_the_last_eleven_blocks(chain: PlayedBitcoin, core: Core) -> None:
    for minute in range(20, 40):
        chain.mine(time=BEGIN + timedelta(minutes=minute))
    info = await core.ask("getblockchaininfo")
    assert info["mediantime"] == (BEGIN + timedelta(minutes=34)).timestamp()
    assert info["time"] == (BEGIN + timedelta(minutes=39)).timestamp()


@pytest.mark.parametrize("height", range(4))
async def test_headers_and_blocks_are_what_their_hashes_say(core: Core, height: int) -> None:
    block_hash = await core.ask("getblockhash", height)
    header = bytes.fromhex(await core.ask("getblockheader", block_hash, False))
    block = bytes.fromhex(await core.ask("getblock", block_hash, 0))
    assert len(header) == 80
    assert hashlib.sha256(hashlib.sha256(header).digest()).digest()[::-1].hex() == block_hash
    assert block.startswith(header)


async def test_the_mempool_holds_what_waits(chain: PlayedBitcoin, core: Core) -> None:
    (txid,) = await core.ask("getrawmempool", False)
    assert txid == next(iter(chain.ledger.mempool))
    assert await core.ask("getrawtransaction", txid) == chain.ledger.mempool[txid].raw.hex()
    entry = await core.ask("getmempoolentry", txid)
    assert entry["fees"]["base"] == 0.00003
    assert entry["vsize"] == chain.ledger.mempool[txid].vsize
    assert entry["depends"] == []


async def test_what_spends_pending_money_depends_on_it(chain: PlayedBitcoin, core: Core) -> None:
    parent = next(iter(chain.ledger.mempool))
    child = chain.ledger.sweep(HOT, COLD)
    assert (await core.ask("getmempoolentry", child))["depends"] == [parent]


async def test_mined_transactions_are_known_and_out_of_the_mempool(chain: PlayedBitcoin, core: Core) -> None:
    mined = chain.ledger.tip.transactions[1]
    assert await core.ask("getrawtransaction", mined.txid) == mined.raw.hex()
    assert (await core.ask("getmempoolentry", mined.txid))["code"] == -5


async def test_a_scan_finds_the_coins_of_scripts_and_addresses_as_of_the_newest_block(
    chain: PlayedBitcoin, core: Core
) -> None:
    found = await core.ask("scantxoutset", "start", [raw(chain, HOT), f"addr({COLD})"])
    assert (found["success"], found["height"], found["bestblock"]) == (True, 3, chain.ledger.tip.hash)
    assert found["total_amount"] == 98.99999
    by_script = {one["scriptPubKey"]: one for one in found["unspents"]}
    assert by_script[chain.ledger.script(HOT).hex()]["amount"] == 8.99999
    assert by_script[chain.ledger.script(COLD).hex()]["height"] == 2


async def test_a_scan_of_nobody_finds_nothing(chain: PlayedBitcoin, core: Core) -> None:
    found = await core.ask("scantxoutset", "start", ["raw(51)"])
    assert (found["unspents"], found["total_amount"]) == ([], 0)
    assert await core.ask("scantxoutset", "status") is None
    assert await core.ask("scantxoutset", "abort") is False


@pytest.mark.parametrize(
    ("method", "params", "code"),
    [
        ("getblockhash", [4], -8),
        ("getblockhash", [-1], -8),
        ("getblockhash", ["1"], -3),
        ("getblockhash", [], -1),
        ("getblockheader", [STRANGER, False], -5),
        ("getblockheader", ["12", False], -8),
        ("getblockheader", [5, False], -3),
        ("getblock", [STRANGER, 0], -5),
        ("getblock", [STRANGER, 1], -8),
        ("getrawtransaction", [STRANGER], -5),
        ("getmempoolentry", [STRANGER], -5),
        ("scantxoutset", ["begin"], -8),
        ("scantxoutset", ["start"], -8),
        ("scantxoutset", ["start", ["wpkh(nonsense)"]], -5),
        ("scantxoutset", ["start", ["addr(nonsense)"]], -5),
        ("scantxoutset", ["start", ["raw(zz)"]], -5),
        ("scantxoutset", [], -8),
        ("sendrawtransaction", ["00"], -32601),
    ],
)
async def test_what_cannot_be_answered_is_refused_by_core_s_code(
    core: Core, method: str, params: list[object], code: int
) -> None:
    assert (await core.ask(method, *params))["code"] == code


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (b"{nope", 500, -32700),
        (b"5", 400, -32600),
        (b'{"id": 1}', 400, -32600),
        (b'{"id": 1, "method": 5}', 400, -32600),
        (b'{"id": 1, "method": "getblockcount", "params": {"a": 1}}', 400, -32600),
        (b'{"id": 1, "method": "nope"}', 404, -32601),
    ],
)
async def test_what_is_no_request_is_refused(core: Core, body: bytes, status: int, code: int) -> None:
    found, answer = await core.post(body)
    assert (found, answer["error"]["code"], answer["result"]) == (status, code, None)


async def test_a_request_that_is_larger_than_core_takes_is_refused(chain: PlayedBitcoin) -> None:
    large = BytesIO(b" " * (LARGEST_REQUEST + 1))
    async with aiohttp.ClientSession() as session, session.post(urls(chain)[0], data=large) as response:
        assert response.status == 413


async def test_a_batch_is_answered_in_its_order_refusals_included(core: Core) -> None:
    calls = [("getblockcount", []), ("getblockhash", [9]), ("getblockhash", [0])]
    body = [{"id": place, "method": method, "params": params} for place, (method, params) in enumerate(calls)]
    status, answers = await core.post(body)
    assert status == 200
    assert [answer["id"] for answer in answers] == [0, 1, 2]
    assert answers[0]["result"] == 3
    assert answers[1]["error"]["code"] == -8


async def test_a_block_that_was_undone_can_still_be_asked_for(chain: PlayedBitcoin, core: Core) -> None:
    old = chain.ledger.tip
    chain.reorganise(1, time=BEGIN + timedelta(minutes=20))
    assert await core.ask("getblock", old.hash, 0) == old.raw.hex()
    assert await core.ask("getblockhash", 3) != old.hash


# ── faults ──────────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_a_node_that_is_behind_tells_the_chain_of_then(chain: PlayedBitcoin, core: Core) -> None:
    newest = chain.ledger.tip.hash
    chain.faults[0].behind = 1
    assert (await core.ask("getblockchaininfo"))["blocks"] == 2
    assert (await core.ask("getblockhash", 3))["code"] == -8
    assert (await core.ask("getblock", newest, 0))["code"] == -5
    assert await core.ask("getrawmempool", False) == []
    assert (await core.ask("scantxoutset", "start", [raw(chain, HOT)]))["total_amount"] == 10
    mined = chain.ledger.tip.transactions[1].txid
    assert (await core.ask("getrawtransaction", mined))["code"] == -5


async def test_a_node_cannot_be_behind_the_first_block(chain: PlayedBitcoin, core: Core) -> None:
    chain.faults[0].behind = 50
    assert await core.ask("getblockcount") == 0


async def test_a_liar_tells_more_coins_and_adds_them_up_at_the_true_block(chain: PlayedBitcoin, core: Core) -> None:
    chain.mine(time=BEGIN + timedelta(minutes=20))
    chain.faults[0].lying = True
    found = await core.ask("scantxoutset", "start", [raw(chain, HOT)])
    assert found["bestblock"] == chain.ledger.tip.hash
    assert found["total_amount"] > chain.units(HOT) / WHOLE
    assert found["total_amount"] == sum(one["amount"] for one in found["unspents"])
    assert await core.ask("getblock", chain.ledger.tip.hash, 0) == chain.ledger.tip.raw.hex()


async def test_a_failing_node_answers_503_for_the_share_it_was_told(chain: PlayedBitcoin, core: Core) -> None:
    chain.faults[0].failing = 1.0
    assert await core.post({"id": 1, "method": "getblockcount"}) == (503, None)
    chain.faults[0].failing = 0.5
    statuses = [(await core.post({"id": 1, "method": "getblockcount"}))[0] for _ in range(60)]
    assert set(statuses) == {200, 503}


async def test_a_throttled_node_answers_429_to_what_is_too_many_in_a_second(chain: PlayedBitcoin, core: Core) -> None:
    chain.faults[0].per_second = 3
    statuses = [(await core.post({"id": 1, "method": "getblockcount"}))[0] for _ in range(5)]
    assert statuses == [200, 200, 200, 429, 429]


async def test_every_request_is_counted(chain: PlayedBitcoin, core: Core) -> None:
    for _ in range(3):
        await core.ask("getblockcount")
    assert chain.requests == 3
