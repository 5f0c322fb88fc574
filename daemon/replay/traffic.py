"""Ordinary business out of chance that repeats, in one stream with what the timeline makes happen.

It is written so that nobody ever spends what they don't have, the payers of the timeline's later steps included: what
those will need stays where it is.
"""

from __future__ import annotations

import math
import random
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from itertools import count, islice

from daemon.replay.cast import Account, Cast, Coin, Purse, wallets_like
from daemon.replay.scenario import Flow, Scenario, TrafficConfig
from daemon.replay.script import Happening, Payment, Purses, owes, realised, timeline, when

HOUR = timedelta(hours=1)
SATURDAY = 5
SWEEP_AT, BALANCE_AT = timedelta(minutes=20), timedelta(minutes=40)
LARGE = 0.01
"""Share of the withdrawals that come near the largest."""

SPREAD = 0.8
"""Of an ordinary payment's size: the standard deviation of its logarithm."""

FINENESS = 10_000
LOW, HIGH = 70, 130
"""Per cent of what a hot wallet held at the start, below which it is refilled and above which it is relieved."""

KEEP = 4
"""A withdrawal leaves at least the fourth part of what the hot wallet held at the start; otherwise it has to wait."""


def traffic(scenario: Scenario) -> Iterator[Payment]:
    """The ordinary payments of a scenario that `load` has accepted, in the order of their moments."""
    return (each for each in happenings(scenario) if isinstance(each, Payment) and each.step is None)


def happenings(scenario: Scenario) -> Iterator[Happening]:
    """Ordinary payments and the timeline's steps, in order; at one moment the timeline comes first.

    The same scenario gives the same stream. Every payment in it can be paid when its turn comes.
    """
    return _Stream(scenario).run()


class _Kept:
    """How many units of each purse the timeline's steps to come will need."""

    def __init__(self, scenario: Scenario, cast: Cast) -> None:
        purses = Purses(cast)
        changes: dict[Purse, list[int]] = {}
        for at, place, step in timeline(scenario):
            happening = realised(step, at=at, place=place, cast=cast, purses=purses)
            if isinstance(happening, Payment):
                for purse, units in purses.changes(happening):
                    changes.setdefault(purse, []).append(units)
                purses.pay(happening)
        self._needs = {purse: self._before_each(units) for purse, units in changes.items()}

    @staticmethod
    def _before_each(changes: Sequence[int]) -> deque[int]:
        needs: deque[int] = deque((0,))
        for units in reversed(changes):
            needs.appendleft(max(0, needs[0] - units))
        return needs

    def units(self, purse: Purse) -> int:
        return self._needs[purse][0] if self._needs and purse in self._needs else 0

    def happened(self, purses: Sequence[Purse]) -> None:
        for purse in purses:
            self._needs[purse].popleft()


class _Stream:
    """One pass over the scenario, hour by hour."""

    def __init__(self, scenario: Scenario) -> None:
        self._scenario = scenario
        self._cast = Cast(scenario)
        self._purses = Purses(self._cast)
        self._kept = _Kept(scenario, self._cast)
        self._steps = deque(timeline(scenario))

    def run(self) -> Iterator[Happening]:
        for at, act in self._business():
            yield from self._told_until(at)
            for payment in act(at):
                self._purses.pay(payment)
                yield payment
        yield from self._told_until(self._scenario.end)

    def _told_until(self, moment: datetime) -> Iterator[Happening]:
        while self._steps and self._steps[0][0] <= moment:
            at, place, step = self._steps.popleft()
            happening = realised(step, at=at, place=place, cast=self._cast, purses=self._purses)
            if isinstance(happening, Payment):
                self._kept.happened([purse for purse, _ in self._purses.changes(happening)])
                self._purses.pay(happening)
            yield happening

    def _business(self) -> Iterator[tuple[datetime, Callable[[datetime], Iterator[Payment]]]]:
        config = self._scenario.traffic
        if config is None:
            return
        end = self._scenario.end if config.until is None else when(config.until, scenario=self._scenario)
        chance = random.Random(config.variant)  # noqa: S311 - a replay must repeat, not resist guessing
        flows = [
            _Business(flow, cast=self._cast, purses=self._purses, kept=self._kept, chance=chance)
            for flow in config.flows
        ]
        hour = self._scenario.starts
        while hour < end:
            for at, act in self._hour(hour, flows=flows, config=config, chance=chance):
                if at > end:
                    return
                yield at, act
            hour += HOUR

    def _hour(
        self, hour: datetime, *, flows: Sequence[_Business], config: TrafficConfig, chance: random.Random
    ) -> list[tuple[datetime, Callable[[datetime], Iterator[Payment]]]]:
        pace = rhythm(hour, config)
        order = count()
        acts: list[tuple[datetime, int, Callable[[datetime], Iterator[Payment]]]] = []
        for business in flows:
            for rate, act in (
                (business.flow.deposits_per_hour, business.deposit),
                (business.flow.withdrawals_per_hour, business.withdraw),
            ):
                acts.extend(
                    (hour + second, next(order), act) for second in _arrivals(float(rate) * pace, chance=chance)
                )
            acts.append((hour + SWEEP_AT, next(order), business.sweep))
            acts.append((hour + BALANCE_AT, next(order), business.balance))
        return [(at, act) for at, _, act in sorted(acts, key=lambda each: each[:2])]


def rhythm(moment: datetime, config: TrafficConfig) -> float:
    """How much busier than on average it is then."""
    turn = math.cos(2 * math.pi * (moment.hour - config.busiest_hour) / 24)
    week = float(config.weekend) if moment.weekday() >= SATURDAY else 1.0
    return (1 + float(config.swing) * turn) * week


def _arrivals(rate: float, *, chance: random.Random) -> Iterator[timedelta]:
    """When in an hour something happens that does so `rate` times on average, to the second."""
    passed = chance.expovariate(rate) if rate > 0 else 1.0
    while passed < 1:
        yield timedelta(seconds=int(passed * 3600))
        passed += chance.expovariate(rate)


class _Business:
    """One flow: what its acts pay, given what everybody has at that moment."""

    def __init__(self, flow: Flow, *, cast: Cast, purses: Purses, kept: _Kept, chance: random.Random) -> None:
        self.flow = flow
        self._cast, self._purses, self._kept, self._chance = cast, purses, kept, chance
        self._customers = cast.groups[flow.customers]
        self._deposits = self._accounts(flow.deposits)
        self._hot = self._accounts(flow.hot)
        self._reserve = tuple(account for pattern in flow.reserve for account in self._accounts(pattern))
        self._coin: Coin = cast.coin(flow.asset, self._hot[0].chain)
        self._typical, self._largest = self._coin.units(flow.typical), self._coin.units(flow.largest)
        self._fee = purses.native(self._coin.chain).units(flow.fee) if flow.fee else 0
        self._at_first: Mapping[Account, int] = {
            account: purses.units(account, self._coin) for account in (*self._deposits, *self._hot, *self._reserve)
        }
        self._paid_to: dict[Account, None] = {}  # since they were swept; a set in order

    def deposit(self, at: datetime) -> Iterator[Payment]:
        customer, account = self._chance.choice(self._customers), self._chance.choice(self._deposits)
        for payment in self._pay(customer, account, units=self._size(), at=at):
            self._paid_to[account] = None
            yield payment

    def withdraw(self, at: datetime) -> Iterator[Payment]:
        customer, account = self._chance.choice(self._customers), self._chance.choice(self._hot)
        units = self._size()
        if self._chance.random() < LARGE:
            units = self._fraction(self._largest, low=0.5)
        if self._purses.units(account, self._coin) - units >= self._at_first[account] // KEEP:
            yield from self._pay(account, customer, units=units, at=at)

    def sweep(self, at: datetime) -> Iterator[Payment]:
        """Deposit accounts keep what they had at first; the rest goes where withdrawals are paid from."""
        paid_to, self._paid_to = self._paid_to, {}
        for account in (account for account in paid_to if account not in self._hot):
            excess = self._purses.units(account, self._coin) - self._at_first[account]
            excess -= self._fee if self._coin.native else 0
            if excess > 0:
                yield from self._pay(account, self._chance.choice(self._hot), units=excess, at=at)

    def balance(self, at: datetime) -> Iterator[Payment]:
        """What is too much in a hot wallet goes to the reserve that lacks most, what is too little comes back."""
        for account in self._hot if self._reserve else ():
            wanted, has = self._at_first[account], self._purses.units(account, self._coin)
            if has * 100 > wanted * HIGH:
                yield from self._pay(account, max(self._reserve, key=self._lacks), units=has - wanted, at=at)
            elif has * 100 < wanted * LOW:
                able = (each for each in self._reserve if self._can_pay(each, units=wanted - has))
                for reserve in islice(able, 1):
                    yield from self._pay(reserve, account, units=wanted - has, at=at)

    def _lacks(self, account: Account) -> int:
        return self._at_first[account] - self._purses.units(account, self._coin)

    def _pay(self, payer: Account, payee: Account, *, units: int, at: datetime) -> Iterator[Payment]:
        """The payment, if the payer can do without what it takes."""
        if self._can_pay(payer, units=units):
            approved = self._cast.wallet_of(payer) is not None
            owed = owes(payer, payee, approved=approved, cast=self._cast)
            yield Payment(
                at, self._coin.chain, payer, payee, self._coin, units, self._fee, approved=approved, owes=owed
            )

    def _can_pay(self, payer: Account, *, units: int) -> bool:
        wanted = units + (self._fee if self._coin.native else 0)
        if self._purses.units(payer, self._coin) - self._kept.units((payer, self._coin)) < wanted:
            return False
        if not self._fee or self._coin.native:
            return True
        native = self._purses.native(self._coin.chain)
        return self._purses.units(payer, native) - self._kept.units((payer, native)) >= self._fee

    def _size(self) -> int:
        factor = int(math.exp(self._chance.gauss(0, SPREAD)) * FINENESS)
        return max(1, min(self._typical * factor // FINENESS, self._largest))

    def _fraction(self, units: int, *, low: float) -> int:
        return max(1, units * int(self._chance.uniform(low, 1) * FINENESS) // FINENESS)

    def _accounts(self, pattern: str) -> tuple[Account, ...]:
        return tuple(account for name in wallets_like(pattern, self._cast) for account in self._cast.groups[name])
