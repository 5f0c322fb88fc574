"""Moments and amounts as a scenario writes them: `2018-01-25T15:02:00Z`, `11 XEM`, `all ETH`."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Annotated

from pydantic import BeforeValidator, PlainSerializer, WithJsonSchema

from connectors.config import format_duration, parse_duration

INSTANT = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d)?Z")
NUMBER = re.compile(r"[0-9][0-9_]*(\.[0-9]+)?")
COINS = re.compile(rf"(?P<amount>all|{NUMBER.pattern}) +(?P<asset>[A-Za-z0-9][A-Za-z0-9._-]{{0,63}})")
MOST_DIGITS = 40
FIRST_YEAR, LAST_YEAR = 1970, 2080
"""NEM counts seconds in 31 bits from 2015 on, which ends in 2083."""

AN_INSTANT = "expected a UTC instant such as 2018-01-25T15:02:00Z"


def parse_instant(value: object) -> datetime:
    """A moment in UTC, to the second, from `2018-01-25T15:02:00Z`; ValueError for anything else."""
    if isinstance(value, datetime):
        return value
    text = value.strip() if isinstance(value, str) else ""
    if not INSTANT.fullmatch(text):
        raise ValueError(AN_INSTANT)
    try:
        moment = datetime.fromisoformat(text.replace("Z", "+00:00")).astimezone(UTC)
    except ValueError:
        raise ValueError("expected an instant that the calendar knows") from None
    if not FIRST_YEAR <= moment.year <= LAST_YEAR:
        raise ValueError(f"expected a year from {FIRST_YEAR} to {LAST_YEAR}")
    return moment


def format_instant(value: datetime) -> str:
    """The text that parse_instant reads back to the same value."""
    return f"{value:%Y-%m-%dT%H:%M:%S}Z"


def parse_end(value: object) -> datetime | timedelta:
    """An instant, or how long something takes."""
    if isinstance(value, datetime | timedelta):
        return value
    try:
        return parse_instant(value) if isinstance(value, str) and "-" in value else parse_duration(value)
    except ValueError:
        raise ValueError(f"{AN_INSTANT}, or a duration such as 15h") from None


def parse_amount(value: object) -> Decimal:
    """Coins, zero or more, from `526_300_010` or `0.84`; ValueError for anything else."""
    text = str(value).strip() if isinstance(value, str | int | Decimal) and not isinstance(value, bool) else ""
    if not NUMBER.fullmatch(text) or len(text) > MOST_DIGITS:
        raise ValueError("expected an amount of coins such as 526_300_010 or 0.84")
    return Decimal(text)


def parse_change(value: object) -> Decimal:
    """Coins with a sign, from `+620_000` or `-5`; ValueError for anything else."""
    text = str(value).strip() if isinstance(value, str | Decimal) else ""
    if text[:1] not in ("+", "-"):
        raise ValueError("expected a change with its sign such as +620_000 or -5")
    return parse_amount(text[1:]).copy_sign(Decimal(f"{text[0]}1"))


@dataclass(frozen=True, slots=True)
class Coins:
    """So many coins of an asset; `amount` is None for all that there are."""

    amount: Decimal | None
    asset: str

    def __str__(self) -> str:
        return f"{'all' if self.amount is None else format(self.amount, 'f')} {self.asset}"


def parse_coins(value: object) -> Coins:
    """`10 XEM` or `all XEM`; ValueError for anything else."""
    if isinstance(value, Coins):
        return value
    match = COINS.fullmatch(value.strip()) if isinstance(value, str) else None
    if match is None or len(match["amount"]) > MOST_DIGITS:
        raise ValueError("expected an amount and its asset such as 10 XEM, or all XEM")
    return Coins(None if match["amount"] == "all" else Decimal(match["amount"]), match["asset"])


def format_end(value: datetime | timedelta) -> str:
    """The text that parse_end reads back to the same value."""
    return format_duration(value) if isinstance(value, timedelta) else format_instant(value)


INSTANT_SCHEMA = {"type": "string", "pattern": r"^\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d)?Z$"}

Instant = Annotated[
    datetime,
    BeforeValidator(parse_instant),
    PlainSerializer(format_instant, return_type=str),
    WithJsonSchema(INSTANT_SCHEMA),
]
End = Annotated[
    datetime | timedelta,
    BeforeValidator(parse_end),
    PlainSerializer(format_end, return_type=str),
    WithJsonSchema({"type": "string", "examples": ["15h", "2018-01-26T03:00:00Z"]}),
]
Amount = Annotated[
    Decimal,
    BeforeValidator(parse_amount),
    PlainSerializer(lambda value: format(value, "f"), return_type=str),
    WithJsonSchema({"type": ["string", "number"], "examples": [526_300_010, "0.84"]}),
]
Change = Annotated[
    Decimal,
    BeforeValidator(parse_change),
    PlainSerializer(lambda value: format(value, "+f"), return_type=str),
    WithJsonSchema({"type": ["string", "number"], "examples": ["+620_000", "-5"]}),
]
CoinsText = Annotated[
    Coins,
    BeforeValidator(parse_coins),
    PlainSerializer(str, return_type=str),
    WithJsonSchema({"type": "string", "examples": ["10 XEM", "all XEM"]}),
]
