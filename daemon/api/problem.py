"""Errors as problem documents (RFC 9457), so that a script never has to parse a page."""

from collections.abc import Awaitable, Callable
from http import HTTPStatus

from aiohttp import web

from daemon.errors import StoreError

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def problem(status: int, *, detail: str, instance: str, headers: dict[str, str] | None = None) -> web.Response:
    """A problem document; `detail` is one line for people."""
    body = {"type": "about:blank", "title": HTTPStatus(status).phrase, "status": status, "detail": detail}
    response = web.json_response({**body, "instance": instance}, status=status, headers=headers)
    response.content_type = "application/problem+json"
    return response


@web.middleware
async def problems(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Turns aiohttp's own errors into problem documents, and what the store does not do into 503."""
    try:
        return await handler(request)
    except StoreError as error:
        return problem(503, detail=f"store: {error}", instance=request.path)
    except web.HTTPException as error:
        if error.status < 400:
            raise
        kept = {name: error.headers[name] for name in ("WWW-Authenticate", "Allow") if name in error.headers}
        detail = error.text or error.reason
        if detail.startswith(f"{error.status}: "):
            detail = f"{request.method} {request.path}: {error.reason.lower()}"
        return problem(error.status, detail=detail, instance=request.path, headers=kept)
