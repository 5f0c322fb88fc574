"""What a replay's back office approves: every honest withdrawal before it is paid, and nothing else."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from daemon.replay.director import APPROVED_BEFORE, Director
from daemon.replay.scenario import Scenario, load
from daemon.replay.script import Happening, Payment
from daemon.replay.simulation import Simulation
from daemon.replay.stage import Stage
from daemon.replay.timetable import Timetable
from daemon.replay.traffic import happenings
from daemon.replay.trial import AS_IT_WAS
from daemon.replay.withdrawals import Withdrawals
from tests.unit.replay.test_books import CAST, ETHER, SCENARIO, payment

START = SCENARIO.starts
HOUR = timedelta(hours=1)
DATA = Path(__file__).parents[2] / "data"


def withdrawals() -> Withdrawals:
    return Withdrawals(CAST, address=lambda account: account.name, kept=HOUR)


@pytest.mark.parametrize(
    ("payer", "payee", "approved", "needs"),
    [
        ("hot/1", "customers/1", True, True),
        ("cold/1", "customers/1", True, True),
        ("fees/1", "customers/1", True, True),
        ("hot/1", "customers/1", False, False),
        ("hot/1", "hot/2", True, False),
        ("hot/1", "cold/1", True, False),
        ("customers/1", "hot/1", True, False),
    ],
)
def test_what_leaves_the_wallets_with_an_approval_is_known_to_the_books(
    payer: str, payee: str, approved: bool, needs: bool
) -> None:
    assert withdrawals().needs_approval(payment(payer, payee, units=1, approved=approved)) is needs


def test_an_approval_is_told_for_a_while_and_then_no_more() -> None:
    office = withdrawals()
    office.approve(payment("hot/1", "customers/1", units=ETHER), at=START)
    office.approve(payment("hot/1", "customers/1", units=ETHER), at=START + HOUR)
    assert [one["id"] for one in office.told(START + HOUR)] == ["w1", "w2"]
    assert [one["id"] for one in office.told(START + HOUR + timedelta(seconds=1))] == ["w2"]


class Watching(Stage):
    """Notes what the books say of each payment at the moment when it is paid."""

    def __init__(self, scenario: Scenario, *, simulation: Simulation) -> None:
        super().__init__(scenario, simulation=simulation, trial=AS_IT_WAS)
        self.paid: list[tuple[Payment, bool, timedelta]] = []
        """Each payment, whether its approval was there, and for how long."""

    def perform(self, happening: Happening) -> None:
        super().perform(happening)
        if isinstance(happening, Payment):
            wanted = (self.address(happening.payee), f"{happening.coin.coins(happening.units).normalize():f}")
            found = [
                one for one in self.withdrawals.told(happening.at) if (one["destination"], one["amount"]) == wanted
            ]
            since = min((one["at"] for one in found), default="")
            seconds = timedelta(0)
            if since:
                seconds = happening.at - happening.at.fromisoformat(since)
            self.paid.append((happening, bool(found), seconds))


@pytest.mark.parametrize("name", ["small_theft.yaml", "good_scenario.yaml"])
async def test_the_approval_is_there_before_the_payment_and_none_is_of_a_theft(name: str) -> None:
    scenario = load(DATA / name)
    simulation = Simulation(scenario.starts)
    stage = Watching(scenario, simulation=simulation)
    director = Director(stage, timetable=Timetable(scenario), trial=AS_IT_WAS, tell=lambda _: None)

    async def settled() -> None:
        """Nobody judges."""

    await director.run(simulation, settled=settled)
    leaving = [one for one in stage.paid if stage.withdrawals.needs_approval(one[0])]
    assert leaving
    for payment_, found, before in stage.paid:
        assert found == stage.withdrawals.needs_approval(payment_), payment_
        if found:
            assert before >= min(APPROVED_BEFORE, payment_.at - scenario.starts)
            assert not payment_.theft


async def test_what_happens_stays_in_order_and_none_of_it_is_lost() -> None:
    scenario = load(DATA / "small_theft.yaml")
    simulation = Simulation(scenario.starts)
    told: list[Happening] = []
    stage = Stage(scenario, simulation=simulation, trial=AS_IT_WAS)
    director = Director(stage, timetable=Timetable(scenario), trial=AS_IT_WAS, tell=told.append)

    async def settled() -> None:
        """Nobody judges."""

    await director.run(simulation, settled=settled)
    assert told == list(happenings(scenario))
