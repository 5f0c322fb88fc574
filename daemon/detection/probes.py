"""What finds a large payment to somebody new who got a small one first."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from decimal import Decimal
from typing import NamedTuple

from connectors.config import format_duration
from daemon.detection.case import Case, Cases
from daemon.detection.destinations import Destinations
from daemon.detection.outflow import Key, Outflow
from daemon.detection.payees import Payees, Payment, Stock
from daemon.detection.standing import Standing, by_wallet
from daemon.interval import EXACT, Interval, amount, plain
from daemon.policy.probe import Probe
from daemon.policy.rule import percent


class Paid(NamedTuple):
    """What may be a large payment: `held` by its wallet before it, and who got how many units of it."""

    held: Stock
    parts: tuple[tuple[str, int], ...]


class Share(NamedTuple):
    """A share as a fraction of whole numbers, so that none is rounded."""

    of: int
    parts: int

    def reaches(self, units: int, held: int) -> bool:
        """Whether so many units are at least this share of what is held."""
        return units * self.parts >= held * self.of

    def exceeds(self, units: int, held: int) -> bool:
        return units * self.parts > held * self.of


class Probes:
    """Mutable; remembers large payments for as long as they may be cases (`Standing`), and with the other rules on
    destinations whom we paid first with what (`Payees`).

    A payment that may be large or small, because nobody knows what its wallet held, makes the wallet unknown.
    """

    def __init__(self, rule: Probe, *, known: Destinations, payees: Payees) -> None:
        self._within = rule.within
        self._small = Share(*rule.small_share.as_integer_ratio())
        self._large = Share(*rule.large_share.as_integer_ratio())
        self._known = known
        self._payees = payees
        self._standing: Standing[Paid] = Standing(rule.keep)

    def take(self, outflow: Outflow) -> None:
        held = self._payees.take(outflow, known=self._known)
        paid = []
        for row, units in self._payees.strangers:  # a loop, because every payment comes by here
            if units > 0 and self._large.reaches(units, held.least):
                paid.append((row, units))
        if paid:
            self._standing.put(outflow, Paid(held, tuple(paid)))
        else:
            self._standing.drop(outflow.key)

    def withdraw(self, key: Key) -> None:
        self._payees.withdraw(key)
        self._standing.drop(key)

    def cases(self, now: datetime) -> Cases:
        for outflow, paid in list(self._standing.at(now)):
            if paid.held.most is None:
                self.take(outflow)  # what its wallet held may have been read by now
        unsure: dict[str, tuple[str, ...]] = {}
        return by_wallet(self._found(now, unsure=unsure), unsure=unsure)

    def _found(self, now: datetime, *, unsure: dict[str, tuple[str, ...]]) -> Iterator[tuple[str, Case]]:
        for outflow, paid in self._standing.at(now):
            for row, units in paid.parts:
                first = self._payees.first(row)
                if first is None or not self._probes(first, outflow):
                    continue
                if self._certain(first, units=units, held=paid.held):
                    yield outflow.wallet, _case(outflow, row=row, units=units, held=paid.held, first=first)
                    break
                unsure[outflow.wallet] = (f"chain:{outflow.chain}",)

    def _probes(self, first: Payment, outflow: Outflow) -> bool:
        """Whether the first payment may be a probe for this one."""
        after = outflow.first_seen - first.at
        may_be_small = first.held.most is None or not self._small.exceeds(first.units, first.held.most)
        another = first.transaction != outflow.key.transaction
        return another and timedelta(0) <= after <= self._within and first.units > 0 and may_be_small

    def _certain(self, first: Payment, *, units: int, held: Stock) -> bool:
        small = not self._small.exceeds(first.units, first.held.least)
        return small and bool(held.least) and held.most is not None and self._large.reaches(units, held.most)


def _case(outflow: Outflow, *, row: str, units: int, held: Stock, first: Payment) -> Case:
    name = row.partition(" ")[2]
    tried = f"{_coins(first.units, decimals=first.decimals)} {first.asset}"
    after = _spoken(outflow.first_seen - first.at)
    paid = f"{_coins(units, decimals=outflow.key.token.decimals)} {outflow.asset}"
    share = percent(Interval.exactly(EXACT.divide(Decimal(units), Decimal(held.least))))
    facts = {
        "destination": name,
        "share": share,
        "probe": {"transaction": first.transaction, "amount": tried, "at": first.at.isoformat()},
    }
    says = f"{outflow.wallet} pays {paid}, {share} of what it held, to {name}, {after} after a first payment of {tried}"
    return Case(outflow, says, facts)


def _spoken(after: timedelta) -> str:
    minute = timedelta(minutes=1)
    return format_duration(after // minute * minute if after >= minute else after)


def _coins(units: int, *, decimals: int) -> str:
    return plain(amount(units, decimals=decimals), places=80)
