"""Every shipped incident, as it was and under bad conditions: the same alerts, at most one block later.

The benign year takes minutes: its first two weeks are played, all of it where PYROMETER_YEAR is set.
"""

from __future__ import annotations

import os
from collections import defaultdict
from datetime import UTC, datetime, timedelta
from functools import cache

import pytest
import uvloop

from daemon.model import Judgement, Report, Severity, State
from daemon.replay.alarms import Audience, Nobody
from daemon.replay.catalogue import find, shipped
from daemon.replay.command import BENIGN, Wanted, play
from daemon.replay.outcome import Answer, Outcome
from daemon.replay.scenario import Scenario, load
from daemon.replay.trial import ADVERSE, AS_IT_WAS, Trial

pytestmark = pytest.mark.timeout(600)

INCIDENTS = sorted(shipped().keys() - {BENIGN})

Key = tuple[str, str, str]


class Gates(Nobody):
    """Hears with each judgement whose gates are open, and which wallets a finding stands against that closes them."""

    def __init__(self) -> None:
        self.told: list[tuple[datetime, frozenset[str], frozenset[str]]] = []

    def judged(self, report: Report) -> None:
        against = (
            finding.verdict.wallets
            for finding in report.findings
            if finding.state is State.FIRING and finding.verdict.policy.startswith(("theft/", "unmatched-outflow"))
        )
        are_open = frozenset(name for name, gate in report.gates.items() if gate.open)
        self.told.append((report.at, are_open, frozenset(name for names in against for name in names)))


@cache
def followed(name: str) -> tuple[Outcome, Gates]:
    """Played once for all that ask: it comes out the same every time."""
    gates = Gates()
    return played(load(find(name)), trial=AS_IT_WAS, audience=gates), gates


def as_it_was(name: str) -> Outcome:
    outcome, _ = followed(name)
    return outcome


def played(scenario: Scenario, *, trial: Trial, audience: Audience | None = None) -> Outcome:
    """On the loop that the command plays it on."""
    return uvloop.run(play(scenario, wanted=Wanted(trial), audience=audience))


def alarms(outcome: Outcome) -> dict[Key, list[datetime]]:
    found: dict[Key, list[datetime]] = defaultdict(list)
    for alarm in outcome.alarms:
        found[alarm.alert, alarm.policy, alarm.subject].append(alarm.at)
    return found


def answers(outcome: Outcome) -> list[tuple[str, Answer]]:
    return [(judged.expected.alert, judged.answer) for judged in outcome.judged]


def a_block(scenario: Scenario) -> timedelta:
    return max(setup.block_time for setup in scenario.chains.values())


@pytest.mark.parametrize("name", INCIDENTS)
def test_bad_conditions_delay_no_alarm_by_more_than_a_block(name: str) -> None:
    scenario = load(find(name))
    good, bad = as_it_was(name), played(scenario, trial=ADVERSE)
    late = alarms(bad)
    for key, moments in alarms(good).items():
        assert len(late[key]) == len(moments), key
        # What nobody approved waits for the books, which are asked with each block and fail now and then, too.
        slack = a_block(scenario) * (3 if key[0] == "PyrometerUnmatchedOutflow" else 1)
        for moment, then in zip(moments, late[key], strict=True):
            # Of several nodes one may tell what waits before the only one did.
            assert moment - slack <= then <= moment + slack, key
    more = {alert for alert, _, _ in late.keys() - alarms(good).keys()}
    # The liar is told as well; and if it is the first to list a payment, its fee may look unusual until it is mined.
    assert more <= {"PyrometerDisagreement", "PyrometerUnusualMovement"}
    assert answers(bad) == answers(good)
    # What is expected comes, but for rules that are still to come.
    assert {answer for _, answer in answers(good)} <= {Answer.MET, Answer.NOT_YET}


def test_coincheck_is_told_before_the_theft_and_at_its_second_transfer() -> None:
    outcome = as_it_was("coincheck")
    share = next(alarm for alarm in outcome.alarms if alarm.alert == "PyrometerHotShareHigh")
    drain = next(alarm for alarm in outcome.alarms if alarm.alert == "PyrometerDrain")
    assert share.at < datetime(2018, 1, 25, 15, 2, tzinfo=UTC)
    assert (share.event, share.loot.gone) == (None, {})
    assert drain.event == "second"
    assert drain.loot.left["XEM"] >= 0.8
    assert drain.at - datetime(2018, 1, 25, 15, 4, tzinfo=UTC) < timedelta(minutes=1)


def test_dmm_is_told_before_its_block() -> None:
    outcome = as_it_was("dmm")
    told = [alarm for alarm in outcome.alarms if alarm.alert == "PyrometerColdMoved"]
    theft = next(alarm for alarm in told if alarm.event == "stolen")
    assert "4502.9 to" in theft.summary
    assert "pending since 04:13:00" in theft.summary
    assert theft.at < datetime(2024, 5, 31, 4, 20, tzinfo=UTC)


def test_dmms_look_alike_is_told_as_one_and_its_usual_destination_never() -> None:
    outcome = as_it_was("dmm")
    [told] = [alarm for alarm in outcome.alarms if alarm.alert == "PyrometerUnknownDestination"]
    assert (told.event, told.subject) == ("stolen", "btc-vault")
    assert "looks like usual mqcob9eJUbD1cUSnzD3hEwL8NjqJHGFAnb but is not it" in told.summary


def test_bitgets_test_transfer_is_told_as_a_probe_with_the_first_large_payment() -> None:
    outcome = as_it_was("bitget-2026")
    told = [alarm for alarm in outcome.alarms if alarm.alert == "PyrometerProbe"]
    assert [(alarm.event, alarm.subject) for alarm in told] == [("large", "eth-hot")]
    assert "3800 ETH" in told[0].summary
    assert "27m after a first payment of 0.84 ETH" in told[0].summary


def test_bybit_is_told_when_the_implementation_changes_before_anything_has_left() -> None:
    outcome = as_it_was("bybit")
    [told] = [alarm for alarm in outcome.alarms if alarm.alert == "PyrometerControlChanged"]
    assert (told.subject, told.severity, told.event) == ("eth-safe", Severity.CRITICAL, "replaced")
    assert told.loot.gone == {}
    assert (
        "from 0x34cfac646f301356faa8b21e94227e3583fe3f5f to 0xbdd077f651ebe7f7b3ce16fe5f2b025be2969516" in told.summary
    )
    assert told.at < datetime(2025, 2, 21, 14, 14, tzinfo=UTC)  # 156 s before the first theft less a block


def test_a_credit_of_what_is_not_there_is_told_within_a_minute() -> None:
    outcome = as_it_was("bithumb-2026")
    [short] = [alarm for alarm in outcome.alarms if alarm.alert == "PyrometerBackingShort"]
    assert (short.subject, short.severity, short.event) == ("BTC", Severity.CRITICAL, "credited")
    assert timedelta(0) <= short.at - datetime(2026, 2, 6, 10, tzinfo=UTC) <= timedelta(minutes=1)
    assert outcome.passed


def test_what_leaves_without_an_entry_in_the_books_makes_backing_short_and_nothing_before_does() -> None:
    outcome = as_it_was("mtgox")
    [short] = [alarm for alarm in outcome.alarms if alarm.alert == "PyrometerBackingShort"]
    assert (short.subject, short.event) == ("BTC", "first")
    assert short.loot.gone == {"BTC": 319}
    # An hour's block at most, and the half hour that it must last.
    assert timedelta(0) < short.at - datetime(2011, 9, 12, 3, 30, tzinfo=UTC) < timedelta(minutes=90)


class Backing(Nobody):
    """Keeps what was judged of backing in each report since all was read."""

    def __init__(self) -> None:
        self.judged_as: list[dict[str, Judgement]] = []

    def judged(self, report: Report) -> None:
        if not report.problems:
            found = {one.subject: one.judgement for one in report.verdicts if one.alert == "PyrometerBackingShort"}
            self.judged_as.append(found)


def test_in_the_benign_year_backing_is_judged_of_every_asset_and_never_short() -> None:
    scenario = load(find(BENIGN)).model_copy(update={"ends": timedelta(days=2), "timeline": (), "expected": ()})
    backing = Backing()
    played(scenario, trial=AS_IT_WAS, audience=backing)
    assert len(backing.judged_as) > 48
    assert all(found == dict.fromkeys(scenario.assets, Judgement.OK) for found in backing.judged_as)


def test_in_the_benign_year_nothing_critical_rings_under_the_shipped_presets() -> None:
    scenario = load(find(BENIGN))
    if not os.environ.get("PYROMETER_YEAR"):
        scenario = scenario.model_copy(update={"ends": timedelta(days=14), "timeline": (), "expected": ()})
    outcome = played(scenario, trial=AS_IT_WAS)
    assert outcome.others[Severity.CRITICAL] == 0, [alarm.summary for alarm in outcome.alarms]
    assert outcome.others[Severity.WARNING] <= 2


def test_the_gate_of_bitgets_hot_wallet_is_closed_from_the_finding_on_and_stays_closed() -> None:
    outcome, gates = followed("bitget-2026")
    fired = min(alarm.at for alarm in outcome.alarms if alarm.alert == "PyrometerUnmatchedOutflow")
    told = [(at, "eth-hot" in are_open, "eth-hot" in against) for at, are_open, against in gates.told]
    first = next(place for place, (_, _, stands) in enumerate(told) if stands)
    seen = next(place for place, (_, is_open, _) in enumerate(told) if is_open)  # before, nobody saw the chain
    assert told[first][0] <= fired
    assert all(is_open for _, is_open, _ in told[seen:first])
    assert not any(is_open for _, is_open, _ in told[first:])
