"""Ether inside contract calls, out of both kinds of traces."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from connectors.errors import BadAnswer, NodeError
from connectors.evm.answers import Raw
from connectors.evm.traces import Tracer, of_calls, of_list
from connectors.evm.transfers import Flow
from tests.unit.evm.crafted import COLD, HOT, SAFE, STRANGER, THIEF, Script, name_of, node_of, tip

NAME = f"0x{1:064x}"


def call(source: str, to: str | None, value: object = "0x0", *calls: Raw, kind: str = "CALL", **fields: object) -> Raw:
    return {"type": kind, "from": source, "to": to, "value": value, "calls": list(calls), **fields}


def flows(top: object) -> tuple[Flow, ...]:
    return of_calls([{"txHash": NAME, "result": top}])[NAME]


def test_calls_within_calls_are_told_in_their_order_with_the_outermost_first() -> None:
    inner = call(SAFE, THIEF, "0x7")
    top = call(STRANGER, SAFE, "0x1", call(SAFE, COLD, "0x2", inner), call(SAFE, HOT, "0x3"))
    assert flows(top) == (Flow(STRANGER, SAFE, 1), Flow(SAFE, COLD, 2), Flow(SAFE, THIEF, 7), Flow(SAFE, HOT, 3))


def test_what_fails_takes_back_everything_within_and_nothing_beside() -> None:
    failed = call(SAFE, COLD, "0x2", call(COLD, THIEF, "0x7"), error="execution reverted")
    assert flows(call(STRANGER, SAFE, "0x1", failed, call(SAFE, HOT, "0x3"))) == (
        Flow(STRANGER, SAFE, 1),
        Flow(SAFE, HOT, 3),
    )
    assert flows(call(STRANGER, SAFE, "0x1", call(SAFE, HOT, "0x3"), error="out of gas")) == ()


@pytest.mark.parametrize("kind", ["DELEGATECALL", "CALLCODE", "STATICCALL"])
def test_a_call_that_hands_nothing_over_moves_nothing_whatever_value_it_shows(kind: str) -> None:
    assert flows(call(STRANGER, SAFE, "0x1", call(SAFE, HOT, "0x1", kind=kind))) == (Flow(STRANGER, SAFE, 1),)


@pytest.mark.parametrize("kind", ["CREATE", "CREATE2", "SELFDESTRUCT"])
def test_creations_and_what_destroys_itself_hand_ether_over(kind: str) -> None:
    assert flows(call(STRANGER, SAFE, None, call(SAFE, THIEF, "0x9", kind=kind))) == (Flow(SAFE, THIEF, 9),)


def test_a_thousand_calls_within_each_other_are_read() -> None:
    top = call(SAFE, HOT, "0x1")
    for _ in range(1024):
        top = call(SAFE, SAFE, "0x0", top)
    assert flows(top) == (Flow(SAFE, HOT, 1),)


@pytest.mark.parametrize(
    "raw",
    [
        None,
        {},
        [None],
        [{"result": {}}],
        [{"txHash": NAME, "error": "timeout"}],
        [{"txHash": NAME, "result": call("0x1", HOT, "0x1")}],
        [{"txHash": NAME, "result": call(SAFE, HOT, "lots")}],
        [{"txHash": NAME, "result": call(SAFE, HOT, 1)}],
        [{"txHash": NAME, "result": {**call(SAFE, HOT), "calls": "none"}}],
    ],
    ids=range(9),
)
def test_what_is_no_tree_of_calls_is_refused(raw: object) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        of_calls(raw)


# ── the list ────────────────────────────────────────────────────────────────────────────────────────────────────────


def trace(
    *place: int, action: Mapping[str, object], kind: str = "call", result: object = None, error: str | None = None
) -> Raw:
    made = {"callType": "call", **action} if kind == "call" else action
    base = {"action": made, "blockHash": name_of(1), "transactionHash": NAME, "traceAddress": list(place)}
    return {**base, "type": kind, "result": result, **({} if error is None else {"error": error})}


def paying(source: str, to: str, value: str) -> dict[str, object]:
    return {"from": source, "to": to, "value": value}


def listed(*traces: Raw) -> tuple[Flow, ...]:
    return of_list(list(traces), tip=tip(1))[NAME]


def test_a_list_of_traces_tells_calls_creations_and_what_destroys_itself() -> None:
    suicide = {"address": SAFE, "refundAddress": THIEF, "balance": "0x4"}
    created = {"from": SAFE, "value": "0x3"}
    assert listed(
        trace(action=paying(STRANGER, SAFE, "0x1")),
        trace(0, action=paying(SAFE, HOT, "0x2")),
        trace(1, kind="create", result={"address": COLD}, action=created),
        trace(2, kind="suicide", action=suicide),
    ) == (Flow(STRANGER, SAFE, 1), Flow(SAFE, HOT, 2), Flow(SAFE, COLD, 3), Flow(SAFE, THIEF, 4))


def test_in_a_list_what_fails_takes_back_what_stands_within_it() -> None:
    assert listed(
        trace(action=paying(STRANGER, SAFE, "0x1")),
        trace(0, error="Reverted", action=paying(SAFE, COLD, "0x2")),
        trace(0, 0, action=paying(COLD, THIEF, "0x2")),
        trace(1, action=paying(SAFE, HOT, "0x3")),
    ) == (Flow(STRANGER, SAFE, 1), Flow(SAFE, HOT, 3))


def test_rewards_of_the_block_and_delegated_calls_are_no_payments() -> None:
    reward = {"type": "reward", "blockHash": name_of(1), "action": {"author": COLD, "value": "0x5"}}
    delegated = trace(0, action={**paying(SAFE, HOT, "0x2"), "callType": "delegatecall"})
    assert listed(trace(action=paying(STRANGER, SAFE, "0x1")), delegated, reward) == (Flow(STRANGER, SAFE, 1),)


def test_a_list_of_another_block_is_refused_since_it_is_asked_for_by_number() -> None:
    with pytest.raises(ValueError, match="another block"):
        of_list([trace(action=paying(STRANGER, SAFE, "0x1"))], tip=tip(2))


# ── asking ──────────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_a_node_is_asked_in_the_way_that_it_knows_and_not_for_the_other_again() -> None:
    script = Script(traces={"trace_block": [trace(action=paying(STRANGER, SAFE, "0x1"))]})
    tracer, node = Tracer(), node_of(script)
    for _ in range(2):
        assert await tracer.trace(node, tip=tip(1)) == {NAME: (Flow(STRANGER, SAFE, 1),)}
    assert script.asked == ["debug_traceBlockByHash", "trace_block", "trace_block"]


async def test_a_node_without_traces_tells_none() -> None:
    assert await Tracer().trace(node_of(Script()), tip=tip(1)) is None


async def test_traces_that_make_no_sense_are_a_bad_answer() -> None:
    with pytest.raises(BadAnswer, match="traces of block 1"):
        await Tracer().trace(node_of(Script(traces={"debug_traceBlockByHash": "busy"})), tip=tip(1))


async def test_a_node_that_refuses_one_block_is_asked_for_the_next_in_the_same_way() -> None:
    script = Script(traces={"debug_traceBlockByHash": [{"txHash": NAME, "result": call(STRANGER, SAFE, "0x1")}]})
    tracer, node = Tracer(), node_of(script)
    await tracer.trace(node, tip=tip(1))
    script.edit = lambda *_: NodeError("node: pruned (-32000)", code=-32000)
    assert await tracer.trace(node, tip=tip(2)) is None
    script.edit = None
    assert await tracer.trace(node, tip=tip(3)) is not None
