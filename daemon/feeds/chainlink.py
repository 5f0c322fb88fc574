"""Prices from Chainlink's aggregator contracts, read through the connector of an EVM chain."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Literal

from pydantic import Field

from connectors.config import AN_INSTANT, Duration
from daemon.feeds.quoted import QuoteSource


class ChainlinkPrices(QuoteSource):
    """https://docs.chain.link/data-feeds/api-reference"""

    kind: Literal["chainlink"]
    chain: str = Field(description="name of the EVM chain of `chains` on which the contracts are")
    contracts: Mapping[str, str] = Field(
        min_length=1, max_length=1000, description="asset to the address of its aggregator"
    )
    every: Duration = Field(timedelta(seconds=30), gt=AN_INSTANT, description="how often it is asked")
    max_age: Duration = Field(
        timedelta(minutes=90),
        gt=AN_INSTANT,
        description="values older than this are no longer current; above the heartbeat of the contracts, often 1h",
    )
