"""Whom we have paid: counted once, taken back, bounded, and the same after a restart."""

import json
import tracemalloc
from collections.abc import Iterable
from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.base import Party, Stage, Token
from daemon.detection import payees as module
from daemon.detection.destinations import Destinations
from daemon.detection.outflow import Key, Outflow
from daemon.detection.payees import EARLY, OFTEN, Payees, Stock
from daemon.model import Tier
from tests.build import ETH, USDT, address, at, inventory, wallet

KNOWN = Destinations(inventory(wallet("hot", Tier.HOT, 1)), {("ethereum", address(9)): "broker"})
HOLDS = Stock(1000, 2000)


def holding() -> Payees:
    return Payees(held=lambda wallet, token: HOLDS)


def paid(
    name: str, *to: str, units: int = 5, seconds: float = 0, token: Token = ETH, stage: Stage = Stage.PENDING
) -> Outflow:
    return Outflow(
        key=Key(name, token),
        wallet="hot",
        payers=("hot",),
        asset="ETH" if token == ETH else "USDT",
        units=units * len(to),
        destinations=tuple(Party(one, units) for one in to),
        unlisted=0,
        fee=1,
        change=0,
        stage=stage,
        tip=None,
        first_seen=at(seconds),
        since=at(seconds),
    )


def first(payees: Payees, name: str) -> str | None:
    found = payees.first(f"ethereum {name}")
    return found.transaction if found else None


def test_the_first_payment_is_remembered_with_what_was_held_then() -> None:
    payees = holding()
    assert payees.take(paid("a", "x"), known=KNOWN) == HOLDS
    payees.take(paid("b", "x", seconds=5), known=KNOWN)
    found = payees.first("ethereum x")
    assert found is not None
    assert (found.transaction, found.units, found.at, found.held) == ("a", 5, at(0), HOLDS)


def test_of_a_mined_payment_what_it_took_is_added_to_what_is_held() -> None:
    assert holding().take(paid("a", "x", stage=Stage.MINED), known=KNOWN) == Stock(1006, 2006)


def test_what_was_held_stays_what_it_was_when_the_payment_was_first_told() -> None:
    payees = holding()
    payees.take(paid("a", "x"), known=KNOWN)
    payees.held = lambda wallet, token: Stock(0, 0)
    assert payees.take(paid("a", "x", stage=Stage.MINED), known=KNOWN) == HOLDS


@pytest.mark.parametrize("name", ["unknown", address(1), address(9)], ids=["unknown", "our own", "allowed"])
def test_whoever_is_known_or_has_no_name_is_not_remembered(name: str) -> None:
    payees = holding()
    payees.take(paid("a", name), known=KNOWN)
    assert first(payees, name) is None
    assert payees.changed() == {}


def test_the_earlier_one_is_the_first_in_whatever_order_they_are_told() -> None:
    payees = holding()
    payees.take(paid("late", "x", seconds=9), known=KNOWN)
    payees.take(paid("early", "x", seconds=1), known=KNOWN)
    assert first(payees, "x") == "early"


def test_units_that_an_announcement_explains_later_do_not_count() -> None:
    payees = holding()
    one = paid("a", "x")
    payees.take(one, known=KNOWN)
    payees.take(replace(one, covered=5, announced={"x": 5}), known=KNOWN)
    found = payees.first("ethereum x")
    assert found is not None
    assert found.units == 0


def test_told_by_two_rules_and_at_two_stages_a_payment_counts_once() -> None:
    payees = holding()
    for _ in range(OFTEN):
        one = paid("a", "x")
        payees.take(one, known=KNOWN)
        payees.take(one, known=KNOWN)
        payees.take(paid("a", "x", stage=Stage.MINED), known=KNOWN)
    assert not payees.is_usual("ethereum", "x")


@pytest.mark.parametrize("told", [1, 2])
def test_what_is_taken_back_never_happened(told: int) -> None:
    payees = holding()
    for number in range(OFTEN):
        payees.take(paid(f"a{number}", "x", seconds=number), known=KNOWN)
    assert payees.is_usual("ethereum", "x")
    for _ in range(told):
        payees.withdraw(Key("a0", ETH))
    assert not payees.is_usual("ethereum", "x")
    assert first(payees, "x") == "a1"
    payees.withdraw(Key("a1", ETH))
    payees.withdraw(Key("a2", ETH))
    assert first(payees, "x") is None


def test_two_tokens_of_one_transaction_are_two_payments() -> None:
    payees = holding()
    payees.take(paid("a", "x"), known=KNOWN)
    payees.take(paid("a", "x", token=USDT), known=KNOWN)
    payees.withdraw(Key("a", ETH))
    found = payees.first("ethereum x")
    assert found is not None
    assert found.asset == "USDT"


def test_whoever_is_paid_most_recently_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST", 3)
    payees = holding()
    for number, name in enumerate("abcad"):
        payees.take(paid(f"p{number}", name, seconds=number), known=KNOWN)
    assert [first(payees, name) for name in "abcd"] == ["p0", None, "p2", "p4"]


def test_of_a_payment_that_names_somebody_twice_the_one_named_first_stays_the_older_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "MOST", 2)
    payees = holding()
    for stage in (Stage.PENDING, Stage.MINED):
        payees.take(paid("a", "x", "y", "x", stage=stage), known=KNOWN)
    payees.take(paid("b", "z", seconds=1), known=KNOWN)
    assert [first(payees, name) for name in "xyz"] == [None, "a", "b"]


class Thorough(Payees):
    """Enters every payment as if it were the first word of it."""

    def _again(self, rows: Iterable[str]) -> bool:
        return False


TOLD = st.lists(
    st.tuples(
        st.sampled_from("abc"),
        st.lists(st.sampled_from("wxyz"), min_size=1, max_size=4),
        st.integers(1, 2),
        st.sampled_from((Stage.PENDING, Stage.MINED)),
        st.sampled_from((HOLDS, Stock(0, None), Stock(7, 7))),
        st.sampled_from(("take", "take", "take", "twice", "withdraw", "look")),
    ),
    max_size=30,
)


@given(TOLD)
def test_a_payment_that_is_told_again_as_it_was_leaves_what_entering_it_anew_would_leave(
    told: list[tuple[str, list[str], int, Stage, Stock, str]],
) -> None:
    """Also for one who says that it pays what it paid, and where payees and payments are forgotten in between."""
    quick, thorough, last = holding(), Thorough(held=holding().held), dict[Key, Outflow]()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "MOST", 3)
        patch.setattr(module, "MOST_TOLD", 2)
        for name, to, units, stage, held, act in told:
            one = paid(name, *to, units=units, seconds=ord(name), stage=stage)
            quick.held = thorough.held = lambda wallet, token, held=held: held  # type: ignore[misc]
            before = last.pop(one.key, None)
            again = before is not None and one.pays_as(before)
            if act == "withdraw":
                quick.withdraw(one.key)
                thorough.withdraw(one.key)
            else:
                for _ in range(2 if act == "twice" else 1):
                    assert quick.take(one, known=KNOWN, again=again) == thorough.take(one, known=KNOWN)
                    assert quick.strangers == thorough.strangers
                last[one.key] = one
            if act == "look":
                assert list(quick.changed().items()) == list(thorough.changed().items())
    for probe in "bcde":  # what is forgotten next tells who is the oldest
        for payees in (quick, thorough):
            payees.take(paid(probe, probe, seconds=500), known=KNOWN)
        assert list(quick.changed().items()) == list(thorough.changed().items())


def test_forgotten_usual_ones_are_not_compared_with_any_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST", 1)
    usual = "0x" + "a" * 40
    payees = holding()
    for number in range(OFTEN):
        payees.take(paid(f"p{number}", usual), known=KNOWN)
    fake = "0x" + "a" * 18 + "b" + "a" * 21
    assert KNOWN.looks_like("ethereum", fake, usual=payees.usual) is not None
    payees.take(paid("q", "x"), known=KNOWN)
    assert KNOWN.looks_like("ethereum", fake, usual=payees.usual) is None


# Over a restart.


def test_rows_that_changed_are_given_once_and_none_for_what_is_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST", 1)
    payees = holding()
    payees.take(paid("a", "x"), known=KNOWN)
    [(key, row)] = payees.changed().items()
    assert key == "ethereum x"
    assert json.loads(row or "") == [1, [["a", None, "ETH", 18, 5, "2026-11-23T12:00:00+00:00", 1000, 2000]]]
    assert payees.changed() == {}
    payees.take(paid("b", "y"), known=KNOWN)
    changed = payees.changed()
    assert changed.keys() == {"ethereum x", "ethereum y"}
    assert changed["ethereum x"] is None


def test_what_came_and_went_between_two_looks_is_no_row(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST", 1)
    payees = holding()
    for number in range(10):
        payees.take(paid(f"a{number}", f"x{number}"), known=KNOWN)
    assert payees.changed().keys() == {"ethereum x9"}


def test_a_usual_payee_changes_no_row_any_more() -> None:
    payees = holding()
    for number in range(EARLY):
        payees.take(paid(f"a{number}", "x"), known=KNOWN)
    payees.changed()
    payees.take(paid("b", "x"), known=KNOWN)
    assert payees.changed() == {}


def paying(name: str, told: Iterable[Outflow]) -> int:
    return sum(any(party.name == name for party in one.destinations) for one in told)


OPERATIONS = st.lists(
    st.tuples(st.sampled_from("abcdefgh"), st.lists(st.sampled_from("xyz"), min_size=1, unique=True), st.booleans()),
    max_size=25,
)


@given(OPERATIONS, st.integers(0, 25))
def test_after_a_restart_that_tells_recent_payments_again_everything_is_as_without_one(
    operations: list[tuple[str, list[str], bool]], restart: int
) -> None:
    """Payments told again after it count no second time; the rows are those of all looks before it together.

    Of a payee only EARLY payments are remembered one by one: where there were more at once, those beyond count again,
    which is seen when they are taken back.
    """
    most = dict.fromkeys("xyz", 0)
    through, rows, stopped = holding(), dict[str, str | None](), holding()
    told: dict[Key, Outflow] = {}
    for number, (name, to, back) in enumerate(operations):
        if number == restart:
            rows |= stopped.changed()
            stopped = holding()
            stopped.restore({key: row for key, row in rows.items() if row is not None})
            for one in told.values():
                stopped.take(one, known=KNOWN)
        one = paid(name, *to, seconds=ord(name))
        for payees in (through, stopped):
            if back:
                payees.withdraw(one.key)
            else:
                payees.take(one, known=KNOWN)
        told.pop(one.key, None)
        if not back:
            told[one.key] = one
        most = {to: max(before, paying(to, told.values())) for to, before in most.items()}
    for name in "xyz":
        counted = paying(name, told.values())
        if counted < most[name] > EARLY:
            continue
        assert through.is_usual("ethereum", name) == stopped.is_usual("ethereum", name) == (counted >= OFTEN)
        if counted <= EARLY:
            assert first(through, name) == first(stopped, name)


@pytest.mark.parametrize("row", ["", "[]", "[1]", "{}", '[1, [["a"]]]', '["x", []]', "null"])
def test_a_row_that_cant_be_read_is_said(row: str) -> None:
    with pytest.raises(ValueError, match="ethereum x can't be read"):
        holding().restore({"ethereum x": row})


def test_a_payee_takes_at_most_the_bytes_that_are_stated() -> None:
    payees = holding()
    payees.take(paid("0", "x"), known=KNOWN)
    tracemalloc.start()
    for number in range(5000):
        payees.take(paid(f"0x{number:064x}", f"0x{number:040x}", seconds=number), known=KNOWN)
        payees._told.clear()
        payees.changed()
    size, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert size / 5000 < 160_000_000 / module.MOST
    assert timedelta(0) < at(5000) - at(0)
