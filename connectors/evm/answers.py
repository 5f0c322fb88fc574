"""Blocks, transactions, receipts and logs as nodes tell them, as far as movements need them; nonsense does not pass.

Source: execution-apis (src/schemas/{block,transaction,receipt}.yaml). Everything here raises ValueError for what a node
can't have meant.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from connectors.base import Address, Tip
from connectors.evm.wire import LARGEST_HEIGHT, LARGEST_TIME, QUANTITY, WORD

ADDRESS = re.compile(r"0x[0-9a-fA-F]{40}", re.ASCII)
DATA = re.compile(r"0x([0-9a-fA-F]{2})*", re.ASCII)
GWEI = 10**9  # what withdrawals are told in (EIP-4895)

Raw = Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Sent:
    """A transaction, mined or waiting. `to` is None where it creates a contract; `data` is its call data in hex."""

    hash: str
    sender: Address
    nonce: int
    to: Address | None
    value: int
    data: str


@dataclass(frozen=True, slots=True)
class Receipt:
    """What became of a transaction. `fee` in wei, with what blobs and an L2's data on L1 cost beside the gas."""

    succeeded: bool
    fee: int
    created: Address | None
    logs: Sequence[object]


@dataclass(frozen=True, slots=True)
class Event:
    """A log: `words` are its topics but the first, and then its data, of 32 bytes each."""

    contract: Address
    transaction: str
    words: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Told:
    """A block as told with all its transactions, which are not looked at yet; `withdrawn` in wei."""

    tip: Tip
    parent: str
    miner: Address | None
    transactions: Sequence[Raw]
    withdrawn: tuple[tuple[Address, int], ...]


def block(raw: object, *, hash_: str) -> Told:
    """The block that was asked for by this hash."""
    fields = fields_of(raw)
    if fields.get("hash") != hash_:
        raise ValueError("another block than was asked for")
    height, seconds = number(fields.get("number")), number(fields.get("timestamp"))
    if height >= LARGEST_HEIGHT or seconds >= LARGEST_TIME:
        raise ValueError("a height or time that no block has")
    tip = Tip(height, hash_, datetime.fromtimestamp(seconds, tz=UTC))
    miner = fields.get("miner")
    return Told(
        tip,
        hash_of(fields.get("parentHash")),
        None if miner is None else address(miner),
        [fields_of(one) for one in items(fields.get("transactions"))],
        tuple(_withdrawal(fields_of(one)) for one in items(fields.get("withdrawals") or [])),
    )


def sent(fields: Raw) -> Sent:
    to = fields.get("to")
    data = fields.get("input", "0x")
    if not isinstance(data, str) or not DATA.fullmatch(data):
        raise ValueError("call data that is no hex")
    return Sent(
        hash=hash_of(fields.get("hash")),
        sender=address(fields.get("from")),
        nonce=number(fields.get("nonce")),
        to=None if to is None else address(to),
        value=number(fields.get("value")),
        data=data,
    )


def receipt(raw: object, *, of: Sent, at: str) -> Receipt:
    """Of this transaction in the block with this hash. One from before Byzantium tells no status and is taken for good:
    what it did not do shows in the balances."""
    fields = fields_of(raw)
    if fields.get("blockHash") != at or fields.get("transactionHash") != of.hash:
        raise ValueError("a receipt of another transaction or block")
    created = fields.get("contractAddress")
    fee = number(fields.get("gasUsed")) * number(fields.get("effectiveGasPrice"))
    fee += _or_nothing(fields.get("blobGasUsed")) * _or_nothing(fields.get("blobGasPrice"))  # EIP-4844
    fee += _or_nothing(fields.get("l1Fee"))  # OP Stack
    return Receipt(
        succeeded=number(fields.get("status", "0x1")) == 1,
        fee=fee,
        created=None if created is None else address(created),
        logs=items(fields.get("logs") or []),
    )


def event(raw: object, *, at: str) -> Event | None:
    """A log of the block with this hash; None for one that a reorg has taken back, or that has no whole words."""
    fields = fields_of(raw)
    if fields.get("removed") is True:
        return None
    if fields.get("blockHash") != at:
        raise ValueError("a log of another block")
    topics = [hash_of(topic) for topic in items(fields.get("topics"))]
    data = fields.get("data")
    if not isinstance(data, str) or not DATA.fullmatch(data):
        raise ValueError("a log whose data is no hex")
    digits = "".join(topic[2:] for topic in topics[1:]) + data[2:]
    if len(digits) % 64:
        return None
    words = tuple(int(digits[place : place + 64], 16) for place in range(0, len(digits), 64))
    return Event(address(fields.get("address")), hash_of(fields.get("transactionHash")), words)


def fields_of(raw: object) -> Raw:
    if not isinstance(raw, Mapping):
        raise ValueError("no object where one is due")  # noqa: TRY004 - a wrong answer, not a wrong call of ours
    return raw


def items(raw: object) -> list[object]:
    if not isinstance(raw, list):
        raise ValueError("no array where one is due")  # noqa: TRY004 - as above
    return raw


def number(value: object) -> int:
    if not isinstance(value, str) or not QUANTITY.fullmatch(value):
        raise ValueError("no quantity where one is due")
    return int(value, 16)


def hash_of(value: object) -> str:
    if not isinstance(value, str) or not WORD.fullmatch(value):
        raise ValueError("no hash of 32 bytes where one is due")
    return value.lower()


def address(value: object) -> Address:
    if not isinstance(value, str) or not ADDRESS.fullmatch(value):
        raise ValueError("no address where one is due")
    return Address(value.lower())


def _or_nothing(value: object) -> int:
    return 0 if value is None else number(value)


def _withdrawal(fields: Raw) -> tuple[Address, int]:
    return address(fields.get("address")), number(fields.get("amount")) * GWEI
