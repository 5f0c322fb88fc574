"""What of an answer is taken: of amounts all or nothing, of prices each by itself, and nothing that is not exact."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.feeds.checking import AHEAD, MOST_DIGITS, Expected, checked
from daemon.feeds.source import SUM, FeedError, Measure, Raw, Row, Unstated
from daemon.feeds.values import Answer, FeedReason
from daemon.interval import EXACT

NOW = datetime(2026, 11, 23, 9, tzinfo=UTC)
BOTH = frozenset(("BTC", "ETH"))
LIABILITIES = Expected(BOTH, BOTH, frozenset(("JPY",)), {"BTC": 8, "ETH": 18})
CUSTODIAN = Expected(BOTH, frozenset(), frozenset(), {"BTC": 8, "ETH": 18})
PRICES = Expected(BOTH, each_by_itself=True)
MONEY = Expected(frozenset((SUM,)), frozenset((SUM,)))


def rows(**numbers: object) -> list[Row]:
    return [Row(name, number) for name, number in numbers.items()]


def taken(given_rows: Sequence[Row], expected: Expected = LIABILITIES, *, at: datetime | None = None) -> Answer:
    return checked(Raw(given_rows, at=at), expected=expected, now=NOW)


def refused(given_rows: Sequence[Row], expected: Expected = LIABILITIES, *, at: datetime | None = None) -> str:
    with pytest.raises(FeedError) as caught:
        taken(given_rows, expected, at=at)
    assert caught.value.reason is FeedReason.BAD_ANSWER
    assert "\n" not in caught.value.detail
    return caught.value.detail


def test_a_good_answer_is_taken_as_it_is() -> None:
    assert taken(rows(BTC=Decimal("1.50"), ETH=3)) == Answer({"BTC": Decimal("1.50"), "ETH": Decimal(3)}, NOW)


def test_nothing_owed_is_a_good_answer() -> None:
    assert taken(rows(BTC=0, ETH=Decimal("0.00"))).values == {"BTC": 0, "ETH": 0}


def test_minus_nothing_is_nothing() -> None:
    assert str(taken(rows(BTC=Decimal("-0"), ETH=1)).values["BTC"]) == "0"


@pytest.mark.parametrize("text", ["1.5", "+1.5", "0.15e1", "15E-1", "1.500"])
def test_a_decimal_number_in_a_text_is_as_good(text: str) -> None:
    assert taken(rows(BTC=text, ETH=1)).values["BTC"] == Decimal("1.5")


def test_digits_may_be_grouped_as_in_a_configuration() -> None:
    assert taken(rows(BTC="30_000.5", ETH=1)).values["BTC"] == Decimal("30000.5")


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (-1, "BTC: -1 is negative"),
        (Decimal("-0.00000001"), "BTC: -1E-8 is negative"),
        (Decimal("NaN"), "BTC: not a finite number"),
        (Decimal("sNaN"), "BTC: not a finite number"),
        (Decimal("Infinity"), "BTC: not a finite number"),
        (Decimal("-Infinity"), "BTC: not a finite number"),
        ("NaN", "BTC: expected a number, found 'NaN'"),
        ("many", "BTC: expected a number, found 'many'"),
        ("", "BTC: expected a number, found ''"),
        ("1,5", "BTC: expected a number, found '1,5'"),
        ("0x10", "BTC: expected a number, found '0x10'"),
        ("１", "BTC: expected a number, found '１'"),
        ("1e9999", "BTC: expected a number, found '1e9999'"),
        (" 1", "BTC: expected a number, found ' 1'"),
        (None, "BTC: expected a number, found nothing"),
        (True, "BTC: expected a number, found true"),
        ([1], "BTC: expected a number, found a list"),
        ({"a": 1}, "BTC: expected a number, found a mapping"),
        (Unstated("it did not say"), "BTC: it did not say"),
        (10**80, "BTC: a whole number of more than 78 digits"),
        (Decimal("1E+60"), "BTC: a number of more than 50 digits before or after the point"),
        (Decimal("1E-60"), "BTC: a number of more than 50 digits before or after the point"),
        (Decimal("1E+999999999999"), "BTC: a number of more than 50 digits before or after the point"),
        (
            1.5,
            "BTC: a binary fraction, which is not exact; have it sent as a text, in SQL cast to NUMERIC or text",
        ),
    ],
)
def test_one_bad_number_refuses_the_whole_answer(number: object, words: str) -> None:
    assert refused(rows(ETH=1, BTC=number)) == words


def test_an_asset_that_stands_twice_refuses_the_whole_answer() -> None:
    assert refused([*rows(BTC=1, ETH=1), Row("BTC", 1)]) == "BTC stands twice"


def test_a_missing_asset_refuses_the_whole_answer() -> None:
    assert refused(rows(BTC=1)) == "says nothing of ETH"


def test_several_missing_assets_are_counted() -> None:
    three = Expected(frozenset("ABC"), frozenset("ABC"))
    assert refused(rows(A=1), three) == "says nothing of B and 1 more"


def test_an_answer_without_rows_is_refused() -> None:
    assert refused([]) == "it says nothing of what was asked for"


def test_a_name_that_nobody_knows_refuses_the_whole_answer() -> None:
    assert refused(rows(BTC=1, ETH=1, DOGE=1)).startswith("'DOGE' is none of what it is to speak of")


def test_a_long_name_is_not_repeated() -> None:
    assert "a text of 5000 characters" in refused([*rows(BTC=1, ETH=1), Row("x" * 5000, 1)])


@pytest.mark.parametrize("name", [None, 7, ["BTC"], b"BTC"])
def test_a_name_that_is_no_text_refuses_the_whole_answer(name: object) -> None:
    assert refused([*rows(BTC=1, ETH=1), Row(name, 1)]).startswith("expected a text as the name")


def test_an_ignored_name_is_dropped_whatever_its_number() -> None:
    assert taken([*rows(BTC=1, ETH=1), Row("JPY", "much"), Row("JPY", -1)]).values.keys() == BOTH


def test_a_custodian_may_keep_one_asset_only() -> None:
    assert taken(rows(BTC=1), CUSTODIAN).values == {"BTC": 1}


def test_a_custodian_that_keeps_nothing_must_say_so() -> None:
    assert refused([], CUSTODIAN) == "it says nothing of what was asked for"


def test_units_become_coins_exactly() -> None:
    unit = [Row("BTC", 2_100_000_000_000_001, Measure.UNITS), Row("ETH", "1", Measure.UNITS)]
    assert taken(unit).values == {"BTC": Decimal("21000000.00000001"), "ETH": Decimal("1E-18")}


@pytest.mark.parametrize("number", [Decimal("1.5"), "0.1", 10**78, Decimal("1E+90"), "1e300"])
def test_units_are_whole_and_fit_into_256_bits(number: object) -> None:
    assert "BTC: " in refused([Row("BTC", number, Measure.UNITS), Row("ETH", 1)])


def test_the_most_units_there_can_be_are_taken_to_the_last() -> None:
    most = 2**256 - 1
    assert taken([Row("ETH", most, Measure.UNITS), Row("BTC", 0)]).values["ETH"].scaleb(18, EXACT) == most


def test_money_has_one_name() -> None:
    assert taken([Row(SUM, "2_000_000")], MONEY).values == {SUM: 2_000_000}
    assert "none of what it is to speak of" in refused([Row("BTC", 1)], MONEY)
    assert refused([Row(SUM, 1), Row(SUM, 1)], MONEY) == "all stands twice"


# As of when.


def test_an_answer_without_a_time_is_as_of_when_it_was_asked_for() -> None:
    assert taken(rows(BTC=1, ETH=1)).at == NOW


def test_the_time_of_the_source_counts_however_old_it_is() -> None:
    assert taken(rows(BTC=1, ETH=1), at=NOW - timedelta(days=400)).at == NOW - timedelta(days=400)


def test_a_clock_that_is_a_minute_ahead_makes_the_answer_no_younger_than_now() -> None:
    assert taken(rows(BTC=1, ETH=1), at=NOW + AHEAD).at == NOW


def test_a_time_further_in_the_future_refuses_the_answer() -> None:
    text = refused(rows(BTC=1, ETH=1), at=NOW + AHEAD + timedelta(seconds=1))
    assert text == "its time is in the future, 2026-11-23T09:01:01+00:00"


def test_a_time_in_another_zone_is_the_same_time() -> None:
    tokyo = datetime(2026, 11, 23, 17, 59, tzinfo=timezone(timedelta(hours=9)))
    assert taken(rows(BTC=1, ETH=1), at=tokyo).at == NOW - timedelta(minutes=1)


def test_a_time_without_a_zone_refuses_the_answer() -> None:
    assert refused(rows(BTC=1, ETH=1), at=NOW.replace(tzinfo=None)) == "its time has no time zone"


@pytest.mark.parametrize("at", [datetime.min.replace(tzinfo=UTC), datetime(1969, 12, 31, 23, 59, tzinfo=UTC)])
def test_a_time_that_stands_for_none_refuses_the_answer_before_anybody_reckons_with_it(at: datetime) -> None:
    """Go writes 0001-01-01T00:00:00Z, PostgreSQL's -infinity becomes the same."""
    assert refused(rows(BTC=1, ETH=1), at=at).startswith("its time is before 1970, ")
    assert taken([Row("BTC", 1, at=at), Row("ETH", 2)], PRICES).values == {"ETH": 2}


def test_amounts_are_as_of_the_oldest_of_them() -> None:
    old = NOW - timedelta(hours=1)
    assert taken([Row("BTC", 1, at=old), Row("ETH", 1, at=NOW)]).at == old


def test_one_amount_from_the_future_refuses_all() -> None:
    ahead = NOW + timedelta(hours=1)
    assert refused([Row("BTC", 1, at=ahead), Row("ETH", 1)]).startswith("BTC: its time is in the future")


# Prices, each by itself.


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (0, "0 is no price"),
        (Decimal("0.00"), "0 is no price"),
        (-5, "-5 is negative"),
        (Decimal("NaN"), "not a finite number"),
        ("n/a", "expected a number, found 'n/a'"),
        (Unstated("no contract there"), "no contract there"),
    ],
)
def test_a_bad_price_is_withheld_and_the_others_are_taken(number: object, words: str) -> None:
    assert taken(rows(BTC=number, ETH=3), PRICES) == Answer({"ETH": Decimal(3)}, NOW, withheld={"BTC": words})


def test_a_price_that_stands_twice_is_withheld_even_thrice() -> None:
    answer = taken([Row("BTC", 1), Row("ETH", 2), Row("BTC", 1), Row("BTC", 1)], PRICES)
    assert answer == Answer({"ETH": Decimal(2)}, NOW, withheld={"BTC": "stands twice"})


def test_prices_of_what_we_do_not_hold_are_passed_over() -> None:
    assert taken(rows(BTC=1, DOGE="?"), PRICES) == Answer({"BTC": Decimal(1)}, NOW)


def test_a_price_of_null_is_a_missing_one() -> None:
    assert taken(rows(BTC=None, ETH=1), PRICES) == Answer({"ETH": Decimal(1)}, NOW)


@pytest.mark.parametrize("nothing", [[], rows(DOGE=1), rows(BTC=None)])
def test_an_answer_without_any_price_of_ours_is_bad(nothing: list[Row]) -> None:
    assert refused(nothing, PRICES) == "it says nothing of what was asked for"


def test_each_price_may_have_its_own_time() -> None:
    old = NOW - timedelta(minutes=5)
    answer = taken([Row("BTC", 1, at=old), Row("ETH", 2)], PRICES)
    assert (answer.at, answer.times) == (old, {"BTC": old, "ETH": NOW})


def test_a_price_from_the_future_is_withheld() -> None:
    answer = taken([Row("BTC", 1, at=NOW + timedelta(hours=1)), Row("ETH", 2)], PRICES)
    assert answer.values == {"ETH": 2}
    assert answer.withheld["BTC"].startswith("its time is in the future")


def test_the_merkle_root_comes_along() -> None:
    assert checked(Raw(rows(BTC=1, ETH=1), merkle_root="ab12"), expected=LIABILITIES, now=NOW).merkle_root == "ab12"


@pytest.mark.parametrize("root", ["", "x" * 201])
def test_a_merkle_root_that_can_be_none_refuses_the_answer(root: str) -> None:
    with pytest.raises(FeedError, match="Merkle"):
        checked(Raw(rows(BTC=1, ETH=1), merkle_root=root), expected=LIABILITIES, now=NOW)


# Whatever comes.

ANYTHING = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.integers(min_value=-(10**90), max_value=10**90),
    st.decimals(allow_nan=True, allow_infinity=True),
    st.decimals(min_value=0, max_value=10**12, places=8),
    st.floats(),
    st.text(max_size=20),
    st.from_regex(r"[-+]?[0-9]{0,5}\.?[0-9]{0,5}([eE][-+]?[0-9]{1,4})?", fullmatch=True),
    st.lists(st.integers(), max_size=2),
    st.builds(Unstated, st.text(max_size=5)),
)
NAMES = st.one_of(st.sampled_from(["BTC", "ETH", "JPY", "DOGE"]), st.none(), st.integers(), st.text(max_size=3))
TIMES = st.one_of(st.none(), st.datetimes(), st.datetimes(timezones=st.just(UTC)))
ROWS = st.lists(st.builds(Row, NAMES, ANYTHING, st.sampled_from(Measure), TIMES), max_size=4)
GOOD = st.builds(
    lambda one, two: rows(BTC=one, ETH=two), st.decimals(0, 10**9, places=8), st.integers(min_value=0, max_value=10**20)
)


@given(given_rows=st.one_of(ROWS, GOOD), at=TIMES, expected=st.sampled_from([LIABILITIES, CUSTODIAN, MONEY]))
def test_amounts_are_never_negative_never_endless_and_never_in_part(
    given_rows: list[Row], at: datetime | None, expected: Expected
) -> None:
    try:
        answer = taken(given_rows, expected, at=at)
    except FeedError as error:
        assert error.reason is FeedReason.BAD_ANSWER
        return
    assert expected.required <= answer.values.keys() <= expected.known
    assert all(value.is_finite() and value >= 0 for value in answer.values.values())
    assert len([row for row in given_rows if row.name in expected.known]) == len(answer.values)
    assert answer.at <= NOW
    assert not answer.withheld


@given(given_rows=st.one_of(ROWS, GOOD), at=TIMES)
def test_prices_are_always_above_zero_and_what_is_withheld_is_not_taken(
    given_rows: list[Row], at: datetime | None
) -> None:
    try:
        answer = taken(given_rows, PRICES, at=at)
    except FeedError as error:
        assert error.reason is FeedReason.BAD_ANSWER
        return
    assert all(value.is_finite() and value > 0 for value in answer.values.values())
    assert not answer.values.keys() & answer.withheld.keys()
    assert answer.values.keys() | answer.withheld.keys() == {
        row.name for row in given_rows if row.name in BOTH and row.number is not None
    }
    assert answer.at <= NOW
    assert answer.times.keys() in (set(), answer.values.keys())


@given(first=GOOD, second=GOOD)
def test_products_of_what_is_taken_are_exact(first: list[Row], second: list[Row]) -> None:
    """The bound on digits leaves room in the context that everything is computed in."""
    widest = Decimal("9" * MOST_DIGITS + "." + "9" * MOST_DIGITS)
    one, two = taken(first).values["BTC"], taken(second).values["ETH"]
    for left, right in ((one, two), (widest, widest), (one, widest)):
        product = EXACT.multiply(left, right)
        assert int(product.scaleb(2 * MOST_DIGITS, EXACT)) == int(left.scaleb(MOST_DIGITS, EXACT)) * int(
            right.scaleb(MOST_DIGITS, EXACT)
        )


@given(units=st.integers(min_value=0, max_value=10**78 - 1), decimals=st.integers(min_value=0, max_value=77))
def test_units_survive_the_way_to_coins_and_back(units: int, decimals: int) -> None:
    expected = Expected(frozenset(("A",)), decimals={"A": decimals})
    coins = taken([Row("A", units, Measure.UNITS)], expected).values["A"]
    assert int(coins.scaleb(decimals, EXACT)) == units
