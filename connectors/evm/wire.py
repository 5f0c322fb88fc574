"""What an EVM node's answers must look like: quantities, words, headers; what can't be an answer does not pass."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime

from connectors.base import Address
from connectors.errors import Reason
from connectors.quorum import Flaw, Header, Value

QUANTITY = re.compile(r"0x[0-9a-fA-F]{1,64}", re.ASCII)
WORD = re.compile(r"0x[0-9a-fA-F]{64}", re.ASCII)
BALANCE_OF = "0x70a08231" + "0" * 24  # ERC-20 balanceOf(address); the account's 20 bytes follow
DECIMALS = "0x313ce567"  # ERC-20 decimals(), optional in the standard
LARGEST_TIME = datetime(9999, 12, 31, tzinfo=UTC).timestamp()
LARGEST_HEIGHT = 2**63


def balance_of(account: Address) -> str:
    """Call data of balanceOf(account)."""
    return BALANCE_OF + account[2:]


def quantity(result: object) -> Value:
    """Units from a hex quantity of at most 256 bits (Ethereum JSON-RPC, "Hex value encoding"; leading zeros pass)."""
    if type(result) is str and QUANTITY.fullmatch(result):
        return int(result, 16)
    return Flaw(Reason.BAD_ANSWER, f"expected a hex quantity of at most 256 bits, found {_shape(result)}")


def word(result: object) -> Value:
    """Units from a call's return data, exactly one uint256. No data is what an address without code returns."""
    if type(result) is str and WORD.fullmatch(result):
        return int(result, 16)
    if result == "0x":
        return Flaw(Reason.NO_CONTRACT, "the call returned nothing: no contract there, or none that knows it")
    return Flaw(Reason.BAD_ANSWER, f"expected 32 bytes, found {_shape(result)}")


def header(block: object) -> Header:
    """A header from web3's block. Raises ValueError for types and ranges that no block has."""
    if not isinstance(block, Mapping):
        raise ValueError(f"shape: {_shape(block)}")  # noqa: TRY004 - a wrong answer, not a wrong call of ours
    height, seconds = block.get("number"), block.get("timestamp")
    if type(height) is not int or not 0 <= height < LARGEST_HEIGHT:
        raise ValueError(f"block number {_shape(height)}")
    if type(seconds) is not int or not 0 <= seconds < LARGEST_TIME:
        raise ValueError(f"block time {_shape(seconds)}")
    time = datetime.fromtimestamp(seconds, tz=UTC)
    return Header(height, _hash(block.get("hash")), _hash(block.get("parentHash")), time)


def _hash(value: object) -> str:
    if not isinstance(value, bytes) or len(value) != 32:
        raise ValueError(f"block hash {_shape(value)}")
    return "0x" + value.hex()


def _shape(value: object) -> str:
    """The value if it is short, else its kind and size: a node must not be able to fill our logs."""
    text = ascii(value) if isinstance(value, str | int | float | bytes | None) else type(value).__name__
    return text if len(text) <= 80 else f"{type(value).__name__} of {len(text)} characters"
