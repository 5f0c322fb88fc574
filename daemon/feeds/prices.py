"""What a coin costs: the settings of price feeds, and the prices that stand in the configuration itself."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, PlainSerializer, WithJsonSchema

from connectors.config import Strict
from daemon.feeds.values import Stated
from daemon.interval import Interval

MONEY = re.compile(r"(?P<amount>[0-9][0-9_]*(?:\.[0-9]+)?)(?: +(?P<currency>[A-Z]{3,5}))?")
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
    """
    if isinstance(value, Money):
        return value
    text = str(value).strip() if isinstance(value, str | int | Decimal) and not isinstance(value, bool) else ""
    match = MONEY.fullmatch(text)
    if match is None or len(match["amount"]) > MOST_DIGITS:
        raise ValueError("expected an amount such as 500_000 JPY or 1.25")
    amount = Decimal(match["amount"])
    if not amount:
        raise ValueError("expected a price above zero; leave out an asset whose price is not known")
    return Money(amount, match["currency"])


MoneyText = Annotated[
    Money,
    BeforeValidator(parse_money),
    PlainSerializer(str, return_type=str),
    WithJsonSchema({"type": ["string", "number"], "examples": ["500_000 JPY", 1.25]}),
]


class FixedPrices(Strict):
    """Prices written into the configuration, never out of date and only as good as whoever wrote them."""

    kind: Literal["fixed"] = Field(description="prices that stand here")
    values: Mapping[str, MoneyText] = Field(
        min_length=1, description="asset to the price of one whole coin; without a currency it is the entity's"
    )


PriceFeed = FixedPrices
"""The union of price feeds on `kind`; becomes a discriminated union with the second kind."""


def fixed_prices(feeds: Sequence[PriceFeed], *, at: datetime) -> dict[str, Stated]:
    """The price of each asset that a fixed feed names, as of `at`: a fixed price is always current."""
    return {
        asset: Stated(Interval.exactly(money.amount), source=feed.kind, at=at)
        for feed in feeds
        for asset, money in feed.values.items()
    }
