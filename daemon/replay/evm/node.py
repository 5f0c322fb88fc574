"""A small Ethereum node of ours on the loopback: a scripted chain behind real HTTP, that can go dark and come back."""

import socket
from collections.abc import Mapping
from types import TracebackType
from typing import Self

from aiohttp import web

from daemon.replay.evm.ledger import EvmLedger
from daemon.replay.evm.rpc import Rpc, TokenContract
from daemon.replay.evm.view import View
from daemon.replay.faults import Answering, Door, Faults

LARGEST_REQUEST = 16 * 2**20  # bytes: a batch of 100,000 balances

REFUSALS = {
    Answering.FAILING: (503, {}),
    Answering.TOO_MANY: (429, {"Retry-After": "1"}),  # what `Faults.per_second` counts is over in a second
}
"""HTTP status and headers of a request that is not answered well."""


class Node:
    """Serves JSON-RPC 2.0 at `url` while entered. It sees what happens to `ledger` at once.

    Requests come in through `door`, whose faults it has; without one it has none. While it is dark its port refuses
    connections and stays reserved.
    """

    def __init__(
        self, ledger: EvmLedger, *, chain_id: int, tokens: Mapping[str, TokenContract], door: Door | None = None
    ) -> None:
        view = View(ledger, faults=Faults() if door is None else door.faults)
        self._rpc = Rpc(view, chain_id=chain_id, tokens=tokens)
        self._door = door
        self._port = 0
        self._reserved: socket.socket | None = None
        self._runner: web.AppRunner | None = None

    async def __aenter__(self) -> Self:
        self._reserve()
        await self.come_back()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.go_dark()
        if self._reserved is not None:
            self._reserved.close()
            self._reserved = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    @property
    def dark(self) -> bool:
        return self._runner is None

    async def go_dark(self) -> None:
        """Closes open connections and refuses new ones, as when a process dies. Does nothing when dark already."""
        if self._runner is None:
            return
        runner, self._runner = self._runner, None
        await runner.cleanup()
        self._reserve()

    async def come_back(self) -> None:
        """Answers again, at the same URL. Does nothing when it is not dark."""
        if self._runner is not None or self._reserved is None:
            return
        app = web.Application(client_max_size=LARGEST_REQUEST)
        app.router.add_post("/", self._post)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await runner.setup()
        await web.SockSite(runner, self._reserved).start()
        self._runner, self._reserved = runner, None

    def _reserve(self) -> None:
        # Bound and not listening: the kernel refuses connections and keeps the port ours.
        reserved = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        reserved.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        reserved.bind(("127.0.0.1", self._port))
        self._port = reserved.getsockname()[1]
        self._reserved = reserved

    async def _post(self, request: web.Request) -> web.Response:
        body = await request.read()
        if self._door is None:
            return _answered(self._rpc.answer(body))
        answering = await self._door.enter()
        try:
            if answering is Answering.WELL:
                return _answered(self._rpc.answer(body))
            status, headers = REFUSALS[answering]
            return web.Response(status=status, headers=headers)
        finally:
            self._door.leave()


def _answered(answer: bytes | None) -> web.Response:
    if answer is None:
        return web.Response(status=204)
    return web.Response(body=answer, content_type="application/json")
