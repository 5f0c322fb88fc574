"""The real pipe on the chain of a scenario, without a network: reports of any minute of an invented day."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from datetime import datetime, timedelta
from functools import cache
from pathlib import Path

from connectors.base import Failure, Held, Movement, Tip, Update
from connectors.errors import Reason
from daemon.feeds.book import FeedBook
from daemon.ledger import Ledger
from daemon.model import Finding, Notification, Report
from daemon.pipeline import Pipeline
from daemon.reload import Loaded
from daemon.replay.configuration import configured
from daemon.replay.evm.played import PlayedEvm
from daemon.replay.scenario import Scenario, load
from daemon.replay.simulation import Simulation
from daemon.replay.stage import Stage
from daemon.replay.timetable import Timetable
from daemon.replay.traffic import happenings
from daemon.replay.trial import AS_IT_WAS

DAY = Path(__file__).parent / "data" / "exchange_day.yaml"
CHAIN = "ethereum"


@cache
def scenario() -> Scenario:
    return load(DAY)


MIDNIGHT = scenario().starts


class Unserved(PlayedEvm):
    """A chain whose nodes never serve: nobody can reach what its configuration names."""

    def settings(self) -> dict[str, object]:
        return {**super().settings(), "endpoints": [{"url": "http://127.0.0.1:1", "name": "node-1"}]}


class UnservedStage(Stage):
    """What its chain knows is read from the ledger."""

    def __init__(self) -> None:
        simulation = Simulation(MIDNIGHT)
        super().__init__(scenario(), simulation=simulation, trial=AS_IT_WAS)
        unserved = Unserved(self._opening(CHAIN, simulation=simulation, trial=AS_IT_WAS))
        self.chains[CHAIN] = unserved
        self.ledger = unserved.ledger


@cache
def stage() -> UnservedStage:
    """The whole day, played."""
    playing = UnservedStage()
    told = list(happenings(scenario()))
    for at in Timetable(scenario()).blocks(CHAIN):
        while told and told[0].at <= at:
            playing.perform(told.pop(0))
        playing.mine(CHAIN, time=at)
    return playing


@cache
def loaded() -> Loaded:
    """What a daemon would be told about the day, without a node that could be asked."""
    with tempfile.TemporaryDirectory() as folder:
        return configured(stage(), trial=AS_IT_WAS, folder=Path(folder), now=MIDNIGHT)


class Nowhere:
    """Keeps no finding."""

    problem: str | None = None

    async def record(self, findings: Sequence[Finding], notifications: Sequence[Notification]) -> None: ...


class Monitor:
    """Reads the played day and judges it. Times are `HH:MM` of the story."""

    def __init__(self) -> None:
        setup = loaded().setup
        self._watch = setup.inventory.watches[CHAIN]
        self._pipeline = Pipeline(setup, Ledger(setup.inventory), FeedBook(setup.feeds), (), Nowhere(), (), ())

    async def sees(self, time: str) -> Report:
        """A complete reading of the block of that minute, judged in that minute."""
        ledger = stage().ledger
        block = ledger.block(int((moment(time) - MIDNIGHT).total_seconds() // 60))
        assert block is not None
        held = tuple(
            Held(account, token, ledger.balance((account, token.contract), height=block.height))
            for account in self._watch.accounts
            for token in self._watch.tokens
        )
        tip = Tip(block.height, block.hash, block.time)
        self._pipeline.ledger.apply(Update(CHAIN, seen=block.time, tip=tip, held=held, complete=True))
        return await self._pipeline.cycle(moment(time))

    async def sees_nothing(self, time: str) -> Report:
        """The node refuses; what was read before is judged by its age."""
        failure = Failure(Reason.UNAVAILABLE, "node-1: Connection refused")
        self._pipeline.ledger.apply(Update(CHAIN, seen=moment(time), failure=failure))
        return await self._pipeline.cycle(moment(time))

    async def hears(self, time: str, *movements: Movement) -> Report:
        """At the block that was read last."""
        tip = self._pipeline.ledger.books[CHAIN].tip
        self._pipeline.ledger.apply(Update(CHAIN, moment(time), tip, tip, movements=movements))
        return await self._pipeline.cycle(moment(time))

    async def judges(self, time: str) -> Report:
        """Without news."""
        return await self._pipeline.cycle(moment(time))


def moment(time: str) -> datetime:
    hours, minutes = time.split(":")
    return MIDNIGHT + timedelta(hours=int(hours), minutes=int(minutes))
