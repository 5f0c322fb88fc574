"""What a Symbol chain tells beside balances: movements, pending and mined, and who can move the watched accounts.

All of it is one node's word, the first that answers. What can't be read now is owed and told with a later update.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from typing import TypeVar

import structlog

from connectors.base import Address, Control, Movement, Stage, Tip, Update, Watch
from connectors.errors import ConnectorError
from connectors.panel import in_order
from connectors.polled import Companion
from connectors.symbol.address import of_raw
from connectors.symbol.mined import Mined, OwedBlocks
from connectors.symbol.node import AT_ONCE, SymbolNode
from connectors.symbol.transfers import (
    Aliases,
    Teller,
    aliased_addresses,
    aliased_mosaics,
    wholes,
)
from connectors.symbol.wire import TransactionInfo
from connectors.together import together

log = structlog.get_logger()

CONTROLS_AT_ONCE = 100
"""Accounts whose control is read with one update: each is a request, and all must belong to one block."""

MOST_OWED = 2880
"""Blocks whose movements are told late, after an outage: those of a day; what older ones moved is not told at all."""

REMEMBERED = 256
"""Blocks whose movements are remembered, so that a reorg can make them pending again."""

RESTS = 60.0
"""Seconds for which a node is not asked again what it took too long to tell."""

GIVE_UP = 600.0
"""Seconds after which telling begins anew where no node can say which blocks came after those that were told before."""

T = TypeVar("T")

Movements = tuple[Movement, ...]


@asynccontextmanager
async def accompanying(watch: Watch, *, nodes: Sequence[SymbolNode], patience: timedelta) -> AsyncIterator[Companion]:
    """The companion of one consumer, see connectors.polled.Accompany. Each question may take as long as `patience`."""
    yield SymbolCompanion(watch, nodes=nodes, patience=patience)


class SymbolCompanion:
    """A Companion."""

    def __init__(self, watch: Watch, *, nodes: Sequence[SymbolNode], patience: timedelta) -> None:
        self.news = asyncio.Event()
        self.doubt = False
        self._watch = watch
        self._watched = frozenset(watch.accounts)
        self._nodes = nodes
        self._told: int | None = None  # the height up to which movements are told
        self._since = watch.since
        self._searched_since: float | None = None
        self._patience = patience.total_seconds()
        self._owed = OwedBlocks(watch, teller=self._teller)
        self._blocks: dict[int, Mined] = {}
        self._pending: dict[str, Movements] = {}
        self._due: dict[Address, None] = dict.fromkeys(watch.accounts)
        self._missed: set[str] = set()
        self._rests: dict[tuple[str, str], float] = {}

    async def tell(self, update: Update) -> Update:
        """The update with movements and controls; see Companion."""
        if update.failure or update.tip is None:
            return update
        undone = self._undo(update)
        mined = await self._mined(update.tip)
        pooled = await self._pooled()
        told_again = {movement.transaction for movement in (*mined, *pooled)}
        movements = (*(one for one in undone if one.transaction not in told_again), *mined, *pooled)
        if update.complete:
            self._due |= dict.fromkeys(self._watch.accounts)
        return replace(
            update, movements=movements, controls=await self._controls(update.tip), owed=self._owes(update.tip)
        )

    # ── blocks ──────────────────────────────────────────────────────────────────────────────────────────────────────

    def _undo(self, update: Update) -> Movements:
        """What the blocks moved that are not in the branch any more: it is pending again, until more is known."""
        if not update.reorg_depth or update.previous is None:
            return ()
        ancestor = update.previous.height - update.reorg_depth
        self._told = None if self._told is None else min(self._told, ancestor)
        undone: list[Movement] = []
        for height in sorted(height for height in self._blocks if height > ancestor):
            block = self._blocks.pop(height)
            self._due |= dict.fromkeys(block.changed_control & self._watched)
            undone += (replace(movement, stage=Stage.PENDING, tip=None) for movement in block.movements)
        for movement in undone:
            self._pending[movement.transaction] = (*self._pending.get(movement.transaction, ()), movement)
        return tuple(undone)

    async def _go_on(self, tip: Tip) -> bool:
        """After the newest block of the tip's branch that was told before us, else from here on; False while it can't
        be known which one that is."""
        if self._told is not None:
            return True
        before = [one for one in self._since if one.height <= tip.height]
        if not before:
            self._told = tip.height
            return True

        async def question(node: SymbolNode) -> int:
            return await _newest_that_stands(node, tip=tip, known=before, chain=self._watch.chain)

        self._told = await self._answered("the blocks before", question)
        now = self._nodes[0].transport.timing.clock()
        self._searched_since = now if self._searched_since is None else self._searched_since
        if self._told is None and now - self._searched_since > GIVE_UP:
            log.warning("movements passed over", chain=self._watch.chain, since=before[-1].height, tip=tip.height)
            self._told = tip.height
        return self._told is not None

    def _owes(self, tip: Tip) -> bool:
        return self._told is None or self._told < tip.height

    async def _mined(self, tip: Tip) -> Movements:
        if not await self._go_on(tip):
            return ()
        low = self._told = tip.height if self._told is None else self._told
        if tip.height - low > MOST_OWED:
            log.warning("movements skipped", chain=self._watch.chain, blocks=tip.height - low - MOST_OWED)
            low = tip.height - MOST_OWED
        if tip.height <= low:
            return ()

        async def question(node: SymbolNode) -> None:
            await self._owed.read(node, tip=tip, low=low, seconds=self._patience / 2)

        await self._answered("blocks", question)
        blocks = self._owed.take(tip)
        self._told = blocks[-1].tip.height if blocks else low
        for block in blocks:
            self._blocks[block.tip.height] = block
            self._due |= dict.fromkeys(block.changed_control & self._watched)
            for known in block.hashes & self._pending.keys():
                del self._pending[known]
        for height in sorted(self._blocks)[: max(0, len(self._blocks) - REMEMBERED)]:
            del self._blocks[height]
        return tuple(movement for block in blocks for movement in block.movements)

    # ── pools ───────────────────────────────────────────────────────────────────────────────────────────────────────

    async def _pooled(self) -> Movements:
        """What came into the pools since the last look, and what left them without coming into a block."""
        found = await self._answered("pending transactions", self._pools)
        if found is None:
            return ()
        pools, known = found
        told: list[Movement] = []
        for hash_, movements in pools.items():
            if movements and hash_ not in self._pending and not self._is_mined(hash_):
                self._pending[hash_] = movements
                told += movements
        if known is None:
            return tuple(told)
        for hash_ in [hash_ for hash_ in self._pending if hash_ not in pools]:
            if known.get(hash_, "failed") == "failed":
                told += (replace(movement, stage=Stage.EVICTED) for movement in self._pending.pop(hash_))
        return tuple(told)

    async def _pools(self, node: SymbolNode) -> tuple[Mapping[str, Movements], Mapping[str, str] | None]:
        """Movements of what is in the pools, and the group of those that have left; None where that can't be told."""
        await node.identify()
        lists = [await node.rest.pool(group) for group in ("partial", "unconfirmed")]
        infos = [info for one in lists for info in one or ()]
        aliases = await self._aliases_now(node, infos=infos)
        teller = self._teller(node)
        pools = {
            whole.hash: tuple(teller.movements(whole, stage=Stage.PENDING))
            for whole in wholes(infos, network=node.asked.network, aliases=aliases)
        }
        if None in lists:
            return pools, None
        gone = [hash_ for hash_ in self._pending if hash_ not in pools]
        return pools, await node.rest.statuses(gone) if gone else {}

    async def _aliases_now(self, node: SymbolNode, *, infos: Sequence[TransactionInfo]) -> Aliases:
        mosaics: dict[str, Sequence[tuple[int, str]]] = {}
        addresses: dict[bytes, Sequence[tuple[int, bytes]]] = {}
        for identity in aliased_mosaics(infos):
            alias = await node.rest.namespace(identity)
            if alias is not None and alias.mosaicId is not None:
                mosaics[identity] = [(0, alias.mosaicId)]
        for raw in aliased_addresses(infos):
            alias = await node.rest.namespace(raw[8:0:-1].hex().upper())
            if alias is not None and alias.address is not None:
                addresses[raw] = [(0, alias.address)]
        return Aliases(mosaics, addresses)

    def _is_mined(self, hash_: str) -> bool:
        return any(hash_ in block.hashes for block in self._blocks.values())

    # ── control ─────────────────────────────────────────────────────────────────────────────────────────────────────

    async def _controls(self, tip: Tip) -> tuple[Control, ...]:
        """Some of those that are due; the others wait for their turn."""
        accounts = list(self._due)[:CONTROLS_AT_ONCE]
        if not accounts:
            return ()

        async def question(node: SymbolNode) -> Sequence[Control]:
            return await node.steadily(tip.hash, lambda _: _controls_of(node, accounts=accounts))

        found = await self._answered("control", question)
        if found is None:
            return ()
        for account in accounts:
            del self._due[account]
        return tuple(found)

    # ── asking ──────────────────────────────────────────────────────────────────────────────────────────────────────

    async def _answered(self, what: str, question: Callable[[SymbolNode], Awaitable[T]]) -> T | None:
        """The first node's answer, None when no node has one: logged once until it is had again.

        It rests no node from balances: whoever can't tell movements may still tell those.
        """
        why, now = "no node may be asked now", self._nodes[0].transport.timing.clock()
        for node in in_order(self._nodes):
            provider = node.transport.provider
            if self._rests.get((what, provider), now) > now:
                continue
            try:
                async with asyncio.timeout(self._patience):
                    answer = await question(node)
            except ConnectorError as error:
                why = str(error)
            except TimeoutError:
                why = f"{provider}: not told within {self._patience:g}s"
                self._rests[what, provider] = now + RESTS
                break  # balances wait for us; the others are asked with the next update
            else:
                self._missed.discard(what)
                return answer
        if what not in self._missed:
            self._missed.add(what)
            log.warning("nobody tells", chain=self._watch.chain, what=what, detail=why)
        return None

    def _teller(self, node: SymbolNode) -> Teller:
        return Teller(self._watch, node.currency, self._watched)


async def _newest_that_stands(node: SymbolNode, *, tip: Tip, known: Sequence[Tip], chain: str) -> int:
    """The height of the newest of the known blocks in the tip's branch; of the lowest where none stands, of those that
    are not too long ago. Raises ConnectorError."""
    floor = tip.height - MOST_OWED
    near = [one for one in known if one.height > floor]
    if not near:
        return known[-1].height
    if near[-1].hash == tip.hash:
        return tip.height
    for one in (near[-1], near[0]):  # mostly the newest stands
        path = await node.path(tip.hash, low=one.height - 1, high=tip.height)
        hashes = {block.hash for block in path}
        stands = [block.height for block in near if block.hash in hashes]
        if stands:
            return stands[-1]
    log.warning("movements skipped", chain=chain, undone_below=near[0].height)
    return near[0].height


async def _controls_of(node: SymbolNode, *, accounts: Sequence[Address]) -> Sequence[Control]:
    return await together((_control(node, account=account) for account in accounts), at_once=AT_ONCE)


async def _control(node: SymbolNode, *, account: Address) -> Control:
    """`multisig` with its cosignatories, or `single`: its own key signs, also where it is a cosignatory itself."""
    answer = await node.rest.multisig(account)
    if answer is None:
        return Control(account, "single", ())
    told = answer.multisig
    if of_raw(told.accountAddress) != account:
        raise node.bad("answered with the cosignatories of another account")
    if not told.cosignatoryAddresses:
        return Control(account, "single", ())
    names = sorted(of_raw(raw) for raw in told.cosignatoryAddresses)
    facts = [("minApproval", str(told.minApproval)), ("minRemoval", str(told.minRemoval))]
    return Control(account, "multisig", (*facts, *(("cosignatory", name) for name in names)))
