"""A small Symbol node of ours on the loopback: a scripted ledger behind real HTTP, that can misbehave."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Mapping

from aiohttp import web

from connectors.symbol.networks import NETWORKS, Network
from daemon.replay.faults import Answering, Door, Faults
from daemon.replay.loopback import REFUSALS, Loopback
from daemon.replay.symbol.ledger import Ledger
from daemon.replay.symbol.rest import Behaviour, SymbolRest
from daemon.replay.symbol.routes import RestError, Routes

CODES = {Answering.FAILING: "Internal", Answering.TOO_MANY: "TooManyRequests"}
"""What catapult-rest calls the refusals."""


class SymbolNode(Loopback):
    """Serves catapult-rest's interface at `url` while entered. It sees what is mined on `ledger` at once.

    Requests come in through `door`, whose faults it has; without one it has none. While it is dark its port refuses
    connections and stays reserved. `asked` counts requests by route.
    """

    def __init__(self, ledger: Ledger, *, network: Network = NETWORKS["mainnet"], door: Door | None = None) -> None:
        super().__init__(self._run)
        self.ledger = ledger
        self.behaviour = Behaviour()
        faults = Faults() if door is None else door.faults
        self._routes = Routes(SymbolRest(ledger, network=network, behaviour=self.behaviour, faults=faults).routes())
        self._door = door
        self.asked: Counter[str] = Counter()

    def _run(self) -> web.ServerRunner:
        # Without an Application around it, a request costs half as much: it needs no routes but our own.
        return web.ServerRunner(web.Server(self._handle, access_log=None), shutdown_timeout=0.1)

    async def _handle(self, request: web.BaseRequest) -> web.Response:
        body = await request.read()
        if self._door is None:
            return await self._answered(request, body=body)
        answering = await self._door.enter()
        try:
            if answering is Answering.WELL:
                return await self._answered(request, body=body)
            status, headers = REFUSALS[answering]
            return _refusal(RestError(status, CODES[answering], "not now"), headers=headers)
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
