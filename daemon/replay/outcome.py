"""What came of a replay: which alerts fired when, how much was lost by then, and whether that is what was expected."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from enum import StrEnum

from daemon.model import Severity
from daemon.replay.cast import Cast
from daemon.replay.expectation import deadlines, not_before, not_yet
from daemon.replay.scenario import Expectation, Scenario


@dataclass(frozen=True, slots=True)
class Loot:
    """In whole coins of each asset: what the robbed wallets held `before` the first theft of it, and what is `gone`."""

    before: Mapping[str, Decimal]
    gone: Mapping[str, Decimal]

    @property
    def left(self) -> dict[str, Decimal]:
        """The share of each asset that is still there, of those that were stolen from."""
        return {asset: 1 - gone / self.before[asset] for asset, gone in self.gone.items() if self.before[asset]}

    def value(self, scenario: Scenario) -> Decimal | None:
        """What is gone in the scenario's currency; None where an asset of it has no price."""
        prices = {asset: scenario.assets[asset].price for asset in self.gone}
        if any(price is None for price in prices.values()):
            return None
        return sum((self.gone[asset] * price.amount for asset, price in prices.items() if price), Decimal(0))


@dataclass(frozen=True, slots=True)
class Alarm:
    """An alert that began to fire. `event` is the step of the timeline that had happened last, None before the first.

    `loot` is what thefts had taken by then.
    """

    alert: str
    policy: str
    subject: str
    severity: Severity
    at: datetime
    event: str | None
    summary: str
    loot: Loot


class Answer(StrEnum):
    """What became of an expectation."""

    MET = "met"
    LATE = "late"  # the alert fired, and too late or with too little left
    MISSED = "missed"  # it never fired
    NOT_YET = "not yet"  # there is no rule of the kind that raises it


@dataclass(frozen=True, slots=True)
class Judged:
    """An expectation, what became of it, and the alarm that met it, or the first that came too late."""

    expected: Expectation
    answer: Answer
    alarm: Alarm | None


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of one replay. `loot` is all that thefts took in it; `began` when the first of them happened, or the
    first step where nothing is stolen; None in a scenario without steps."""

    scenario: Scenario
    alarms: Sequence[Alarm]
    judged: Sequence[Judged]
    loot: Loot
    began: datetime | None

    @property
    def passed(self) -> bool:
        """Whether every alert that is expected came in time, and no more others than are tolerated."""
        return all(judged.answer is Answer.MET for judged in self.judged) and not self.too_many

    @property
    def others(self) -> Mapping[Severity, int]:
        """How many alarms came that nobody expected, by their severity."""
        counts = dict.fromkeys(Severity, 0)
        for alarm in self.alarms:
            counts[alarm.severity] += not any(_fits(alarm, judged.expected) for judged in self.judged)
        return counts

    @property
    def too_many(self) -> bool:
        """Whether more alarms came that nobody expected than the scenario tolerates."""
        tolerated = self.scenario.tolerated
        limits = {Severity.CRITICAL: tolerated.critical, Severity.WARNING: tolerated.warning}
        return any(limit is not None and self.others[severity] > limit for severity, limit in limits.items())

    def telling_alarms(self) -> Mapping[str, Alarm]:
        """Of each policy the alarm that told of the incident: one that was expected, else the first since it began.

        A policy that rang only before, about something else perhaps, is left out.
        """
        expected = [judged.alarm for judged in self.judged if judged.answer is Answer.MET and judged.alarm is not None]
        since = [alarm for alarm in self.alarms if self.began is None or alarm.at >= self.began]
        found: dict[str, Alarm] = {}
        for alarm in (*sorted(expected, key=lambda one: one.at), *since):
            found.setdefault(alarm.policy, alarm)
        return dict(sorted(found.items(), key=lambda item: item[1].at))

    def delay(self, alarm: Alarm) -> timedelta | None:
        """From the first theft to the alarm; negative when it came before."""
        return None if self.began is None else alarm.at - self.began


def judge(scenario: Scenario, alarms: Sequence[Alarm], *, cast: Cast) -> tuple[Judged, ...]:
    """What became of each expectation."""
    return tuple(_judged(expected, alarms, scenario=scenario, cast=cast) for expected in scenario.expected)


def _judged(expected: Expectation, alarms: Sequence[Alarm], *, scenario: Scenario, cast: Cast) -> Judged:
    fitting = [alarm for alarm in alarms if _fits(alarm, expected)]
    limits = deadlines(expected, scenario=scenario, cast=cast)
    earliest = not_before(expected, scenario=scenario)
    for alarm in fitting:
        if alarm.at >= earliest and all(limit.met(alarm.at) for limit in limits) and _enough_left(alarm, expected):
            return Judged(expected, Answer.MET, alarm)
    if fitting:
        return Judged(expected, Answer.LATE, fitting[0])
    return Judged(expected, Answer.NOT_YET if not_yet(expected) else Answer.MISSED, None)


def _fits(alarm: Alarm, expected: Expectation) -> bool:
    return (
        alarm.alert == expected.alert
        and expected.subject in (None, alarm.subject)
        and expected.severity in (None, alarm.severity)
    )


def _enough_left(alarm: Alarm, expected: Expectation) -> bool:
    """What was not stolen from at all is all still there."""
    left = alarm.loot.left
    return all(left.get(asset, Decimal(1)) >= share for asset, share in expected.left.items())
