"""Sections 5 to 7: what does not reconcile, what broke a limit, and what people were told. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from daemon.history.closing import JSON, moment
from daemon.model import Finding, State
from daemon.reporting.causes import cause_of
from daemon.reporting.evidence import Evidence


def named(*alerts: str) -> frozenset[str]:
    """Names of alerts without what all of them begin with."""
    return frozenset(f"Pyrometer{alert}" for alert in alerts)


BREAKS = named("Disagreement", "Drift", "BackingShort")
"""What two accounts of the same thing make of it: two nodes, two ways of reading, chain and books."""
DOUBTS = named("Disagreement", "Drift", "Blind", "FeedStale", "PriceDeviation")
"""What breaks no limit, but says that the picture is in doubt."""


def breaks(evidence: Evidence) -> list[JSON]:
    """Section 5, the oldest first."""
    return of(BREAKS, evidence)


def of(names: frozenset[str], evidence: Evidence) -> list[JSON]:
    """The findings of these alerts, the oldest first."""
    return [_finding(one, evidence) for one in evidence.findings if one.verdict.alert in names]


def breaches(evidence: Evidence) -> list[JSON]:
    """Section 6, the oldest first. Remedies are due where a rule says so."""
    return [
        {**_finding(one, evidence), **cause_of(one, evidence).shown(), "remedy_due": _due(one, evidence)}
        for one in evidence.findings
        if one.verdict.alert not in DOUBTS
    ]


def _due(finding: Finding, evidence: Evidence) -> list[JSON]:
    """What the breach obliges to, and by the end of which day; overdue when that was over before this day ended."""
    return [
        {"what": one.what, "by": one.by.isoformat(), "days": one.days, "overdue": one.by < evidence.day}
        for one in finding.due
    ]


def told(evidence: Evidence) -> list[JSON]:
    """Section 7: everything that people were told on this day, in order, and whether it was delivered by its end."""
    return sorted(_told(evidence), key=lambda one: (one["at"], one["finding"], one["event"]))


def _told(evidence: Evidence) -> Iterator[JSON]:
    for finding in evidence.findings:
        events = (("firing", finding.fired), ("resolved", finding.resolved if finding.fired else None))
        for event, at in events:
            if at is not None and evidence.start <= at < evidence.end:
                yield {
                    "at": moment(at),
                    "event": event,
                    **_named(finding),
                    "receivers": _sent(finding, event, evidence),
                }


def _sent(finding: Finding, event: str, evidence: Evidence) -> list[JSON]:
    notices = (one for one in evidence.notices if (one.finding, one.event) == (finding.id, event))
    return [
        {
            "receiver": one.sink,
            "settled": _within(one.settled, evidence),
            "refusal": one.refusal if _within(one.settled, evidence) else None,
        }
        for one in notices
    ]


def _finding(finding: Finding, evidence: Evidence) -> JSON:
    """As it stood at the end of the day: what came later is the matter of a later report."""
    end = evidence.end
    resolved = finding.resolved is not None and finding.resolved < end
    until = finding.resolved if finding.resolved is not None and resolved else end
    return {
        **_named(finding),
        "state": _state(finding, end=end).value,
        "opened": moment(finding.since),
        "fired": _within(finding.fired, evidence),
        "resolved": _within(finding.resolved, evidence),
        "age_seconds": round((until - finding.since).total_seconds()),
        "at_closing": _at_closing(finding, evidence),
    }


def _state(finding: Finding, *, end: datetime) -> State:
    if finding.resolved is not None and finding.resolved < end:
        return State.RESOLVED
    return State.FIRING if finding.fired is not None and finding.fired < end else State.PENDING


def _at_closing(finding: Finding, evidence: Evidence) -> str | None:
    """In words, what the rule said of it at the closing."""
    said = [] if evidence.closing is None else evidence.closing[1].raw["verdicts"]
    of = (finding.verdict.policy, finding.verdict.subject)
    return next((one["summary"] for one in said if (one["policy"], one["subject"]) == of), None)


def _named(finding: Finding) -> JSON:
    verdict = finding.verdict
    return {
        "finding": finding.id,
        "alert": verdict.alert,
        "severity": verdict.severity.value,
        "policy": verdict.policy,
        "subject": verdict.subject,
    }


def _within(at: datetime | None, evidence: Evidence) -> str | None:
    return moment(at) if at is not None and at < evidence.end else None
