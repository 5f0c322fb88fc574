"""JSON lines over a connection: whatever the other end does, a request ends, in time, and as a ConnectorError."""

from __future__ import annotations

import asyncio
import random
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import timedelta

import pytest

from connectors.bitcoin.sources.wire import Ask, Server, Wire, WireLimits
from connectors.errors import BadAnswer, ConnectorError, NodeError, RateLimited, Reason, Unavailable
from connectors.transport import Timing
from tests.unit.bitcoin.lines import LineServer, Request, Respond, line, refusal, result

QUICK = WireLimits(deadline=timedelta(seconds=0.3), line=100_000)
PATIENT = WireLimits(deadline=timedelta(seconds=5), line=100_000)


class Heard:
    """What a wire's owner does: greets nobody, remembers notices."""

    def __init__(self) -> None:
        self.notices: list[tuple[str, list[object]]] = []
        self.losses = 0

    async def greet(self, ask: Ask) -> None:
        pass

    def heard(self, method: str, params: list[object]) -> None:
        if method == "impossible":
            raise BadAnswer("no server would send that")
        self.notices.append((method, params))

    def lost(self) -> None:
        self.losses += 1


@asynccontextmanager
async def wired(server: Server, *, limits: WireLimits = PATIENT, owner: Heard | None = None) -> AsyncIterator[Wire]:
    owner = owner or Heard()
    async with Wire(
        server, chain="btc", limits=limits, timing=Timing(), greet=owner.greet, heard=owner.heard, lost=owner.lost
    ) as wire:
        yield wire


@asynccontextmanager
async def wire_to(
    respond: Respond, *, limits: WireLimits = PATIENT, owner: Heard | None = None
) -> AsyncIterator[tuple[Wire, LineServer]]:
    async with LineServer(respond).running() as server, wired(server.server, limits=limits, owner=owner) as wire:
        yield wire, server


def sending(*answers: Callable[[Request], bytes]) -> Respond:
    """The n-th request is answered with the n-th of these bytes, the last from then on."""
    left = list(answers)

    async def respond(request: Request, writer: asyncio.StreamWriter) -> None:
        writer.write((left.pop(0) if len(left) > 1 else left[0])(request))

    return respond


def echo(request: Request) -> bytes:
    return result(request, request["params"])


async def test_the_result_of_a_call_comes_back() -> None:
    async with wire_to(sending(echo)) as (wire, server):
        assert await wire.request("anything", 1, "two") == [1, "two"]
        assert server.requests[0] == {"jsonrpc": "2.0", "id": 0, "method": "anything", "params": [1, "two"]}
        assert wire.stats().requests == 1


async def test_answers_are_matched_by_id_in_whatever_order_they_come() -> None:
    waiting: list[Request] = []

    async def backwards(request: Request, writer: asyncio.StreamWriter) -> None:
        waiting.append(request)
        if len(waiting) == 5:
            writer.write(b"".join(echo(request) for request in reversed(waiting)))

    async with wire_to(backwards) as (wire, _):
        answers = await asyncio.gather(*(wire.request("say", number) for number in range(5)))
        assert answers == [[number] for number in range(5)]


async def test_no_more_requests_are_under_way_than_allowed() -> None:
    under_way, most = 0, 0

    async def slowly(request: Request, writer: asyncio.StreamWriter) -> None:
        nonlocal under_way, most
        under_way += 1
        most = max(most, under_way)

        async def later() -> None:
            nonlocal under_way
            await asyncio.sleep(0.01)
            under_way -= 1
            writer.write(echo(request))

        tasks.append(asyncio.create_task(later()))

    tasks: list[asyncio.Task[None]] = []
    limits = WireLimits(deadline=timedelta(seconds=5), in_flight=3)
    async with wire_to(slowly, limits=limits) as (wire, _):
        await wire.requests([("say", [number]) for number in range(20)])
    assert most == 3


@pytest.mark.parametrize(
    ("error", "kind", "words"),
    [
        ({"code": 1, "message": "history too large"}, NodeError, r"history too large \(1\)"),
        ({"code": -32601, "message": "unknown method"}, NodeError, "unknown method"),
        ({"message": "no code"}, NodeError, "no code"),
        ("mere text", NodeError, "mere text"),
        ({"code": -101, "message": "excessive resource usage"}, RateLimited, "excessive"),
        ({"code": -102, "message": "server busy - request timed out"}, Unavailable, "busy"),
    ],
)
async def test_refusals_say_whether_to_ask_again(error: object, kind: type[ConnectorError], words: str) -> None:
    async with wire_to(sending(lambda request: refusal(request, error))) as (wire, _):
        with pytest.raises(kind, match=words) as raised:
            await wire.request("anything")
        assert type(raised.value) is kind
        assert sum(wire.stats().errors.values()) == 1


async def test_a_refusal_among_many_requests_stands_in_its_place() -> None:
    async def respond(request: Request, writer: asyncio.StreamWriter) -> None:
        bad = request["params"] == [1]
        writer.write(refusal(request, {"code": 1, "message": "no"}) if bad else echo(request))

    async with wire_to(respond) as (wire, _):
        answers = await wire.requests([("say", [number]) for number in range(3)])
        assert answers[0] == [0]
        assert isinstance(answers[1], NodeError)
        assert answers[2] == [2]


MALFORMED = {
    "not JSON": b"hello\n",
    "an empty line": b"\n",
    "not UTF-8": b'{"id": 0, "result": "\xff"}\n',
    "NaN": b'{"id": 0, "result": NaN}\n',
    "deep": b'{"id": 0, "result": ' + b"[" * 2000 + b"]" * 2000 + b"}\n",
    "a list": b"[]\n",
    "a number": b"17\n",
    "no id": b'{"result": 1}\n',
    "null id": b'{"id": null, "error": {"code": -32700, "message": "parse error"}}\n',
    "an id never used": b'{"id": 7, "result": 1}\n',
    "a negative id": b'{"id": -1, "result": 1}\n',
    "an id of another type": b'{"id": "0", "result": 1}\n',
    "true as id": b'{"id": true, "result": 1}\n',
    "neither result nor error": b'{"id": 0}\n',
    "a notice without parameters": b'{"method": "blockchain.headers.subscribe"}\n',
    "a notice with strange parameters": b'{"method": "blockchain.headers.subscribe", "params": {}}\n',
    "a notice whose method is no text": b'{"method": 5, "params": []}\n',
    "a notice that its taker refuses": b'{"method": "impossible", "params": []}\n',
    "a line without end": b"x" * 300_000,
    "a huge line": b'{"id": 0, "result": "' + b"x" * 300_000 + b'"}\n',
    "an endless number": b'{"id": 0, "result": ' + b"9" * 50_000 + b"}\n",
}


@pytest.mark.parametrize("sent", MALFORMED.values(), ids=MALFORMED.keys())
async def test_nonsense_is_a_bad_answer_and_the_next_request_gets_a_new_connection(sent: bytes) -> None:
    async with wire_to(sending(lambda _: sent, echo)) as (wire, server):
        with pytest.raises(BadAnswer):
            await wire.request("anything")
        assert wire.stats().errors == {Reason.BAD_ANSWER: 1}
        assert await wire.request("anything", 1) == [1]
        assert server.connections == (1 if sent == MALFORMED["neither result nor error"] else 2)


async def test_every_prefix_of_an_answer_before_the_end_of_the_connection_is_unavailable() -> None:
    whole = line({"jsonrpc": "2.0", "id": 0, "result": {"confirmed": 103873966, "unconfirmed": 23684400}})

    def cut(length: int) -> Respond:
        async def respond(request: Request, writer: asyncio.StreamWriter) -> None:
            writer.write(whole[:length])
            await writer.drain()
            writer.close()

        return respond

    for length in range(len(whole)):
        async with wire_to(cut(length)) as (wire, _):
            with pytest.raises(Unavailable, match="closed the connection"):
                await wire.request("anything")


async def test_every_prefix_of_an_answer_as_a_line_is_a_bad_answer() -> None:
    whole = line({"jsonrpc": "2.0", "id": 0, "result": {"confirmed": 103873966}}).rstrip()
    for length in range(len(whole)):
        async with wire_to(sending(lambda _, length=length: whole[:length] + b"\n")) as (wire, _):  # type: ignore[misc]
            with pytest.raises(BadAnswer):
                await wire.request("anything")


async def test_mutated_answers_end_in_a_result_or_a_connector_error_in_time() -> None:
    chance = random.Random(3)
    whole = line({"jsonrpc": "2.0", "id": 0, "result": [{"tx_hash": "ab" * 32, "height": 5, "value": 10**9}]})

    def mutated(request: Request) -> bytes:
        damaged = bytearray(whole)
        for _ in range(chance.randint(1, 4)):
            damaged[chance.randrange(len(damaged))] = chance.randrange(256)
        return bytes(damaged)

    for _ in range(300):
        async with wire_to(sending(mutated), limits=WireLimits(deadline=timedelta(seconds=0.05))) as (wire, server):
            try:
                await wire.request("anything")
            except ConnectorError:
                continue
            assert server.connections == 1


async def test_a_flood_of_notices_starves_nobody_and_the_request_still_ends_in_time() -> None:
    """Other tasks run on: a tick that wants to come every millisecond does come."""
    flood = line({"method": "blockchain.headers.subscribe", "params": [{}]}) * 100

    async def respond(request: Request, writer: asyncio.StreamWriter) -> None:
        while True:
            writer.write(flood)
            await writer.drain()

    class Deaf(Heard):
        def heard(self, method: str, params: list[object]) -> None:
            pass

    async with wire_to(respond, limits=QUICK, owner=Deaf()) as (wire, _):
        ticks = 0
        asking = asyncio.ensure_future(wire.request("anything"))
        while not asking.done():
            await asyncio.sleep(0.001)
            ticks += 1
        with pytest.raises(Unavailable) as error:
            await asking
        assert error.value.reason is Reason.TIMEOUT
        assert ticks >= 10


async def test_a_server_that_falls_silent_is_given_up_and_called_anew() -> None:
    async def respond(request: Request, writer: asyncio.StreamWriter) -> None:
        if server.connections > 1:
            writer.write(echo(request))

    async with LineServer(respond).running() as server, wired(server.server, limits=QUICK) as wire:
        with pytest.raises(Unavailable) as error:
            await wire.request("anything")
        assert error.value.reason is Reason.TIMEOUT
        assert not wire.connected
        assert await wire.request("anything", 1) == [1]


async def test_an_answer_that_comes_too_late_or_twice_is_passed_over() -> None:
    held: list[bytes] = []

    async def respond(request: Request, writer: asyncio.StreamWriter) -> None:
        if request["method"] == "slow":
            held.append(echo(request) * 2)
            writer.write(line({"method": "alive", "params": []}))
        else:
            writer.write(held.pop() + echo(request))

    async with wire_to(respond, limits=QUICK) as (wire, server):
        with pytest.raises(Unavailable):
            await wire.request("slow")
        assert await wire.request("quick", 1) == [1]
        assert server.connections == 1


async def test_the_end_of_the_connection_fails_all_that_wait_and_is_told() -> None:
    asked = 0

    async def respond(request: Request, writer: asyncio.StreamWriter) -> None:
        nonlocal asked
        asked += 1
        if asked == 3:
            writer.close()

    owner = Heard()
    async with wire_to(respond, owner=owner) as (wire, _):
        answers = await asyncio.gather(*(wire.request("any") for _ in range(3)), return_exceptions=True)
        assert [type(answer) for answer in answers] == [Unavailable] * 3
        assert owner.losses == 1
        assert wire.stats().errors == {Reason.UNAVAILABLE: 3}


async def test_a_server_that_is_not_there_is_unavailable() -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        async with wired(Server("127.0.0.1", closed.getsockname()[1], "electrum")) as wire:
            with pytest.raises(Unavailable, match="electrum: Connection refused"):
                await wire.request("anything")


async def test_a_server_that_does_not_read_ends_at_the_deadline() -> None:
    with socket.socket() as deaf:
        deaf.bind(("127.0.0.1", 0))
        deaf.listen()
        async with wired(Server("127.0.0.1", deaf.getsockname()[1], "electrum"), limits=QUICK) as wire:
            with pytest.raises(Unavailable) as error:
                await wire.request("anything", "x" * 20_000_000)
            assert error.value.reason is Reason.TIMEOUT


async def test_notices_are_handed_on() -> None:
    owner = Heard()
    notice = line({"jsonrpc": "2.0", "method": "blockchain.headers.subscribe", "params": [{"height": 1}]})
    async with wire_to(sending(lambda request: notice + echo(request)), owner=owner) as (wire, _):
        await wire.request("anything")
        assert owner.notices == [("blockchain.headers.subscribe", [{"height": 1}])]


async def test_a_request_that_is_cancelled_leaves_the_connection_as_it_is() -> None:
    arrived = asyncio.Event()

    async def respond(request: Request, writer: asyncio.StreamWriter) -> None:
        if request["method"] != "slow":
            writer.write(echo(request))
        else:
            arrived.set()

    async with wire_to(respond) as (wire, server):
        slow = asyncio.ensure_future(wire.request("slow"))
        await arrived.wait()
        slow.cancel()
        assert await wire.request("quick", 1) == [1]
        assert server.connections == 1
