"""The blocks whose movements were told, newest last: where the next ones go on, and what a reorg takes back."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from connectors.base import Address, Movement, Tip
from connectors.evm.transfers import Deed

REMEMBERED = 256
"""Blocks whose movements are remembered, so that a reorg can take them back."""


@dataclass(slots=True)
class ToldBlock:
    """What was told of a block; `rests` apart, since more of them may come to light."""

    tip: Tip
    deeds: tuple[Deed, ...] = ()
    movements: tuple[Movement, ...] = ()
    rests: tuple[Movement, ...] = ()
    sent: tuple[tuple[str, tuple[Address, int]], ...] = ()

    @property
    def names(self) -> Iterable[str]:
        """Its transactions that concern us; those that do by traces alone are not among the `sent`."""
        return dict.fromkeys((*(name for name, _ in self.sent), *(deed.transaction for deed in self.deeds)))


class Branch:
    """From the block at which telling began, or began again after a gap."""

    def __init__(self) -> None:
        self._blocks: list[ToldBlock] = []
        self._heights: dict[str, int] = {}
        self._mined: dict[str, int] = {}
        self._slots: dict[tuple[Address, int], str] = {}

    @property
    def newest(self) -> ToldBlock | None:
        return self._blocks[-1] if self._blocks else None

    @property
    def hashes(self) -> Mapping[str, int]:
        """Of the blocks that are remembered, with their heights."""
        return self._heights

    def holds(self, transaction: str) -> bool:
        """Whether one of the blocks holds it, of those that concern us."""
        return transaction in self._mined

    def spender(self, slot: tuple[Address, int] | None) -> str | None:
        """The mined transaction with this sender and nonce."""
        return None if slot is None else self._slots.get(slot)

    def append(self, block: ToldBlock) -> None:
        self._blocks.append(block)
        self._heights[block.tip.hash] = block.tip.height
        self._mined |= dict.fromkeys(block.names, block.tip.height)
        self._slots |= {slot: name for name, slot in block.sent}
        for old in self._blocks[: max(0, len(self._blocks) - REMEMBERED)]:
            self._forget(old)
            self._blocks.remove(old)

    def undo(self, *, above: int) -> Sequence[ToldBlock]:
        """Takes back the blocks above this height, which are given in their order."""
        undone = [block for block in self._blocks if block.tip.height > above]
        self._blocks = [block for block in self._blocks if block.tip.height <= above]
        for block in undone:
            self._forget(block)
        return undone

    def _forget(self, block: ToldBlock) -> None:
        del self._heights[block.tip.hash]
        for name in block.names:
            self._mined.pop(name, None)
        for name, slot in block.sent:
            if self._slots.get(slot) == name:
                del self._slots[slot]
