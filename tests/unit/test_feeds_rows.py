"""Rows out of JSON, YAML and tables, times as people and machines write them, and JMESPath."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal

import pytest

from daemon.feeds.expression import Look, parsed
from daemon.feeds.http import amounts, money, prices
from daemon.feeds.rows import AMOUNTS, MONEY, PRICES, Columns, moment, payload, rows_of, table
from daemon.feeds.source import SUM, FeedError, Measure, Raw, Row, Unstated
from daemon.feeds.values import FeedReason

NINE = datetime(2026, 11, 23, 9, tzinfo=UTC)


def test_a_mapping_gives_a_row_for_each_name() -> None:
    assert rows_of({"BTC": 1, "ETH": "2"}, columns=AMOUNTS) == [Row("BTC", 1), Row("ETH", "2")]


def test_numbers_of_a_mapping_count_what_the_configuration_says() -> None:
    assert rows_of({"BTC": 1}, columns=AMOUNTS, measure=Measure.UNITS) == [Row("BTC", 1, Measure.UNITS)]


def test_each_entry_of_a_list_says_what_it_counts() -> None:
    value = [{"asset": "BTC", "units": 7}, {"asset": "ETH", "amount": 1, "at": 1763888400}]
    found = rows_of(value, columns=AMOUNTS)
    assert found == [Row("BTC", 7, Measure.UNITS), Row("ETH", 1, at=datetime.fromtimestamp(1763888400, UTC))]


def test_a_name_that_stands_twice_in_a_list_stays_twice() -> None:
    assert len(rows_of([{"asset": "BTC", "amount": 1}] * 2, columns=AMOUNTS)) == 2


@pytest.mark.parametrize(
    "value",
    [
        None,
        7,
        "BTC",
        True,
        [7],
        [None],
        [{"asset": "BTC"}],
        [{"amount": 1}],
        [{"asset": "BTC", "amount": 1, "units": 1}],
        [{"asset": "BTC", "amount": 1, "locked": 5}],
        [{"asset": "BTC", "price": 1}],
    ],
)
def test_any_other_shape_is_a_bad_answer(value: object) -> None:
    with pytest.raises(FeedError) as caught:
        rows_of(value, columns=AMOUNTS)
    assert caught.value.reason is FeedReason.BAD_ANSWER


@pytest.mark.parametrize(
    ("at", "why"),
    [
        (None, "says not as of when it is"),
        ("soon", "expected a time as unix seconds, or as in 2026-11-23T09:00:00Z with its time zone"),
    ],
)
def test_a_number_whose_time_is_nothing_or_none_is_no_number_and_takes_no_other_with_it(at: object, why: str) -> None:
    """A time of NULL would else be the newest of all."""
    broken, whole = Row("BTC", Unstated(why)), Row("ETH", 2, at=NINE)
    entries = [{"asset": "BTC", "amount": 1, "at": at}, {"asset": "ETH", "amount": 2, "at": NINE}]
    assert rows_of(entries, columns=AMOUNTS) == [broken, whole]
    lines = [["BTC", 1, at], ["ETH", 2, NINE]]
    assert table(["asset", "amount", "at"], lines, measures=AMOUNTS) == Raw([broken, whole])


# Payloads.


def test_a_payload_may_hold_amounts_and_units() -> None:
    raw = payload({"at": 0, "amounts": {"BTC": 1}, "units": {"ETH": 5}, "merkle_root": "ab"}, columns=AMOUNTS)
    assert raw == Raw([Row("BTC", 1), Row("ETH", 5, Measure.UNITS)], datetime(1970, 1, 1, tzinfo=UTC), "ab")


def test_a_payload_of_prices() -> None:
    assert payload({"prices": {"BTC": 1}}, columns=PRICES) == Raw([Row("BTC", 1)])


def test_a_payload_of_money_is_one_amount() -> None:
    assert payload({"amount": "5_000"}, columns=MONEY) == Raw([Row(SUM, "5_000")])


@pytest.mark.parametrize(
    ("value", "columns"),
    [
        (None, AMOUNTS),
        ([], AMOUNTS),
        ({}, AMOUNTS),
        ({"at": 1}, AMOUNTS),
        ({"BTC": 1}, AMOUNTS),
        ({"amounts": [1]}, AMOUNTS),
        ({"amounts": None}, AMOUNTS),
        ({"amounts": {"BTC": 1}, "unit": {"ETH": 1}}, AMOUNTS),
        ({"amounts": {"BTC": 1}, "merkle_root": 7}, AMOUNTS),
        ({"amounts": {"BTC": 1}, "at": "soon"}, AMOUNTS),
        ({"amounts": {"BTC": 1}, "at": None}, AMOUNTS),
        ({"amounts": {"BTC": 1}}, PRICES),
        ({"amounts": {"BTC": 1}}, MONEY),
    ],
)
def test_a_payload_of_another_shape_is_a_bad_answer(value: object, columns: Columns) -> None:
    with pytest.raises(FeedError) as caught:
        payload(value, columns=columns)
    assert caught.value.reason is FeedReason.BAD_ANSWER


# Tables.


def test_columns_stand_in_any_order() -> None:
    raw = table(["units", "at", "asset"], [[5, NINE, "BTC"]], measures=AMOUNTS)
    assert raw == Raw([Row("BTC", 5, Measure.UNITS, NINE)])


@pytest.mark.parametrize(
    ("columns", "measures"),
    [
        (["asset"], AMOUNTS),
        (["amount"], AMOUNTS),
        (["asset", "amount", "units"], AMOUNTS),
        (["asset", "amount", "amount"], AMOUNTS),
        (["asset", "asset", "amount"], AMOUNTS),
        (["asset", "amount", "note"], AMOUNTS),
        (["asset", "amount"], PRICES),
        (["asset", "amount"], MONEY),
        ([], MONEY),
    ],
)
def test_other_columns_are_a_bad_answer(columns: list[str], measures: Columns) -> None:
    with pytest.raises(FeedError, match="expected the columns"):
        table(columns, [], measures=measures)


@pytest.mark.parametrize("rows", [[], [[1], [2]]])
def test_money_is_one_row(rows: list[list[object]]) -> None:
    with pytest.raises(FeedError, match=f"expected one row, found {len(rows)}"):
        table(["amount"], rows, measures=MONEY)


# Times.


@pytest.mark.parametrize(
    "value",
    [
        1795424400,
        Decimal("1795424400.0"),
        "1795424400",
        "2026-11-23T09:00:00Z",
        "2026-11-23t09:00:00.000z",
        "2026-11-23 18:00:00+09:00",
        NINE,
        NINE.astimezone(timezone(timedelta(hours=9))),
    ],
)
def test_times_are_read_in_every_usual_form(value: object) -> None:
    assert moment(value) == NINE


def test_no_time_is_none() -> None:
    assert moment(None) is None


@pytest.mark.parametrize(
    "value",
    [
        True,
        -1,
        1795424400000000,
        "",
        "now",
        "2026-11-23",
        "2026-11-23T09:00:00",
        "2026-02-30T09:00:00Z",
        "0001-01-01T00:00:00+09:00",
        "999999999999",
        "1e3",
        Decimal("NaN"),
        1.5,
        NINE.replace(tzinfo=None),
        [],
    ],
)
def test_anything_else_is_no_time(value: object) -> None:
    with pytest.raises(FeedError) as caught:
        moment(value)
    assert caught.value.reason is FeedReason.BAD_ANSWER


# JMESPath.


def test_an_expression_finds_what_it_names_and_keeps_it_exact() -> None:
    answer = {"data": [{"s": "BTC", "p": Decimal("1.10")}]}
    assert Look("data[].{asset: s, price: p}").at(answer) == [{"asset": "BTC", "price": Decimal("1.10")}]
    assert Look("data[?p > `1`].s | [0]").at(answer) == "BTC"


@pytest.mark.parametrize("expression", ["", "a[", "a..b", "a b", "%", "f()", "a[?g(b)]", "(" * 5000])
def test_what_is_no_expression_is_said_in_one_line(expression: str) -> None:
    with pytest.raises(ValueError, match=r"^expected a JMESPath expression[^\n]*$"):
        parsed(expression)


@pytest.mark.parametrize("expression", ["sum(a)", "length(b)", "sort(a)"])
def test_an_expression_that_can_not_be_applied_makes_a_bad_answer(expression: str) -> None:
    with pytest.raises(FeedError) as caught:
        Look(expression).at({"a": [Decimal("1.5"), "x"], "b": 7})
    assert caught.value.reason is FeedReason.BAD_ANSWER


def test_prices_by_one_expression_each() -> None:
    find = prices({"BTC": "btc.last", "ETH": "eth.last"})
    assert find({"btc": {"last": 5}}) == [Row("BTC", 5), Row("ETH", None)]


def test_prices_amounts_and_money_by_one_expression() -> None:
    assert prices("q")({"q": [{"asset": "BTC", "price": 5}]}) == [Row("BTC", 5)]
    assert amounts("q", measure=Measure.UNITS)({"q": {"BTC": 5}}) == [Row("BTC", 5, Measure.UNITS)]
    assert money("q.sum")({"q": {"sum": "5"}}) == [Row(SUM, "5")]
