"""What happens on the chains of a scenario, in order, to its end and beyond it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from daemon.replay.director import Director
from daemon.replay.evm.played import PlayedEvm
from daemon.replay.scenario import Scenario, load
from daemon.replay.script import Happening
from daemon.replay.simulation import Simulation
from daemon.replay.stage import Stage
from daemon.replay.timetable import Timetable
from daemon.replay.trial import ADVERSE, AS_IT_WAS, Trial

THEFT = Path(__file__).parents[2] / "data" / "small_theft.yaml"
BLOCK = timedelta(seconds=12)


@pytest.fixture(scope="module")
def scenario() -> Scenario:
    return load(THEFT)


class Play:
    """A stage whose nodes nobody asks, and what its director tells."""

    def __init__(self, scenario: Scenario, *, trial: Trial = AS_IT_WAS) -> None:
        self.simulation = Simulation(scenario.starts)
        self.stage = Stage(scenario, simulation=self.simulation, trial=trial)
        self.told: list[Happening] = []
        self.settlings: list[datetime] = []
        self.director = Director(self.stage, timetable=Timetable(scenario), trial=trial, tell=self.told.append)

    async def settled(self) -> None:
        self.settlings.append(self.simulation.now())

    async def run(self) -> None:
        await self.director.run(self.simulation, settled=self.settled)

    @property
    def ledger(self) -> PlayedEvm:
        chain = self.stage.chains["ethereum"]
        assert isinstance(chain, PlayedEvm)
        return chain


async def test_everything_happens_at_its_moment_and_every_block_comes(scenario: Scenario) -> None:
    play = Play(scenario)
    await play.run()
    assert [happening.at for happening in play.told] == sorted(happening.at for happening in play.told)
    assert [happening.step for happening in play.told if happening.step is not None] == [0, 1, 2]
    assert play.director.event == "drain"
    assert play.stage.loot.gone == {"ETH": 46}
    assert play.ledger.ledger.tip.height == 150
    assert play.simulation.now() == scenario.end


async def test_time_goes_on_only_after_it_was_settled(scenario: Scenario) -> None:
    """Whoever judges does so at every block, with the clock at that block."""
    play = Play(scenario)
    await play.run()
    blocks = {scenario.starts + BLOCK * number for number in range(1, 151)}
    assert blocks - set(play.settlings) <= {scenario.end}


async def test_a_trial_undoes_blocks_in_the_middle(scenario: Scenario) -> None:
    play = Play(scenario, trial=ADVERSE)
    await play.run()
    assert play.ledger.ledger.tip.height == 151  # another one takes the place of the last undone


async def test_after_the_end_blocks_go_on_with_nothing_in_them(scenario: Scenario) -> None:
    play = Play(scenario)
    await play.run()
    told, last = len(play.told), play.ledger.ledger.tip
    seen: list[datetime] = []
    enough = asyncio.Event()

    async def pace(moment: datetime) -> AsyncIterator[datetime]:
        seen.append(moment)
        if len(seen) > 3:
            enough.set()
            await asyncio.Future()  # as one who waits for real time to pass
        yield moment

    going_on = asyncio.create_task(play.director.afterwards(play.simulation, settled=play.settled, pace=pace))
    await asyncio.wait_for(enough.wait(), 15)
    going_on.cancel()
    with pytest.raises(asyncio.CancelledError):
        await going_on
    assert seen == [scenario.end + BLOCK * number for number in (1, 2, 3, 4)]
    assert len(play.told) == told
    assert play.ledger.ledger.tip.height == last.height + 3
    assert play.ledger.ledger.tip.time == seen[2]
