"""Matching at the size of a day: 100,000 withdrawals in every shape, and thefts among them; small ones by an oracle."""

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import combinations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from daemon.detection.approval import Approval
from daemon.model import Moved
from tests.matched import Desk, approval, payment

WITHDRAWALS = 100_000
NETWORK_FEE = 1_000
KEPT = 500
ROUND = 2_000
"""Withdrawals between two questions to the books."""


@dataclass
class Day:
    """What the books approve and what leaves, round by round; `stolen` are the transactions that must be found."""

    random: random.Random
    approvals: list[Approval] = field(default_factory=list)
    payments: list[Moved] = field(default_factory=list)
    stolen: set[str] = field(default_factory=set)
    number: int = 0

    def name(self) -> str:
        self.number += 1
        return f"{self.number:06}"

    def approve(self, to: str, units: int, *, seconds: float, fee: int | None = None) -> str:
        name = self.name()
        stated = None if fee is None else f"0.{fee:08}"
        self.approvals.append(approval(f"W-{name}", units, to, seconds=seconds, fee=stated))
        return name

    def pay(self, destinations: Sequence[tuple[str, int]], *, seconds: float, stolen: bool = False) -> None:
        transaction = f"t-{self.name()}"
        sums: dict[str, int] = {}
        for to, units in destinations:
            sums[to] = sums.get(to, 0) + units
        self.payments.append(payment(transaction, list(sums.items()), seconds=seconds, fee=NETWORK_FEE))
        if stolen:
            self.stolen.add(transaction)

    def units(self) -> int:
        """Even, so that it can be split, and with gaps that no fee and no other amount closes."""
        return self.random.randrange(10**4, 10**8) * 10_000

    def customer(self) -> str:
        """Most are there once; a few, such as other exchanges, thousands of times a day."""
        return f"busy{self.random.randrange(5)}" if self.random.random() < 0.02 else f"c{self.name()}"


def single(day: Day, seconds: float) -> int:
    """One withdrawal with a fee of one of the sorts that there are, approved early or a little late."""
    to, units = day.customer(), day.units()
    approved = seconds + day.random.choice([-80_000, -3_600, -5, 0, 300])
    sort = day.random.randrange(4)
    day.approve(to, units, seconds=approved, fee=KEPT if sort == 0 else None)
    day.pay([(to, units - [KEPT, NETWORK_FEE, 0, 0][sort])], seconds=seconds)
    return 1


def batch(day: Day, seconds: float) -> int:
    """Two hundred destinations in one transaction."""
    paid = [(day.customer(), day.units()) for _ in range(200)]
    for to, units in paid:
        day.approve(to, units, seconds=seconds - day.random.randrange(3_600))
    day.pay(paid, seconds=seconds)
    return 200


def duplicate(day: Day, seconds: float) -> int:
    """The same amount to the same destination, approved twice and paid twice."""
    to, units = day.customer(), day.units()
    for _ in range(2):
        day.approve(to, units, seconds=seconds - day.random.randrange(600))
        day.pay([(to, units)], seconds=seconds)
    return 2


def put_together(day: Day, seconds: float) -> int:
    """Two withdrawals of one customer, paid as one."""
    to, parts = f"c{day.name()}", [day.units(), day.units()]
    for units in parts:
        day.approve(to, units, seconds=seconds - 60)
    day.pay([(to, sum(parts))], seconds=seconds)
    return 2


def theft(day: Day, seconds: float) -> None:
    """One of the ways to take what nobody approved."""
    to, units = f"c{day.name()}", day.units()
    match day.random.randrange(5):
        case 0:
            day.pay([(f"thief{day.name()}", units)], seconds=seconds, stolen=True)
        case 1:
            day.approve(to, units, seconds=seconds - 60)
            day.pay([(to, units * 2)], seconds=seconds, stolen=True)
        case 2:
            day.approve(to, units, seconds=seconds - 60)
            day.pay([(to, units + 1)], seconds=seconds, stolen=True)
        case 3:
            day.approve(to, units, seconds=seconds - 60)
            day.pay([(to, units)], seconds=seconds)
            day.pay([(to, units)], seconds=seconds + 1, stolen=True)
        case _:
            day.approve(to, units, seconds=seconds - 60)
            for _ in range(2):
                day.pay([(to, units // 2)], seconds=seconds, stolen=True)


def rounds(seed: int, *, withdrawals: int) -> Iterator[tuple[float, Day]]:
    """A day, in parts that end at a time of day in seconds."""
    source = random.Random(seed)
    shapes = [(single, 0.9), (batch, 0.002), (duplicate, 0.05), (put_together, 0.048)]
    done, seconds, number = 0, 0.0, 0
    while done < withdrawals:
        day = Day(source, number=number)
        until = done + ROUND
        while done < until:
            seconds += 0.5
            (shape,) = source.choices([shape for shape, _ in shapes], [weight for _, weight in shapes])
            done += shape(day, seconds)
            if source.random() < 0.003:
                theft(day, seconds)
        number = day.number
        yield seconds, day


@pytest.mark.timeout(300)
@pytest.mark.parametrize(("seed", "withdrawals"), [(1, WITHDRAWALS), (2, 20_000), (3, 20_000)])
def test_a_day_of_withdrawals_alarms_nobody_and_every_theft_is_found(seed: int, withdrawals: int) -> None:
    """Reordered, batched, doubled, put together, with fees on top and within, and half of the approvals told late."""
    desk = Desk(grace="10s")
    stolen: set[str] = set()
    found: set[str] = set()
    late: list[Approval] = []
    for until, day in rounds(seed, withdrawals=withdrawals):
        stolen |= day.stolen
        day.random.shuffle(day.approvals)
        half = len(day.approvals) // 2
        desk.push(*day.approvals[:half], seconds=until)
        ordered = sorted(day.payments, key=lambda one: (one.first_seen, day.random.random()))
        desk.tell(*ordered)
        late = day.approvals[half:]
        desk.push(*late, seconds=until + 11)
        found |= {one.outflow.key.transaction for one in desk.cases(until + 11).by_wallet.get("hot", ())}
        assert found == stolen
    assert len(stolen) > withdrawals / 600


Small = tuple[list[tuple[int, int | None]], list[int]]

AMOUNTS = st.integers(1, 12)
SMALL = st.tuples(
    st.lists(st.tuples(AMOUNTS, st.one_of(st.none(), st.integers(0, 2))), max_size=5), st.lists(AMOUNTS, max_size=5)
)


def explains(found: Sequence[tuple[int, int | None]], units: int, *, network_fee: int) -> bool:
    """The rule as the documentation says it, for approvals that are paid as one."""
    coins, fees = sum(one for one, _ in found), sum(fee or 0 for _, fee in found)
    wholes = {coins, coins - fees}
    if any(fee is None for _, fee in found):
        wholes |= {whole - network_fee for whole in wholes}
    return units in wholes


def all_explained(approvals: Sequence[tuple[int, int | None]], paid: Sequence[int], *, network_fee: int) -> bool:
    """Whether there is any way at all, by trying every one."""
    if not paid:
        return True
    places = range(len(approvals))
    for size in range(1, len(approvals) + 1):
        for picked in combinations(places, size):
            if explains([approvals[n] for n in picked], paid[0], network_fee=network_fee):
                rest = [approvals[n] for n in places if n not in picked]
                if all_explained(rest, paid[1:], network_fee=network_fee):
                    return True
    return False


@settings(max_examples=400, deadline=None)
@given(small=SMALL, order=st.randoms(use_true_random=False))
def test_at_one_destination_somebody_is_told_just_when_no_way_explains_all(small: Small, order: random.Random) -> None:
    """Whatever the order in which approvals and payments come."""
    approvals, paid = small
    desk = Desk()
    events = [("approve", n) for n in range(len(approvals))] + [("pay", n) for n in range(len(paid))]
    order.shuffle(events)
    for what, n in events:
        if what == "pay":
            desk.tell(payment(f"t{n}", [("alice", paid[n])], seconds=5, fee=1))
        else:
            units, fee = approvals[n]
            stated = None if fee is None else f"0.{fee:08}"
            desk.approve(approval(f"W-{n}", units, "alice", fee=stated), seconds=6)
    assert (desk.unmatched(60) == []) is all_explained(approvals, paid, network_fee=1)
