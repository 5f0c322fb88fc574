"""What came of a replay: which alerts fired when, how much was lost by then, and whether that is what was expected."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum

from daemon.model import Severity
from daemon.replay.scenario import Expectation
from daemon.replay.timetable import Timetable


@dataclass(frozen=True, slots=True)
class Alarm:
    """An alert that began to fire. `event` is the step that had happened last, None before the first.

    `lost` are the coins that thefts had taken by then, `left` the share of each asset that was still there, of what
    there was before the first theft.
    """

    alert: str
    policy: str
    subject: str
    severity: Severity
    at: datetime
    event: str | None
    summary: str
    lost: Mapping[str, Decimal]
    left: Mapping[str, Decimal]


class Answer(StrEnum):
    """What became of an expectation."""

    MET = "met"
    LATE = "late"  # the alert fired, and too late or with too little left
    MISSED = "missed"  # it never fired
    NOT_YET = "not yet"  # there is no rule of the kind that raises it

    @property
    def met(self) -> bool:
        return self is Answer.MET


@dataclass(frozen=True, slots=True)
class Judged:
    """An expectation, what became of it, and the first alarm that could have met it."""

    expected: Expectation
    answer: Answer
    alarm: Alarm | None


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of one replay."""

    incident: str
    policy: str
    alarms: Sequence[Alarm]
    judged: Sequence[Judged]

    @property
    def passed(self) -> bool:
        """Whether every alert that is expected came in time."""
        return all(judged.answer.met for judged in self.judged)


def judge(
    expectations: Sequence[Expectation], alarms: Sequence[Alarm], *, times: Timetable, kinds: frozenset[str]
) -> tuple[Judged, ...]:
    """What became of each expectation; `kinds` are the kinds of rules that there are."""
    return tuple(_judged(expected, alarms, times=times, kinds=kinds) for expected in expectations)


def _judged(expected: Expectation, alarms: Sequence[Alarm], *, times: Timetable, kinds: frozenset[str]) -> Judged:
    fitting = [alarm for alarm in alarms if _fits(alarm, expected)]
    good = next((alarm for alarm in fitting if _in_time(alarm, expected, times=times)), None)
    if good is not None:
        return Judged(expected, Answer.MET, good)
    if fitting:
        return Judged(expected, Answer.LATE, fitting[0])
    return Judged(expected, Answer.MISSED if expected.needs in kinds else Answer.NOT_YET, None)


def _fits(alarm: Alarm, expected: Expectation) -> bool:
    return (
        alarm.alert == expected.alert
        and expected.subject in (None, alarm.subject)
        and expected.severity in (None, alarm.severity)
    )


def _in_time(alarm: Alarm, expected: Expectation, *, times: Timetable) -> bool:
    return (
        (expected.before is None or alarm.at + expected.lead < times.happens(expected.before))
        and (expected.before_mined is None or alarm.at < times.mined(expected.before_mined))
        and (expected.no_later_than is None or alarm.at <= times.read(expected.no_later_than))
        and all(alarm.left.get(asset, Decimal(0)) >= share for asset, share in expected.left.items())
    )
