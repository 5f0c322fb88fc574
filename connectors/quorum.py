"""What several nodes together say, for every chain: the head they agree on, and the values they give at one block."""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from typing import NamedTuple

from connectors.base import Tip
from connectors.errors import ConnectorError, Reason

REMEMBERED = 256
"""Blocks below the tip whose hashes are kept, and how far below the heads an agreement is looked for."""


@dataclass(frozen=True, slots=True)
class Header:
    """A block as a node describes it; the hash can't be recomputed from this, it is the node's word. `time` is UTC."""

    height: int
    hash: str
    parent: str
    time: datetime

    @property
    def tip(self) -> Tip:
        return Tip(self.height, self.hash, self.time)


# ── the head ────────────────────────────────────────────────────────────────────────────────────────────────────────


class View:
    """One node's chain as it describes it in one poll: its head, and the hash at any height below, asked once each."""

    def __init__(self, head: Header, *, ask: Callable[[int], Awaitable[str | None]]) -> None:
        self.head = head
        self._ask = ask
        self._hashes: dict[int, str | None] = {head.height: head.hash}
        if head.height:
            self._hashes[head.height - 1] = head.parent

    async def hash_at(self, height: int) -> str | None:
        """None where the node has no block, or doesn't answer."""
        if not 0 <= height <= self.head.height:
            return None
        if height not in self._hashes:
            try:
                self._hashes[height] = await self._ask(height)
            except ConnectorError:
                self._hashes[height] = None
        return self._hashes[height]


class Record:
    """The branch that was agreed so far: its tip, the hashes of recent blocks and the genesis block's."""

    def __init__(self) -> None:
        self.tip: Header | None = None
        self.genesis: str | None = None
        self._hashes: dict[int, str] = {}

    def hash_at(self, height: int) -> str | None:
        return self.genesis if height == 0 else self._hashes.get(height)

    def heights(self) -> list[int]:
        """Ascending; the genesis block counts where it is known."""
        return ([0] if self.genesis is not None else []) + sorted(self._hashes.keys() - {0})

    def extend(self, tip: Header, *, between: Sequence[Header] = ()) -> None:
        """The branch grew to `tip`, over the blocks `between`."""
        self._hashes.update((header.height, header.hash) for header in between)
        self._hashes[tip.height] = tip.hash
        self.genesis = self._hashes.get(0, self.genesis)
        self.tip = tip
        for height in [height for height in self._hashes if height <= tip.height - REMEMBERED]:
            del self._hashes[height]

    def rewind(self, ancestor: int) -> None:
        """Forgets the blocks above `ancestor`; -1 forgets the genesis block, too."""
        self._hashes = {height: known for height, known in self._hashes.items() if height <= ancestor}
        if ancestor < 0:
            self.genesis = None


class Course(Enum):
    """How the agreed head lies to the branch that was agreed before."""

    AHEAD = "ahead"  # the same block, or a descendant of it
    REORG = "reorg"  # another branch, which enough nodes hold while not enough hold ours
    BEHIND = "behind"  # an ancestor of ours, or a block that we can't place: nothing new is known
    SPLIT = "split"  # no block that enough nodes hold, or one that a node of our own branch contradicts


@dataclass(frozen=True, slots=True)
class HeadVerdict:
    """`holders` are the nodes that hold `block`; None only for a split without any common block."""

    course: Course
    block: Candidate | None


class Candidate(NamedTuple):
    """A block that some nodes hold as canonical."""

    height: int
    hash: str
    holders: tuple[str, ...]


async def agree_on_head(views: Mapping[str, View], *, need: int, record: Record) -> HeadVerdict:
    """The highest block that at least `need` of the nodes hold as canonical, and how it lies to the recorded branch.

    The recorded branch is left only when at least `need` nodes hold another, fewer than `need` still hold ours, and,
    if the other is not longer, nobody reachable does. Lagging nodes and rogues of fewer than `need` move nothing.
    """
    best = await _highest(views, need=need)
    if best is None:
        return HeadVerdict(Course.SPLIT, None)
    tip = record.tip
    if tip is None or best.hash == tip.hash:
        return HeadVerdict(Course.AHEAD, best)
    keepers = {name: view for name, view in views.items() if await view.hash_at(tip.height) == tip.hash}
    if len(keepers) >= need:
        return HeadVerdict(Course.AHEAD, await _highest(keepers, need=need))
    if best.height <= tip.height:
        if not await _on_another_branch(views[best.holders[0]], block=best, record=record):
            return HeadVerdict(Course.BEHIND, best)
        if keepers:
            return HeadVerdict(Course.SPLIT, best)
    return HeadVerdict(Course.REORG, best)


async def common_ancestor(view: View, *, record: Record) -> int:
    """The highest recorded height at which the node's branch and ours are the same; -1 where not even genesis is.

    Recorded heights may have gaps, so a reorg may be shallower than this says, never deeper.
    """
    heights = record.heights()
    low, high = -1, len(heights)  # heights[low] is common, heights[high] is not
    while high - low > 1:
        middle = (low + high) // 2
        if await view.hash_at(heights[middle]) == record.hash_at(heights[middle]):
            low = middle
        else:
            high = middle
    return heights[low] if low >= 0 else -1


async def _on_another_branch(view: View, *, block: Candidate, record: Record) -> bool:
    """Whether a block not above our tip contradicts the record: at its height, or, below that, at genesis."""
    recorded, height = record.hash_at(block.height), block.height
    if recorded is None:
        recorded, height = record.genesis, 0
    said = await view.hash_at(height)
    return recorded is not None and said is not None and said != recorded


async def _highest(views: Mapping[str, View], *, need: int) -> Candidate | None:
    """Nodes that share a block share all below it, so the heights fall into common ones below and others above.

    Looks down in doubling steps from the highest possible height, then halves the step in which it was found.
    """
    tops = sorted((view.head.height for view in views.values()), reverse=True)
    if len(tops) < need:
        return None
    apart, step, found = tops[need - 1] + 1, 1, None
    while found is None:
        height = max(0, apart - step)
        found = await _held_at(height, views=views, need=need)
        if found is None:
            apart, step = height, step * 2
            if height == 0 or tops[need - 1] - height > REMEMBERED:
                return None
    while apart - found.height > 1:
        middle = (apart + found.height) // 2
        candidate = await _held_at(middle, views=views, need=need)
        if candidate is None:
            apart = middle
        else:
            found = candidate
    return found


async def _held_at(height: int, *, views: Mapping[str, View], need: int) -> Candidate | None:
    """The block at this height that most nodes hold, if enough do."""
    holders: dict[str, list[str]] = {}
    for name, view in views.items():
        known = await view.hash_at(height)
        if known is not None:
            holders.setdefault(known, []).append(name)
    best = max(holders, key=lambda known: (len(holders[known]), known), default=None)
    if best is None or len(holders[best]) < need:
        return None
    return Candidate(height, best, tuple(holders[best]))


# ── the values ──────────────────────────────────────────────────────────────────────────────────────────────────────


class Flaw(NamedTuple):
    """Why a node gave no value for a key."""

    reason: Reason
    detail: str


Value = int | Flaw

STATEMENTS = (Reason.NO_CONTRACT, Reason.MISCONFIGURED)
"""Flaws that say something about the block itself, so that honest nodes can't differ in them either."""


@dataclass(frozen=True, slots=True)
class Agreement:
    """The values in the order of the keys, and for each index at which nodes contradict each other what each said.

    `dissenters` said something else than what was accepted; where nothing was, all that said anything did.
    """

    values: Sequence[Value]
    disputes: Mapping[int, tuple[tuple[str, str], ...]]
    dissenters: frozenset[str]


def agree_on_values(answers: Mapping[str, Sequence[Value]], *, need: int) -> Agreement:
    """What at least `need` nodes say of each key at one block, where no other statement has as many.

    `answers`, of at least `need` nodes, holds each node's values for the same keys in the same order. Whole answers are
    compared first, single keys only where two differ. Where no statement wins the value is a Flaw: DISAGREEMENT when
    nodes contradict each other, else NO_QUORUM or the reason that all of them give.
    """
    names = list(answers)
    first = answers[names[0]]
    if all(answers[name] == first for name in names[1:]):
        return Agreement(first, {}, frozenset())
    values = list(first)
    disputes: dict[int, tuple[tuple[str, str], ...]] = {}
    dissenters: set[str] = set()
    for index, column in enumerate(zip(*answers.values(), strict=True)):
        if column.count(column[0]) == len(names):
            continue
        said = dict(zip(names, column, strict=True))
        values[index] = _settle(said, need=need)
        statements = {name: _statement(value) for name, value in said.items() if _is_statement(value)}
        if len(set(statements.values())) > 1:
            disputes[index] = tuple((name, _words(value)) for name, value in said.items())
            dissenters |= {name for name, words in statements.items() if words != _statement(values[index])}
    return Agreement(values, disputes, frozenset(dissenters))


def _settle(said: Mapping[str, Value], *, need: int) -> Value:
    votes = Counter(_statement(value) for value in said.values() if _is_statement(value))
    winners = [statement for statement, count in votes.items() if count >= need]
    if len(winners) == 1:
        return next(value for value in said.values() if _is_statement(value) and _statement(value) == winners[0])
    if len(votes) > 1:
        return Flaw(Reason.DISAGREEMENT, "; ".join(f"{name}: {_words(value)}" for name, value in said.items()))
    flaws = [value for value in said.values() if isinstance(value, Flaw)]
    if flaws and len(flaws) == len(said) and len({flaw.reason for flaw in flaws}) == 1:
        return flaws[0]
    return Flaw(Reason.NO_QUORUM, f"{max(votes.values(), default=0)} of {need} nodes gave a value")


def _is_statement(value: Value) -> bool:
    return not isinstance(value, Flaw) or value.reason in STATEMENTS


def _statement(value: Value) -> int | Reason:
    return value.reason if isinstance(value, Flaw) else value


def _words(value: Value) -> str:
    return value.reason.value if isinstance(value, Flaw) else str(value)
