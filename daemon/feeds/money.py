"""Sums of money as people write them into a configuration."""

import re
from dataclasses import dataclass
from decimal import Decimal
from typing import Annotated

from pydantic import BeforeValidator, PlainSerializer, WithJsonSchema

MONEY = re.compile(r"(?P<amount>[0-9][0-9_]*(?:\.[0-9]+)?)(?: +(?P<currency>[A-Z]{3,5}))?")
CURRENCY = re.compile("[A-Z]{3,5}")
MOST_DIGITS = 40


@dataclass(frozen=True, slots=True)
class Money:
    """An amount as configured; `currency` is None where none is written, which means the entity's."""

    amount: Decimal
    currency: str | None

    def __str__(self) -> str:
        return f"{self.amount:f}" if self.currency is None else f"{self.amount:f} {self.currency}"


def parse_money(value: object) -> Money:
    """`500_000 JPY`, `1.25` or an int or Decimal; ValueError for anything else, and for zero.

    A price of zero would make a holding vanish from every sum: what a coin is worth is known or unknown, never nothing.
    A fund of zero is none.
    """
    if isinstance(value, Money):
        return value
    text = str(value).strip() if isinstance(value, str | int | Decimal) and not isinstance(value, bool) else ""
    match = MONEY.fullmatch(text)
    if match is None or len(match["amount"]) > MOST_DIGITS:
        raise ValueError("expected an amount such as 500_000 JPY or 1.25")
    amount = Decimal(match["amount"])
    if not amount:
        raise ValueError("expected more than zero; leave out what is not known")
    return Money(amount, match["currency"])


MoneyText = Annotated[
    Money,
    BeforeValidator(parse_money),
    PlainSerializer(str, return_type=str),
    WithJsonSchema({"type": ["string", "number"], "examples": ["500_000 JPY", 1.25]}),
]
