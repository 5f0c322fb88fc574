"""The blocks between those that were told and the tip, each proven by the one above it to be in the tip's branch."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta

import structlog

from connectors.base import Tip
from connectors.errors import ConnectorError, Reason, Unavailable
from connectors.follow import UnknownBlock
from connectors.nem.block import Block, Blocks
from connectors.nem.movements import Teller
from connectors.nem.node import NisNode
from connectors.nem.transaction import TransactionFields
from connectors.panel import in_order
from connectors.together import together

log = structlog.get_logger()

MOST_BLOCKS = 1440
"""Blocks that are told after a gap, the newest: those of a day. What older ones did shows in the balances."""

CHUNK = 8
"""Blocks that are asked for in one go; what is proven of them stays read when the next ones fail."""

RESTS = 60.0
"""Seconds for which a node is not asked for older blocks after it could not tell one of them within our patience."""

GIVE_UP = 60.0
"""Seconds without another block after which the blocks that nobody tells are passed over."""


@dataclass(frozen=True, slots=True)
class Mined:
    """A block with its transactions of interest; `parent` is the hash of the block below."""

    tip: Tip
    parent: str
    transactions: tuple[TransactionFields, ...] = ()

    @property
    def names(self) -> Sequence[str]:
        return [transaction.hash() for transaction in self.transactions]


@dataclass(frozen=True, slots=True)
class Way:
    """Blocks that lead to the tip without a gap, in their order. `begins`: the hash of the block below them, which was
    told before; None where those in between were passed over."""

    begins: str | None
    blocks: Sequence[Mined]


@dataclass(frozen=True, slots=True)
class _Trail:
    """What is known of a way: its blocks, the newest first, and the block below them. `ends` where no more is asked."""

    blocks: Sequence[Mined]
    below: str
    height: int
    ends: bool


class MinedBlocks:
    """Reads the blocks of one consumer from the first node that answers: as their hashes are recomputed, a block is
    what the agreed tip says it is, whichever node told it. What was read stays read. `patience` is for one look."""

    def __init__(self, nodes: Sequence[NisNode], *, blocks: Blocks, teller: Teller, patience: timedelta) -> None:
        self._nodes = nodes
        self._blocks = blocks
        self._teller = teller
        self._chain = teller.chain
        self._patience = patience.total_seconds()
        self._timing = nodes[0].transport.timing
        self._read: dict[str, Mined] = {}
        self._rests: dict[str, float] = {}
        self._failing_since: float | None = None
        self._missing = False

    def cached(self, tip: str, *, above: int) -> Sequence[Mined]:
        """The block and those below it, as far as nobody has to be asked for them."""
        found: list[Mined] = []
        block = self._blocks.get(tip)
        while block is not None and block.height > above:
            found.append(self._understood(block))
            block = self._blocks.get(block.parent)
        return found[::-1]

    async def up_to(self, tip: Tip, *, known: Mapping[str, int]) -> Way | None:
        """The way from a known block (hashes, with their heights) to the tip, at most MOST_BLOCKS of it.

        None while it is not known as a whole: part of a gap would look like all of it. When nothing more could be read
        for GIVE_UP seconds, what is known of it.
        """
        trail = self._trail(tip, known=known)
        if not trail.ends:
            trail = await self._longer(trail, tip=tip, known=known)
        if not trail.ends and not self._given_up:
            return None
        self._read.clear()
        self._failing_since, self._missing = None, False
        return Way(trail.below if trail.below in known else None, trail.blocks[::-1])

    @property
    def _given_up(self) -> bool:
        return self._failing_since is not None and self._timing.clock() - self._failing_since >= GIVE_UP

    async def _longer(self, trail: _Trail, *, tip: Tip, known: Mapping[str, int]) -> _Trail:
        """As far as it could be read now; says so once when that is not all."""
        try:
            await self._ask(tip, known=known)
            why = ""
        except ConnectorError as error:
            why = str(error)
        longer = self._trail(tip, known=known)
        if longer.height < trail.height:
            self._failing_since = None
        elif not longer.ends and self._failing_since is None:
            self._failing_since = self._timing.clock()
        if not longer.ends and not self._missing:
            self._missing = True
            log.warning(
                "movements can't be told yet", chain=self._chain, tip=tip.height, read_to=longer.height + 1, detail=why
            )
        return longer

    def _trail(self, tip: Tip, *, known: Mapping[str, int]) -> _Trail:
        """Below the lowest known block nothing is looked for: a reorg that deep is a gap."""
        found: list[Mined] = []
        at, height = tip.hash, tip.height
        floor = max(min(known.values()), tip.height - MOST_BLOCKS)
        while at not in known and height > floor:
            block = self._known(at)
            if block is None:
                return _Trail(found, at, height, ends=False)
            found.append(block)
            at, height = block.parent, height - 1
        return _Trail(found, at, height, ends=True)

    def _known(self, block: str) -> Mined | None:
        known = self._read.get(block)
        if known is None:
            cached = self._blocks.get(block)
            known = None if cached is None else self._understood(cached)
            if known is not None:
                self._read[block] = known
        return known

    def _understood(self, block: Block) -> Mined:
        ours = tuple(one for one in block.transactions if self._teller.concerns(one))
        return Mined(block.header.tip, block.parent, ours)

    # ── asking ──────────────────────────────────────────────────────────────────────────────────────────────────────

    async def _ask(self, tip: Tip, *, known: Mapping[str, int]) -> None:
        """Raises ConnectorError when no node has told all of it. It rests no node from balances."""
        why: ConnectorError = Unavailable("no node may be asked now")
        now = self._timing.clock()
        for node in in_order(self._nodes):
            provider = node.transport.provider
            if self._rests.get(provider, now) > now:
                continue
            before = len(self._read)
            try:
                async with asyncio.timeout(self._patience):
                    return await self._walk(node, tip=tip, known=known)
            except ConnectorError as error:
                why = error
            except TimeoutError:
                if len(self._read) == before:
                    self._rests[provider] = now + RESTS
                text = f"{provider}: older blocks not told within {self._patience:g}s"
                raise Unavailable(text, reason=Reason.TIMEOUT) from None  # balances wait for us
        raise why

    async def _walk(self, node: NisNode, *, tip: Tip, known: Mapping[str, int]) -> None:
        """Down from where the trail is lost, until it ends. Raises ConnectorError."""
        await node.identify()
        trail = self._trail(tip, known=known)
        while not trail.ends:
            floor = max((height for height in known.values() if height < trail.height), default=0)
            lowest = max(floor + 1, trail.height - CHUNK + 1)
            heights = range(trail.height, lowest - 1, -1)
            blocks = await together(node.block_at(height, keep=False) for height in heights)
            wanted = trail.below
            for height, block in zip(heights, blocks, strict=True):
                if block is None or block.hash != wanted:
                    raise await self._misfit(node, tip=tip, height=height)
                self._read[wanted] = self._understood(block)
                wanted = block.parent
            trail = self._trail(tip, known=known)

    async def _misfit(self, node: NisNode, *, tip: Tip, height: int) -> ConnectorError:
        """The node is not, or not any more, in the branch of the tip, or its blocks do not fit together."""
        held = await node.block_at(tip.height, keep=False)
        if held is not None and held.hash == tip.hash:
            return node.bad(f"its block {height} is not the one that its block {height + 1} follows")
        return UnknownBlock(f"{node.transport.provider}: is not in the branch of block {tip.hash}", code=404)
