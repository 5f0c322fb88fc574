"""How one wallet has paid so far: what it takes to say of its next payment whether it is like the others."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import NamedTuple

from connectors.base import Tip, Token
from daemon.detection.outflow import Key

DAYS = 30
"""Days whose spends are counted each for itself."""

SETTLED_BLOCKS = 144
SETTLED = timedelta(hours=1)
"""What lies as deep as both is not taken back any more: a day on Bitcoin, an hour on Ethereum, 144 minutes on NEM."""

MOST_FRESH = 256
MOST_PENDING = 1000
CROWDED_BLOCKS = 12
"""Where more than MOST_FRESH mined spends could be taken back, those this deep are settled too; and where more
than MOST_PENDING are in no block, the oldest of those. A spend takes some 500 bytes: a busy profile stays at 130 kB, or
what twelve blocks hold of its spends, and 500 kB of pending ones at the very most; a quiet one stays below 4 kB."""


class Paid(NamedTuple):
    """What a transaction pays of one token to others than ours."""

    asset: str
    units: int
    """As `comparable` gives them."""
    counterparty: str
    """The class of whom it pays, see `counterparty`."""
    change: bool
    """Whether anything comes back to us."""


@dataclass(slots=True)
class OfAsset:
    """Payments of one asset: how many, and the largest in units."""

    payments: int = 0
    largest: int = 0


@dataclass(slots=True)
class Tally:
    """Sums over spends. A spend is a transaction for which the wallet pays, be it to another of ours; a payment goes to
    others than ours.

    `days` counts spends by the ordinal of the day (UTC), of the last 30 days at least; `hours` payments by hour of day.
    """

    spends: int = 0
    last: datetime | None = None
    days: dict[int, int] = field(default_factory=dict)
    payments: int = 0
    with_change: int = 0
    hours: list[int] = field(default_factory=lambda: [0] * 24)
    counterparties: dict[str, int] = field(default_factory=dict)
    assets: dict[str, OfAsset] = field(default_factory=dict)

    def copy(self) -> Tally:
        assets = {asset: replace(one) for asset, one in self.assets.items()}
        return replace(
            self,
            days=self.days.copy(),
            hours=self.hours.copy(),
            counterparties=self.counterparties.copy(),
            assets=assets,
        )


class Spend:
    """A spend that can still be taken back. `number` counts spends in the order in which they were told first."""

    __slots__ = ("at", "number", "parts", "tip")

    def __init__(self, number: int, at: datetime, tip: Tip | None) -> None:
        self.number, self.at, self.tip = number, at, tip
        self.parts: dict[Token, Paid | None] = {}


class Profile:
    """Of one wallet, since it `began` to be watched. Mutable, and pure of effects.

    What has settled stands in sums alone; what has not also as a list, out of which it can be taken back.
    """

    def __init__(self, began: datetime) -> None:
        self.began = began
        self.tally = Tally()
        """Of all spends that stand, settled or not."""
        self.number = 0
        self.settled_last: datetime | None = None
        self.settled_largest: dict[str, int] = {}
        self.settled_height = -1
        """What is told of blocks up to this height is counted, but for what can still be taken back."""
        self.pending: dict[str, Spend] = {}
        self.mined: OrderedDict[str, Spend] = OrderedDict()  # its first is found at once, however many went before it

    def take(self, key: Key, *, at: datetime, tip: Tip | None, paid: Paid | None) -> bool:
        """A spend that is new, or stands otherwise than before; whether that is news. `tip` is its block, if any."""
        spend = self._known(key.transaction)
        if spend is None:
            if tip is not None and tip.height <= self.settled_height:
                return False
            self.number += 1
            spend = Spend(self.number, at, tip)
            self._count_spend(spend)
            self._shelf(tip)[key.transaction] = spend
        elif (spend.at, spend.tip) != (at, tip):
            self._move(key.transaction, spend, at=at, tip=tip)
        elif key.token in spend.parts and spend.parts[key.token] == paid:
            return False
        self._set(spend, key.token, paid)
        if tip is not None:
            self._settle(tip)
        if len(self.pending) > MOST_PENDING:
            self._fold(self.pending.pop(next(iter(self.pending))), height=self.settled_height)
        return True

    def withdraw(self, key: Key) -> bool:
        """It never happened; whether that is news. What has settled stays."""
        spend = self._known(key.transaction)
        if spend is None or key.token not in spend.parts:
            return False
        paid = spend.parts.pop(key.token)
        if not spend.parts:
            self.pending.pop(key.transaction, None)
            self.mined.pop(key.transaction, None)
            self._uncount_spend(spend)
        if paid is not None:
            self._uncount(paid, at=spend.at)
        return True

    def before(self, key: Key, *, tip: Tip | None) -> Tally | None:
        """All payments before this one; None where it has settled among the others. Not to be changed.

        Later ones that have settled meanwhile stand among those before. Of its `spends`, `days` and `last` nothing is
        said: those may count later ones as well.
        """
        spend = self._known(key.transaction)
        if spend is None:
            return None if tip is not None and tip.height <= self.settled_height else self.tally
        if spend.number == self.number and not any(spend.parts.values()):
            return self.tally
        tally = self.tally.copy()
        later = [one for one in self._fresh() if one.number >= spend.number]
        gone = [(one, paid) for one in later for paid in one.parts.values() if paid is not None]
        for one, paid in gone:
            _subtract(tally, paid, at=one.at)
        for asset in {paid.asset for _, paid in gone}:
            if asset in tally.assets:
                tally.assets[asset].largest = self._largest(asset, before=spend.number)
        return tally

    def last_before(self, key: Key) -> datetime | None:
        """When the wallet spent before this spend, None where no such time is known; at a cost of all that is fresh."""
        spend = self._known(key.transaction)
        if spend is None:
            return self.tally.last
        earlier = (one.at for one in self._fresh() if one.number < spend.number)
        return _latest(self.settled_last, earlier)

    def _known(self, transaction: str) -> Spend | None:
        return self.mined.get(transaction) or self.pending.get(transaction)

    def _fresh(self) -> Iterator[Spend]:
        yield from self.mined.values()
        yield from self.pending.values()

    # ── adding and taking back ──────────────────────────────────────────────────────────────────────────────────────

    def _shelf(self, tip: Tip | None) -> dict[str, Spend]:
        """Where spends of this block lie, or those of none."""
        return self.pending if tip is None else self.mined

    def _move(self, transaction: str, spend: Spend, *, at: datetime, tip: Tip | None) -> None:
        """To another stage, block or time."""
        del self._shelf(spend.tip)[transaction]
        if spend.at != at:
            self._uncount_spend(spend)
            payments = sum(paid is not None for paid in spend.parts.values())
            self.tally.hours[spend.at.hour] -= payments
            self.tally.hours[at.hour] += payments
            spend.at = at
            self._count_spend(spend)
        spend.tip = tip
        self._shelf(tip)[transaction] = spend

    def _set(self, spend: Spend, token: Token, paid: Paid | None) -> None:
        known = spend.parts.get(token)
        spend.parts[token] = paid
        if known == paid:
            return
        if known is not None:
            self._uncount(known, at=spend.at)
        if paid is not None:
            self._count(paid, at=spend.at)

    def _count_spend(self, spend: Spend) -> None:
        tally, at = self.tally, spend.at
        tally.spends += 1
        day = at.toordinal()
        tally.days[day] = tally.days.get(day, 0) + 1
        if tally.last is None or at > tally.last:
            tally.last = at

    def _uncount_spend(self, spend: Spend) -> None:
        tally, day = self.tally, spend.at.toordinal()
        tally.spends -= 1
        if day in tally.days:
            tally.days[day] -= 1
            if not tally.days[day]:
                del tally.days[day]
        if spend.at == tally.last:
            tally.last = _latest(self.settled_last, (one.at for one in self._fresh() if one is not spend))

    def _count(self, paid: Paid, *, at: datetime) -> None:
        tally = self.tally
        tally.payments += 1
        tally.hours[at.hour] += 1
        tally.with_change += paid.change
        tally.counterparties[paid.counterparty] = tally.counterparties.get(paid.counterparty, 0) + 1
        of_asset = tally.assets.get(paid.asset)
        if of_asset is None:
            of_asset = tally.assets[paid.asset] = OfAsset()
        of_asset.payments += 1
        if paid.units > of_asset.largest:  # noqa: PLR1730 - `max` is dear, and every payment comes by here
            of_asset.largest = paid.units

    def _uncount(self, paid: Paid, *, at: datetime) -> None:
        _subtract(self.tally, paid, at=at)
        of_asset = self.tally.assets.get(paid.asset)
        if of_asset is not None and paid.units == of_asset.largest:
            of_asset.largest = self._largest(paid.asset, before=self.number + 1)

    def _largest(self, asset: str, *, before: int) -> int:
        fresh = (
            paid.units
            for one in self._fresh()
            if one.number < before
            for paid in one.parts.values()
            if paid is not None and paid.asset == asset
        )
        return max(self.settled_largest.get(asset, 0), max(fresh, default=0))

    # ── settling ────────────────────────────────────────────────────────────────────────────────────────────────────

    def _settle(self, tip: Tip) -> None:
        crowded = len(self.mined) > MOST_FRESH
        while self.mined:
            transaction, spend = next(iter(self.mined.items()))
            assert spend.tip is not None
            deep = spend.tip.height + SETTLED_BLOCKS <= tip.height and spend.tip.time + SETTLED <= tip.time
            if not deep and not (crowded and spend.tip.height + CROWDED_BLOCKS <= tip.height):
                return
            del self.mined[transaction]
            self._fold(spend, height=spend.tip.height)

    def _fold(self, spend: Spend, *, height: int) -> None:
        """What it adds to the sums stays there for good."""
        self.settled_height = max(self.settled_height, height)
        if self.settled_last is None or spend.at > self.settled_last:
            self.settled_last = spend.at
        for paid in spend.parts.values():
            if paid is not None and paid.units >= self.settled_largest.get(paid.asset, 0):
                self.settled_largest[paid.asset] = paid.units
        if len(self.tally.days) > DAYS:
            oldest = spend.at.toordinal() - DAYS
            for day in [day for day in self.tally.days if day < oldest]:
                del self.tally.days[day]


def _subtract(tally: Tally, paid: Paid, *, at: datetime) -> None:
    """Without regard to which is the largest then."""
    tally.payments -= 1
    tally.hours[at.hour] -= 1
    tally.with_change -= paid.change
    tally.counterparties[paid.counterparty] -= 1
    if not tally.counterparties[paid.counterparty]:
        del tally.counterparties[paid.counterparty]
    tally.assets[paid.asset].payments -= 1
    if not tally.assets[paid.asset].payments:
        del tally.assets[paid.asset]


def _latest(one: datetime | None, others: Iterable[datetime]) -> datetime | None:
    latest = max(others, default=one)
    return latest if one is None or latest is None else max(one, latest)
