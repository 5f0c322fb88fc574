"""One NIS1 node as a witness: is it on our chain, what is its newest block, and which blocks does it hold.

Source: NemProject/nem, openapi/spec, and nis/src/main/java/org/nem/nis/controller for what is refused with what.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from connectors.base import Address
from connectors.errors import BadAnswer, Misconfigured, NodeError, Reason, Unavailable
from connectors.nem.answers import (
    DEFINITION,
    LISTING,
    NODE,
    PAST,
    Definition,
    understood,
)
from connectors.nem.block import BLOCK, Block, Blocks
from connectors.nem.networks import Network
from connectors.quorum import Header
from connectors.together import together
from connectors.transport import CEILING, Answer, Transport

FUTURE = timedelta(minutes=2)
"""How far a block's time may be ahead of ours: nodes accept ten seconds, and clocks differ."""

AT_ONCE = 4
"""Requests that are under way at one node at a time."""

HISTORICAL = 0x2
"""HISTORICAL_ACCOUNT_DATA among a node's features (openapi: getAccountHistoricalData)."""

LARGEST_BLOCK = 4 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Asked:
    """What all nodes of a chain are asked alike. `depth`: how far below its newest block we read."""

    network: Network
    nemesis: str
    depth: int = 0
    batch: int = 100


class NisNode:
    """Everything it raises is a ConnectorError. `blocks` gets every block that it tells."""

    def __init__(self, transport: Transport, *, asked: Asked, blocks: Blocks, now: Callable[[], datetime]) -> None:
        self.asked = asked
        self.blocks = blocks
        self.historical = False
        """Whether the node tells balances as of older blocks, as far as it has said."""
        self.takes_batches = True
        self.shown: Block | None = None
        """The newest block as far as the node has said; None when it could not say it last time."""
        self._transport = transport
        self._now = now
        self._identified_on: int | None = None
        self._places = asyncio.Semaphore(AT_ONCE)

    @property
    def transport(self) -> Transport:
        return self._transport

    # ── blocks ──────────────────────────────────────────────────────────────────────────────────────────────────────

    async def head(self) -> Header:
        """The block that we read at, `depth` below the node's newest."""
        await self.identify()
        newest = await self.newest()
        if not self.asked.depth:
            return newest.header
        deep = await self.block_at(max(1, newest.height - self.asked.depth))
        if deep is None:
            raise self.bad(f"lacks blocks below its newest, {newest.height}")
        return deep.header

    async def header_at(self, height: int) -> Header | None:
        """The block that the node holds at this height, None where it has none; NEM's first block has height 1."""
        block = await self.block_at(height) if height else None
        return None if block is None else block.header

    async def headers_between(self, low: int, high: int) -> Sequence[Header]:
        """The blocks above `low` and below `high`, without height 0."""
        blocks = await together(self.block_at(height) for height in range(max(1, low + 1), high))
        found = [block.header for block in blocks if block is not None]
        if len(found) < len(blocks):
            raise self.bad(f"lacks a block between {low} and {high}")
        return found

    async def newest(self) -> Block:
        """The last block of the node's chain. Its accounts may be ahead of it for a moment, see Book."""
        self.shown = None
        answer = await self._answer("chain/last-block", query=None, ceiling=LARGEST_BLOCK)
        told = self.blocks.told(answer.body) if answer.status == 200 else None
        self.shown = told or self._newest_in(answer)
        return self.shown

    def _newest_in(self, answer: Answer) -> Block:
        value = self._parsed(answer, path="chain/last-block")
        if isinstance(value, NodeError):
            raise Unavailable(str(value), reason=Reason.NODE_ERROR)
        block = self._checked(value, of="/chain/last-block")
        self.blocks.remember(answer.body, block=block)
        return block

    async def block_at(self, height: int, *, keep: bool = True) -> Block | None:
        """The block that the node holds at this height, None where it has none; remembered unless told otherwise."""
        answer = await self.post("block/at/public", value={"height": height}, ceiling=CEILING)
        if isinstance(answer, NodeError):
            if answer.code == 404:
                return None
            raise Unavailable(str(answer), reason=Reason.NODE_ERROR)
        block = self._checked(answer, of="/block/at/public", keep=keep)
        if block.height != height:
            raise self.bad(f"gave block {block.height} for block {height}")
        return block

    async def identify(self) -> None:
        """Asks who the node is, unless it has been asked since the last new connection and the last failure.

        Raises Misconfigured when it is another chain's. The first block is known by the name that the second gives it.
        """
        connections = self._transport.connections
        if self._identified_on == connections and self._transport.circuit.error is None:
            return
        second = await self.block_at(2)
        if second is None:
            raise self._transport.blame(Unavailable(f"{self._transport.provider}: has not come as far as block 2"))
        if second.parent != self.asked.nemesis:
            text = f"is on another chain: its first block is {second.parent}, not {self.asked.nemesis}"
            raise self._transport.blame(Misconfigured(f"{self._transport.provider}: {text}"))
        self.historical = await self._keeps_history()
        self.takes_batches = True
        self._identified_on = self._transport.connections

    async def _keeps_history(self) -> bool:
        answer = await self.get("node/info")
        if isinstance(answer, NodeError):
            return False
        try:
            return bool(understood(answer, NODE, by=self._transport, of="/node/info").meta_data.features & HISTORICAL)
        except BadAnswer:
            return False

    def _checked(self, answer: object, *, of: str, keep: bool = True) -> Block:
        block = understood(answer, BLOCK, by=self._transport, of=of)
        if block.network != self.asked.network.version:
            text = f"is on another network: its blocks have network byte 0x{block.network:02x}"
            raise self._transport.blame(Misconfigured(f"{self._transport.provider}: {text}"))
        try:
            header = block.header
        except ValueError as error:
            raise self.bad(f"malformed answer to {of}: {error}") from None
        if header.time > self._now() + FUTURE:
            raise self.bad(f"its block {block.height} is from the future: {header.time.isoformat()}")
        return self.blocks.keep(block) if keep else block

    # ── accounts ────────────────────────────────────────────────────────────────────────────────────────────────────

    async def account(self, account: Address) -> object:
        """The answer to /account/get, or why it is refused."""
        return await self.get("account/get", query={"address": account})

    async def accounts(self, accounts: Sequence[Address]) -> Sequence[object] | NodeError:
        """The items of an answer to /account/get/batch, or why it is refused."""
        return await self._listed("account/get/batch", value={"data": _named(accounts)})

    async def mosaics(self, account: Address) -> Sequence[object] | NodeError:
        """The items of an answer to /account/mosaic/owned, or why it is refused."""
        return await self._listed("account/mosaic/owned", query={"address": account})

    async def unconfirmed(self, account: Address) -> Sequence[object] | NodeError:
        """The newest transactions that wait for a block and touch this account, at most 25 (AccountController.java)."""
        return await self._listed("account/unconfirmedTransactions", query={"address": account})

    async def definition(self, mosaic: str) -> Definition | NodeError:
        """What a mosaic is; NodeError with code 404 where there is none, or its namespace has expired."""
        answer = await self.get("mosaic/definition", query={"mosaicId": mosaic})
        if isinstance(answer, NodeError):
            return answer
        definition = understood(answer, DEFINITION, by=self._transport, of="/mosaic/definition")
        if definition.id.contract != mosaic:
            raise self.bad(f"defined another mosaic than {mosaic}")
        return definition

    async def balances_at(self, height: int, *, accounts: Sequence[Address]) -> Mapping[Address, int]:
        """XEM of accounts as of an older block; only where `historical`."""
        value = {"accounts": _named(accounts), "startHeight": height, "endHeight": height, "incrementBy": 1}
        answer = await self.post("account/historical/get/batch", value=value)
        if isinstance(answer, NodeError):
            raise Unavailable(str(answer), reason=Reason.NODE_ERROR)
        past = understood(answer, PAST, by=self._transport, of="/account/historical/get/batch")
        told = [(one.address, one.balance) for each in past.data for one in each.data if one.height == height]
        if sorted(account for account, _ in told) != sorted(accounts):
            raise self.bad("told the history of other accounts than it was asked for, or twice of one")
        return dict(told)

    # ── requests ────────────────────────────────────────────────────────────────────────────────────────────────────

    async def get(
        self, path: str, *, query: Mapping[str, str] | None = None, ceiling: int = CEILING
    ) -> object | NodeError:
        """The JSON value; a refusal of this one question (HTTP 400, 404, 500) is a NodeError with that code."""
        return self._parsed(await self._answer(path, query=query, ceiling=ceiling), path=path)

    async def _answer(self, path: str, *, query: Mapping[str, str] | None, ceiling: int) -> Answer:
        async with self._places:
            return await self._transport.request("GET", path=path, query=query, ceiling=ceiling, is_answer=_speaks_nis)

    async def post(self, path: str, *, value: object, ceiling: int = CEILING) -> object | NodeError:
        """As `get`, for questions that NIS wants posted; none of them changes anything."""
        async with self._places:
            body = json.dumps(value, separators=(",", ":")).encode()
            answer = await self._transport.request("POST", path=path, body=body, ceiling=ceiling, is_answer=_speaks_nis)
        return self._parsed(answer, path=path)

    def bad(self, text: str) -> BadAnswer:
        return self._transport.blame(BadAnswer(f"{self._transport.provider}: {text}"))

    async def _listed(
        self, path: str, *, query: Mapping[str, str] | None = None, value: object = None
    ) -> Sequence[object] | NodeError:
        answer = await (self.get(path, query=query) if value is None else self.post(path, value=value))
        if isinstance(answer, NodeError):
            return answer
        return understood(answer, LISTING, by=self._transport, of=f"/{path}").data

    def _parsed(self, answer: Answer, *, path: str) -> object | NodeError:
        value = self._transport.parse(answer.body)
        if answer.status == 200:
            return value
        words = value.get("message") if isinstance(value, dict) else ""
        text = f"{self._transport.provider}: /{path}: {self._transport.quote(words)} (HTTP {answer.status})"
        error = NodeError(text, code=answer.status)
        return error if answer.status == 404 else self._transport.blame(error)


def _named(accounts: Iterable[Address]) -> list[dict[str, Address]]:
    return [{"account": account} for account in accounts]


def _speaks_nis(answer: Answer) -> bool:
    """Refusals come as an error object of NIS's (ErrorResponse.java); a server before it answers in other words."""
    return answer.status == 200 or (answer.status in (400, 404, 500) and b'"error"' in answer.body[:4096])
