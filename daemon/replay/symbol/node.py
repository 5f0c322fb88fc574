"""A small Symbol node of ours on the loopback: a scripted ledger behind real HTTP, that can misbehave."""

from __future__ import annotations

import asyncio
import json
import socket
from collections import Counter
from collections.abc import Mapping
from types import TracebackType
from typing import Self

from aiohttp import web

from connectors.symbol.networks import NETWORKS, Network
from daemon.replay.faults import Answering, Door, Faults
from daemon.replay.symbol.ledger import Ledger
from daemon.replay.symbol.rest import Behaviour, SymbolRest
from daemon.replay.symbol.routes import RestError, Routes

REFUSALS = {
    Answering.FAILING: (503, "Internal", {}),
    Answering.TOO_MANY: (429, "TooManyRequests", {"Retry-After": "1"}),  # what `Faults.per_second` counts is over then
}
"""Status, code and headers of a request that is not answered well."""


class SymbolNode:
    """Serves catapult-rest's interface at `url` while entered. It sees what is mined on `ledger` at once.

    Requests come in through `door`, whose faults it has; without one it has none. While it is dark its port refuses
    connections and stays reserved. `asked` counts requests by route.
    """

    def __init__(self, ledger: Ledger, *, network: Network = NETWORKS["mainnet"], door: Door | None = None) -> None:
        self.ledger = ledger
        self.behaviour = Behaviour()
        faults = Faults() if door is None else door.faults
        self._routes = Routes(SymbolRest(ledger, network=network, behaviour=self.behaviour, faults=faults).routes())
        self._door = door
        self.asked: Counter[str] = Counter()
        self._port = 0
        self._reserved: socket.socket | None = None
        self._runner: web.ServerRunner | None = None

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

    async def go_dark(self) -> None:
        """Closes open connections and refuses new ones, as when a process dies. Does nothing when dark already."""
        if self._runner is not None:
            runner, self._runner = self._runner, None
            await runner.cleanup()
            self._reserve()

    async def come_back(self) -> None:
        """Answers again, at the same URL. Does nothing when it is not dark."""
        if self._runner is not None or self._reserved is None:
            return
        runner = web.ServerRunner(web.Server(self._handle, access_log=None), shutdown_timeout=0.1)
        await runner.setup()
        await web.SockSite(runner, self._reserved).start()
        self._runner, self._reserved = runner, None

    def _reserve(self) -> None:
        # Bound and not listening: the kernel refuses connections and keeps the port ours.
        self._reserved = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        self._reserved.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._reserved.bind(("127.0.0.1", self._port))
        self._port = self._reserved.getsockname()[1]

    async def _handle(self, request: web.BaseRequest) -> web.Response:
        body = await request.read()
        if self._door is None:
            return await self._answered(request, body=body)
        answering = await self._door.enter()
        try:
            if answering is Answering.WELL:
                return await self._answered(request, body=body)
            status, code, headers = REFUSALS[answering]
            return _refusal(RestError(status, code, "not now"), headers=headers)
        finally:
            self._door.leave()

    async def _answered(self, request: web.BaseRequest, *, body: bytes) -> web.Response:
        behaviour = self.behaviour
        try:
            found = self._routes.find(request.method, path=request.path)
            self.asked[found.route] += 1
            behaviour.before(found.route)
            seconds = behaviour.slow.get(found.route, behaviour.seconds)
            if seconds:
                await asyncio.sleep(seconds)
            self._refuse(found.route, path=request.path)
            arguments = found.arguments | dict(request.query)
            told = behaviour.twist(found.route, found.answer(arguments | (json.loads(body) if body else {})))
        except RestError as error:
            return _refusal(error)
        content = told if isinstance(told, bytes) else json.dumps(told).encode()
        return web.Response(body=content, content_type="application/json")

    def _refuse(self, route: str, *, path: str) -> None:
        if self.behaviour.throttled:
            raise RestError(429, "TooManyRequests", "You have exceeded your request rate")
        if route in self.behaviour.missing:
            raise RestError(404, "ResourceNotFound", f"{path} does not exist")
        status = self.behaviour.failing.get(route)
        if status is not None:
            raise RestError(status, "Internal", "error retrieving data")


def _refusal(error: RestError, *, headers: Mapping[str, str] | None = None) -> web.Response:
    content = {"code": error.code, "message": str(error)}
    return web.json_response(content, status=error.status, headers=headers)
