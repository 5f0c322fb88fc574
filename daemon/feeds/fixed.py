"""Prices that stand in the configuration itself."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from pydantic import Field

from connectors.config import Strict
from daemon.feeds.money import MoneyText
from daemon.feeds.quoted import Currency
from daemon.feeds.source import Raw, Row, SourceName


class FixedPrices(Strict):
    """Prices written into the configuration, never out of date and only as good as whoever wrote them."""

    kind: Literal["fixed"] = Field(description="prices that stand here")
    name: SourceName = ""
    currency: Currency | None = Field(None, description="of prices that don't say theirs; default: the entity's")
    values: Mapping[str, MoneyText] = Field(
        min_length=1, description="asset to the price of one whole coin; without a currency it is the entity's"
    )


class FixedReader:
    """Says each time what stands in the configuration."""

    pushed = False

    def __init__(self, config: FixedPrices) -> None:
        self._raw = Raw([Row(asset, money.amount) for asset, money in config.values.items()])

    async def read(self) -> Raw:
        return self._raw
