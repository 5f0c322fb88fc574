"""One worker per chain: opens its connector and takes every update to the ledger."""

from collections.abc import Callable, Sequence
from contextlib import aclosing
from dataclasses import replace
from datetime import datetime
from typing import Any, cast

import structlog

from connectors import CONNECTORS, AnyChainConfig
from connectors.base import Connector, ProviderStats, Tip, Update, Watch
from connectors.errors import ConnectorError
from connectors.transport import REAL, Timing
from daemon.branches import continued

log = structlog.get_logger(__name__)


def _none() -> Sequence[Tip]:
    return ()


class ChainWorker:
    """Follows one chain. `take` receives each update; what it raises ends the step, and the supervisor begins anew,
    which makes the connector start with a complete update. `timing` is what the connector waits by, the real one by
    default. `known` are the blocks that were read before the connector began: what of them is undone is told with its
    first reading. `told` are those of them up to which all movements are told: a connector that can goes on there."""

    def __init__(
        self,
        chain: str,
        *,
        config: AnyChainConfig,
        watch: Watch,
        take: Callable[[Update], None],
        now: Callable[[], datetime],
        timing: Timing = REAL,
        known: Callable[[], Sequence[Tip]] = _none,
        told: Callable[[], Sequence[Tip]] = _none,
    ) -> None:
        self.chain = chain
        self.config = config
        self.watch = watch
        self._take = take
        self._now = now
        self._timing = timing
        self._known = known
        self._told = told
        self._begins = True
        self._connector: Connector | None = None

    async def follow(self) -> None:
        """A step for the supervisor: lasts until something breaks."""
        connect = CONNECTORS[self.config.kind].connect
        async with connect(self.config, chain=self.chain, now=self._now, timing=self._timing) as connector:
            self._connector, self._begins = connector, True
            updates = cast(Any, connector.updates(replace(self.watch, since=tuple(self._told()))))
            async with aclosing(updates):
                async for update in updates:
                    self._take(await self._continued(update, connector) if self._begins else update)

    async def _continued(self, update: Update, connector: Connector) -> Update:
        """Where nobody can tell what is undone, what was read before stands as it was."""
        if update.tip is None:
            return update
        self._begins = False
        try:
            return await continued(update, known=self._known(), hash_at=connector.hash_at)
        except ConnectorError as error:
            log.warning("whether blocks were undone meanwhile is not known", chain=self.chain, error=str(error))
            return update

    def stats(self) -> tuple[ProviderStats, ...]:
        return self._connector.stats() if self._connector else ()
