"""An Electrum server as a source: coins and pending transactions by script, notices by subscription.

Source: Electrum protocol 1.4, «Protocol Methods». A script's *status* is a digest of its history, mempool included:
while it stands, nothing has to be asked again.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from types import TracebackType
from typing import Self

from pydantic import TypeAdapter

from connectors.bitcoin.sources.answers import HEX, BlockHash, Fields, Height, Raw, understood
from connectors.bitcoin.sources.base import (
    Change,
    Doubt,
    NewBlock,
    Pending,
    Snapshot,
    Touched,
    block_hash,
    electrum_hash,
)
from connectors.bitcoin.sources.history import NO_HISTORY, History, confirmed_history, read_history
from connectors.bitcoin.sources.identity import Asked, Identity
from connectors.bitcoin.sources.polling import pause
from connectors.bitcoin.sources.proof import proven
from connectors.bitcoin.sources.wire import Ask, Server, Wire, WireLimits
from connectors.errors import ConnectorError, Misconfigured, NodeError, Unavailable
from connectors.quorum import Header
from connectors.together import together
from connectors.transport import Timing

PROTOCOL = ("1.4", "1.4.3")
CHUNK = 500
"""Scripts read between two looks at the tip."""

RESTARTS = 30
"""How often a reading starts anew because the tip has moved; what was read of unchanged scripts is kept."""

TRIES = 5
"""How often a script is read that changes meanwhile."""

LOOK_AGAIN = 0.2
"""Seconds before a reading starts anew."""

FIRST_PAUSE = timedelta(seconds=1)
REMEMBERED_FEES = 100_000


class HeaderNotice(Fields):
    height: Height
    hex: Raw


class HeaderPair(Fields):
    count: Height
    hex: Raw


class Features(Fields):
    genesis_hash: BlockHash
    hash_function: str = "sha256"


NOTICE = TypeAdapter(HeaderNotice)
PAIR = TypeAdapter(HeaderPair)
FEATURES = TypeAdapter(Features)
VERSION = TypeAdapter(tuple[str, str])
STATUS = TypeAdapter(BlockHash | None)


@dataclass(slots=True)
class _News:
    """What notices said and nobody has taken yet; bounded by what was subscribed to."""

    head: bool = False
    scripts: dict[bytes, None] = field(default_factory=dict)
    event: asyncio.Event = field(default_factory=asyncio.Event)


class ElectrumSource:
    """A Source, as an async context manager. It gives no blocks, so its coins are always one part.

    `changes` is for one consumer at a time. Memory: a status and the coins of each script ever asked for.
    """

    def __init__(
        self,
        server: Server,
        *,
        chain: str,
        asked: Asked,
        now: Callable[[], datetime],
        timing: Timing,
        limits: WireLimits | None = None,
        keep_alive: timedelta = timedelta(seconds=60),
    ) -> None:
        self._wire = Wire(
            server,
            chain=chain,
            limits=limits or WireLimits(),
            timing=timing,
            greet=self._greet,
            heard=self._heard,
            lost=self._lost,
        )
        self._asked = asked
        self._identity = Identity(self._wire, asked=asked, now=now)
        self._keep_alive = keep_alive
        self._known: dict[bytes, History] = {}
        self._names: dict[str, bytes] = {}
        self._fees: dict[bytes, int] = {}
        self._news = _News()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._wire.__aexit__(kind, error, trace)

    @property
    def transport(self) -> Wire:
        return self._wire

    # ── blocks ──────────────────────────────────────────────────────────────────────────────────────────────────────

    async def head(self) -> Header:
        """The block that we read at."""
        await self._prove()
        return await self._identity.as_deep_as_asked(await self._newest(), self.header_at)

    async def header_at(self, height: int) -> Header | None:
        """The block that the server holds at this height; None where it refuses to tell one."""
        try:
            raw = await self._wire.request("blockchain.block.header", height)
        except NodeError:
            return None
        return self._header(raw, height=height)

    async def headers_between(self, low: int, high: int) -> Sequence[Header]:
        """The blocks above `low` and below `high`. One by one: with merged mining, headers differ in length."""
        heights = range(low + 1, high)
        raws = await self._wire.requests([("blockchain.block.header", [height]) for height in heights])
        for raw in raws:
            if isinstance(raw, NodeError):
                raise Unavailable(str(raw), reason=raw.reason)
        return [self._header(raw, height=height) for raw, height in zip(raws, heights, strict=True)]

    # ── coins and pending transactions ──────────────────────────────────────────────────────────────────────────────

    async def coins(self, scripts: Collection[bytes]) -> Sequence[Snapshot]:
        """One part, at the server's newest block. Asks for every status, reads those that have another."""
        await self._prove()
        wanted = list(dict.fromkeys(scripts))
        for _ in range(RESTARTS):
            tip = await self._newest()
            histories = await self._all_at(tip, scripts=wanted)
            if histories is not None:
                return [self._snapshot(tip, histories=histories)]
            await self._wire.timing.sleep(LOOK_AGAIN)
        raise Unavailable(f"{self._wire.provider}: its newest block has changed {RESTARTS} times during one reading")

    async def pending(self, scripts: Collection[bytes]) -> Pending:
        """The pending transactions that touch these scripts; raises Unavailable when the server refuses one of them."""
        await self._prove()
        fees: dict[bytes, int] = {}
        for chunk in _chunks(list(dict.fromkeys(scripts))):
            for history in (await self._look_at(chunk)).values():
                if isinstance(history, NodeError):
                    raise Unavailable(str(history), reason=history.reason)
                fees |= history.pending
        self._fees |= fees
        for txid in list(self._fees)[: max(0, len(self._fees) - REMEMBERED_FEES)]:
            del self._fees[txid]
        return Pending(dict(fees))

    async def transactions(self, txids: Collection[bytes]) -> Mapping[bytes, bytes]:
        """Transactions as serialised, without those that the server does not know (any more)."""
        wanted = list(txids)
        answers = await self._wire.requests([("blockchain.transaction.get", [txid[::-1].hex()]) for txid in wanted])
        return {
            txid: self._proven(answer, txid=txid)
            for txid, answer in zip(wanted, answers, strict=True)
            if not isinstance(answer, NodeError)
        }

    async def confirmed(self, script: bytes) -> Mapping[bytes, int]:
        """The mined transactions that touch the script, and the heights of their blocks."""
        return await confirmed_history(self._wire, script)

    async def fees(self, txids: Collection[bytes]) -> Mapping[bytes, int]:
        """As the server told them with what was `pending` lately."""
        return {txid: self._fees[txid] for txid in txids if txid in self._fees}

    async def _all_at(self, tip: Header, *, scripts: Sequence[bytes]) -> Mapping[bytes, History | NodeError] | None:
        """What the server says of the scripts while its newest block is `tip`; None when it is another at the end."""
        histories: dict[bytes, History | NodeError] = {}
        if not await self._stands_at(tip):
            return None
        for chunk in _chunks(scripts):
            found = await self._look_at(chunk)
            if not await self._stands_at(tip):
                return None
            used = {script: one for script, one in found.items() if isinstance(one, History) and one.status}
            self._known |= used
            histories |= found
        return histories

    def _snapshot(self, tip: Header, *, histories: Mapping[bytes, History | NodeError]) -> Snapshot:
        read = [history for history in histories.values() if isinstance(history, History)]
        coins = tuple(coin for history in read for coin in history.coins)
        if any(coin.height > tip.height for coin in coins):
            raise self._identity.bad(f"told of a coin that is newer than its newest block, {tip.height}")
        refused = {script: told for script, told in histories.items() if isinstance(told, NodeError)}
        statuses = {one: told.status for one, told in histories.items() if isinstance(told, History) and told.status}
        return Snapshot(tip, tuple(histories), coins, refused, tuple(statuses), statuses)

    async def _stands_at(self, tip: Header) -> bool:
        """Whether the server's tables end with `tip`. They may be ahead of the newest block that it announces."""
        answer = await self._wire.request("blockchain.block.headers", tip.height, 2)
        pair = understood(answer, PAIR, by=self._wire, of="block.headers")
        return pair.count == 1 and block_hash(pair.hex) == tip.hash

    async def _look_at(self, scripts: Sequence[bytes]) -> dict[bytes, History | NodeError]:
        """What is known of each script, read again where its status is another than what was read last."""
        found: dict[bytes, History | NodeError] = {}
        for _ in range(TRIES):
            statuses = await self._statuses([script for script in scripts if script not in found])
            changed = {script: status for script, status in statuses.items() if isinstance(status, str)}
            for script, status in statuses.items():
                known = self._known.get(script)
                if not isinstance(status, str):
                    found[script] = NO_HISTORY if status is None else status
                elif known is not None and known.status == status:
                    found[script] = known
                    del changed[script]
            reads = await together(
                read_history(self._wire, one, status=status, form=self._asked.form) for one, status in changed.items()
            )
            found |= {script: read for script, read in zip(changed, reads, strict=True) if read is not None}
            if len(found) == len(scripts):
                return found
            await self._wire.timing.sleep(LOOK_AGAIN)
        raise Unavailable(f"{self._wire.provider}: histories change faster than they can be read")

    async def _statuses(self, scripts: Sequence[bytes]) -> dict[bytes, str | NodeError | None]:
        names = {electrum_hash(script): script for script in scripts}
        self._names |= names
        answers = await self._wire.requests([("blockchain.scripthash.subscribe", [name]) for name in names])
        return {
            script: answer
            if isinstance(answer, NodeError)
            else understood(answer, STATUS, by=self._wire, of="scripthash.subscribe")
            for script, answer in zip(names.values(), answers, strict=True)
        }

    # ── notices ─────────────────────────────────────────────────────────────────────────────────────────────────────

    async def changes(self, scripts: Collection[bytes]) -> AsyncGenerator[Change, None]:
        """NewBlock and Touched as notified; a Doubt when listening begins, and when the connection is lost."""
        connection, failures = -1, 0
        while True:
            notices: list[Change] = []
            try:
                if not self._wire.connected or connection != self._wire.connections:
                    notices.append(Doubt(await self._subscribe(scripts)))
                    connection = self._wire.connections
                else:
                    await self._wait()
                    notices += self._take_news(scripts)
                failures = 0
            except ConnectorError as error:
                failures += 1
                notices += [Doubt(str(error))] if failures == 1 else []
            for notice in notices:
                yield notice
            if failures:
                await self._wire.timing.sleep(pause(failures, every=FIRST_PAUSE, timing=self._wire.timing))

    async def _subscribe(self, scripts: Collection[bytes]) -> str:
        await self._newest()
        refused = 0
        for chunk in _chunks(list(scripts)):
            statuses = await self._statuses(chunk)
            refused += sum(isinstance(status, NodeError) for status in statuses.values())
        return "listening from now on" + (f"; the server refuses to watch {refused} scripts" if refused else "")

    async def _wait(self) -> None:
        """Until there is news or the connection ends; asks for a sign of life in between."""
        try:
            async with asyncio.timeout(self._keep_alive.total_seconds()):
                await self._news.event.wait()
        except TimeoutError:
            await self._wire.request("server.ping")

    def _take_news(self, watched: Collection[bytes]) -> list[Change]:
        news, self._news = self._news, _News()
        notices: list[Change] = [NewBlock()] if news.head else []
        return notices + [Touched(script) for script in news.scripts if script in watched]

    def _heard(self, method: str, params: list[object]) -> None:
        if method == "blockchain.headers.subscribe":
            self._news.head = True
        elif method == "blockchain.scripthash.subscribe":
            script = self._names.get(params[0]) if params and isinstance(params[0], str) else None
            if script is None:
                raise self._identity.bad("a notice about a script that nobody subscribed to")
            self._news.scripts[script] = None
        self._news.event.set()

    def _lost(self) -> None:
        self._news.event.set()

    # ── the connection ──────────────────────────────────────────────────────────────────────────────────────────────

    async def _greet(self, ask: Ask) -> None:
        """The first words on a connection. Raises Misconfigured for another protocol, chain or way to name scripts."""
        try:
            answer = await ask("server.version", "pyrometer", PROTOCOL)
        except NodeError as error:
            raise Misconfigured(f"{error}; we speak Electrum protocol {PROTOCOL[0]}") from None
        _, version = understood(answer, VERSION, by=self._wire, of="server.version")
        if not version.startswith(PROTOCOL[0]):
            text = f"{self._wire.provider}: speaks protocol {self._wire.quote(version)}, not {PROTOCOL[0]}"
            raise Misconfigured(text)
        features = understood(await ask("server.features"), FEATURES, by=self._wire, of="server.features")
        genesis = self._asked.anchors.get(0, features.genesis_hash)
        if features.genesis_hash != genesis:
            text = f"{self._wire.provider}: is on another chain: genesis is {features.genesis_hash}, not {genesis}"
            raise Misconfigured(text)
        if features.hash_function != "sha256":
            raise Misconfigured(f"{self._wire.provider}: names scripts by {self._wire.quote(features.hash_function)}")

    async def _prove(self) -> None:
        await self._identity.prove(self.header_at, connections=lambda: self._wire.connections)

    async def _newest(self) -> Header:
        answer = await self._wire.request("blockchain.headers.subscribe")
        notice = understood(answer, NOTICE, by=self._wire, of="headers.subscribe")
        return self._identity.header(notice.hex, height=notice.height)

    def _header(self, answer: object, *, height: int) -> Header:
        return self._identity.header(self._bytes(answer, of="block.header"), height=height)

    def _proven(self, answer: object, *, txid: bytes) -> bytes:
        return proven(self._bytes(answer, of="transaction.get"), txid=txid, form=self._asked.form, by=self._wire)

    def _bytes(self, answer: object, *, of: str) -> bytes:
        return understood(answer, HEX, by=self._wire, of=of)


def _chunks(scripts: Sequence[bytes]) -> list[Sequence[bytes]]:
    return [scripts[start : start + CHUNK] for start in range(0, len(scripts), CHUNK)]
