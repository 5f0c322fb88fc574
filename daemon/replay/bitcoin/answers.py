"""The shape of Bitcoin Core's answers, wherever the facts in them come from.

Sources: Bitcoin Core's RPC documentation; src/rpc/{blockchain,mempool,rawtransaction}.cpp for its refusals,
src/rpc/protocol.h for their codes, and httprpc.cpp for the envelope.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

WARMING_UP, MISCELLANEOUS, INVALID_ADDRESS, INVALID_PARAMETER = -28, -1, -5, -8
NOT_FOUND = INVALID_ADDRESS
"""Bitcoin Core has one code for both: RPC_INVALID_ADDRESS_OR_KEY."""

WRONG_TYPE, INVALID_REQUEST, NO_METHOD, PARSE_ERROR = -3, -32600, -32601, -32700

Outpoint = tuple[str, int]
Dispatch = Callable[[str, Sequence[object]], Awaitable[object]]
"""The result of a method with these parameters; may raise RpcError."""


class RpcError(Exception):
    """A JSON-RPC error object."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code


@dataclass(frozen=True, slots=True)
class Output:
    """`amount` in coins, exact; the script in hex."""

    script: str
    amount: Decimal
    height: int
    coinbase: bool


@dataclass(frozen=True, slots=True)
class Found:
    """What a scan has found at the block with this height and hash, among `count` unspent outputs."""

    height: int
    block: str
    count: int
    outputs: Mapping[Outpoint, Output]


async def answered(request: object, dispatch: Dispatch) -> tuple[int, object]:
    """HTTP status and body of the answer to one request or to a batch: refusals come under a status of their own."""
    if isinstance(request, list):
        return 200, [(await _one(item, dispatch))[1] for item in request]
    return await _one(request, dispatch)


async def _one(request: object, dispatch: Dispatch) -> tuple[int, dict[str, object]]:
    identity = request.get("id") if isinstance(request, dict) else None
    try:
        result = await dispatch(*_call(request))
    except RpcError as error:
        refusal = {"code": error.code, "message": str(error)}
        status = {INVALID_REQUEST: 400, NO_METHOD: 404}.get(error.code, 500)
        return status, {"result": None, "error": refusal, "id": identity}
    return 200, {"result": result, "error": None, "id": identity}


def _call(request: object) -> tuple[str, Sequence[object]]:
    if not isinstance(request, dict):
        raise RpcError(INVALID_REQUEST, "Invalid Request object")
    method, params = request.get("method"), request.get("params", [])
    if not isinstance(method, str):
        raise RpcError(INVALID_REQUEST, "Method must be a string")
    if not isinstance(params, list):
        raise RpcError(INVALID_REQUEST, "Params must be an array or object")
    return method, params


def scan_result(found: Found, *, success: bool) -> dict[str, object]:
    """Of `scantxoutset start`."""
    return {
        "success": success,
        "txouts": found.count,
        "height": found.height,
        "bestblock": found.block,
        "unspents": [_unspent(place, one, tip=found.height) for place, one in found.outputs.items()],
        "total_amount": sum((one.amount for one in found.outputs.values()), Decimal(0)),
    }


def _unspent(place: Outpoint, output: Output, *, tip: int) -> dict[str, object]:
    return {
        "txid": place[0],
        "vout": place[1],
        "scriptPubKey": output.script,
        "desc": f"raw({output.script})",
        "amount": output.amount,
        "coinbase": output.coinbase,
        "height": output.height,
        "confirmations": tip - output.height + 1,
    }


def coins(satoshis: int) -> Decimal:
    """An amount as Bitcoin Core writes it."""
    return Decimal(satoshis).scaleb(-8)


def dump(answer: object) -> str:
    """A float holds amounts exactly to the satoshi, up to 90 million coins."""
    return json.dumps(answer, default=_number)


def _number(amount: object) -> float:
    if not isinstance(amount, Decimal):
        raise TypeError(f"{type(amount).__name__} has no form in JSON")
    return float(amount)
