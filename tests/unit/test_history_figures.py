"""Snapshots merge in any grouping to the same, and lose no bound by it."""

from datetime import timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.history.figure import Figure, Judged, Snapshot, decode, encode, merged
from daemon.history.snapshot import snapshot_of
from daemon.interval import Interval
from tests.build import ETHER, NOON, at, two_tiers
from tests.reported import report

MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)
KEY = ("hot_share", "all")

numbers = st.decimals(0, 10**40, places=18, allow_nan=False)


@st.composite
def figures(draw: st.DrawFn) -> Figure:
    low, value, high = sorted(draw(st.tuples(numbers, numbers, numbers)))
    known = draw(st.booleans())
    bounded = known or draw(st.booleans())
    return Figure(low, value if known else None, high if bounded else None, 60 * known, 60 * (not known))


def snapshot(minute: int, *figure: Figure, judged: Judged | None = None) -> Snapshot:
    said = {} if judged is None else {("share", "all"): judged}
    return Snapshot(NOON + minute * MINUTE, MINUTE, dict.fromkeys([KEY], figure[0]) if figure else {}, said)


@given(figures(), figures(), figures())
def test_merging_is_associative(one: Figure, two: Figure, three: Figure) -> None:
    assert (one + two) + three == one + (two + three)


@given(st.lists(figures(), min_size=1), st.data())
def test_any_grouping_gives_the_same_hour(found: list[Figure], data: st.DataObject) -> None:
    minutes = [snapshot(number, figure) for number, figure in enumerate(found)]
    cut = data.draw(st.integers(0, len(minutes)))
    halves = [merged(part, at=NOON, grain=HOUR) for part in (minutes[:cut], minutes[cut:])]
    assert merged(halves, at=NOON, grain=HOUR) == merged(minutes, at=NOON, grain=HOUR)


@given(st.lists(figures(), min_size=1))
def test_the_bounds_of_a_merger_hold_those_of_its_parts_and_no_second_is_lost(found: list[Figure]) -> None:
    whole = merged((snapshot(n, figure) for n, figure in enumerate(found)), at=NOON, grain=HOUR).figures[KEY]
    assert whole.low == min(one.low for one in found)
    assert (whole.high is None) == any(one.high is None for one in found)
    assert whole.value == found[-1].value
    assert whole.known + whole.unknown == 60 * len(found)


def test_a_figure_that_is_missing_in_a_part_is_not_taken_for_known() -> None:
    one = Figure(Decimal(1), Decimal(1), Decimal(1), 60, 0)
    whole = merged([snapshot(0, one), snapshot(1)], at=NOON, grain=HOUR)
    assert whole.figures[KEY].known == 60


def test_verdicts_add_up_to_seconds() -> None:
    parts = [snapshot(0, judged=Judged(breach=60)), snapshot(1, judged=Judged(ok=60)), snapshot(2)]
    assert merged(parts, at=NOON, grain=HOUR).judged == {("share", "all"): Judged(ok=60, breach=60)}


@given(figures())
def test_what_is_stored_comes_back_digit_by_digit(figure: Figure) -> None:
    whole = snapshot(0, figure, judged=Judged(1, 2, 3))
    assert decode(encode(whole), at=whole.at, grain=whole.grain) == whole


@pytest.mark.parametrize("text", ["{}", "[]", '{"figures":{"a b":[1]},"judged":{}}', '{"figures":{"a b":"x"}}'])
def test_what_is_no_snapshot_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"no snapshot|values to unpack"):
        decode(text, at=NOON, grain=MINUTE)


def test_a_picture_becomes_figures_with_their_seconds() -> None:
    inv, ledger = two_tiers(1 * ETHER, 2 * ETHER)
    found = snapshot_of(report(ledger, inv), at=NOON, grain=MINUTE).figures
    third = Decimal("0.333333333333333333")
    assert found["hot_share", "all"] == Figure(third, third, third, 60, 0)
    assert found["holdings", "ETH/cold/customer"].value == 2
    assert found["exposure", "all"].value == 500_000
    assert found["price", "ETH"].value == 500_000


def test_what_is_unknown_stays_so_with_its_bounds() -> None:
    inv, ledger = two_tiers(1 * ETHER, 2 * ETHER)
    stale = report(ledger, inv, seconds=100)
    found = snapshot_of(stale, at=at(60), grain=MINUTE).figures
    assert found["holdings", "ETH/hot/customer"] == Figure(Decimal(0), None, Decimal(2), 0, 60)
    assert Interval(*[getattr(found["hot_share", "all"], name) for name in ("low", "value", "high")]).value is None
