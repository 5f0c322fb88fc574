"""A small Bitcoin Core of ours before a scripted ledger: JSON-RPC over HTTP, read-only.

Source: Bitcoin Core's RPC documentation (bitcoincore.org/en/doc). What the connector asks, and no more.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Collection, Mapping, Sequence

from aiohttp import web

from connectors.bitcoin.address import script_of
from connectors.errors import BadAddress
from daemon.replay.bitcoin.answers import (
    INVALID_PARAMETER,
    MISCELLANEOUS,
    NO_METHOD,
    NOT_FOUND,
    PARSE_ERROR,
    WRONG_TYPE,
    Found,
    Output,
    RpcError,
    answered,
    coins,
    dump,
)
from daemon.replay.bitcoin.ledger import REGTEST
from daemon.replay.bitcoin.scans import Scans
from daemon.replay.bitcoin.serial import Block, Transaction
from daemon.replay.bitcoin.view import View
from daemon.replay.faults import Answering, Door
from daemon.replay.loopback import Loopback

LARGEST_REQUEST = 32 * 2**20  # bytes: httpserver.cpp, MAX_SIZE
MEDIAN_OF = 11
"""Blocks whose median time is the chain's (chain.h, nMedianTimeSpan)."""

SIZE = 64
"""Hexadecimal digits of a hash."""

Method = Callable[..., object]


class CoreRpc:
    """Answers requests by what `view` knows."""

    def __init__(self, view: View) -> None:
        self._view = view
        self._scans = Scans(find=self._find, script_of=_script_of)
        self._methods: Mapping[str, tuple[Method, int, int]] = {
            "getblockchaininfo": (self._info, 0, 0),
            "getbestblockhash": (lambda: view.tip.hash, 0, 0),
            "getblockcount": (lambda: view.height, 0, 0),
            "getblockhash": (self._block_hash, 1, 1),
            "getblockheader": (self._header, 1, 2),
            "getblock": (self._block, 1, 2),
            "getrawmempool": (self._mempool, 0, 1),
            "getrawtransaction": (self._transaction, 1, 2),
            "getmempoolentry": (self._entry, 1, 1),
        }
        """Each with how many parameters it takes, at least and at most."""

    async def dispatch(self, method: str, params: Sequence[object]) -> object:
        """The result of a call. Raises RpcError."""
        if method == "scantxoutset":
            return await self._scans.answer(*params[:2])
        if method not in self._methods:
            raise RpcError(NO_METHOD, "Method not found")
        call, least, most = self._methods[method]
        if not least <= len(params) <= most:
            raise RpcError(MISCELLANEOUS, f"{method} takes {least} to {most} parameters")
        return call(*params)

    def _info(self) -> dict[str, object]:
        tip = self._view.tip
        times = [block.time for height in range(MEDIAN_OF) if (block := self._view.block(tip.height - height))]
        return {
            "chain": "regtest",
            "blocks": tip.height,
            "headers": tip.height,
            "bestblockhash": tip.hash,
            "bits": tip.header[72:76][::-1].hex(),
            "target": "7fffff" + "00" * 29,
            "difficulty": 4.656542373906925e-10,
            "time": tip.time,
            "mediantime": sorted(times)[len(times) // 2],
            "verificationprogress": 1,
            "initialblockdownload": False,
            "chainwork": f"{2 * (tip.height + 1):064x}",
            "size_on_disk": 300 * (tip.height + 1),
            "pruned": False,
            "warnings": [],
        }

    def _block_hash(self, height: object) -> str:
        if type(height) is not int:
            raise RpcError(WRONG_TYPE, "JSON value is not an integer as expected")
        block = self._view.block(height)
        if block is None:
            raise RpcError(INVALID_PARAMETER, "Block height out of range")
        return block.hash

    def _header(self, block_hash: object, verbose: object = True) -> str:  # noqa: FBT002 - as in the protocol
        _only_raw(verbose, raw=False)
        return self._found(block_hash).header.hex()

    def _block(self, block_hash: object, verbosity: object = 1) -> str:
        _only_raw(verbosity, raw=0)
        return self._found(block_hash).raw.hex()

    def _found(self, block_hash: object) -> Block:
        block = self._view.block_of(_hash(block_hash))
        if block is None:
            raise RpcError(NOT_FOUND, "Block not found")
        return block

    def _mempool(self, verbose: object = False) -> list[str]:  # noqa: FBT002 - as in the protocol
        _only_raw(verbose, raw=False)
        return list(self._view.mempool)

    def _transaction(self, txid: object, verbosity: object = 0) -> str:
        _only_raw(verbosity, raw=0)
        found = self._view.transaction(_hash(txid))
        if found is None:
            raise RpcError(NOT_FOUND, "No such mempool or blockchain transaction. Use gettransaction for wallet ones.")
        return found.raw.hex()

    def _entry(self, txid: object) -> dict[str, object]:
        found = self._view.pending(_hash(txid))
        if found is None:
            raise RpcError(NOT_FOUND, "Transaction not in mempool")
        return self._described(found)

    def _described(self, one: Transaction) -> dict[str, object]:
        """Packages are told as if each transaction came alone, but for what it spends of."""
        fee = coins(one.fee)
        mempool = self._view.mempool
        return {
            "vsize": one.vsize,
            "weight": one.weight,
            "time": self._view.tip.time,
            "height": self._view.height,
            "descendantcount": 1,
            "descendantsize": one.vsize,
            "ancestorcount": 1,
            "ancestorsize": one.vsize,
            "wtxid": one.wtxid,
            "fees": {"base": fee, "modified": fee, "ancestor": fee, "descendant": fee},
            "depends": sorted({parent for parent, _ in one.inputs if parent in mempool}),
            "spentby": [],
            "bip125-replaceable": True,
            "unbroadcast": False,
        }

    async def _find(self, scripts: Collection[str]) -> Found:
        view = self._view
        found = [coin for script in sorted(scripts) for coin in view.coins(_script(script))]
        outputs = {
            coin.outpoint: Output(coin.script.hex(), coins(coin.units), coin.height, coin.coinbase) for coin in found
        }
        return Found(view.height, view.tip.hash, view.count(), outputs)


class CoreNode(Loopback):
    """Serves JSON-RPC at `url` while entered; every request comes through the door."""

    def __init__(self, view: View, *, door: Door) -> None:
        super().__init__(self._run)
        self._rpc = CoreRpc(view)
        self._door = door
        self._answering: set[asyncio.Task[object]] = set()

    async def go_dark(self) -> None:
        """Whoever still waits for an answer gets none: simulated time may never go on."""
        for task in tuple(self._answering):
            task.cancel()
        await super().go_dark()

    def _run(self) -> web.ServerRunner:
        # Without an Application around it, a request costs half as much: it needs no routes but our own.
        return web.ServerRunner(web.Server(self._handle, access_log=None), shutdown_timeout=0.1)

    async def _handle(self, request: web.BaseRequest) -> web.Response:
        if request.method != "POST":
            return web.Response(status=405, headers={"Allow": "POST"})
        body = await request.content.read()
        if len(body) > LARGEST_REQUEST:
            return web.Response(status=413)
        task = asyncio.current_task()
        assert task is not None, "requests are served by tasks"
        self._answering.add(task)
        try:
            return await self._let_in(body)
        finally:
            self._answering.discard(task)

    async def _let_in(self, body: bytes) -> web.Response:
        """Bitcoin Core says 503 when its work queue is full (httpserver.cpp); 429 is what a proxy before it says."""
        how = await self._door.enter()
        try:
            if how is Answering.TOO_MANY:
                return web.Response(status=429, headers={"Retry-After": "1"})
            if how is Answering.FAILING:
                return web.Response(status=503, text="Work queue depth exceeded")
            status, answer = await self._answer(body)
            return web.json_response(answer, status=status, dumps=dump)
        finally:
            self._door.leave()

    async def _answer(self, body: bytes) -> tuple[int, object]:
        try:
            request = json.loads(body)
        except ValueError:
            refusal = {"code": PARSE_ERROR, "message": "Parse error"}
            return 500, {"result": None, "error": refusal, "id": None}
        return await answered(request, self._rpc.dispatch)


def _only_raw(verbosity: object, *, raw: object) -> None:
    """Nothing is told taken apart: who reads it does that itself."""
    if verbosity not in (False, 0):
        raise RpcError(INVALID_PARAMETER, f"this node tells nothing taken apart: ask with {json.dumps(raw)}")


def _hash(value: object) -> str:
    if not isinstance(value, str):
        raise RpcError(WRONG_TYPE, "JSON value is not a string as expected")
    if len(value) != SIZE:
        raise RpcError(INVALID_PARAMETER, f"hash must be of length {SIZE} (not {len(value)}, for '{value}')")
    return value.lower()


def _script(text: str) -> bytes:
    try:
        return bytes.fromhex(text)
    except ValueError:
        raise RpcError(NOT_FOUND, "Raw script is not hex") from None


async def _script_of(address: str) -> str | None:
    try:
        return script_of(address, network=REGTEST).hex()
    except BadAddress:
        return None
