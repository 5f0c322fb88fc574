"""Replays through the real connectors and rules: what rings when, however bad the nodes are, and the real bells."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from daemon.model import Report
from daemon.replay.alarms import Nobody
from daemon.replay.command import Wanted, play
from daemon.replay.outcome import Answer, Outcome
from daemon.replay.scenario import Scenario, load
from daemon.replay.trial import ADVERSE, AS_IT_WAS
from tests.integration.alertmanager import running_alertmanager, until

pytestmark = pytest.mark.timeout(120)

THEFT = Path(__file__).parents[1] / "data" / "small_theft.yaml"
BLOCK = timedelta(seconds=12)


@pytest.fixture(scope="module")
def scenario() -> Scenario:
    return load(THEFT)


def at(minute: int, second: int) -> datetime:
    return datetime(2024, 1, 1, 0, minute, second, tzinfo=UTC)


def told(outcome: Outcome) -> list[tuple[str, str, datetime, str | None]]:
    return [(alarm.alert, alarm.subject, alarm.at, alarm.event) for alarm in outcome.alarms]


async def test_alarms_come_with_the_block_that_shows_it_and_say_what_was_gone_by_then(scenario: Scenario) -> None:
    outcome = await play(scenario, wanted=Wanted(AS_IT_WAS))
    # Blocks come every 12 s from 00:00:00, and are read a second later.
    assert told(outcome) == [
        ("PyrometerHotShareHigh", "all", at(5, 1), "filled"),
        ("PyrometerWalletBand", "hot", at(18, 13), "drain"),
    ]
    share, band = outcome.alarms
    assert share.loot.gone == {}
    assert band.loot.gone == {"ETH": 46}
    assert 0.23 < band.loot.left["ETH"] < 0.24  # of the 60 that the hot wallet held
    assert outcome.loot.gone == {"ETH": 46}
    assert [judged.answer for judged in outcome.judged] == [Answer.MET, Answer.MET]
    assert outcome.passed
    assert outcome.delay(band) == timedelta(minutes=3, seconds=6)


async def test_a_replay_is_the_same_every_time(scenario: Scenario) -> None:
    first, second = [await play(scenario, wanted=Wanted(ADVERSE)) for _ in range(2)]
    assert first.alarms == second.alarms


async def test_slow_failing_and_lying_nodes_and_a_reorganisation_delay_no_alarm_by_more_than_a_block(
    scenario: Scenario,
) -> None:
    good, bad = [await play(scenario, wanted=Wanted(trial)) for trial in (AS_IT_WAS, ADVERSE)]
    found = {(alarm.alert, alarm.subject): alarm for alarm in bad.alarms}
    for alarm in good.alarms:
        assert alarm.at <= found[alarm.alert, alarm.subject].at <= alarm.at + BLOCK
    # The liar is no noise: it is told as well.
    assert {alert for alert, _ in found} - {alarm.alert for alarm in good.alarms} == {"PyrometerDisagreement"}
    assert all(judged.answer is Answer.MET for judged in bad.judged)


async def test_own_policies_take_the_place_of_the_scenarios(scenario: Scenario) -> None:
    floor = {"kind": "wallet_band", "name": "floor", "wallets": ["hot"], "asset": "ETH", "floor": "1"}
    outcome = await play(scenario, wanted=Wanted(AS_IT_WAS, policies=[floor]))
    assert outcome.alarms == ()
    assert [judged.answer for judged in outcome.judged] == [Answer.MISSED, Answer.MISSED]
    assert not outcome.passed


async def test_every_report_is_of_one_block_that_is_a_second_old(scenario: Scenario) -> None:
    class Watching(Nobody):
        def __init__(self) -> None:
            self.reports: list[Report] = []

        def judged(self, report: Report) -> None:
            self.reports.append(report)

    watching = Watching()
    await play(scenario, wanted=Wanted(AS_IT_WAS), audience=watching)
    tips = [report.chains["ethereum"].tip for report in watching.reports]
    assert all(tip is not None for tip in tips)
    heights = [tip.height for tip in tips if tip is not None]
    assert sorted(set(heights)) == list(range(150))  # the last block comes as the replay ends
    ages = {report.at - tip.time for report, tip in zip(watching.reports, tips, strict=True) if tip is not None}
    assert max(ages) < BLOCK


async def test_a_drill_rings_a_real_alertmanager_and_says_that_it_is_one(tmp_path: Path, scenario: Scenario) -> None:
    async with running_alertmanager(tmp_path) as alertmanager:
        outcome = await play(scenario, wanted=Wanted(AS_IT_WAS, alertmanagers=[alertmanager.url]))
        assert outcome.passed
        await until(lambda: alertmanager.heard("firing", subject="hot"))
        [band] = alertmanager.heard("firing", subject="hot")
        assert band["labels"]["drill"] == "small-theft"
        assert band["annotations"]["summary"].startswith("DRILL: hot holds")
        await until(lambda: alertmanager.heard("resolved", subject="all"))
        assert {alert["labels"]["drill"] for alert in await alertmanager.alerts()} == {"small-theft"}
