"""Which score a chain has at a block, reckoned from scores that were seen at blocks before.

A node sets the score just before it writes account states, so the score tells which block the states are of. It grows
with each block by the block's difficulty less the seconds since its parent (symbol/symbol, client/catapult,
chain/BlockScorer.cpp, CalculateScore).
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from itertools import pairwise
from typing import Protocol

REMEMBERED = 512
"""Blocks whose scores are kept."""


class Scored(Protocol):
    """A block; `timestamp` in milliseconds."""

    @property
    def hash(self) -> str: ...
    @property
    def timestamp(self) -> int: ...
    @property
    def difficulty(self) -> int: ...


def gain(block: Scored, *, parent: Scored) -> int:
    """By how much the block raises the score of its parent's chain."""
    if block.timestamp <= parent.timestamp:
        return 0
    return block.difficulty - (block.timestamp - parent.timestamp) // 1000


class Scores:
    """What the scores at some blocks can be: seen with the block, or reckoned from an earlier one.

    More than one value stands at a block when what was seen there contradicts what was reckoned: one of the two was
    account states of another block. Only what both lead to at the next block is believed then.
    """

    def __init__(self) -> None:
        self._known: dict[str, set[int]] = {}

    def __contains__(self, block: str) -> bool:
        return block in self._known

    def __bool__(self) -> bool:
        return bool(self._known)

    def in_doubt(self, block: Scored) -> bool:
        """Whether what was seen at the block contradicts something."""
        return len(self._known.get(block.hash, ())) > 1

    def believe(self, block: Scored, *, score: int) -> None:
        """The score at the block is certain, as far as anything is."""
        self._known[block.hash] = {score}
        self._forget_old()

    def doubt(self, block: Scored, *, scores: Collection[int]) -> None:
        """One of these is the score at the block."""
        self._known[block.hash] = {*scores}
        self._forget_old()

    def reckon(self, path: Sequence[Scored]) -> Collection[int]:
        """The scores that the last block of the path can have; the first is known, each the parent of the next."""
        raised = sum(gain(block, parent=parent) for parent, block in pairwise(path))
        return {score + raised for score in self._known[path[0].hash]}

    def _forget_old(self) -> None:
        for old in list(self._known)[: max(0, len(self._known) - REMEMBERED)]:
            del self._known[old]
