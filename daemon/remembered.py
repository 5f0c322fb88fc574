"""Values that are made anew only where something that they rest on is another object than before."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import compress, count
from operator import is_not
from typing import Generic, TypeVar

from daemon.interval import Interval, total

N = TypeVar("N")
T = TypeVar("T")

BLOCK = 16
"""Parts that are summed before their sum is: about the square root of as many parts as there may be."""


def always(_: object) -> bool:
    return True


class Remembered(Generic[N, T]):
    """Values by name, in order. Mutable, and pure of effects: it changes what values cost, never what they are.

    What they rest on is compared by identity, so it has to be immutable. A value that does not `stay` is made anew at
    any rate.
    """

    def __init__(self, stays: Callable[[T], bool] = always) -> None:
        self._stays = stays
        self._rests_on: Sequence[object] = ()
        self._names: Sequence[N] | None = None
        self._columns: Sequence[Sequence[object]] = ()
        self._values: list[T] = []
        self._passing: set[int] = set()

    def of(
        self,
        names: Sequence[N],
        make: Callable[[N], T],
        *,
        each: Sequence[Sequence[object]],
        all_rest_on: Sequence[object] = (),
    ) -> Sequence[T]:
        """The value of every name. `each` holds columns of what the value in the same place rests on."""
        if self._names == names and same(all_rest_on, self._rests_on):
            values, passing = self._values.copy(), self._passing.copy()
            for place in self._changed(each):
                values[place] = value = make(names[place])
                passing.discard(place) if self._stays(value) else passing.add(place)
        else:
            values = [make(name) for name in names]
            passing = {place for place, value in enumerate(values) if not self._stays(value)}
        self._names, self._columns, self._rests_on = names, each, all_rest_on
        self._values, self._passing = values, passing
        return values

    def _changed(self, each: Sequence[Sequence[object]]) -> list[int]:
        changed = set(self._passing)
        for column, before in zip(each, self._columns, strict=True):
            changed.update(others(column, before))
        return sorted(changed)


class Sums:
    """Sums of as many parts again and again, where few change. Mutable, and pure of effects.

    Parts are added block by block, whatever was added before, so that one sum is the same, to the last digit, at
    whatever cost it was found.
    """

    def __init__(self) -> None:
        self._known: list[tuple[Sequence[Interval], Interval]] = []

    def of(self, parts: Sequence[Interval]) -> Interval:
        """The sum of all, NOTHING for no parts."""
        blocks = [parts[start : start + BLOCK] for start in range(0, len(parts), BLOCK)]
        if len(blocks) != len(self._known):
            self._known = [([], total(())) for _ in blocks]
        self._known = [
            known if same(block, known[0]) else (block, total(block))
            for block, known in zip(blocks, self._known, strict=True)
        ]
        return total(summed for _, summed in self._known)


def others(now: Sequence[object], before: Sequence[object]) -> Iterator[int]:
    """The places at which another object stands than before."""
    return compress(count(), map(is_not, now, before))


def same(one: Sequence[object], other: Sequence[object]) -> bool:
    """Whether both hold the very same objects, in the same order."""
    return len(one) == len(other) and not any(map(is_not, one, other))
