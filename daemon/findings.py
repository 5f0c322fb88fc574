"""The life of a finding: pending while its hold time runs, firing when people are told, resolved when it stays over."""

import hashlib
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from daemon.model import ChainState, Event, Finding, Judgement, Severity, State, Verdict
from daemon.policy.blocks import with_blocks
from daemon.policy.remedies import dues
from daemon.policy.rule import Rule

NO_CHAINS: Mapping[str, ChainState] = {}


@dataclass(frozen=True, slots=True)
class Advance:
    """What one judgement did: the findings open now, those that are not any more, and what people must hear."""

    open: tuple[Finding, ...]
    closed: tuple[Finding, ...]
    events: tuple[tuple[Event, Finding], ...]

    def changed(self, before: Iterable[Finding]) -> tuple[Finding, ...]:
        """The findings whose stage differs from `before`: what the store must know. New numbers alone are no change."""
        stages = {finding.id: _stage(finding) for finding in before}
        return tuple(item for item in (*self.open, *self.closed) if stages.get(item.id) != _stage(item))


def advance(
    findings: Sequence[Finding],
    verdicts: Sequence[Verdict],
    *,
    rules: Mapping[str, Rule],
    now: datetime,
    chains: Mapping[str, ChainState] = NO_CHAINS,
) -> Advance:
    """Moves every finding one step. Pure: the same findings, verdicts and time give the same result.

    A verdict `unknown` neither starts nor ends anything: what was firing keeps firing, what was pending keeps waiting.
    A finding whose rule or subject is not judged any more (the configuration changed, or what was awaited once at the
    start is there) is closed, saying so. `chains`
    are those that were judged: what a finding tells names their blocks.
    """
    known = {(finding.verdict.policy, finding.verdict.subject): finding for finding in findings}
    after: list[Finding] = []
    for verdict in _telling(verdicts, policies={policy for policy, _ in known}):
        finding = known.pop((verdict.policy, verdict.subject), None)
        after.extend(_step(finding, with_blocks(verdict, chains), rule=rules[verdict.policy], now=now))
    after.extend(_close(finding, now=now, why="no longer judged") for finding in known.values())
    after = [_obliged(finding, rule=rules.get(finding.verdict.policy), now=now) for finding in after]
    was_firing = {finding.id for finding in findings if finding.state is State.FIRING}
    events = [
        (Event.FIRING, finding) for finding in after if finding.state is State.FIRING and finding.id not in was_firing
    ]
    events += [(Event.RESOLVED, finding) for finding in after if finding.state is State.RESOLVED and finding.fired]
    return Advance(
        open=tuple(finding for finding in after if finding.state is not State.RESOLVED),
        closed=tuple(finding for finding in after if finding.state is State.RESOLVED),
        events=tuple(events),
    )


def _telling(verdicts: Sequence[Verdict], *, policies: Collection[str]) -> Sequence[Verdict]:
    """Those that may begin or change a finding; a loop over all there are, few of which do."""
    fine = Judgement.OK
    return [verdict for verdict in verdicts if verdict.judgement is not fine or verdict.policy in policies]


def adopt(current: Sequence[Finding], stored: Sequence[Finding], *, now: datetime) -> Advance:
    """Puts what an earlier run left in the store in the place of what was begun anew while the store was out of reach.

    The earlier finding goes on, with its identity and its `since`; the new one is closed without a word.
    """
    begun = {(finding.verdict.policy, finding.verdict.subject): finding for finding in current}
    doubled = [begun.pop(key) for item in stored if (key := (item.verdict.policy, item.verdict.subject)) in begun]
    closed = tuple(_close(finding, now=now, why="goes on as an earlier finding") for finding in doubled)
    return Advance(open=(*stored, *begun.values()), closed=closed, events=())


def _step(finding: Finding | None, verdict: Verdict, *, rule: Rule, now: datetime) -> list[Finding]:
    if finding is None:
        return [_begin(verdict, rule=rule, now=now)] if verdict.judgement is Judgement.BREACH else []
    if finding.state is State.FIRING:
        return _step_firing(finding, verdict, rule=rule, now=now)
    finding = replace(finding, verdict=verdict)
    if verdict.judgement is Judgement.OK:
        return [_close(finding, now=now, why="back before its hold time was over")]
    return [_fire_when_due(finding, rule=rule, now=now)]


def _step_firing(finding: Finding, verdict: Verdict, *, rule: Rule, now: datetime) -> list[Finding]:
    if _told_as(finding.verdict) != _told_as(verdict):
        return _tell_anew(finding, verdict, now=now)
    finding = replace(finding, verdict=verdict)
    if not verdict.cleared:
        return [replace(finding, clear_since=None)]
    clear_since = min(finding.clear_since or now, now)  # a clock that was set back must not keep it open
    finding = replace(finding, clear_since=clear_since)
    if now - clear_since >= rule.clear_after:
        return [_close(finding, now=now, why="back within the limit")]
    return [finding]


def _begin(verdict: Verdict, *, rule: Rule, now: datetime) -> Finding:
    finding = Finding(_identity(verdict, now=now), State.PENDING, since=now, verdict=verdict)
    return _fire_when_due(finding, rule=rule, now=now)


def _identity(verdict: Verdict, *, now: datetime) -> str:
    text = "\n".join((verdict.policy, verdict.subject, now.isoformat()))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _told_as(verdict: Verdict) -> tuple[str, Severity]:
    """What else people know a finding by, beside policy and subject: another severity is another alert to them."""
    return verdict.alert, verdict.severity


def _tell_anew(finding: Finding, verdict: Verdict, *, now: datetime) -> list[Finding]:
    """The configuration gave the rule another severity: the old alert ends, and the same breach fires as a new one."""
    successor = replace(finding, id=_identity(verdict, now=now), verdict=verdict, fired=now)
    return [_close(finding, now=now, why=f"goes on with severity {verdict.severity}"), successor]


def _fire_when_due(finding: Finding, *, rule: Rule, now: datetime) -> Finding:
    finding = replace(finding, since=min(finding.since, now))  # a clock that was set back must not stop its hold time
    if finding.verdict.judgement is Judgement.BREACH and now - finding.since >= rule.hold:
        return replace(finding, state=State.FIRING, fired=now)
    return finding


def _obliged(finding: Finding, *, rule: Rule | None, now: datetime) -> Finding:
    """With what the breach obliges to, counted down; one whose rule is gone keeps what it had."""
    if rule is None or rule.calendar is None:
        return finding if rule is None or not finding.due else replace(finding, due=())
    return replace(finding, due=dues(rule.remedies, calendar=rule.calendar, since=finding.since, now=now))


def _close(finding: Finding, *, now: datetime, why: str) -> Finding:
    return replace(finding, state=State.RESOLVED, resolved=now, why_resolved=why)


def _stage(finding: Finding) -> tuple[State, datetime | None]:
    return finding.state, finding.clear_since
