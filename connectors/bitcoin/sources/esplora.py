"""An Esplora server as a source: Blockstream's REST interface, which mempool.space also speaks.

Source: Esplora's API.md, and electrs' src/rest.rs for what it refuses. Plain GETs; a script is named by its SHA-256.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TypeVar

from pydantic import TypeAdapter

from connectors.bitcoin.sources.answers import HASH, HEX, BlockHash, Fields, Height, Index, Raw, Satoshis, Txid
from connectors.bitcoin.sources.answers import understood as shaped
from connectors.bitcoin.sources.base import Change, Coin, Pending, Snapshot, block_hash, esplora_hash
from connectors.bitcoin.sources.identity import Asked, Identity
from connectors.bitcoin.sources.proof import Outpoint, proven
from connectors.errors import NodeError, Reason, Unavailable
from connectors.follow import UnknownBlock
from connectors.quorum import Header
from connectors.together import together
from connectors.transport import CEILING, Answer, Transport

T = TypeVar("T")

MOST_PENDING = 50
"""Pending transactions that a server lists of one script (API.md, /scripthash/:hash/txs/mempool); it does not page."""

CHUNK = 20
"""Scripts read between two looks at the tip."""

TRIES = 5
"""How often a chunk is read during which the tip or the mempool moves."""

LOOK_AGAIN = 0.5
"""Seconds before a chunk is read anew."""

REMEMBERED = 512
"""Headers that are not asked for twice."""

REMEMBERED_FEES = 100_000


class BlockInfo(Fields):
    id: BlockHash
    height: Height


class Totals(Fields):
    funded_txo_count: Height
    funded_txo_sum: Satoshis
    spent_txo_count: Height
    spent_txo_sum: Satoshis
    tx_count: Height


class ScriptInfo(Fields):
    chain_stats: Totals
    mempool_stats: Totals


class Status(Fields):
    confirmed: bool
    block_height: Height | None = None


class Unspent(Fields):
    txid: Txid
    vout: Index
    value: Satoshis
    status: Status


class Prevout(Fields):
    scriptpubkey: Raw
    value: Satoshis


class Input(Fields):
    txid: Txid
    vout: Index
    prevout: Prevout | None = None


class PendingTransaction(Fields):
    txid: Txid
    fee: Satoshis
    vin: list[Input]


BLOCK = TypeAdapter(BlockInfo)
SCRIPT = TypeAdapter(ScriptInfo)
UNSPENT = TypeAdapter(list[Unspent])
POOL = TypeAdapter(list[PendingTransaction])
STATUS = TypeAdapter(Status)


@dataclass(frozen=True, slots=True)
class _Moved:
    """The mempool changed while a script was read."""


class EsploraSource:
    """A BlockSource. Its notices come from polling."""

    def __init__(
        self,
        transport: Transport,
        *,
        asked: Asked,
        now: Callable[[], datetime],
    ) -> None:
        self._transport = transport
        self._asked = asked
        self._identity = Identity(transport, asked=asked, now=now)
        self._headers: dict[str, Header] = {}
        self._fees: dict[bytes, int] = {}

    @property
    def transport(self) -> Transport:
        return self._transport

    # ── blocks ──────────────────────────────────────────────────────────────────────────────────────────────────────

    async def head(self) -> Header:
        """The block that we read at."""
        await self._prove()
        return await self._identity.as_deep_as_asked(await self._newest(), self.header_at)

    async def header_at(self, height: int) -> Header | None:
        """The block that the server holds at this height, None where it has none."""
        answer = await self._get(f"block-height/{height}")
        return None if isinstance(answer, NodeError) else await self._header(self._hash(answer), height=height)

    async def headers_between(self, low: int, high: int) -> Sequence[Header]:
        """The blocks above `low` and below `high`."""
        headers = [await self.header_at(height) for height in range(low + 1, high)]
        found = [header for header in headers if header is not None]
        if len(found) < len(headers):
            raise self._identity.bad(f"lacks a block between {low} and {high}")
        return found

    async def block(self, block: str) -> bytes:
        """The block with this hash as serialised. Raises UnknownBlock or another ConnectorError."""
        raw = await self._get(f"block/{block}/raw", ceiling=CEILING + self._asked.largest_block)
        if isinstance(raw, NodeError):
            raise UnknownBlock(str(raw), code=raw.code)
        if len(raw) < 80 or block_hash(raw) != block:
            raise self._identity.bad(f"gave another block for block {block}")
        return raw

    # ── coins and pending transactions ──────────────────────────────────────────────────────────────────────────────

    async def coins(self, scripts: Collection[bytes]) -> Sequence[Snapshot]:
        """A part for every newest block that the server had in the course of the reading."""
        await self._prove()
        wanted = list(dict.fromkeys(scripts))
        parts: list[Snapshot] = []
        for start in range(0, len(wanted), CHUNK):
            part = await self._read_chunk(wanted[start : start + CHUNK])
            if parts and parts[-1].header == part.header:
                part = _joined(parts.pop(), part)
            parts.append(part)
        return parts

    async def pending(self, scripts: Collection[bytes]) -> Pending:
        """The pending transactions that touch these scripts; raises Unavailable when the server refuses one of them."""
        await self._prove()
        wanted = list(dict.fromkeys(scripts))
        fees: dict[bytes, int] = {}
        complete = True
        for start in range(0, len(wanted), CHUNK):
            pools = await together(self._pool(script) for script in wanted[start : start + CHUNK])
            for pool in pools:
                if isinstance(pool, NodeError):
                    raise Unavailable(str(pool), reason=pool.reason)
                complete = complete and len(pool) < MOST_PENDING
                fees |= {one.txid: one.fee for one in pool}
        self._fees |= fees
        for txid in list(self._fees)[: max(0, len(self._fees) - REMEMBERED_FEES)]:
            del self._fees[txid]
        return Pending(dict(fees), complete=complete)

    async def transactions(self, txids: Collection[bytes]) -> Mapping[bytes, bytes]:
        """Transactions as serialised, without those that the server does not know (any more)."""
        wanted = list(txids)
        found: dict[bytes, bytes] = {}
        for start in range(0, len(wanted), CHUNK):
            part = wanted[start : start + CHUNK]
            answers = await together(self._get(f"tx/{txid[::-1].hex()}/hex") for txid in part)
            for txid, answer in zip(part, answers, strict=True):
                if not isinstance(answer, NodeError):
                    raw = shaped(answer.decode("ascii", "replace").strip(), HEX, by=self._transport, of="/tx/:txid/hex")
                    found[txid] = proven(raw, txid=txid, form=self._asked.form, by=self._transport)
        return found

    async def fees(self, txids: Collection[bytes]) -> Mapping[bytes, int]:
        """As the server told them with what was `pending` lately."""
        return {txid: self._fees[txid] for txid in txids if txid in self._fees}

    def changes(self, scripts: Collection[bytes]) -> AsyncGenerator[Change, None] | None:  # noqa: ARG002
        """Esplora sends no notices."""
        return None

    async def _read_chunk(self, scripts: Sequence[bytes]) -> Snapshot:
        """The server's tables end with its newest block: it shows a block when the block's transactions are in them."""
        for _ in range(TRIES):
            tip = await self._newest()
            reads = await together(self._read(script) for script in scripts)
            if await self._newest() == tip and not any(isinstance(read, _Moved) for read in reads):
                coins = tuple(coin for read in reads if isinstance(read, list) for coin in read)
                if any(coin.height > tip.height for coin in coins):
                    raise self._identity.bad(f"told of a coin that is newer than its newest block, {tip.height}")
                told = list(zip(scripts, reads, strict=True))
                refused = {script: read for script, read in told if isinstance(read, NodeError)}
                used = [script for script, read in told if isinstance(read, list)]
                return Snapshot(tip, scripts, coins, refused, used)
            await self._transport.timing.sleep(LOOK_AGAIN)
        raise Unavailable(f"{self._transport.provider}: blocks or pending transactions come faster than it can be read")

    async def _read(self, script: bytes) -> list[Coin] | NodeError | _Moved | None:
        """The script's confirmed coins, None where it was never paid.

        The list leaves out those that pending transactions spend; the sums do not.
        """
        place = f"scripthash/{esplora_hash(script)}"
        answer = await self._get(place)
        if isinstance(answer, NodeError):
            return answer
        stats = self._parsed(answer, SCRIPT, of="/scripthash/:hash").chain_stats
        if not stats.tx_count:
            return None
        answer = await self._get(f"{place}/utxo")
        if isinstance(answer, NodeError):
            return answer
        unspent = self._parsed(answer, UNSPENT, of="/scripthash/:hash/utxo")
        coins = {
            Outpoint(one.txid, one.vout): self._coin(one, script=script) for one in unspent if one.status.confirmed
        }
        if not _complete(coins, stats=stats):
            pool = await self._pool(script)
            if isinstance(pool, NodeError):
                return pool
            coins |= await self._spent_by(pool, script=script)
            if not _complete(coins, stats=stats):
                return _too_busy(self._transport.provider) if len(pool) >= MOST_PENDING else _Moved()
        return list(coins.values())

    async def _pool(self, script: bytes) -> list[PendingTransaction] | NodeError:
        answer = await self._get(f"scripthash/{esplora_hash(script)}/txs/mempool")
        return answer if isinstance(answer, NodeError) else self._parsed(answer, POOL, of="/txs/mempool")

    async def _spent_by(self, pool: Sequence[PendingTransaction], *, script: bytes) -> dict[Outpoint, Coin]:
        """The script's confirmed coins that these transactions spend."""
        coins: dict[Outpoint, Coin] = {}
        for spend in (spend for one in pool for spend in one.vin):
            if spend.prevout is None or spend.prevout.scriptpubkey != script:
                continue
            answer = await self._get(f"tx/{spend.txid[::-1].hex()}/status")
            if isinstance(answer, NodeError):
                continue
            height = self._parsed(answer, STATUS, of="/tx/:txid/status").block_height
            if height is not None:
                coin = Coin(spend.txid, spend.vout, spend.prevout.value, script, height)
                coins[Outpoint(spend.txid, spend.vout)] = coin
        return coins

    def _coin(self, one: Unspent, *, script: bytes) -> Coin:
        if one.status.block_height is None:
            raise self._identity.bad("told of a confirmed coin without the height of its block")
        return Coin(one.txid, one.vout, one.value, script, one.status.block_height)

    # ── requests ────────────────────────────────────────────────────────────────────────────────────────────────────

    async def _prove(self) -> None:
        await self._identity.prove(self.header_at, connections=lambda: self._transport.connections)

    async def _newest(self) -> Header:
        answer = await self._get("blocks/tip/hash")
        if isinstance(answer, NodeError):
            raise Unavailable(str(answer), reason=Reason.NODE_ERROR)
        block = self._hash(answer)
        known = self._headers.get(block)
        if known is not None:
            return known
        answer = await self._get(f"block/{block}")
        if isinstance(answer, NodeError):
            raise Unavailable(str(answer), reason=Reason.NODE_ERROR)
        info = self._parsed(answer, BLOCK, of="/block/:hash")
        if info.id != block:
            raise self._identity.bad(f"described block {info.id} for block {block}")
        return await self._header(block, height=info.height)

    async def _header(self, block: str, *, height: int) -> Header:
        known = self._headers.get(block)
        if known is not None and known.height == height:
            return known
        answer = await self._get(f"block/{block}/header")
        if isinstance(answer, NodeError):
            raise Unavailable(str(answer), reason=Reason.NODE_ERROR)
        raw = shaped(answer.decode("ascii", "replace").strip(), HEX, by=self._transport, of="/block/:hash/header")
        header = self._headers[block] = self._identity.header(raw, height=height, expected=block)
        for old in list(self._headers)[: max(0, len(self._headers) - REMEMBERED)]:
            del self._headers[old]
        return header

    async def _get(self, path: str, *, ceiling: int = CEILING) -> bytes | NodeError:
        """The body; a refusal of this one question (HTTP 400 and 404) is a NodeError with the status as its code."""
        answer = await self._transport.request("GET", path=path, ceiling=ceiling, is_answer=_speaks_esplora)
        if answer.status == 200:
            return answer.body
        words = self._transport.quote(answer.body[:200])
        error = NodeError(f"{self._transport.provider}: {words} (HTTP {answer.status})", code=answer.status)
        return error if answer.status == 404 else self._transport.blame(error)

    def _hash(self, body: bytes) -> str:
        text = body.decode("ascii", "replace").strip()
        if not HASH.fullmatch(text):
            raise self._identity.bad(f"expected a block hash, found {self._transport.quote(body[:80])}")
        return text

    def _parsed(self, body: bytes, shape: TypeAdapter[T], *, of: str) -> T:
        return shaped(self._transport.parse(body), shape, by=self._transport, of=of)


def _speaks_esplora(answer: Answer) -> bool:
    return answer.status in (200, 400, 404)


def _complete(coins: Mapping[Outpoint, Coin], *, stats: Totals) -> bool:
    count = stats.funded_txo_count - stats.spent_txo_count
    worth = stats.funded_txo_sum - stats.spent_txo_sum
    return len(coins) == count and sum(coin.value for coin in coins.values()) == worth


def _too_busy(provider: str) -> NodeError:
    return NodeError(f"{provider}: lists no more than {MOST_PENDING} pending transactions of a script", code=0)


def _joined(first: Snapshot, second: Snapshot) -> Snapshot:
    scripts = (*first.scripts, *second.scripts)
    refused, used = {**first.refused, **second.refused}, (*first.used, *second.used)
    return Snapshot(first.header, scripts, first.coins + second.coins, refused, used)
