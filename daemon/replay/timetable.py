"""When blocks come, when the harm of a scenario begins, and what its steps are called."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from itertools import count, dropwhile, takewhile

from daemon.replay.scenario import Scenario
from daemon.replay.script import moments

A_SECOND = timedelta(seconds=1)


class Timetable:
    """A step without a name is called by its place: `step 3`."""

    def __init__(self, scenario: Scenario) -> None:
        self.names = tuple(step.name or f"step {place}" for place, step in enumerate(scenario.timeline, start=1))
        self._scenario = scenario
        self._moments = tuple(moments(scenario))

    @property
    def began(self) -> datetime | None:
        """The first theft, or the first step where nothing is stolen; None without steps."""
        steps = zip(self._scenario.timeline, self._moments, strict=True)
        thefts = [times[0] for step, times in steps if step.pay is not None and step.pay.theft]
        return min(thefts or [times[0] for times in self._moments], default=None)

    @property
    def middle(self) -> datetime:
        """Between the first step and the last, or between start and end without any; at a time when no block comes."""
        scenario = self._scenario
        first = min((times[0] for times in self._moments), default=scenario.starts)
        last = max((times[-1] for times in self._moments), default=scenario.end)
        shortest = min(setup.block_time for setup in scenario.chains.values())
        middle = first + (last - first) / 2
        at = middle - (middle - scenario.starts) % shortest + shortest / 2
        while any(not (at - scenario.starts) % setup.block_time for setup in scenario.chains.values()):
            at += A_SECOND
        return at

    def blocks(self, chain: str) -> Iterator[datetime]:
        """When its blocks come."""
        return takewhile(lambda at: at <= self._scenario.end, self._endless(chain))

    def later_blocks(self, chain: str) -> Iterator[datetime]:
        """When its blocks would come after the end; there is always another one."""
        return dropwhile(lambda at: at <= self._scenario.end, self._endless(chain))

    def _endless(self, chain: str) -> Iterator[datetime]:
        every = self._scenario.chains[chain].block_time
        return (self._scenario.starts + every * number for number in count(1))
