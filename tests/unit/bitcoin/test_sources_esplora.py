"""Esplora's answers by its API.md, and answers that can't be."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

import pytest

from connectors.bitcoin.sources.base import Coin, esplora_hash
from connectors.bitcoin.sources.esplora import EsploraSource
from connectors.bitcoin.sources.identity import Asked
from connectors.errors import BadAnswer, ConnectorError, Misconfigured, RateLimited, Unavailable
from connectors.follow import UnknownBlock
from connectors.transport import Retry
from tests.unit.bitcoin.lines import GENESIS, GENESIS_HEADER
from tests.unit.connectors.server import Request, Server, http, serving, transport_to

SCRIPT = bytes.fromhex("76a91462e907b15cbf27d5425399ebf6f0fb50ebb88f1888ac")
PLACE = f"/api/scripthash/{esplora_hash(SCRIPT)}"
TXID = "ab" * 32
NO_TOTALS = dict.fromkeys(("funded_txo_count", "funded_txo_sum", "spent_txo_count", "spent_txo_sum", "tx_count"), 0)
TOTALS = NO_TOTALS | {"funded_txo_count": 1, "funded_txo_sum": 700, "tx_count": 1}
COIN: dict[str, Any] = {
    "txid": TXID,
    "vout": 1,
    "status": {"confirmed": True, "block_height": 0, "block_hash": GENESIS, "block_time": 1231006505},
    "value": 700,
}

Answers = dict[str, object]


def honest() -> Answers:
    """By path: text, JSON values, or the bytes of a whole HTTP answer."""
    return {
        "/api/blocks/tip/hash": GENESIS,
        "/api/block-height/0": GENESIS,
        f"/api/block/{GENESIS}": {"id": GENESIS, "height": 0, "timestamp": 1231006505, "previousblockhash": None},
        f"/api/block/{GENESIS}/header": GENESIS_HEADER,
        f"/api/block/{GENESIS}/raw": http(bytes.fromhex(GENESIS_HEADER)),
        PLACE: {"scripthash": "", "chain_stats": TOTALS, "mempool_stats": NO_TOTALS},
        f"{PLACE}/utxo": [COIN],
        f"{PLACE}/txs/mempool": [],
    }


@asynccontextmanager
async def source_on(answers: Answers) -> AsyncIterator[tuple[EsploraSource, Server]]:
    async def handler(request: Request, writer: asyncio.StreamWriter) -> None:
        answer = answers.get(request.target, http("Not found", status=404))
        if not isinstance(answer, bytes):
            answer = http(answer if isinstance(answer, str) else json.dumps(answer))
        writer.write(answer)

    async with (
        serving(handler, keep_alive=True) as server,
        transport_to(f"{server.url}/api", retry=Retry(attempts=1)) as transport,
    ):
        now = datetime(2026, 1, 1, tzinfo=UTC)
        yield EsploraSource(transport, asked=Asked({0: GENESIS}), now=lambda: now), server


async def test_coins_are_read_as_documented() -> None:
    async with source_on(honest()) as (source, _):
        (snapshot,) = await source.coins([SCRIPT])
        assert snapshot.coins == (Coin(b"\xab" * 32, 1, 700, SCRIPT, 0),)
        assert snapshot.header.hash == GENESIS


async def test_a_coin_that_only_something_pending_hides_is_found() -> None:
    answers = honest() | {
        f"{PLACE}/utxo": [],
        f"{PLACE}/txs/mempool": [
            {"txid": "cd" * 32, "fee": 5, "vin": [
                {"txid": TXID, "vout": 1, "prevout": {"scriptpubkey": SCRIPT.hex(), "value": 700}},
                {"txid": "ee" * 32, "vout": 0, "prevout": {"scriptpubkey": "51", "value": 9}},
                {"txid": "ff" * 32, "vout": 0, "prevout": None},
            ]}
        ],
        f"/api/tx/{TXID}/status": {"confirmed": True, "block_height": 0},
    }  # fmt: skip
    async with source_on(answers) as (source, _):
        (snapshot,) = await source.coins([SCRIPT])
        assert snapshot.coins == (Coin(b"\xab" * 32, 1, 700, SCRIPT, 0),)


NONSENSE: list[object] = ["", "zz", "null", 5, [None], [[]], {"x": 1}, True, http(b"\xff\xfe"), http("{" * 5000)]
Question = Callable[[EsploraSource], Any]


@pytest.mark.parametrize("nonsense", NONSENSE, ids=lambda value: repr(value)[:20])
@pytest.mark.parametrize(
    ("path", "question"),
    [
        ("/api/blocks/tip/hash", lambda source: source.head()),
        ("/api/block-height/0", lambda source: source.head()),
        (f"/api/block/{GENESIS}/header", lambda source: source.head()),
        (f"/api/block/{GENESIS}/raw", lambda source: source.block(GENESIS)),
        (PLACE, lambda source: source.coins([SCRIPT])),
        (f"{PLACE}/utxo", lambda source: source.coins([SCRIPT])),
        (f"{PLACE}/txs/mempool", lambda source: source.pending([SCRIPT])),
        (f"/api/tx/{TXID}/hex", lambda source: source.transactions([b"\xab" * 32])),
    ],
)
async def test_an_answer_of_the_wrong_shape_is_a_bad_answer(path: str, question: Question, nonsense: object) -> None:
    async with source_on(honest() | {path: nonsense}) as (source, _):
        with pytest.raises(BadAnswer):
            await question(source)


@pytest.mark.parametrize("nonsense", NONSENSE[2:], ids=lambda value: repr(value)[:20])
async def test_a_block_of_the_wrong_shape_is_a_bad_answer(nonsense: object) -> None:
    answers = honest() | {"/api/blocks/tip/hash": "11" * 32, f"/api/block/{'11' * 32}": nonsense}
    async with source_on(answers) as (source, _):
        with pytest.raises(BadAnswer):
            await source.head()


async def test_a_description_of_another_block_is_a_bad_answer() -> None:
    answers = honest() | {"/api/blocks/tip/hash": "11" * 32, f"/api/block/{'11' * 32}": {"id": GENESIS, "height": 0}}
    async with source_on(answers) as (source, _):
        with pytest.raises(BadAnswer, match="described block"):
            await source.head()


@pytest.mark.parametrize(
    ("coin", "error"),
    [
        (COIN | {"value": -1}, BadAnswer),
        (COIN | {"value": 1.5}, BadAnswer),
        (COIN | {"vout": "1"}, BadAnswer),
        (COIN | {"txid": "ab"}, BadAnswer),
        (COIN | {"status": {"confirmed": True}}, BadAnswer),
        (COIN | {"status": {"confirmed": "perhaps", "block_height": 0}}, BadAnswer),
        (COIN | {"status": {"confirmed": True, "block_height": 7}}, BadAnswer),
        (COIN | {"value": 701}, Unavailable),
        (COIN | {"status": {"confirmed": False}}, Unavailable),
    ],
)
async def test_a_coin_that_can_not_be_is_never_told(coin: object, error: type[ConnectorError]) -> None:
    async with source_on(honest() | {f"{PLACE}/utxo": [coin]}) as (source, _):
        with pytest.raises(error):
            await source.coins([SCRIPT])


async def test_limits_and_wrong_places_are_told_apart() -> None:
    limited = http("Too Many Requests", status=429, headers={"Retry-After": "30"})
    async with source_on(honest() | {PLACE: limited}) as (source, _):
        with pytest.raises(RateLimited):
            await source.coins([SCRIPT])
    async with source_on({}) as (source, _):
        with pytest.raises(Misconfigured, match="is its URL right"):
            await source.head()
        with pytest.raises(UnknownBlock):
            await source.block(GENESIS)
    async with source_on(honest() | {PLACE: http("oops", status=500)}) as (source, _):
        with pytest.raises(Unavailable):
            await source.coins([SCRIPT])


async def test_a_refused_script_spoils_no_other() -> None:
    other = b"\x51"
    answers = honest() | {f"/api/scripthash/{esplora_hash(other)}": http("Too many history entries", status=400)}
    async with source_on(answers) as (source, _):
        (snapshot,) = await source.coins([other, SCRIPT])
        assert [coin.value for coin in snapshot.coins] == [700]
        assert list(snapshot.refused) == [other]
