"""The connector for Bitcoin's family: opens the sources."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import datetime

from connectors.base import Connector, Watch
from connectors.bitcoin.companion import accompany
from connectors.bitcoin.config import BitcoinConfig, ElectrumConfig
from connectors.bitcoin.networks import named
from connectors.bitcoin.reader import Books
from connectors.bitcoin.sources.base import BlockSource, Source
from connectors.bitcoin.sources.electrum import ElectrumSource
from connectors.bitcoin.sources.esplora import EsploraSource
from connectors.bitcoin.sources.identity import Asked
from connectors.bitcoin.sources.node import Listening, NodeSource
from connectors.bitcoin.sources.scan import ScanLimits
from connectors.bitcoin.sources.wire import Server, WireLimits
from connectors.config import EndpointConfig
from connectors.polled import PolledConnector
from connectors.transport import REAL, Timing, Transport


@asynccontextmanager
async def connect(
    config: BitcoinConfig,
    *,
    chain: str,
    now: Callable[[], datetime],
    timing: Timing = REAL,
) -> AsyncIterator[Connector]:
    """The connector for the chain called `chain` in the configuration, until the block ends.

    Asks nothing yet: a source that is down or on another chain shows in the updates. `now` gives the time in UTC,
    `timing` is what is waited by.
    """
    async with AsyncExitStack() as stack:
        opening = _Opening(config, chain=chain, now=now, timing=timing, stack=stack)
        sources = await opening.sources()
        books = Books(config, stack=stack)
        yield PolledConnector(
            sources,
            chain=chain,
            config=config,
            read_at=books.read,
            examine=_Examination(books),
            timing=timing,
            now=now,
            accompany=accompany(books, config=config, timing=timing),
        )


class _Opening:
    """Opens the configured sources on a stack that closes them."""

    def __init__(
        self,
        config: BitcoinConfig,
        *,
        chain: str,
        now: Callable[[], datetime],
        timing: Timing,
        stack: AsyncExitStack,
    ) -> None:
        network = named(config.network)
        anchors = {0: network.genesis} | ({network.fork[0]: network.fork[1]} if network.fork else {})
        self._asked = Asked(anchors, depth=config.confirmations - 1, form=network.block)
        self._config = config
        self._chain = chain
        self._now = now
        self._timing = timing
        self._stack = stack

    async def sources(self) -> list[Source]:
        config = self._config
        opened: list[Source] = []
        if config.node is not None:
            transport = await self._transport(config.node)
            listening = Listening(config.node.zmq) if config.node.zmq is not None else None
            limits = ScanLimits(deadline=config.scan_timeout)
            opened.append(NodeSource(transport, asked=self._asked, now=self._now, limits=limits, listening=listening))
        for server in config.electrum:
            opened.append(await self._stack.enter_async_context(self._electrum(server)))
        for endpoint in config.esplora:
            transport = await self._transport(endpoint)
            opened.append(EsploraSource(transport, asked=self._asked, now=self._now))
        return opened

    async def _transport(self, endpoint: EndpointConfig) -> Transport:
        transport = Transport(endpoint, chain=self._chain, timeout=self._config.timeout, timing=self._timing)
        return await self._stack.enter_async_context(transport)

    def _electrum(self, server: ElectrumConfig) -> ElectrumSource:
        return ElectrumSource(
            Server(server.host, server.port, server.provider, _tls(server)),
            chain=self._chain,
            asked=self._asked,
            now=self._now,
            timing=self._timing,
            limits=WireLimits(deadline=self._config.timeout, requests_per_second=server.requests_per_second),
        )


def _tls(server: ElectrumConfig) -> ssl.SSLContext | None:
    """A certificate that stands in the configuration is the server's own, whatever name is in it."""
    if not server.encrypted:
        return None
    context = ssl.create_default_context(cafile=server.certificate)
    context.check_hostname = server.certificate is None
    return context


@dataclass(frozen=True, slots=True)
class _Examination:
    """What `check --live` does to one source."""

    books: Books

    async def __call__(self, source: Source, watch: Watch) -> str | None:
        """Asks for the head and, at that block, for what is read there; see connectors.polled.Examine.

        A node is not made to scan its unspent outputs: it takes minutes, and only one scan can run.
        """
        missing = next((token for token in watch.tokens if token.contract is not None), None)
        head = await source.head()
        if isinstance(source, BlockSource):
            await source.block(head.hash)
        else:
            await source.coins(self.books.first_script(watch))
        return None if missing is None else f"{source.transport.provider}: there is no contract {missing.contract}"
