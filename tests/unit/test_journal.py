"""Movements outlive a restart: as text exactly, in the register as if it had not ended, and never two times."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.base import Address, Movement, Party, Stage, Tip, Token, Update
from daemon import movements as register
from daemon.journal import decode, encode, row_key
from daemon.model import Moved, Step
from daemon.movements import KEPT, SETTLE, Movements
from tests.build import at, movement, tip, told

TEXTS = st.text(max_size=12)
TIMES = st.datetimes(timezones=st.just(UTC))
UNITS = st.integers(-(10**40), 10**40)
TIPS = st.builds(Tip, st.integers(0, 10**9), TEXTS, TIMES)
PARTIES = st.lists(st.builds(Party, TEXTS, UNITS), max_size=3).map(tuple)
MOVEMENTS = st.builds(
    Movement,
    transaction=TEXTS,
    token=st.builds(Token, TEXTS, st.none() | TEXTS, st.integers(0, 36)),
    stage=st.sampled_from(Stage),
    tip=st.none() | TIPS,
    changes=st.lists(st.tuples(TEXTS.map(Address), UNITS), max_size=3).map(tuple),
    change=UNITS,
    destinations=PARTIES,
    sources=PARTIES,
    fee=st.none() | UNITS,
    size=st.integers(0, 10**6),
    replaced_by=st.none() | TEXTS,
)
STEPS = st.builds(Step, st.sampled_from(Stage), TIMES, st.none() | TIPS)
MOVED = st.builds(Moved, st.integers(0), MOVEMENTS, TIMES, st.lists(STEPS, min_size=1, max_size=4).map(tuple))


@given(MOVED)
def test_a_movement_comes_back_as_it_was_whatever_a_node_sent(moved: Moved) -> None:
    text = encode(moved)
    assert decode(text) == moved
    assert (text + row_key(moved.movement.transaction, moved.movement.token)).isascii()


@pytest.mark.parametrize("text", ["", "{}", "[]", "null", '{"token": 1}', '{"token": ["a", null, 1]}'])
def test_a_text_that_is_no_movement_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        decode(text)


Rows = dict[str, dict[str, str]]


def kept(*movements: Movements, rows: Rows | None = None) -> Rows:
    """What a store holds after it was told what has changed."""
    found = rows or {"movement": {}, "paid": {}}
    for one in movements:
        for journal in (one.paid, one.journal):
            for key, text in journal.changed().items():
                found[journal.kind].pop(key, None)
                if text is not None:
                    found[journal.kind][key] = text
    return found


def restarted(rows: Rows, *, into: Movements | None = None) -> Movements:
    movements = into or Movements()
    movements.paid.restore(rows["paid"])
    movements.journal.restore(rows["movement"])
    return movements


def shown(movements: Movements) -> list[tuple[str, list[Stage]]]:
    return [(one.movement.transaction, [step.stage for step in one.history]) for one in movements.recent()]


def taken(*updates: Update) -> Movements:
    movements = Movements()
    for one in updates:
        movements.take(one)
    return movements


OUT = movement("0xout", {1: -5}, destinations=[("x", 5)])
MINED = movement("0xmined", {1: -5}, block=tip(1), destinations=[("x", 5)])


def test_after_a_restart_it_shows_what_it_showed() -> None:
    first = taken(told(0, OUT), told(1, MINED), told(2, replace(OUT, stage=Stage.MINED, tip=tip(2))))
    again = restarted(kept(first))
    assert list(again.recent()) == list(first.recent())
    assert list(again.recent(pending=True)) == []


def test_what_is_told_again_as_it_is_known_makes_no_new_stage() -> None:
    again = restarted(kept(taken(told(0, OUT, MINED))))
    assert again.take(told(100, OUT, MINED)) == ()
    assert [one.first_seen for one in again.recent()] == [at(0), at(0)]


def test_what_goes_on_after_a_restart_keeps_its_history() -> None:
    again = restarted(kept(taken(told(0, OUT))))
    again.take(told(100, replace(OUT, stage=Stage.MINED, tip=tip(9))))
    assert shown(again) == [("0xout", [Stage.PENDING, Stage.MINED])]
    again.take(told(101, movement("0xnew", {1: -1})))
    assert [one.number for one in again.recent()] == [3, 2]


def test_what_waited_and_is_told_by_nobody_comes_to_an_unknown_fate_and_not_before() -> None:
    again = restarted(kept(taken(told(0, OUT))))
    begin = 1000.0
    steps = int(SETTLE.total_seconds()) // 60
    assert [again.take(told(begin + 60 * n)) for n in range(steps)] == [()] * steps
    (moved,) = again.take(told(begin + 60 * steps))
    assert (moved.movement.stage, moved.since) == (Stage.UNKNOWN, at(begin + 60 * steps))
    assert shown(again) == [("0xout", [Stage.PENDING, Stage.UNKNOWN])]
    again.take(told(3000, replace(OUT, stage=Stage.MINED, tip=tip(9))))
    assert shown(again) == [("0xout", [Stage.PENDING, Stage.UNKNOWN, Stage.MINED])]


def test_what_is_told_to_wait_still_waits() -> None:
    again = restarted(kept(taken(told(0, OUT))))
    again.take(told(1000, OUT))
    for n in range(30):
        assert again.take(told(1000 + 60 * n)) == ()


def test_while_a_chain_is_not_read_nothing_comes_to_an_end() -> None:
    again = restarted(kept(taken(told(0, OUT))))
    for seconds in (1000, 1060, 4000, 4060, 8000):
        assert again.take(told(seconds)) == ()


def test_what_was_mined_in_a_block_that_was_undone_meanwhile_waits_again() -> None:
    deep = movement("0xdeep", {1: -5}, block=tip(3))
    high = movement("0xhigh", {1: -5}, block=tip(7))
    back = movement("0xback", {1: -5}, block=tip(8))
    again = restarted(kept(taken(told(0, deep, high, back))))
    mined = replace(back, tip=tip(8, branch="b"))
    undone = replace(told(100, mined, here=tip(9, branch="b"), previous=tip(9)), reorg_depth=4)
    assert [(one.movement.transaction, one.movement.stage) for one in again.take(undone)] == [
        ("0xhigh", Stage.PENDING),
        ("0xback", Stage.MINED),
    ]
    assert dict(shown(again))["0xdeep"] == [Stage.MINED]


def test_what_was_told_before_the_store_answered_joins_what_it_held() -> None:
    rows = kept(taken(told(0, OUT, MINED)))
    late = taken(told(50, replace(OUT, stage=Stage.MINED, tip=tip(5)), movement("0xown", {1: -1})))
    again = restarted(rows, into=late)
    assert shown(again) == [
        ("0xown", [Stage.PENDING]),
        ("0xout", [Stage.PENDING, Stage.MINED]),
        ("0xmined", [Stage.MINED]),
    ]
    assert [one.number for one in again.recent()] == [4, 3, 2]
    assert next(iter(again.recent(pending=False))).first_seen == at(0)


def test_a_row_that_can_not_be_read_costs_none_of_the_others() -> None:
    rows = kept(taken(told(0, OUT, MINED)))
    rows["movement"]["bad"] = "{}"
    again = Movements()
    with pytest.raises(ValueError, match="1 of 3 movements"):
        again.journal.restore(rows["movement"])
    assert len(shown(again)) == 2


def test_payments_that_are_too_many_for_the_register_are_kept_for_detection(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(register, "MOST", 3)
    first, rows = Movements(), kept()
    for n in range(10):
        paid = movement(f"0xpaid{n}", {1: -1}, block=tip(n))
        got = movement(f"0xgot{n}", {1: 1}, block=tip(n))
        first.take(told(n, paid, got))
        rows = kept(first, rows=rows)
    again = restarted(rows)
    assert list(again.recent()) == list(first.recent())
    assert [one.movement.transaction for one in again.earlier()] == [f"0xpaid{n}" for n in range(7)]
    assert again.earlier() == []


def test_what_is_too_old_is_forgotten_in_the_store_too() -> None:
    first = taken(told(0, MINED))
    rows = kept(first)
    assert len(rows["movement"]) == 1
    first.take(told(KEPT.total_seconds() + 1))
    assert kept(first, rows=rows) == {"movement": {}, "paid": {}}


NAMES = st.sampled_from("abcde")
STAGES = st.sampled_from([Stage.PENDING, Stage.MINED, Stage.REPLACED, Stage.EVICTED])
ACTIONS = st.lists(
    st.one_of(st.tuples(st.just("tell"), NAMES, STAGES, st.integers(1, 3)), st.tuples(st.just("restart"))), max_size=25
)


@given(ACTIONS)
def test_restarts_at_any_moment_change_nothing_of_what_the_register_holds(actions: Sequence[tuple[Any, ...]]) -> None:
    """As long as everything is written down before the end, and connectors tell what they tell; but for its waiting."""
    plain, subject, rows = Movements(), Movements(), kept()
    for seconds, action in enumerate(actions):
        if action[0] == "restart":
            rows = kept(subject, rows=rows)
            subject = restarted(rows)
            continue
        _, name, stage, height = action
        block = tip(height) if stage is Stage.MINED else None
        update = told(seconds, movement(name, {1: -1}, stage=stage, block=block))
        steps = [(one.movement, one.since) for one in plain.take(update)]
        assert [(one.movement, one.since) for one in subject.take(update)] == steps
        assert [replace(one, number=0) for one in subject.recent()] == [
            replace(one, number=0) for one in plain.recent()
        ]


def test_a_reload_forgets_nothing_that_is_still_to_be_written() -> None:
    first = taken(told(0, OUT))
    rows = kept(first)
    first.take(told(1, MINED))
    swapped = first.on(["ethereum"])
    assert len(kept(swapped, rows=rows)["movement"]) == 2
