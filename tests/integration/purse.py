"""Throw-away keys of a test chain, and transactions signed with them. Nothing here is for real money.

Sources: BIP 143 (signature hashes of witness programs), BIP 141 (scripts), Bitcoin's protocol documentation (legacy).
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from coincurve import PrivateKey

from connectors.bitcoin.sources.raw import parse

FINAL = 0xFFFFFFFF
REPLACEABLE = 0xFFFFFFFD
"""The highest sequence number that signals replaceability (BIP 125)."""

KINDS = ("p2pkh", "p2sh-p2wpkh", "p2wpkh", "p2wsh", "p2sh", "p2tr")
SPENDABLE = KINDS[:-1]
"""bcoin does not know taproot: it takes no spend of one into its mempool."""


class Money(NamedTuple):
    """An output that a lock of ours can spend. `txid` is as serialised (reversed)."""

    txid: bytes
    vout: int
    value: int
    lock: Lock


@dataclass(frozen=True, slots=True)
class Lock:
    """The `number`-th script of a kind; the same number gives the same script always."""

    kind: str
    number: int

    @property
    def key(self) -> PrivateKey:
        return PrivateKey(hashlib.sha256(f"pyrometer test chain {self.number}".encode()).digest())

    @property
    def public(self) -> bytes:
        return self.key.public_key.format(compressed=True)

    @property
    def redeem(self) -> bytes:
        """What a script hash stands for: for keys a witness program, else a script that anybody can spend."""
        if self.kind == "p2sh-p2wpkh":
            return b"\x00\x14" + hash160(self.public)
        return push(self.number.to_bytes(8, "little")) + b"\x75\x51"  # OP_DROP OP_TRUE

    @property
    def script(self) -> bytes:
        if self.kind == "p2pkh":
            return b"\x76\xa9\x14" + hash160(self.public) + b"\x88\xac"
        if self.kind == "p2wpkh":
            return b"\x00\x14" + hash160(self.public)
        if self.kind == "p2wsh":
            return b"\x00\x20" + hashlib.sha256(self.redeem).digest()
        if self.kind == "p2tr":
            return b"\x51\x20" + hashlib.sha256(self.public).digest()
        return b"\xa9\x14" + hash160(self.redeem) + b"\x87"


def transaction(inputs: Sequence[Money], outputs: Sequence[tuple[bytes, int]], *, sequence: int = REPLACEABLE) -> bytes:
    """Signed and serialised. Whatever `outputs` (script, satoshis) leave of the inputs is the fee."""
    spends = [money.txid + number(money.vout, 4) for money in inputs]
    made = b"".join(number(value, 8) + compact(len(script)) + script for script, value in outputs)
    unlocked = [_unlock(index, inputs=inputs, spends=spends, made=made, count=len(outputs), sequence=sequence)
                for index in range(len(inputs))]  # fmt: skip
    body = compact(len(inputs))
    for spend, (signature, _) in zip(spends, unlocked, strict=True):
        body += spend + compact(len(signature)) + signature + number(sequence, 4)
    body += compact(len(outputs)) + made
    witnesses = [witness for _, witness in unlocked]
    if not any(witnesses):
        return number(2, 4) + body + number(0, 4)
    stacks = b"".join(
        compact(len(witness)) + b"".join(compact(len(item)) + item for item in witness) for witness in witnesses
    )
    return number(2, 4) + b"\x00\x01" + body + stacks + number(0, 4)


def txid_of(raw: bytes) -> bytes:
    """As serialised (reversed)."""
    return parse(raw).txid


def _unlock(
    index: int, *, inputs: Sequence[Money], spends: Sequence[bytes], made: bytes, count: int, sequence: int
) -> tuple[bytes, Sequence[bytes]]:
    """Signature script and witness of one input."""
    money = inputs[index]
    lock = money.lock
    if lock.kind == "p2sh":
        return push(lock.redeem), ()
    if lock.kind == "p2wsh":
        return b"", (lock.redeem,)
    if lock.kind == "p2pkh":
        body = compact(len(inputs)) + b"".join(
            spend + (compact(len(lock.script)) + lock.script if at == index else b"\x00") + number(sequence, 4)
            for at, spend in enumerate(spends)
        )
        message = number(2, 4) + body + compact(count) + made + number(0, 4) + number(1, 4)
        return push(_sign(lock, message)) + push(lock.public), ()
    code = b"\x76\xa9\x14" + hash160(lock.public) + b"\x88\xac"
    message = (
        number(2, 4)
        + sha256d(b"".join(spends))
        + sha256d(number(sequence, 4) * len(inputs))
        + spends[index]
        + compact(len(code))
        + code
        + number(money.value, 8)
        + number(sequence, 4)
        + sha256d(made)
        + number(0, 4)
        + number(1, 4)
    )
    witness = (_sign(lock, message), lock.public)
    return (push(lock.redeem) if lock.kind == "p2sh-p2wpkh" else b""), witness


def _sign(lock: Lock, message: bytes) -> bytes:
    return lock.key.sign(sha256d(message), hasher=None) + b"\x01"


def sha256d(data: bytes) -> bytes:
    return hashlib.sha256(hashlib.sha256(data).digest()).digest()


def hash160(data: bytes) -> bytes:
    return hashlib.new("ripemd160", hashlib.sha256(data).digest()).digest()


def number(value: int, size: int) -> bytes:
    return value.to_bytes(size, "little")


def compact(value: int) -> bytes:
    """A compact size, of at most 65,535."""
    return number(value, 1) if value < 0xFD else b"\xfd" + number(value, 2)


def push(data: bytes) -> bytes:
    """A script that pushes up to 75 bytes."""
    assert len(data) <= 75
    return number(len(data), 1) + data
