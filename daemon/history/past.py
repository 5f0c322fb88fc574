"""What the daemon does about the past: a sink and a worker that keep it, and the answers out of it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Any

from aiohttp import web

from daemon import version
from daemon.errors import StoreError
from daemon.history.keeper import Keeper
from daemon.history.series import Asked
from daemon.ledger import Ledger
from daemon.model import Report
from daemon.reload import Loaded
from daemon.setup import Setup
from daemon.store import Archive


class Past:
    """The keeper and the archive that it writes; without an archive nothing is kept."""

    def __init__(
        self,
        archive: Archive | None,
        *,
        loaded: Loaded,
        now: Callable[[], datetime],
        standing: Callable[[], tuple[Setup, Ledger, Loaded]],
    ) -> None:
        self._archive = archive
        self._config = loaded.settings.history
        self._now = now
        self._keeper = None if archive is None else self._keeper_on(archive, loaded=loaded, standing=standing)

    def _keeper_on(
        self, archive: Archive, *, loaded: Loaded, standing: Callable[[], tuple[Setup, Ledger, Loaded]]
    ) -> Keeper:
        return Keeper(
            archive,
            config=self._config,
            days=loaded.settings.report.days,
            standing=standing,
            program=f"pyrometer {version()}",
        )

    def offer(self, report: Report) -> None:
        """As a sink of the pipe."""
        if self._keeper is not None:
            self._keeper.offer(report)

    async def work(self) -> None:
        """As a worker: one step."""
        if self._keeper is None:
            await asyncio.Event().wait()
        else:
            await self._keeper.work()

    async def flush(self) -> None:
        """Offers the store what it has not taken yet."""
        if self._keeper is not None:
            await self._keeper.flush()

    @property
    def problem(self) -> str | None:
        """Why the history lives in memory alone; None when all is well."""
        return None if self._keeper is None else self._keeper.problem

    async def answer(self, query: Iterable[tuple[str, str]]) -> dict[str, Any]:
        """`/api/v1/history`. HTTPBadRequest for a bad question, HTTPServiceUnavailable when the store is down."""
        asked = Asked.by(query, now=self._now(), config=self._config)
        if self._archive is None:
            raise web.HTTPServiceUnavailable(text="there is no store, so that no history is kept")
        try:
            return await asked.answer(self._archive)
        except StoreError as error:
            raise web.HTTPServiceUnavailable(text=f"store: {error}") from error
