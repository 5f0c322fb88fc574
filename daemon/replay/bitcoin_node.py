"""A small Bitcoin Core of ours before a real bcoin: adds `scantxoutset` and ZMQ notices, which bcoin does not have.

Sources: Bitcoin Core's RPC documentation (scantxoutset, getblockchaininfo), src/rpc/blockchain.cpp for its refusals,
and doc/zmq.md. Every other call goes through to the real node as it is.
"""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from types import TracebackType
from typing import Any, Self

import aiohttp
import zmq
import zmq.asyncio
from aiohttp import web

LARGEST_REQUEST = 32 * 2**20  # bytes: httpserver.cpp, MAX_SIZE

WARMING_UP, MISCELLANEOUS, INVALID_ADDRESS, INVALID_PARAMETER = -28, -1, -5, -8  # src/rpc/protocol.h

VERBOSE = (True, True)  # bcoin's form of Bitcoin Core's verbosity 2

Outpoint = tuple[str, int]


class RpcError(Exception):
    """A JSON-RPC error object."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code


@dataclass(frozen=True, slots=True)
class Output:
    """`amount` in coins, exact."""

    script: str
    amount: Decimal
    height: int
    coinbase: bool


@dataclass(slots=True)
class Connected:
    """A block and what undoes it."""

    hash: str
    made: list[Outpoint] = field(default_factory=list)
    spent: dict[Outpoint, Output] = field(default_factory=dict)


class UtxoSet:
    """Every unspent output of the chain, kept up by applying and undoing blocks in the verbose form of `getblock`."""

    def __init__(self) -> None:
        self.outputs: dict[Outpoint, Output] = {}
        self.blocks: list[Connected] = []

    def connect(self, block: Mapping[str, Any]) -> None:
        connected = Connected(block["hash"])
        for place, transaction in enumerate(block["tx"]):
            for spend in transaction["vin"]:
                if spend.get("txid") is not None:
                    outpoint = (spend["txid"], spend["vout"])
                    connected.spent[outpoint] = self.outputs.pop(outpoint)
            for output in transaction["vout"]:
                outpoint = (transaction["txid"], output["n"])
                script, amount = output["scriptPubKey"]["hex"], Decimal(output["value"])
                if script.startswith("6a") or block["height"] == 0:
                    continue  # unspendable: data, and the genesis block's reward
                self.outputs[outpoint] = Output(script, amount, block["height"], coinbase=place == 0)
                connected.made.append(outpoint)
        self.blocks.append(connected)

    def disconnect(self) -> None:
        block = self.blocks.pop()
        self.outputs |= block.spent  # made and spent in the block itself: goes with the next line
        for outpoint in block.made:
            self.outputs.pop(outpoint, None)


@dataclass(slots=True)
class Behaviour:
    """What the node is made to do; may be changed at any time.

    - `scan_seconds`: how long a scan takes
    - `warming_up`: it refuses all calls, as while it loads its index
    - `downloading`: it says that it is in its initial download
    - `pruned_below`: blocks below this height are thrown away
    - `misplaced`: where a scan wrongly says that outputs are, as with a damaged database; None: not at all
    """

    scan_seconds: float = 0.0
    warming_up: bool = False
    downloading: bool = False
    pruned_below: int = 0
    misplaced: dict[Outpoint, Outpoint | None] = field(default_factory=dict)


class BitcoinNode:
    """Serves JSON-RPC at `url` and publishes at `zmq_address` while entered.

    `upstream` is the URL of the real node, with credentials. The chain is looked at every `poll` seconds for notices.
    Nodes before one real node may share `utxos`, one after the other, to save reading the chain again.
    """

    def __init__(self, upstream: str, *, poll: float = 0.02, utxos: UtxoSet | None = None) -> None:
        self.behaviour = Behaviour()
        self.url = ""
        self.zmq_address = ""
        self.calls: Counter[str] = Counter()
        self._upstream = upstream
        self._poll = poll
        self._utxos = utxos if utxos is not None else UtxoSet()
        self._following = asyncio.Lock()
        self._scan: _Scan | None = None
        self._sequences: Counter[str] = Counter()
        self._session: aiohttp.ClientSession | None = None
        self._runner: web.AppRunner | None = None
        self._context = zmq.asyncio.Context()
        self._socket: zmq.asyncio.Socket | None = None
        self._publishing: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        # A node hangs up on who is idle, and may do so just as the next call is on its way.
        self._session = aiohttp.ClientSession(connector=aiohttp.TCPConnector(force_close=True))
        application = web.Application(client_max_size=LARGEST_REQUEST)
        application.router.add_post("/", self._post)
        self._runner = web.AppRunner(application, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}"
        await self.publish()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.fall_silent()
        self._context.destroy(linger=0)
        if self._runner is not None:
            await self._runner.cleanup()
        if self._session is not None:
            await self._session.close()

    # ── ZMQ ─────────────────────────────────────────────────────────────────────────────────────────────────────────

    async def publish(self) -> None:
        """Publishes from now on, at the same address as before; sequence numbers begin anew, as after a restart."""
        self._sequences.clear()
        self._socket = self._context.socket(zmq.PUB)
        self._socket.bind(self.zmq_address or "tcp://127.0.0.1:*")
        self.zmq_address = self._socket.getsockopt_string(zmq.LAST_ENDPOINT)
        known = (await self._ask("getbestblockhash"), set(await self._ask("getrawmempool")))
        self._publishing = asyncio.create_task(self._follow_for_notices(*known), name="bitcoin node notices")

    async def fall_silent(self) -> None:
        """Closes the publisher's socket."""
        if self._publishing is not None:
            self._publishing.cancel()
            await asyncio.wait([self._publishing])
            self._publishing = None
        if self._socket is not None:
            self._socket.close(linger=0)
            self._socket = None

    def lose(self, topic: str) -> None:
        """The next notice of this topic gets lost: only its number is used up."""
        self._sequences[topic] += 1

    async def send(self, topic: str, body: bytes) -> None:
        """Publishes this notice."""
        assert self._socket is not None, "the node does not publish"
        number = self._sequences[topic].to_bytes(4, "little")
        self._sequences[topic] = (self._sequences[topic] + 1) % 2**32
        await self._socket.send_multipart([topic.encode(), body, number])

    async def _follow_for_notices(self, tip: str, pool: set[str]) -> None:
        """As Bitcoin Core: the hash of a new tip only, transactions when they come and again when they are mined."""
        while True:
            await asyncio.sleep(self._poll)
            best = await self._ask("getbestblockhash")
            if best != tip:
                for raw in await self._mined_since(tip, best=best):
                    await self.send("rawtx", raw)
                await self.send(
                    "hashblock", bytes.fromhex(best)
                )  # in display order: zmqpublishnotifier.cpp reverses it
                tip = best
            now = set(await self._ask("getrawmempool"))
            for txid in now - pool:
                try:
                    raw = await self._ask("getrawtransaction", txid)
                except RpcError:
                    continue
                await self.send("rawtx", bytes.fromhex(raw))
            pool = now

    async def _mined_since(self, tip: str, *, best: str) -> Sequence[bytes]:
        """Transactions of the blocks on the way from the old tip, or from where the branches part, to the new one."""
        raws: list[bytes] = []
        old, new = await self._block(tip), await self._block(best)
        while new["hash"] != old["hash"]:
            if new["height"] > old["height"]:
                raws = [bytes.fromhex(await self._ask("getrawtransaction", one["txid"])) for one in new["tx"]] + raws
                new = await self._block(new["previousblockhash"])
            else:
                old = await self._block(old["previousblockhash"])
        return raws

    # ── JSON-RPC ────────────────────────────────────────────────────────────────────────────────────────────────────

    async def _post(self, request: web.Request) -> web.Response:
        asked = json.loads(await request.read())
        if isinstance(asked, list):
            return web.json_response([(await self._answer(one))[1] for one in asked], dumps=_dump)
        status, answer = await self._answer(asked)
        return web.json_response(answer, status=status, dumps=_dump)

    async def _answer(self, request: Mapping[str, Any]) -> tuple[int, dict[str, object]]:
        """HTTP status and body: refusals come under 500, as in httprpc.cpp."""
        method, params = request["method"], request.get("params", [])
        self.calls[method] += 1
        try:
            return 200, {"result": await self._dispatch(method, params), "error": None, "id": request.get("id")}
        except RpcError as error:
            refusal = {"code": error.code, "message": str(error)}
            return 500, {"result": None, "error": refusal, "id": request.get("id")}

    async def _dispatch(self, method: str, params: Sequence[Any]) -> object:
        if self.behaviour.warming_up:
            raise RpcError(WARMING_UP, "Loading block index…")
        if method == "scantxoutset":
            return await self._scantxoutset(*params)
        if method == "getblock" and self.behaviour.pruned_below:
            block = await self._block(params[0])
            if block["height"] < self.behaviour.pruned_below:
                raise RpcError(MISCELLANEOUS, "Block not available (pruned data)")
        result = await self._ask(method, *params)
        return (
            result | {"initialblockdownload": self.behaviour.downloading} if method == "getblockchaininfo" else result
        )

    async def _scantxoutset(self, action: str, objects: Sequence[object] = ()) -> object:
        if action == "status":
            return None if self._scan is None else {"progress": self._scan.progress}
        if action == "abort":
            if self._scan is not None:
                self._scan.aborted = True
            return self._scan is not None
        if action != "start":
            raise RpcError(INVALID_PARAMETER, f"Invalid action '{action}'")
        if self._scan is not None:
            raise RpcError(INVALID_PARAMETER, 'Scan already in progress, use action "abort" or "status"')
        self._scan = scan = _Scan()
        try:
            scripts = {await self._script(one) for one in objects}
            await self._catch_up()
            found = self._found(scripts)
            height, block, count = len(self._utxos.blocks) - 1, self._utxos.blocks[-1].hash, len(self._utxos.outputs)
            await scan.run(self.behaviour.scan_seconds)
        finally:
            self._scan = None
        return {
            "success": not scan.aborted,
            "txouts": count,
            "height": height,
            "bestblock": block,
            "unspents": [_unspent(place, one, tip=height) for place, one in found.items()],
            "total_amount": sum((one.amount for one in found.values()), Decimal(0)),
        }

    def _found(self, scripts: Container[str]) -> dict[Outpoint, Output]:
        right = {place: one for place, one in self._utxos.outputs.items() if one.script in scripts}
        told = {self.behaviour.misplaced.get(place, place): one for place, one in right.items()}
        return {place: one for place, one in told.items() if place is not None}

    async def _script(self, scan_object: object) -> str:
        """Of the descriptors those that name one script: raw(HEX) and addr(ADDRESS), with or without a checksum."""
        text = scan_object["desc"] if isinstance(scan_object, dict) else scan_object
        kind, _, rest = str(text).partition("#")[0].partition("(")
        if not rest.endswith(")") or kind not in ("raw", "addr"):
            raise RpcError(INVALID_ADDRESS, f"'{text}' is not a valid descriptor function")
        if kind == "raw":
            return rest[:-1]
        known = await self._ask("validateaddress", rest[:-1])
        if not known["isvalid"]:
            raise RpcError(INVALID_ADDRESS, "Address is not valid")
        return str(known["scriptPubKey"])

    async def _catch_up(self) -> None:
        """Brings the UTXO set to the real node's newest block."""
        async with self._following:
            branch = [await self._block(await self._ask("getbestblockhash"))]
            blocks = self._utxos.blocks
            while branch[-1]["height"] and not self._knows(branch[-1]["previousblockhash"], branch[-1]["height"] - 1):
                branch.append(await self._block(branch[-1]["previousblockhash"]))
            while len(blocks) > branch[-1]["height"]:
                self._utxos.disconnect()
            for block in reversed(branch):
                self._utxos.connect(block)

    def _knows(self, block: str, height: int) -> bool:
        return height < len(self._utxos.blocks) and self._utxos.blocks[height].hash == block

    async def _block(self, block: str) -> dict[str, Any]:
        """With its transactions taken apart."""
        found: dict[str, Any] = await self._ask("getblock", block, *VERBOSE)
        return found

    async def _ask(self, method: str, *params: object) -> Any:  # noqa: ANN401 - a JSON value
        """Of the real node; whole numbers are int, others Decimal."""
        assert self._session is not None, "the node is not running"
        request = {"method": method, "params": params, "id": 0}
        async with self._session.post(self._upstream, json=request) as response:
            answer = json.loads(await response.read(), parse_float=Decimal)
        if answer["error"] is not None:
            raise RpcError(answer["error"]["code"], answer["error"]["message"])
        return answer["result"]


@dataclass(slots=True)
class _Scan:
    progress: int = 0
    aborted: bool = False

    async def run(self, seconds: float) -> None:
        for percent in range(0, 100, 5):
            self.progress = percent
            if self.aborted:
                return
            await asyncio.sleep(seconds / 20)


def _unspent(place: Outpoint, output: Output, *, tip: int) -> dict[str, object]:
    return {
        "txid": place[0],
        "vout": place[1],
        "scriptPubKey": output.script,
        "desc": f"raw({output.script})",
        "amount": output.amount,
        "coinbase": output.coinbase,
        "height": output.height,
        "confirmations": tip - output.height + 1,
    }


def _dump(answer: object) -> str:
    """A float holds amounts exactly to the satoshi, up to 90 million coins."""
    return json.dumps(answer, default=_number)


def _number(amount: object) -> float:
    if not isinstance(amount, Decimal):
        raise TypeError(f"{type(amount).__name__} has no form in JSON")
    return float(amount)
