"""Opens a configured source, whatever its kind."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from connectors import CONNECTORS, AnyChainConfig
from connectors.transport import REAL, Timing, Transport
from daemon.feeds.chainlink import ChainlinkPrices, ChainlinkReader
from daemon.feeds.coingecko import CoinGeckoPrices, CoinGeckoReader
from daemon.feeds.config import Source
from daemon.feeds.custodians import HttpCustodian
from daemon.feeds.file import FileReader, FileSource
from daemon.feeds.fixed import FixedPrices, FixedReader
from daemon.feeds.http import HttpReader, HttpSource, amounts, money, prices, transport_to
from daemon.feeds.liabilities import HttpLiabilities
from daemon.feeds.mqtt import MqttSource, opened_mqtt
from daemon.feeds.prices import HttpPrices
from daemon.feeds.reserves import HttpMoney
from daemon.feeds.rows import AMOUNTS, MONEY, PRICES, Columns
from daemon.feeds.source import FeedError, Reader
from daemon.feeds.sql import SqlSource, opened_sql
from daemon.feeds.values import FeedKind, FeedReason

COLUMNS: Mapping[FeedKind, Columns] = {
    FeedKind.PRICES: PRICES,
    FeedKind.RATES: PRICES,
    FeedKind.LIABILITIES: AMOUNTS,
    FeedKind.CUSTODIANS: AMOUNTS,
    FeedKind.FUND: MONEY,
    FeedKind.VOLUME: MONEY,
}
"""What the numbers of a feed are called in tables and files."""


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What sources are opened with: the entity's currency, the chains of the configuration, the folder from which paths
    count, and the outside world."""

    currency: str
    chains: Mapping[str, AnyChainConfig]
    folder: Path
    now: Callable[[], datetime]
    timing: Timing = REAL


@asynccontextmanager
async def opened(source: Source, *, around: Surroundings) -> AsyncIterator[Reader]:
    """The source of numbers, until the block ends. It asks nothing yet: one that is down shows when it is read.

    FeedError with MISCONFIGURED for what can't be opened at all.
    """
    columns, config, timing = COLUMNS[source.feed], source.config, around.timing
    match config:
        case FixedPrices():
            yield FixedReader(config)
        case FileSource():
            yield FileReader(around.folder / config.path, columns=columns, timeout=config.timeout, timing=timing)
        case SqlSource():
            async with opened_sql(config, columns=columns, timing=timing) as reader:
                yield reader
        case MqttSource():
            async with opened_mqtt(config, folder=around.folder, columns=columns, timing=timing) as pushed:
                yield pushed
        case ChainlinkPrices():
            async with _chainlink(config, around=around) as rounds:
                yield rounds
        case CoinGeckoPrices():
            async with transport_to(
                config, headers=config.headers, deadline=config.timeout, timing=timing
            ) as transport:
                yield CoinGeckoReader(transport, config, currency=config.currency or around.currency)
        case HttpSource():
            async with transport_to(
                config, headers=config.headers, deadline=config.timeout, timing=timing
            ) as transport:
                yield _http(config, transport=transport)


def _http(config: HttpSource, *, transport: Transport) -> HttpReader:
    match config:
        case HttpPrices():
            return HttpReader(transport, rows=prices(config.values), at=config.at)
        case HttpLiabilities():
            rows = amounts(config.values, measure=config.measure)
            return HttpReader(transport, rows=rows, at=config.at, merkle_root=config.merkle_root)
        case HttpCustodian():
            return HttpReader(transport, rows=amounts(config.values, measure=config.measure), at=config.at)
        case HttpMoney():
            return HttpReader(transport, rows=money(config.value), at=config.at)
    raise TypeError(f"{type(config).__name__} is read by nobody")


@asynccontextmanager
async def _chainlink(config: ChainlinkPrices, *, around: Surroundings) -> AsyncIterator[Reader]:
    chain = around.chains[config.chain]
    kind = CONNECTORS[chain.kind]
    if kind.aggregators is None:
        raise FeedError(FeedReason.MISCONFIGURED, f"no price aggregators are known on {chain.kind} chains")
    canonical = kind.contract(chain)
    contracts = {asset: canonical(contract) for asset, contract in config.contracts.items()}
    async with kind.aggregators(chain, chain=config.chain, now=around.now, timing=around.timing) as aggregators:
        yield ChainlinkReader(aggregators, contracts, deadline=config.timeout)
