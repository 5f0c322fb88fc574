"""One Symbol node as a witness: is it on our network, what is its newest block, and when do its accounts belong to it.

A node's REST interface tells accounts as they are now, at no height. It reads a database that a broker fills from two
queues, one for blocks, which sets the height, and one for account states, which sets the chain's score just before the
states (symbol/symbol, client/catapult: local/broker/Broker.cpp; extensions/mongo, MongoBlockStorage.cpp and
ApiStateChangeSubscriber.h; sync/DispatcherService.cpp). The two are not in step. So accounts are taken for those of a
block only when height, hash and score are the same before and after, have been so for a while before, and the score is
the one that the block has by the scores that were seen before.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NamedTuple, TypeVar

from connectors.base import Address, Token
from connectors.errors import BadAnswer, Misconfigured, Reason, Unavailable
from connectors.follow import UnknownBlock
from connectors.quorum import Header
from connectors.symbol import wire
from connectors.symbol.address import is_proper, of_raw
from connectors.symbol.networks import Network
from connectors.symbol.rest import PAGE, Rest
from connectors.symbol.score import Scores
from connectors.symbol.wire import LATEST, START
from connectors.transport import Transport

AT_ONCE = 4
"""Requests that are under way on one node at a time."""

FUTURE = timedelta(seconds=60)
"""How far a block's time may be ahead of ours: nodes accept 300 ms (maxBlockFutureTime), and clocks differ."""

LOOK_AGAIN = 0.5
"""Seconds between two looks at the chain; the broker looks into its queues as often."""

MOST_LOOKS = 16
"""How often is looked for a block that has not come yet, or for account states that don't keep still."""

LONGEST_WALK = 64
"""Blocks back to one whose score is known; farther back, the score that is seen is believed."""

FEW_LOOKS = 8
"""How often is looked for what should follow within a second."""

CATCHING_UP = 1.0
"""Seconds that others are given to come to the block that a node is at already, before a newer head is agreed on."""

REMEMBERED = 4096
"""Blocks that are not asked for again: those of a day, 2,880, and some more; two megabytes."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Asked:
    """What all nodes of a chain are asked alike. `settle` in seconds: how long a block must have stood."""

    network: Network
    batch: int
    settle: float


@dataclass(frozen=True, slots=True)
class Block:
    """What is needed of a block. `timestamp` in milliseconds; `transactions` counts those within aggregates, too."""

    header: Header
    timestamp: int
    difficulty: int
    beneficiary: str
    fee_multiplier: int
    transactions: int

    @property
    def hash(self) -> str:
        return self.header.hash


@dataclass(frozen=True, slots=True)
class Stand:
    """Where a node's chain stands: `score` is that of the account states, which may be another block's."""

    block: Block
    score: int


class ToldPurse(NamedTuple):
    """What a node told of an account, and what was understood: units by mosaic."""

    entry: object
    account: Address
    units: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class _Identity:
    """When the network began, and its currency's mosaic."""

    epoch: datetime
    currency: str


class SymbolNode:
    """Everything it raises is a ConnectorError."""

    def __init__(self, transport: Transport, *, asked: Asked, now: Callable[[], datetime]) -> None:
        self.rest = Rest(transport)
        self.asked = asked
        self.settled_tokens: set[Token] = set()
        """Tokens whose mosaic has the declared divisibility."""
        self.told_purses: dict[str, ToldPurse] = {}
        """By the address as the node writes it, what it told last of an account."""
        self._now = now
        self._identity: _Identity | None = None
        self._identified_at = -1
        self._stood: Stand | None = None
        self._stood_over = -1
        """How many connections there had been when it was told."""
        self._since = 0.0
        self._read: Stand | None = None
        self._blocks: dict[str, Block] = {}  # those that were told lately
        self._finals: dict[str, int] = {}
        self._scores = Scores()

    @property
    def transport(self) -> Transport:
        return self.rest.transport

    async def head(self) -> Header:
        """The node's newest block. Asks who the node is first where that is not certain any more."""
        await self.identify()
        newest = (await self._unbelied()).block.header
        if newest.time > self._now() + FUTURE:
            raise self.bad(f"its newest block {newest.height} is from the future: {newest.time.isoformat()}")
        return newest

    async def header_at(self, height: int) -> Header | None:
        """The block that the node holds at this height, None where it has none; the first block has height 1."""
        block = await self.block_at(height)
        return None if block is None else block.header

    async def headers_between(self, low: int, high: int) -> Sequence[Header]:
        """The blocks above `low` and below `high`; there is none at height 0."""
        await self.identify()
        return [block.header for block in await self._between(low, high)]

    async def path(self, tip: str, *, low: int, high: int) -> Sequence[Block]:
        """The blocks above `low` up to the one with this hash at `high`, each proven by its child to be in its branch.

        From the newest down, a page at a time, so that what was told lately is not asked again, also after a failure.
        Raises UnknownBlock when the node does not have that block, or leaves its branch meanwhile.
        """
        await self.identify()
        newest = self._blocks.get(tip) or await self._block_at(high)
        if newest is None or (newest.hash, newest.header.height) != (tip, high):
            raise UnknownBlock(f"{self.transport.provider}: does not have block {tip} at {high}", code=404)
        blocks = [newest]
        while blocks[-1].header.height > max(low, 0) + 1:
            oldest = blocks[-1].header
            known = self._blocks.get(oldest.parent)
            page = [known] if known else await self._between(max(low, oldest.height - 1 - PAGE), oldest.height)
            for block in reversed(page):
                if block.hash != blocks[-1].header.parent:
                    raise UnknownBlock(f"{self.transport.provider}: left the branch of block {tip}", code=404)
                blocks.append(block)
        return blocks[::-1]

    async def _between(self, low: int, high: int) -> list[Block]:
        found: list[Block] = []
        low = max(low, 0)
        while low + 1 < high:
            page = [self._block(one) for one in await self.rest.blocks_above(low)][: high - low - 1]
            if [block.header.height for block in page] != list(range(low + 1, low + 1 + len(page))) or not page:
                raise self.bad(f"lacks a block between {low} and {high}")
            found += page
            low += min(len(page), PAGE)
        return found

    async def block_at(self, height: int) -> Block | None:
        """As `header_at`, with what else is needed of the block."""
        await self.identify()
        return await self._block_at(height)

    async def _block_at(self, height: int) -> Block | None:
        if height < 1:
            return None
        found = await self.rest.block(height)
        if found is None:
            return None
        block = self._block(found)
        if block.header.height != height:
            raise self.bad(f"gave block {block.header.height} for block {height}")
        return block

    async def steadily(self, block: str, read: Callable[[Block], Awaitable[T]]) -> T:
        """What `read` gives while this is the node's newest block and the account states are the block's.

        Raises UnknownBlock when it is not (any more) the newest, Unavailable when the states do not keep still.
        """
        await self.identify()
        for _ in range(MOST_LOOKS):
            stand = await self._settled(block)
            found = await read(stand.block)
            now = await self._stand()
            if now == stand:
                self._read = stand
                self._scores.believe(stand.block, score=stand.score)
                return found
            if now.block == stand.block and stand.block.hash not in self._scores:
                self._scores.doubt(stand.block, scores=(stand.score, now.score))
        raise self._restless(block)

    async def identify(self) -> None:
        """Asks who the node is, unless it has been asked since the last new connection and the last failure.

        Raises Misconfigured when it is another network's.
        """
        connections = self.transport.connections
        if self._identity is not None and self._identified_at == connections and self.transport.circuit.error is None:
            return
        self.settled_tokens.clear()
        node = await self.rest.node()
        network = self.asked.network
        if (node.networkIdentifier, node.networkGenerationHashSeed) != (network.identifier, network.generation_hash):
            text = f"{self.transport.provider}: is on network {node.networkIdentifier:#04x} begun with the seed "
            text += f"{node.networkGenerationHashSeed}, configured is {network.name}"
            raise self.transport.blame(Misconfigured(text))
        properties = await self.rest.properties()
        self._identity = _Identity(properties.network.epochAdjustment, properties.chain.currencyMosaicId)
        self._identified_at = self.transport.connections
        self._stood = None  # another machine may have come to the same block only just now

    def final_at(self, block: str) -> int:
        """The height of the newest final block when this block was the node's newest, 0 where it never was.

        Only so are both in one branch: a node that was left behind on another one may call its own blocks final.
        """
        return self._finals.get(block, 0)

    @property
    def currency(self) -> str:
        """The id of the network's currency, once the node is identified."""
        return self._identified.currency

    @property
    def _identified(self) -> _Identity:
        if self._identity is None:
            raise RuntimeError("a node is identified before it is asked for anything else")
        return self._identity

    async def _unbelied(self) -> Stand:
        """Where the chain stands. Raises Unavailable when other account states came to the block that was read.

        For a moment they are ahead of every block; when no block follows, what was read may have been older states.
        """
        read, stand = self._read, await self._stand()
        for _ in range(FEW_LOOKS):
            if read is None or read.block != stand.block or read.score == stand.score:
                return stand
            await self.transport.timing.sleep(LOOK_AGAIN)
            stand = await self._stand()
        if read is not None:
            self._scores.doubt(stand.block, scores=(stand.score, read.score))
        self._read = None
        raise self._restless(stand.block.hash)

    async def _settled(self, block: str) -> Stand:
        """The stand at this block, once it has stood for a while and the account states are the block's."""
        reckoned: Collection[int] | None = None
        for look in range(MOST_LOOKS):
            told = self._stood if look == 0 and self._is_settled(block) else None
            stand = await self._stand() if told is None else told
            if stand.block.hash != block and (block in self._blocks or block == stand.block.header.parent):
                await self.transport.timing.sleep(CATCHING_UP)
                raise UnknownBlock(f"{self.transport.provider}: does not have block {block} as its newest", code=404)
            wait = self._since + self.asked.settle - self.transport.timing.clock()
            if stand.block.hash == block and wait <= 0:
                reckoned = await self._reckoned(stand.block) if reckoned is None else reckoned
                if stand.score in reckoned or not (reckoned or self._scores.in_doubt(stand.block)):
                    return stand
            await self.transport.timing.sleep(wait if wait > 0 else LOOK_AGAIN)
        if stand.block.hash != block:
            raise UnknownBlock(f"{self.transport.provider}: does not have block {block} yet", code=404)
        if reckoned:
            self._scores.doubt(stand.block, scores=(stand.score, *reckoned))
        raise self._restless(block)

    def _is_settled(self, block: str) -> bool:
        """Whether it was the newest when it was looked last, and for long enough: what is told after the reading shows
        whether it stayed so."""
        stood, since = self._stood, self._since
        return (
            stood is not None
            and stood.block.hash == block
            and since + self.asked.settle <= self.transport.timing.clock()
        )

    async def _reckoned(self, block: Block) -> Collection[int]:
        """The scores that the block can have by those at earlier ones; empty where none of the last blocks has one."""
        path = [block]
        if block.hash in self._scores and not self._scores.in_doubt(block):
            return self._scores.reckon(path)
        while self._scores and len(path) <= LONGEST_WALK:
            parent = self._blocks.get(path[0].header.parent) or await self._block_at(path[0].header.height - 1)
            if parent is None or parent.hash != path[0].header.parent:
                break  # the branch changes just now, or this is the first block
            path.insert(0, parent)
            if parent.hash in self._scores:
                return self._scores.reckon(path)
        return ()

    async def _stand(self) -> Stand:
        for _ in range(FEW_LOOKS):
            chain = await self.rest.chain()
            score = chain.scoreHigh * 2**64 + chain.scoreLow
            block = self._same(chain.height, score=score) or await self._block_at(chain.height)
            if block is not None:
                break
            await self.transport.timing.sleep(LOOK_AGAIN)  # it was undone between the two answers
        else:
            raise self.bad("lacks its own newest block")
        self._finals[block.hash] = chain.latestFinalizedBlock.height
        _forget_old(self._finals)
        stand = Stand(block, score)
        self._stood_over = self.transport.connections
        if stand != self._stood:
            self._stood, self._since = stand, self.transport.timing.clock()
        return stand

    def _same(self, height: int, *, score: int) -> Block | None:
        """The block that was newest before, where it still is: a chain takes other blocks only for a higher score.

        A block of the same height may have come whose account states have not; its score then follows.
        """
        stood = self._stood
        if stood is None or self._stood_over != self.transport.connections:
            return None
        return stood.block if (stood.block.header.height, stood.score) == (height, score) else None

    def _block(self, found: wire.BlockInfo) -> Block:
        epoch = self._identified.epoch
        milliseconds = found.block.timestamp
        if milliseconds // 1000 + int((epoch - START).total_seconds()) > LATEST:
            raise self.bad(f"no block can have the time {milliseconds}")
        if not is_proper(found.block.beneficiaryAddress, network=self.asked.network):
            raise self.bad(f"told of a block {found.block.height} whose beneficiary is no address of the network")
        header = Header(
            found.block.height,
            found.meta.hash,
            found.block.previousBlockHash,
            epoch + timedelta(milliseconds=milliseconds),
        )
        block = self._blocks[found.meta.hash] = Block(
            header,
            milliseconds,
            found.block.difficulty,
            of_raw(found.block.beneficiaryAddress),
            found.block.feeMultiplier,
            found.meta.totalTransactionsCount,
        )
        _forget_old(self._blocks)
        return block

    def _restless(self, block: str) -> Unavailable:
        text = f"{self.transport.provider}: its account states are not those of block {block}, or do not keep still"
        return self.transport.blame(Unavailable(text, reason=Reason.STALLED))

    def bad(self, text: str) -> BadAnswer:
        """A BadAnswer, counted, to be raised."""
        return self.transport.blame(BadAnswer(f"{self.transport.provider}: {text}"))


def _forget_old(known: dict[str, T]) -> None:
    """Keeps the newest."""
    for old in list(known)[: max(0, len(known) - REMEMBERED)]:
        del known[old]
