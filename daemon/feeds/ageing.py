"""How what was said gets old: current, then known to a tolerance, then not known any more."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

from daemon.interval import EXACT, ONE, Interval

AHEAD = timedelta(minutes=1)
"""What is dated further ahead of our clock is not current: then nobody knows its age."""
INSTANT = timedelta.resolution


@dataclass(frozen=True, slots=True)
class Said:
    """A number, and as of when it is."""

    value: Decimal
    at: datetime


@dataclass(frozen=True, slots=True)
class Ageing:
    """`max_age` None: never out of date. `tolerance` None: not known at all after `max_age`."""

    max_age: timedelta | None
    tolerance: Decimal | None = None

    def current(self, at: datetime, *, now: datetime) -> bool:
        """Whether what is as of `at` counts as it stands."""
        return self.max_age is None or -AHEAD <= now - at <= self.max_age

    def known(self, said: Said, *, now: datetime) -> Interval | None:
        """Exact while current, bounds without a value until twice `max_age`, then None."""
        if self.max_age is None or self.current(said.at, now=now):
            return Interval.exactly(said.value)
        if self.tolerance is None or not self.max_age < now - said.at <= 2 * self.max_age:
            return None
        low = EXACT.multiply(said.value, EXACT.subtract(ONE, self.tolerance))
        return Interval(low, None, EXACT.multiply(said.value, EXACT.add(ONE, self.tolerance)))

    def edges(self, at: datetime) -> tuple[datetime, ...]:
        """The moments after which (not: from which on) something else is known of what is as of `at`."""
        if self.max_age is None:
            return ()
        ends = (at + self.max_age,) if self.tolerance is None else (at + self.max_age, at + 2 * self.max_age)
        return (at - AHEAD - INSTANT, *ends)


NEVER = Ageing(None)
"""Of what stands in the configuration itself."""
