"""What was refused lands in the audit log as well: who tried to change something, and why it was not done."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import datetime

from aiohttp import web
from aiohttp.typedefs import Middleware

from daemon.api.auth import CALLER
from daemon.api.problem import Handler
from daemon.store import Entry

MOST = 500
"""Characters of a reason; it may repeat what somebody sent."""

Append = Callable[[Entry], Awaitable[object]]


def audited(append: Append, *, now: Callable[[], datetime]) -> Middleware:
    """Tells the log of what is refused to somebody whose name is known; StoreError when it does not take it.

    Whoever shows no token that we know is not told of: anybody could fill the log.
    """

    @web.middleware
    async def middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
        try:
            return await handler(request)
        except web.HTTPClientError as error:
            if (
                request.method not in ("GET", "HEAD")
                and CALLER in request
                and request.match_info.http_exception is None
            ):
                body = {"method": request.method, "path": request.path[:MOST], "status": error.status}
                await append(Entry(now(), request[CALLER], "refused", (error.text or error.reason)[:MOST], body))
            raise

    return middleware
