"""Has everything that a scenario tells happen on its chains, each at its moment."""

from __future__ import annotations

import heapq
from collections.abc import Awaitable, Callable, Iterator
from datetime import datetime, timedelta
from typing import Literal, NamedTuple

from daemon.replay.pace import Pace, at_once
from daemon.replay.script import Happening, Payment
from daemon.replay.simulation import Simulation
from daemon.replay.stage import Stage
from daemon.replay.timetable import Timetable
from daemon.replay.traffic import happenings
from daemon.replay.trial import Trial

Settled = Callable[[], Awaitable[None]]
"""Awaited whenever nobody works any more, before time goes on: whoever heard something judges it now."""


APPROVED_BEFORE = timedelta(minutes=1)
"""How long before its payment a withdrawal is approved: whoever reads the books has time to read the approval first."""


class Act(NamedTuple):
    """What happens at a moment. Of the same moment what is paid comes first, then the block that holds it."""

    at: datetime
    order: Literal[0, 1, 2]
    number: int
    act: Callable[[], None]


class Director:
    """Of one replay. `tell` hears what happens."""

    def __init__(self, stage: Stage, *, timetable: Timetable, trial: Trial, tell: Callable[[Happening], None]) -> None:
        self.stage = stage
        self.timetable = timetable
        self.event: str | None = None
        """The name of the step that happened last."""
        self._trial = trial
        self._tell = tell

    async def run(self, simulation: Simulation, *, settled: Settled, pace: Pace = at_once) -> None:
        """The scenario from its start to its end."""
        await _played(self._acts(), simulation=simulation, settled=settled, pace=pace)
        await simulation.run_until(self.stage.scenario.end, settled=settled)

    async def afterwards(self, simulation: Simulation, *, settled: Settled, pace: Pace) -> None:
        """Blocks go on to come after the end, and nothing is in them. Lasts until it is cancelled."""
        streams = [self._blocks(chain, self.timetable.later_blocks(chain)) for chain in self.stage.chains]
        await _played(_merged(streams), simulation=simulation, settled=settled, pace=pace)

    def _acts(self) -> Iterator[Act]:
        """In order: what the scenario tells, blocks, and what the trial adds."""
        streams = [self._told()]
        streams += [self._blocks(chain, self.timetable.blocks(chain)) for chain in self.stage.chains]
        if self._trial.reorganised:
            streams.append(iter([self._reorganisation()]))
        return _merged(streams)

    def _told(self) -> Iterator[Act]:
        """What the scenario tells; withdrawals are approved a while before they are paid."""
        coming: list[Act] = []
        for number, happening in enumerate(happenings(self.stage.scenario)):
            for act in self._acts_of(happening, number=number):
                heapq.heappush(coming, act)
            while coming and coming[0].at <= happening.at - APPROVED_BEFORE:
                yield heapq.heappop(coming)
        yield from (heapq.heappop(coming) for _ in range(len(coming)))

    def _acts_of(self, happening: Happening, *, number: int) -> Iterator[Act]:
        if isinstance(happening, Payment) and self.stage.withdrawals.needs_approval(happening):
            at = max(happening.at - APPROVED_BEFORE, self.stage.scenario.starts)
            yield Act(at, 0, 2 * number, lambda: self.stage.withdrawals.approve(happening, at=at))
        yield Act(happening.at, 0, 2 * number + 1, lambda: self._perform(happening))

    def _perform(self, happening: Happening) -> None:
        self.stage.perform(happening)
        step = getattr(happening, "step", None)
        if step is not None:
            self.event = self.timetable.names[step]
        self._tell(happening)

    def _blocks(self, chain: str, times: Iterator[datetime]) -> Iterator[Act]:
        for at in times:
            yield Act(at, 1, 0, lambda at=at: self.stage.mine(chain, time=at))  # type: ignore[misc]

    def _reorganisation(self) -> Act:
        at = self.timetable.middle
        return Act(at, 2, 0, lambda: self.stage.reorganise(self._trial.reorganised, time=at))


def _merged(streams: list[Iterator[Act]]) -> Iterator[Act]:
    return heapq.merge(*streams, key=lambda act: act[:3])


async def _played(acts: Iterator[Act], *, simulation: Simulation, settled: Settled, pace: Pace) -> None:
    for act in acts:
        async for moment in pace(act.at):
            await simulation.run_until(moment, settled=settled)
        act.act()
