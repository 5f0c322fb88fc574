"""What was held within a sliding window: the highest of the newest readings, kept at a cost that follows change."""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import NamedTuple

from connectors.base import Token
from daemon.interval import EXACT, ZERO, amount
from daemon.ledger import Book, Total, Totals
from daemon.model import ChainState, Inventory, Owner, Tier, Wallet

FRESH = 64
"""Readings that a reorganisation can take back, of each window: as many changes lie in as many blocks, or more."""

GRAIN = 1000
"""What is older than those is told apart to a thousandth of the window, so that one window keeps at most 1,065 readings
(below half a megabyte), however long it is and however often its holdings change."""

START = datetime(1970, 1, 1, tzinfo=UTC)


class Of(StrEnum):
    """What holdings are summed over: all of the customers' wallets, those of a tier, or one wallet."""

    ASSET = "asset"
    TIER = "tier"
    WALLET = "wallet"


class Subject(NamedTuple):
    """Customers' holdings of an asset; `name` is the tier or the wallet that they are in, "" for all of them."""

    of: Of
    asset: str
    name: str = ""

    def __str__(self) -> str:
        return f"{self.name}/{self.asset}" if self.name else self.asset


class Window(NamedTuple):
    """Whose holdings, and how far back."""

    subject: Subject
    length: timedelta


@dataclass(frozen=True, slots=True)
class Highest:
    """The most that was held within a window, in whole coins; `until` when it was so for the last time.

    `began` is when the first reading was made: what was before is not known.
    """

    coins: Decimal
    until: datetime
    began: datetime


@dataclass(frozen=True, slots=True)
class Level:
    """What a subject holds now, in whole coins. `lost` sums the last readings of what can't be read now.

    `whole`: nothing is lost. `heard`: of every chain that it is on there was a reading once.
    """

    known: Decimal = ZERO
    lost: Decimal = ZERO
    whole: bool = True
    heard: bool = True

    def __add__(self, other: Level) -> Level:
        return Level(
            EXACT.add(self.known, other.known),
            EXACT.add(self.lost, other.lost),
            self.whole and other.whole,
            self.heard and other.heard,
        )


@dataclass(slots=True)
class _Reading:
    """So many coins, read first at these heights, and held `until`."""

    coins: Decimal
    heights: Mapping[str, int]
    until: datetime


class Track:
    """One window. The newest readings stand in order; of older ones those that may still become the highest."""

    def __init__(self, length: timedelta) -> None:
        self._length = length
        self._fresh: deque[_Reading] = deque()
        self._settled: deque[_Reading] = deque()  # ever fewer coins, held ever longer
        self._horizon = START
        self._began: datetime | None = None
        self._whole: Decimal | None = None

    @property
    def size(self) -> int:
        """How many readings it keeps."""
        return len(self._fresh) + len(self._settled)

    def look(self, level: Level, *, heights: Mapping[str, int], forks: Mapping[str, int], now: datetime) -> None:
        """Takes what is held now, at blocks of these heights; the blocks above `forks` that we knew were undone."""
        if forks:
            self._undo(forks)
        newest = self._newest()
        if newest is not None:
            if now < newest.until:
                self._set_back(now)
            newest.until = now  # whatever happened since the last reading, this one shows it
        if level.heard:
            coins = self._held(level)
            if newest is None or newest.coins != coins:
                self._fresh.append(_Reading(coins, heights, now))
            self._began = self._began or now
        while len(self._fresh) > FRESH:
            self._settle(self._fresh.popleft())
        self._horizon = now - self._length
        while self._settled and self._settled[0].until < self._horizon:
            self._settled.popleft()

    def highest(self) -> Highest | None:
        """None before the first reading."""
        best = self._newest()
        if self._began is None or best is None:
            return None
        for one in reversed(self._fresh):
            if one.coins > best.coins and one.until >= self._horizon:
                best = one
        if self._settled and self._settled[0].coins > best.coins:
            best = self._settled[0]
        return Highest(best.coins, best.until, self._began)

    def _held(self, level: Level) -> Decimal:
        """What is certainly held, and what can't be read now as it was read last.

        The latter counts no further than to what was last known as a whole: when coins went from an account that can't
        be read to one that can, they would count twice.
        """
        if level.whole:
            self._whole = level.known
        if self._whole is None:
            return level.known
        return max(level.known, min(self._whole, EXACT.add(level.known, level.lost)))

    def _newest(self) -> _Reading | None:
        return self._fresh[-1] if self._fresh else self._settled[-1] if self._settled else None

    def _undo(self, forks: Mapping[str, int]) -> None:
        """A reading stands again in the place of those after it that are undone, however long it is ago."""
        stand = (one for one in self._fresh if all(one.heights.get(chain, 0) <= at for chain, at in forks.items()))
        self._fresh = deque(stand)

    def _set_back(self, now: datetime) -> None:
        """The clock was set back: nothing can have been held until later than now."""
        for one in (*self._settled, *self._fresh):
            one.until = min(one.until, now)
        self._began = self._began and min(self._began, now)

    def _settle(self, reading: _Reading) -> None:
        while self._settled and self._settled[-1].coins <= reading.coins:
            self._settled.pop()
        if self._settled and self._grain(self._settled[-1].until) == self._grain(reading.until):
            self._settled[-1].until = reading.until
        else:
            self._settled.append(reading)

    def _grain(self, moment: datetime) -> int:
        return (moment - START) // (self._length / GRAIN)


class Windows:
    """The windows of all subjects. Mutable, in memory, and pure of effects; fed once in every pass of the pipe."""

    def __init__(self) -> None:
        self._tracks: dict[Window, Track] = {}
        self._inventory: Inventory | None = None
        self._tiers: Mapping[str, Tier] = {}
        self._forks: dict[str, int] = {}

    def look(
        self,
        totals: Totals,
        *,
        inventory: Inventory,
        tiers: Mapping[str, Tier],
        chains: Mapping[str, ChainState],
        books: Mapping[str, Book],
        wanted: Collection[tuple[Of, timedelta]],
        now: datetime,
    ) -> dict[Window, Highest]:
        """Takes what is held now; gives the highest of each window that is wanted and of which anything is known."""
        forks = dict(self._new_forks(books))
        self._compare(inventory, tiers=tiers)
        heights = {name: state.tip.height for name, state in chains.items() if state.tip is not None}
        levels = _levels(totals, inventory=inventory, tiers=tiers, chains=chains, of={of for of, _ in wanted})
        tracks: dict[Window, Track] = {}
        for subject, level in levels.items():
            on = _chains(subject, inventory=inventory)
            undone = {chain: height for chain, height in forks.items() if chain in on}
            for length in {length for of, length in wanted if of is subject.of}:
                window = Window(subject, length)
                track = tracks[window] = self._tracks.get(window) or Track(length)
                track.look(level, heights=heights, forks=undone, now=now)
        self._tracks = tracks
        found = ((window, track.highest()) for window, track in tracks.items())
        return {window: highest for window, highest in found if highest is not None}

    def _new_forks(self, books: Mapping[str, Book]) -> Iterator[tuple[str, int]]:
        """The lowest block, per chain, that reorganisations since the last look went back to."""
        for chain, book in books.items():
            new = [fork for fork in book.forks if fork.number > self._forks.get(chain, 0)]
            if new:
                self._forks[chain] = new[-1].number
                yield chain, min(fork.height for fork in new)

    def _compare(self, inventory: Inventory, *, tiers: Mapping[str, Tier]) -> None:
        """After a reload: what lost accounts by it begins anew, because it did not lose coins."""
        before, tiers_before = self._inventory, self._tiers
        self._inventory, self._tiers = inventory, tiers
        if before is None or before is inventory:
            return
        smaller = {
            Subject(of, asset, {Of.ASSET: "", Of.TIER: tiers_before[name], Of.WALLET: name}[of])
            for name, wallet in before.wallets.items()
            for of in Of
            for asset in before.assets
            if _shrank(wallet, inventory.wallets.get(name)) or (of is Of.TIER and tiers_before[name] != tiers[name])
        }
        gone = {asset for asset, held in before.assets.items() if not set(held) <= set(inventory.assets.get(asset, ()))}
        kept = self._tracks.items()
        self._tracks = {at: one for at, one in kept if at.subject not in smaller and at.subject.asset not in gone}


def _shrank(before: Wallet, after: Wallet | None) -> bool:
    if after is None or (before.chain, before.owner) != (after.chain, after.owner):
        return True
    return before.accounts is not after.accounts and not set(before.accounts) <= set(after.accounts)


def _levels(
    totals: Totals,
    *,
    inventory: Inventory,
    tiers: Mapping[str, Tier],
    chains: Mapping[str, ChainState],
    of: Collection[Of],
) -> dict[Subject, Level]:
    """Sums units first and turns few sums into coins: wallets are many, subjects and tokens are few."""
    sums: dict[tuple[Of, str, Token], Total] = {}
    for (name, token), part in totals.wallets.items() if of else ():
        if inventory.wallets[name].owner is Owner.CUSTOMER:
            for sort, part_of in ((Of.ASSET, ""), (Of.TIER, tiers[name].value), (Of.WALLET, name)):
                if sort in of:
                    known = sums.get((sort, part_of, token))
                    sums[sort, part_of, token] = part if known is None else known + part
    levels: dict[Subject, Level] = {}
    for (sort, part_of, token), whole in sums.items():
        subject = Subject(sort, inventory.asset_of[token], part_of)
        level = _level(whole, decimals=token.decimals, chain=chains[token.chain])
        levels[subject] = levels.get(subject, Level()) + level
    return levels


def _level(part: Total, *, decimals: int, chain: ChainState) -> Level:
    stale = chain.reason is not None
    known, lost = (0, part.known + part.lost) if stale else (part.known, part.lost)
    unread = part.pairs if stale else part.unread
    return Level(
        amount(known, decimals=decimals),
        amount(lost, decimals=decimals),
        whole=unread == part.never,
        heard=chain.tip is not None,
    )


def _chains(subject: Subject, *, inventory: Inventory) -> set[str]:
    if subject.of is Of.WALLET:
        return {inventory.wallets[subject.name].chain}
    return {token.chain for token in inventory.assets[subject.asset]}
