"""The life of a finding: one page per real problem, however the number wobbles."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.findings import advance
from daemon.model import Event, Finding, Judgement, Severity, State, Verdict
from daemon.policy.blind import Blind
from daemon.policy.rule import Rule
from tests.build import at

OK, BREACH, UNKNOWN, EDGE = "ok", "breach", "unknown", "edge"


def verdict(kind: str, *, subject: str = "all", policy: str = "share") -> Verdict:
    """`edge` is within the limit but not past the hysteresis."""
    judgement = Judgement.OK if kind == EDGE else Judgement(kind)
    return Verdict(policy, subject, "PyrometerHotShareHigh", Severity.CRITICAL, judgement, kind, cleared=kind == OK)


def rule(*, hold: int = 0, clear_after: int = 0) -> Rule:
    return Blind(kind="blind", hold=timedelta(seconds=hold), clear_after=timedelta(seconds=clear_after))


def play(kinds: Sequence[str], *, hold: int = 0, clear_after: int = 0) -> list[tuple[int, str]]:
    """(second, event) for one verdict a second."""
    findings: tuple[Finding, ...] = ()
    heard = []
    for second, kind in enumerate(kinds):
        rules = {"share": rule(hold=hold, clear_after=clear_after)}
        step = advance(findings, [verdict(kind)], rules=rules, now=at(second))
        findings = step.open
        heard += [(second, event.value) for event, _ in step.events]
    return heard


@pytest.mark.parametrize(
    ("kinds", "hold", "clear_after", "heard"),
    [
        ([OK, BREACH, BREACH, OK], 0, 0, [(1, "firing"), (3, "resolved")]),
        ([BREACH, BREACH, BREACH], 2, 0, [(2, "firing")]),
        ([BREACH, OK, BREACH, BREACH], 2, 0, []),
        ([BREACH, EDGE, BREACH, EDGE, BREACH], 0, 0, [(0, "firing")]),
        ([BREACH, OK, BREACH, OK, BREACH], 0, 2, [(0, "firing")]),
        ([BREACH, OK, OK, OK, OK], 0, 2, [(0, "firing"), (3, "resolved")]),
        ([BREACH, OK, EDGE, OK, OK], 0, 2, [(0, "firing")]),
        ([BREACH, UNKNOWN, UNKNOWN, UNKNOWN], 0, 0, [(0, "firing")]),
        ([BREACH, UNKNOWN, UNKNOWN, BREACH], 2, 0, [(3, "firing")]),
        ([UNKNOWN, UNKNOWN, UNKNOWN], 0, 0, []),
        ([BREACH, OK, BREACH], 0, 0, [(0, "firing"), (1, "resolved"), (2, "firing")]),
    ],
)
def test_what_people_hear(kinds: list[str], hold: int, clear_after: int, heard: list[tuple[int, str]]) -> None:
    assert play(kinds, hold=hold, clear_after=clear_after) == heard


@given(st.lists(st.sampled_from([OK, BREACH, UNKNOWN, EDGE]), max_size=60), st.integers(0, 4), st.integers(0, 4))
def test_firing_and_resolved_alternate_and_every_page_follows_a_breach(
    kinds: list[str], hold: int, clear_after: int
) -> None:
    heard = play(kinds, hold=hold, clear_after=clear_after)
    assert [event for _, event in heard] == ["firing", "resolved"] * (len(heard) // 2) + ["firing"] * (len(heard) % 2)
    assert all(kinds[second] == (BREACH if event == "firing" else OK) for second, event in heard)


@given(st.lists(st.sampled_from([OK, BREACH, UNKNOWN, EDGE]), max_size=40), st.integers(0, 4))
def test_a_breach_that_lasts_its_hold_time_is_always_heard(kinds: list[str], hold: int) -> None:
    lasting = [*kinds, *[BREACH] * (hold + 1)]
    events = [event for _, event in play(lasting, hold=hold)]
    assert events
    assert events[-1] == "firing"


def test_since_is_when_the_breach_began_and_the_identity_stays() -> None:
    first = advance((), [verdict(BREACH)], rules={"share": rule(hold=5)}, now=at(0))
    later = advance(first.open, [verdict(BREACH)], rules={"share": rule(hold=5)}, now=at(5))
    assert [(item.state, item.since, item.fired) for item in later.open] == [(State.FIRING, at(0), at(5))]
    assert later.open[0].id == first.open[0].id


def test_two_episodes_are_two_findings() -> None:
    rules = {"share": rule()}
    first = advance((), [verdict(BREACH)], rules=rules, now=at(0))
    over = advance(first.open, [verdict(OK)], rules=rules, now=at(1))
    again = advance(over.open, [verdict(BREACH)], rules=rules, now=at(2))
    assert over.open == ()
    assert again.open[0].id != first.open[0].id


def test_a_finding_that_is_not_judged_any_more_is_closed_and_heard_of() -> None:
    first = advance((), [verdict(BREACH)], rules={"share": rule()}, now=at(0))
    step = advance(first.open, [], rules={}, now=at(1))
    assert [(event, item.why_resolved) for event, item in step.events] == [(Event.RESOLVED, "no longer judged")]


def test_a_pending_finding_that_goes_away_is_closed_without_a_word() -> None:
    first = advance((), [verdict(BREACH)], rules={"share": rule(hold=9)}, now=at(0))
    step = advance(first.open, [verdict(OK)], rules={"share": rule(hold=9)}, now=at(1))
    assert (step.events, [item.state for item in step.closed]) == ((), [State.RESOLVED])


def test_a_new_number_alone_is_no_change_for_the_store() -> None:
    rules = {"share": rule()}
    first = advance((), [verdict(BREACH)], rules=rules, now=at(0))
    assert first.changed(()) == first.open
    second = advance(first.open, [verdict(BREACH)], rules=rules, now=at(1))
    assert second.changed(first.open) == ()
    third = advance(second.open, [verdict(OK)], rules={"share": rule(clear_after=9)}, now=at(2))
    assert third.changed(second.open) == third.open


def test_subjects_of_one_policy_live_apart() -> None:
    rules = {"share": rule()}
    step = advance((), [verdict(BREACH, subject="ETH"), verdict(OK, subject="BTC")], rules=rules, now=at(0))
    assert [item.verdict.subject for item in step.open] == ["ETH"]


def test_a_clock_that_is_set_back_delays_neither_a_page_nor_its_end() -> None:
    rules = {"share": rule(hold=5, clear_after=5)}
    step = advance((), [verdict(BREACH)], rules=rules, now=at(3600))
    step = advance(step.open, [verdict(BREACH)], rules=rules, now=at(0))
    step = advance(step.open, [verdict(BREACH)], rules=rules, now=at(5))
    assert [event for event, _ in step.events] == [Event.FIRING]
    step = advance(step.open, [verdict(OK)], rules=rules, now=at(3600))
    step = advance(step.open, [verdict(OK)], rules=rules, now=at(10))
    step = advance(step.open, [verdict(OK)], rules=rules, now=at(15))
    assert [event for event, _ in step.events] == [Event.RESOLVED]


@pytest.mark.parametrize("kind", [BREACH, UNKNOWN, OK])
def test_another_severity_ends_the_old_alert_and_goes_on_as_a_new_one(kind: str) -> None:
    rules = {"share": rule(hold=5, clear_after=5)}
    begun = advance((), [verdict(BREACH)], rules=rules, now=at(0))
    fired = advance(begun.open, [verdict(BREACH)], rules=rules, now=at(5))
    milder = replace(verdict(kind), severity=Severity.WARNING)
    step = advance(fired.open, [milder], rules=rules, now=at(6))
    assert [(event, item.verdict.severity) for event, item in step.events] == [
        (Event.FIRING, Severity.WARNING),
        (Event.RESOLVED, Severity.CRITICAL),
    ]
    assert [(item.since, item.verdict) for item in step.open] == [(at(0), milder)]
    assert step.closed[0].why_resolved == "goes on with severity warning"
    assert step.closed[0].id == fired.open[0].id != step.open[0].id
    assert advance(step.open, [milder], rules=rules, now=at(7)).events == ()
