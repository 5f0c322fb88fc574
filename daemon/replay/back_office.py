"""The exchange's back office in a replay: serves its books over HTTP, and can be slow and failing as a node can."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime

from aiohttp import web

from daemon.interval import plain
from daemon.replay.books import Books
from daemon.replay.faults import Answering, Door
from daemon.replay.loopback import REFUSALS, Loopback

PATH = "/liabilities"
ALL_PLACES = 80
"""More decimals than a token can have: amounts are told exactly."""


class BackOffice(Loopback):
    """`GET /liabilities` while entered: `{"at": "2026-02-06T10:00:00Z", "amounts": {"BTC": "665900"}}`, in whole coins
    as of now. Requests come in through `door`, whose faults it has."""

    def __init__(self, books: Books, *, door: Door, now: Callable[[], datetime]) -> None:
        super().__init__(self._run)
        self._books = books
        self._door = door
        self._now = now

    @property
    def liabilities(self) -> str:
        """The URL that is asked."""
        return f"{self.url}{PATH}"

    def _run(self) -> web.ServerRunner:
        return web.ServerRunner(web.Server(self._handle, access_log=None), shutdown_timeout=0.1)

    async def _handle(self, request: web.BaseRequest) -> web.Response:
        if request.path != PATH:
            return web.Response(status=404)
        if request.method != "GET":
            return web.Response(status=405, headers={"Allow": "GET"})
        answering = await self._door.enter()
        try:
            if answering is Answering.WELL:
                return web.Response(body=self._told(), content_type="application/json")
            status, headers = REFUSALS[answering]
            return web.Response(status=status, headers=headers)
        finally:
            self._door.leave()

    def _told(self) -> bytes:
        amounts = {asset: plain(coins, places=ALL_PLACES) for asset, coins in self._books.owed.items()}
        return json.dumps({"at": f"{self._now():%Y-%m-%dT%H:%M:%S.%fZ}", "amounts": amounts}).encode()
