"""Outflows against approved withdrawals, one behaviour a test; the wallet `hot` pays, the books are asked once more."""

from dataclasses import replace

import pytest

from connectors.base import Stage
from daemon.detection.approval import Approved
from daemon.detection.approvals import MOST_TOLD
from daemon.detection.case import Cases
from tests.build import at
from tests.matched import BOOKS, COIN, Desk, approval, at_stage, grounds, payment

GRACE = 5.0


def test_a_payment_of_just_what_was_approved_is_explained() -> None:
    desk = Desk()
    desk.approve(approval("W-1", "1", "Alice"))
    desk.tell(payment("t1", [("alice", COIN)], seconds=5))
    assert desk.unmatched(100) == []


@pytest.mark.parametrize("units", [COIN + 1, COIN - 1, COIN // 2, 1])
def test_another_amount_is_unmatched_be_it_by_one_unit(units: int) -> None:
    desk = Desk()
    desk.approve(approval("W-1", "1", "alice"))
    desk.tell(payment("t1", [("alice", units)], seconds=5))
    assert desk.unmatched(100) == ["t1"]


def test_what_else_was_approved_for_the_destination_is_said() -> None:
    desk = Desk()
    desk.approve(approval("W-1", "1", "alice"))
    desk.tell(payment("t1", [("alice", 2 * COIN)], seconds=5))
    desk.ask(seconds=100)
    (case,) = desk.cases(100).by_wallet["hot"]
    assert case.says == "hot pays 2 BTC that nobody approved: 2 to alice; approved there: 1 (W-1)"


def test_an_unknown_destination_is_unmatched_and_named_with_its_amount() -> None:
    desk = Desk()
    desk.approve(approval("W-1", "1", "alice"))
    desk.tell(payment("t1", [("alice", COIN), ("thief", 3)], seconds=5))
    desk.ask(seconds=100)
    (case,) = desk.cases(100).by_wallet["hot"]
    assert case.facts["unmatched"] == {"thief": "0.00000003"}


def test_it_is_no_case_before_every_source_was_asked_after_the_grace() -> None:
    desk = Desk()
    desk.ask(seconds=0)
    desk.tell(payment("t1", [("thief", 3)], seconds=5))
    assert desk.unmatched(5 + GRACE - 1) == []
    assert desk.cases(5 + GRACE + 30).by_wallet == {}, "nobody was asked since"
    assert desk.unmatched(5 + GRACE) == ["t1"]


def test_while_it_waits_for_a_source_that_is_current_nothing_is_unsure() -> None:
    desk = Desk()
    desk.ask(seconds=0)
    desk.tell(payment("t1", [("thief", 3)], seconds=5))
    assert desk.cases(30).unsure == {}


def test_a_source_that_does_not_speak_leaves_the_wallet_unsure() -> None:
    desk = Desk()
    desk.ask(seconds=0)
    desk.tell(payment("t1", [("thief", 3)], seconds=5))
    found = desk.cases(61)
    assert (found.by_wallet, found.unsure) == ({}, {"hot": ("approvals:books",)})


def test_a_wallet_whose_payments_are_explained_is_sure_also_when_the_source_is_silent() -> None:
    desk = Desk()
    desk.approve(approval("W-1", "1", "alice"))
    desk.tell(payment("t1", [("alice", COIN)], seconds=5))
    assert desk.cases(10_000).unsure == {}


@pytest.mark.parametrize(("seconds", "unsure"), [(86_399, False), (86_401, True)])
def test_a_source_that_fell_silent_explains_for_the_window_what_it_said_and_then_no_more(
    seconds: float, unsure: bool
) -> None:
    desk = Desk(window="1d")
    desk.approve(approval("W-1", "1", "alice"))
    desk.tell(payment("t1", [("alice", COIN)], seconds=seconds))
    assert desk.cases(seconds + 1) == Cases({}, {"hot": ("approvals:books",)} if unsure else {})


def test_a_source_without_an_age_is_never_current() -> None:
    desk = Desk()
    desk.book.configured(replace(grounds(desk.inventory), sources={BOOKS: None}))
    desk.ask(seconds=0)
    desk.tell(payment("t1", [("thief", 3)], seconds=5))
    assert desk.cases(6).unsure == {"hot": ("approvals:books",)}


def test_an_approval_that_comes_late_ends_the_case() -> None:
    desk = Desk()
    desk.tell(payment("t1", [("alice", COIN)], seconds=5))
    assert desk.unmatched(60) == ["t1"]
    desk.approve(approval("W-1", "1", "alice", seconds=50), seconds=61)
    assert desk.unmatched(62) == []


@pytest.mark.parametrize(("given", "explains"), [(600.0, True), (601.0, False), (-86_400.0, True), (-86_401.0, False)])
def test_an_approval_is_of_the_payments_time(given: float, explains: bool) -> None:
    desk = Desk()
    desk.approve(approval("W-1", "1", "alice", seconds=given), seconds=0)
    desk.tell(payment("t1", [("alice", COIN)], seconds=0))
    assert (desk.unmatched(700) == []) is explains


@pytest.mark.parametrize(("fee", "units", "explains"), [
    ("0.1", COIN, True),
    ("0.1", COIN * 9 // 10, True),
    ("0.1", COIN * 95 // 100, False),
    (None, COIN - 1_000, True),
    (None, COIN - 1_001, False),
])  # fmt: skip
def test_fees_are_taken_from_the_amount_or_not(fee: str | None, units: int, explains: bool) -> None:
    """What the approval states; where it states none, the network's of a transaction that pays nobody else."""
    desk = Desk()
    desk.approve(approval("W-1", "1", "alice", fee=fee))
    desk.tell(payment("t1", [("alice", units)], seconds=5, fee=1_000))
    assert (desk.unmatched(100) == []) is explains


def test_the_network_fee_of_a_batch_is_nobodys() -> None:
    desk = Desk()
    desk.approve(approval("W-1", "1", "alice"), approval("W-2", "1", "bob"))
    desk.tell(payment("t1", [("alice", COIN - 1_000), ("bob", COIN)], seconds=5, fee=1_000))
    assert desk.unmatched(100) == ["t1"]


def test_what_the_books_keep_is_known_up_to_a_most() -> None:
    desk = Desk(fees={"BTC": "0.0005"})
    desk.approve(approval("W-1", "1", "alice"), approval("W-2", "1", "bob"))
    desk.tell(payment("t1", [("alice", COIN - 50_000), ("bob", COIN - 50_001)], seconds=5))
    desk.ask(seconds=100)
    (case,) = desk.cases(100).by_wallet["hot"]
    assert list(case.facts["unmatched"]) == ["bob"]


def test_a_tolerance_counts_both_ways() -> None:
    desk = Desk(tolerance="0.01")
    desk.approve(*(approval(f"W-{n}", "1", f"c{n}") for n in range(4)))
    amounts = [COIN * 101 // 100, COIN * 99 // 100, COIN * 101 // 100 + 1, COIN * 99 // 100 - 1_001]
    desk.tell(*(payment(f"t{n}", [(f"c{n}", units)], seconds=5) for n, units in enumerate(amounts)))
    assert sorted(desk.unmatched(100)) == ["t2", "t3"]


def test_a_batch_is_matched_destination_by_destination() -> None:
    desk = Desk()
    desk.approve(*(approval(f"W-{n}", 1000 + n, f"c{n}") for n in range(200)))
    desk.tell(payment("t1", [(f"c{n}", 1000 + n) for n in range(200)], seconds=5))
    assert desk.unmatched(100) == []


def test_several_approvals_may_be_paid_as_one() -> None:
    desk = Desk()
    desk.approve(approval("W-1", "1", "alice"), approval("W-2", "2", "alice"), approval("W-3", "4", "alice"))
    desk.tell(payment("t1", [("alice", 5 * COIN)], seconds=5), payment("t2", [("alice", 2 * COIN)], seconds=6))
    assert desk.unmatched(100) == []


def test_the_same_withdrawal_approved_twice_is_paid_twice() -> None:
    desk = Desk()
    desk.approve(approval("W-1", "1", "alice"), approval("W-2", "1", "alice"))
    desk.tell(payment("t1", [("alice", COIN)], seconds=5), payment("t2", [("alice", COIN)], seconds=6))
    assert desk.unmatched(100) == []


def test_one_that_left_twice_is_called_so_with_its_first_transaction() -> None:
    desk = Desk()
    desk.approve(approval("W-17", "1", "alice"))
    desk.tell(payment("t1", [("alice", COIN)], seconds=5), payment("t2", [("alice", COIN)], seconds=6))
    desk.ask(seconds=100)
    (case,) = desk.cases(100).by_wallet["hot"]
    assert case.says == "approval W-17 left twice: first in t1"
    assert case.facts["left_twice"] == {"W-17": "t1"}


def test_an_approval_is_not_split_in_two() -> None:
    desk = Desk()
    desk.approve(approval("W-1", "1", "alice"))
    desk.tell(*(payment(f"t{n}", [("alice", COIN // 2)], seconds=5) for n in range(2)))
    assert sorted(desk.unmatched(100)) == ["t0", "t1"]


def test_a_payment_makes_room_for_another_that_nothing_else_explains() -> None:
    """With its fee included it fits the larger one, which alone explains the next payment."""
    desk = Desk()
    desk.approve(approval("W-1", "1", "alice"))
    desk.tell(payment("t1", [("alice", COIN - 1_000)], seconds=5, fee=1_000))
    desk.approve(approval("W-2", COIN - 1_000, "alice"), seconds=6)
    desk.tell(payment("t2", [("alice", COIN)], seconds=7))
    assert desk.unmatched(100) == []


def test_a_sum_is_taken_apart_again_where_all_can_be_explained() -> None:
    desk = Desk()
    desk.approve(approval("W-1", "1", "alice"), approval("W-2", "2", "alice"))
    desk.tell(payment("t1", [("alice", 3 * COIN)], seconds=5))
    desk.approve(approval("W-3", "3", "alice", seconds=6), seconds=6)
    desk.tell(payment("t2", [("alice", COIN)], seconds=7), payment("t3", [("alice", 2 * COIN)], seconds=7))
    assert desk.unmatched(100) == []


def test_a_replacement_takes_the_approval_over_in_whatever_order_it_is_told() -> None:
    for order in ((0, 1), (1, 0)):
        desk = Desk(grace="0s")
        desk.approve(approval("W-1", "1", "alice"))
        first = payment("t1", [("alice", COIN)], seconds=5)
        desk.tell(first)
        news = [
            at_stage(first, Stage.REPLACED, seconds=20, replaced_by="t2"),
            payment("t2", [("alice", COIN)], seconds=20),
        ]
        desk.tell(*(news[n] for n in order))
        assert desk.unmatched(21) == []


def test_what_left_the_mempool_gives_its_approval_back() -> None:
    desk = Desk()
    desk.approve(approval("W-1", "1", "alice"))
    first = payment("t1", [("alice", COIN)], seconds=5)
    desk.tell(first, at_stage(first, Stage.EVICTED, seconds=9), payment("t2", [("alice", COIN)], seconds=10))
    assert desk.unmatched(100) == []


def test_one_that_comes_back_after_another_took_its_approval_left_twice() -> None:
    desk = Desk()
    desk.approve(approval("W-1", "1", "alice"))
    first = payment("t1", [("alice", COIN)], seconds=5)
    desk.tell(first, at_stage(first, Stage.EVICTED, seconds=9), payment("t2", [("alice", COIN)], seconds=10))
    desk.tell(at_stage(first, Stage.MINED, seconds=20))
    assert desk.unmatched(100) == ["t1"]


def test_mined_later_it_is_the_same_case() -> None:
    desk = Desk()
    first = payment("t1", [("thief", COIN)], seconds=5)
    desk.tell(first)
    assert desk.unmatched(60) == ["t1"]
    desk.tell(at_stage(first, Stage.MINED, seconds=70))
    assert desk.unmatched(80) == ["t1"]


def test_a_mined_case_ends_after_keep_and_a_pending_one_does_not() -> None:
    desk = Desk(keep="1h")
    first, second = payment("t1", [("thief", 1)], seconds=5), payment("t2", [("thief", 1)], seconds=5)
    desk.tell(first, second, at_stage(first, Stage.MINED, seconds=100))
    assert sorted(desk.unmatched(3_699)) == ["t1", "t2"]
    assert desk.unmatched(3_700) == ["t2"]
    assert desk.unmatched(500_000) == ["t2"]


def test_a_struck_approval_lingers_for_a_while() -> None:
    for seen, explains in ((700.0, True), (701.0, False)):
        desk = Desk()
        desk.approve(approval("W-1", "1", "alice"))
        desk.strike("W-1", seconds=100)
        desk.tell(payment("t1", [("alice", COIN)], seconds=seen))
        assert (desk.unmatched(seen + 60) == []) is explains


def test_announced_units_need_no_approval() -> None:
    desk = Desk()
    one = payment("t1", [("vault", 10), ("thief", 1)], seconds=5)
    desk.tell(one)
    matches = desk.detection._detectors["unmatched-outflow"]
    told = next(iter(desk.detection._told.values()))
    matches.take(replace(told, covered=11, announced={"vault": 10, "thief": 1}))
    assert desk.unmatched(100) == []
    matches.take(replace(told, covered=10, announced={"vault": 10}))
    assert desk.unmatched(101) == ["t1"]


def test_what_the_reader_does_not_list_is_unmatched() -> None:
    desk = Desk()
    desk.approve(approval("W-1", "1", "alice"))
    one = payment("t1", [("alice", COIN)], seconds=5)
    hidden = replace(one, movement=replace(one.movement, changes=((one.movement.changes[0][0], -COIN - 1_007),)))
    desk.tell(hidden)
    desk.ask(seconds=100)
    (case,) = desk.cases(100).by_wallet["hot"]
    assert case.facts["unmatched_total"] == "0.00000007"


def test_an_approval_for_another_chain_explains_nothing() -> None:
    desk = Desk()
    desk.approve(replace(approval("W-1", "1", "alice"), chain="other"))
    desk.tell(payment("t1", [("alice", COIN)], seconds=5))
    assert desk.unmatched(100) == ["t1"]


def test_a_destination_that_no_chain_reads_is_told_once() -> None:
    desk = Desk()
    desk.approve(approval("W-1", "1", "not an address"))
    desk.approve(approval("W-2", "1", "alice"))
    assert desk.book.problems() == ["approval W-1 of books can never match: is no address"]
    assert desk.book.problems() == []
    assert MOST_TOLD > 0


def test_a_source_that_is_not_configured_is_not_heard() -> None:
    desk = Desk()
    said = Approved((BOOKS[0], "stranger"), (approval("W-1", "1", "alice"),), complete=True, asked=at(0))
    desk.book.take(said, now=at(0))
    desk.tell(payment("t1", [("alice", COIN)], seconds=5))
    assert desk.unmatched(100) == ["t1"]


def test_an_edit_after_it_was_used_makes_it_neither_free_nor_a_case() -> None:
    desk = Desk()
    desk.approve(approval("W-1", "1", "alice"))
    desk.tell(payment("t1", [("alice", COIN)], seconds=5))
    desk.approve(approval("W-1", "2", "alice"), seconds=6)
    desk.tell(payment("t2", [("alice", 2 * COIN)], seconds=7))
    assert desk.unmatched(100) == ["t2"]


def test_after_a_restart_nothing_is_matched_anew_and_what_left_twice_is_known() -> None:
    desk = Desk()
    desk.approve(approval("W-1", "1", "alice"), approval("W-2", "1", "bob"))
    paid = payment("t1", [("alice", COIN), ("bob", COIN)], seconds=5)
    desk.tell(paid)
    desk.strike("W-2", seconds=50)
    later = desk.restarted([paid], rows=desk.book.changed(), seconds=4_000)
    assert later.unmatched(4_001) == [], "W-2 is not named any more, and its payment is explained all the same"
    later.tell(payment("t2", [("alice", COIN)], seconds=4_002))
    later.ask(seconds=4_100)
    (case,) = later.cases(4_100).by_wallet["hot"]
    assert case.says == "approval W-1 left twice: first in t1"


def test_a_case_outlives_a_restart() -> None:
    desk = Desk()
    stolen = payment("t1", [("thief", COIN)], seconds=5)
    desk.tell(stolen)
    assert desk.unmatched(60) == ["t1"]
    later = desk.restarted([stolen], rows=desk.book.changed(), seconds=90_000)
    assert later.cases(90_000).unsure == {"hot": ("approvals:books",)}
    assert later.unmatched(90_001) == ["t1"]


def test_rows_that_cannot_be_read_are_refused() -> None:
    desk = Desk()
    with pytest.raises(ValueError, match="used books W-1 can't be read"):
        desk.book.restore({"unmatched-outflow used books W-1": "{}"})


def test_rows_tell_only_what_changed() -> None:
    desk = Desk()
    desk.approve(approval("W-1", "1", "alice"))
    one = payment("t1", [("alice", COIN)], seconds=5)
    desk.tell(one)
    assert [key for key, row in desk.book.changed().items() if row] == [
        "unmatched-outflow began",
        "unmatched-outflow used books W-1",
    ]
    assert desk.book.changed() == {}
    desk.tell(at_stage(one, Stage.EVICTED, seconds=9))
    assert desk.book.changed() == {"unmatched-outflow used books W-1": None}


def test_payments_of_a_time_before_the_rule_are_not_judged() -> None:
    desk = Desk()
    desk.book.tick(at(1_000))
    old = payment("t1", [("alice", COIN)], seconds=500)
    desk.detection = desk.made()
    fresh = Desk()
    fresh.book.tick(at(1_000))
    fresh.book.keep_only([])
    fresh.detection = fresh.made()
    fresh.tell(old)
    assert fresh.unmatched(1_100) == []


def test_a_changed_rule_goes_on_with_what_was_matched() -> None:
    desk = Desk()
    desk.approve(approval("W-1", "1", "alice"))
    one = payment("t1", [("alice", COIN)], seconds=5)
    desk.tell(one)
    desk.strike("W-1", seconds=10)
    older, desk.rule = desk.detection, desk.rule.model_copy(update={"tolerance": desk.rule.tolerance + 0})
    desk.rule = type(desk.rule).model_validate({"kind": "unmatched_outflow", "grace": "20s"})
    desk.detection = desk.made().taking_over(older, recent=[one])
    assert desk.unmatched(5_000) == []


def test_what_is_settled_is_forgotten_after_the_window() -> None:
    desk = Desk(window="1h", late="0s")
    for n in range(50):
        desk.approve(approval(f"W-{n}", "1", "alice", seconds=n * 1_000), seconds=n * 1_000)
        one = payment(f"t{n}", [("alice", COIN)], seconds=n * 1_000)
        desk.tell(one, at_stage(one, Stage.MINED, seconds=n * 1_000 + 1))
        assert desk.unmatched(n * 1_000 + 20) == []
    matches = desk.book.matcher("unmatched-outflow")
    assert len(desk.book) <= 8
    assert getattr(matches, "size", None) == 4
