"""The node that stands before a real one, without the real one."""

from __future__ import annotations

import asyncio

import aiohttp
from aiohttp import web
from aiohttp.test_utils import TestServer

from daemon.replay.bitcoin_node import BitcoinNode


class Impatient:
    """Hangs up on a second call on a connection, as a node does whose patience ends just then."""

    def __init__(self) -> None:
        self._seen: set[asyncio.Transport] = set()

    async def answer(self, request: web.Request) -> web.Response:
        assert request.transport is not None
        if request.transport in self._seen:
            request.transport.abort()
        self._seen.add(request.transport)
        return web.json_response({"result": [], "error": None, "id": 0})


async def test_calls_do_not_meet_a_connection_that_the_real_node_is_closing() -> None:
    application = web.Application()
    application.router.add_post("/", Impatient().answer)
    async with (
        TestServer(application) as server,
        BitcoinNode(str(server.make_url("/")), poll=60.0) as node,
        aiohttp.ClientSession() as session,
        session.post(node.url, json={"method": "getrawmempool"}) as response,
    ):
        assert (await response.json())["result"] == []
