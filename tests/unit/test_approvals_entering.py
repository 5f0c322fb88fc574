"""A large answer of the books is entered piece by piece: what counts meanwhile, and what of one that is left off."""

from collections.abc import Iterator

from daemon.detection.approval import Approval, Approved
from daemon.detection.approvals import AT_ONCE
from tests.build import at
from tests.matched import BOOKS, Desk, approval, grounds, payment


def answer(count: int, *, seconds: float = 1) -> Approved:
    """So many approvals of one bitcoin each, each for somebody else."""
    found: tuple[Approval, ...] = tuple(approval(f"w{n}", "1", f"customer{n}") for n in range(count))
    return Approved(BOOKS, found, complete=True, asked=at(seconds))


def steps(desk: Desk, said: Approved, *, seconds: float = 1) -> Iterator[None]:
    return desk.book.entering(said, now=at(seconds))


def test_a_small_answer_is_entered_without_a_pause() -> None:
    desk = Desk()
    assert list(steps(desk, answer(AT_ONCE))) == []
    assert (len(desk.book), desk.book.spoken) == (AT_ONCE, at(1))


def test_a_large_answer_pauses_after_each_piece_and_is_all_there_in_the_end() -> None:
    desk = Desk()
    known = [len(desk.book) for _ in steps(desk, answer(2 * AT_ONCE + 1))]
    assert known == [AT_ONCE, 2 * AT_ONCE]
    assert len(desk.book) == 2 * AT_ONCE + 1


def test_the_source_has_spoken_only_when_all_of_its_answer_is_entered() -> None:
    desk = Desk()
    spoken = [desk.book.spoken for _ in steps(desk, answer(2 * AT_ONCE))]
    assert spoken == [None]
    assert desk.book.spoken == at(1)


def test_a_payment_is_not_unmatched_while_its_approval_is_still_to_be_entered() -> None:
    desk = Desk(grace="0s")
    desk.approve()
    desk.tell(payment("t", [(f"customer{AT_ONCE}", 100_000_000)], seconds=2))
    entering = steps(desk, answer(AT_ONCE + 1, seconds=3), seconds=3)
    next(entering)
    assert not desk.cases(4).by_wallet
    assert list(entering) == []
    assert not desk.cases(5).by_wallet


def test_what_is_entered_so_far_can_be_used_by_a_payment() -> None:
    desk = Desk()
    entering = steps(desk, answer(AT_ONCE + 1))
    next(entering)
    desk.tell(payment("t", [("customer0", 100_000_000)], seconds=2))
    desk.push(seconds=60)
    assert not desk.cases(60).by_wallet


def test_an_answer_that_is_left_off_is_entered_whole_by_the_next() -> None:
    desk = Desk()
    said = answer(AT_ONCE + 1)
    next(steps(desk, said))
    assert list(steps(desk, said)) == [None]
    assert (len(desk.book), desk.book.spoken) == (AT_ONCE + 1, at(1))


def test_an_answer_of_a_source_that_a_reload_takes_away_meanwhile_goes_no_further() -> None:
    desk = Desk()
    entering = steps(desk, answer(AT_ONCE + 1))
    next(entering)
    desk.book.configured(grounds(desk.inventory, sources=()))
    assert list(entering) == []
    assert (len(desk.book), desk.book.spoken) == (AT_ONCE, None)


def test_what_an_answer_names_no_longer_is_gone_from_when_all_of_it_is_entered() -> None:
    desk = Desk()
    desk.approve(approval("old", "2", "customer-old"))
    entering = steps(desk, answer(AT_ONCE + 1, seconds=30), seconds=30)
    next(entering)
    assert desk.book.spoken == at(0)
    assert list(entering) == []
    desk.tell(payment("t", [("customer-old", 200_000_000)], seconds=30 + 601))
    assert desk.unmatched(30 + 700) == ["t"]
