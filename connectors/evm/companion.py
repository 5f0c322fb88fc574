"""What an EVM chain tells beside balances: movements, pending and mined, and whatever of balances they leave open."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import structlog

from connectors.base import Address, Disagreement, Movement, Stage, Tip, Token, Update, Watch
from connectors.errors import ConnectorError
from connectors.evm.agreement import Settled, Way
from connectors.evm.blocks import Blocks
from connectors.evm.branch import Branch, ToldBlock
from connectors.evm.controls import Controls, Told
from connectors.evm.mined import Mined
from connectors.evm.pending import Pool, Waiting
from connectors.evm.reckoning import Reckoning
from connectors.evm.transfers import Deed, Teller, rest
from connectors.transport import Timing

log = structlog.get_logger()

PATIENCE = 2
"""Blocks after which a transaction that no node knows any more, and no block holds either, is given up."""

MOST_TRACED = 8
"""Blocks that are traced with one update, the newest: a trace of one may take seconds."""

GIVE_UP = 60.0
"""Seconds after which blocks that nobody can tell of are passed over, and what they did is told by the balances."""


@dataclass(frozen=True, slots=True)
class Sources:
    """Where it is told from."""

    blocks: Blocks
    pool: Pool
    teller: Teller
    timing: Timing
    controls: Controls | None = None


class EvmCompanion:
    """A Companion. `asking` fills the pool.

    What balances changed by beyond what transactions account for is told as a movement too, see transfers.rest; so the
    mined movements of an account always add up to its balance. While blocks can't be told, nothing is called gone.
    """

    def __init__(self, watch: Watch, *, reckoning: Reckoning, sources: Sources, asking: asyncio.Task[None]) -> None:
        self.news = sources.pool.news
        self.doubt = False
        self._chain = watch.chain
        self._since = watch.since
        self._reckoning = reckoning
        self._blocks = sources.blocks
        self._pool = sources.pool
        self._teller = sources.teller
        self._timing = sources.timing
        self._asking = asking
        self._branch = Branch()
        self._controls = sources.controls
        self._disputes: tuple[Disagreement, ...] = ()
        self._fresh: tuple[Mined, ...] = ()
        """The blocks that came with this update."""
        self._failing_since: float | None = None

    async def tell(self, update: Update) -> Update:
        """The update with what there is to tell beside it; see Companion."""
        if self._asking.done():
            self._asking.result()  # only a fault of ours ends it: that must not pass in silence
        if update.tip is None:
            return update
        self._reckoning.balances(update)
        movements = await self._of_blocks(update.tip)
        movements += self._of_waiting(update.tip)
        controls = await self._who_controls(update, tip=update.tip)
        return replace(
            update,
            movements=tuple(movements),
            controls=controls.controls,
            disagreements=(*update.disagreements, *self._disputes, *controls.disputes),
            owed=self._branch.newest is None or self._branch.newest.tip.hash != update.tip.hash,
        )

    async def _who_controls(self, update: Update, *, tip: Tip) -> Told:
        if self._controls is None:
            return Told()
        touched = () if update.complete else [one.account for one in update.held]
        return await self._controls.at(tip, touched=touched, blocks=self._fresh, anew=update.complete)

    # ── blocks ──────────────────────────────────────────────────────────────────────────────────────────────────────

    async def _of_blocks(self, tip: Tip) -> list[Movement]:
        if self._branch.newest is None:
            self._go_on(tip)
        newest, self._fresh = self._branch.newest, ()
        if newest is None:
            self._begin(tip)
            return []
        told: list[Movement] = []
        if newest.tip.hash != tip.hash:
            settled = await self._settled(tip)
            if settled is None:
                return self._given_up(tip)
            self._fresh = settled.way.blocks
            told = await self._entered(settled, tip=tip)
        return [*told, *self._rests(tip)]

    def _go_on(self, tip: Tip) -> None:
        """After the blocks that were told before us, but those that the nodes do not have (yet)."""
        for one in self._since:
            if one.height <= tip.height:
                self._branch.append(ToldBlock(one))
        self._since = ()

    def _begin(self, tip: Tip) -> None:
        """From here on, as if nothing had been told before."""
        self._branch = Branch()
        self._branch.append(ToldBlock(tip))
        self._reckoning.settle()

    async def _settled(self, tip: Tip) -> Settled | None:
        """What enough nodes tell of the blocks since; None when they can't, which is logged once until they can."""
        senders = frozenset(waiting.slot[0] for waiting in self._pool.waiting.values() if waiting.slot)
        self._disputes = ()
        try:
            settled = await self._blocks.up_to(tip, branch=self._branch, senders=senders)
        except ConnectorError as error:
            if self._failing_since is None:
                self._failing_since = self._timing.clock()
                log.warning("movements can't be told", chain=self._chain, height=tip.height, detail=str(error))
            return None
        self._failing_since = None
        self._disputes = settled.disputes
        return settled

    def _given_up(self, tip: Tip) -> list[Movement]:
        """Nothing yet; after a while what the balances tell."""
        since = self._failing_since
        if since is None or self._timing.clock() - since < GIVE_UP:
            return []
        self._failing_since = self._timing.clock()
        self._pass_over(tip)
        self._branch.append(ToldBlock(tip))
        return self._rests(tip)

    def _pass_over(self, tip: Tip) -> None:
        """Blocks since the newest that was told are not told; one of them may hold any that waits."""
        newest = self._branch.newest
        log.warning("movements passed over", chain=self._chain, since=newest and newest.tip.height, tip=tip.height)
        self._branch = Branch()
        self._pool.waiting.clear()
        self.doubt = True
        if self._controls is not None:
            self._controls.doubt()

    async def _entered(self, settled: Settled, *, tip: Tip) -> list[Movement]:
        """What the blocks undo and do."""
        way = settled.way
        undone = self._undone(way, tip=tip)
        blocks = [self._told(one, deeds=one.deeds) for one in way.blocks]
        for block in blocks:
            self._reckoning.told(block.movements)
        blocks = await self._looked_into(way.blocks, blocks=blocks)
        for block in blocks:
            self._branch.append(block)
        if self._branch.newest is None:
            self._branch.append(ToldBlock(tip))
        movements = [again for old in undone for again in self._waits_again(old)]
        movements += [one for block in blocks for one in block.movements]
        movements += [one for block in blocks for one in self._wait_no_more(block)]
        return movements

    def _undone(self, way: Way, *, tip: Tip) -> Sequence[ToldBlock]:
        """What was told of blocks that are not on the way to the tip. Where it does not begin at one that was told, the
        branch begins anew."""
        first, lowest = (way.blocks[0].tip.height if way.blocks else tip.height), min(self._branch.hashes.values())
        if way.begins is not None:
            undone = self._branch.undo(above=self._branch.hashes[way.begins])
        else:
            undone = self._branch.undo(above=first - 1)
            if first > lowest + 1:
                self._pass_over(tip)
            self._branch = Branch()
        for old in undone:
            self._reckoning.told((*old.movements, *old.rests), undone=True)
        return undone

    def _told(self, block: Mined, *, deeds: tuple[Deed, ...]) -> ToldBlock:
        movements = (self._teller.movement(deed, stage=Stage.MINED, tip=block.tip) for deed in deeds)
        return ToldBlock(block.tip, deeds, tuple(one for one in movements if one is not None), sent=block.sent)

    async def _looked_into(self, mined: Sequence[Mined], *, blocks: list[ToldBlock]) -> list[ToldBlock]:
        """With what moved inside contract calls, where balances say that something did and traces account for it."""
        coin = self._teller.coin
        if coin is None or not _is_hidden(self._reckoning.rests().get(coin, {}), blocks=mined):
            return blocks
        better = list(blocks)
        for place in range(max(0, len(blocks) - MOST_TRACED), len(blocks)):
            deeds = await self._blocks.traced(mined[place])
            better[place] = blocks[place] if deeds is None else self._told(mined[place], deeds=deeds)
        before = self._open(coin)
        self._exchange(blocks, better)
        if self._open(coin) < before:
            return better
        self._exchange(better, blocks)
        return blocks

    def _open(self, coin: Token) -> int:
        """How much is not accounted for."""
        return sum(abs(units) for units in self._reckoning.rests().get(coin, {}).values())

    def _exchange(self, old: Iterable[ToldBlock], new: Iterable[ToldBlock]) -> None:
        for block in old:
            self._reckoning.told(block.movements, undone=True)
        for block in new:
            self._reckoning.told(block.movements)

    def _rests(self, tip: Tip) -> list[Movement]:
        """What the blocks up to the tip leave open, with what was left open at this tip before."""
        block = self._branch.newest
        rests = self._reckoning.rests()
        self._reckoning.settle()
        if block is None or not rests:
            return []
        known = {one.token: Counter(dict(one.changes)) for one in block.rests}
        told: list[Movement] = []
        for token, changes in rests.items():
            units = known.pop(token, Counter())
            units.update(changes)
            told.append(rest(units, token=token, tip=tip))
        block.rests = (*(one for one in block.rests if one.token in known), *told)
        return told

    # ── what waits ──────────────────────────────────────────────────────────────────────────────────────────────────

    def _waits_again(self, block: ToldBlock) -> Iterator[Movement]:
        """What an undone block held, unless the new branch holds it as well. Its rests are gone with it."""
        slots = dict(block.sent)
        deeds: dict[str, list[Deed]] = {}
        for deed in block.deeds:
            deeds.setdefault(deed.transaction, []).append(deed)
        told = {one.transaction for one in block.movements}
        for name, done in deeds.items():
            if name in told and not self._branch.holds(name):
                self._pool.waiting[name] = Waiting(slots.get(name), tuple(done), told=Stage.MINED)
        for one in block.rests:
            yield rest(dict(one.changes), token=one.token, tip=block.tip, stage=Stage.EVICTED)

    def _wait_no_more(self, block: ToldBlock) -> Iterator[Movement]:
        """Of what waited and is mined, the tokens that it was to move and did not: it failed, or did something else."""
        done = {(one.transaction, one.token) for one in block.movements}
        for name in block.names:
            waiting = self._pool.waiting.pop(name, None)
            if waiting is None or waiting.told is None:
                continue
            for one in self._at(waiting, stage=Stage.MINED):
                if (one.transaction, one.token) not in done:
                    nothing = tuple((account, 0) for account, _ in one.changes)
                    yield replace(one, tip=block.tip, changes=nothing, change=0, destinations=(), sources=())

    def _of_waiting(self, tip: Tip) -> list[Movement]:
        """What is new among those that wait, and what waits no more."""
        told: list[Movement] = []
        for name, waiting in list(self._pool.waiting.items()):
            if self._branch.holds(name):
                del self._pool.waiting[name]
                continue
            stage, rival = self._stage(waiting, tip=tip)
            if stage is not Stage.PENDING:
                del self._pool.waiting[name]
            if waiting.told is not stage and (waiting.told is not None or stage is Stage.PENDING):
                told += self._at(waiting, stage=stage, by=rival)
            waiting.told = stage
        return told

    def _stage(self, waiting: Waiting, *, tip: Tip) -> tuple[Stage, str | None]:
        rival = self._branch.spender(waiting.slot) or waiting.replaced_by
        since = waiting.absent_since
        if rival is not None:
            return Stage.REPLACED, rival
        behind = self._failing_since is not None
        gone = since is not None and tip.height >= since + PATIENCE and not behind
        return (Stage.EVICTED if gone else Stage.PENDING), None

    def _at(self, waiting: Waiting, *, stage: Stage, by: str | None = None) -> list[Movement]:
        movements = (self._teller.movement(deed, stage=stage, by=by) for deed in waiting.deeds)
        return [one for one in movements if one is not None]


def _is_hidden(rests: Mapping[Address, int], *, blocks: Iterable[Mined]) -> bool:
    """Whether something is left open that is not what blocks give to stakers and to those who make them."""
    given: Counter[Address] = Counter()
    makers: set[Address | None] = set()
    for block in blocks:
        given.update(_sums(block.withdrawn))
        makers.add(block.rewarded)
    return any(units != given[one] and not (one in makers and units > 0) for one, units in rests.items())


def _sums(pairs: Iterable[tuple[Address, int]]) -> Counter[Address]:
    sums: Counter[Address] = Counter()
    for account, units in pairs:
        sums[account] += units
    return sums
