"""One worker per chain: opens its connector and takes every update to the ledger."""

from collections.abc import Callable
from contextlib import aclosing
from datetime import datetime
from typing import Any, cast

from connectors import CONNECTORS, AnyChainConfig
from connectors.base import Connector, ProviderStats, Update, Watch
from connectors.transport import REAL, Timing


class ChainWorker:
    """Follows one chain. `take` receives each update; what it raises ends the step, and the supervisor begins anew,
    which makes the connector start with a complete update. `timing` is what the connector waits by, the real one by
    default."""

    def __init__(
        self,
        chain: str,
        *,
        config: AnyChainConfig,
        watch: Watch,
        take: Callable[[Update], None],
        now: Callable[[], datetime],
        timing: Timing = REAL,
    ) -> None:
        self.chain = chain
        self.config = config
        self.watch = watch
        self._take = take
        self._now = now
        self._timing = timing
        self._connector: Connector | None = None

    async def follow(self) -> None:
        """A step for the supervisor: lasts until something breaks."""
        connect = CONNECTORS[self.config.kind].connect
        async with connect(self.config, chain=self.chain, now=self._now, timing=self._timing) as connector:
            self._connector = connector
            updates = cast(Any, connector.updates(self.watch))
            async with aclosing(updates):
                async for update in updates:
                    self._take(update)

    def stats(self) -> tuple[ProviderStats, ...]:
        return self._connector.stats() if self._connector else ()
