"""What one NIS1 node's accounts hold, carried from block to block: only what a block touches is read again.

NIS tells accounts as of its newest block and does not say which that is. It first takes a block into its accounts and
then shows it as its last (BlockChainUpdateContext.updateOurChain). So what was read belongs to a block when the node
showed it before and still shows it a while after; whatever the blocks in between touched is read once more.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta

from connectors.base import Drift, Watch
from connectors.errors import ConnectorError, Reason, Unavailable
from connectors.follow import UnknownBlock
from connectors.nem.accounts import AccountReader, State
from connectors.nem.block import Block, Path
from connectors.nem.config import DEEPEST
from connectors.nem.node import NisNode
from connectors.quorum import STATEMENTS, Flaw, Value

TRIES = 10
"""How often the node may show another block before a reading has settled."""

MOST_FOLLOWED = DEEPEST
"""Blocks that are followed one by one."""

KEPT = 64
"""Older readings that can still be told, each by what changed after it, besides those that are not deep enough yet."""

CHUNK = 1000
"""Accounts read before what was read is put by, so that a failure later does not cost it."""


@dataclass(frozen=True, slots=True)
class Rules:
    """`settle`: how long a block may be in the accounts before the node shows it. `sweep`: how often everything is read
    although nothing touched it."""

    settle: timedelta
    sweep: timedelta


class Book:
    """The accounts of one watch at one node. `at` is asked by many and answers one after the other."""

    def __init__(self, node: NisNode, *, watch: Watch, rules: Rules) -> None:
        self._node = node
        self._watch = watch
        self._rules = rules
        self._reader = AccountReader(node, watch=watch)
        self._contracts = {token.contract for token in watch.tokens}
        self._numbers = {account: number for number, account in enumerate(watch.accounts)}
        self._lock = asyncio.Lock()
        self._tip: Block | None = None
        self._states: list[State] = []
        self._history: list[tuple[str, dict[int, State]]] = []
        """Blocks before the tip, oldest first, each with the states that differ in the reading after it."""
        self._base: Block | None = None
        """The block that the node showed before what is staged was read."""
        self._staged: dict[int, State] = {}
        self._needed: set[int] = set(range(len(watch.accounts)))
        """Accounts whose state at the base is not known, staged ones included."""
        self._touched: set[int] = set()
        """Those of them that blocks gave a reason to read."""
        self._harvesters: set[int] = set()
        self._sweeping = True
        self._swept_at = 0.0
        self._drift: tuple[Drift, ...] | None = None

    async def at(self, block: str) -> Sequence[State]:
        """All accounts as of the block. Raises UnknownBlock where they can't be told, another ConnectorError when the
        node can't be read."""
        async with self._lock:
            await self._keep_up(known=self._knows(block))
            if self._tip is not None and self._tip.hash == block:
                await self._look_again(self._tip)
            return self._as_of(block) if self._knows(block) else await self._from_history(block)

    def known(self, block: str) -> Sequence[State] | None:
        """All accounts as of the block, where nothing needs to be asked for it."""
        return self._as_of(block) if self._knows(block) else None

    def take_drift(self) -> tuple[Drift, ...] | None:
        """What sweeps have found since this was asked; None when none has ended."""
        drift, self._drift = self._drift, None
        return drift

    # ── telling ─────────────────────────────────────────────────────────────────────────────────────────────────────

    def _knows(self, block: str) -> bool:
        return (self._tip is not None and self._tip.hash == block) or any(known == block for known, _ in self._history)

    def _as_of(self, block: str) -> Sequence[State]:
        if self._tip is not None and self._tip.hash == block:
            return self._states
        states = list(self._states)
        for known, earlier in reversed(self._history):
            for number, state in earlier.items():
                states[number] = state
            if known == block:
                break
        return states

    async def _from_history(self, block: str) -> Sequence[State]:
        """XEM as of an older block, from a node that keeps that; mosaics have no history."""
        node, wanted = self._node, self._node.blocks.get(block)
        shown = "nothing" if self._tip is None else f"block {self._tip.height}"
        if wanted is None or not node.historical or not await self._holds(wanted):
            which = block if wanted is None else f"{wanted.height} {block}"
            text = f"does not tell accounts as of block {which}: it shows them as of {shown}"
            raise UnknownBlock(f"{node.transport.provider}: {text}", code=0)
        states: list[State] = []
        accounts = self._watch.accounts
        for start in range(0, len(accounts), node.asked.batch):
            part = accounts[start : start + node.asked.batch]
            balances = await node.balances_at(wanted.height, accounts=part)
            states += [self._past(balances[account]) for account in part]
        if not await self._holds(wanted):
            raise UnknownBlock(f"{node.transport.provider}: left block {block} while it was read", code=0)
        return states

    async def _holds(self, block: Block) -> bool:
        header = await self._node.header_at(block.height)
        return header is not None and header.hash == block.hash

    def _past(self, xem: int) -> State:
        flaw = Flaw(Reason.UNAVAILABLE, "nodes tell mosaics as of their newest block only")
        values: list[Value] = [xem if token.contract is None else flaw for token in self._watch.tokens]
        return State(tuple(values))

    # ── reading ─────────────────────────────────────────────────────────────────────────────────────────────────────

    async def _keep_up(self, *, known: bool) -> None:
        """To the node's newest block, also where an older one is asked for that is `known`: the one after it will be
        asked for when there are newer ones, and then it is too late to read at it."""
        try:
            await self._catch_up()
        except ConnectorError:
            if not known:
                raise

    async def _catch_up(self) -> None:
        node = self._node
        tip = await node.newest()
        self._plan_sweep()
        for _ in range(TRIES):
            await self._follow(tip)
            missing = sorted(self._needed - self._staged.keys())
            for start in range(0, len(missing), CHUNK):
                self._staged |= await self._reader.states(missing[start : start + CHUNK])
            if not self._staged or await self._settled(tip):
                self._commit(tip)
                return
            tip = await node.newest()
        raise Unavailable(f"{node.transport.provider}: its blocks come faster than its accounts can be read")

    async def _look_again(self, tip: Block) -> None:
        """Reads flawed accounts once more, where the node still stands at the newest block that was read."""
        doubtful = self._doubtful()
        if doubtful:
            fresh = await self._reader.states(doubtful)
            if await self._settled(tip):
                self._replace(fresh)

    def _doubtful(self) -> list[int]:
        return [number for number, state in enumerate(self._states) if _may_be_read_again(state)]

    async def _settled(self, tip: Block) -> bool:
        await self._node.transport.timing.sleep(self._rules.settle.total_seconds())
        return (await self._node.newest()).hash == tip.hash

    def _plan_sweep(self) -> None:
        """Everything is read now and then: namespaces expire without a transaction, and there is what we don't know."""
        clock = self._node.transport.timing.clock()
        if not self._sweeping and clock - self._swept_at >= self._rules.sweep.total_seconds():
            self._need_everything()

    def _need_everything(self) -> None:
        self._staged.clear()
        self._needed = set(range(len(self._watch.accounts)))
        self._sweeping = True
        self._reader.forget_all_definitions()

    async def _follow(self, tip: Block) -> None:
        """What the blocks from the base to the tip touched is needed (again)."""
        base = self._base
        if base is not None and base.hash != tip.hash:
            path = await self._path(base, tip)
            touched = None if path is None else await self._touched_on(path)
            if touched is None:
                self._tip, self._history = None, []
                self._need_everything()
            else:
                self._touched |= touched
                self._needed |= touched | set(self._doubtful())
                for number in touched:
                    self._staged.pop(number, None)
        self._base = tip

    async def _path(self, base: Block, tip: Block) -> Path | None:
        """The blocks between; None where they are too many. Raises UnknownBlock when the node changes its branch."""
        node = self._node
        floor = node.blocks.lowest(base.hash) or base
        for _ in range(MOST_FOLLOWED):
            path = node.blocks.path(base.hash, tip.hash)
            if path is not None:
                return path
            lowest = node.blocks.lowest(tip.hash) or tip
            if lowest.height <= floor.height or tip.height - base.height > MOST_FOLLOWED:
                return None
            below = await node.block_at(lowest.height - 1)
            if below is None or below.hash != lowest.parent:
                raise await self._broken(lowest, below=below, tip=tip)
        return None

    async def _broken(self, block: Block, *, below: Block | None, tip: Block) -> ConnectorError:
        """Either the node has left the branch meanwhile, or what it says of two blocks does not fit together."""
        node = self._node
        if (await node.newest()).hash != tip.hash:
            return UnknownBlock(f"{node.transport.provider}: left block {tip.hash} while it was read", code=0)
        found = "none" if below is None else below.hash
        return node.bad(f"its block {block.height - 1} is {found}, its block {block.height} follows {block.parent}")

    async def _touched_on(self, path: Path) -> set[int] | None:
        """Accounts that these blocks may have changed; None: any of them."""
        blocks = (*path.undone, *path.applied)
        defined = frozenset[str]().union(*(block.defined for block in blocks))
        moved = frozenset[str]().union(*(block.moved for block in blocks))
        self._reader.forget_definitions(defined)
        levied = await self._reader.levied(moved)
        if levied is None or defined & (moved | self._contracts):  # nobody tells what a mosaic's levy was before
            return set(range(len(self._watch.accounts)))
        names = levied.union(*(block.touched for block in blocks))
        touched = {self._numbers[name] for name in names if name in self._numbers}
        if any(block.fees for block in blocks):
            touched |= self._harvesters | {number for number, state in self._staged.items() if state.harvests}
        return touched

    def _commit(self, tip: Block) -> None:
        fresh = {number: self._staged[number] for number in self._needed}
        self._staged.clear()
        if self._sweeping:
            self._inspect(fresh)
        if self._tip is None:
            self._states = [State(())] * len(fresh)
        else:
            if self._sweeping:
                self._drift = (*(self._drift or ()), *self._compared(fresh))
            if self._tip.hash != tip.hash:
                self._history = [*self._history, (self._tip.hash, {})][-KEPT - self._node.asked.depth :]
        self._replace(fresh)
        for number, state in fresh.items():
            (self._harvesters.add if state.harvests else self._harvesters.discard)(number)
        if self._sweeping:
            self._swept_at = self._node.transport.timing.clock()
        self._tip, self._needed, self._touched, self._sweeping = tip, set(), set(), False

    def _replace(self, fresh: Mapping[int, State]) -> None:
        """What was followed until now is kept as what the accounts held at the block before."""
        before = self._history[-1][1] if self._history else {}
        for number, state in fresh.items():
            if state != self._states[number]:
                before.setdefault(number, self._states[number])
                self._states[number] = state

    def _inspect(self, fresh: Mapping[int, State]) -> None:
        """Tells single failures from a node that can't be read. Raises Unavailable."""
        values = [value for state in fresh.values() for value in state.values]
        flaws = [value for value in values if isinstance(value, Flaw) and value.reason not in STATEMENTS]
        if flaws and len(flaws) == len(values):
            provider = self._node.transport.provider
            text = f"{provider}: every one of {len(values)} balances failed, first: {flaws[0].detail}"
            raise Unavailable(text, reason=Counter(flaw.reason for flaw in flaws).most_common(1)[0][0])

    def _compared(self, fresh: Mapping[int, State]) -> tuple[Drift, ...]:
        """What no block gave a reason for."""
        watch = self._watch
        drift: list[Drift] = []
        for number in sorted(fresh.keys() - self._touched):
            pairs = zip(watch.tokens, self._states[number].values, fresh[number].values, strict=True)
            for token, followed, found in pairs:
                if isinstance(followed, int) and isinstance(found, int) and followed != found:
                    drift.append(Drift(watch.accounts[number], token, followed, found))
        return tuple(drift)


def _may_be_read_again(state: State) -> bool:
    return any(isinstance(value, Flaw) and value.reason not in STATEMENTS for value in state.values)
