"""What one source has said so far, and how it stands."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from collections.abc import Set as AbstractSet
from datetime import datetime, timedelta
from decimal import Decimal

from daemon.feeds.ageing import Said
from daemon.feeds.plan import SourcePlan
from daemon.feeds.quotes import FIRST, Quoting
from daemon.feeds.values import Answer, Fault, FeedKind, FeedReason, SourceState
from daemon.interval import Interval, plain

TIME = "%Y-%m-%d %H:%M:%S"


class Record:
    """Mutable. `said` is what counts by name; `leaps` what was said last and is too far from it to be taken.

    `heard` says whether there was a good answer yet, `spoken` of which names it has said something.
    """

    def __init__(self, plan: SourcePlan, *, began: datetime) -> None:
        self.plan = plan
        self.began = began
        self.said: dict[str, Said] = {}
        self.leaps: dict[str, Said] = {}
        self.spoken: set[str] = set()
        self.merkle_root: str | None = None
        self._at: datetime | None = None
        self.heard = False
        self._refused: Mapping[str, str] = {}
        self._fault: Fault | None = None
        self._failing_since: datetime | None = None
        if plan.fixed is not None:
            self.answer(Answer(plan.fixed, began), quoting=FIRST)

    # What it says.

    def answer(self, answer: Answer, *, quoting: Quoting) -> None:
        """Takes a good answer: a whole one takes the place of the one before, of prices each name lives for itself."""
        self.heard = True
        self._fault = self._failing_since = None
        self._refused = answer.withheld
        self.merkle_root = answer.merkle_root
        if not self.plan.by_name:
            self.said = {}
            self.spoken = set()
        for name in answer.withheld:
            self.leaps.pop(name, None)
        for name, value in answer.values.items():
            self._hear(name, Said(value, answer.times.get(name, answer.at)), quoting=quoting)
        self.spoken.update(answer.values, answer.withheld)
        if answer.values or not self.plan.by_name:
            self._at = answer.at

    def _hear(self, name: str, said: Said, *, quoting: Quoting) -> None:
        before = self.said.get(name)
        if self.plan.by_name and before is not None and quoting.jumps(before.value, said.value):
            self.leaps[name] = said
        else:
            self.leaps.pop(name, None)
            self.said[name] = said

    def fail(self, fault: Fault, *, now: datetime) -> None:
        """Takes note that there was no answer, or a bad one, which withdraws what was said before.

        Not so of prices, and of approvals: that a withdrawal was approved stays true when the next one is misspelt.
        """
        self._fault = fault
        self._failing_since = self._failing_since or now
        lasting = self.plan.by_name or self.plan.feed is FeedKind.APPROVALS
        if fault.reason is FeedReason.BAD_ANSWER and not lasting:
            self.said = {}
            self.merkle_root = None
            self._at = None

    def newest(self, name: str) -> Said | None:
        """The last number that it said, taken or not."""
        return self.leaps.get(name) or self.said.get(name)

    def believe(self, names: Iterable[str]) -> None:
        """Takes what was too far from what was said before."""
        for name in names:
            self.said[name] = self.leaps.pop(name)

    # What of it is known.

    def known(self, name: str, *, now: datetime) -> Interval | None:
        """What counts of a name; None when nothing does."""
        said = self.said.get(name)
        return None if said is None else self.plan.ageing.known(said, now=now)

    @property
    def withheld(self) -> dict[str, str]:
        """By name why a number was not taken."""
        leaps = {name: _leap(self.said[name].value, said.value) for name, said in self.leaps.items()}
        return {**self._refused, **leaps}

    def current(self, now: datetime) -> bool:
        """Whether its newest values count as they stand."""
        return self._at is not None and self.plan.ageing.current(self._at, now=now)

    def expected(self, everything: Iterable[str]) -> AbstractSet[str]:
        """The names that it is to speak of, out of everything there is."""
        return self.plan.assets or (self.spoken if self.heard else frozenset(everything))

    def silent_of(self, everything: Iterable[str], *, now: datetime) -> list[str]:
        """Those that it has nothing current of."""
        ageing = self.plan.ageing
        return [
            name
            for name in self.expected(everything)
            if (said := self.said.get(name)) is None or not ageing.current(said.at, now=now)
        ]

    def edges(self) -> Iterator[datetime]:
        """The moments after which it stands otherwise, if it says nothing more."""
        ageing = self.plan.ageing
        for at in {said.at for said in (*self.said.values(), *self.leaps.values())}:
            yield from ageing.edges(at)
        if self._at is not None:
            yield from ageing.edges(self._at)
        elif ageing.max_age is not None:
            yield self.began + ageing.max_age

    def state(self, now: datetime, *, leaves: tuple[str, ...], causes: tuple[str, ...]) -> SourceState:
        """How it stands."""
        reason, detail, since = self._why_not_current(now)
        plan = self.plan
        at = now if plan.fixed is not None else self._at
        return SourceState(
            feed=plan.feed,
            name=plan.name,
            at=at,
            reason=reason,
            detail=detail,
            since=since,
            max_age=plan.ageing.max_age,
            withheld=self.withheld,
            leaves=leaves,
            causes=causes,
        )

    def _why_not_current(self, now: datetime) -> tuple[FeedReason | None, str, datetime | None]:
        fault = self._fault
        if self.current(now):
            return None, fault.detail if fault else "", None
        if fault is not None:
            return fault.reason, fault.detail, self._failing_since
        return self._silent(now, max_age=self.plan.ageing.max_age or timedelta(0))

    def _silent(self, now: datetime, *, max_age: timedelta) -> tuple[FeedReason, str, datetime | None]:
        if self._at is not None and now < self._at:
            return FeedReason.STALE, f"its values are of {self._at:{TIME}}, ahead of our clock", None
        if self._at is not None:
            return FeedReason.STALE, f"no values since {self._at:{TIME}}", self._at + max_age
        if self.heard:
            return FeedReason.BAD_ANSWER, "nothing that it says could be taken", self.began
        if now - self.began > max_age:
            return FeedReason.UNAVAILABLE, "not a word from it", self.began
        return FeedReason.STARTING, "no answer yet", None


def _leap(before: Decimal, after: Decimal) -> str:
    return f"{plain(after)} is too far from {plain(before)}, which it said before"
