"""Plays a scenario through the real connectors and rules, in simulated time, and notes every alert that fires."""

from __future__ import annotations

import asyncio
import random
import tempfile
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from connectors.base import Update
from daemon.chains import ChainWorker
from daemon.detection.approval import Approvals, Approved
from daemon.feeds.asking import Asked
from daemon.feeds.book import FeedBook, Heard
from daemon.feeds.plan import SourceKey
from daemon.feeds.worker import FeedWorker
from daemon.gate.keeper import GateKeeper
from daemon.ledger import Ledger
from daemon.once import Unrecorded
from daemon.pipeline import Pipeline
from daemon.ports import Recorder, Sink
from daemon.reload import Loaded
from daemon.replay.alarms import Alarms, Audience, Nobody
from daemon.replay.configuration import configured
from daemon.replay.director import Director
from daemon.replay.outcome import Outcome
from daemon.replay.pace import Pace, at_once
from daemon.replay.scenario import Scenario
from daemon.replay.simulation import Simulation
from daemon.replay.stage import Stage
from daemon.replay.timetable import Timetable
from daemon.replay.trial import AS_IT_WAS, Trial
from daemon.supervisor import keep

NODES_TELL = timedelta(seconds=1)
"""How long after a block's time we ask first: no block is known everywhere the moment it is made."""


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
        self,
        director: Director,
        loaded: Loaded,
        *,
        simulation: Simulation,
        audience: Audience,
        bells: Bells,
        approvals: Approvals | None = None,
    ) -> None:
        self._director = director
        self._loaded = loaded
        self._simulation = simulation
        self._alarms = Alarms(director, audience=audience)
        self._pipeline = Pipeline(
            setup=loaded.setup,
            ledger=Ledger(loaded.setup.inventory),
            feeds=FeedBook(loaded.setup.feeds),
            findings=(),
            recorder=bells.recorder,
            receivers=bells.receivers,
            sinks=(self._alarms, *bells.sinks),
            gates=GateKeeper(None, clock=simulation.now),
        )
        self._approvals = approvals
        self._news = False

    async def play(self, *, pace: Pace = at_once) -> None:
        """Everything that happens, at its moment."""
        async with self._followed():
            await self._director.run(self._simulation, settled=self._settled, pace=pace)

    def outcome(self) -> Outcome:
        """What came of it."""
        return self._alarms.outcome()

    def _take(self, update: Update) -> None:
        self._pipeline.ledger.apply(update)
        self._news = True

    async def _settled(self) -> None:
        """Judges when something was heard."""
        if self._news:
            self._news = False
            await self._pipeline.cycle(self._simulation.now())

    async def _hear(self, source: SourceKey, said: Heard) -> None:
        self._pipeline.hear(source, said, now=self._simulation.now())
        if self._approvals is not None and isinstance(said, Approved):
            self._approvals.take(said, now=self._simulation.now())
        self._news = True

    @asynccontextmanager
    async def _followed(self) -> AsyncIterator[None]:
        """A worker follows each chain and each source, as in the daemon."""
        tasks = [
            asyncio.create_task(self._follow(chain, number=number), name=f"chain {chain}")
            for number, chain in enumerate(self._loaded.setup.inventory.watches)
        ]
        tasks += [asyncio.create_task(self._ask(source), name=f"feed {source.key[1]}") for source in self._loaded.asked]
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

    async def _ask(self, source: Asked) -> None:
        """Begins with the chains, so that books that are asked as often are read beside them."""
        simulation = self._simulation
        chance = random.Random(source.key[1])  # noqa: S311 - a replay must repeat, not resist guessing
        around = self._loaded.around(now=simulation.now, timing=simulation.timing(chance))
        worker = FeedWorker(source, take=self._hear, around=around)
        await simulation.sleep(NODES_TELL.total_seconds())
        await keep(worker.name, worker.follow, sleep=simulation.sleep)


@asynccontextmanager
async def opened(
    scenario: Scenario,
    *,
    trial: Trial = AS_IT_WAS,
    policies: Sequence[object] | None = None,
    audience: Audience | None = None,
    bells: Bells = SILENT,
    approvals: Approvals | None = None,
) -> AsyncIterator[Player]:
    """A Player whose chains serve; `approvals` hears what was approved. ConfigError when `policies` are not good."""
    simulation = Simulation(scenario.starts)
    listening = audience or Nobody()
    with tempfile.TemporaryDirectory(prefix="pyrometer-replay-") as folder:
        async with Stage(scenario, simulation=simulation, trial=trial) as stage:
            loaded = configured(
                stage,
                trial=trial,
                folder=Path(folder),
                now=scenario.starts,
                policies=policies,
                approvals=approvals is not None,
            )
            director = Director(stage, timetable=Timetable(scenario), trial=trial, tell=listening.happened)
            yield Player(director, loaded, simulation=simulation, audience=listening, bells=bells, approvals=approvals)
