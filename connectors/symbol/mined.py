"""What the blocks of a Symbol chain moved: owed from the moment they are in the branch, told without a gap."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import structlog

from connectors.base import Address, Movement, Stage, Tip, Watch
from connectors.errors import BadAnswer
from connectors.follow import UnknownBlock
from connectors.symbol.node import Block, SymbolNode
from connectors.symbol.transfers import Aliases, Teller, Whole, aliased_addresses, aliased_mosaics, wholes
from connectors.symbol.wire import TransactionInfo

log = structlog.get_logger()

GIVE_UP = 10
"""Refusals of a block after which it is skipped, once the transactions of a later block could be read."""


@dataclass(frozen=True, slots=True)
class Mined:
    """What a block holds of interest. `hashes` are those of all its transactions."""

    tip: Tip
    movements: tuple[Movement, ...] = ()
    hashes: frozenset[str] = frozenset()
    changed_control: frozenset[Address] = frozenset()


class OwedBlocks:
    """The blocks of the branch that are not told yet. What was read stays read, whichever node fails meanwhile."""

    def __init__(self, watch: Watch, *, teller: Callable[[SymbolNode], Teller]) -> None:
        self._watch = watch
        self._teller = teller
        self._path: Sequence[Block] = ()
        self._read: dict[str, Mined] = {}
        self._refusals = Counter[str]()

    async def read(self, node: SymbolNode, *, tip: Tip, low: int, seconds: float) -> None:
        """Reads the blocks above `low` up to the tip, as far as they are not read yet and there is time: what is left
        is for the next look.

        A block whose transactions make no sense keeps none of the others from being read. Raises ConnectorError when
        some could not be.
        """
        clock = node.transport.timing.clock
        ends = clock() + seconds
        self._path = await node.path(tip.hash, low=low, high=tip.height)
        refusal: BadAnswer | None = None
        asked = 0
        for block in self._path:
            if block.hash in self._read:
                continue
            if asked and clock() > ends:
                break
            asked += 1
            try:
                self._read[block.hash] = await self._block(node, block=block)
            except BadAnswer as error:
                self._refusals[block.hash] += 1
                refusal = refusal or error
        if refusal is not None:
            raise refusal

    def take(self, tip: Tip) -> Sequence[Mined]:
        """The oldest of those that lead to the tip, up to the first that could not be read; none is given twice."""
        path = self._path if self._path and self._path[-1].hash == tip.hash else ()
        taken: list[Mined] = []
        for place, block in enumerate(path):
            mined = self._read.get(block.hash) or self._given_up(block, later=path[place + 1 :])
            if mined is None:
                break
            taken.append(mined)
        self._path = path[len(taken) :]
        left = {block.hash for block in self._path}
        self._read = {known: mined for known, mined in self._read.items() if known in left}
        self._refusals = Counter({known: count for known, count in self._refusals.items() if known in left})
        return taken

    def _given_up(self, block: Block, *, later: Sequence[Block]) -> Mined | None:
        """In the place of a block that every node refuses while others can be read; all control is read anew then."""
        if self._refusals[block.hash] < GIVE_UP or not any(
            one.transactions and one.hash in self._read for one in later
        ):
            return None
        log.warning("movements skipped", chain=self._watch.chain, height=block.header.height, block=block.hash)
        return Mined(block.header.tip, changed_control=frozenset(self._watch.accounts))

    async def _block(self, node: SymbolNode, *, block: Block) -> Mined:
        height = block.header.height
        infos = await node.rest.confirmed(height) if block.transactions else ()
        if len(infos) != block.transactions:
            raise node.bad(f"block {height} holds {block.transactions} transactions, and {len(infos)} were told")
        if infos and await node.header_at(height) != block.header:
            raise UnknownBlock(f"{node.transport.provider}: block {height} changed meanwhile", code=404)
        whole = wholes(infos, network=node.asked.network, aliases=await _resolved(node, infos=infos, at=height))
        changed = frozenset(account for one in whole for account in one.changes_control)
        movements = self._movements(whole, teller=self._teller(node), block=block)
        return Mined(block.header.tip, movements, frozenset(one.hash for one in whole), changed)

    def _movements(self, whole: Sequence[Whole], *, teller: Teller, block: Block) -> tuple[Movement, ...]:
        told = (
            teller.movements(one, stage=Stage.MINED, tip=block.header.tip, fee=one.size * block.fee_multiplier)
            for one in whole
        )
        return tuple(movement for movements in told for movement in movements)


async def _resolved(node: SymbolNode, *, infos: Sequence[TransactionInfo], at: int) -> Aliases:
    """What the namespaces stood for in the block. BadAnswer where one is not told: it might be a watched account."""
    mosaics: Mapping[str, Sequence[tuple[int, str]]] = {}
    addresses: Mapping[bytes, Sequence[tuple[int, bytes]]] = {}
    if names := aliased_mosaics(infos):
        mosaics = {
            one.unresolved: [(entry.source.primaryId, entry.resolved) for entry in one.resolutionEntries]
            for one in await node.rest.resolved_mosaics(at)
        }
        if not names <= {name for name, entries in mosaics.items() if entries}:
            raise node.bad(f"does not tell which mosaics the names in block {at} stood for")
    if raws := aliased_addresses(infos):
        addresses = {
            one.unresolved: [(entry.source.primaryId, entry.resolved) for entry in one.resolutionEntries]
            for one in await node.rest.resolved_addresses(at)
        }
        if not raws <= {raw for raw, entries in addresses.items() if entries}:
            raise node.bad(f"does not tell which accounts the names in block {at} stood for")
    return Aliases(mosaics, addresses)
