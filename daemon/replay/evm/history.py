"""Values that change with blocks, as of any height: only changes are kept, so that a quiet year costs nothing."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Hashable, Iterable, Iterator, Mapping
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class History(Generic[K, V]):
    """`nothing` is what a key is worth before its first change. `first` holds as of height 0."""

    def __init__(self, nothing: V, *, first: Mapping[K, V] | None = None) -> None:
        self._nothing = nothing
        self._heights: dict[K, list[int]] = {}
        self._values: dict[K, list[V]] = {}
        for key, value in (first or {}).items():
            self.put(key, value=value, height=0)

    def __iter__(self) -> Iterator[K]:
        """Every key that was ever worth something."""
        return iter(self._heights)

    def at(self, key: K, *, height: int | None = None) -> V:
        """The value at the end of that block, the newest by default."""
        heights = self._heights.get(key)
        if heights is None:
            return self._nothing
        position = len(heights) if height is None else bisect_right(heights, height)
        return self._values[key][position - 1] if position else self._nothing

    def put(self, key: K, *, value: V, height: int) -> None:
        """The value from that block on, which is not below any other change of the key."""
        heights = self._heights.setdefault(key, [])
        values = self._values.setdefault(key, [])
        if heights and heights[-1] == height:
            values[-1] = value
        else:
            heights.append(height)
            values.append(value)

    def undo(self, keys: Iterable[K], *, above: int) -> None:
        """Forgets what happened to the keys above that height."""
        for key in keys:
            heights, values = self._heights.get(key, []), self._values.get(key, [])
            while heights and heights[-1] > above:
                heights.pop()
                values.pop()
            if not heights:
                self._heights.pop(key, None)
                self._values.pop(key, None)
