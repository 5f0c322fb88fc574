"""Bitcoin Core's `scantxoutset`: all coins of many scripts in one pass over the UTXO set, at a block that it names.

Source: Bitcoin Core's RPC documentation, scantxoutset (`height` and `bestblock` since 0.21; one scan at a time a node).
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta

import structlog
from pydantic import Field, TypeAdapter

from connectors.bitcoin.sources.answers import BlockHash, CoinAmount, Fields, Height, Index, Raw, Txid, understood
from connectors.bitcoin.sources.base import Coin
from connectors.errors import BadAnswer, ConnectorError, Misconfigured, NodeError, Reason, Unavailable
from connectors.jsonrpc import Node

log = structlog.get_logger()

BUSY = -8
NO_METHOD = -32601


@dataclass(frozen=True, slots=True)
class ScanLimits:
    """Bitcoin Core takes requests up to 32 MiB (httpserver.cpp, MAX_SIZE); a script takes up to 80 bytes of one.

    `deadline` is for a scan of ours, and as much again for those of others that come before it.
    """

    scripts: int = 200_000
    ceiling: int = 256 * 1024 * 1024
    deadline: timedelta = timedelta(minutes=30)
    look_again: timedelta = timedelta(seconds=2)
    progress_every: timedelta = timedelta(seconds=5)


@dataclass(frozen=True, slots=True)
class Scan:
    """All coins of `scripts` at the block `block`."""

    height: int
    block: str
    scripts: frozenset[bytes]
    coins: tuple[Coin, ...]


class Unspent(Fields):
    txid: Txid
    vout: Index
    script: Raw = Field(alias="scriptPubKey")
    amount: CoinAmount
    height: Height


class ScanResult(Fields):
    success: bool
    height: Height
    bestblock: BlockHash
    unspents: list[Unspent]
    total_amount: CoinAmount


class Status(Fields):
    progress: float = Field(ge=0, le=100)


RESULT = TypeAdapter(ScanResult)
STATUS = TypeAdapter(Status | None)


class _Busy(Exception):
    """Another scan runs on the node."""


class Scanner:
    """One scan at a time; others of ours wait."""

    def __init__(self, node: Node, *, limits: ScanLimits) -> None:
        self.progress: float | None = None
        """Percent of the scan that runs now, as far as the node has told."""
        self._node = node
        self._limits = limits
        self._lock = asyncio.Lock()

    async def scan(self, scripts: Collection[bytes]) -> Sequence[Scan]:
        """One Scan for every so many scripts, each at its own block. Raises ConnectorError."""
        wanted = sorted(set(scripts))
        size = self._limits.scripts
        parts = [frozenset(wanted[start : start + size]) for start in range(0, len(wanted), size)]
        async with self._lock:
            return [await self._in_turn(part) for part in parts]

    async def _in_turn(self, scripts: frozenset[bytes]) -> Scan:
        """Waits for scans of others to end: they can be aborted, but that is not ours to do."""
        timing = self._node.transport.timing
        patience = timing.clock() + self._limits.deadline.total_seconds()
        while True:
            try:
                return await self._watched(scripts)
            except _Busy:
                if timing.clock() >= patience:
                    text = f"{self._node.transport.provider}: scans of others never end"
                    raise self._node.transport.blame(Unavailable(text, reason=Reason.TIMEOUT)) from None
            await timing.sleep(self._limits.look_again.total_seconds())

    async def _watched(self, scripts: frozenset[bytes]) -> Scan:
        watching = asyncio.create_task(self._watch_progress(), name="scan progress")
        try:
            return await self._start(scripts)
        finally:
            watching.cancel()
            await asyncio.wait([watching])
            self.progress = None

    async def _start(self, scripts: frozenset[bytes]) -> Scan:
        objects = [f"raw({script.hex()})" for script in scripts]
        deadline = self._limits.deadline.total_seconds()
        try:
            answer = await self._node.long_call(
                "scantxoutset", ["start", objects], ceiling=self._limits.ceiling, deadline=deadline
            )
        except NodeError as error:
            raise self._refused(error) from None
        except Unavailable as error:
            if error.reason is Reason.TIMEOUT:
                with suppress(ConnectorError):  # it is ours: nobody else's can run meanwhile
                    await self._node.call("scantxoutset", ["abort"])
            raise
        return self._checked(answer, scripts=scripts)

    def _refused(self, error: NodeError) -> Exception:
        if error.code == BUSY and "in progress" in str(error):
            return _Busy()
        if error.code == NO_METHOD:
            return Misconfigured(f"{error}; finding coins by scantxoutset needs Bitcoin Core 0.21 or newer")
        return Unavailable(str(error), reason=Reason.NODE_ERROR)

    def _checked(self, answer: object, *, scripts: frozenset[bytes]) -> Scan:
        result = understood(answer, RESULT, by=self._node.transport, of="scantxoutset")
        if not result.success:
            raise self._node.transport.blame(
                Unavailable(f"{self._node.transport.provider}: the scan was aborted", reason=Reason.NODE_ERROR)
            )
        coins = tuple(Coin(one.txid, one.vout, one.amount, one.script, one.height) for one in result.unspents)
        flaw = _flaw(coins, result=result, scripts=scripts)
        if flaw is not None:
            raise self._node.transport.blame(BadAnswer(f"{self._node.transport.provider}: scantxoutset: {flaw}"))
        return Scan(result.height, result.bestblock, scripts, coins)

    async def _watch_progress(self) -> None:
        while True:
            await self._node.transport.timing.sleep(self._limits.progress_every.total_seconds())
            try:
                answer = await self._node.call("scantxoutset", ["status"])
                status = understood(answer, STATUS, by=self._node.transport, of="scantxoutset status")
            except ConnectorError:
                continue
            if status is not None:
                self.progress = status.progress
                log.info("scan of the UTXO set", provider=self._node.transport.provider, percent=status.progress)


def _flaw(coins: Sequence[Coin], *, result: ScanResult, scripts: frozenset[bytes]) -> str | None:
    """What makes a result impossible."""
    if any(coin.script not in scripts for coin in coins):
        return "found a coin of a script that nobody asked for"
    if any(coin.height > result.height for coin in coins):
        return "found a coin that is newer than the scan's block"
    if len({(coin.txid, coin.vout) for coin in coins}) != len(coins):
        return "found a coin twice"
    if sum(coin.value for coin in coins) != result.total_amount:
        return "the coins do not add up to their total"
    return None
