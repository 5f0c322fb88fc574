"""One EVM node as a witness: is it on our chain, what is its head, and which blocks does it hold."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TypeVar

from eth_typing import HexStr
from web3 import AsyncWeb3
from web3.exceptions import BlockNotFound, Web3Exception
from web3.middleware import ExtraDataToPOAMiddleware
from web3.types import BlockIdentifier

from connectors.base import Token
from connectors.errors import BadAnswer, Misconfigured, NodeError, Reason, Unavailable
from connectors.evm import wire
from connectors.evm.provider import NodeProvider
from connectors.jsonrpc import Node
from connectors.quorum import Header
from connectors.transport import Transport

FUTURE = timedelta(seconds=60)
"""How far a block's time may be ahead of ours: clocks differ, and validators allow each other a few seconds."""

UNSTEADY = "anvil/"
"""How the version of a development node begins that, while it makes a block, answers questions about the block before
out of the state that it is changing, though asked by hash (anvil 1.7: a few of a hundred readings taken meanwhile)."""

MALFORMED = (Web3Exception, ValueError, TypeError, LookupError, AttributeError, ArithmeticError)
"""What web3's formatters raise on answers of the wrong shape."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Asked:
    """What all nodes of a chain are asked alike. `depth`: how far below its newest block we read."""

    chain_id: int
    depth: int
    batch: int


class EvmNode:
    """Everything it raises is a ConnectorError."""

    def __init__(self, node: Node, *, asked: Asked, now: Callable[[], datetime]) -> None:
        self.node = node
        self.asked = asked
        self.decimals_settled: set[Token] = set()
        """Tokens whose contract has confirmed the declared decimals, or has none to tell."""
        self._now = now
        self._web3 = AsyncWeb3(NodeProvider(node), middleware=[(ExtraDataToPOAMiddleware, "poa")])
        self._identified_at: int | None = None
        self._unsteady = False

    @property
    def transport(self) -> Transport:
        return self.node.transport

    async def head(self) -> Header:
        """The block `depth` below the node's newest. Asks for the chain id first where it is not certain any more.

        The hash is the node's word: recomputing it would need every field of every hard fork.
        """
        await self.identify()
        newest = await self._header("latest")
        if newest is None:
            raise self._bad("has no newest block")
        if newest.time > self._now() + FUTURE:
            raise self._bad(f"its newest block {newest.height} is from the future: {newest.time.isoformat()}")
        if not self.asked.depth:
            return newest
        deep = await self.header_at(max(0, newest.height - self.asked.depth))
        if deep is None:
            raise self._bad(f"lacks blocks below its newest, {newest.height}")
        return deep

    async def header_at(self, height: int) -> Header | None:
        """The block that the node holds as canonical at this height, None where it has none."""
        header = await self._header(height)
        if header is not None and header.height != height:
            raise self._bad(f"gave block {header.height} for block {height}")
        return header

    async def headers_between(self, low: int, high: int) -> Sequence[Header]:
        """The canonical blocks above `low` and below `high`."""
        async with self._web3.batch_requests() as batch:
            for height in range(low + 1, high):
                batch.add(self._web3.eth.get_block(height))
            try:
                blocks = await self._understood(batch.async_execute())
            except BlockNotFound:
                raise self._bad(f"lacks a block between {low} and {high}") from None
        return [self._checked(block) for block in blocks]

    async def knows(self, block: str) -> bool:
        """Whether the node has the block with this hash, canonical or not."""
        header = await self._header(HexStr(block))
        if header is not None and header.hash != block:
            raise self._bad(f"gave block {header.hash} for block {block}")
        return header is not None

    async def may_change(self, block: str) -> bool:
        """Whether the node may still change what it says of this block: never, but for a development node's newest."""
        if not self._unsteady:
            return False
        newest = await self._header("latest")
        return newest is not None and newest.hash == block

    async def identify(self) -> None:
        """Asks who the node is, unless it has been asked since the last new connection and the last failure.

        Raises Misconfigured when it is another chain's.
        """
        connections = self.transport.connections
        if self._identified_at == connections and self.transport.circuit.error is None:
            return
        self.decimals_settled.clear()
        chain_id = await self._understood(self._web3.eth.chain_id)
        if type(chain_id) is not int:
            raise self._bad("its chain id is no number")
        if chain_id != self.asked.chain_id:
            text = f"{self.transport.provider}: is on chain {chain_id}, configured is chain {self.asked.chain_id}"
            raise self.transport.blame(Misconfigured(text))
        self._unsteady = (await self._version()).startswith(UNSTEADY)
        self._identified_at = connections

    async def _version(self) -> str:
        """The client's name and version; empty from a node that does not tell."""
        try:
            return str(await self.node.call("web3_clientVersion"))
        except NodeError:
            return ""

    async def _header(self, block: BlockIdentifier) -> Header | None:
        try:
            return self._checked(await self._understood(self._web3.eth.get_block(block)))
        except BlockNotFound:
            return None

    def _checked(self, block: object) -> Header:
        try:
            return wire.header(block)
        except ValueError as error:
            raise self._bad(f"no block can have this {error}") from None

    async def _understood(self, answer: Awaitable[T]) -> T:
        """A refusal of these calls means that the node can't be read now: there is nothing to refuse in them."""
        try:
            return await answer
        except NodeError as error:
            raise Unavailable(str(error), reason=Reason.NODE_ERROR) from None
        except BlockNotFound:
            raise
        except MALFORMED as error:
            raise self._bad(f"the answer is malformed ({type(error).__name__})") from None

    def _bad(self, text: str) -> BadAnswer:
        return self.transport.blame(BadAnswer(f"{self.transport.provider}: {text}"))
