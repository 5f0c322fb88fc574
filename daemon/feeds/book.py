"""What every source has said last, and what of it is known at a moment."""

from __future__ import annotations

from datetime import datetime

from daemon.feeds.config import FeedsConfig
from daemon.feeds.fixed import FixedPrices, fixed_prices
from daemon.feeds.values import FeedKind, Feeds, SourceState


class FeedBook:
    """Mutable, and pure of effects: workers bring answers, the pipe looks."""

    def __init__(self, config: FeedsConfig) -> None:
        self._config = config

    @property
    def owed(self) -> frozenset[str]:
        """The assets that a source of liabilities is to speak of."""
        return frozenset()

    def look(self, now: datetime) -> Feeds:
        """Everything that is known at `now`."""
        fixed = [feed for feed in self._config.prices if isinstance(feed, FixedPrices)]
        states = (SourceState(FeedKind.PRICES, feed.kind, now, None, "", None, None) for feed in fixed)
        return Feeds(prices=fixed_prices(fixed, at=now), sources=tuple(states))
