"""The transport against a server that misbehaves in every way that nodes do."""

import asyncio
import base64
import gzip
import socket
import tracemalloc
from collections.abc import Callable

import pytest

from connectors.errors import BadAnswer, ConnectorError, Misconfigured, RateLimited, Reason, Unavailable
from connectors.transport import Retry, Transport
from tests.unit.connectors.server import FakeTime, Handler, Request, always, http, in_turn, serving, transport_to

OK = http('{"fine": true}')


async def failure(transport: Transport) -> ConnectorError:
    with pytest.raises(ConnectorError) as caught:
        await transport.get_json("")
    return caught.value


async def failure_from(handler: Handler, *, deadline: float = 2.0) -> ConnectorError:
    """What a transport without retries makes of it."""
    async with (
        serving(handler) as server,
        transport_to(server.url, deadline=deadline, retry=Retry(attempts=1)) as transport,
    ):
        error = await failure(transport)
        assert transport.stats().errors == {error.reason: 1}
        assert transport.stats().requests == 1
        return error


async def test_an_answer_is_the_json_value() -> None:
    async with serving(always(OK)) as server, transport_to(server.url) as transport:
        assert await transport.get_json("") == {"fine": True}
        assert transport.stats().errors == {}


async def test_path_and_query_go_below_the_url_of_the_endpoint() -> None:
    async with serving(always(OK)) as server, transport_to(server.url + "/v1?key=abcd") as transport:
        await transport.get_json("account/get", query={"address": "N A"})
        await transport.post_json("post", value=[1])
    assert [request.target for request in server.requests] == [
        "/v1/account/get?key=abcd&address=N+A",
        "/v1/post?key=abcd",
    ]
    assert server.requests[1].json() == [1]


@pytest.mark.parametrize(
    "body",
    [
        b"<html>busy</html>",
        b"",
        b'{"half": ',
        b'{"x": NaN}',
        b"[Infinity]",
        b"\xff\xfe\xfa",
        b"[" * 100_000 + b"]" * 100_000,
        b"9" * 10_000,
    ],
    ids=["html", "nothing", "half", "nan", "infinity", "no text", "endless nesting", "endless number"],
)
async def test_what_is_not_json_is_a_bad_answer(body: bytes) -> None:
    error = await failure_from(always(http(body)))
    assert isinstance(error, BadAnswer)
    assert len(str(error)) < 400


async def test_doubled_keys_are_no_trouble() -> None:
    async with serving(always(http('{"a": 1, "a": 2}'))) as server, transport_to(server.url) as transport:
        assert await transport.get_json("") == {"a": 2}


async def test_bytes_that_are_not_http_are_a_bad_answer() -> None:
    assert isinstance(await failure_from(always(b"SSH-2.0-OpenSSH_9.2\r\n\r\n")), BadAnswer)


async def test_a_connection_closed_without_an_answer_is_unavailable() -> None:
    error = await failure_from(always(b""))
    assert str(error) == "node: closed the connection without an answer"
    assert error.reason is Reason.UNAVAILABLE


async def test_a_reset_connection_is_unavailable() -> None:
    async def reset(request: Request, writer: asyncio.StreamWriter) -> None:
        sock = writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        writer.transport.abort()

    assert isinstance(await failure_from(reset), Unavailable)


async def test_an_answer_that_breaks_off_is_unavailable() -> None:
    error = await failure_from(always(OK[:-4]))
    assert str(error) == "node: the answer broke off or can't be decompressed"


async def test_a_refused_connection_is_unavailable_and_says_so() -> None:
    async with serving(always(OK)) as server:
        url = server.url
    async with transport_to(url) as transport:
        assert str(await failure(transport)) == "node: Connection refused"


async def test_the_deadline_covers_a_body_that_drips() -> None:
    async def drip(request: Request, writer: asyncio.StreamWriter) -> None:
        writer.write(http("x" * 1000)[:-1000])
        while True:
            writer.write(b" ")
            await writer.drain()
            await asyncio.sleep(0.02)

    error = await failure_from(drip, deadline=0.2)
    assert (error.reason, str(error)) == (Reason.TIMEOUT, "node: no answer within 0.2s")


async def test_silence_is_a_timeout_and_is_not_waited_for_again() -> None:
    async def silence(request: Request, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(60)

    async with serving(silence) as server, transport_to(server.url, deadline=0.1) as transport:
        assert (await failure(transport)).reason is Reason.TIMEOUT
    assert len(server.requests) == 1


@pytest.mark.parametrize("announced", [True, False])
async def test_an_answer_over_the_ceiling_is_refused_without_being_read_whole(announced: bool) -> None:
    sent = 0

    async def flood(request: Request, writer: asyncio.StreamWriter) -> None:
        nonlocal sent
        length = b"Content-Length: 104857600\r\n" if announced else b""
        writer.write(b"HTTP/1.1 200 OK\r\n" + length + b"\r\n")
        for _ in range(1600):
            writer.write(b"g" * 65536)
            await writer.drain()
            sent += 65536

    error = await failure_from(flood)
    assert isinstance(error, BadAnswer)
    assert str(error) == "node: the answer is larger than 8388608 bytes"
    assert sent < 40_000_000


async def test_ten_megabytes_for_a_small_question_are_a_bad_answer() -> None:
    assert isinstance(await failure_from(always(http(b"g" * 10_000_000))), BadAnswer)


async def test_a_decompression_bomb_is_stopped_at_the_ceiling() -> None:
    bomb = gzip.compress(bytes(300_000_000), compresslevel=9)
    tracemalloc.start()
    try:
        error = await failure_from(always(http(bomb, headers={"Content-Encoding": "gzip"})), deadline=10)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert str(error) == "node: the answer is larger than 8388608 bytes"
    assert peak < 60_000_000


async def test_compressed_answers_are_understood() -> None:
    answer = http(gzip.compress(b'{"fine": true}'), headers={"Content-Encoding": "gzip"})
    async with serving(always(answer)) as server, transport_to(server.url) as transport:
        assert await transport.get_json("") == {"fine": True}


async def test_redirects_are_not_followed() -> None:
    async with serving(always(OK)) as other:
        error = await failure_from(always(http("", status=302, headers={"Location": other.url})))
        assert other.requests == []
    assert str(error) == "node: answered HTTP 302: redirects are not followed"


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (500, Unavailable),
        (503, Unavailable),
        (408, Unavailable),
        (404, BadAnswer),
        (204, BadAnswer),
        (401, Misconfigured),
        (403, Misconfigured),
    ],
)
async def test_other_statuses_have_their_error(status: int, kind: type[ConnectorError]) -> None:
    error = await failure_from(always(http("", status=status)))
    assert type(error) is kind
    assert f"HTTP {status}" in str(error)


async def test_what_is_unavailable_is_asked_again_with_growing_pauses() -> None:
    time = FakeTime(chance=0.5)
    busy = http("", status=503)
    async with serving(in_turn(busy, busy, OK)) as server, transport_to(server.url, time=time) as transport:
        assert await transport.get_json("") == {"fine": True}
        assert time.slept == [0.05, 0.1]
        assert transport.stats().requests == 3
        assert transport.stats().errors == {Reason.UNAVAILABLE: 2}


async def test_attempts_are_few() -> None:
    async with serving(always(http("", status=500))) as server, transport_to(server.url) as transport:
        await failure(transport)
    assert len(server.requests) == 3


async def test_nonsense_is_not_asked_for_again() -> None:
    async with serving(always(http("nonsense"))) as server, transport_to(server.url) as transport:
        await failure(transport)
    assert len(server.requests) == 1


async def test_a_short_retry_after_is_waited_for() -> None:
    time = FakeTime()
    limited = http("", status=429, headers={"Retry-After": "2"})
    async with serving(in_turn(limited, OK)) as server, transport_to(server.url, time=time) as transport:
        assert await transport.get_json("") == {"fine": True}
    assert time.slept == [2.0]


@pytest.mark.parametrize(
    ("told", "kept"), [("30", 30.0), ("86400", 60.0), ("soon", 1.0), ("-5", 1.0), ("9" * 400, 1.0)]
)
async def test_a_retry_after_is_kept_within_reason(told: str, kept: float) -> None:
    error = await failure_from(always(http("", status=429, headers={"Retry-After": told})))
    assert isinstance(error, RateLimited)
    assert error.retry_after == kept


async def test_a_long_retry_after_is_left_to_fail_over() -> None:
    time = FakeTime()
    limited = http("", status=429, headers={"Retry-After": "30"})
    async with serving(always(limited)) as server, transport_to(server.url, time=time) as transport:
        await failure(transport)
    assert (time.slept, len(server.requests)) == ([], 1)


async def test_requests_keep_the_pace_that_was_configured() -> None:
    time = FakeTime()
    async with serving(always(OK)) as server, transport_to(server.url, time=time, requests_per_second=4) as transport:
        for _ in range(3):
            await transport.get_json("")
    assert time.slept == [0.25, 0.25]


async def test_credentials_are_sent_and_never_shown() -> None:
    async with serving(always(http("no user:geheim, KEY12345 here", status=200))) as server:
        url = server.url.replace("http://", "http://user:ge%68eim@") + "/v3/KEY12345?token=tok-99"
        async with transport_to(url) as transport:
            shown = f"{transport!r} {await failure(transport)}"
    expected = base64.b64encode(b"user:geheim").decode()
    assert server.requests[0].headers["authorization"] == f"Basic {expected}"
    assert server.requests[0].target == "/v3/KEY12345?token=tok-99"
    for secret in ("geheim", "KEY12345", "tok-99", expected):
        assert secret not in shown


def refused(url: str) -> str:
    return url.rsplit(":", 1)[0] + ":9"


@pytest.mark.parametrize("spoil", [refused, lambda url: url], ids=["refused", "closed"])
async def test_broken_connections_do_not_quote_the_url(spoil: Callable[[str], str]) -> None:
    async with serving(always(b"")) as server:
        url = spoil(server.url).replace("http://", "http://user:geheim@") + "/KEY12345"
        async with transport_to(url) as transport:
            error = await failure(transport)
    assert error.__cause__ is None
    assert "KEY12345" not in str(error)
    assert "geheim" not in str(error)


async def test_new_connections_are_counted() -> None:
    async with serving(always(OK), keep_alive=True) as server, transport_to(server.url) as transport:
        await transport.get_json("")
        await transport.get_json("")
        assert (transport.connections, server.connections) == (1, 1)


async def test_a_cancelled_request_stays_cancelled() -> None:
    asked = asyncio.Event()

    async def silence(request: Request, writer: asyncio.StreamWriter) -> None:
        asked.set()
        await asyncio.sleep(60)

    async with serving(silence) as server, transport_to(server.url, deadline=30) as transport:
        task = asyncio.create_task(transport.get_json(""))
        await asked.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
