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
from daemon.replay.withdrawals import ALL_PLACES, Withdrawals

LIABILITIES, APPROVALS = "/liabilities", "/approvals"


class BackOffice(Loopback):
    """While entered, `GET /liabilities`: `{"at": "2026-02-06T10:00:00Z", "amounts": {"BTC": "665900"}}`, in whole coins
    as of now; and `GET /approvals`: `{"at": ..., "approvals": [{"id": ..., "asset": ..., ...}]}`. Requests come in
    through `door`, whose faults it has."""

    def __init__(self, books: Books, withdrawals: Withdrawals, *, door: Door, now: Callable[[], datetime]) -> None:
        super().__init__(self._run)
        self._books = books
        self._withdrawals = withdrawals
        self._door = door
        self._now = now

    @property
    def liabilities(self) -> str:
        """The URL that is asked for what is owed."""
        return f"{self.url}{LIABILITIES}"

    @property
    def approvals(self) -> str:
        """The URL that is asked for what was approved."""
        return f"{self.url}{APPROVALS}"

    def _run(self) -> web.ServerRunner:
        return web.ServerRunner(web.Server(self._handle, access_log=None), shutdown_timeout=0.1)

    async def _handle(self, request: web.BaseRequest) -> web.Response:
        tells = {LIABILITIES: self._amounts, APPROVALS: self._approvals}.get(request.path)
        if tells is None:
            return web.Response(status=404)
        if request.method != "GET":
            return web.Response(status=405, headers={"Allow": "GET"})
        answering = await self._door.enter()
        try:
            if answering is Answering.WELL:
                now = self._now()
                answer = {"at": f"{now:%Y-%m-%dT%H:%M:%S.%fZ}", **tells(now)}
                return web.Response(body=json.dumps(answer).encode(), content_type="application/json")
            status, headers = REFUSALS[answering]
            return web.Response(status=status, headers=headers)
        finally:
            self._door.leave()

    def _amounts(self, _: datetime) -> dict[str, object]:
        return {"amounts": {asset: plain(coins, places=ALL_PLACES) for asset, coins in self._books.owed.items()}}

    def _approvals(self, now: datetime) -> dict[str, object]:
        return {"approvals": self._withdrawals.told(now)}
