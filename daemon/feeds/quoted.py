"""What every source of prices and rates is configured by beside the rest."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, Field

from daemon.feeds.money import CURRENCY
from daemon.feeds.source import SourceConfig


def _is_currency(value: str) -> str:
    if not CURRENCY.fullmatch(value):
        raise ValueError("expected three to five capital letters, such as USD")
    return value


Currency = Annotated[str, AfterValidator(_is_currency)]


class QuoteSource(SourceConfig):
    """A source of prices."""

    currency: Currency | None = Field(
        None, description="currency of its prices, one of feeds.rates; default: the entity's"
    )
