"""Sources over HTTP on a real server: slow, broken, too large, redirected, ambiguous; and what must not be shown."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest
from aiohttp import web

from connectors.transport import REAL
from daemon.feeds.asking import asked
from daemon.feeds.checking import checked
from daemon.feeds.config import FeedsConfig
from daemon.feeds.http import MOST_BYTES
from daemon.feeds.opening import Surroundings, opened
from daemon.feeds.source import SUM, FeedError, Measure, Raw, Row, Unstated
from daemon.feeds.values import Answer, FeedReason

NOW = datetime(2026, 11, 23, 9, tzinfo=UTC)
AROUND = Surroundings(currency="JPY", chains={}, folder=Path(), now=lambda: NOW)
DECIMALS = {"BTC": 8, "ETH": 18}
SECRET = "hunter2-hunter2"

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass
class Server:
    """Answers every GET with what `answer` makes of it."""

    answer: Handler
    url: str = ""
    requests: list[web.Request] = field(default_factory=list)

    def say(self, body: str | bytes, *, status: int = 200, headers: Mapping[str, str] | None = None) -> None:
        async def answer(_: web.Request) -> web.Response:
            raw = body if isinstance(body, bytes) else body.encode()
            return web.Response(body=raw, status=status, headers=dict(headers or {}))

        self.answer = answer

    async def handle(self, request: web.Request) -> web.StreamResponse:
        self.requests.append(request)
        return await self.answer(request)


async def never(_: web.Request) -> web.StreamResponse:
    await asyncio.sleep(3600)
    raise AssertionError


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    served = Server(never)
    application = web.Application()
    application.router.add_get("/{path:.*}", served.handle)
    runner = web.AppRunner(application, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    host, port = runner.addresses[0][:2]
    served.url = f"http://{host}:{port}"
    try:
        yield served
    finally:
        await runner.cleanup()


async def read(feed: str, around: Surroundings = AROUND, **source: object) -> Raw:
    """What one source says that is configured so."""
    section: dict[str, object] = {feed: [source]}
    if feed == "fund":
        section = {"reserves": section}
    (configured,) = FeedsConfig.model_validate(section).sources
    async with opened(configured, around=around) as reader:
        assert not reader.pushed
        return await reader.read()


async def liabilities(server: Server, **keys: object) -> Raw:
    return await read("liabilities", AROUND, **{"kind": "http", "url": server.url, "values": "owed", **keys})


async def refused(server: Server, **keys: object) -> FeedError:
    with pytest.raises(FeedError) as caught:
        await liabilities(server, **keys)
    assert "\n" not in caught.value.detail
    return caught.value


async def test_amounts_are_read_exactly_with_their_time_and_root(server: Server) -> None:
    server.say('{"owed": {"BTC": 0.1000000000000000055, "ETH": 3}, "as_of": "2026-11-23T08:59:00Z", "root": "ab12"}')
    raw = await liabilities(server, at="as_of", merkle_root="root")
    assert raw.rows == [Row("BTC", Decimal("0.1000000000000000055")), Row("ETH", 3)]
    assert (raw.at, raw.merkle_root) == (datetime(2026, 11, 23, 8, 59, tzinfo=UTC), "ab12")


async def test_numbers_may_count_units(server: Server) -> None:
    server.say('{"owed": {"BTC": 150000000}}')
    assert (await liabilities(server, measure="units")).rows == [Row("BTC", 150_000_000, Measure.UNITS)]


async def test_headers_and_the_password_of_the_url_are_sent(server: Server) -> None:
    server.say('{"owed": {"BTC": 1}}')
    url = server.url.replace("http://", f"http://user:{SECRET}@")
    await liabilities(server, url=f"{url}/v1/x?day=today", headers={"X-Api-Key": SECRET})
    (request,) = server.requests
    assert request.headers["X-Api-Key"] == SECRET
    assert request.headers["Authorization"].startswith("Basic ")
    assert request.path_qs == "/v1/x?day=today"


@pytest.mark.parametrize(
    "body",
    [
        "",
        "nothing",
        '{"owed": {"BTC": 1',
        '{"owed": {"BTC": NaN}}',
        '{"owed": {"BTC": Infinity}}',
        '{"owed": {"BTC": 1, "BTC": 2}}',
        '{"owed": {"BTC": 1}, "owed": {"BTC": 2}}',
        '{"owed": [{"asset": "BTC", "amount": 1, "amount": 2}]}',
        '{"owed": 7}',
        '{"owed": null}',
        "{}",
        "[1]",
        '{"owed": [{"asset": "BTC"}]}',
        "[" * 100_000,
        b'{"owed": {"\xff": 1}}',
        '{"owed": {"BTC": ' + "9" * 5000 + "}}",
    ],
)
async def test_what_is_no_answer_of_the_kind_is_a_bad_one(server: Server, body: str | bytes) -> None:
    server.say(body)
    assert (await refused(server)).reason is FeedReason.BAD_ANSWER


@pytest.mark.parametrize("number", ["1e400", "-1", '"NaN"', '"much"', "null", "true", "[]", "{}", "1e-400"])
async def test_what_is_no_amount_refuses_the_whole_answer(server: Server, number: str) -> None:
    server.say(f'{{"owed": {{"BTC": {number}, "ETH": 1}}}}')
    raw = await liabilities(server)
    config = FeedsConfig.model_validate({"liabilities": [{"kind": "http", "url": server.url, "values": "owed"}]})
    with pytest.raises(FeedError) as caught:
        checked(raw, expected=asked(config, decimals=DECIMALS, currency="JPY", chains={})[0].expected, now=NOW)
    assert caught.value.reason is FeedReason.BAD_ANSWER


@pytest.mark.parametrize(
    ("status", "reason"),
    [
        (500, FeedReason.UNAVAILABLE),
        (503, FeedReason.UNAVAILABLE),
        (429, FeedReason.UNAVAILABLE),
        (401, FeedReason.MISCONFIGURED),
        (403, FeedReason.MISCONFIGURED),
        (404, FeedReason.BAD_ANSWER),
        (204, FeedReason.BAD_ANSWER),
    ],
)
async def test_a_status_says_whether_there_is_an_answer(server: Server, status: int, reason: FeedReason) -> None:
    server.say('{"owed": {"BTC": 1}}' if status != 204 else "", status=status)
    assert (await refused(server)).reason is reason


async def test_a_failed_request_is_not_sent_again(server: Server) -> None:
    server.say("", status=500)
    await refused(server)
    assert len(server.requests) == 1


async def test_a_redirect_is_not_followed(server: Server) -> None:
    server.say("", status=302, headers={"Location": f"{server.url}/elsewhere"})
    error = await refused(server)
    assert error.reason is FeedReason.BAD_ANSWER
    assert len(server.requests) == 1


async def test_a_server_that_does_not_answer_is_given_up_in_time(server: Server) -> None:
    error = await refused(server, timeout="200ms")
    assert error.reason is FeedReason.TIMEOUT
    assert error.detail.endswith("no answer within 0.2s")


async def test_an_answer_that_drips_is_given_up_in_time(server: Server) -> None:
    async def drip(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        while True:
            await response.write(b" ")
            await asyncio.sleep(0.02)

    server.answer = drip
    assert (await refused(server, timeout="300ms")).reason is FeedReason.TIMEOUT


async def test_an_answer_that_breaks_off_is_none(server: Server) -> None:
    async def half(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Length": "1000"})
        await response.prepare(request)
        await response.write(b'{"owed": {"BTC": 1}}')
        assert request.transport is not None
        request.transport.close()
        return response

    server.answer = half
    assert (await refused(server)).reason is FeedReason.UNAVAILABLE


async def test_an_answer_without_end_is_not_read_to_its_end(server: Server) -> None:
    server.say(b'{"owed": {"BTC": 1}}' + b" " * MOST_BYTES)
    error = await refused(server)
    assert error.reason is FeedReason.BAD_ANSWER
    assert "larger than" in error.detail


async def test_a_server_that_is_gone_gives_no_answer(unused_tcp_port: int) -> None:
    with pytest.raises(FeedError) as caught:
        await read("liabilities", kind="http", url=f"http://127.0.0.1:{unused_tcp_port}", values="owed")
    assert caught.value.reason is FeedReason.UNAVAILABLE


async def test_a_time_that_is_not_there_makes_the_answer_bad(server: Server) -> None:
    server.say('{"owed": {"BTC": 1}}')
    assert (await refused(server, at="as_of")).detail == "says not as of when it is"


async def test_no_error_shows_a_secret_even_if_the_server_repeats_it(server: Server) -> None:
    server.say(f"you sent {SECRET} and token-in-path")
    url = server.url.replace("http://", f"http://user:{SECRET}@") + "/token-in-path"
    error = await refused(server, url=url, headers={"Authorization": f"Bearer {SECRET}"})
    assert SECRET not in repr(error)
    assert "token-in-path" not in repr(error)


async def test_waiting_for_an_answer_holds_simulated_time(server: Server) -> None:
    server.say('{"owed": {"BTC": 1}}')
    held: list[int] = []

    @contextmanager
    def away() -> Iterator[None]:
        held.append(len(server.requests))
        yield
        held.append(len(server.requests))

    around = replace(AROUND, timing=replace(REAL, away=away))
    await read("liabilities", around, kind="http", url=server.url, values="owed")
    assert held == [0, 1]


# The other feeds.


async def test_prices_by_one_expression_for_each(server: Server) -> None:
    server.say('{"btc": {"last": "15000000.5"}, "doge": {"last": 3}}')
    raw = await read("prices", kind="http", url=server.url, values={"BTC": "btc.last", "ETH": "eth.last"})
    config = FeedsConfig.model_validate({"prices": [{"kind": "http", "url": server.url, "values": "x"}]})
    expected = asked(config, decimals=DECIMALS, currency="JPY", chains={})[0].expected
    assert checked(raw, expected=expected, now=NOW) == Answer({"BTC": Decimal("15000000.5")}, NOW)


async def test_a_custodian_attests_what_it_keeps(server: Server) -> None:
    server.say('{"held": [{"asset": "BTC", "amount": "7.5"}]}')
    raw = await read("custodians", kind="http", url=server.url, values="held", custodian="Vault", tier="cold")
    assert raw.rows == [Row("BTC", "7.5")]


async def test_a_fund_is_one_sum(server: Server) -> None:
    server.say('{"fund": {"balance": 2000000000.50}}')
    raw = await read("fund", kind="http", url=server.url, value="fund.balance")
    assert raw.rows == [Row(SUM, Decimal("2000000000.50"))]


async def test_coingecko_is_asked_in_its_own_form(server: Server) -> None:
    server.say(
        '{"bitcoin": {"jpy": 15000000.123456789012, "last_updated_at": 1795424000}, "ethereum": {"jpy": 500000},'
        ' "nem": {"jpy": null, "last_updated_at": null}}'
    )
    ids = {"BTC": "bitcoin", "ETH": "ethereum", "XEM": "nem", "XYM": "symbol"}
    raw = await read("prices", kind="coingecko", url=f"{server.url}/api/v3", ids=ids, headers={"x-cg-key": SECRET})
    assert raw.rows == [
        Row("BTC", Decimal("15000000.123456789012"), at=datetime.fromtimestamp(1795424000, UTC)),
        Row("ETH", Unstated("it says not as of when the price is")),
        Row("XEM", None),
        Row("XYM", None),
    ]
    (request,) = server.requests
    assert (request.path, dict(request.query)) == (
        "/api/v3/simple/price",
        {
            "ids": "bitcoin,ethereum,nem,symbol",
            "vs_currencies": "jpy",
            "include_last_updated_at": "true",
            "precision": "full",
        },
    )
    assert request.headers["x-cg-key"] == SECRET


async def test_coingecko_is_asked_in_the_currency_of_the_source(server: Server) -> None:
    server.say('{"bitcoin": {"usd": 100000, "last_updated_at": 1795424000}}')
    raw = await read("prices", kind="coingecko", url=server.url, ids={"BTC": "bitcoin"}, currency="USD")
    assert [row.number for row in raw.rows] == [100_000]


async def test_a_coin_whose_time_is_none_takes_no_other_with_it(server: Server) -> None:
    server.say('{"a": {"jpy": 1, "last_updated_at": "soon"}, "b": {"jpy": 2, "last_updated_at": 1795424000}}')
    raw = await read("prices", kind="coingecko", url=server.url, ids={"BTC": "a", "ETH": "b"})
    assert isinstance(raw.rows[0].number, Unstated)
    assert raw.rows[1].number == 2


@pytest.mark.parametrize("body", ["[]", "7", '{"bitcoin": 7}', '{"Bitcoin": {"jpy": 1}}'])
async def test_another_form_than_coingeckos_gives_no_price(server: Server, body: str) -> None:
    server.say(body)
    config = FeedsConfig.model_validate({"prices": [{"kind": "coingecko", "ids": {"BTC": "bitcoin"}}]})
    expected = asked(config, decimals=DECIMALS, currency="JPY", chains={})[0].expected
    with pytest.raises(FeedError) as caught:
        checked(
            await read("prices", kind="coingecko", url=server.url, ids={"BTC": "bitcoin"}), expected=expected, now=NOW
        )
    assert caught.value.reason is FeedReason.BAD_ANSWER
