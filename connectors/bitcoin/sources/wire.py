"""JSON-RPC 2.0 over one TCP or TLS connection, a line a message: how Electrum servers speak.

Source: Electrum protocol 1.4, «Protocol Basics». Requests are pipelined and matched by id; the server may send notices
at any time. Whatever a server does, a request ends within its deadline, and what is kept of its words is bounded.
"""

from __future__ import annotations

import asyncio
import json
import os
import ssl
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from types import TracebackType
from typing import Protocol, Self

from connectors import strictjson
from connectors.circuit import Circuit
from connectors.errors import BadAnswer, ConnectorError, Misconfigured, NodeError, RateLimited, Reason, Unavailable
from connectors.standing import Standing
from connectors.together import together
from connectors.transport import Pace, Retry, Timing

EXCESSIVE_USE = -101  # aiorpcX, jsonrpc.py, EXCESSIVE_RESOURCE_USAGE: the server closes the connection
SERVER_BUSY = -102  # as above, SERVER_BUSY
INTERNAL_ERROR = -32603  # JSON-RPC 2.0, section 5.1; what aiorpcX makes of any trouble of the server's own
REST = 30.0
"""Seconds that a server gets that says it had too much of us."""

LINES_AT_ONCE = 16
"""Lines taken before others have a turn: reading what is there already never waits by itself."""


@dataclass(frozen=True, slots=True)
class Server:
    """Where a server is. `tls` says which certificates are good; None is plain TCP."""

    host: str
    port: int
    name: str
    tls: ssl.SSLContext | None = None


@dataclass(frozen=True, slots=True)
class WireLimits:
    """`deadline` is for one attempt at a request, answer included; `line` in bytes, of an answer or notice.

    `retry` is for what the server says it could not answer this time; a connection that fails is left to fail-over.
    """

    deadline: timedelta = timedelta(seconds=10)
    in_flight: int = 50
    retry: Retry = field(default_factory=Retry)
    requests_per_second: float | None = None
    line: int = 16 * 1024 * 1024


class _NotThisTime(Unavailable):
    """The server is there, and had a trouble of its own with this request."""


class Ask(Protocol):
    """Sends a request on a connection. Raises ConnectorError, a NodeError for the server's refusal."""

    def __call__(self, method: str, *params: object) -> Awaitable[object]: ...


Hear = Callable[[str, list[object]], None]
"""Takes a notice; may raise BadAnswer when no server would send it."""


class Wire(Standing):
    """The connection to one server, made when it is needed, as an async context manager.

    `greet` is done first on each connection; `heard` takes notices; `lost` is called when a connection has ended.
    """

    def __init__(
        self,
        server: Server,
        *,
        chain: str,
        limits: WireLimits,
        timing: Timing,
        greet: Callable[[Ask], Awaitable[None]],
        heard: Hear,
        lost: Callable[[], None],
    ) -> None:
        super().__init__(server.name, circuit=Circuit(server.name, chain=chain, clock=timing.clock, rng=timing.rng))
        self.timing = timing
        self.connections = 0
        """Connections made so far: a new one may end at another machine, and has no subscriptions."""
        self._server = server
        self._limits = limits
        self._greet = greet
        self._heard = heard
        self._lost = lost
        self._pace = Pace(limits.requests_per_second, timing=timing)
        self._places = asyncio.Semaphore(limits.in_flight)
        self._connecting = asyncio.Lock()
        self._connection: _Connection | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._hang_up()

    @property
    def connected(self) -> bool:
        return self._connection is not None and self._connection.ended is None

    async def request(self, method: str, *params: object) -> object:
        """The result of one call. Raises NodeError for the server's refusal, else another ConnectorError."""
        async with self._places:
            for attempt in range(self._limits.retry.attempts - 1):
                try:
                    return await self._attempt(method, params)
                except _NotThisTime:
                    await self.timing.sleep(self._pause(attempt))
            return await self._attempt(method, params)

    async def requests(self, calls: Sequence[tuple[str, Sequence[object]]]) -> list[object]:
        """A result or NodeError for each call, in order. Raises the first other ConnectorError."""
        return await together(self._answer(method, params) for method, params in calls)

    async def _attempt(self, method: str, params: Sequence[object]) -> object:
        await self._pace.turn()
        self.asked()
        try:
            return await self._ask_in_time(method, params)
        except ConnectorError as error:
            raise self.blame(error) from None

    def _pause(self, attempt: int) -> float:
        retry = self._limits.retry
        return self.timing.rng() * min(retry.cap, retry.base * 2.0**attempt)

    async def _ask_in_time(self, method: str, params: Sequence[object]) -> object:
        deadline = self._limits.deadline.total_seconds()
        connection, lines = None, 0
        try:
            with self.timing.away():
                async with asyncio.timeout(deadline):
                    connection = await self._connect()
                    lines = connection.lines
                    return await connection.ask(method, *params)
        except TimeoutError:
            if connection is not None and connection.lines == lines:  # the other end may be gone without a farewell
                connection.end(Unavailable(f"{self.provider}: fell silent", reason=Reason.TIMEOUT))
            text = f"{self.provider}: no answer within {deadline:g}s"
            raise Unavailable(text, reason=Reason.TIMEOUT) from None

    async def _answer(self, method: str, params: Sequence[object]) -> object:
        try:
            return await self.request(method, *params)
        except NodeError as error:
            return error

    async def _connect(self) -> _Connection:
        async with self._connecting:
            if self._connection is None or self._connection.ended is not None:
                await self._hang_up()
                self._connection = await self._call_up()
            return self._connection

    async def _call_up(self) -> _Connection:
        server = self._server
        try:
            reader, writer = await asyncio.open_connection(
                server.host,
                server.port,
                ssl=server.tls,
                server_hostname=server.host if server.tls else None,
                limit=self._limits.line,
            )
        except ssl.SSLCertVerificationError as error:
            text = f"{self.provider}: its certificate is not good: {self.quote(error.verify_message)}"
            raise Misconfigured(text) from None
        except OSError as error:
            raise Unavailable(f"{self.provider}: {_why(error)}") from None
        self.connections += 1
        connection = _Connection(reader, writer, wire=self, heard=self._heard, lost=self._lost)
        try:
            await self._greet(connection.ask)
        except BaseException:
            await connection.close()
            raise
        return connection

    async def _hang_up(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            await connection.close()


class _Connection:
    """Matches answers to requests. Once `ended`, every request fails with that error."""

    def __init__(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        *,
        wire: Standing,
        heard: Hear,
        lost: Callable[[], None],
    ) -> None:
        self.ended: ConnectorError | None = None
        self._reader = reader
        self._writer = writer
        self._wire = wire
        self._heard = heard
        self._lost = lost
        self._waiting: dict[int, asyncio.Future[dict[str, object]]] = {}
        self._next_id = 0
        self.lines = 0
        """Lines that came so far."""
        self._reading = asyncio.create_task(self._read(), name=f"reading {wire.provider}")

    async def ask(self, method: str, *params: object) -> object:
        if self.ended is not None:
            raise _again(self.ended)
        number = self._next_id
        self._next_id += 1
        answer = self._waiting[number] = asyncio.get_running_loop().create_future()
        request = {"jsonrpc": "2.0", "id": number, "method": method, "params": params}
        try:
            self._writer.write(json.dumps(request, separators=(",", ":")).encode() + b"\n")
            await self._writer.drain()
            return self._result(await answer)
        except OSError as error:
            raise Unavailable(f"{self._wire.provider}: {_why(error)}") from None
        finally:
            del self._waiting[number]

    async def close(self) -> None:
        self.end(Unavailable(f"{self._wire.provider}: we closed the connection"))
        self._reading.cancel()
        await asyncio.wait([self._reading])

    async def _read(self) -> None:
        try:
            while self.ended is None:
                self._take(await self._reader.readuntil(b"\n"))
                self.lines += 1
                if self.lines % LINES_AT_ONCE == 0:
                    await asyncio.sleep(0)
        except asyncio.LimitOverrunError:
            self.end(BadAnswer(f"{self._wire.provider}: a line is longer than allowed"))
        except asyncio.IncompleteReadError as error:
            half = " within a line" if error.partial else ""
            self.end(Unavailable(f"{self._wire.provider}: closed the connection{half}"))
        except OSError as error:
            self.end(Unavailable(f"{self._wire.provider}: {_why(error)}"))
        except ConnectorError as error:
            self.end(error)

    def _take(self, line: bytes) -> None:
        try:
            message = strictjson.loads(line)
        except ValueError:
            raise self._bad(f"the line is not JSON: {self._wire.quote(line[:80])}") from None
        if not isinstance(message, dict):
            raise self._bad("a line is no JSON object")
        if "method" in message:
            self._take_notice(message)
            return
        number = message.get("id")
        if type(number) is not int or not 0 <= number < self._next_id:
            raise self._bad(f"an answer to nothing we asked: {self._wire.quote(line[:80])}")
        answer = self._waiting.get(number)
        if answer is not None and not answer.done():  # else it came too late, or twice
            answer.set_result(message)

    def _take_notice(self, message: dict[str, object]) -> None:
        method, params = message["method"], message.get("params")
        if not isinstance(method, str) or not isinstance(params, list):
            raise self._bad("a notice without method and parameters")
        self._heard(method, params)

    def _result(self, message: dict[str, object]) -> object:
        error = message.get("error")
        if error is None:
            if "result" not in message:
                raise self._bad("an answer has neither result nor error")
            return message["result"]
        raise self._refusal(error)

    def _refusal(self, error: object) -> ConnectorError:
        code = error.get("code") if isinstance(error, dict) else None
        words = error.get("message", "") if isinstance(error, dict) else error  # some servers send mere text
        text = f"{self._wire.provider}: {self._wire.quote(words)}"
        if type(code) is not int:
            return NodeError(text, code=0)
        if code == EXCESSIVE_USE:
            return RateLimited(f"{text} ({code})", retry_after=REST)
        if code in (SERVER_BUSY, INTERNAL_ERROR):
            return _NotThisTime(f"{text} ({code})")
        return NodeError(f"{text} ({code})", code=code)

    def end(self, error: ConnectorError) -> None:
        """Fails what waits and whatever is asked from now on."""
        if self.ended is not None:
            return
        self.ended = error
        for answer in self._waiting.values():
            if not answer.done():
                answer.set_exception(_again(error))
        self._writer.transport.abort()
        self._lost()

    def _bad(self, text: str) -> BadAnswer:
        return BadAnswer(f"{self._wire.provider}: {text}")


def _again(error: ConnectorError) -> ConnectorError:
    """The same error for somebody else: one instance raised twice would collect both tracebacks."""
    return type(error)(str(error), reason=error.reason) if type(error) in (BadAnswer, Unavailable) else error


def _why(error: OSError) -> str:
    """Our own words for a broken connection."""
    if isinstance(error, ssl.SSLError):
        return "the TLS connection failed"
    return os.strerror(error.errno) if error.errno is not None and error.errno > 0 else "the host name is not good"
