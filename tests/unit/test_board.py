"""What the broker is told next, without a broker: order, calm, beats, and what is never dropped."""

from __future__ import annotations

from datetime import timedelta

from daemon.emit.board import Board, Parcel
from daemon.emit.topics import Topic, topics
from tests.build import NOON
from tests.publishing import finding, gate, told


def state(text: str, *, urgent: bool = False, ages: bool = True) -> Topic:
    return Topic(text, lambda _now, _lives: text.encode(), urgent=text if urgent else None, ages=ages)


def board(*, expiry: float = 30, connected: bool = True, settled: bool = True, **states: Topic) -> Board:
    """With these topics, `_` in the place of the slash, of a report made at second 0."""
    made = Board(expiry=expiry)
    if connected:
        made.connected()
    take(made, 0, settled, **states)
    return made


def take(subject: Board, now: float = 0, settled: bool = True, /, **states: Topic) -> None:
    named = {name.replace("_", "/"): one for name, one in states.items()}
    subject.take(named, at=NOON + timedelta(seconds=now), now=now, settled=settled)


def said(subject: Board, *, now: float = 0, everything: bool = True, take: bool = True) -> list[Parcel]:
    """All that is to be said now; the broker takes it."""
    found: list[Parcel] = []
    while (parcel := subject.next(now, everything=everything)) is not None:
        found.append(parcel)
        if take:
            subject.taken(parcel)
    return found


def names(parcels: list[Parcel]) -> list[str]:
    return [parcel.name for parcel in parcels]


def test_gates_and_findings_go_first_then_the_sign_of_life_then_the_rest() -> None:
    subject = board(
        wallet_a=state("a"), status=state("online"), finding_1=state("f", urgent=True), gate_a=state("g", urgent=True)
    )
    assert names(said(subject)) == ["finding/1", "gate/a", "status", "wallet/a"]
    assert subject.pending == 0


def test_gates_that_come_before_the_rest_of_their_report_are_told_and_take_nothing_away() -> None:
    subject = board(
        finding_1=state("f", urgent=True), gate_a=state("open", urgent=True), gate_b=state("g", urgent=True)
    )
    said(subject)
    closed = {"gate/a": state("closed", urgent=True), "gate/b": state("g", urgent=True)}
    subject.take_beside(closed, at=NOON + timedelta(seconds=1), now=1)
    assert [(one.name, one.payload) for one in said(subject, now=1)] == [("gate/a", b"closed")]


def test_nothing_is_said_again_until_it_changes_or_a_third_of_its_time_is_over() -> None:
    subject = board(wallet_a=state("a"), gate_a=state("g", urgent=True))
    said(subject)
    take(subject, 9, wallet_a=state("a"), gate_a=state("g", urgent=True))
    assert said(subject, now=9) == []
    take(subject, 10, wallet_a=state("a"), gate_a=state("g", urgent=True))
    assert names(said(subject, now=10)) == ["gate/a", "wallet/a"]


def test_what_is_not_urgent_waits_for_the_end_of_its_second_and_only_the_newest_is_said() -> None:
    subject = board(wallet_a=state("1"))
    said(subject)
    for text in ("2", "3"):
        take(subject, 0.5, wallet_a=state(text))
        assert said(subject, now=0.5) == []
    assert [parcel.payload for parcel in said(subject, now=1.0)] == [b"3"]


def test_a_message_lives_for_as_long_as_the_report_has_left_and_one_without_time_left_is_not_sent() -> None:
    subject = board(expiry=10, gate_a=state("g", urgent=True))
    assert [parcel.lives for parcel in said(subject, now=3.5)] == [6]
    subject.connected()
    assert said(subject, now=9.5) == []
    take(subject, 20, gate_a=state("g", urgent=True))
    assert [parcel.lives for parcel in said(subject, now=20)] == [10]


def test_what_does_not_age_is_sent_however_old_the_report_is() -> None:
    subject = board(expiry=10, finding_1=state("f", urgent=True, ages=False))
    assert said(subject, now=100) == [Parcel("finding/1", b"f", None)]


def test_what_is_gone_is_cleared_and_then_forgotten() -> None:
    subject = board(gate_a=state("g", urgent=True), wallet_a=state("a"))
    said(subject)
    take(subject, 5)
    assert said(subject, now=5) == [Parcel("gate/a", b"", None), Parcel("wallet/a", b"", None)]
    subject.connected()
    assert said(subject, now=6) == []


def test_what_was_told_and_ended_while_the_broker_was_away_is_cleared_when_it_is_back() -> None:
    subject = board(finding_1=state("f", urgent=True))
    said(subject)
    subject.disconnected()
    take(subject, 1)
    assert subject.pending == 1
    subject.connected()
    assert said(subject, now=2) == [Parcel("finding/1", b"", None)]


def test_what_came_and_went_while_the_broker_was_away_leaves_nothing_behind() -> None:
    subject = board(connected=False)
    for number in range(100):
        take(subject, number, **{f"finding_{number}": state("f", urgent=True)})
    assert subject.pending == 1
    take(subject, 100)
    assert subject.pending == 0


def test_what_was_under_way_when_the_connection_broke_is_said_again() -> None:
    subject = board(finding_1=state("f", urgent=True), wallet_a=state("a"))
    assert names(said(subject, take=False)) == ["finding/1", "wallet/a"]
    subject.disconnected()
    assert subject.pending == 2
    subject.connected()
    assert names(said(subject)) == ["finding/1", "wallet/a"]


def test_what_is_recalled_is_said_again_before_the_farewell() -> None:
    subject = board(finding_1=state("f", urgent=True), wallet_a=state("a"))
    said(subject, take=False)
    subject.recall()
    assert names(said(subject, everything=False)) == ["finding/1"]


def test_an_earlier_runs_findings_are_cleared_once_the_store_has_told_which_still_hold() -> None:
    subject = board(settled=False)
    subject.found("finding/gone")
    subject.found("finding/holds")
    assert said(subject) == []
    take(subject, 1, finding_holds=state("f", urgent=True))
    assert names(said(subject, now=1)) == ["finding/holds", "finding/gone"]


def test_what_is_refused_is_pending_and_offered_again_with_the_next_beat() -> None:
    subject = board(gate_a=state("g", urgent=True))
    (parcel,) = said(subject, take=False)
    subject.refused(parcel)
    assert (subject.pending, subject.refusals) == (1, ("gate/a",))
    assert said(subject, now=5) == []
    take(subject, 10, gate_a=state("g", urgent=True))
    assert names(said(subject, now=10)) == ["gate/a"]
    assert (subject.pending, subject.refusals) == (0, ())


def test_a_topic_says_the_same_while_only_blocks_and_ages_change() -> None:
    parts = {"findings": [finding("1")], "gates": [gate("hot")]}
    before, after = topics(told(**parts)), topics(told(**parts, seconds=5))  # type: ignore[arg-type]
    assert {name: one.says for name, one in before.items()} == {name: one.says for name, one in after.items()}
    changed = topics(told(**parts, hot=6))  # type: ignore[arg-type]
    differing = {name for name, one in changed.items() if one.says != before[name].says}
    assert differing == {"exposure", "asset/ETH", "wallet/hot"}


def test_a_gate_says_until_when_it_is_good() -> None:
    body = topics(told(gates=[gate("hot", open=False, findings=("1",))]))["gate/hot"].render(NOON, 30)
    assert b'"gate":"closed"' in body
    assert b'"findings":["1"]' in body
    assert b'"expires":"2026-11-23T12:00:30Z"' in body


def test_a_name_can_be_neither_a_level_nor_a_wildcard() -> None:
    assert {"finding/a%2F%2B%23", "status"} <= topics(told(findings=[finding("a/+#")])).keys()


def test_evidence_that_is_too_much_is_left_out_and_said_to_be() -> None:
    body = topics(told(findings=[finding("1", summary="x")]))["finding/1"].render(NOON, None)
    long = topics(told(findings=[finding("1", summary="y" * 70_000)]))["finding/1"].render(NOON, None)
    assert b'"evidence":{}' in body
    assert b'"left_out"' in long
