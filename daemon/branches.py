"""The newest blocks that were read of each chain, by which a restart finds out what was undone meanwhile."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import replace
from datetime import datetime

from connectors.base import Tip, Update
from connectors.errors import Unavailable

MOST = 144
"""Blocks of a chain: about a day of Bitcoin, half an hour of Ethereum, and more than either undoes."""

HashAt = Callable[[int], Awaitable[str | None]]
"""The hash of the block at a height in the branch that a node holds; raises ConnectorError."""


class Branches:
    """Remembers, of every chain, the blocks that updates belonged to. Mutable, and pure of effects.

    Bounded: MOST blocks a chain, some 15 kB of it as text.
    """

    kind = "branch"

    def __init__(self) -> None:
        self._tips: dict[str, deque[Tip]] = {}
        self._owed: dict[str, int] = {}
        """From this height on, not all that blocks moved has been told."""
        self._changed: set[str] = set()

    def take(self, update: Update) -> None:
        """An update that was taken: what it undid is forgotten."""
        tip = update.tip
        if tip is None:
            return
        known = self._tips.setdefault(update.chain, deque(maxlen=MOST))
        self._owe(update, tip=tip)
        if known and known[-1] == tip:
            return
        above = tip.height - 1
        if update.reorg_depth and update.previous is not None:
            above = min(above, update.previous.height - update.reorg_depth)
        while known and known[-1].height > above:
            known.pop()
        known.append(tip)
        self._changed.add(update.chain)

    def _owe(self, update: Update, *, tip: Tip) -> None:
        before = self._owed.pop(update.chain, None)
        if update.owed:
            self._owed[update.chain] = tip.height if before is None else min(before, tip.height)
        if self._owed.get(update.chain) != before:
            self._changed.add(update.chain)

    def known(self, chain: str) -> Sequence[Tip]:
        """The blocks that were read, the newest last."""
        return tuple(self._tips.get(chain, ()))

    def told(self, chain: str) -> Sequence[Tip]:
        """Those of them up to which all movements are told: a connector that begins goes on after them."""
        owed = self._owed.get(chain)
        return tuple(tip for tip in self.known(chain) if owed is None or tip.height < owed)

    def changed(self) -> dict[str, str | None]:
        """See Remembers."""
        rows: dict[str, str | None] = {
            chain: _encode(self._tips[chain], owed=self._owed.get(chain)) for chain in self._changed
        }
        self._changed.clear()
        return rows

    def restore(self, rows: dict[str, str]) -> None:
        """See Remembers. Of a chain that was read meanwhile, what was read in this run counts."""
        found = {chain: _decode(text) for chain, text in rows.items()}
        for chain in found.keys() - self._tips.keys():
            tips, owed = found[chain]
            self._tips[chain] = deque(tips, maxlen=MOST)
            if owed is not None:
                self._owed[chain] = owed


async def continued(update: Update, *, known: Sequence[Tip], hash_at: HashAt) -> Update:
    """The first update after a while in which nobody watched, saying also how many of the `known` blocks are undone.

    Blocks above its tip are not called undone: the node may be a little behind. Raises ConnectorError.
    """
    if update.tip is None or not known:
        return update
    below = [tip for tip in known if tip.height <= update.tip.height]
    stand, open_ = 0, len(below)  # so many of them stand for certain, and so many more may
    while stand < open_:
        middle = open_ if open_ == len(below) else stand + (open_ - stand + 1) // 2  # mostly the newest stands
        is_there = await _holds(below[middle - 1], update.tip, hash_at=hash_at)
        stand, open_ = (middle, open_) if is_there else (stand, middle - 1)
    if stand == len(below):
        return update
    ancestor = below[stand - 1].height if stand else below[0].height - 1
    newest = known[-1]
    return replace(update, previous=newest, reorg_depth=newest.height - ancestor)


async def _holds(tip: Tip, newest: Tip, *, hash_at: HashAt) -> bool:
    found = newest.hash if tip.height == newest.height else await hash_at(tip.height)
    if found is None:
        raise Unavailable(f"no node has block {tip.height} at present")
    return found == tip.hash


def _encode(tips: Iterable[Tip], *, owed: int | None) -> str:
    """A row of each block; one whose movements are owed has a fourth field."""
    rows = [
        [tip.height, tip.hash, tip.time.isoformat(), *(["owed"] if owed is not None and tip.height >= owed else [])]
        for tip in tips
    ]
    return json.dumps(rows, separators=(",", ":"))


def _decode(text: str) -> tuple[list[Tip], int | None]:
    try:
        raw = json.loads(text)
        tips = [Tip(int(height), str(hash_), datetime.fromisoformat(time)) for height, hash_, time, *_ in raw]
        return tips, min((tip.height for tip, row in zip(tips, raw, strict=True) if row[3:]), default=None)
    except (TypeError, ValueError) as error:
        raise ValueError(f"no blocks: {error}") from error
