"""Plays a scenario through the real connectors and rules, in simulated time, and notes every alert that fires."""

from __future__ import annotations

import asyncio
import heapq
import random
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Literal, NamedTuple, Protocol

from connectors.base import Update
from daemon.chains import ChainWorker
from daemon.ledger import Ledger
from daemon.model import Finding, Report, State
from daemon.once import Unrecorded
from daemon.pipeline import Pipeline, Recorder, Sink
from daemon.reload import Loaded
from daemon.replay.configuration import configured
from daemon.replay.outcome import Alarm, Outcome, judge
from daemon.replay.scenario import Scenario
from daemon.replay.script import Happening
from daemon.replay.simulation import Simulation
from daemon.replay.stage import Stage
from daemon.replay.timetable import Timetable
from daemon.replay.traffic import happenings
from daemon.replay.trial import AS_IT_WAS, Trial
from daemon.supervisor import keep

NODES_TELL = timedelta(seconds=1)
"""How long after a block's time we ask first: no block is known everywhere the moment it is made."""


class Audience(Protocol):
    """Hears what happens and what is found, as it comes."""

    def happened(self, happening: Happening) -> None: ...

    def judged(self, report: Report) -> None: ...

    def alarmed(self, alarm: Alarm) -> None: ...


class Nobody:
    """An Audience that is not there."""

    def happened(self, happening: Happening) -> None: ...

    def judged(self, report: Report) -> None: ...

    def alarmed(self, alarm: Alarm) -> None: ...


class Act(NamedTuple):
    """What happens at a moment. Of the same moment what is paid comes first, then the block that holds it."""

    at: datetime
    order: Literal[0, 1, 2]
    number: int
    act: Callable[[], None]


@dataclass(frozen=True, slots=True)
class Bells:
    """Where findings are kept and who hears of them, beside the audience."""

    recorder: Recorder
    receivers: tuple[str, ...] = ()
    sinks: tuple[Sink, ...] = ()


SILENT = Bells(Unrecorded())


class Player:
    """One replay. Made by `opened`; `play` runs it to its end."""

    def __init__(
        self, stage: Stage, loaded: Loaded, *, simulation: Simulation, trial: Trial, audience: Audience, bells: Bells
    ) -> None:
        self.alarms: list[Alarm] = []
        self._timetable = Timetable(stage.scenario)
        self._stage = stage
        self._loaded = loaded
        self._simulation = simulation
        self._trial = trial
        self._audience = audience
        self._pipeline = Pipeline(
            setup=loaded.setup,
            ledger=Ledger(loaded.setup.inventory),
            findings=(),
            recorder=bells.recorder,
            receivers=bells.receivers,
            sinks=(self, *bells.sinks),
        )
        self._fired: set[str] = set()
        self._event: str | None = None
        self._news = False

    async def play(self, *, pace: Callable[[datetime], AsyncIterator[datetime]] | None = None) -> None:
        """Everything that happens, at its moment. `pace` gives the moments on the way to one, for those who watch."""
        scenario, simulation = self._stage.scenario, self._simulation
        async with self._followed():
            for act in self._acts():
                async for moment in pace(act.at) if pace else _at_once(act.at):
                    await simulation.run_until(moment, settled=self._settled)
                act.act()
            await simulation.run_until(scenario.end, settled=self._settled)

    def outcome(self) -> Outcome:
        """What came of it."""
        scenario = self._stage.scenario
        judged = judge(scenario, self.alarms, cast=self._stage.cast)
        return Outcome(scenario, tuple(self.alarms), judged, self._stage.loot, self._timetable.began)

    def offer(self, report: Report) -> None:
        """See Sink."""
        self._audience.judged(report)
        for finding in report.findings:
            if finding.state is State.FIRING and finding.id not in self._fired:
                self._fired.add(finding.id)
                alarm = self._alarm(finding, at=report.at)
                self.alarms.append(alarm)
                self._audience.alarmed(alarm)

    def _alarm(self, finding: Finding, *, at: datetime) -> Alarm:
        verdict = finding.verdict
        return Alarm(
            alert=verdict.alert,
            policy=verdict.policy,
            subject=verdict.subject,
            severity=verdict.severity,
            at=at,
            event=self._event,
            summary=verdict.summary,
            loot=self._stage.loot,
        )

    def _take(self, update: Update) -> None:
        self._pipeline.ledger.apply(update)
        self._news = True

    async def _settled(self) -> None:
        """Judges when something was heard."""
        if self._news:
            self._news = False
            await self._pipeline.cycle(self._simulation.now())

    # ── what happens ────────────────────────────────────────────────────────────────────────────────────────────────

    def _acts(self) -> Iterator[Act]:
        """In order: what the scenario tells, blocks, and what the trial adds."""
        streams = [self._told(), *(self._blocks(chain) for chain in self._stage.chains)]
        if self._trial.reorganised:
            streams.append(iter([self._reorganisation()]))
        return heapq.merge(*streams, key=lambda act: act[:3])

    def _told(self) -> Iterator[Act]:
        for number, happening in enumerate(happenings(self._stage.scenario)):
            yield Act(happening.at, 0, number, lambda happening=happening: self._perform(happening))  # type: ignore[misc]

    def _perform(self, happening: Happening) -> None:
        self._stage.perform(happening)
        step = getattr(happening, "step", None)
        if step is not None:
            self._event = self._timetable.names[step]
        self._audience.happened(happening)

    def _blocks(self, chain: str) -> Iterator[Act]:
        for at in self._timetable.blocks(chain):
            yield Act(at, 1, 0, lambda at=at: self._stage.mine(chain, time=at))  # type: ignore[misc]

    def _reorganisation(self) -> Act:
        at = self._timetable.middle
        return Act(at, 2, 0, lambda: self._stage.reorganise(self._trial.reorganised, time=at))

    # ── who watches ─────────────────────────────────────────────────────────────────────────────────────────────────

    @asynccontextmanager
    async def _followed(self) -> AsyncIterator[None]:
        """A worker follows each chain, as in the daemon."""
        tasks = [
            asyncio.create_task(self._follow(chain, number=number), name=f"chain {chain}")
            for number, chain in enumerate(self._loaded.setup.inventory.watches)
        ]
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _follow(self, chain: str, *, number: int) -> None:
        simulation = self._simulation
        chance = random.Random(number)  # noqa: S311 - a replay must repeat, not resist guessing
        worker = ChainWorker(
            chain,
            config=self._loaded.settings.chains[chain],
            watch=self._loaded.setup.inventory.watches[chain],
            take=self._take,
            now=simulation.now,
            timing=simulation.timing(chance),
        )
        await simulation.sleep(NODES_TELL.total_seconds())
        await keep(f"chain {chain}", worker.follow, sleep=simulation.sleep)


@asynccontextmanager
async def opened(
    scenario: Scenario,
    *,
    trial: Trial = AS_IT_WAS,
    policies: Sequence[object] | None = None,
    audience: Audience | None = None,
    bells: Bells = SILENT,
) -> AsyncIterator[Player]:
    """A Player whose chains serve. ConfigError when `policies` are not good."""
    simulation = Simulation(scenario.starts)
    with tempfile.TemporaryDirectory(prefix="pyrometer-replay-") as folder:
        async with Stage(scenario, simulation=simulation, trial=trial) as stage:
            loaded = configured(stage, trial=trial, folder=Path(folder), now=scenario.starts, policies=policies)
            yield Player(stage, loaded, simulation=simulation, trial=trial, audience=audience or Nobody(), bells=bells)


async def _at_once(moment: datetime) -> AsyncIterator[datetime]:
    yield moment
