"""Blocks and transactions as Bitcoin serialises them, with dummies where signatures and proof of work would stand.

Sources: Bitcoin Core (primitives/, serialize.h, consensus/merkle.cpp), BIP 34 (height in the coinbase), BIP 141 and 144
(witnesses and what commits to them), chainparams.cpp for the first block of regtest.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field

Outpoint = tuple[str, int]
"""An output by its transaction's id, hex as people write it, and its number."""

Payment = tuple[bytes, int]
"""A script and the satoshis that an output gives it."""

NOTHING = ("00" * 32, 0xFFFFFFFF)
"""What a coinbase spends."""

REPLACEABLE = 0xFFFFFFFD
SIGNATURE, KEY = bytes(71), b"\x02" + bytes(32)
"""Of the usual sizes, so that a transaction weighs what a real one would."""

RESERVED = bytes(32)
"""The coinbase's witness (BIP 141, commitment structure)."""

COMMITMENT = bytes.fromhex("6a24aa21a9ed")
EASIEST = 0x207FFFFF
"""Regtest's target, as a header holds it."""

VERSION = 0x20000000


@dataclass(frozen=True, slots=True)
class Transaction:
    """One transaction; `fee` in satoshis, `vsize` in virtual bytes, `raw` with its witnesses."""

    txid: str
    inputs: tuple[Outpoint, ...]
    outputs: tuple[Payment, ...]
    fee: int
    raw: bytes = field(repr=False)
    stripped: bytes = field(repr=False)

    @property
    def weight(self) -> int:
        return 3 * len(self.stripped) + len(self.raw)

    @property
    def vsize(self) -> int:
        return -(-self.weight // 4)

    @property
    def wtxid(self) -> str:
        return shown(sha256d(self.raw))


@dataclass(frozen=True, slots=True)
class Block:
    """A block; hashes are hex as people write them, `time` in seconds since 1970, the coinbase comes first."""

    height: int
    hash: str
    parent: str
    time: int
    header: bytes = field(repr=False)
    transactions: tuple[Transaction, ...] = field(repr=False)

    @property
    def raw(self) -> bytes:
        return self.header + compact(len(self.transactions)) + b"".join(one.raw for one in self.transactions)


def transaction(spent: Sequence[tuple[Outpoint, Payment]], outputs: Sequence[Payment]) -> Transaction:
    """Spends these outputs for those; what they leave is the fee."""
    unlocked = [_unlock(script) for _, (script, _) in spent]
    body = compact(len(spent))
    for (outpoint, _), (script, _) in zip(spent, unlocked, strict=True):
        body += _packed(outpoint) + compact(len(script)) + script + number(REPLACEABLE, 4)
    body += _outputs(outputs)
    fee = sum(units for _, (_, units) in spent) - sum(units for _, units in outputs)
    witnesses = [witness for _, witness in unlocked]
    return _assembled([outpoint for outpoint, _ in spent], outputs, body=body, witnesses=witnesses, fee=fee, version=2)


def coinbase(height: int, *, salt: int, outputs: Sequence[Payment]) -> Transaction:
    """The first transaction of a block; `salt` tells blocks apart that would else be equal."""
    script = _height(height) + push(number(salt, 4))
    body = b"\x01" + _packed(NOTHING) + compact(len(script)) + script + number(REPLACEABLE, 4) + _outputs(outputs)
    return _assembled([NOTHING], outputs, body=body, witnesses=[(RESERVED,)], fee=0, version=2)


def block(
    transactions: Sequence[Transaction], *, parent: Block, time: int, salt: int, reward: Sequence[Payment]
) -> Block:
    """The block after `parent`: a coinbase that pays `reward`, and these transactions."""
    witnesses = merkle_root([bytes(32), *(sha256d(one.raw) for one in transactions)])
    commitment = COMMITMENT + sha256d(witnesses + RESERVED)
    first = coinbase(parent.height + 1, salt=salt, outputs=[*reward, (commitment, 0)])
    return _sealed((first, *transactions), height=parent.height + 1, parent=parent.hash, time=time, nonce=0)


def genesis() -> Block:
    """The first block of regtest, the same on every such chain."""
    words = b"The Times 03/Jan/2009 Chancellor on brink of second bailout for banks"
    script = push(number(486604799, 4)) + push(b"\x04") + push(words)
    key = bytes.fromhex(
        "04678afdb0fe5548271967f1a67130b7105cd6a828e03909a67962e0ea1f61deb6"
        "49f6bc3f4cef38c4f35504e51ec112de5c384df7ba0b8d578a4c702b6bf11d5f"
    )
    outputs = [(push(key) + b"\xac", 50 * 10**8)]
    body = b"\x01" + _packed(NOTHING) + compact(len(script)) + script + number(0xFFFFFFFF, 4) + _outputs(outputs)
    first = _assembled([NOTHING], outputs, body=body, witnesses=[()], fee=0, version=1)
    return _sealed((first,), height=0, parent="00" * 32, time=1296688602, nonce=2, version=1)


def merkle_root(level: Sequence[bytes]) -> bytes:
    """Of hashes in internal byte order: neighbours are hashed together, an odd last one with itself."""
    while len(level) > 1:
        pairs = [*level, level[-1]] if len(level) % 2 else level
        level = [sha256d(pairs[at] + pairs[at + 1]) for at in range(0, len(pairs), 2)]
    return level[0]


def sha256d(data: bytes) -> bytes:
    return hashlib.sha256(hashlib.sha256(data).digest()).digest()


def shown(digest: bytes) -> str:
    """A hash as people write it."""
    return digest[::-1].hex()


def number(value: int, size: int) -> bytes:
    return value.to_bytes(size, "little")


def compact(value: int) -> bytes:
    """A count or a size in its shortest form."""
    if value < 0xFD:
        return number(value, 1)
    return b"\xfd" + number(value, 2) if value <= 0xFFFF else b"\xfe" + number(value, 4)


def push(data: bytes) -> bytes:
    """A script that pushes up to 255 bytes."""
    return (b"\x4c" if len(data) > 75 else b"") + number(len(data), 1) + data


def _sealed(
    transactions: tuple[Transaction, ...], *, height: int, parent: str, time: int, nonce: int, version: int = VERSION
) -> Block:
    root = merkle_root([bytes.fromhex(one.txid)[::-1] for one in transactions])
    header = number(version, 4) + bytes.fromhex(parent)[::-1] + root
    header += number(time, 4) + number(EASIEST, 4) + number(nonce, 4)
    return Block(height, shown(sha256d(header)), parent, time, header, transactions)


def _assembled(
    inputs: Sequence[Outpoint],
    outputs: Sequence[Payment],
    *,
    body: bytes,
    witnesses: Sequence[Sequence[bytes]],
    fee: int,
    version: int,
) -> Transaction:
    head, end = number(version, 4), number(0, 4)
    stripped = raw = head + body + end
    if any(witnesses):
        stacks = (compact(len(stack)) + b"".join(compact(len(item)) + item for item in stack) for stack in witnesses)
        raw = head + b"\x00\x01" + body + b"".join(stacks) + end
    return Transaction(shown(sha256d(stripped)), tuple(inputs), tuple(outputs), fee, raw, stripped)


def _unlock(script: bytes) -> tuple[bytes, Sequence[bytes]]:
    """What stands in an input in the place of signatures: a script and a witness, of the script's own form."""
    if script[:2] == b"\x00\x14":
        return b"", (SIGNATURE, KEY)
    if script[:2] == b"\x00\x20":
        return b"", (SIGNATURE, push(KEY) + b"\xac")
    if script[:2] == b"\x51\x20":
        return b"", (SIGNATURE[:64],)
    return push(SIGNATURE) + push(KEY), ()


def _outputs(outputs: Sequence[Payment]) -> bytes:
    return compact(len(outputs)) + b"".join(
        number(units, 8) + compact(len(script)) + script for script, units in outputs
    )


def _packed(outpoint: Outpoint) -> bytes:
    return bytes.fromhex(outpoint[0])[::-1] + number(outpoint[1], 4)


def _height(height: int) -> bytes:
    """As CScript() << height: small numbers have an operation of their own, the others are signed."""
    if height <= 16:
        return number(0x50 + height, 1)
    return push(number(height, height.bit_length() // 8 + 1))
