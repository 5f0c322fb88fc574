"""Readings that are held back until their block is deep enough: at its tip, the consumer knows what was true there."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from connectors.base import (
    Address,
    Control,
    Disagreement,
    Failure,
    Held,
    Movement,
    Stage,
    Tip,
    Token,
    Unread,
    Update,
)
from connectors.errors import Reason
from connectors.symbol.depth import HeldBack

START = datetime(2026, 1, 1, tzinfo=UTC)
COIN = Token("symbol", None, 6)
A, B = Address("A"), Address("B")


def tip(height: int, branch: str = "a") -> Tip:
    return Tip(height, f"{branch}{height}", START + timedelta(seconds=height))


def update(height: int, *, complete: bool = False, branch: str = "a", **holds: int) -> Update:
    held = tuple(Held(Address(account), COIN, units) for account, units in holds.items())
    at = tip(height, branch)
    return Update("symbol", START, tip=at, previous=tip(height - 1, branch), held=held, complete=complete)


def movement(name: str, stage: Stage, at: Tip | None = None) -> Movement:
    return Movement(name, COIN, stage, at, ((A, 1),), 0, (), (), None, 100)


def deep(blocks: int) -> HeldBack:
    return HeldBack(lambda newest: newest.height - blocks)


def units(told: Update) -> dict[Address, int]:
    return {one.account: one.units for one in told.held}


def test_until_a_first_block_is_deep_enough_the_chain_is_starting() -> None:
    back = deep(2)
    for height in (10, 11):
        told = back.pass_on(update(height, complete=height == 10, A=1))
        assert told.failure is not None
        assert told.failure.reason is Reason.STARTING
        assert (told.tip, told.held) == (None, ())
    told = back.pass_on(update(12))
    assert (told.tip, told.complete, units(told)) == (tip(10), True, {A: 1})


def test_a_change_is_told_when_its_block_is_deep_enough_and_not_before() -> None:
    back = deep(2)
    for one in (update(10, complete=True, A=1, B=5), update(11), update(12, A=2), update(13)):
        told = back.pass_on(one)
    assert (told.tip, told.previous, units(told), told.complete) == (tip(11), tip(10), {}, False)
    told = back.pass_on(update(14))
    assert (told.tip, told.previous, units(told), told.complete) == (tip(12), tip(11), {A: 2}, False)


def test_several_blocks_that_become_final_at_once_are_one_update() -> None:
    final = [0]
    back = HeldBack(lambda _newest: final[0])
    for one in (update(10, complete=True, A=1, B=5), update(11, A=2), update(12, A=3), update(13, B=6)):
        back.pass_on(one)
    final[0] = 12
    told = back.pass_on(update(14))
    assert (told.tip, units(told), told.complete) == (tip(12), {A: 3, B: 5}, True)
    final[0] = 14
    told = back.pass_on(update(15))
    assert (told.tip, units(told), told.complete) == (tip(14), {B: 6}, False)


def test_while_nothing_new_is_deep_enough_each_poll_says_that_the_old_block_still_stands() -> None:
    back = deep(1)
    back.pass_on(update(10, complete=True, A=1))
    back.pass_on(update(11))
    later = START + timedelta(seconds=5)
    for _ in range(1000):
        told = back.pass_on(Update("symbol", later, tip=tip(11), previous=tip(11)))
    assert (told.tip, told.previous, told.held, told.seen) == (tip(10), tip(10), (), later)
    assert not told.complete
    assert len(back._waiting) == 1


def test_a_failure_is_told_at_once_and_after_it_everything_again_from_what_was_deep_enough() -> None:
    back = deep(1)
    back.pass_on(update(10, complete=True, A=1, B=5))
    back.pass_on(update(11, A=2))
    failure = Update("symbol", START, failure=Failure(Reason.UNAVAILABLE, "down"))
    assert back.pass_on(failure) is failure
    told = back.pass_on(update(11, complete=True, A=2, B=5))
    assert (told.tip, told.complete, units(told)) == (tip(10), True, {A: 1, B: 5})
    told = back.pass_on(update(12))
    assert (told.tip, told.complete, units(told)) == (tip(11), True, {A: 2, B: 5})


def test_blocks_that_are_undone_before_they_were_told_leave_no_trace() -> None:
    back = deep(2)
    for one in (update(10, complete=True, A=1), update(11), update(12, A=99)):
        told = back.pass_on(one)
    assert told.tip == tip(10)
    other = replace(update(12, complete=True, branch="b", A=2), previous=tip(12), reorg_depth=1)
    told = back.pass_on(other)
    assert (told.tip, told.reorg_depth) == (tip(10), 0)
    for one in (update(13, branch="b"), update(14, branch="b")):
        told = back.pass_on(one)
    assert (told.tip, units(told), told.complete) == (tip(12, "b"), {A: 2}, True)


def test_when_a_told_block_is_undone_the_chain_is_starting_and_then_everything_is_told_with_the_depth() -> None:
    back = deep(1)
    for one in (update(10, complete=True, A=1), update(11, A=2), update(12)):
        told = back.pass_on(one)
    assert told.tip == tip(11)
    other = replace(update(12, complete=True, branch="b", A=7), previous=tip(12), reorg_depth=2)
    told = back.pass_on(other)
    assert told.failure is not None
    assert told.failure.reason is Reason.STARTING
    told = back.pass_on(update(13, branch="b"))
    assert (told.tip, told.previous, told.reorg_depth) == (tip(12, "b"), tip(11), 1)
    assert (units(told), told.complete) == ({A: 7}, True)
    assert back.pass_on(update(14, branch="b")).reorg_depth == 0


def test_pending_movements_are_told_at_once_and_mined_ones_with_their_block() -> None:
    back = deep(1)
    pending, mined = movement("x", Stage.PENDING), movement("y", Stage.MINED, tip(10))
    back.pass_on(update(9, complete=True, A=1))
    told = back.pass_on(replace(update(10), movements=(pending, mined)))
    assert (told.tip, told.movements) == (tip(9), (pending,))
    told = back.pass_on(replace(update(11), movements=(movement("x", Stage.EVICTED),)))
    assert told.movements == (movement("x", Stage.EVICTED), mined)


def test_pending_movements_wait_for_the_end_of_a_failure_because_nobody_takes_any_from_one() -> None:
    back = deep(1)
    pending, other = movement("x", Stage.PENDING), movement("y", Stage.PENDING)
    told = back.pass_on(replace(update(10, complete=True, A=1), movements=(pending,)))
    assert (told.failure is None, told.movements) == (False, ())
    assert back.pass_on(replace(update(11), movements=(other,))).movements == (pending, other)
    assert back.pass_on(update(12)).movements == ()


def test_controls_unread_accounts_and_disagreements_come_with_their_block() -> None:
    back = deep(1)
    control = Control(A, "single", ())
    flaw = Unread(B, COIN, Reason.BAD_ANSWER, "no")
    dispute = Disagreement(B, COIN, tip(10), (("n0", "1"), ("n1", "2")))
    first = replace(update(10, complete=True, A=1), unread=(flaw,), disagreements=(dispute,), controls=(control,))
    assert back.pass_on(first).controls == ()
    told = back.pass_on(update(11))
    assert (told.unread, told.disagreements, told.controls) == ((flaw,), (dispute,), (control,))


def test_a_second_look_at_the_block_that_was_told_is_told() -> None:
    back = deep(0)
    flaw = Unread(A, COIN, Reason.BAD_ANSWER, "no")
    back.pass_on(replace(update(10, complete=True), unread=(flaw,)))
    told = back.pass_on(replace(update(10, A=4), previous=tip(10)))
    assert (told.tip, told.previous, units(told), told.complete) == (tip(10), tip(10), {A: 4}, False)


@dataclass
class Chain:
    """The oracle: every block's whole truth, and what the source of updates last told."""

    blocks: list[tuple[Tip, dict[Address, int]]] = field(default_factory=lambda: [(tip(0), {A: 0, B: 0})])
    told: int = -1
    down: bool = True
    branch: int = 0

    def update(self) -> Update:
        at, truth = self.blocks[-1]
        previous = self.blocks[self.told] if 0 <= self.told < len(self.blocks) else None
        known = {} if self.down or previous is None else previous[1]
        held = tuple(Held(account, COIN, units) for account, units in truth.items() if known.get(account) != units)
        made = Update("symbol", START, tip=at, previous=previous[0] if previous else None, held=held)
        made = replace(made, complete=self.down)
        self.down, self.told = False, len(self.blocks) - 1
        return made


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("mine"), st.integers(0, 9)),
        st.tuples(st.just("fail"), st.just(0)),
        st.tuples(st.just("fork"), st.integers(1, 4)),
        st.tuples(st.just("still"), st.just(0)),
    ),
    max_size=40,
)


@given(STEPS, st.integers(0, 3))
def test_at_the_told_tip_the_consumer_knows_exactly_the_truth_of_that_block(
    steps: list[tuple[str, int]], blocks: int
) -> None:
    chain, back = Chain(), deep(blocks)
    knows: dict[Address, int] = {}
    highest = 0  # a branch that replaces another may be shorter; what was deep enough stays told
    for step, value in steps:
        depth = 0
        if step == "mine":
            height = len(chain.blocks)
            truth = chain.blocks[-1][1] | {(A, B)[value % 2]: value}
            chain.blocks.append((tip(height, f"b{chain.branch}-"), truth))
        elif step == "fork" and chain.told == len(chain.blocks) - 1 > value:
            chain.branch += 1
            del chain.blocks[-value:]
            depth = value
        if step == "fail":
            back.pass_on(Update("symbol", START, failure=Failure(Reason.UNAVAILABLE, "down")))
            chain.down = True
            continue
        previous = tip(chain.told) if depth else None
        chain.down = chain.down or depth > 0
        made = chain.update()
        highest = max(highest, chain.blocks[-1][0].height)
        if depth:
            made = replace(made, reorg_depth=depth, previous=previous)
        told = back.pass_on(made)
        if told.failure:
            assert told.failure.reason is Reason.STARTING
            knows = {}
            continue
        if told.complete:
            knows = {}
        knows |= units(told)
        at = told.tip
        assert at is not None
        assert at.height <= max(0, highest - blocks)
        assert (at, knows) == chain.blocks[at.height]


def test_what_a_block_that_is_undone_told_late_of_blocks_that_stand_is_told_with_the_next_one() -> None:
    """After a restart the first block read tells what the gap moved; it need not stand for that."""
    back = deep(2)
    old, own = movement("old", Stage.MINED, tip(8)), movement("own", Stage.MINED, tip(10))
    back.pass_on(replace(update(10, complete=True, A=1), movements=(old, own)))
    other = replace(update(11, complete=True, branch="b", A=1), previous=tip(10), reorg_depth=1)
    told = [back.pass_on(other), *(back.pass_on(update(height, branch="b")) for height in (12, 13, 14))]
    assert [one.movements for one in told if one.movements] == [(old,)]
    assert next(one.tip for one in told if one.movements) == tip(11, "b")


def test_what_is_owed_at_a_block_is_owed_until_a_later_one_that_owes_nothing_is_told() -> None:
    back = deep(2)
    owing = [replace(update(height, complete=height == 10), owed=height < 12) for height in range(10, 16)]
    told = [back.pass_on(one) for one in owing]
    assert [(one.tip and one.tip.height, one.owed) for one in told if one.tip] == [
        (10, True),
        (11, True),
        (12, False),
        (13, False),
    ]
