"""Which payments planned transfers explain, and what is left of each."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from decimal import Decimal
from typing import Any

from connectors.base import Party, Stage, Tip, Token
from daemon.announcement import Announcement, Place
from daemon.departures import Departure
from daemon.detection.outflow import Key, Outflow
from daemon.interval import EXACT, amount

MOST_PAYMENTS = 10_000
"""Payments of one asset by one wallet that announcements can explain; some 10 MB. Those beyond stay unexplained."""


@dataclass(frozen=True, slots=True)
class Payment:
    """An outflow that announcements may explain: `given` are the units that each of them does, by its id.

    `paid` are the units to each destination that is known, `units` all that leave.
    """

    key: Key
    place: Place
    units: int
    paid: tuple[Party, ...]
    first_seen: datetime
    stage: Stage
    tip: Tip | None
    given: Mapping[str, int] = field(default_factory=dict)
    to: Mapping[str, int] = field(default_factory=dict)
    """Of them, by destination."""

    @property
    def explained(self) -> int:
        return sum(self.given.values())

    @property
    def exceeds(self) -> int:
        """Units that nothing explains."""
        return self.units - self.explained

    @property
    def order(self) -> tuple[datetime, str, str]:
        """By which announcements are used up."""
        return self.first_seen, self.key.transaction, self.key.token.contract or ""


class Announced:
    """`daemon.detection.detection.Explains` and `Remembers`. Mutable, and pure of effects.

    What explains what follows from the payments and the announcements alone, not from the order in which we were told:
    the payment first seen first is served first, by what ends first. A payment counts where its wallet alone pays it.
    """

    kind = "consumption"

    def __init__(self) -> None:
        self._all: dict[str, Announcement] = {}
        self._heard = False
        self._by_place: dict[Place, tuple[Announcement, ...]] = {}
        self._listed: dict[Place, frozenset[str]] = {}
        self._payments: dict[Place, dict[Key, Payment]] = {}
        self._places: dict[Key, Place] = {}
        self._left: dict[str, Decimal] = {}
        self._newest: dict[Place, tuple[datetime, str, str]] = {}
        self._changed: set[Key] = set()
        self._number = 0
        self._explained: Mapping[Key, Payment] | None = None
        self._departed: Mapping[Place, tuple[Departure, ...]] | None = None

    # What is announced.

    @property
    def number(self) -> int:
        """Another whenever another amount of some payment may be explained."""
        return self._number

    def put(self, announcements: Iterable[Announcement]) -> None:
        """All that there are, as the store has them."""
        new = {one.id: one for one in announcements}
        if self._heard and new == self._all:
            return
        self._heard, self._all = True, new
        self._number += 1
        places: dict[Place, list[Announcement]] = {}
        for one in sorted(new.values(), key=lambda one: (one.ends, one.id)):
            places.setdefault(one.place, []).append(one)
        self._by_place = {place: tuple(found) for place, found in places.items()}
        self._listed = {
            place: frozenset(name for one in found for name in one.destinations) for place, found in places.items()
        }
        for place in {*self._payments, *self._by_place}:
            self._share_out(place)

    def all(self) -> tuple[Announcement, ...]:
        """The newest first."""
        return tuple(sorted(self._all.values(), key=lambda one: (one.announced.at, one.id), reverse=True))

    def get(self, number: str) -> Announcement | None:
        return self._all.get(number)

    def left(self, number: str) -> Decimal:
        """Whole coins that it can still explain."""
        return self._left.get(number, self._all[number].at_most)

    def payments(self, number: str) -> tuple[Payment, ...]:
        """Those that it explains, at least in part, in the order in which they are served."""
        found = self._payments.get(self._all[number].place, {}).values()
        return tuple(sorted((one for one in found if number in one.given), key=lambda one: one.order))

    # What is paid.

    def take(self, one: Outflow) -> int:
        place = (one.wallet, one.asset)
        known = self._places.get(one.key)
        if not self._heard or (known is None and place not in self._by_place):
            return 0  # whoever asks is told by the number to ask again
        before = self._payments[known].get(one.key) if known is not None else None
        first_seen = one.first_seen if before is None else min(before.first_seen, one.first_seen)
        new = Payment(one.key, place, one.units, one.destinations, first_seen, one.stage, one.tip)
        if before is not None and (known != place or not self._wanted(new) or one.payers != (one.wallet,)):
            self.withdraw(one.key)
            before = None
        if one.payers != (one.wallet,) or not self._wanted(new):
            return 0
        return self._enter(new, before=before)

    def parts(self, key: Key) -> Mapping[str, int]:
        place = self._places.get(key)
        return {} if place is None else self._payments[place][key].to

    def withdraw(self, key: Key) -> None:
        place = self._places.get(key)
        if place is not None:
            self._forget(key, place=place)
            self._share_out(place)

    def _enter(self, new: Payment, *, before: Payment | None) -> int:
        place = new.place
        payments = self._payments.setdefault(place, {})
        if before is None and len(payments) >= MOST_PAYMENTS:
            return 0
        self._places[new.key] = place
        if before is not None and (new.units, new.paid, new.order) == (before.units, before.paid, before.order):
            self._put(replace(new, given=before.given, to=before.to), before=before)
        elif before is None and new.order > self._newest.get(place, (new.first_seen, "", "")):
            self._newest[place] = new.order
            self._put(self._served(new), before=None)
        else:
            payments[new.key] = new
            self._changed.add(new.key)
            self._share_out(place, asked=new.key)
        return payments[new.key].explained

    def _wanted(self, payment: Payment) -> bool:
        """Whether it pays anybody who is listed by what is in force, so that others leave no trace here."""
        listed = self._listed.get(payment.place, frozenset())
        names = {party.name for party in payment.paid if party.name in listed}
        return bool(names) and any(
            one.in_force(payment.first_seen) and not names.isdisjoint(one.destinations)
            for one in self._by_place[payment.place]
        )

    def _put(self, payment: Payment, *, before: Payment | None) -> None:
        if payment != before:
            self._payments[payment.place][payment.key] = payment
            self._changed.add(payment.key)
            self._explained = self._departed = None

    def _forget(self, key: Key, *, place: Place) -> None:
        del self._places[key], self._payments[place][key]
        if not self._payments[place]:
            del self._payments[place]
        self._changed.add(key)
        self._explained = self._departed = None

    def _share_out(self, place: Place, *, asked: Key | None = None) -> None:
        """All payments of a place anew; whoever is told of `asked` alone must ask again when another one changes."""
        for one in self._by_place.get(place, ()):
            self._left[one.id] = one.at_most
        self._newest.pop(place, None)
        for payment in sorted(self._payments.get(place, {}).values(), key=lambda one: one.order):
            if self._heard and not self._wanted(payment):
                self._forget(payment.key, place=place)
                self._number += 1
                continue
            self._newest[place] = payment.order
            served = self._served(payment)
            if served != payment:
                self._put(served, before=payment)
                self._number += payment.key != asked
        self._left = {number: left for number, left in self._left.items() if number in self._all}
        self._explained = self._departed = None

    def _served(self, payment: Payment) -> Payment:
        """With what each announcement explains of it; that much is left less of them."""
        rest: dict[str, int] = {}
        for party in payment.paid:
            rest[party.name] = rest.get(party.name, 0) + party.units
        paid, decimals, given = dict(rest), payment.key.token.decimals, {}
        for one in self._by_place.get(payment.place, ()):
            if not one.in_force(payment.first_seen):
                continue
            left = self._left.setdefault(one.id, one.at_most)
            room = units = int(left.scaleb(decimals, EXACT))
            for name in one.destinations:
                part = min(room, rest.get(name, 0))
                if part:
                    rest[name] -= part
                room -= part
            if units > room:
                given[one.id] = units - room
                self._left[one.id] = EXACT.subtract(left, amount(units - room, decimals=decimals))
        to = {name: units - rest[name] for name, units in paid.items() if units > rest[name]}
        return replace(payment, given=given, to=to)

    # What others ask.

    @property
    def explained(self) -> Mapping[Key, Payment]:
        """The payments that are explained at least in part; the same object as long as nothing changes."""
        if self._explained is None:
            every = (one for payments in self._payments.values() for one in payments.values())
            self._explained = {one.key: one for one in every if one.given}
        return self._explained

    @property
    def departed(self) -> Mapping[Place, tuple[Departure, ...]]:
        """What has left in blocks as announced, the lowest block first; the same object as long as nothing changes."""
        if self._departed is None:
            found: dict[Place, list[Departure]] = {}
            for key, one in self.explained.items():
                if one.stage is Stage.MINED and one.tip is not None:
                    coins = amount(one.explained, decimals=key.token.decimals)
                    left = Departure(key.token.chain, one.tip.height, coins, tuple(one.given))
                    found.setdefault(one.place, []).append(left)
            self._departed = {place: tuple(sorted(of, key=lambda one: one.height)) for place, of in found.items()}
        return self._departed

    # What outlives a restart.

    def changed(self) -> dict[str, str | None]:
        changed, self._changed = self._changed, set()
        places = {key: self._places.get(key) for key in changed}
        return {
            _name(key): None if place is None else _encoded(self._payments[place][key]) for key, place in places.items()
        }

    def restore(self, rows: Mapping[str, str]) -> None:
        """Payments of an earlier run; where one is known already, the earlier time of its first sight counts."""
        try:
            found = [_decoded(text) for text in rows.values()]
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"no payment: {type(error).__name__} {error}") from error
        for one in found:
            place = self._places.setdefault(one.key, one.place)
            known = self._payments.setdefault(place, {}).get(one.key)
            first_seen = one.first_seen if known is None else min(one.first_seen, known.first_seen)
            self._payments[place][one.key] = replace(known or one, first_seen=first_seen, given={}, to={})
        for place in {one.place for one in found}:
            self._share_out(place)
        self._number += 1


def _name(key: Key) -> str:
    return f"{key.token.chain}:{key.token.contract or ''}:{key.transaction}"


def _encoded(one: Payment) -> str:
    tip = one.tip and [one.tip.height, one.tip.hash, one.tip.time.isoformat()]
    told = {
        "transaction": one.key.transaction,
        "token": list(one.key.token),
        "place": list(one.place),
        "units": str(one.units),
        "paid": [[party.name, str(party.units)] for party in one.paid],
        "first_seen": one.first_seen.isoformat(),
        "stage": one.stage.value,
        "tip": tip,
    }
    return json.dumps(told, separators=(",", ":"))


def _decoded(text: str) -> Payment:
    told: Any = json.loads(text)
    chain, contract, decimals = told["token"]
    wallet, asset = told["place"]
    tip = told["tip"]
    return Payment(
        key=Key(told["transaction"], Token(chain, contract, decimals)),
        place=(wallet, asset),
        units=int(told["units"]),
        paid=tuple(Party(name, int(units)) for name, units in told["paid"]),
        first_seen=datetime.fromisoformat(told["first_seen"]),
        stage=Stage(told["stage"]),
        tip=tip and Tip(tip[0], tip[1], datetime.fromisoformat(tip[2])),
    )
