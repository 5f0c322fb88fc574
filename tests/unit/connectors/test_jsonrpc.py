"""JSON-RPC calls and batches against servers that keep to the protocol, and ones that don't."""

import asyncio
import json
import random
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from decimal import Decimal
from typing import Any, TypeAlias

import pytest

from connectors.errors import BadAnswer, ConnectorError, NodeError, RateLimited, Reason, Unavailable
from connectors.jsonrpc import Node
from tests.unit.connectors.server import Handler, Request, Server, always, answering, http, serving, transport_to

Json: TypeAlias = Any

CALLS = [("echo", [number]) for number in range(5)]


@asynccontextmanager
async def node_before(handler: Handler) -> AsyncIterator[tuple[Node, Server]]:
    async with serving(handler) as server, transport_to(server.url) as transport:
        yield Node(transport), server


def echo(call: Json) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": call["id"], "result": call["params"][0]}


def echo_each(calls: Json) -> list[dict[str, Any]]:
    return [echo(call) for call in calls]


async def batch_of(reply: Callable[[Any], object]) -> list[object]:
    async with node_before(answering(reply)) as (node, _):
        return await node.batch(CALLS)


async def error_of_batch(reply: Callable[[Any], object]) -> ConnectorError:
    with pytest.raises(ConnectorError) as caught:
        await batch_of(reply)
    return caught.value


async def test_a_call_gives_its_result() -> None:
    async with node_before(answering(echo)) as (node, server):
        assert await node.call("echo", ["x"]) == "x"
    assert server.requests[0].json() == {"jsonrpc": "2.0", "id": 0, "method": "echo", "params": ["x"]}


async def test_a_refused_call_is_a_node_error_with_the_code_and_the_nodes_words() -> None:
    reply = {"jsonrpc": "2.0", "id": 0, "error": {"code": -32000, "message": "execution\nreverted"}}
    async with node_before(answering(lambda _: reply)) as (node, _):
        with pytest.raises(NodeError) as caught:
            await node.call("x")
        assert str(caught.value) == "node: execution reverted (-32000)"
        assert caught.value.code == -32000
        assert node.transport.stats().errors == {Reason.NODE_ERROR: 1}


async def test_a_refusal_may_have_no_id() -> None:
    reply = {"jsonrpc": "2.0", "id": None, "error": {"code": -32700, "message": "what?"}}
    async with node_before(answering(lambda _: reply)) as (node, _):
        with pytest.raises(NodeError):
            await node.call("x")


@pytest.mark.parametrize(
    "answer",
    [
        [],
        5,
        None,
        {},
        {"id": 0},
        {"id": 1, "result": 1},
        {"id": "0", "result": 1},
        {"id": False, "result": 1},
        {"result": 1},
        {"id": 0, "error": "no"},
        {"id": 0, "error": {"message": "no code"}},
        {"id": 0, "error": {"code": "x"}},
    ],
    ids=json.dumps,
)
async def test_an_answer_of_another_shape_is_a_bad_answer(answer: object) -> None:
    async with node_before(answering(lambda _: answer)) as (node, _):
        with pytest.raises(BadAnswer):
            await node.call("x")
        assert node.transport.stats().errors == {Reason.BAD_ANSWER: 1}


async def test_a_null_error_beside_a_result_is_no_error() -> None:
    async with node_before(answering(lambda _: {"id": 0, "result": 7, "error": None})) as (node, _):
        assert await node.call("x") == 7


@pytest.mark.parametrize("status", [500, 404, 400])
async def test_a_refusal_under_an_http_error_is_still_the_nodes_refusal(status: int) -> None:
    body = json.dumps({"id": 0, "result": None, "error": {"code": -5, "message": "no such block"}})
    async with node_before(always(http(body, status=status))) as (node, _):
        with pytest.raises(NodeError, match="no such block"):
            await node.call("x")


async def test_an_http_error_without_json_rpc_in_it_is_unavailable() -> None:
    async with node_before(always(http("<html>", status=500))) as (node, _):
        with pytest.raises(Unavailable):
            await node.call("x")


async def test_a_batch_gives_results_in_the_order_of_the_calls_however_they_come() -> None:
    def shuffled(calls: Json) -> object:
        answers = echo_each(calls)
        random.Random(3).shuffle(answers)
        return answers

    assert await batch_of(shuffled) == [0, 1, 2, 3, 4]


async def test_no_calls_ask_nothing() -> None:
    async with node_before(answering(echo_each)) as (node, server):
        assert await node.batch([]) == []
    assert server.requests == []


async def test_an_error_in_a_batch_belongs_to_its_call_alone() -> None:
    def one_refused(calls: Json) -> object:
        answers = echo_each(calls)
        answers[2] = {"id": 2, "error": {"code": 3, "message": "execution reverted"}}
        return answers

    results = await batch_of(one_refused)
    assert [result for result in results if not isinstance(result, ConnectorError)] == [0, 1, 3, 4]
    assert isinstance(results[2], NodeError)


async def test_an_answer_without_result_in_a_batch_belongs_to_its_call_alone() -> None:
    results = await batch_of(lambda calls: [{"id": 0}, *echo_each(calls)[1:]])
    assert isinstance(results[0], BadAnswer)
    assert results[1:] == [1, 2, 3, 4]


async def test_errors_in_a_batch_count_once_a_reason() -> None:
    refused = {"error": {"code": 3, "message": "no"}}
    async with node_before(answering(lambda calls: [{"id": call["id"], **refused} for call in calls])) as (node, _):
        await node.batch(CALLS)
        assert node.transport.stats().errors == {Reason.NODE_ERROR: 1}


@pytest.mark.parametrize(
    "spoil",
    [
        lambda answers: answers[:-1],
        lambda answers: [*answers, answers[0]],
        lambda answers: [*answers[:-1], {**answers[-1], "id": 77}],
        lambda answers: [*answers[:-1], {**answers[-1], "id": -1}],
        lambda answers: [*answers[:-1], {**answers[-1], "id": "4"}],
        lambda answers: [answers[0], {**answers[1], "id": True}, *answers[2:]],
        lambda answers: [*answers[:-1], 5],
        lambda answers: {"all": answers},
        lambda answers: None,
        lambda answers: [],
    ],
    ids=["missing", "doubled", "unknown", "negative", "text", "true", "no object", "object", "null", "empty"],
)
async def test_a_batch_with_ids_that_do_not_fit_is_a_bad_answer(spoil: Callable[[Any], object]) -> None:
    assert isinstance(await error_of_batch(lambda calls: spoil(echo_each(calls))), BadAnswer)


async def test_an_error_for_the_whole_batch_is_an_error_of_each_call() -> None:
    results = await batch_of(lambda _: {"id": None, "error": {"code": -32000, "message": "still syncing"}})
    assert len(results) == 5
    assert all(isinstance(result, NodeError) for result in results)


@pytest.mark.parametrize(
    "error",
    [{"code": 429, "message": "over capacity"}, {"code": -32005, "message": "daily rate limit exceeded"}],
    ids=["429", "-32005"],
)
@pytest.mark.parametrize("whole", [True, False])
async def test_a_rate_limit_in_the_nodes_own_words_is_one(error: dict[str, Any], whole: bool) -> None:
    def limited(calls: Json) -> object:
        return {"id": None, "error": error} if whole else [{"id": call["id"], "error": error} for call in calls]

    assert isinstance(await error_of_batch(limited), RateLimited)


def at_most(limit: int, *, error: dict[str, Any]) -> Callable[[Any], object]:
    return lambda calls: (
        echo(calls)
        if isinstance(calls, dict)
        else {"id": None, "error": error}
        if len(calls) > limit
        else echo_each(calls)
    )


@pytest.mark.parametrize(
    "error",
    [
        {"code": -32600, "message": "Invalid request"},
        {"code": -32000, "message": "Batch too large"},
        {"code": -32001, "message": "batch limit 2 exceeded"},
    ],
    ids=["anvil", "geth", "erigon"],
)
async def test_a_batch_too_large_is_halved_and_the_size_remembered(error: dict[str, Any]) -> None:
    async with node_before(answering(at_most(2, error=error))) as (node, server):
        assert await node.batch(CALLS) == [0, 1, 2, 3, 4]
        assert await node.batch(CALLS) == [0, 1, 2, 3, 4]
    sizes = [len(asked) if isinstance(asked, list) else 1 for asked in (request.json() for request in server.requests)]
    assert sizes == [5, 2, 2, 1, 2, 2, 1]


async def test_http_413_halves_the_batch() -> None:
    async def handler(request: Request, writer: asyncio.StreamWriter) -> None:
        calls = request.json()
        writer.write(http("", status=413) if len(calls) > 3 else http(json.dumps(echo_each(calls))))

    async with node_before(handler) as (node, _):
        assert await node.batch(CALLS[:4]) == [0, 1, 2, 3]


async def test_a_node_that_takes_no_batches_is_asked_one_by_one() -> None:
    error = {"code": -32600, "message": "Invalid Request"}
    async with node_before(answering(at_most(0, error=error))) as (node, _):
        assert await node.batch(CALLS) == [0, 1, 2, 3, 4]


async def test_ten_megabytes_for_a_batch_of_two_are_a_bad_answer() -> None:
    async with node_before(always(http(b"[" + b" " * 10_000_000 + b"]"))) as (node, _):
        with pytest.raises(BadAnswer, match="larger than"):
            await node.batch(CALLS[:2])


async def test_a_long_call_has_a_deadline_and_a_ceiling_of_its_own() -> None:
    async def handler(request: Request, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(0.3)
        writer.write(http(json.dumps({"id": 0, "result": "x" * 1000})))

    async with serving(handler) as server, transport_to(server.url, deadline=0.1) as transport:
        node = Node(transport)
        assert await node.long_call("scan", [], ceiling=5000, deadline=5) == "x" * 1000
        with pytest.raises(Unavailable, match=r"0\.1s"):
            await node.long_call("scan", [], ceiling=5000)
        with pytest.raises(BadAnswer, match="larger than 500 bytes"):
            await node.long_call("scan", [], ceiling=500, deadline=5)


async def test_numbers_that_are_not_whole_are_decimals_where_wanted() -> None:
    body = '{"id": 0, "result": [20999999.97690001, 5, 1e-8]}'
    async with serving(always(http(body))) as server, transport_to(server.url) as transport:
        wanted = [Decimal("20999999.97690001"), 5, Decimal("1E-8")]
        assert await Node(transport, decimals=True).call("any") == wanted
