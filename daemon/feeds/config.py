"""The `feeds:` section of the configuration."""

from __future__ import annotations

from pydantic import Field

from connectors.config import Strict
from daemon.feeds.prices import PriceFeed


class FeedsConfig(Strict):
    """Sources from outside the chains."""

    prices: tuple[PriceFeed, ...] = Field((), description="what the assets cost")
