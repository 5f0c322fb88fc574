"""What was held within a sliding window: the highest of the newest readings, kept at a cost that follows change."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from daemon.announcement import Place
from daemon.departures import Departure, Departures
from daemon.groups import Group
from daemon.ledger import Book, Total, Totals
from daemon.levels import Levels, Of, Subject
from daemon.model import ChainState, Inventory, Owner, Tier, Wallet
from daemon.track import Highest, Track
from daemon.window_rows import (
    Kept,
    Summed,
    decode,
    decode_summed,
    encode,
    encode_summed,
    read_key,
    still_holds,
    summed,
    window_key,
)

MOST_READINGS = 20_000
"""Of windows that are written down at a time: it takes some ten milliseconds."""

LAST, SUMMED = "last", "summed"
"""Rows that are no windows."""

NO_FORKS: Mapping[str, int] = {}
NO_DEPARTURES = Departures()
NOTHING_LEFT: Mapping[Place, tuple[Departure, ...]] = {}

LATEST = datetime.max.replace(tzinfo=UTC)


class Window(NamedTuple):
    """Whose holdings, and how far back."""

    subject: Subject
    length: timedelta


@dataclass(frozen=True, slots=True)
class _Earlier:
    """What an earlier run has left, and when it looked last."""

    windows: Mapping[Window, Kept]
    summed: Summed
    watched: datetime


class Windows:
    """The windows of all subjects. Mutable, in memory, and pure of effects; fed once in every pass of the pipe.

    A track is looked at when its subject has changed, or its highest is too long ago; else it would only stay.

    Remembered are the tracks that have changed (see Track for how many readings one has: some 50 kB at most), when they
    were looked at last, and whose accounts they sum over: one that has lost accounts by a restart begins anew.
    """

    kind = "window"

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
        self._news: dict[Window, None] = {}
        self._regrouped = False
        self._earlier: _Earlier | None = None

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
        if self._earlier is not None:
            self._go_on(self._earlier, now=now)
            changed, self._earlier = levels.keys(), None
        if self._last is not None and now < self._last:
            changed = levels.keys()
        reached = {subject: _undone(subject, inventory=inventory, forks=forks) for subject in (levels if forks else ())}
        self._highest = self._highest.copy()
        for subject in {*changed, *(subject for subject, undone in reached.items() if undone)}:
            for window in self._windows[subject]:
                track = self._tracks[window]
                turns = track.turns
                track.stay(self._last or now)
                undone = reached.get(subject, NO_FORKS)
                track.look(levels[subject], heights=heights, forks=undone, now=now, before=self._heights)
                if track.turns != turns:
                    self._news[window] = None
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

    # ── over a restart ──────────────────────────────────────────────────────────────────────────────────────────────

    def changed(self) -> dict[str, str | None]:
        """See Remembers. Of many changes some at a time, those that wait longest first."""
        if self._last is None or self._inventory is None:
            return {}
        rows: dict[str, str | None] = {LAST: self._last.isoformat()}
        if self._regrouped:
            rows[SUMMED], self._regrouped = encode_summed(summed(self._inventory, self._tiers)), False
        readings = 0
        while self._news and readings < MOST_READINGS:
            window = next(iter(self._news))
            del self._news[window]
            track = self._tracks.get(window)
            rows[window_key(*window)] = None if track is None else encode(track.kept())
            readings += 0 if track is None else track.size
        return rows

    def restore(self, rows: Mapping[str, str]) -> None:
        """See Remembers. What was read in this run comes after it."""
        if LAST not in rows or SUMMED not in rows:
            return
        keys = [key for key in rows if key not in (LAST, SUMMED)]
        self._earlier = _Earlier(
            {Window(*read_key(key)): decode(rows[key]) for key in keys},
            summed=decode_summed(rows[SUMMED]),
            watched=datetime.fromisoformat(rows[LAST]),
        )

    def _go_on(self, earlier: _Earlier, *, now: datetime) -> None:
        assert self._inventory is not None
        here = summed(self._inventory, self._tiers)
        stays: dict[Subject, bool] = {}
        for window, kept in earlier.windows.items():
            track, subject = self._tracks.get(window), window.subject
            if subject not in stays:
                stays[subject] = still_holds(subject, earlier.summed, inventory=self._inventory, now=here)
            if track is not None and stays[subject]:
                track.follow(kept, watched=earlier.watched, now=now)
            self._news[window] = None  # also what is not wanted any more: its row is to be forgotten

    def _lay_out(self, levels: Collection[Subject], *, wanted: Collection[tuple[Of, timedelta]]) -> None:
        """A track for each window; those that are known go on."""
        self._windows = {
            subject: [Window(subject, length) for of, length in wanted if of is subject.of] for subject in levels
        }
        windows = [window for found in self._windows.values() for window in found]
        before = self._tracks
        self._tracks = {window: before.get(window) or Track(window.length) for window in windows}
        self._news |= dict.fromkeys(window for window in before if window not in self._tracks)
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
        self._regrouped |= before is not inventory or tiers_before != tiers
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
