"""When the steps of a scenario happen, when blocks come, and when what stands in them was read at the latest."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta

from daemon.replay.cast import Cast
from daemon.replay.scenario import Scenario, Step
from daemon.replay.script import moments
from daemon.replay.written import parse_instant


class Timetable:
    """A step is called by its name, or `step 3` when it has none; any instant may stand in the place of a step."""

    def __init__(self, scenario: Scenario) -> None:
        self.names = tuple(step.name or f"step {place}" for place, step in enumerate(scenario.timeline, start=1))
        self._scenario = scenario
        self._moments = dict(zip(self.names, (times[0] for times in moments(scenario)), strict=True))
        self._last = [times[-1] for times in moments(scenario)]
        cast = Cast(scenario)
        steps = zip(self.names, scenario.timeline, strict=True)
        self._block_times = {name: self._block_time(step, cast) for name, step in steps}

    @property
    def middle(self) -> datetime:
        """Between the first step and the last, or between start and end without any; when no block comes."""
        first = min(self._moments.values(), default=self._scenario.starts)
        last = max(self._last, default=self._scenario.end)
        shortest = min(setup.block_time for setup in self._scenario.chains.values())
        return first + (last - first) / 2 + shortest / 7

    def happens(self, reference: str) -> datetime:
        """The first moment of a step, or an instant; ValueError when it is neither."""
        return self._moments.get(reference) or parse_instant(reference)

    def mined(self, reference: str) -> datetime:
        """When a block holds it; of what no block holds, when it happens."""
        at, every = self.happens(reference), self._block_times.get(reference)
        return at if every is None else at + (self._scenario.starts - at) % every

    def read(self, reference: str) -> datetime:
        """A block time after that."""
        shortest = min(setup.block_time for setup in self._scenario.chains.values())
        return self.mined(reference) + (self._block_times.get(reference) or shortest)

    def blocks(self, chain: str) -> Iterator[datetime]:
        """When its blocks come."""
        every = self._scenario.chains[chain].block_time
        at = self._scenario.starts + every
        while at <= self._scenario.end:
            yield at
            at += every

    def _block_time(self, step: Step, cast: Cast) -> timedelta | None:
        """Of the chain on which the step leaves a trace."""
        account = step.pay.payer if step.pay else step.control.account if step.control else None
        return None if account is None else self._scenario.chains[cast.account(account).chain].block_time
