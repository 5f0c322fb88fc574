"""Whether approvals explain what an address is paid, and how those of one destination are shared out. Pure."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import combinations
from math import ceil

from daemon.detection.approvals import ApprovalKey, Known, Place
from daemon.detection.outflow import Key

MOST_MERGED = 12
"""Open approvals of one destination of which every selection is tried for one payment; beyond, runs of them in the
order in which they were given."""

MOST_SHARED = 10
"""Approvals of one destination that are shared out anew, whatever they were used for, where nothing else helps."""

MOST_STEPS = 2_000
"""Of a search; what is not found by then is not found. Reached by hundreds of equal payments to one address alone."""


@dataclass(frozen=True, slots=True)
class Terms:
    """When an approval explains a payment. `fees` are the most that the books keep, by asset, in its finest units;
    `tolerance` is a share, as a numerator and a denominator."""

    window: timedelta
    late: timedelta
    linger: timedelta
    tolerance: tuple[int, int] = (0, 1)
    fees: Mapping[str, int] = field(default_factory=dict)


@dataclass(slots=True, eq=False)
class Output:
    """What one outflow pays at one place. `units` count in the asset's finest, `step` of them are one of the token's.

    `network_fee` is that of a transaction that pays nobody else, 0 where it is not known. `by` are the approvals that
    explain it.
    """

    key: Key
    place: Place
    units: int
    step: int
    seen: datetime
    network_fee: int = 0
    by: tuple[Known, ...] = ()

    @property
    def chain(self) -> str:
        return self.key.token.chain


Ranked = tuple[int, datetime, ApprovalKey, Known]


class Shelf:
    """Approvals of one place by their amount, those of one amount from the oldest on."""

    __slots__ = ("rows",)

    def __init__(self) -> None:
        self.rows: list[Ranked] = []

    def add(self, one: Known) -> None:
        insort(self.rows, (one.units, one.approval.at, one.key, one))

    def remove(self, one: Known) -> bool:
        """Whether it was there."""
        rows = self.rows
        place = 0 if len(rows) == 1 else bisect_left(rows, (one.units, *one.order))
        if place < len(rows) and rows[place][3] is one:
            del rows[place]
            return True
        return False

    def between(self, low: int, high: int) -> Iterator[Known]:
        for place in range(bisect_left(self.rows, (low,)), len(self.rows)):
            if self.rows[place][0] > high:
                return
            yield self.rows[place][3]

    def __iter__(self) -> Iterator[Known]:
        return (row[3] for row in self.rows)


class Group:
    """What stands at one place: approvals that can be used, those that are, and payments."""

    __slots__ = ("free", "outputs", "place", "used", "widest")

    def __init__(self, place: Place) -> None:
        self.place = place
        self.free = Shelf()
        self.used = Shelf()
        self.outputs: dict[Output, None] = {}
        self.widest = 0
        """The largest fee that an approval has stated here."""

    @property
    def empty(self) -> bool:
        return not (self.free.rows or self.used.rows or self.outputs)


def in_time(one: Known, output: Output, *, terms: Terms) -> bool:
    """Whether the approval is one of the payment's time, and of its chain."""
    at, seen = one.approval.at, output.seen
    return (
        at <= seen + terms.late
        and at >= seen - terms.window
        and (one.gone is None or seen <= one.gone + terms.linger)
        and output.key.token.chain in one.homes.get(output.place, ())
    )


def amounts_fit(found: Sequence[Known], output: Output, *, terms: Terms) -> bool:
    """Whether the amounts together make the payment: whole, or less the fees that they state; those that state none
    also less the network's fee, or up to the most that the books keep of each. More than was approved never fits but
    for the tolerance."""
    coins = fees = open_ended = 0
    for one in found:
        coins += one.units
        fees += one.fee or 0
        open_ended += one.fee is None
    most = terms.fees.get(output.place.asset, 0) * open_ended
    share, of = terms.tolerance
    for whole in (coins, coins - fees) if fees else (coins,):
        base = whole - whole % output.step
        short, slack = base - output.units, base * share // of
        if -slack <= short <= slack + most:
            return True
        if open_ended and output.network_fee and abs(short - output.network_fee) <= slack:
            return True
    return False


def fitting(shelf: Shelf, output: Output, *, terms: Terms, widest: int) -> Iterator[Known]:
    """Single approvals that explain it: those of the very amount first, each sort from the oldest on."""
    exact = [one for one in shelf.between(output.units, output.units) if in_time(one, output, terms=terms)]
    yield from exact
    share, of = terms.tolerance
    most = output.units + max(widest, terms.fees.get(output.place.asset, 0), output.network_fee) + output.step
    low = output.units if not share else output.units * of // (of + share)
    high = most if not share else ceil(most * of / max(1, of - share))
    if (low, high) == (output.units, output.units):
        return
    others = [
        one
        for one in shelf.between(low, high)
        if one.units != output.units and in_time(one, output, terms=terms) and amounts_fit((one,), output, terms=terms)
    ]
    yield from sorted(others, key=_by_order)


def first_fitting(shelf: Shelf, output: Output, *, terms: Terms, widest: int) -> Known | None:
    """The one that `fitting` gives first, without a look at the others of the same amount."""
    rows, units = shelf.rows, output.units
    for place in range(bisect_left(rows, (units,)), len(rows)):  # a loop, because every payment comes by here
        row = rows[place]
        if row[0] != units:
            break
        if in_time(row[3], output, terms=terms):
            return row[3]
    return next(fitting(shelf, output, terms=terms, widest=widest), None)


def merged(shelf: Iterable[Known], output: Output, *, terms: Terms) -> tuple[Known, ...] | None:
    """Two or more that make it together: as few as possible, the oldest."""
    known = sorted((one for one in shelf if in_time(one, output, terms=terms)), key=_by_order)
    if len(known) <= MOST_MERGED:
        for size in range(2, len(known) + 1):
            for found in combinations(known, size):
                if amounts_fit(found, output, terms=terms):
                    return found
        return None
    return _run(known, output, terms=terms)


def _run(known: Sequence[Known], output: Output, *, terms: Terms) -> tuple[Known, ...] | None:
    """Approvals that follow each other, by two ends that only go forward."""
    start, total = 0, 0
    for end, one in enumerate(known):
        total += one.units
        while start < end and total - known[start].units >= output.units:
            total -= known[start].units
            start += 1
        if end > start and total >= output.units:
            found = tuple(known[start : end + 1])
            if amounts_fit(found, output, terms=terms):
                return found
    return None


def moved(
    group: Group, output: Output, *, terms: Terms, user: Mapping[ApprovalKey, Output]
) -> dict[Output, Known] | None:
    """Who takes which approval so that this payment has one too: others move on to one that explains them as well.

    An augmenting path (Berge 1957) over payments that use one approval each.
    """
    came: dict[ApprovalKey, tuple[Output, Known | None]] = {}
    queue: list[tuple[Output, Known | None]] = [(output, None)]
    for steps, (one, holds) in enumerate(queue):
        if steps > MOST_STEPS:
            return None
        if one is not output:
            free = first_fitting(group.free, one, terms=terms, widest=group.widest)
            if free is not None:
                return _path(one, free, holds, came=came)
        for used in fitting(group.used, one, terms=terms, widest=group.widest):
            holder = user.get(used.key)
            if used.key in came or holder is None or holder is one or holder.place != output.place:
                continue
            if len(holder.by) == 1:
                came[used.key] = (one, holds)
                queue.append((holder, used))
    return None


def _path(
    last: Output, free: Known, holds: Known | None, *, came: Mapping[ApprovalKey, tuple[Output, Known | None]]
) -> dict[Output, Known]:
    """Back along the path: each takes what the one behind it lets go."""
    taken = {last: free}
    while holds is not None:
        before, held = came[holds.key]
        taken[before] = holds
        holds = held
    return taken


def shared_out(group: Group, output: Output, *, terms: Terms) -> dict[Output, tuple[Known, ...]] | None:
    """Everything at this place anew, so that this payment and all that are explained now are; None where there is no
    way, or too many approvals to try all."""
    wanted = [one for one in group.outputs if one.by or one is output]
    within = {one.key: one for one in group.free}
    within |= {one.key: one for payment in wanted for one in payment.by}
    if len(within) > MOST_SHARED or len(wanted) > len(within):
        return None
    known = sorted(within.values(), key=_by_order)
    ways = {one: _ways(known, one, terms=terms) for one in wanted}
    wanted.sort(key=lambda one: len(ways[one]))
    found = _choose(wanted, ways=ways, left=[MOST_STEPS])
    if found is None:
        return None
    return {one: tuple(known[n] for n in range(len(known)) if mask >> n & 1) for one, mask in found.items()}


def _ways(known: Sequence[Known], output: Output, *, terms: Terms) -> list[int]:
    """The selections that explain it, as masks, the smallest first."""
    timely = [n for n, one in enumerate(known) if in_time(one, output, terms=terms)]
    return [
        sum(1 << n for n in picked)
        for size in range(1, len(timely) + 1)
        for picked in combinations(timely, size)
        if amounts_fit([known[n] for n in picked], output, terms=terms)
    ]


def _choose(
    wanted: Sequence[Output], *, ways: Mapping[Output, Sequence[int]], left: list[int], taken: int = 0
) -> dict[Output, int] | None:
    """One selection for each, no approval twice; `left` counts the steps that may still be made."""
    if not wanted:
        return {}
    for mask in ways[wanted[0]]:
        left[0] -= 1
        if left[0] < 0:
            return None
        if not mask & taken:
            rest = _choose(wanted[1:], ways=ways, left=left, taken=taken | mask)
            if rest is not None:
                return {wanted[0]: mask, **rest}
    return None


def _by_order(one: Known) -> tuple[datetime, ApprovalKey]:
    return one.order
