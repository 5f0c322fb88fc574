"""Intervals: exact sums, honest bounds."""

from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.interval import NOTHING, ONE, UNKNOWN, ZERO, Interval, amount, plain, total

decimals = st.decimals(0, 10**40, allow_nan=False, allow_infinity=False, places=18)


@st.composite
def intervals_with_truth(draw: st.DrawFn) -> tuple[Interval, Decimal]:
    """An interval and a number that it may stand for."""
    low, truth, high = sorted(draw(st.lists(decimals, min_size=3, max_size=3)))
    kind = draw(st.sampled_from(["exact", "bounded", "open"]))
    if kind == "exact":
        return Interval.exactly(truth), truth
    return Interval(low, None, high if kind == "bounded" else None), truth


def holds(interval: Interval, truth: Fraction) -> bool:
    rounding = (1 + truth) / 10**200
    above = Fraction(interval.low) <= truth + rounding
    below = interval.high is None or truth <= Fraction(interval.high) + rounding
    return above and below and (interval.value is None or abs(Fraction(interval.value) - truth) <= rounding)


@given(intervals_with_truth(), intervals_with_truth())
def test_sums_products_and_shares_contain_the_truth(
    first: tuple[Interval, Decimal], second: tuple[Interval, Decimal]
) -> None:
    (a, x), (b, y) = first, second
    assert holds(a + b, Fraction(x) + Fraction(y))
    assert holds(a.times(b), Fraction(x) * Fraction(y))
    whole = Fraction(x) + Fraction(y)
    assert holds(a.share_with(b), Fraction(x) / whole if whole else Fraction(0))


@given(st.lists(st.integers(0, 2**256 - 1), max_size=20))
def test_sums_of_the_largest_token_amounts_are_exact(units: list[int]) -> None:
    summed = total(Interval.exactly(amount(item, decimals=18)) for item in units)
    assert summed.value is not None
    assert (
        summed.value.scaleb(18).as_integer_ratio() == (sum(units), 1) or sum(units) == Fraction(summed.value) * 10**18
    )


def test_one_wei_over_five_percent_of_the_largest_balance_is_over() -> None:
    whole = 2**256 // 20 * 20
    hot = whole // 20
    limit = Decimal("0.05")

    def share(part: int) -> Interval:
        rest = Interval.exactly(amount(whole - part, decimals=18))
        return Interval.exactly(amount(part, decimals=18)).share_with(rest)

    assert not share(hot).above(limit)
    assert share(hot).within(limit)
    assert share(hot + 1).above(limit)
    assert not share(hot + 1).within(limit)


def test_the_share_of_nothing_is_nothing_and_of_the_unknown_unknown() -> None:
    assert NOTHING.share_with(NOTHING) == NOTHING
    assert UNKNOWN.share_with(UNKNOWN) == Interval(ZERO, None, ONE)
    assert Interval.exactly(ONE).share_with(UNKNOWN) == Interval(ZERO, None, ONE)


def test_nothing_that_is_not_read_any_more_may_be_everything_but_nothing_that_is_read_is_nothing() -> None:
    lost = Interval(ZERO, None, ZERO)
    assert lost.share_with(Interval(ZERO, None, ONE)) == Interval(ZERO, None, ONE)
    assert lost.share_with(Interval.exactly(ONE)) == lost
    assert NOTHING.share_with(Interval(ZERO, None, ONE)) == lost


@given(intervals_with_truth(), intervals_with_truth())
def test_ratios_and_the_larger_and_smaller_of_two_contain_the_truth(
    first: tuple[Interval, Decimal], second: tuple[Interval, Decimal]
) -> None:
    (a, x), (b, y) = first, second
    if y:
        assert holds(a.over(b), Fraction(x) / Fraction(y))
    assert holds(a.at_least(b), Fraction(max(x, y)))
    assert holds(a.at_most(b), Fraction(min(x, y)))


def test_a_floor_or_a_cap_that_no_possibility_passes_is_known() -> None:
    between = Interval(ONE, None, Decimal(3))
    four, half = (Interval.exactly(Decimal(text)) for text in ("4", "0.5"))
    assert between.at_least(four) == UNKNOWN.at_most(four).at_least(four) == four
    assert between.at_most(half) == Interval(ONE, None, None).at_most(half) == half
    assert between.at_least(half) == between.at_most(four) == between


def test_what_was_nothing_and_is_unread_is_no_known_maximum_or_minimum() -> None:
    lost = Interval(ZERO, None, ZERO)
    assert lost.most is None
    assert lost.at_least(Interval.exactly(ONE)) == Interval(ONE, None, None)
    assert lost.at_most(Interval.exactly(ONE)) == Interval(ZERO, None, ONE)
    assert Interval.exactly(ONE).over(lost) == UNKNOWN


def test_a_ratio_to_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="nothing"):
        UNKNOWN.over(NOTHING)


def test_nothing_of_an_unpriced_asset_is_worth_nothing() -> None:
    assert NOTHING.times(UNKNOWN) == NOTHING
    assert Interval.exactly(ONE).times(UNKNOWN) == UNKNOWN


@pytest.mark.parametrize(
    ("value", "places", "text"),
    [
        ("0", 18, "0"),
        ("5.000", 18, "5"),
        ("100", 18, "100"),
        ("1E+3", 18, "1000"),
        ("0.0500000001", 18, "0.0500000001"),
        ("0.3333333333333333333333", 4, "0.3333"),
        ("123456789012345678901234567890.000000000000000001", 18, "123456789012345678901234567890.000000000000000001"),
    ],
)
def test_plain_text_has_no_exponent_and_no_idle_zeros(value: str, places: int, text: str) -> None:
    assert plain(Decimal(value), places=places) == text
