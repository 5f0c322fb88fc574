"""Coins that have left as announced, in the order of their blocks: how many since which heights."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from itertools import accumulate

from daemon.interval import EXACT, ZERO


@dataclass(frozen=True, slots=True)
class Departure:
    """Coins that have left in a block, as was announced."""

    chain: str
    height: int
    coins: Decimal
    announcements: tuple[str, ...]


class Departures:
    """What has left of one subject. Asked with the heights of a reading, by chain, it tells what has left after it.

    Of a chain whose height is not known nothing is told: it is not certain that the reading still had it.
    """

    def __init__(self, found: Iterable[Departure] = ()) -> None:
        self._by_chain: dict[str, list[Departure]] = {}
        for one in sorted(found, key=lambda one: one.height):
            self._by_chain.setdefault(one.chain, []).append(one)
        self._heights = {chain: [one.height for one in left] for chain, left in self._by_chain.items()}
        self._sums = {
            chain: list(accumulate((one.coins for one in left), EXACT.add, initial=ZERO))
            for chain, left in self._by_chain.items()
        }

    def after(self, heights: Mapping[str, int]) -> Decimal:
        """Whole coins."""
        coins = ZERO
        for chain, place in self._places(heights).items():
            sums = self._sums[chain]
            coins = EXACT.add(coins, EXACT.subtract(sums[-1], sums[place]))
        return coins

    def announcements(self, heights: Mapping[str, int]) -> tuple[str, ...]:
        """The announcements of what `after` counts."""
        places = self._places(heights).items()
        found = (name for chain, place in places for one in self._by_chain[chain][place:] for name in one.announcements)
        return tuple(dict.fromkeys(found))

    def between(self, one: Mapping[str, int], other: Mapping[str, int]) -> bool:
        """Whether anything has left between two readings."""
        return bool(self._heights) and self._places(one) != self._places(other)

    def _places(self, heights: Mapping[str, int]) -> dict[str, int]:
        """The first departure of each chain after these heights."""
        return {
            chain: bisect_right(of, heights[chain]) if chain in heights else len(of)
            for chain, of in self._heights.items()
        }
