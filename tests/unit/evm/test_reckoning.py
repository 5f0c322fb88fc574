"""What of balances is left when movements are taken away."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from connectors.base import Movement, Stage, Unread
from connectors.errors import Reason
from connectors.evm.reckoning import Reckoning
from tests.unit.evm.crafted import COIN, COLD, HOT, SAFE, WATCH, tip, update


def moved(**units: int) -> Movement:
    accounts = {"hot": HOT, "cold": COLD, "safe": SAFE}
    changes = tuple((accounts[name], value) for name, value in units.items())
    return Movement("0x1", COIN, Stage.MINED, tip(1), changes, 0, (), (), None, 0)


def begun(**units: int) -> Reckoning:
    reckoning = Reckoning(WATCH)
    reckoning.balances(update(tip(0), complete=True, **{"hot": 100, "cold": 100, "safe": 100, **units}))
    reckoning.settle()
    return reckoning


def test_the_first_balances_leave_nothing() -> None:
    assert begun().rests() == {}


def test_what_movements_explain_leaves_nothing_and_what_they_do_not_is_the_rest() -> None:
    reckoning = begun()
    reckoning.balances(update(tip(1), hot=90, cold=105))
    reckoning.told([moved(hot=-10, cold=3)])
    assert reckoning.rests() == {COIN: {COLD: 2}}


def test_a_movement_that_no_balance_shows_is_the_rest_as_well() -> None:
    reckoning = begun()
    reckoning.balances(update(tip(1)))
    reckoning.told([moved(safe=-7)])
    assert reckoning.rests() == {COIN: {SAFE: 7}}


def test_what_was_settled_is_not_left_again() -> None:
    reckoning = begun()
    reckoning.balances(update(tip(1), hot=90))
    reckoning.settle()
    assert reckoning.rests() == {}


def test_what_is_undone_comes_back() -> None:
    reckoning = begun()
    reckoning.balances(update(tip(1), hot=90))
    reckoning.told([moved(hot=-10)])
    reckoning.settle()
    reckoning.told([moved(hot=-10)], undone=True)
    reckoning.balances(update(tip(1), complete=True, hot=100, cold=100, safe=100))
    assert reckoning.rests() == {}


def test_of_an_account_that_can_not_be_read_the_rest_waits_until_it_can() -> None:
    reckoning = begun()
    away = replace(update(tip(1)), unread=(Unread(HOT, COIN, Reason.TIMEOUT, ""),))
    reckoning.balances(away)
    reckoning.told([moved(hot=-10)])
    assert reckoning.rests() == {}
    reckoning.settle()
    reckoning.balances(update(tip(2), hot=85))
    assert reckoning.rests() == {COIN: {HOT: -5}}


def test_an_account_that_is_read_for_the_first_time_leaves_nothing() -> None:
    reckoning = Reckoning(WATCH)
    reckoning.balances(replace(update(tip(0), complete=True, hot=1), unread=(Unread(COLD, COIN, Reason.TIMEOUT, ""),)))
    reckoning.settle()
    reckoning.told([moved(cold=-10)])
    reckoning.settle()
    reckoning.balances(update(tip(1), cold=85))
    assert reckoning.rests() == {}
    reckoning.settle()
    reckoning.balances(update(tip(2), cold=80))
    assert reckoning.rests() == {COIN: {COLD: -5}}


steps = st.lists(st.tuples(st.integers(0, 50), st.integers(0, 50), st.integers(-9, 9), st.booleans()), max_size=12)


@given(steps)
def test_rests_and_movements_together_are_what_balances_changed_by(steps: list[tuple[int, int, int, bool]]) -> None:
    reckoning = begun(hot=0, cold=0)
    told = {HOT: 0, COLD: 0}
    for number, (hot, cold, known, read) in enumerate(steps):
        seen = update(tip(number), hot=hot, cold=cold)
        unread = (Unread(HOT, COIN, Reason.TIMEOUT, ""),)
        reckoning.balances(seen if read else replace(seen, held=seen.held[1:], unread=unread))
        reckoning.told([moved(hot=known)])
        told[HOT] += known
        for account, units in reckoning.rests().get(COIN, {}).items():
            told[account] += units
        reckoning.settle()
        assert told[COLD] == cold
        assert told[HOT] == hot or not read
