"""What was held within a sliding window: the highest of the newest readings, kept at a cost that follows change."""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import NamedTuple

from daemon.announcement import Place
from daemon.departures import Departure, Departures
from daemon.groups import Group
from daemon.interval import EXACT, ZERO
from daemon.ledger import Book, Total, Totals
from daemon.levels import Level, Levels, Of, Subject
from daemon.model import ChainState, Inventory, Owner, Tier, Wallet

FRESH = 64
"""Readings that a reorganisation can take back, of each window: as many changes lie in as many blocks, or more."""

GRAIN = 1000
"""What is older than those is told apart to a thousandth of the window, so that one window keeps at most 1,065 readings
(below half a megabyte), however long it is and however often its holdings change."""

NO_FORKS: Mapping[str, int] = {}
NO_DEPARTURES = Departures()
NOTHING_LEFT: Mapping[Place, tuple[Departure, ...]] = {}

START = datetime(1970, 1, 1, tzinfo=UTC)
LATEST = datetime.max.replace(tzinfo=UTC)


class Window(NamedTuple):
    """Whose holdings, and how far back."""

    subject: Subject
    length: timedelta


@dataclass(frozen=True, slots=True)
class Highest:
    """The most that was held within a window, in whole coins; `until` when it was so for the last time, None while it
    is.

    `began` is when the first reading was made: what was before is not known. As `announcements` tell, `announced`
    coins are not missing of it: no more than has left as announced since, and less where a later reading misses more.
    """

    coins: Decimal
    until: datetime | None
    began: datetime
    announced: Decimal = ZERO
    announcements: tuple[str, ...] = ()


@dataclass(slots=True)
class _Reading:
    """So many coins, read first at these heights, last at those of `last`, and held `until`."""

    coins: Decimal
    heights: Mapping[str, int]
    until: datetime
    last: Mapping[str, int]


class Track:
    """One window. The newest readings stand in order; of older ones those that may still become the highest."""

    def __init__(self, length: timedelta) -> None:
        self._length = length
        self._fresh: deque[_Reading] = deque()
        self._settled: deque[_Reading] = deque()  # ever fewer coins, held ever longer
        self._horizon = START
        self._began: datetime | None = None
        self._whole: Decimal | None = None
        self._left = NO_DEPARTURES

    @property
    def size(self) -> int:
        """How many readings it keeps."""
        return len(self._fresh) + len(self._settled)

    def look(
        self,
        level: Level,
        *,
        heights: Mapping[str, int],
        forks: Mapping[str, int],
        now: datetime,
        before: Mapping[str, int] = NO_FORKS,
    ) -> None:
        """Takes what is held now, at blocks of these heights; the blocks above `forks` that we knew were undone.

        `before` are the heights of the last pass, at which what was looked at last was still held.
        """
        newest = self._newest()
        if newest is not None:
            newest.last = {**newest.last, **before}
        if forks:
            self._undo(forks)
        newest = self._stay(now)
        if level.heard:
            coins = self._held(level)
            if newest is None or newest.coins != coins:
                self._fresh.append(_Reading(coins, heights, now, heights))
            self._began = self._began or now
        while len(self._fresh) > FRESH:
            self._settle(self._fresh.popleft())
        self._expire(now)

    def stay(self, now: datetime) -> None:
        """As a look at what was looked at last; also as all such looks that there may have been until `now`."""
        self._stay(now)
        self._expire(now)

    def leave(self, left: Departures) -> None:
        """Takes all that has left as announced."""
        self._left = left

    def highest(self) -> Highest | None:
        """None before the first reading."""
        best, newest = self._best(), self._newest()
        if self._began is None or best is None:
            return None
        found = Highest(best.coins, best.until, self._began)
        if best is newest or not self._left.after(best.last):
            return found
        # A later reading, after which less has left as announced, may miss more than the highest does.
        kept = (one for one in (*self._settled, *self._fresh) if one.until >= self._horizon)
        most = max(
            one.coins if one is newest else EXACT.subtract(one.coins, self._left.after(one.last)) for one in kept
        )
        names = self._left.announcements(best.last)
        return replace(found, announced=EXACT.subtract(best.coins, most), announcements=names)

    @property
    def is_highest(self) -> bool:
        """Whether the highest is what is held now."""
        return self._best() is self._newest()

    def _best(self) -> _Reading | None:
        best = self._newest()
        if best is None:
            return None
        for one in reversed(self._fresh):
            if one.coins > best.coins and one.until >= self._horizon:
                best = one
        if self._settled and self._settled[0].coins > best.coins:
            best = self._settled[0]
        return best

    def _stay(self, now: datetime) -> _Reading | None:
        newest = self._newest()
        if newest is not None:
            if now < newest.until:
                self._set_back(now)
            newest.until = now  # whatever happened since the last reading, this one shows it
        return newest

    def _expire(self, now: datetime) -> None:
        self._horizon = now - self._length
        while self._settled and self._settled[0].until < self._horizon:
            self._settled.popleft()

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
        for one in (*self._settled, *self._fresh):
            one.last = {chain: min(height, forks.get(chain, height)) for chain, height in one.last.items()}

    def _set_back(self, now: datetime) -> None:
        """The clock was set back: nothing can have been held until later than now."""
        for one in (*self._settled, *self._fresh):
            one.until = min(one.until, now)
        self._began = self._began and min(self._began, now)

    def _settle(self, reading: _Reading) -> None:
        while self._settled and self._settled[-1].coins <= reading.coins:
            self._settled.pop()
        if self._settled and self._alike(self._settled[-1], reading):
            self._settled[-1].until, self._settled[-1].last = reading.until, reading.last
        else:
            self._settled.append(reading)

    def _alike(self, one: _Reading, other: _Reading) -> bool:
        """Whether they need not be told apart: so near in time, and nothing that was announced has left in between."""
        near = self._grain(one.until) == self._grain(other.until)
        return near and not self._left.between(one.last, other.last)

    def _grain(self, moment: datetime) -> int:
        return (moment - START) // (self._length / GRAIN)


class Windows:
    """The windows of all subjects. Mutable, in memory, and pure of effects; fed once in every pass of the pipe.

    A track is looked at when its subject has changed, or its highest is too long ago; else it would only stay.
    """

    def __init__(self) -> None:
        self._tracks: dict[Window, Track] = {}
        self._inventory: Inventory | None = None
        self._tiers: Mapping[str, Tier] = {}
        self._forks: dict[str, int] = {}
        self._levels = Levels()
        self._windows: Mapping[Subject, Sequence[Window]] = {}
        self._last: datetime | None = None
        self._highest: dict[Window, Highest] = {}
        self._ends: dict[Window, datetime] = {}
        """When there is something else to say of a window: its highest is too long ago, or it is whole."""
        self._soonest = LATEST
        """No later than the first of them."""
        self._heights: Mapping[str, int] = {}
        self._departed: Mapping[Place, tuple[Departure, ...]] = NOTHING_LEFT
        self._left: Mapping[Subject, Departures] = {}

    def look(
        self,
        totals: Totals,
        *,
        groups: Mapping[Group, Total],
        inventory: Inventory,
        tiers: Mapping[str, Tier],
        chains: Mapping[str, ChainState],
        books: Mapping[str, Book],
        wanted: Collection[tuple[Of, timedelta]],
        now: datetime,
        departed: Mapping[Place, tuple[Departure, ...]] = NOTHING_LEFT,
    ) -> Mapping[Window, Highest]:
        """Takes what is held now; gives the highest of each window that is wanted and of which anything is known.

        Of a window of which there is nothing else to say than before, the very same Highest; another one also as soon
        as it was looked at for a whole window.
        """
        forks = dict(self._new_forks(books))
        anew = self._depart(departed, inventory=inventory, tiers=tiers)
        self._compare(inventory, tiers=tiers)
        heights = {name: state.tip.height for name, state in chains.items() if state.tip is not None}
        levels, changed = self._levels.of(
            totals, groups=groups, inventory=inventory, tiers=tiers, chains=chains, wanted=frozenset(wanted)
        )
        if len(changed) == len(levels):
            self._lay_out(levels, wanted=wanted)
        if self._last is not None and now < self._last:
            changed = levels.keys()
        reached = {subject: _undone(subject, inventory=inventory, forks=forks) for subject in (levels if forks else ())}
        self._highest = self._highest.copy()
        for subject in {*changed, *(subject for subject, undone in reached.items() if undone)}:
            for window in self._windows[subject]:
                track = self._tracks[window]
                track.stay(self._last or now)
                undone = reached.get(subject, NO_FORKS)
                track.look(levels[subject], heights=heights, forks=undone, now=now, before=self._heights)
                self._tell(window, now=now)
        for window in [window for subject in anew for window in self._windows.get(subject, ())]:
            self._tracks[window].leave(self._left.get(window.subject, NO_DEPARTURES))
            self._tell(window, now=now)
        if now >= self._soonest:
            for window in [window for window, end in self._ends.items() if end <= now]:
                self._tracks[window].stay(now)
                self._tell(window, now=now)
            self._soonest = min(self._ends.values(), default=LATEST)
        self._last, self._heights = now, heights
        return self._highest

    def _depart(
        self, departed: Mapping[Place, tuple[Departure, ...]], *, inventory: Inventory, tiers: Mapping[str, Tier]
    ) -> Collection[Subject]:
        """The subjects of which something else has left as announced than at the last look."""
        if departed is self._departed and inventory is self._inventory and tiers == self._tiers:
            return ()
        found: dict[Subject, list[Departure]] = {}
        for (name, asset), left in departed.items():
            wallet = inventory.wallets.get(name)
            if wallet is not None and wallet.owner is Owner.CUSTOMER:
                for of, part in ((Of.ASSET, ""), (Of.TIER, tiers[name].value), (Of.WALLET, name)):
                    found.setdefault(Subject(of, asset, part), []).extend(left)
        before, self._departed = self._left, departed
        self._left = {subject: Departures(left) for subject, left in found.items()}
        return before.keys() | found.keys()

    def _lay_out(self, levels: Collection[Subject], *, wanted: Collection[tuple[Of, timedelta]]) -> None:
        """A track for each window; those that are known go on."""
        self._windows = {
            subject: [Window(subject, length) for of, length in wanted if of is subject.of] for subject in levels
        }
        windows = [window for found in self._windows.values() for window in found]
        self._tracks = {window: self._tracks.get(window) or Track(window.length) for window in windows}
        self._highest = {window: one for window, one in self._highest.items() if window in self._tracks}
        self._ends = {window: end for window, end in self._ends.items() if window in self._tracks}

    def _tell(self, window: Window, *, now: datetime) -> None:
        track = self._tracks[window]
        found = track.highest()
        self._ends.pop(window, None)
        if found is None:
            self._highest.pop(window, None)
            return
        whole = found.began + window.length
        ends = [whole] if whole > now else []
        if track.is_highest:
            found = replace(found, until=None)
        elif found.until is not None:
            ends.append(found.until + window.length)
        if ends:
            self._ends[window] = min(ends)
            self._soonest = min(self._soonest, *ends)
        self._highest[window] = found

    def _new_forks(self, books: Mapping[str, Book]) -> Iterator[tuple[str, int]]:
        """The lowest block, per chain, that reorganisations since the last look went back to."""
        for chain, book in books.items():
            new = [fork for fork in book.forks if fork.number > self._forks.get(chain, 0)]
            if new:
                self._forks[chain] = new[-1].number
                yield chain, min(fork.height for fork in new)

    def _compare(self, inventory: Inventory, *, tiers: Mapping[str, Tier]) -> None:
        """After a reload, or when a wallet is judged by another tier: what lost accounts by it begins anew, because it
        did not lose coins."""
        before, tiers_before = self._inventory, self._tiers
        self._inventory, self._tiers = inventory, tiers
        if before is None or (before is inventory and tiers_before == tiers):
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


def _undone(subject: Subject, *, inventory: Inventory, forks: Mapping[str, int]) -> dict[str, int]:
    """The forks of the chains that the subject is on."""
    on = _chains(subject, inventory=inventory)
    return {chain: height for chain, height in forks.items() if chain in on}


def _chains(subject: Subject, *, inventory: Inventory) -> set[str]:
    if subject.of is Of.WALLET:
        return {inventory.wallets[subject.name].chain}
    return {token.chain for token in inventory.assets[subject.asset]}
