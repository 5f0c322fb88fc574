"""What each configured source is asked for, and what its answers are held to."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass

from connectors import AnyChainConfig
from daemon.feeds.approvals import Approving
from daemon.feeds.approving import Approvable
from daemon.feeds.chainlink import ChainlinkPrices
from daemon.feeds.checking import Expected
from daemon.feeds.config import FeedsConfig, Source
from daemon.feeds.custodians import Attestation
from daemon.feeds.fixed import FixedPrices
from daemon.feeds.liabilities import Ledger
from daemon.feeds.plan import SourceKey
from daemon.feeds.quoted import QuoteSource
from daemon.feeds.source import SUM, SourceConfig
from daemon.feeds.values import FeedKind

NO_APPROVALS = Approvable({})


@dataclass(frozen=True, slots=True)
class Asked:
    """A source outside the configuration, and what it is held to: numbers to `expected`, approvals to `approvable`.

    `currency` is the entity's; `chain` is the chain that it is read from, if it is.
    """

    source: Source
    config: SourceConfig
    expected: Expected
    currency: str
    chain: AnyChainConfig | None = None
    approvable: Approvable = NO_APPROVALS

    @property
    def key(self) -> SourceKey:
        return self.source.feed, self.source.name

    @property
    def identity(self) -> object:
        """While this stays the same, what the source has said stays good, wherever in the file it stands."""
        return self.key, self.config, self.expected, self.currency, self.chain, self.approvable


def asked(
    config: FeedsConfig,
    *,
    decimals: Mapping[str, int],
    currency: str,
    chains: Mapping[str, AnyChainConfig],
    written: AbstractSet[str] = frozenset(),
    homes: Mapping[str, frozenset[str]] | None = None,
) -> tuple[Asked, ...]:
    """Every source that somebody has to ask.

    `decimals` are those of each configured asset's finest token, `homes` the chains that it is on; `written` the
    currencies of amounts in rules.
    """
    foreign = frozenset({*currencies(config, entitys=currency), *written} - {currency})
    return tuple(
        Asked(
            source,
            source.config,
            _expected(source, decimals=decimals, foreign=foreign),
            currency,
            chains.get(source.config.chain) if isinstance(source.config, ChainlinkPrices) else None,
            _approvable(source.config, decimals=decimals, homes=homes or {}),
        )
        for source in config.sources
        if not isinstance(source.config, FixedPrices)
    )


def currencies(config: FeedsConfig, *, entitys: str) -> Iterator[str]:
    """The foreign currencies that something is quoted in."""
    for feed in (*config.prices, *config.rates):
        named = [feed.currency]
        if isinstance(feed, FixedPrices):
            named = [money.currency or feed.currency for money in feed.values.values()]
        yield from (code for code in named if code not in (None, entitys))


def _expected(source: Source, *, decimals: Mapping[str, int], foreign: frozenset[str]) -> Expected:
    config = source.config
    if isinstance(config, QuoteSource):
        known = foreign if source.feed is FeedKind.RATES else frozenset(decimals)
        return Expected(known, each_by_itself=True)
    if isinstance(config, Ledger | Attestation):
        named = frozenset(config.assets) or frozenset(decimals)
        required = frozenset(config.assets) if isinstance(config, Attestation) else named
        return Expected(named, required, frozenset(config.ignore), decimals)
    return Expected(frozenset((SUM,)), frozenset((SUM,)))


def _approvable(config: object, *, decimals: Mapping[str, int], homes: Mapping[str, frozenset[str]]) -> Approvable:
    if not isinstance(config, Approving):
        return NO_APPROVALS
    return Approvable(decimals, homes, config.chains, frozenset(config.ignore))
