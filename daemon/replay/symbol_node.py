"""A small Symbol node of ours on the loopback: a scripted ledger behind real HTTP, that can misbehave."""

from __future__ import annotations

import asyncio
import json
import socket
from collections import Counter
from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import Self

from aiohttp import web

from connectors.symbol.networks import NETWORKS, Network
from daemon.replay.symbol_ledger import Ledger
from daemon.replay.symbol_rest import Answer, Behaviour, RestError, SymbolRest

LARGEST_REQUEST = 2**20


class SymbolNode:
    """Serves catapult-rest's interface at `url` while entered. It sees what is mined on `ledger` at once.

    While it is dark its port refuses connections and stays reserved. `asked` counts requests by route.
    """

    def __init__(self, ledger: Ledger, *, network: Network = NETWORKS["mainnet"]) -> None:
        self.ledger = ledger
        self.behaviour = Behaviour()
        self._rest = SymbolRest(ledger, network=network, behaviour=self.behaviour)
        self.asked: Counter[str] = Counter()
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
        application = web.Application(client_max_size=LARGEST_REQUEST)
        for method, route, answer in self._rest.routes():
            application.router.add_route(method, route, self._handler(route, answer))
        runner = web.AppRunner(application, access_log=None, shutdown_timeout=0.1)
        await runner.setup()
        await web.SockSite(runner, self._reserved).start()
        self._runner, self._reserved = runner, None

    def _reserve(self) -> None:
        # Bound and not listening: the kernel refuses connections and keeps the port ours.
        self._reserved = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        self._reserved.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._reserved.bind(("127.0.0.1", self._port))
        self._port = self._reserved.getsockname()[1]

    def _handler(self, route: str, answer: Answer) -> Callable[[web.Request], Awaitable[web.Response]]:
        async def handle(request: web.Request) -> web.Response:
            self.asked[route] += 1
            behaviour = self.behaviour
            behaviour.before(route)
            await asyncio.sleep(behaviour.slow.get(route, behaviour.seconds))
            try:
                self._refuse(route, path=request.path)
                arguments = dict(request.match_info) | dict(request.query)
                body = json.loads(await request.read()) if request.method == "POST" else {}
                told = behaviour.twist(route, answer({**arguments, **body}))
            except RestError as error:
                return web.json_response({"code": error.code, "message": str(error)}, status=error.status)
            content = told if isinstance(told, bytes) else json.dumps(told).encode()
            return web.Response(body=content, content_type="application/json")

        return handle

    def _refuse(self, route: str, *, path: str) -> None:
        if self.behaviour.throttled:
            raise RestError(429, "TooManyRequests", "You have exceeded your request rate")
        if route in self.behaviour.missing:
            raise RestError(404, "ResourceNotFound", f"{path} does not exist")
        status = self.behaviour.failing.get(route)
        if status is not None:
            raise RestError(status, "Internal", "error retrieving data")
