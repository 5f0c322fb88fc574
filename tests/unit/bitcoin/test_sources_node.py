"""Bitcoin Core's answers by its documentation, and answers that can't be."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from connectors.bitcoin.sources.base import Coin, Pruned
from connectors.bitcoin.sources.identity import Asked
from connectors.bitcoin.sources.node import NodeSource
from connectors.bitcoin.sources.scan import ScanLimits
from connectors.errors import BadAnswer, ConnectorError, Misconfigured, Reason, Unavailable
from connectors.follow import UnknownBlock
from connectors.transport import Retry
from tests.unit.bitcoin.lines import GENESIS, GENESIS_HEADER
from tests.unit.connectors.server import Server, answering, http, serving, transport_to

SCRIPT = bytes.fromhex("76a91462e907b15cbf27d5425399ebf6f0fb50ebb88f1888ac")
UNSPENT: dict[str, Any] = {
    "txid": "ab" * 32,
    "vout": 1,
    "scriptPubKey": SCRIPT.hex(),
    "desc": "addr(1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa)#abcdefgh",
    "amount": 0.1,
    "coinbase": False,
    "height": 0,
    "blockhash": GENESIS,
    "confirmations": 1,
}
SCAN: dict[str, Any] = {
    "success": True,
    "txouts": 3,
    "height": 0,
    "bestblock": GENESIS,
    "unspents": [UNSPENT],
    "total_amount": 0.1,
}
"""The form that Bitcoin Core's help of scantxoutset gives."""


class Refused(Exception):
    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code


class Core:
    """Answers as a node does whose chain is the genesis block; `answers` replaces results by method."""

    def __init__(self, **answers: object) -> None:
        self.answers: dict[str, object] = {
            "getblockchaininfo": {
                "chain": "main",
                "blocks": 0,
                "bestblockhash": GENESIS,
                "initialblockdownload": False,
            },
            "getblockhash": GENESIS,
            "getblockheader": GENESIS_HEADER,
            "getrawmempool": [],
            "scantxoutset": SCAN,
            **answers,
        }

    def __call__(self, asked: Any) -> object:  # noqa: ANN401 - a JSON value
        return [self._one(one) for one in asked] if isinstance(asked, list) else self._one(asked)

    def _one(self, asked: dict[str, Any]) -> object:
        answer = self.answers.get(asked["method"], Refused(-32601, "Method not found"))
        if callable(answer):
            answer = answer(*asked["params"])
        if isinstance(answer, Refused):
            return {"result": None, "error": {"code": answer.code, "message": str(answer)}, "id": asked["id"]}
        return {"result": answer, "error": None, "id": asked["id"]}


@asynccontextmanager
async def source_on(core: Core, *, limits: ScanLimits | None = None) -> AsyncIterator[tuple[NodeSource, Server]]:
    async with (
        serving(answering(core), keep_alive=True) as server,
        transport_to(server.url, retry=Retry(attempts=1)) as transport,
    ):
        now = datetime(2026, 1, 1, tzinfo=UTC)
        yield NodeSource(transport, asked=Asked({0: GENESIS}), now=lambda: now, limits=limits), server


async def test_a_scan_is_asked_for_by_raw_descriptors_and_read_as_documented() -> None:
    async with source_on(Core()) as (source, server):
        (snapshot,) = await source.coins([SCRIPT])
        assert snapshot.coins == (Coin(b"\xab" * 32, 1, 10_000_000, SCRIPT, 0),)
        assert snapshot.header.hash == GENESIS
        scan = next(call for call in map(json_of, server.requests) if call["method"] == "scantxoutset")
        assert scan["params"] == ["start", [f"raw({SCRIPT.hex()})"]]


def json_of(request: Any) -> dict[str, Any]:  # noqa: ANN401 - a recorded request
    found: dict[str, Any] = request.json()
    return found


@pytest.mark.parametrize(
    ("text", "satoshis"),
    [
        ("0.00000001", 1),
        ("1e-8", 1),
        ("20999999.97690000", 2_099_999_997_690_000),
        ("0.29999999", 29_999_999),
        ("150000000000.12345678", 15_000_000_000_012_345_678),
        ("50", 5_000_000_000),
    ],
)
async def test_amounts_are_exact_however_large(text: str, satoshis: int) -> None:
    """Dogecoin's supply times 10**8 is more than a float holds, and more than fits a signed 64-bit integer."""
    body = json.dumps({"result": SCAN, "error": None, "id": 0}).replace("0.1", text)
    if satoshis >= 2**63:
        with pytest.raises(BadAnswer):
            await scanned(body)
    else:
        assert await scanned(body) == [satoshis]


async def scanned(body: str) -> list[int]:
    core = Core()

    async def handler(request: Any, writer: Any) -> None:  # noqa: ANN401 - as serving wants it
        asked = request.json()
        writer.write(http(body if asked["method"] == "scantxoutset" else json.dumps(core(asked))))

    async with serving(handler, keep_alive=True) as server, transport_to(server.url) as transport:
        source = NodeSource(transport, asked=Asked({0: GENESIS}), now=lambda: datetime(2026, 1, 1, tzinfo=UTC))
        (snapshot,) = await source.coins([SCRIPT])
        return [coin.value for coin in snapshot.coins]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"unspents": [UNSPENT | {"scriptPubKey": "51"}]}, "nobody asked for"),
        ({"unspents": [UNSPENT | {"height": 1}]}, "newer than the scan's block"),
        ({"unspents": [UNSPENT, UNSPENT], "total_amount": 0.2}, "twice"),
        ({"total_amount": 0.2}, "do not add up"),
        ({"unspents": []}, "do not add up"),
        ({"unspents": None}, "unspents"),
        ({"unspents": [UNSPENT | {"amount": -0.1}]}, "amount"),
        ({"unspents": [UNSPENT | {"amount": "0.1"}]}, "amount"),
        ({"unspents": [UNSPENT | {"amount": 0.000000001}]}, "eight decimals"),
        ({"unspents": [UNSPENT | {"txid": "ab"}]}, "txid"),
        ({"unspents": [UNSPENT | {"vout": -1}]}, "vout"),
        ({"bestblock": "11" * 32}, "for block 11"),
        ({"bestblock": None}, "bestblock"),
        ({"height": "0"}, "height"),
        ({"height": True}, "height"),
    ],
)
async def test_a_scan_that_can_not_be_is_a_bad_answer(change: dict[str, Any], words: str) -> None:
    async with source_on(Core(scantxoutset=SCAN | change)) as (source, _):
        with pytest.raises(BadAnswer, match=words):
            await source.coins([SCRIPT])


async def test_a_scan_that_somebody_aborted_is_unavailable() -> None:
    async with source_on(Core(scantxoutset=SCAN | {"success": False})) as (source, _):
        with pytest.raises(Unavailable, match="aborted"):
            await source.coins([SCRIPT])


async def test_a_node_too_old_to_name_the_scans_block_is_a_bad_answer() -> None:
    old = {name: value for name, value in SCAN.items() if name not in ("height", "bestblock")}
    async with source_on(Core(scantxoutset=old)) as (source, _):
        with pytest.raises(BadAnswer, match="height"):
            await source.coins([SCRIPT])


async def test_scans_of_others_are_waited_for_but_not_for_ever() -> None:
    busy = Refused(-8, 'Scan already in progress, use action "abort" or "status"')
    answers = [busy, busy, SCAN]
    core = Core(scantxoutset=lambda action, *_: answers.pop(0) if action == "start" else {"progress": 50})
    async with source_on(core) as (source, _):
        assert len(await source.coins([SCRIPT])) == 1
    async with source_on(Core(scantxoutset=busy), limits=ScanLimits(deadline=timedelta(seconds=30))) as (source, _):
        with pytest.raises(Unavailable, match="scans of others never end"):
            await source.coins([SCRIPT])


NONSENSE: list[object] = [None, 5, "", "zz", [], {}, [[]], [None], True, 1.5]
Question = Callable[[NodeSource], Any]


@pytest.mark.parametrize("nonsense", NONSENSE, ids=repr)
@pytest.mark.parametrize(
    ("method", "question"),
    [
        ("getblockchaininfo", lambda source: source.head()),
        ("getblockheader", lambda source: source.head()),
        ("getblockhash", lambda source: source.header_at(0)),
        ("getblock", lambda source: source.block(GENESIS)),
        ("getrawmempool", lambda source: source.pending([])),
        ("getrawtransaction", lambda source: source.transactions([b"\x00" * 32])),
        ("getmempoolentry", lambda source: source.fees([b"\x00" * 32])),
        ("scantxoutset", lambda source: source.coins([SCRIPT])),
    ],
)
async def test_an_answer_of_the_wrong_shape_is_a_bad_answer(method: str, question: Question, nonsense: object) -> None:
    async with source_on(Core(**{method: nonsense})) as (source, _):
        if (method, nonsense) in (("getrawmempool", []), ("getmempoolentry", {})):
            assert not getattr(await question(source), "fees", None)
            return
        with pytest.raises(BadAnswer):
            await question(source)


@pytest.mark.parametrize(
    ("refusal", "error"),
    [
        (Refused(-5, "Block not found"), UnknownBlock),
        (Refused(-1, "Block not found"), UnknownBlock),
        (Refused(-1, "Block not found on disk"), UnknownBlock),
        (Refused(-1, "Block not available (pruned data)"), Pruned),
        (Refused(-28, "Verifying blocks…"), Unavailable),
        (Refused(-32601, "Method not found"), Unavailable),
    ],
)
async def test_refusals_of_a_block_are_told_apart(refusal: Refused, error: type[ConnectorError]) -> None:
    async with source_on(Core(getblock=refusal)) as (source, _):
        with pytest.raises(error):
            await source.block(GENESIS)


async def test_a_node_that_warms_up_is_unavailable_and_not_on_another_chain() -> None:
    async with source_on(Core(getblockhash=Refused(-28, "Loading block index…"))) as (source, _):
        with pytest.raises(Unavailable, match="Loading block index") as error:
            await source.head()
        assert error.value.reason is Reason.UNAVAILABLE


async def test_a_node_that_downloads_the_chain_says_how_far_it_is() -> None:
    info = {"blocks": 0, "bestblockhash": GENESIS, "initialblockdownload": True, "verificationprogress": 0.4321}
    async with source_on(Core(getblockchaininfo=info)) as (source, _):
        with pytest.raises(Unavailable, match=r"43\.2% verified") as error:
            await source.head()
        assert error.value.reason is Reason.STALLED


async def test_an_unchanged_head_costs_one_call() -> None:
    async with source_on(Core()) as (source, server):
        await source.head()
        before = len(server.requests)
        await source.head()
        assert len(server.requests) == before + 1


async def test_headers_that_do_not_follow_each_other_are_no_answer() -> None:
    async with source_on(Core()) as (source, _):
        with pytest.raises(Unavailable, match="changed its chain"):
            await source.headers_between(0, 3)


async def test_another_block_than_asked_for_is_a_bad_answer() -> None:
    async with source_on(Core(getblock=GENESIS_HEADER + "00")) as (source, _):
        assert (await source.block(GENESIS)).hex() == GENESIS_HEADER + "00"
        with pytest.raises(BadAnswer, match="another block"):
            await source.block("11" * 32)


async def test_fees_are_read_in_the_old_form_and_the_new() -> None:
    for entry in ({"fee": 0.00001, "vsize": 141}, {"fees": {"base": 0.00001, "modified": 1}, "vsize": 141}):
        async with source_on(Core(getmempoolentry=entry)) as (source, _):
            assert await source.fees([b"\x01" * 32]) == {b"\x01" * 32: 1_000}


async def test_pending_transactions_that_are_gone_are_left_out_but_an_outage_is_none() -> None:
    gone = Refused(-5, "No such mempool or blockchain transaction")
    async with source_on(Core(getrawtransaction=gone, getmempoolentry=gone)) as (source, _):
        assert await source.transactions([b"\x01" * 32, b"\x02" * 32]) == {}
        assert await source.fees([b"\x01" * 32]) == {}
    warm = Refused(-28, "Loading")
    async with source_on(Core(getrawtransaction=warm, getmempoolentry=warm)) as (source, _):
        with pytest.raises(Unavailable):
            await source.transactions([b"\x01" * 32])
        with pytest.raises(Unavailable):
            await source.fees([b"\x01" * 32])


async def test_a_bitcoin_node_without_scans_is_misconfigured() -> None:
    async with source_on(Core(scantxoutset=Refused(-32601, "Method not found"))) as (source, _):
        with pytest.raises(Misconfigured, match=r"0\.21 or newer"):
            await source.coins([SCRIPT])
