"""What verdicts rested on, and how they were: of most subjects nothing changes from one judgement to the next."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Hashable, Mapping, Sequence
from typing import Any, Self, TypeVar, cast

from daemon.interval import Interval
from daemon.model import Judgement, Verdict
from daemon.remembered import Each, Remembered, Sums, differences, same

N = TypeVar("N")
T = TypeVar("T")


class Memory:
    """Mutable, and pure of effects: what it holds changes what a judgement costs, never what it says.

    All that is given as what something rests on is compared by identity, so it has to be immutable. What is not fine is
    judged anew every time, with the evidence of the day.
    """

    def __init__(self) -> None:
        self._basis: Sequence[object] = ()
        self._differences: dict[tuple[int, int], tuple[object, object, Collection[Any]]] = {}
        """With the mappings themselves, so that their ids stand for nothing else."""
        self._forget()

    def _forget(self) -> None:
        self._verdicts: dict[str, Remembered[Any, Verdict]] = defaultdict(lambda: Remembered(_fine, self._between))
        self._each: dict[Hashable, Remembered[str, Any]] = defaultdict(lambda: Remembered(between=self._between))
        self._sums: dict[Hashable, Sums] = defaultdict(Sums)
        self._values: dict[Hashable, tuple[Sequence[object], object]] = {}

    def under(self, *basis: object) -> Self:
        """Itself, with nothing that rests on another basis, such as a configuration."""
        if not same(basis, self._basis):
            self._forget()
        self._basis, self._differences = basis, {}
        return self

    def _between(self, before: Mapping[Any, object], now: Mapping[Any, object]) -> Collection[Any]:
        """Their differences, which many rules ask for in one judgement."""
        known = self._differences.get((id(before), id(now)))
        if known is None:
            known = self._differences[id(before), id(now)] = (before, now, differences(before, now))
        return known[2]

    def verdicts(
        self,
        policy: str,
        make: Callable[[N], Verdict],
        *,
        of: Sequence[N],
        each: Each,
        all_rest_on: Sequence[object],
    ) -> Sequence[Verdict]:
        """A rule's verdict of every subject; `each` says what that one rests on."""
        return self._verdicts[policy].of(of, make, each=each, all_rest_on=all_rest_on)

    def each(self, key: Hashable, make: Callable[[str], T], *, of: Sequence[str], each: Each) -> Sequence[T]:
        """A value of every name, as `verdicts`; a key always stands for the same `make`."""
        return cast("Sequence[T]", self._each[key].of(of, make, each=each))

    def total(self, key: Hashable, parts: Sequence[Interval]) -> Interval:
        """Their sum."""
        return self._sums[key].of(parts)

    def value(self, key: Hashable, make: Callable[[], T], *, rests_on: Sequence[object]) -> T:
        """What `make` gives, or gave when it rested on the same; a key always stands for the same `make`."""
        known = self._values.get(key)
        if known is None or not same(known[0], rests_on):
            known = self._values[key] = (rests_on, make())
        return cast("T", known[1])


def _fine(verdict: Verdict) -> bool:
    return verdict.judgement is Judgement.OK
