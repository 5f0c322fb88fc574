"""`pyrometer demo`: the whole daemon on a replayed day of an invented exchange, told in plain words."""

import asyncio
import socket
import tempfile
from collections.abc import Mapping
from pathlib import Path

from rich.console import Console

from daemon.app import App, opened
from daemon.model import Report
from daemon.reload import load_whole
from daemon.replay.teller import Teller
from daemon.replay.world import World, demo_world
from daemon.shipped import shipped

PREFERRED_PORT = 9517


class Telling:
    """A sink that tells the story of each report."""

    def __init__(self, teller: Teller) -> None:
        self._teller = teller

    def offer(self, report: Report) -> None:
        self._teller.report(report)


async def play_demo(stop: asyncio.Event, *, env: Mapping[str, str], console: Console, speed: float) -> None:
    """Plays the day at `speed` story seconds a second, and goes on watching until `stop`."""
    with tempfile.TemporaryDirectory(prefix="pyrometer-demo-") as folder:
        async with demo_world(speed=speed) as world:
            settings = {
                **env,
                "PYROMETER_DEMO_NODE": world.url,
                "PYROMETER_DEMO_DIR": folder,
                "PYROMETER_DEMO_PORT": str(_free_port(PREFERRED_PORT)),
            }
            loaded = load_whole(shipped(Path("demo.yaml")), env=settings, now=world.now())
            async with opened(loaded, env=settings, now=world.now) as app:
                await _play(app, world=world, stop=stop, console=console)


async def _play(app: App, *, world: World, stop: asyncio.Event, console: Console) -> None:
    teller, ready = Teller(console), asyncio.Event()
    running = asyncio.create_task(app.run(stop, ready=ready, more=[Telling(teller)]))
    begun = asyncio.create_task(ready.wait())
    await asyncio.wait([running, begun], return_when=asyncio.FIRST_COMPLETED)
    if ready.is_set():
        _welcome(app, console=console)
    playing = asyncio.create_task(world.play(teller.line))
    try:
        await running
    finally:
        for task in (playing, begun):
            task.cancel()
        await asyncio.wait([playing, begun])


def _welcome(app: App, *, console: Console) -> None:
    host, port = app.address
    console.print("Pyrometer plays a day of an invented exchange in 90 seconds. No internet, no keys, no root.")
    console.print(f"  page     http://{host}:{port}/")
    console.print(f"  metrics  http://{host}:{port}/metrics")
    console.print("Lines with · are what really happens, all others what Pyrometer finds by itself. Ctrl-C ends it.\n")


def _free_port(preferred: int) -> int:
    """The preferred port when it is free, else 0, which takes any."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", preferred))
        except OSError:
            return 0
    return preferred
