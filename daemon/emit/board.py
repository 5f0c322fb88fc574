"""What the broker has to be told next: the newest state of each topic, and what nobody may miss before the rest.

Pure of effects. Memory is bounded by the topics of one report and by those that were told and are to be cleared,
however long the broker is away: of each topic only the newest state is kept, and it is never dropped.
"""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from daemon.emit.topics import STATUS, Topic

FIRST = ("gate/", "finding/")
"""What these names begin with is told before anything else, as soon as it changes."""

CALM_SECONDS = 1.0
"""What is not told at once is told at most so often."""

MOST_STRANGE = 100_000
"""Topics of an earlier run that are remembered until it is known whether they still hold."""


@dataclass(frozen=True, slots=True)
class Parcel:
    """One message on its way. An empty `payload` clears the topic; the broker forgets it after `lives` seconds."""

    name: str
    payload: bytes
    lives: int | None


class Board:
    """The states of the newest report against what the broker was told. Times are seconds on one monotonic clock.

    Each topic is told when it changes, and again when a third of `expiry` seconds is over.
    """

    def __init__(self, *, expiry: float) -> None:
        self._expiry = expiry
        self._topics: Mapping[str, Topic] = {}
        self._at: datetime | None = None
        self._made = 0.0
        self._settled = self._connected = False
        self._urgent: dict[str, None] = {}
        self._beats: dict[str, None] = {}
        self._round: dict[str, None] = {}
        self._changed: dict[str, None] = {}
        self._began = float("-inf")
        self._told: OrderedDict[str, float] = OrderedDict()
        self._there: dict[str, None] = {}
        self._strange: dict[str, None] = {}
        self._flying: Counter[str] = Counter()
        self._refused: dict[str, None] = {}

    # What the report says.

    def take(self, topics: Mapping[str, Topic], *, at: datetime, now: float, settled: bool) -> None:
        """The topics of a report that was made `at`; `settled` when no finding of an earlier run can be missing."""
        before, self._topics = self._topics, topics
        self._at, self._made = at, now
        for name, topic in topics.items():
            old = before.get(name)
            if old is None or old.urgent != topic.urgent:
                self._queue(name)
            elif old.says != topic.says:
                self._changed[name] = None
        for name in before.keys() - topics.keys():
            self._vanished(name)
        if settled and not self._settled:
            self._settled = True
            self._clear_strange()

    def take_beside(self, topics: Mapping[str, Topic], *, at: datetime, now: float) -> None:
        """Some topics of a report of which the others are still to come: those stay as they are."""
        self.take({**self._topics, **topics}, at=at, now=now, settled=self._settled)

    def _queue(self, name: str) -> None:
        if name.startswith(FIRST):
            self._urgent[name] = None
        else:
            (self._beats if name == STATUS else self._changed)[name] = None

    def _vanished(self, name: str) -> None:
        for queue in (self._urgent, self._beats, self._round, self._changed):
            queue.pop(name, None)
        # While the broker is away nobody has read what was never told; what an earlier run told, it will show us.
        if self._connected or name in self._there:
            self._there[name] = None
            self._queue(name)

    # What the broker says.

    def connected(self) -> None:
        """A new connection: the broker may have forgotten everything, so it is told everything."""
        self._connected = True
        self._begin_anew()

    def disconnected(self) -> None:
        """Nobody knows any more what it has taken of what was under way."""
        self._connected = False
        self._begin_anew()

    def _begin_anew(self) -> None:
        for kept in (self._told, self._flying, self._refused, self._urgent, self._beats, self._round, self._changed):
            kept.clear()
        for name in dict.fromkeys((*self._topics, *self._there)):
            self._queue(name)
        self._round, self._changed = self._changed, {}

    def found(self, name: str) -> None:
        """A topic that the broker keeps. One that no report knows any more is cleared."""
        if name not in self._topics and len(self._strange) < MOST_STRANGE:
            self._strange[name] = None
        if self._settled:
            self._clear_strange()

    def _clear_strange(self) -> None:
        for name in self._strange:
            if name not in self._topics:
                self._there[name] = None
                self._queue(name)
        self._strange.clear()

    def taken(self, parcel: Parcel) -> None:
        """The broker has it."""
        self._landed(parcel)
        self._refused.pop(parcel.name, None)
        if parcel.name not in self._topics and not self._flying[parcel.name]:
            self._there.pop(parcel.name, None)
            self._told.pop(parcel.name, None)

    def refused(self, parcel: Parcel) -> None:
        """The broker does not want it; it is offered again with the next beat."""
        self._landed(parcel)
        self._refused[parcel.name] = None

    def _landed(self, parcel: Parcel) -> None:
        self._flying[parcel.name] -= 1
        if self._flying[parcel.name] <= 0:
            del self._flying[parcel.name]

    def recall(self) -> None:
        """What is under way and nobody waits for any more is told again."""
        for name in self._flying:
            self._queue(name)
        self._flying.clear()

    # What is to be said.

    def next(self, now: float, *, everything: bool = True) -> Parcel | None:
        """What is to be told now, if anything: what nobody may miss first. Not `everything`: that alone."""
        self._beat(now)
        for queue in (self._urgent, self._beats, self._next_round(now)) if everything else (self._urgent,):
            name = next((name for name in queue if self._can_tell(name, now=now)), None)
            if name is not None:
                del queue[name]
                return self._parcel(name, now=now)
        return None

    def wait(self, now: float) -> float:
        """Seconds until there may be something to tell, if nothing else happens; at most CALM_SECONDS."""
        beat = next(iter(self._told.values()), now) + self._expiry / 3 - now if self._told else CALM_SECONDS
        calm = self._began + CALM_SECONDS - now if self._changed else CALM_SECONDS
        return max(0.01, min(beat, calm, CALM_SECONDS))

    @property
    def pending(self) -> int:
        """Topics whose newest state the broker has not taken, but for what waits its second of calm."""
        waiting = {*self._urgent, *self._beats, *self._round, *self._flying, *self._refused}
        return len(waiting) if self._connected else len(waiting | self._changed.keys())

    @property
    def refusals(self) -> tuple[str, ...]:
        """The topics that the broker did not want when they were offered last."""
        return tuple(self._refused)

    def _beat(self, now: float) -> None:
        while self._told:
            name, at = next(iter(self._told.items()))
            if at + self._expiry / 3 > now:
                return
            del self._told[name]
            (self._beats if name == STATUS or name.startswith(FIRST) else self._round)[name] = None

    def _next_round(self, now: float) -> dict[str, None]:
        if not self._round and self._changed and now >= self._began + CALM_SECONDS:
            self._began = now
            self._round, self._changed = self._changed, {}
        return self._round

    def _left(self, now: float) -> int:
        """Whole seconds that the newest report has left. One that is not renewed is no sign of life."""
        return int(self._expiry - (now - self._made))

    def _can_tell(self, name: str, *, now: float) -> bool:
        topic = self._topics.get(name)
        return topic is None or not topic.ages or self._left(now) >= 1

    def _parcel(self, name: str, *, now: float) -> Parcel:
        topic = self._topics.get(name)
        self._told[name] = now
        self._told.move_to_end(name)
        self._there[name] = None
        self._flying[name] += 1
        if topic is None or self._at is None:
            return Parcel(name, b"", None)
        lives = self._left(now) if topic.ages else None
        # By the report's own clock, which in a replay is not ours.
        return Parcel(name, topic.render(self._at + timedelta(seconds=now - self._made), lives), lives)
