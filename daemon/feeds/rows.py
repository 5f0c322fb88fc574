"""Rows out of plain values: what JSON, YAML and tables have in common when they state numbers by name."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal

from daemon.feeds.source import SUM, FeedError, Measure, Raw, Row, Unstated, bad

SECONDS = re.compile(r"[0-9]{1,11}(?:\.[0-9]{1,9})?")
RFC_3339 = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(?:\.\d{1,9})?(?:[Zz]|[+-]\d\d:\d\d)", re.ASCII)

Columns = Mapping[str, Measure]
"""What a column or key may be called that holds numbers, and what they count."""

AMOUNTS: Columns = {"amount": Measure.AMOUNT, "units": Measure.UNITS}
PRICES: Columns = {"price": Measure.AMOUNT}
MONEY: Columns = {"amount": Measure.AMOUNT}

PLURAL = {"amount": "amounts", "units": "units", "price": "prices"}


def rows_of(value: object, *, columns: Columns, measure: Measure = Measure.AMOUNT) -> list[Row]:
    """Of a mapping from name to number, which count as `measure` says, or of a list of mappings as of a table.

    FeedError for anything else.
    """
    if isinstance(value, Mapping):
        return [Row(name, number, measure) for name, number in value.items()]
    if not isinstance(value, Sequence) or isinstance(value, str):
        raise bad("expected a mapping from asset to number, or a list")
    return [_row(item, columns=columns) for item in value]


def _row(item: object, *, columns: Columns) -> Row:
    if not isinstance(item, Mapping):
        raise bad(f"expected a list of mappings with asset and {' or '.join(columns)}")
    found = [column for column in columns if column in item]
    if "asset" not in item or len(found) != 1 or not item.keys() <= {"asset", "at", *columns}:
        raise bad(f"expected asset and {' or '.join(columns)} (and perhaps at) in each entry, and nothing else")
    row = Row(item["asset"], item[found[0]], columns[found[0]])
    return _dated(row, item["at"]) if "at" in item else row


def _dated(row: Row, at: object) -> Row:
    """With its time; a number whose time can't be made out is none, and takes no other one with it."""
    try:
        return replace(row, at=dated(at))
    except FeedError as error:
        return replace(row, number=Unstated(error.detail))


def sum_row(value: object, *, at: datetime | None = None) -> Row:
    """Of money that stands alone."""
    return Row(SUM, value, at=at)


def payload(value: object, *, columns: Columns) -> Raw:
    """An answer in our own form: `{at: ..., amounts: {ETH: 1.5}}`, with `units` or `prices` in place of `amounts`.

    Money is `{at: ..., amount: 1000}`. FeedError for anything else.
    """
    if not isinstance(value, Mapping):
        raise bad("expected a mapping")
    keys = {"amount": MONEY["amount"]} if columns is MONEY else {PLURAL[name]: each for name, each in columns.items()}
    if not value.keys() <= {"at", "merkle_root", *keys} or not keys.keys() & value.keys():
        raise bad(f"expected at and {' or '.join(keys)}, and nothing else but merkle_root")
    return Raw(
        list(_stated(value, keys=keys, money=columns is MONEY)),
        at=dated(value["at"]) if "at" in value else None,
        merkle_root=root(value.get("merkle_root")),
    )


def _stated(value: Mapping[str, object], *, keys: Columns, money: bool) -> Iterator[Row]:
    for key, measure in keys.items():
        stated = value.get(key)
        if money:
            yield sum_row(stated)
        elif isinstance(stated, Mapping):
            yield from rows_of(stated, columns={}, measure=measure)
        elif key in value:
            raise bad(f"{key}: expected a mapping from asset to number")


def table(columns: Sequence[str], rows: Sequence[Sequence[object]], *, measures: Columns) -> Raw:
    """An answer with the columns asset, one of `measures`, and perhaps at; of money without asset, and of one row.

    FeedError for other columns.
    """
    names = ["at", *measures] if measures is MONEY else ["asset", "at", *measures]
    found = [column for column in columns if column in measures]
    if len(found) != 1 or len(set(columns)) < len(columns) or not set(columns) <= set(names):
        raise bad(f"expected the columns {_wanted(measures)}")
    if measures is MONEY:
        if len(rows) != 1:
            raise bad(f"expected one row, found {len(rows)}")
    elif "asset" not in columns:
        raise bad(f"expected the columns {_wanted(measures)}")
    place = {column: number for number, column in enumerate(columns)}
    return Raw([_of_line(row, place=place, measure=measures[found[0]], column=found[0]) for row in rows])


def _of_line(line: Sequence[object], *, place: Mapping[str, int], measure: Measure, column: str) -> Row:
    row = Row(line[place["asset"]] if "asset" in place else SUM, line[place[column]], measure)
    return _dated(row, line[place["at"]]) if "at" in place else row


def _wanted(measures: Columns) -> str:
    asset = "" if measures is MONEY else "asset and "
    return f"{asset}{' or '.join(measures)}, and perhaps at"


def moment(value: object) -> datetime | None:
    """UTC, from unix seconds, a text as of RFC 3339, or a time that has a time zone; None of None. FeedError."""
    match value:
        case None:
            return None
        case datetime() if value.utcoffset() is not None:
            return value.astimezone(UTC)
        case bool():
            pass
        case int() | Decimal() if SECONDS.fullmatch(str(value)):
            return _since_1970(Decimal(value))
        case str() if SECONDS.fullmatch(value):
            return _since_1970(Decimal(value))
        case str() if RFC_3339.fullmatch(value):
            return _written(value)
    raise bad("expected a time as unix seconds, or as in 2026-11-23T09:00:00Z with its time zone")


def dated(value: object) -> datetime:
    """As `moment`, of what is to be there: where it is nothing, the age is unknown, and not none. FeedError."""
    at = moment(value)
    if at is None:
        raise bad("says not as of when it is")
    return at


def _since_1970(seconds: Decimal) -> datetime:
    try:
        return datetime.fromtimestamp(float(seconds), tz=UTC)
    except (OverflowError, ValueError, OSError):
        raise bad("a time after the year 9999") from None


def _written(text: str) -> datetime:
    try:
        return datetime.fromisoformat(text.upper()).astimezone(UTC)
    except (ValueError, OverflowError):
        raise bad("a time that is on no calendar") from None


def root(value: object) -> str | None:
    """A Merkle root as it was published. FeedError unless it is a text, or None."""
    if value is None or isinstance(value, str):
        return value
    raise bad("expected a text as the Merkle root")
