"""Ether that moves inside contract calls: which account paid which, out of the two kinds of traces that nodes give.

Sources: geth's documentation (built-in tracers, callTracer; debug_traceBlockByHash); OpenEthereum's trace module
(trace_block), as Erigon, Nethermind, Reth and Besu have it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from connectors.base import Address, Tip
from connectors.errors import BadAnswer, NodeError
from connectors.evm.address import ZERO
from connectors.evm.answers import Raw, address, fields_of, hash_of, items, number
from connectors.evm.node import EvmNode
from connectors.evm.transfers import Flow

LARGEST = 256 * 1024 * 1024
"""Bytes of a block's traces, call data included."""

PAYING = ("CALL", "CREATE", "CREATE2", "SELFDESTRUCT")
"""Frames whose value changes hands; that of a DELEGATECALL is its caller's, told once more."""

Traced = Mapping[str, tuple[Flow, ...]]
"""By transaction, all ether that moved in it, its own value included."""


class Tracer:
    """Asks nodes in the way in which each of them tells traces, found out once."""

    def __init__(self) -> None:
        self._ways: dict[str, Sequence[str]] = {}

    async def trace(self, node: EvmNode, *, tip: Tip) -> Traced | None:
        """What moved in the block; None from a node that tells no traces, or not of this block.

        Raises ConnectorError when it can't be asked, BadAnswer for traces that make no sense.
        """
        provider = node.transport.provider
        for way in self._ways.get(provider, ("debug_traceBlockByHash", "trace_block")):
            try:
                raw = await node.node.long_call(way, _asked(way, tip=tip), ceiling=LARGEST)
            except NodeError:
                continue
            try:
                traced = of_calls(raw) if way == "debug_traceBlockByHash" else of_list(raw, tip=tip)
            except ValueError as error:
                text = f"{provider}: traces of block {tip.height}: {error}"
                raise node.transport.blame(BadAnswer(text)) from None
            self._ways[provider] = (way,)
            return traced
        return None


def _asked(way: str, *, tip: Tip) -> Sequence[object]:
    return (tip.hash, {"tracer": "callTracer"}) if way == "debug_traceBlockByHash" else (hex(tip.height),)


class _Frame(NamedTuple):
    """A call of callTracer and whether a call around it failed, which takes back everything within."""

    fields: Raw
    undone: bool


def of_calls(raw: object) -> Traced:
    """Out of callTracer's tree, one for each transaction. Raises ValueError for anything else."""
    found: dict[str, tuple[Flow, ...]] = {}
    for one in map(fields_of, items(raw)):
        found[hash_of(one.get("txHash"))] = tuple(_flows_within(fields_of(one.get("result"))))
    return found


def _flows_within(top: Raw) -> Iterator[Flow]:
    """Of the call and all calls that it makes, in their order; calls may be nested a thousand deep."""
    left = [_Frame(top, undone=False)]
    while left:
        frame = left.pop()
        undone = frame.undone or frame.fields.get("error") is not None
        flow = _flow_of(frame.fields)
        if flow is not None and not undone:
            yield flow
        calls = frame.fields.get("calls")
        left += [_Frame(fields_of(call), undone) for call in reversed(items(calls or []))]


def _flow_of(fields: Raw) -> Flow | None:
    value = fields.get("value")
    if fields.get("type") not in PAYING or value is None or not number(value):
        return None
    to = fields.get("to")
    return Flow(address(fields.get("from")), ZERO if to is None else address(to), number(value))


def of_list(raw: object, *, tip: Tip) -> Traced:
    """Out of trace_block's list, which must be of this very block. Raises ValueError for anything else."""
    found: defaultdict[str, list[Flow]] = defaultdict(list)
    undone: dict[str, list[tuple[object, ...]]] = defaultdict(list)
    for one in map(fields_of, items(raw)):
        if one.get("blockHash") != tip.hash:
            raise ValueError("they are of another block")
        if one.get("type") == "reward":
            continue
        transaction, place = hash_of(one.get("transactionHash")), tuple(items(one.get("traceAddress")))
        if one.get("error") is not None:
            undone[transaction].append(place)
        if any(place[: len(around)] == around for around in undone[transaction]):
            continue  # whatever is around a trace stands before it
        flow = _flow_of_action(one)
        found[transaction] += [] if flow is None else [flow]
    return {transaction: tuple(flows) for transaction, flows in found.items()}


def _flow_of_action(one: Raw) -> Flow | None:
    action, kind = fields_of(one.get("action")), one.get("type")
    if kind == "call" and action.get("callType") == "call":
        source, target, value = action.get("from"), action.get("to"), action.get("value")
    elif kind == "create":
        source, target, value = action.get("from"), _created(one), action.get("value")
    elif kind == "suicide":
        source, target, value = action.get("address"), action.get("refundAddress"), action.get("balance")
    else:
        return None
    units = number(value)
    return Flow(address(source), address(target), units) if units else None


def _created(one: Raw) -> Address:
    return address(fields_of(one.get("result")).get("address"))
