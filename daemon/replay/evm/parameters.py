"""Parameters of Ethereum's JSON-RPC: what they must look like, and which block they mean.

Sources: execution-apis (src/schemas); EIP-1898 for the block parameter and the error of an unknown block.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from daemon.replay.evm.ledger import Block
from daemon.replay.evm.view import View

SAFE_DEPTH, FINALIZED_DEPTH = 32, 64  # one and two epochs of 32 slots, as on Ethereum
ADDRESS = re.compile(r"0x[0-9a-fA-F]{40}")
HASH = re.compile(r"0x[0-9a-fA-F]{64}")
QUANTITY = re.compile(r"0x(0|[1-9a-fA-F][0-9a-fA-F]*)")
DATA = re.compile(r"0x([0-9a-fA-F]{2})*")
SLOT = re.compile(r"0x[0-9a-fA-F]{1,64}")

PARSE_ERROR, INVALID_REQUEST, NO_METHOD, INVALID_PARAMS = -32700, -32600, -32601, -32602
NOT_FOUND = -32001  # EIP-1898, for a block that the node does not know
UNKNOWN_BLOCK = -32000  # what geth and anvil say of a block whose logs are asked for
REVERTED = 3  # execution-apis, error group of eth_call


class RpcError(Exception):
    """A JSON-RPC error object."""

    def __init__(self, code: int, message: str, *, data: str | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.data = data

    def as_json(self) -> dict[str, object]:
        error: dict[str, object] = {"code": self.code, "message": str(self)}
        return error if self.data is None else error | {"data": self.data}


class At(NamedTuple):
    """Which state is asked for: at the end of a block, or with all that waits on top of the newest."""

    block: Block
    ahead: bool

    @property
    def height(self) -> int:
        return self.block.height


def matching(value: object, *, pattern: re.Pattern[str]) -> str:
    """The value when it looks so, else an error of the caller."""
    if not isinstance(value, str) or not pattern.fullmatch(value):
        raise RpcError(INVALID_PARAMS, f"invalid argument: expected {pattern.pattern}")
    return value


def first(params: Sequence[object], *, pattern: re.Pattern[str]) -> str:
    """The first parameter, in lower case."""
    return matching(params[0] if params else None, pattern=pattern).lower()


def whether_full(params: Sequence[object]) -> bool:
    """The second parameter of the questions for a block: its transactions in full, or their hashes."""
    if len(params) != 2 or not isinstance(params[1], bool):
        raise RpcError(INVALID_PARAMS, "expected a block and whether to include full transactions")
    return params[1]


def height(number: object, *, view: View) -> int:
    """Of a number or a tag; it may be above what the node has."""
    tip = view.tip.height
    tags = {
        "earliest": 0,
        "latest": tip,
        "pending": tip,
        "safe": max(0, tip - SAFE_DEPTH),
        "finalized": max(0, tip - FINALIZED_DEPTH),
    }
    if isinstance(number, str) and number in tags:
        return tags[number]
    return int(matching(number, pattern=QUANTITY), 16)


def block(given: object, *, view: View) -> Block | None:
    """By number, tag, hash or EIP-1898 object; None where the node has none."""
    if isinstance(given, dict):
        return _block_object(given, view=view)
    if isinstance(given, str) and HASH.fullmatch(given):
        return view.block_of(given.lower())
    return view.block(height(given, view=view))


def at(params: Sequence[object], *, place: int, view: View) -> At:
    """The state that the parameter at this place asks for, the newest block's when it is missing."""
    given = params[place] if len(params) > place else "latest"
    found = block(given, view=view)
    if found is None:
        raise RpcError(NOT_FOUND, "Resource not found: header not found")
    return At(found, ahead=given == "pending")


def _block_object(given: Mapping[str, object], *, view: View) -> Block | None:
    if ("blockHash" in given) == ("blockNumber" in given):
        raise RpcError(INVALID_PARAMS, "expected either blockHash or blockNumber")
    if "blockHash" in given:
        asked = given["blockHash"]
        # Every call of a batch names the block: one that is known just so needs no closer look.
        known = view.block_of(asked) if isinstance(asked, str) else None
        return known or view.block_of(matching(asked, pattern=HASH).lower())
    return view.block(height(given["blockNumber"], view=view))
