"""Values that change with blocks, as of any height: only changes are kept, so that a quiet year costs nothing."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Hashable, Iterator, Mapping
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class History(Generic[K, V]):
    """`nothing` is what a key is worth before its first change, and after it is gone."""

    def __init__(self, nothing: V) -> None:
        self.nothing = nothing
        self._heights: dict[K, list[int]] = {}
        self._values: dict[K, list[V]] = {}
        self._changes: list[tuple[int, K]] = []
        """Every change, oldest first: what `undo` goes back along."""

    def __iter__(self) -> Iterator[K]:
        """Every key that was ever worth something."""
        return iter(self._heights)

    def at(self, key: K, *, height: int | None = None) -> V:
        """The value at the end of that block, the newest by default."""
        heights = self._heights.get(key)
        if heights is None:
            return self.nothing
        place = len(heights) if height is None else bisect_right(heights, height)
        return self._values[key][place - 1] if place else self.nothing

    def as_of(self, height: int) -> AsOf[K, V]:
        """All that was worth something at the end of that block."""
        return AsOf(self, height)

    def put(self, changed: Mapping[K, V], *, height: int) -> None:
        """The values from that block on, which is not below any other that changed something."""
        for key, value in changed.items():
            heights, values = self._heights.setdefault(key, []), self._values.setdefault(key, [])
            if heights and heights[-1] == height:
                values[-1] = value
                continue
            heights.append(height)
            values.append(value)
            self._changes.append((height, key))

    def undo(self, *, above: int) -> None:
        """Forgets what happened above that height."""
        while self._changes and self._changes[-1][0] > above:
            _, key = self._changes.pop()
            self._heights[key].pop()
            self._values[key].pop()
            if not self._heights[key]:
                del self._heights[key], self._values[key]


class AsOf(Mapping[K, V]):
    """A history at one block. Keys that are worth nothing are not in it."""

    def __init__(self, history: History[K, V], height: int) -> None:
        self._history = history
        self._height = height

    def __getitem__(self, key: K) -> V:
        value = self._history.at(key, height=self._height)
        if value == self._history.nothing:
            raise KeyError(key)
        return value

    def __iter__(self) -> Iterator[K]:
        return (key for key in self._history if key in self)

    def __len__(self) -> int:
        return sum(1 for _ in self)


class Draft(Generic[K, V]):
    """Changes to a history that are only made when they are `put` into it, all or none."""

    def __init__(self, history: History[K, V]) -> None:
        self.changed: dict[K, V] = {}
        self._history = history

    def __getitem__(self, key: K) -> V:
        return self.changed[key] if key in self.changed else self._history.at(key)

    def __setitem__(self, key: K, value: V) -> None:
        self.changed[key] = value
