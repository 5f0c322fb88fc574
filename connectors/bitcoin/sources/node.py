"""Bitcoin Core and its kin as a source: blocks by hash, coins by scanning the UTXO set, notices by ZMQ or polling.

Source: Bitcoin Core's RPC documentation (bitcoincore.org/en/doc, 0.21 and later). Refusals come as JSON-RPC errors with
the codes of src/rpc/protocol.h.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise

from pydantic import TypeAdapter

from connectors.bitcoin.sources import answers
from connectors.bitcoin.sources.answers import BlockHash, Fields, Height, Txid, understood
from connectors.bitcoin.sources.base import Change, Pending, Pruned, Snapshot, block_hash
from connectors.bitcoin.sources.identity import Asked, Identity
from connectors.bitcoin.sources.proof import proven
from connectors.bitcoin.sources.scan import ScanLimits, Scanner
from connectors.bitcoin.sources.zmq import notices
from connectors.errors import ConnectorError, NodeError, Reason, Unavailable
from connectors.follow import UnknownBlock
from connectors.jsonrpc import Node
from connectors.quorum import Header
from connectors.transport import CEILING, Transport

WARMING_UP = -28
NOT_FOUND = -5
OUT_OF_RANGE = -8
MISCELLANEOUS = -1

TOGETHER = 25
"""Transactions asked for in one batch: the largest that is relayed has 400,000 bytes."""

CEILING_OF_TRANSACTION = 1_000_000
CEILING_OF_MEMPOOL = 64 * 1024 * 1024
"""Bytes of a list of all ids, 67 for each: a mempool of the usual 300 MB has room for some 800,000 small ones."""


class ChainInfo(Fields):
    """Of `getblockchaininfo`. Forks that know no initial download leave its flag out."""

    blocks: Height
    bestblockhash: BlockHash
    verificationprogress: float = 1.0
    initialblockdownload: bool = False


class MempoolFees(Fields):
    base: answers.CoinAmount


class MempoolEntry(Fields):
    """Of `getmempoolentry`; `fee` is what came before `fees`, and what forks still have."""

    fees: MempoolFees | None = None
    fee: answers.CoinAmount | None = None


INFO = TypeAdapter(ChainInfo)
ENTRY = TypeAdapter(MempoolEntry)
TXIDS = TypeAdapter(list[Txid])


@dataclass(frozen=True, slots=True)
class Listening:
    """Where the node publishes its notices, and how long they may stay away."""

    zmq: str
    patience: timedelta = timedelta(minutes=30)


class NodeSource:
    """A BlockSource. Its mempool lists and ZMQ transactions are the node's whole mempool."""

    def __init__(
        self,
        transport: Transport,
        *,
        asked: Asked,
        now: Callable[[], datetime],
        listening: Listening | None = None,
        limits: ScanLimits | None = None,
    ) -> None:
        self._node = Node(transport, decimals=True, ceiling_per_call=CEILING_OF_TRANSACTION)
        self._asked = asked
        self._identity = Identity(transport, asked=asked, now=now)
        self._listening = listening
        self._scanner = Scanner(self._node, limits=limits or ScanLimits())
        self._newest: Header | None = None

    @property
    def transport(self) -> Transport:
        return self._node.transport

    @property
    def scan_progress(self) -> float | None:
        """Percent of the scan that runs now, None while none runs or the node has not told yet."""
        return self._scanner.progress

    async def head(self) -> Header:
        """The block that we read at. Raises Unavailable while the node downloads the chain or warms up."""
        await self._prove()
        info = understood(await self._call("getblockchaininfo"), INFO, by=self.transport, of="getblockchaininfo")
        if info.initialblockdownload:
            text = f"{self.transport.provider}: still downloads the chain, {info.verificationprogress:.1%} verified"
            raise self.transport.blame(Unavailable(text, reason=Reason.STALLED))
        newest = self._newest
        if newest is None or newest.hash != info.bestblockhash:
            newest = await self._header(info.bestblockhash, height=info.blocks)
            self._newest = newest
        return await self._identity.as_deep_as_asked(newest, self.header_at)

    async def header_at(self, height: int) -> Header | None:
        """The block that the node holds as canonical at this height, None where it has none."""
        try:
            answer = await self._node.call("getblockhash", [height])
        except NodeError as error:
            if error.code == OUT_OF_RANGE:
                return None
            raise self._unreadable(error) from None
        return await self._header(self._hash(answer), height=height)

    async def headers_between(self, low: int, high: int) -> Sequence[Header]:
        """The canonical blocks above `low` and below `high`."""
        heights = range(low + 1, high)
        hashes = [self._hash(hash_) for hash_ in await self._batch("getblockhash", [(height,) for height in heights])]
        raws = await self._batch("getblockheader", [(hash_, False) for hash_ in hashes])
        headers = [
            self._identity.header(self._bytes(raw, of="getblockheader"), height=height, expected=hash_)
            for height, hash_, raw in zip(heights, hashes, raws, strict=True)
        ]
        for parent, child in pairwise(headers):
            if child.parent != parent.hash:
                raise Unavailable(f"{self.transport.provider}: changed its chain while it was asked for headers")
        return headers

    async def block(self, block: str) -> bytes:
        """The block with this hash as serialised. Raises UnknownBlock, Pruned, or another ConnectorError."""
        ceiling = CEILING + 2 * self._asked.largest_block
        try:
            answer = await self._node.long_call("getblock", [block, 0], ceiling=ceiling)
        except NodeError as error:
            raise self._block_refused(error) from None
        raw = self._bytes(answer, of="getblock")
        if len(raw) < 80 or block_hash(raw) != block:
            raise self._identity.bad(f"gave another block for block {block}")
        return raw

    async def coins(self, scripts: Collection[bytes]) -> Sequence[Snapshot]:
        """By `scantxoutset`: one part for every so many scripts. Takes minutes on a large chain."""
        await self._prove()
        return [
            Snapshot(await self._header(scan.block, height=scan.height), scan.scripts, scan.coins)
            for scan in await self._scanner.scan(scripts)
        ]

    async def pending(self, scripts: Collection[bytes]) -> Pending:  # noqa: ARG002 - the node can't select
        """The whole mempool, without fees."""
        try:
            answer = await self._node.long_call("getrawmempool", [False], ceiling=CEILING_OF_MEMPOOL)
        except NodeError as error:
            raise self._unreadable(error) from None
        txids = understood(answer, TXIDS, by=self.transport, of="getrawmempool")
        return Pending(dict.fromkeys(txids))

    async def transactions(self, txids: Collection[bytes]) -> Mapping[bytes, bytes]:
        """Pending transactions as serialised, without those that are gone."""
        found: dict[bytes, bytes] = {}
        wanted = list(txids)
        for start in range(0, len(wanted), TOGETHER):
            part = wanted[start : start + TOGETHER]
            for txid, answer in (await self._still_pending("getrawtransaction", part)).items():
                raw = self._bytes(answer, of="getrawtransaction")
                found[txid] = proven(raw, txid=txid, form=self._asked.form, by=self.transport)
        return found

    async def fees(self, txids: Collection[bytes]) -> Mapping[bytes, int]:
        """Fees of pending transactions in satoshis, without those that are gone."""
        found: dict[bytes, int] = {}
        for txid, answer in (await self._still_pending("getmempoolentry", list(txids))).items():
            entry = understood(answer, ENTRY, by=self.transport, of="getmempoolentry")
            fee = entry.fees.base if entry.fees is not None else entry.fee
            if fee is not None:
                found[txid] = fee
        return found

    def changes(self, scripts: Collection[bytes]) -> AsyncGenerator[Change, None] | None:  # noqa: ARG002
        """ZMQ's notices, which can't select; None where no address is configured."""
        return notices(self._listening.zmq, patience=self._listening.patience) if self._listening else None

    async def _prove(self) -> None:
        await self._identity.prove(self.header_at, connections=lambda: self.transport.connections)

    async def _header(self, block: str, *, height: int) -> Header:
        raw = self._bytes(await self._call("getblockheader", [block, False]), of="getblockheader")
        return self._identity.header(raw, height=height, expected=block)

    async def _call(self, method: str, params: Sequence[object] = ()) -> object:
        try:
            return await self._node.call(method, params)
        except NodeError as error:
            raise self._unreadable(error) from None

    async def _batch(self, method: str, params: Sequence[Sequence[object]]) -> Sequence[object]:
        results = await self._node.batch([(method, given) for given in params]) if params else []
        for result in results:
            if isinstance(result, ConnectorError):
                raise self._unreadable(result)
        return results

    async def _still_pending(self, method: str, txids: Sequence[bytes]) -> Mapping[bytes, object]:
        """The node's answers by transaction; it knows those not any more that are missing."""
        results = await self._node.batch([(method, [txid[::-1].hex()]) for txid in txids]) if txids else []
        found: dict[bytes, object] = {}
        for txid, result in zip(txids, results, strict=True):
            if not isinstance(result, ConnectorError):
                found[txid] = result
            elif not isinstance(result, NodeError) or result.code not in (NOT_FOUND, MISCELLANEOUS):
                raise self._unreadable(result)
        return found

    def _block_refused(self, error: NodeError) -> ConnectorError:
        """Bitcoin Core has one code for an unknown block and, as bcoin, another for several troubles with words."""
        words = str(error).lower()
        if error.code == MISCELLANEOUS and "pruned" in words:
            return Pruned(str(error), code=error.code)
        if error.code == NOT_FOUND or (error.code == MISCELLANEOUS and "not found" in words):
            return UnknownBlock(str(error), code=error.code)
        return self._unreadable(error)

    def _unreadable(self, error: ConnectorError) -> ConnectorError:
        """A refusal of a call that has nothing to refuse means that the node can't be read now."""
        if not isinstance(error, NodeError):
            return error
        reason = Reason.UNAVAILABLE if error.code == WARMING_UP else Reason.NODE_ERROR
        return Unavailable(str(error), reason=reason)

    def _hash(self, answer: object) -> str:
        return understood(answer, answers.HASHES, by=self.transport, of="getblockhash")

    def _bytes(self, answer: object, *, of: str) -> bytes:
        return understood(answer, answers.HEX, by=self.transport, of=of)
