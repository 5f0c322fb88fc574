"""One node over HTTP: deadline, retries, pacing, size ceiling, redaction and counters, in one place for every chain."""

from __future__ import annotations

import asyncio
import base64
import io
import json
import math
import os
import random
import time
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from datetime import timedelta
from types import SimpleNamespace, TracebackType
from typing import NamedTuple, NoReturn, Self

import aiohttp
from yarl import URL

from connectors import strictjson
from connectors.circuit import Circuit
from connectors.config import EndpointConfig
from connectors.errors import BadAnswer, Misconfigured, RateLimited, Reason, Unavailable
from connectors.standing import Standing

CEILING = 8 * 1024 * 1024
"""Bytes of an answer's body, decompressed, past which it is no answer to anything we ask."""

SENT_WHOLE = 512 * 1024
"""Bytes of a request that are handed to the connection at once."""

WORST_RETRY_AFTER = 60.0
DEFAULT_RETRY_AFTER = 1.0


@dataclass(frozen=True, slots=True)
class Timing:
    """The outside world that tests and replays replace: monotonic seconds, sleeping, and chance in [0, 1).

    `away` holds while an answer is awaited: where time is simulated it must not go on meanwhile.
    """

    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    rng: Callable[[], float] = random.random
    away: Callable[[], AbstractContextManager[None]] = nullcontext

    async def sleep_or(self, event: asyncio.Event, *, seconds: float) -> None:
        """Returns when the event is set, after so many seconds at the latest."""
        pause = asyncio.ensure_future(self.sleep(max(0.0, seconds)))
        waiting = asyncio.ensure_future(event.wait())
        try:
            await asyncio.wait((pause, waiting), return_when=asyncio.FIRST_COMPLETED)
        finally:
            pause.cancel()
            waiting.cancel()
            await asyncio.gather(pause, waiting, return_exceptions=True)


REAL = Timing()
"""The world as it is."""


class Pace:
    """Gives everybody a turn, so many a second at most; None is no limit."""

    def __init__(self, per_second: float | None, *, timing: Timing) -> None:
        self._interval = 1 / per_second if per_second else 0.0
        self._timing = timing
        self._next_slot = -math.inf

    async def turn(self) -> None:
        if not self._interval:
            return
        now = self._timing.clock()
        slot = max(now, self._next_slot)
        self._next_slot = slot + self._interval
        if slot > now:
            await self._timing.sleep(slot - now)


@dataclass(frozen=True, slots=True)
class Retry:
    """Attempts at one idempotent request. The n-th pause is uniform in [0, min(cap, base * 2**n)] s (full jitter).

    A `Retry-After` up to `cap` is slept through; a longer one, and a passed deadline, are left to fail-over.
    """

    attempts: int = 3
    base: float = 0.1
    cap: float = 2.0


class Answer(NamedTuple):
    status: int
    body: bytes


class _Limits(NamedTuple):
    """Of one attempt: bytes of the answer, seconds for the whole exchange."""

    ceiling: int
    deadline: float


IsAnswer = Callable[[Answer], bool]


def is_ok(answer: Answer) -> bool:
    return answer.status == 200


class Transport(Standing):
    """The connections to one node, as an async context manager.

    Everything it raises is a ConnectorError whose message names the provider and carries no part of the URL: the
    foreign exceptions quote URLs, so they are not chained.
    """

    def __init__(
        self,
        endpoint: EndpointConfig,
        *,
        chain: str,
        timeout: timedelta,
        timing: Timing,
        retry: Retry | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        """`headers` are sent with each request beside our own; their values are secrets."""
        url = URL(endpoint.url.get_secret_value())
        circuit = Circuit(endpoint.provider, chain=chain, clock=timing.clock, rng=timing.rng)
        super().__init__(endpoint.provider, circuit=circuit, secrets=_secrets(url, headers=headers or {}))
        self.timing = timing
        self.connections = 0
        """Connections opened so far: a new one may end at another machine, or at the same one restarted."""
        self._base = url.with_user(None)
        self._headers = {**_headers(url), **(headers or {})}
        self._timeout = timeout.total_seconds()
        self._retry = retry or Retry()
        self._pace = Pace(endpoint.requests_per_second, timing=timing)
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        trace = aiohttp.TraceConfig()
        trace.on_connection_create_end.append(self._count_connection)
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=16),
            cookie_jar=aiohttp.DummyCookieJar(),
            headers=self._headers,
            timeout=aiohttp.ClientTimeout(total=None),  # the whole exchange has one deadline of ours
            trace_configs=[trace],
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._session is not None:
            await self._session.close()

    async def request(
        self,
        method: str,
        *,
        path: str = "",
        query: Mapping[str, str] | None = None,
        body: bytes | None = None,
        ceiling: int = CEILING,
        deadline: float | None = None,
        is_answer: IsAnswer = is_ok,
    ) -> Answer:
        """Sends an idempotent request until it is answered, within the deadline for each attempt.

        `deadline` (seconds) takes the place of the configured one for work that is known to be long. `is_answer` may
        claim answers with other statuses than 200 for the protocol above. Raises Unavailable, RateLimited, BadAnswer or
        Misconfigured.
        """
        url = self._base.joinpath(path) if path else self._base
        if path or query:
            url = url.with_query({**self._base.query, **(query or {})})
        attempt, limits = 0, _Limits(ceiling, self._timeout if deadline is None else deadline)
        while True:
            try:
                answer = await self._attempt(method, url=url, body=body, limits=limits)
                return answer if is_answer(answer) else self._refused(answer)
            except Unavailable as error:
                pause = self._pause(error, attempt=attempt)
                if pause is None:
                    raise
            attempt += 1
            await self.timing.sleep(pause)

    async def get_json(self, path: str, *, query: Mapping[str, str] | None = None, ceiling: int = CEILING) -> object:
        """The JSON value at `path` below the endpoint's URL; errors as `request`."""
        return self.parse((await self.request("GET", path=path, query=query, ceiling=ceiling)).body)

    async def post_json(self, path: str, *, value: object, ceiling: int = CEILING) -> object:
        """The JSON value that an idempotent POST of `value` brings; errors as `request`."""
        body = json.dumps(value, separators=(",", ":")).encode()
        return self.parse((await self.request("POST", path=path, body=body, ceiling=ceiling)).body)

    def parse(self, body: bytes, *, decimals: bool = False, unique: bool = False) -> object:
        """The JSON value in `body`; BadAnswer for anything else, see strictjson."""
        try:
            return strictjson.loads(body, decimals=decimals, unique=unique)
        except ValueError:
            raise self.blame(BadAnswer(f"{self.provider}: the answer is not JSON: {self.quote(body[:80])}")) from None

    async def _attempt(self, method: str, *, url: URL, body: bytes | None, limits: _Limits) -> Answer:
        session = self._session
        if session is None:
            raise RuntimeError("a Transport is used inside `async with`")
        await self._pace.turn()
        self.asked()
        try:
            with self.timing.away():
                async with (
                    asyncio.timeout(limits.deadline),
                    session.request(method, url, data=_payload(body), allow_redirects=False) as response,
                ):
                    answer = Answer(response.status, await self._read(response, ceiling=limits.ceiling))
        except TimeoutError:
            text = f"{self.provider}: no answer within {limits.deadline:g}s"
            raise self.blame(Unavailable(text, reason=Reason.TIMEOUT)) from None
        except aiohttp.ClientResponseError as error:
            raise self.blame(BadAnswer(f"{self.provider}: not HTTP: {type(error).__name__}")) from None
        except (aiohttp.ClientError, OSError) as error:
            raise self.blame(Unavailable(f"{self.provider}: {_why(error)}")) from None
        if response.status == 429:
            raise self.blame(self._rate_limited(response.headers.get("Retry-After", "")))
        return answer

    async def _read(self, response: aiohttp.ClientResponse, *, ceiling: int) -> bytes:
        body = bytearray()
        announced = response.content_length or 0
        if announced <= ceiling:
            async for chunk in response.content.iter_chunked(65536):
                body += chunk
                if len(body) > ceiling:
                    break
        if max(len(body), announced) > ceiling:
            raise self.blame(BadAnswer(f"{self.provider}: the answer is larger than {ceiling} bytes"))
        return bytes(body)

    def _refused(self, answer: Answer) -> NoReturn:
        status, text = answer.status, f"{self.provider}: answered HTTP {answer.status}"
        if status in (401, 403):
            raise self.blame(Misconfigured(f"{text}: it does not accept our credentials"))
        if 300 <= status < 400:
            raise self.blame(BadAnswer(f"{text}: redirects are not followed"))
        if status >= 500 or status == 408:
            raise self.blame(Unavailable(text))
        raise self.blame(BadAnswer(text))

    def _rate_limited(self, retry_after: str) -> RateLimited:
        wait = float(retry_after) if retry_after.isdecimal() and len(retry_after) < 9 else DEFAULT_RETRY_AFTER
        wait = min(wait, WORST_RETRY_AFTER)
        return RateLimited(f"{self.provider}: asks us to wait {wait:g}s", retry_after=wait)

    def _pause(self, error: Unavailable, *, attempt: int) -> float | None:
        """Seconds before the next attempt; None to give up."""
        if attempt + 1 >= self._retry.attempts or error.reason == Reason.TIMEOUT:
            return None
        if isinstance(error, RateLimited):
            return error.retry_after if error.retry_after <= self._retry.cap else None
        return self.timing.rng() * min(self._retry.cap, self._retry.base * 2.0**attempt)

    async def _count_connection(
        self,
        _session: aiohttp.ClientSession,
        _context: SimpleNamespace,
        _params: aiohttp.TraceConnectionCreateEndParams,
    ) -> None:
        self.connections += 1


def _payload(body: bytes | None) -> bytes | io.BytesIO | None:
    """A large body goes out in pieces, so that the loop runs on meanwhile."""
    return io.BytesIO(body) if body is not None and len(body) > SENT_WHOLE else body


def _headers(url: URL) -> dict[str, str]:
    headers = {"Content-Type": "application/json", "Accept": "application/json", "User-Agent": "pyrometer"}
    if url.user is not None:
        pair = f"{url.user}:{url.password or ''}".encode()
        headers["Authorization"] = "Basic " + base64.b64encode(pair).decode()
    return headers


def _secrets(url: URL, *, headers: Mapping[str, str]) -> tuple[str, ...]:
    """What a node could echo of ours: user, password, long path and query parts (they are often API keys), headers."""
    parts = [url.user or "", url.password or "", *url.parts, *url.query.values()]
    parts += [word for value in headers.values() for word in (value, *value.split())]
    return tuple(sorted({part for part in parts if len(part) >= 4}, key=len, reverse=True))


def _why(error: Exception) -> str:
    """Our own words for a broken connection: the library's quote the URL."""
    if isinstance(error, aiohttp.ClientConnectorError):
        code = error.os_error.errno
        return os.strerror(code) if code is not None and code > 0 else "the host name or certificate is not good"
    if isinstance(error, aiohttp.ServerDisconnectedError):
        return "closed the connection without an answer"
    if isinstance(error, aiohttp.ClientPayloadError):
        return "the answer broke off or can't be decompressed"
    return f"the connection broke ({type(error).__name__})"
