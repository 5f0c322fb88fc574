"""What a replay costs beside the small nodes that it plays on: ledgers, and their answers to the connectors."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

from daemon.replay.alarms import Nobody
from daemon.replay.catalogue import find
from daemon.replay.command import Wanted, play
from daemon.replay.faults import Answering, Door
from daemon.replay.player import opened
from daemon.replay.scenario import Scenario, load
from daemon.replay.script import Happening
from daemon.replay.stage import Stage
from daemon.replay.trial import AS_IT_WAS

PLAYED = timedelta(days=7)
"""Of the benign year; the first hours alone would mostly measure how everything is opened."""

WARMING = timedelta(hours=3)
"""Played before: what a process does once, such as loading libraries, is no part of what a year costs."""


class Counting(Nobody):
    """Counts what happens."""

    def __init__(self) -> None:
        self.events = 0

    def happened(self, happening: Happening) -> None:
        self.events += 1


class Stopwatch:
    """CPU seconds spent in the small nodes: between a request that came in and its answer, and in the ledgers."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self._since: float | None = None

    def start(self) -> None:
        self._since = time.process_time()

    def stop(self) -> None:
        if self._since is not None:
            self.seconds += time.process_time() - self._since
            self._since = None


@contextmanager
def measured(watch: Stopwatch) -> Iterator[None]:
    """Requests are answered without a pause between coming in and going out, so that one stopwatch is enough."""
    enter, leave, perform, mine = Door.enter, Door.leave, Stage.perform, Stage.mine

    async def entering(self: Door) -> Answering:
        answering = await enter(self)
        watch.start()
        return answering

    def leaving(self: Door) -> None:
        watch.stop()
        leave(self)

    def performing(self: Stage, happening: Happening) -> None:
        watch.start()
        perform(self, happening)
        watch.stop()

    def mining(self: Stage, chain: str, *, time: object) -> None:
        watch.start()
        mine(self, chain, time=time)  # type: ignore[arg-type]
        watch.stop()

    Door.enter, Door.leave, Stage.perform, Stage.mine = entering, leaving, performing, mining  # type: ignore[method-assign]
    try:
        yield
    finally:
        Door.enter, Door.leave, Stage.perform, Stage.mine = enter, leave, perform, mine  # type: ignore[method-assign]


def beginning(path: Path, *, lasting: timedelta) -> Scenario:
    """The first part of a scenario, without the steps that come later."""
    whole = load(path)
    return whole.model_copy(update={"ends": lasting, "timeline": (), "expected": ()})


async def replay_events_per_second() -> dict[str, object]:
    """CPU milliseconds per event (payment, step or block) of all (`ours`), against those in the small nodes alone."""
    year, watch, counting = find("benign-year"), Stopwatch(), Counting()
    await play(beginning(year, lasting=WARMING), wanted=Wanted(AS_IT_WAS))
    scenario = beginning(year, lasting=PLAYED)
    async with opened(scenario, audience=counting) as player:
        with measured(watch):
            started = time.process_time()
            await player.play()
            spent = time.process_time() - started
    blocks = sum(PLAYED // setup.block_time for setup in scenario.chains.values())
    events = counting.events + blocks
    return {
        "bench": "replay_events_per_second",
        "ours": round(spent * 1000 / events, 3),
        "peer": round(watch.seconds * 1000 / events, 3),
        "ratio": round(watch.seconds / spent, 3),
        "unit": "ms of CPU an event",
        "events_per_second": round(events / spent, 1),
        "year_seconds": round(spent / PLAYED.days * 365, 1),
    }
