"""The whole daemon before an invented morning, in simulated time: what the pictures show and what the tests ask about.

Nodes die, one lies, blocks are undone, the receiver of alerts is away: each thing that a panel is for happens once.
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Literal, NamedTuple, cast

import yaml
from aiohttp import web

from daemon.app import App, opened
from daemon.reload import Loaded, load_whole
from daemon.replay.configuration import configured
from daemon.replay.director import Director
from daemon.replay.faults import Faults
from daemon.replay.pace import Pace
from daemon.replay.player import NODES_TELL
from daemon.replay.scenario import Scenario, load
from daemon.replay.script import Happening
from daemon.replay.simulation import Simulation
from daemon.replay.stage import Stage
from daemon.replay.timetable import Timetable
from daemon.replay.trial import AS_IT_WAS

STORY = Path(__file__).parent / "story.yaml"
LATENCY = timedelta(milliseconds=140)
FUND = "15_000_000_000 JPY"
RESERVE = {"kind": "reserve", "name": "reserve", "limit": 1, "hot_rate": 2, "cold_rate": 0.25, "clear_after": "2m"}
Seen = Callable[[datetime], Awaitable[None]]
"""Is told each moment that is to be looked at."""

PATIENCE = 30.0
"""Seconds of real time until something must have happened."""


def story() -> Scenario:
    """What is played."""
    return load(STORY)


class Stop(NamedTuple):
    """A moment at which time stands still: for what goes wrong then (0), or to be looked at (1)."""

    at: datetime
    order: Literal[0, 1]
    act: Callable[[], Awaitable[None]]


class Receiver:
    """What takes alerts as Alertmanager does, and can be away."""

    def __init__(self) -> None:
        self.away = False
        self.port = 0
        self.taken = 0

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[None]:
        """Listens on a free port of the loopback."""
        runner = web.ServerRunner(web.Server(self._take, access_log=None), shutdown_timeout=0.1)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        self.port = runner.addresses[0][1]
        try:
            yield
        finally:
            await runner.cleanup()

    async def _take(self, _: web.BaseRequest) -> web.Response:
        self.taken += not self.away
        return web.Response(status=503 if self.away else 200)


@dataclass
class Run:
    """One run. `app` is the daemon, `config` its file; time passes in `play`."""

    app: App
    scenario: Scenario
    simulation: Simulation
    stage: Stage
    director: Director
    receiver: Receiver
    config: Path
    stop: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def url(self) -> str:
        """Where the daemon listens."""
        host, port = self.app.address
        return f"http://{host}:{port}"

    async def play(self, *, seen: Seen, every: timedelta) -> None:
        """The story from its start to its end; `seen` hears each moment that is to be looked at, once it is judged."""
        await self.director.run(self.simulation, settled=self._settled, pace=self._stopping(seen, every=every))

    async def _settled(self) -> None:
        await self.app.judged()

    def _stopping(self, seen: Seen, *, every: timedelta) -> Pace:
        """Time stops at every moment that is to be seen, and at which something goes wrong."""
        stops = self._stops(seen, every=every)
        coming = next(stops)

        async def moments(to: datetime) -> AsyncIterator[datetime]:
            nonlocal coming
            while coming[0] <= to:
                yield coming[0]
                await coming[2]()
                coming = next(stops)
            yield to

        return moments

    def _stops(self, seen: Seen, *, every: timedelta) -> Iterator[Stop]:
        """In order, without an end; of the same moment what goes wrong comes first."""
        starts = self.scenario.starts
        looks = (Stop(at, 1, self._look(seen, at)) for at in (starts + count * every for count in itertools.count(1)))
        wrong = (Stop(at, 0, act) for at, act in self._wrong())
        return heapq.merge(wrong, looks, key=lambda stop: stop[:2])

    def _look(self, seen: Seen, at: datetime) -> Callable[[], Awaitable[None]]:
        async def look() -> None:
            await self._settled()
            await seen(at)

        return look

    def _wrong(self) -> Iterator[tuple[datetime, Callable[[], Awaitable[None]]]]:
        """What goes wrong besides what the scenario tells, in its order: (when, what)."""
        ethereum, nem = (self.stage.chains[name].faults for name in ("ethereum", "nem"))
        wrong: Sequence[tuple[float, Callable[[], Awaitable[None]]]] = (
            (30, _act(lambda: _set(ethereum[1], failing=1.0))),
            (38, _act(lambda: _set(ethereum[2], failing=1.0))),
            (56, _act(lambda: _set(ethereum[1], failing=0.0))),
            (57, _act(lambda: _set(ethereum[2], failing=0.0))),
            (75, _act(lambda: _set(nem[2], lying=True))),
            (83, _act(lambda: _set(nem[2], lying=False))),
            (90.5, self._undo),
            (100, _act(lambda: _set(nem[0], failing=0.3))),
            (110, _act(lambda: _set(nem[0], failing=0.0))),
            (118, self._reload),
            (146, _act(lambda: self._receiver(away=True))),
            (158, _act(lambda: self._receiver(away=False))),
        )
        for minutes, act in wrong:
            yield self.scenario.starts + timedelta(minutes=minutes), act

    async def _undo(self) -> None:
        ethereum = self.stage.chains["ethereum"]
        ethereum.reorganise(2, time=self.simulation.now())

    async def _reload(self) -> None:
        """As SIGHUP; something in the file is another now."""
        self.config.write_text(self.config.read_text() + "\n")
        await self.app.reload("story")

    def _receiver(self, *, away: bool) -> None:
        self.receiver.away = away


@asynccontextmanager
async def running(scenario: Scenario, *, folder: Path) -> AsyncIterator[Run]:
    """The daemon on the chains of the story, its API on a free port of the loopback, until the context ends."""
    simulation = Simulation(scenario.starts)
    receiver = Receiver()
    async with Stage(scenario, simulation=simulation, trial=AS_IT_WAS) as stage, receiver.serving():
        for chain in stage.chains.values():
            for node in chain.faults:
                node.latency = LATENCY
        await simulation.run_until(scenario.starts + NODES_TELL, settled=_nobody_judges)
        loaded = _loaded(stage, receiver=receiver, folder=folder, now=simulation.now())
        chance = random.Random(0)  # noqa: S311 - a run must repeat, not resist guessing
        async with opened(loaded, env={}, now=simulation.now, timing=simulation.timing(chance)) as app:
            director = Director(stage, timetable=Timetable(scenario), trial=AS_IT_WAS, tell=_unheard)
            run = Run(app, scenario, simulation, stage, director, receiver, folder / "pyrometer.yaml")
            async with _serving(run):
                yield run


@asynccontextmanager
async def _serving(run: Run) -> AsyncIterator[None]:
    ready = asyncio.Event()
    async with asyncio.TaskGroup() as group:
        group.create_task(run.app.run(run.stop, ready=ready), name="daemon")
        async with asyncio.timeout(PATIENCE):
            await ready.wait()
        yield
        run.stop.set()


def _loaded(stage: Stage, *, receiver: Receiver, folder: Path, now: datetime) -> Loaded:
    """As a replay is configured, and with what a replay has not: a fund, a rule on it, and somebody to tell."""
    configured(stage, trial=AS_IT_WAS, folder=folder, now=now)
    path = folder / "pyrometer.yaml"
    values = cast("dict[str, Any]", yaml.safe_load(path.read_text()))
    values["feeds"]["reserves"] = {"fund": FUND}
    values["policies"].append(RESERVE)
    values["alertmanager"] = {"endpoints": [{"url": f"http://127.0.0.1:{receiver.port}", "name": "alertmanager"}]}
    values["tick"] = "100ms"
    path.write_text(yaml.safe_dump(values, sort_keys=False))
    return load_whole(path, env={}, now=now)


def _act(change: Callable[[], object]) -> Callable[[], Awaitable[None]]:
    async def act() -> None:
        change()

    return act


def _set(faults: Faults, *, failing: float | None = None, lying: bool | None = None) -> None:
    faults.failing = faults.failing if failing is None else failing
    faults.lying = faults.lying if lying is None else lying


async def _nobody_judges() -> None:
    """Before the daemon has begun."""


def _unheard(_: Happening) -> None:
    """Nobody is told what happens: the daemon finds out."""
