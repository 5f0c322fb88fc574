"""In a replay the daemon hears, over HTTP, exactly the withdrawals that are no theft, each before it is paid."""

from __future__ import annotations

from collections import Counter
from datetime import datetime
from pathlib import Path

import pytest

from daemon.detection.approval import Approval, Approved
from daemon.feeds.values import FeedKind
from daemon.replay.cast import Account
from daemon.replay.configuration import configured, judged_by
from daemon.replay.evm.played import PlayedEvm
from daemon.replay.player import opened
from daemon.replay.scenario import Scenario, load
from daemon.replay.script import Payment
from daemon.replay.simulation import Simulation
from daemon.replay.stage import Stage
from daemon.replay.traffic import happenings
from daemon.replay.trial import ADVERSE, AS_IT_WAS, Trial

pytestmark = pytest.mark.timeout(120)

THEFT = Path(__file__).parents[1] / "data" / "small_theft.yaml"
SOURCE = (FeedKind.APPROVALS, "back-office")


class Noted:
    """Everything that was approved, and when it was heard first."""

    def __init__(self) -> None:
        self.answers: list[tuple[Approved, datetime]] = []
        self.first: dict[str, tuple[Approval, datetime]] = {}

    def take(self, said: Approved, *, now: datetime) -> None:
        self.answers.append((said, now))
        for one in said.approvals:
            self.first.setdefault(one.id, (one, now))


async def heard(scenario: Scenario, *, trial: Trial) -> Noted:
    noted = Noted()
    async with opened(scenario, trial=trial, approvals=noted) as player:
        await player.play()
    return noted


def honest(scenario: Scenario) -> list[Payment]:
    """Worked out from the scenario by another way: what goes from a wallet to somebody outside, and is no theft."""
    return [
        one
        for one in happenings(scenario)
        if isinstance(one, Payment)
        and not one.theft
        and group(one.payer) in scenario.wallets
        and group(one.payee) not in scenario.wallets
    ]


def group(account: Account) -> str:
    return account.name.partition("/")[0]


@pytest.mark.parametrize("trial", [AS_IT_WAS, ADVERSE], ids=lambda trial: trial.name)
async def test_what_is_heard_is_exactly_the_honest_withdrawals(trial: Trial) -> None:
    scenario = load(THEFT)
    noted = await heard(scenario, trial=trial)
    wanted = Counter(
        (one.coin.asset, one.chain, one.coin.coins(one.units), one.payee.on(PlayedEvm.account))
        for one in honest(scenario)
    )
    assert sum(wanted.values()) == 5
    found = Counter((one.asset, str(one.chain), one.coins, one.destination) for one, _ in noted.first.values())
    assert found == wanted
    assert {said.source for said, _ in noted.answers} == {SOURCE}
    assert all(said.complete for said, _ in noted.answers)


async def test_an_approval_is_heard_before_its_payment_is_in_a_block() -> None:
    scenario = load(THEFT)
    noted = await heard(scenario, trial=AS_IT_WAS)
    paid = [one.at for one in honest(scenario)]
    for (_, when), at in zip(sorted(noted.first.values(), key=lambda one: one[0].at), sorted(paid), strict=True):
        assert when <= at + scenario.chains["ethereum"].block_time


async def test_a_back_office_that_says_the_same_still_speaks() -> None:
    noted = await heard(load(THEFT), trial=AS_IT_WAS)
    again = [
        (before, after)
        for (before, _), (after, _) in zip(noted.answers, noted.answers[1:], strict=False)
        if before.approvals is after.approvals
    ]
    assert again
    assert all(after.asked > before.asked for before, after in again)


def test_the_back_office_is_asked_where_a_rule_matches_payments_and_only_there(tmp_path: Path) -> None:
    config = tmp_path / "pyrometer.yaml"
    drain = frozenset(("drain",))
    assert judged_by(["jp-psa", "theft"], kinds=drain, config=config)
    assert judged_by([{"kind": "drain", "window": "10m", "max_share": "0.1"}], kinds=drain, config=config)
    assert not judged_by(["jp-psa"], kinds=drain, config=config)
    cold = frozenset(("cold_moved",))
    assert judged_by(["theft"], kinds=cold, config=config)
    assert not judged_by([{"preset": "theft", "without": ["cold-moved"]}], kinds=cold, config=config)


@pytest.mark.parametrize("policies", [["nowhere"], [{"kind": "nothing"}], [5]])
def test_policies_that_are_wrong_are_left_to_whoever_loads_them(tmp_path: Path, policies: list[object]) -> None:
    assert not judged_by(policies, kinds=frozenset(("drain",)), config=tmp_path / "pyrometer.yaml")


async def test_a_scenario_without_such_a_rule_asks_for_no_approvals(tmp_path: Path) -> None:
    scenario = load(THEFT)
    async with Stage(scenario, simulation=Simulation(scenario.starts), trial=AS_IT_WAS) as stage:
        plain, asked = [
            configured(stage, trial=AS_IT_WAS, folder=tmp_path, now=scenario.starts, approvals=approvals)
            for approvals in (False, True)
        ]
    assert plain.setup.feeds.approving == frozenset()
    assert asked.setup.feeds.approving == {SOURCE}
