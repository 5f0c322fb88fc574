"""`pyrometer demo`: the whole daemon before the night of Coincheck, replayed on the loopback, told in plain words."""

from __future__ import annotations

import asyncio
import random
import socket
import tempfile
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from rich.console import Console

from daemon.app import App, opened
from daemon.reload import load_whole
from daemon.replay import telling
from daemon.replay.alarms import Alarms
from daemon.replay.catalogue import find
from daemon.replay.director import Director
from daemon.replay.pace import paced
from daemon.replay.player import NODES_TELL
from daemon.replay.scenario import Scenario, load
from daemon.replay.simulation import Simulation
from daemon.replay.stage import Stage
from daemon.replay.telling import Telling
from daemon.replay.timetable import Timetable
from daemon.replay.trial import AS_IT_WAS
from daemon.shipped import shipped

SCENARIO = "coincheck"
CHAIN = "nem"
PREFERRED_PORT = 9517
REAL_TIME = 1.0


@dataclass(frozen=True, slots=True)
class Demo:
    """What is played, what watches it, and where both are told."""

    app: App
    director: Director
    simulation: Simulation
    alarms: Alarms
    console: Console

    async def play(self, *, speed: float) -> None:
        """The scenario at `speed` simulated seconds a second; then its chain goes on in real time until cancelled."""
        settled, simulation = self.app.judged, self.simulation
        pace = paced(simulation.now(), speed=speed)
        await self.director.run(simulation, settled=settled, pace=pace)
        telling.summary(self.alarms.outcome(), console=self.console)
        self.console.print("\nPyrometer goes on watching, in real time; Ctrl-C ends it.")
        pace = paced(simulation.now(), speed=REAL_TIME)
        await self.director.afterwards(simulation, settled=settled, pace=pace)


async def play_demo(stop: asyncio.Event, *, env: Mapping[str, str], console: Console, speed: float) -> None:
    """Plays the scenario at `speed` simulated seconds a second, and goes on watching until `stop`."""
    scenario = load(find(SCENARIO))
    async with _opened(scenario, env=env, console=console) as demo:
        ready = asyncio.Event()
        async with asyncio.TaskGroup() as group:
            playing = group.create_task(_begin(demo, ready=ready, speed=speed), name="demo")
            await demo.app.run(stop, ready=ready, more=[demo.alarms])
            playing.cancel()


async def _begin(demo: Demo, *, ready: asyncio.Event, speed: float) -> None:
    await ready.wait()
    _welcome(demo, speed=speed)
    await demo.play(speed=speed)


@asynccontextmanager
async def _opened(scenario: Scenario, *, env: Mapping[str, str], console: Console) -> AsyncIterator[Demo]:
    simulation = Simulation(scenario.starts)
    audience = Telling(scenario, console=console)
    with tempfile.TemporaryDirectory(prefix="pyrometer-demo-") as folder:
        async with Stage(scenario, simulation=simulation, trial=AS_IT_WAS) as stage:
            await simulation.run_until(scenario.starts + NODES_TELL, settled=_nobody_judges)
            whole = {**env, **environment(stage, folder=folder, port=_free_port(PREFERRED_PORT))}
            loaded = load_whole(shipped(Path("demo.yaml")), env=whole, now=simulation.now())
            chance = random.Random(0)  # noqa: S311 - a replay must repeat, not resist guessing
            async with opened(loaded, env=whole, now=simulation.now, timing=simulation.timing(chance)) as app:
                timetable = Timetable(scenario)
                director = Director(stage, timetable=timetable, trial=AS_IT_WAS, tell=audience.happened)
                yield Demo(app, director, simulation, Alarms(director, audience=audience), console)


def environment(stage: Stage, *, folder: str, port: int) -> Mapping[str, str]:
    """What `config/demo.yaml` takes from the environment: where the played nodes are, which chain they tell of, where
    the exchange's books are served and the store may be, and the port of the page, 0 for any that is free."""
    chain = stage.chains[CHAIN].settings()
    endpoints = cast("list[Mapping[str, str]]", chain["endpoints"])
    nodes = {f"PYROMETER_DEMO_NODE_{number}": node["url"] for number, node in enumerate(endpoints, start=1)}
    return {
        **nodes,
        "PYROMETER_DEMO_NEMESIS": str(chain["nemesis"]),
        "PYROMETER_DEMO_BOOKS": stage.back_office.liabilities,
        "PYROMETER_DEMO_APPROVALS": stage.back_office.approvals,
        "PYROMETER_DEMO_DIR": folder,
        "PYROMETER_DEMO_PORT": str(port),
    }


async def _nobody_judges() -> None:
    """Before the daemon has begun."""


def _welcome(demo: Demo, *, speed: float) -> None:
    (host, port), scenario = demo.app.address, demo.director.stage.scenario
    seconds = (scenario.end - scenario.starts).total_seconds() / speed
    lines = (
        f"{scenario.title}, in {seconds:.0f} seconds, before the whole daemon. No internet, no keys, no root.",
        f"  page     http://{host}:{port}/",
        f"  metrics  http://{host}:{port}/metrics",
        "Lines with · are what really happens, all others what Pyrometer finds by itself. Ctrl-C ends it.\n",
    )
    demo.console.print("\n".join(lines), soft_wrap=True, markup=False)


def _free_port(preferred: int) -> int:
    """The preferred port when it is free, else 0, which takes any."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", preferred))
        except OSError:
            return 0
    return preferred
