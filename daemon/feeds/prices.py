"""What a coin costs, and what a currency is worth: the kinds of sources that may say it."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from daemon.feeds.chainlink import ChainlinkPrices
from daemon.feeds.coingecko import CoinGeckoPrices
from daemon.feeds.expression import Expressions
from daemon.feeds.file import FileSource
from daemon.feeds.fixed import FixedPrices
from daemon.feeds.http import HttpSource
from daemon.feeds.quoted import QuoteSource


class HttpPrices(QuoteSource, HttpSource):
    """Prices in a JSON answer."""

    values: Expressions = Field(
        description="JMESPath of a mapping from asset to price, or of a list of {asset, price}; or one for each asset"
    )


class FilePrices(QuoteSource, FileSource):
    """Prices in a file."""


PriceFeed = Annotated[
    FixedPrices | HttpPrices | CoinGeckoPrices | ChainlinkPrices | FilePrices, Field(discriminator="kind")
]
"""A source of prices or rates, by its `kind`."""
