"""Notes every alert that begins to fire in a replay, and what was gone by then."""

from __future__ import annotations

from typing import Protocol

from daemon.model import Finding, Report, State
from daemon.replay.director import Director
from daemon.replay.outcome import Alarm, Outcome, judge
from daemon.replay.script import Happening


class Audience(Protocol):
    """Hears what happens and what is found, as it comes."""

    def happened(self, happening: Happening) -> None: ...

    def judged(self, report: Report) -> None: ...

    def alarmed(self, alarm: Alarm) -> None: ...


class Nobody:
    """An Audience that is not there."""

    def happened(self, happening: Happening) -> None: ...

    def judged(self, report: Report) -> None: ...

    def alarmed(self, alarm: Alarm) -> None: ...


class Alarms:
    """A Sink. The audience hears each report, and then what begins to fire with it."""

    def __init__(self, director: Director, *, audience: Audience) -> None:
        self.noted: list[Alarm] = []
        self._director = director
        self._audience = audience
        self._fired: set[str] = set()

    def offer(self, report: Report) -> None:
        """See Sink."""
        self._audience.judged(report)
        for finding in report.findings:
            if finding.state is State.FIRING and finding.id not in self._fired:
                self._fired.add(finding.id)
                alarm = self._alarm(finding, report=report)
                self.noted.append(alarm)
                self._audience.alarmed(alarm)

    def outcome(self) -> Outcome:
        """What came of the replay so far."""
        stage = self._director.stage
        judged = judge(stage.scenario, self.noted, cast=stage.cast)
        return Outcome(stage.scenario, tuple(self.noted), judged, stage.loot, self._director.timetable.began)

    def _alarm(self, finding: Finding, *, report: Report) -> Alarm:
        verdict = finding.verdict
        return Alarm(
            alert=verdict.alert,
            policy=verdict.policy,
            subject=verdict.subject,
            severity=verdict.severity,
            at=report.at,
            event=self._director.event,
            summary=verdict.summary,
            loot=self._director.stage.loot,
        )
