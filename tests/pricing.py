"""A small server that tells figures as JSON, and fails or lies when a test wants it to."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiohttp import web


class Figures:
    """`body` is what it answers; `status` and `silent` what else it may do. `asked` counts the requests."""

    def __init__(self, body: str) -> None:
        self.body = body
        self.status = 200
        self.silent = False
        self.asked = 0
        self.url = ""

    async def answer(self, request: web.Request) -> web.Response:
        self.asked += 1
        if self.silent:
            await asyncio.Event().wait()
        return web.Response(text=self.body, status=self.status, content_type="application/json")

    @asynccontextmanager
    async def serving(self) -> AsyncIterator["Figures"]:
        app = web.Application()
        app.router.add_get("/", self.answer)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await runner.setup()
        try:
            await web.TCPSite(runner, "127.0.0.1", 0).start()
            host, port = runner.addresses[0][:2]
            self.url = f"http://{host}:{port}/"
            yield self
        finally:
            await runner.cleanup()
