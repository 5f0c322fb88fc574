"""A small Esplora server of ours before a real bcoin, for tests: as electrs answers, from a naive index of all blocks.

Source: Esplora's API.md; electrs' src/rest.rs for refusals, and its src/new_index/query.rs for what `utxo` leaves out
(outputs that the mempool spends) and when a block shows (when it is indexed).
"""

from __future__ import annotations

import asyncio
import math
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Self

from aiohttp import web

from connectors.bitcoin.sources.base import esplora_hash
from tests.integration.bcoin import BcoinError, BcoinNode, satoshis

Outpoint = tuple[str, int]
LISTED = 50
"""Pending transactions of one script that are told."""


@dataclass(frozen=True, slots=True)
class Output:
    script: str
    value: int


@dataclass(slots=True)
class Index:
    """Of the branch that ends in `tip`: transactions with their block's height, and who spends what."""

    tip: str = ""
    heights: dict[str, int] = field(default_factory=dict)
    blocks: dict[int, str] = field(default_factory=dict)
    outputs: dict[Outpoint, Output] = field(default_factory=dict)
    scripts: dict[str, list[Outpoint]] = field(default_factory=dict)
    spent: set[Outpoint] = field(default_factory=set)

    def paid(self, name: str) -> list[tuple[Outpoint, Output]]:
        """The outputs of the script of this name, spent ones too."""
        return [(place, self.outputs[place]) for place in self.scripts.get(name, ())]


@dataclass(slots=True)
class EsploraServer:
    """Serves at `url`. `most_utxos` and `listed` are electrs' limits. It looks at the node every `lag` seconds at most.

    `calls` counts by kind of path, `scripts` how often each script's totals were asked for. Servers before one real
    node may share `blocks`, one after the other, to save reading the chain again.
    """

    node: BcoinNode
    url: str = ""
    most_utxos: int = 500
    listed: int = LISTED
    lag: float = 0.0
    calls: Counter[str] = field(default_factory=Counter)
    scripts: Counter[str] = field(default_factory=Counter)
    blocks: dict[str, dict[str, Any]] = field(default_factory=dict)
    _looked: float = -math.inf
    _listed: float = -math.inf
    _pending: dict[str, dict[str, Any]] = field(default_factory=dict)
    _index: Index = field(default_factory=Index)
    _lock: asyncio.Lock = field(default_factory=asyncio.Lock)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[Self]:
        application = web.Application()
        application.router.add_get("/api/blocks/tip/hash", self._tip)
        application.router.add_get("/api/block-height/{height}", self._block_height)
        application.router.add_get("/api/block/{hash}", self._block)
        application.router.add_get("/api/block/{hash}/{form}", self._block_form)
        application.router.add_get("/api/scripthash/{hash}", self._stats)
        application.router.add_get("/api/scripthash/{hash}/utxo", self._utxo)
        application.router.add_get("/api/scripthash/{hash}/txs/mempool", self._mempool)
        application.router.add_get("/api/tx/{txid}/{form}", self._transaction)
        runner = web.AppRunner(application, access_log=None, shutdown_timeout=0.1)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        self.url = f"http://127.0.0.1:{runner.addresses[0][1]}/api"
        try:
            yield self
        finally:
            await runner.cleanup()

    # ── blocks ──────────────────────────────────────────────────────────────────────────────────────────────────────

    async def _tip(self, request: web.Request) -> web.Response:
        self.calls["tip"] += 1
        return web.Response(text=(await self._indexed()).tip)

    async def _block_height(self, request: web.Request) -> web.Response:
        found = (await self._indexed()).blocks.get(int(request.match_info["height"]))
        return web.Response(text=found) if found else web.Response(status=404, text="Block not found")

    async def _block(self, request: web.Request) -> web.Response:
        try:
            block = await self._read(request.match_info["hash"])
        except BcoinError:
            return web.Response(status=404, text="Block not found")
        told = {"id": block["hash"], "height": block["height"], "previousblockhash": block["previousblockhash"]}
        return web.json_response(told | {"timestamp": block["time"], "tx_count": len(block["tx"])})

    async def _block_form(self, request: web.Request) -> web.Response:
        block = request.match_info["hash"]
        try:
            if request.match_info["form"] == "header":
                return web.Response(text=await self.node.rpc("getblockheader", block, False))
            return web.Response(body=bytes.fromhex(await self.node.rpc("getblock", block, False)))
        except BcoinError:
            return web.Response(status=404, text="Block not found")

    # ── scripts ─────────────────────────────────────────────────────────────────────────────────────────────────────

    async def _stats(self, request: web.Request) -> web.Response:
        self.calls["stats"] += 1
        index, name = await self._indexed(), request.match_info["hash"]
        self.scripts[name] += 1
        mine = index.paid(name)
        gone = [one for place, one in mine if place in index.spent]
        chain = {
            "funded_txo_count": len(mine),
            "funded_txo_sum": sum(one.value for _, one in mine),
            "spent_txo_count": len(gone),
            "spent_txo_sum": sum(one.value for one in gone),
            "tx_count": len({place[0] for place, _ in mine}) + len(gone),
        }
        return web.json_response({"scripthash": name, "chain_stats": chain, "mempool_stats": dict.fromkeys(chain, 0)})

    async def _utxo(self, request: web.Request) -> web.Response:
        self.calls["utxo"] += 1
        index, name, pool = await self._indexed(), request.match_info["hash"], await self._pool()
        spent = index.spent | {place for one in pool.values() for place in _spends(one)}
        coins = [
            _coin(place, one.value, status={"confirmed": True, "block_height": index.heights[place[0]]})
            for place, one in index.paid(name)
            if place not in spent
        ]
        if len(coins) > self.most_utxos:
            return web.Response(status=400, text=f"Too many unspent transaction outputs (>{self.most_utxos}).")
        for txid, one in pool.items():
            for output in one["vout"]:
                if _name(output["scriptPubKey"]["hex"]) == name and (txid, output["n"]) not in spent:
                    coins.append(_coin((txid, output["n"]), satoshis(output["value"]), status={"confirmed": False}))
        return web.json_response(coins)

    async def _mempool(self, request: web.Request) -> web.Response:
        self.calls["mempool"] += 1
        name, told = request.match_info["hash"], []
        index, pool = await self._indexed(), await self._pool()
        pending = {
            (txid, output["n"]): Output(output["scriptPubKey"]["hex"], satoshis(output["value"]))
            for txid, one in pool.items()
            for output in one["vout"]
        }
        known = index.outputs | pending
        for txid, one in pool.items():
            if not _spends(one) <= known.keys():
                continue  # a block came between the two looks
            prevouts = [(place, known[place]) for place in _spends(one)]
            made = [Output(out["scriptPubKey"]["hex"], satoshis(out["value"])) for out in one["vout"]]
            if name not in {_name(out.script) for out in [*made, *(spent for _, spent in prevouts)]}:
                continue
            vin = [
                {"txid": place[0], "vout": place[1], "prevout": {"scriptpubkey": out.script, "value": out.value}}
                for place, out in prevouts
            ]
            fee = sum(out.value for _, out in prevouts) - sum(out.value for out in made)
            told.append({"txid": txid, "fee": fee, "vin": vin, "status": {"confirmed": False}})
        return web.json_response(told[: self.listed])

    async def _transaction(self, request: web.Request) -> web.Response:
        index, txid = await self._indexed(), request.match_info["txid"]
        if request.match_info["form"] == "status":
            height = index.heights.get(txid)
            return web.json_response({"confirmed": height is not None, "block_height": height})
        try:
            return web.Response(text=await self.node.rpc("getrawtransaction", txid, False))
        except BcoinError:
            return web.Response(status=404, text="Transaction not found")

    # ── the index ───────────────────────────────────────────────────────────────────────────────────────────────────

    async def _indexed(self) -> Index:
        """Made anew, as naively as can be, for another branch."""
        async with self._lock:
            if time.monotonic() < self._looked + self.lag:
                return self._index
            tip = await self.node.rpc("getbestblockhash")
            self._looked = time.monotonic()
            if tip != self._index.tip and (await self._read(tip))["previousblockhash"] == self._index.tip:
                _add(await self._read(tip), index=self._index)
            elif tip != self._index.tip:
                index, block = Index(), tip
                while block is not None:
                    found = await self._read(block)
                    _add(found, index=index)
                    block = found["previousblockhash"]
                self._index = index
            self._index.tip = tip
            return self._index

    async def _pool(self) -> dict[str, dict[str, Any]]:
        """What is pending, decoded."""
        if time.monotonic() < self._listed + self.lag:
            return self._pending
        pool: dict[str, dict[str, Any]] = {}
        self._listed = time.monotonic()
        for txid in sorted(await self.node.mempool()):
            try:
                pool[txid] = self._pending.get(txid) or await self.node.rpc("getrawtransaction", txid, True)
            except BcoinError:
                continue
        self._pending = pool
        return pool

    async def _read(self, block: str) -> dict[str, Any]:
        if block not in self.blocks:
            self.blocks[block] = await self.node.rpc("getblock", block, True, True)
        return self.blocks[block]


def _add(block: dict[str, Any], *, index: Index) -> None:
    index.blocks[block["height"]] = block["hash"]
    for one in block["tx"] if block["height"] else ():  # the genesis block's reward can't be spent
        index.heights[one["txid"]] = block["height"]
        index.spent |= _spends(one)
        for output in one["vout"]:
            place = (one["txid"], output["n"])
            made = index.outputs[place] = Output(output["scriptPubKey"]["hex"], satoshis(output["value"]))
            index.scripts.setdefault(_name(made.script), []).append(place)


def _spends(one: dict[str, Any]) -> set[Outpoint]:
    return {(spend["txid"], spend["vout"]) for spend in one["vin"] if spend.get("txid") is not None}


def _name(script: str) -> str:
    return esplora_hash(bytes.fromhex(script))


def _coin(place: Outpoint, value: int, *, status: dict[str, Any]) -> dict[str, Any]:
    return {"txid": place[0], "vout": place[1], "value": value, "status": status}
