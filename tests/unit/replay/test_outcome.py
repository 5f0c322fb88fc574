"""What came of a replay: which alarm told of the incident, and how many came that nobody expected."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from pathlib import Path

from daemon.model import Severity
from daemon.replay.cast import Cast
from daemon.replay.outcome import Alarm, Answer, Loot, Outcome, judge
from daemon.replay.scenario import load

SCENARIO = load(Path(__file__).parents[2] / "data" / "small_theft.yaml")
BEGAN = SCENARIO.starts + timedelta(minutes=15, seconds=7)
NOTHING = Loot({}, {})


def alarm(alert: str, *, minutes: float, policy: str = "own", subject: str = "all", gone: int = 0) -> Alarm:
    loot = Loot({"ETH": Decimal(60)}, {"ETH": Decimal(gone)}) if gone else NOTHING
    at = SCENARIO.starts + timedelta(minutes=minutes)
    return Alarm(alert, policy, subject, Severity.CRITICAL, at, None, "", loot)


def outcome(*alarms: Alarm) -> Outcome:
    judged = judge(SCENARIO, alarms, cast=Cast(SCENARIO))
    return Outcome(SCENARIO, alarms, judged, Loot({"ETH": Decimal(60)}, {"ETH": Decimal(46)}), BEGAN)


SHARE = alarm("PyrometerHotShareHigh", minutes=5, policy="jp-psa/hot-share")
BAND = alarm("PyrometerWalletBand", minutes=18.2, policy="wallet-band", subject="hot", gone=46)


def test_an_alarm_in_time_meets_what_is_expected() -> None:
    found = outcome(SHARE, BAND)
    assert [judged.answer for judged in found.judged] == [Answer.MET, Answer.MET]
    assert found.passed


def test_an_alarm_about_something_earlier_does_not_meet_it() -> None:
    early = alarm("PyrometerWalletBand", minutes=10, policy="wallet-band", subject="hot")
    assert [judged.answer for judged in outcome(SHARE, early).judged] == [Answer.MET, Answer.LATE]
    assert [judged.alarm for judged in outcome(SHARE, early, BAND).judged] == [SHARE, BAND]


def test_too_late_too_little_and_never_are_told_apart() -> None:
    late = alarm("PyrometerWalletBand", minutes=19, policy="wallet-band", subject="hot", gone=46)
    poor = alarm("PyrometerWalletBand", minutes=18.2, policy="wallet-band", subject="hot", gone=59)
    for second, answer in ((late, Answer.LATE), (poor, Answer.LATE)):
        assert outcome(SHARE, second).judged[1].answer is answer
    assert outcome(SHARE).judged[1].answer is Answer.MISSED
    assert not outcome(SHARE).passed


def test_the_alarm_that_told_is_the_expected_one_else_the_first_since_the_theft() -> None:
    before = alarm("PyrometerDrain", minutes=2, policy="theft/drain")
    after = alarm("PyrometerDrain", minutes=20, policy="theft/drain")
    elsewhere = alarm("PyrometerBlind", minutes=3, policy="blind")
    told = outcome(before, elsewhere, SHARE, BAND, after).telling_alarms()
    assert list(told.items()) == [("jp-psa/hot-share", SHARE), ("wallet-band", BAND), ("theft/drain", after)]


def test_more_than_is_tolerated_does_not_pass() -> None:
    found = outcome(SHARE, BAND, alarm("PyrometerDrain", minutes=20))
    assert found.others[Severity.CRITICAL] == 1
    assert not found.passed


def test_what_is_left_and_lost_is_of_what_was_there() -> None:
    assert outcome(SHARE, BAND).loot.left == {"ETH": 1 - Decimal(46) / 60}
    assert BAND.loot.value(SCENARIO) == 46 * 500_000
