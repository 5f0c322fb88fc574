"""An HTTP server in this process that answers whatever a test wants, byte for byte, and time that passes at will."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from connectors.config import EndpointConfig
from connectors.transport import Retry, Timing, Transport


@dataclass(frozen=True, slots=True)
class Request:
    method: str
    target: str
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:  # noqa: ANN401 - a JSON value
        return json.loads(self.body)


Handler = Callable[[Request, asyncio.StreamWriter], Awaitable[None]]


def http(body: bytes | str, *, status: int = 200, headers: dict[str, str] | None = None) -> bytes:
    """A whole HTTP answer."""
    content = body.encode() if isinstance(body, str) else body
    lines = [f"HTTP/1.1 {status} Whatever", f"Content-Length: {len(content)}", "Content-Type: application/json"]
    lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
    return ("\r\n".join(lines) + "\r\n\r\n").encode() + content


@dataclass(slots=True)
class Server:
    """Answers every request by `handler`; remembers the requests."""

    url: str
    requests: list[Request] = field(default_factory=list)
    connections: int = 0
    sent: int = 0


@asynccontextmanager
async def serving(handler: Handler, *, keep_alive: bool = False) -> AsyncIterator[Server]:
    """A server on a free port; connections that are still open at the end are dropped."""
    server = Server("")
    writers: set[asyncio.StreamWriter] = set()

    async def session(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers.add(writer)
        server.connections += 1
        try:
            while True:
                request = await read_request(reader)
                server.requests.append(request)
                await handler(request, writer)
                await writer.drain()
                if not keep_alive:
                    return
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writers.discard(writer)
            writer.close()

    listener = await asyncio.start_server(session, "127.0.0.1", 0, limit=64 * 1024 * 1024)
    server.url = f"http://127.0.0.1:{listener.sockets[0].getsockname()[1]}"
    try:
        yield server
    finally:
        listener.close()
        for writer in writers:
            writer.transport.abort()
        await asyncio.sleep(0)


async def read_request(reader: asyncio.StreamReader) -> Request:
    head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
    method, target, _ = head[0].split(" ")
    headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in head[1:] if line)}
    body = await reader.readexactly(int(headers.get("content-length", 0)))
    return Request(method, target, headers, body)


def always(answer: bytes) -> Handler:
    """Sends these bytes to everybody."""

    async def handler(request: Request, writer: asyncio.StreamWriter) -> None:
        writer.write(answer)

    return handler


def in_turn(*answers: bytes) -> Handler:
    """Sends one after the other, the last one from then on."""
    left = list(answers)

    async def handler(request: Request, writer: asyncio.StreamWriter) -> None:
        writer.write(left.pop(0) if len(left) > 1 else left[0])

    return handler


def answering(reply: Callable[[Any], object]) -> Handler:
    """Sends the JSON of what `reply` makes of the request's JSON."""

    async def handler(request: Request, writer: asyncio.StreamWriter) -> None:
        writer.write(http(json.dumps(reply(request.json()))))

    return handler


class FakeTime:
    """A clock that moves only by sleeping, and chance that always comes out as told."""

    def __init__(self, *, chance: float = 0.5) -> None:
        self.now = 1000.0
        self.slept: list[float] = []
        self._chance = chance

    def timing(self) -> Timing:
        return Timing(clock=lambda: self.now, sleep=self._sleep, rng=lambda: self._chance)

    async def _sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds
        await asyncio.sleep(0)


@asynccontextmanager
async def transport_to(
    url: str,
    *,
    time: FakeTime | None = None,
    deadline: float = 2.0,
    retry: Retry | None = None,
    name: str = "node",
    requests_per_second: float | None = None,
) -> AsyncIterator[Transport]:
    """An open transport whose pauses take no time."""
    endpoint = EndpointConfig.model_validate({"url": url, "name": name, "requests_per_second": requests_per_second})
    timing = (time or FakeTime()).timing()
    transport = Transport(endpoint, chain="eth", timeout=timedelta(seconds=deadline), timing=timing, retry=retry)
    async with transport:
        yield transport
