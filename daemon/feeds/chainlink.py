"""Prices from Chainlink's aggregator contracts, read through the connector of an EVM chain."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import timedelta
from typing import Literal

from pydantic import Field

from connectors import Aggregators
from connectors.base import Address, Round
from connectors.config import AN_INSTANT, Duration
from connectors.quorum import Flaw
from daemon.feeds.quoted import QuoteSource
from daemon.feeds.source import FeedError, Raw, Row, Unstated, ours
from daemon.feeds.values import FeedReason
from daemon.interval import amount


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


class ChainlinkReader:
    """All contracts in one request to each node; each price has its own time."""

    pushed = False

    def __init__(self, aggregators: Aggregators, contracts: Mapping[str, Address], *, deadline: timedelta) -> None:
        self._aggregators = aggregators
        self._assets = tuple(contracts)
        self._contracts = tuple(contracts.values())
        self._seconds = deadline.total_seconds()

    async def read(self) -> Raw:
        try:
            with ours():
                async with asyncio.timeout(self._seconds):
                    _, rounds = await self._aggregators.latest(self._contracts)
        except TimeoutError:
            raise FeedError(FeedReason.TIMEOUT, f"no answer within {self._seconds:g}s") from None
        return Raw([_row(asset, said) for asset, said in zip(self._assets, rounds, strict=True)])


def _row(asset: str, said: Round | Flaw) -> Row:
    if isinstance(said, Flaw):
        return Row(asset, Unstated(said.detail))
    return Row(asset, amount(said.answer, decimals=said.decimals), at=said.updated)
