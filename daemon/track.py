"""What was held within one sliding window: the highest of the newest readings, over reorganisations and restarts."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from daemon.departures import Departures
from daemon.interval import EXACT, ZERO
from daemon.levels import Level
from daemon.window_rows import Kept, Reading

FRESH = 64
"""Readings that a reorganisation can take back, of each window: as many changes lie in as many blocks, or more."""

GRAIN = 1000
"""What is older than those is told apart to a thousandth of the window, so that one window keeps at most 1,065 readings
(below half a megabyte), however long it is and however often its holdings change."""

NO_HEIGHTS: Mapping[str, int] = {}
NO_DEPARTURES = Departures()

START = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Highest:
    """The most that was held within a window, in whole coins; `until` when it was so for the last time, None while it
    is.

    `began` is when the first reading was made: what was before is not known, but by what an earlier run has left; that
    one was `watched` until then, where that lies in the window. As `announcements` tell, `announced` coins are not
    missing of it: no more than has left as announced since, and less where a later reading misses more.
    """

    coins: Decimal
    until: datetime | None
    began: datetime
    watched: datetime | None = None
    announced: Decimal = ZERO
    announcements: tuple[str, ...] = ()


class Track:
    """One window. The newest readings stand in order; of older ones those that may still become the highest.

    What an earlier run has read counts until it was last looked at: the time between was not watched.
    """

    def __init__(self, length: timedelta) -> None:
        self._length = length
        self._fresh: deque[Reading] = deque()
        self._settled: deque[Reading] = deque()  # ever fewer coins, held ever longer
        self._horizon = START
        self._began: datetime | None = None
        self._whole: Decimal | None = None
        self._watched: datetime | None = None
        self._away = False
        """Whether nothing was read yet since an earlier run."""
        self._left = NO_DEPARTURES
        self.turns = 0
        """How often it came to hold something else, or was undone."""

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
        before: Mapping[str, int] = NO_HEIGHTS,
    ) -> None:
        """Takes what is held now, at blocks of these heights; the blocks above `forks` that we knew were undone.

        `before` are the heights of the last pass, at which what was looked at last was still held.
        """
        newest = self._newest()
        if newest is not None:
            newest.last = {**newest.last, **before}
        if forks:
            self._undo(forks)
            self.turns += 1
        newest = self._stay(now)
        if level.heard:
            coins = self._held(level)
            if newest is None or newest.coins != coins or self._away:
                self._fresh.append(Reading(coins, heights, now, heights))
                self.turns += 1
            self._began, self._away = self._began or now, False
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
        watched = self._watched if self._watched is not None and self._watched >= self._horizon else None
        found = Highest(best.coins, best.until, self._began, watched)
        if best is newest or not self._left.after(best.last):
            return found
        # A later reading, after which less has left as announced, may miss more than the highest does.
        kept = (one for one in (*self._settled, *self._fresh) if one.until >= self._horizon)
        most = max(
            one.coins if one is newest else EXACT.subtract(one.coins, self._left.after(one.last)) for one in kept
        )
        names = self._left.announcements(best.last)
        return replace(found, announced=EXACT.subtract(best.coins, most), announcements=names)

    def kept(self) -> Kept:
        """What a restart goes on from."""
        fresh = (replace(one, heights=dict(one.heights), last=dict(one.last)) for one in self._fresh)
        settled = (replace(one, heights={}, last=dict(one.last)) for one in self._settled)
        return Kept(tuple(fresh), tuple(settled), self._whole)

    def follow(self, earlier: Kept, *, watched: datetime, now: datetime) -> None:
        """Goes on from what an earlier run has left, which was `watched` until then."""
        settled, fresh = self._settled, self._fresh
        self._settled, self._fresh = deque(earlier.settled), deque(earlier.fresh)
        newest = self._newest()
        if newest is None:
            self._settled, self._fresh = settled, fresh
            return
        newest.until = max(newest.until, watched)
        for one in (*self._settled, *self._fresh):
            one.until = min(one.until, now)  # by a clock that was set back
        self._watched, self._away = watched, not fresh
        self._whole = earlier.whole if self._whole is None else self._whole
        if settled:
            while self._fresh:
                self._settle(self._fresh.popleft())
        for one in settled:
            self._settle(one)
        self._fresh.extend(fresh)
        self._expire(now)

    @property
    def is_highest(self) -> bool:
        """Whether the highest is what is held now."""
        return not self._away and self._best() is self._newest()

    def _best(self) -> Reading | None:
        best = self._newest()
        if best is None:
            return None
        for one in reversed(self._fresh):
            if one.coins > best.coins and one.until >= self._horizon:
                best = one
        if self._settled and self._settled[0].coins > best.coins:
            best = self._settled[0]
        return best

    def _stay(self, now: datetime) -> Reading | None:
        newest = self._newest()
        if newest is not None:
            if now < newest.until:
                self._set_back(now)
            if self._away:
                return newest
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

    def _newest(self) -> Reading | None:
        return self._fresh[-1] if self._fresh else self._settled[-1] if self._settled else None

    def _undo(self, forks: Mapping[str, int]) -> None:
        """A reading stands again in the place of those after it that are undone, however long it is ago."""
        last = self._newest()
        stand = (one for one in self._fresh if all(one.heights.get(chain, 0) <= at for chain, at in forks.items()))
        self._fresh = deque(stand)
        for one in (*self._settled, *self._fresh):
            one.last = {chain: min(height, forks.get(chain, height)) for chain, height in one.last.items()}
        newest = self._newest()
        if self._away and last is not None and newest is not None:
            newest.until = max(newest.until, last.until)

    def _set_back(self, now: datetime) -> None:
        """The clock was set back: nothing can have been held until later than now."""
        for one in (*self._settled, *self._fresh):
            one.until = min(one.until, now)
        self._began = self._began and min(self._began, now)

    def _settle(self, reading: Reading) -> None:
        while self._settled and self._settled[-1].coins <= reading.coins:
            self._settled.pop()
        if self._settled and self._alike(self._settled[-1], reading):
            self._settled[-1].until, self._settled[-1].last = reading.until, reading.last
        else:
            self._settled.append(reading)

    def _alike(self, one: Reading, other: Reading) -> bool:
        """Whether they need not be told apart: so near in time, and nothing that was announced has left in between."""
        near = self._grain(one.until) == self._grain(other.until)
        return near and not self._left.between(one.last, other.last)

    def _grain(self, moment: datetime) -> int:
        return (moment - START) // (self._length / GRAIN)
