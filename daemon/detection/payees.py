"""Whom we have paid, how often, and with what at first: what tells a new destination from an old one."""

from __future__ import annotations

import json
from collections import OrderedDict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple

from connectors.base import Address, Token
from daemon.detection.destinations import Destinations
from daemon.detection.outflow import MINED, Key, Outflow
from daemon.detection.resemblance import Growing
from daemon.value import value

MOST = 200_000
"""Payees that are remembered, those paid most recently: at most 160 MB, and 50 MB in the store."""

MOST_TOLD = 20_000
"""Payments that can be taken back, or judged again; at most 20 MB."""

EARLY = 4
"""Payments to one payee that are remembered one by one, the first ones."""

OFTEN = 3
"""Payments after which a payee is a usual one, which others may be made to look like."""

UNKNOWN = "unknown"
"""What a connector calls a counterparty that no transaction names."""


class Stock(NamedTuple):
    """What a wallet held of a token, in units; `most` is None where nobody knows."""

    least: int
    most: int | None


NOBODY_KNOWS = Stock(0, None)

Held = Callable[[str, Token], Stock]
"""(wallet, token) → what it holds now, as far as it was read."""


class Payment(NamedTuple):
    """One of the first payments to somebody: `units` of what its wallet held then. Announced units do not count."""

    transaction: str
    contract: str | None
    asset: str
    decimals: int
    units: int
    at: datetime
    held: Stock

    def of(self, key: Key) -> bool:
        """Whether it is this payment, at whatever stage."""
        return self.transaction == key.transaction and self.contract == key.token.contract


@dataclass(slots=True)
class Payee:
    """How many payments went to somebody, and the first of them that still stand, in the order of their times."""

    count: int = 0
    early: tuple[Payment, ...] = ()


Strangers = tuple[tuple[str, int], ...]
"""Who gets how many units, as `strangers` gives them."""


@value
class Told:
    """A payment that can be taken back: the payees whom it has counted for, and what its wallet held before it."""

    strangers: Strangers
    held: Stock


@dataclass(slots=True, eq=False)
class Payees:
    """Mutable; one memory for all rules, that outlives their configuration. Nobody who is known is in it.

    Told a payment by more than one rule, it counts it once. Remembered (`Remembers`) as a row for each payee.
    """

    held: Held = lambda wallet, token: NOBODY_KNOWS  # noqa: ARG005
    usual: Growing = field(default_factory=Growing)
    kind: str = field(default="destination", init=False)
    strangers: Strangers = field(default=(), init=False, repr=False)
    """As the function `strangers`, of the payment that was told last."""
    _payees: OrderedDict[str, Payee] = field(default_factory=OrderedDict, init=False, repr=False)
    """The least recently paid first. When it is full each new payee takes the place of the first, and a plain dict
    looks for its first among all the places of those that have left: 70 µs of 200,000."""
    _told: OrderedDict[Key, Told] = field(default_factory=OrderedDict, init=False, repr=False)
    _last: Outflow | None = field(default=None, init=False, repr=False)
    _changed: dict[str, bool] = field(default_factory=dict, init=False, repr=False)
    """Keys of rows → whether nobody has been given them yet."""

    def take(self, outflow: Outflow, *, known: Destinations, again: bool = False) -> Stock:
        """What its wallet held of the token before it, when it was first told or, if nobody knew, by now.

        `again` says that it pays what it paid (`Outflow.pays_as`) when it was told with the same `known`.
        """
        key = outflow.key
        told = self._told.get(key)
        known_then = told is not None and told.held.most is not None
        if told and outflow is self._last and known_then:
            return told.held
        self.strangers = found = told.strangers if told and again else strangers(outflow, known=known)
        self._last = outflow
        units = dict(found)
        if told and known_then and told.strangers == found and self._again(units):
            self._told.move_to_end(key)
            return told.held
        held = told.held if told and known_then else self._before(outflow)
        before = dict(told.strangers) if told else {}
        for row, paid in units.items():
            self._enter(row, outflow, units=paid, held=held, again=row in before)
        for row in before:
            if row not in units:
                self._leave(row, key)
        self._told.pop(key, None)
        self._told[key] = Told(found, held)
        while len(self._told) > MOST_TOLD:
            self._told.popitem(last=False)
        while len(self._payees) > MOST:
            self._forget(next(iter(self._payees)))
        return held

    def withdraw(self, key: Key) -> None:
        """It never happened; told by another rule before, it is nothing."""
        self._last = None
        told = self._told.pop(key, None)
        for row in dict(told.strangers) if told else ():
            self._leave(row, key)

    def first(self, row: str) -> Payment | None:
        """The first payment to somebody, None where it is not known (any more). `row` as `strangers` gives it."""
        payee = self._payees.get(row)
        return payee.early[0] if payee and payee.early else None

    def is_usual(self, chain: str, name: str) -> bool:
        """Whether it was paid often."""
        payee = self._payees.get(f"{chain} {name}")
        return payee is not None and payee.count >= OFTEN

    def changed(self) -> dict[str, str | None]:
        """As Remembers: a row of some 200 bytes for each payee."""
        changed, self._changed = self._changed, {}
        return {row: _text(self._payees[row]) if row in self._payees else None for row in changed}

    def restore(self, rows: dict[str, str]) -> None:
        """As Remembers: before anything is told, or again what was restored already; ValueError."""
        for row, text in rows.items():
            if row in self._payees:
                continue
            try:
                self._payees[row] = payee = _payee(text)
            except (TypeError, ValueError) as error:
                raise ValueError(f"the payments to {row} can't be read: {text[:100]}") from error
            if payee.count >= OFTEN:
                self.usual.add(*_parts(row))

    def _before(self, outflow: Outflow) -> Stock:
        """A mined payment is gone from what was read, one that waits is not."""
        held = self.held(outflow.wallet, outflow.key.token)
        if outflow.stage is not MINED:
            return held
        gone = outflow.units + (outflow.fee or 0)
        return Stock(held.least + gone, None if held.most is None else held.most + gone)

    def _again(self, rows: Iterable[str]) -> bool:
        """Payees are paid what they are known to be paid, at another stage: that makes them the newest, and is nothing
        else. Whether all of them are known."""
        for row in rows:
            if row not in self._payees:
                return False
            self._payees.move_to_end(row)
        return True

    def _enter(self, row: str, outflow: Outflow, *, units: int, held: Stock, again: bool) -> None:
        payee = self._payees.get(row)
        if payee is None:
            payee = self._payees[row] = Payee()
            self._changed[row] = True
        else:
            self._payees.move_to_end(row)
        for place, known in enumerate(payee.early):
            if known.of(outflow.key):
                held = held if known.held.most is None else known.held
                if known.units != units or known.held != held:
                    changed = known._replace(units=units, held=held)
                    payee.early = (*payee.early[:place], changed, *payee.early[place + 1 :])
                    self._changed.setdefault(row, False)
                return
        if again:
            return
        payee.count += 1
        if payee.count == OFTEN:
            self.usual.add(*_parts(row))
        if payee.count <= EARLY:
            payment = _payment(outflow, units=units, held=held)
            payee.early = tuple(sorted((*payee.early, payment), key=_by_time)) if payee.early else (payment,)
            self._changed.setdefault(row, False)

    def _leave(self, row: str, key: Key) -> None:
        payee = self._payees.get(row)
        if payee is None:
            return
        payee.count -= 1
        if payee.count == OFTEN - 1:
            self.usual.discard(*_parts(row))
        payee.early = tuple(one for one in payee.early if not one.of(key))
        self._changed.setdefault(row, False)
        if not payee.count:
            self._forget(row)

    def _forget(self, row: str) -> None:
        payee = self._payees.pop(row)
        if payee.count >= OFTEN:
            self.usual.discard(*_parts(row))
        if self._changed.get(row):
            del self._changed[row]  # nobody was given it
        else:
            self._changed[row] = False


def strangers(outflow: Outflow, *, known: Destinations) -> Strangers:
    """(row, units without those that were announced) of everybody it pays that is not known, and has a name."""
    chain = outflow.key.token.chain
    found: list[tuple[str, int]] = []
    announced = outflow.announced
    for name, units in outflow.destinations:  # a loop, because every payment comes by here
        if name != UNKNOWN and not known.known(chain, name):
            found.append((f"{chain} {name}", outflow.beyond(name, units) if announced else units))
    return tuple(found)


def _payment(outflow: Outflow, *, units: int, held: Stock) -> Payment:
    transaction, token = outflow.key
    return Payment(transaction, token.contract, outflow.asset, token.decimals, units, outflow.first_seen, held)


def _by_time(payment: Payment) -> datetime:
    return payment.at


def _parts(row: str) -> tuple[str, Address]:
    chain, _, name = row.partition(" ")
    return chain, Address(name)


def _text(payee: Payee) -> str:
    early = [(*one[:5], one.at.isoformat(), *one.held) for one in payee.early]
    return json.dumps([payee.count, early], separators=(",", ":"))


def _payee(text: str) -> Payee:
    count, early = json.loads(text)
    return Payee(
        int(count),
        tuple(
            Payment(transaction, contract, asset, decimals, units, datetime.fromisoformat(at), Stock(least, most))
            for transaction, contract, asset, decimals, units, at, least, most in early
        ),
    )
