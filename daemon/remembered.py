"""Values that are made anew only where something that they rest on is another object than before."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from itertools import compress, count
from operator import is_not
from typing import Any, Generic, TypeVar

from daemon.interval import Interval, total

N = TypeVar("N")
T = TypeVar("T")

BLOCK = 16
"""Parts that are summed before their sum is: about the square root of as many parts as there may be."""


Each = Sequence[tuple[Mapping[Any, object], Sequence[Any]]]
"""What values rest on: a mapping, and for the value at every place the key of what that one rests on."""


def always(_: object) -> bool:
    return True


def differences(before: Mapping[Any, object], now: Mapping[Any, object]) -> Collection[Any]:
    """The keys that stand for another object than before."""
    keys = list(now)
    if keys == list(before):
        return [keys[place] for place in others([*now.values()], [*before.values()])]
    return [key for key in now.keys() | before.keys() if now.get(key) is not before.get(key)]


class Remembered(Generic[N, T]):
    """Values by name, in order. Mutable, and pure of effects: it changes what values cost, never what they are.

    What they rest on is compared by identity, so it has to be immutable. A value that does not `stay` is made anew at
    any rate. `between` tells the differences of two mappings.
    """

    def __init__(
        self,
        stays: Callable[[T], bool] = always,
        between: Callable[[Mapping[Any, object], Mapping[Any, object]], Collection[Any]] = differences,
    ) -> None:
        self._stays, self._between = stays, between
        self._names: Sequence[N] | None = None
        self._rests_on: Sequence[object] = ()
        self._each: Each = ()
        self._places: list[Mapping[Any, Sequence[int]]] = []
        self._values: list[T] = []
        self._passing: set[int] = set()

    def of(
        self, names: Sequence[N], make: Callable[[N], T], *, each: Each, all_rest_on: Sequence[object] = ()
    ) -> Sequence[T]:
        """The value of every name."""
        keys = [keys for _, keys in each]
        alike = self._names == names and keys == [keys for _, keys in self._each]
        if alike and same(all_rest_on, self._rests_on):
            values, passing = self._values.copy(), self._passing.copy()
            for place in self._changed(each):
                values[place] = value = make(names[place])
                passing.discard(place) if self._stays(value) else passing.add(place)
        else:
            values = [make(name) for name in names]
            passing = {place for place, value in enumerate(values) if not self._stays(value)}
            self._places = [_places(found) for found in keys]
        self._names, self._each, self._rests_on = names, each, all_rest_on
        self._values, self._passing = values, passing
        return values

    def _changed(self, each: Each) -> list[int]:
        changed = set(self._passing)
        for (now, _), (before, _), places in zip(each, self._each, self._places, strict=True):
            if now is not before:
                for key in self._between(before, now):
                    changed.update(places.get(key, ()))
        return sorted(changed)


def _places(keys: Sequence[Any]) -> Mapping[Any, Sequence[int]]:
    found: dict[Any, list[int]] = {}
    for place, key in enumerate(keys):
        found.setdefault(key, []).append(place)
    return found


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
