"""Throw-away keys of a test chain, and transactions signed with them. Nothing here is for real money.

Sources: BIP 143 (signature hashes of witness programs), BIP 141 (scripts), BIP 32 (trees of keys), BIP 341 (taproot's
output keys), Bitcoin's protocol documentation (legacy).
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from coincurve import PrivateKey, PublicKey

from connectors.bitcoin.derive import ExtendedKey
from connectors.bitcoin.forms import BITCOIN
from connectors.bitcoin.transaction import Transaction, read_transaction

FINAL = 0xFFFFFFFF
REPLACEABLE = 0xFFFFFFFD
"""The highest sequence number that signals replaceability (BIP 125)."""

KINDS = ("p2pkh", "p2sh-p2wpkh", "p2wpkh", "p2wsh", "p2sh", "p2tr")
BARE = ("p2pk", "p2ms")
"""Scripts that no address stands for: of one key, and of one of two."""

SPENDABLE = (*KINDS[:-1], *BARE)
"""bcoin does not know taproot: it takes no spend of one into its mempool."""

TEST_VERSION = bytes.fromhex("043587cf")
"""Of extended public keys on test networks (tpub)."""


class Money(NamedTuple):
    """An output that a lock of ours can spend. `txid` is as serialised (reversed)."""

    txid: bytes
    vout: int
    value: int
    lock: Lock


@dataclass(frozen=True, slots=True)
class Lock:
    """The `number`-th script of a kind; the same number gives the same script always. `secret` comes from a Tree."""

    kind: str
    number: int
    secret: bytes = b""

    @property
    def key(self) -> PrivateKey:
        return PrivateKey(self.secret or hashlib.sha256(f"pyrometer test chain {self.number}".encode()).digest())

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
    def descriptor(self) -> str:
        """Of a bare script, without checksum."""
        second = Lock("p2pk", self.number + 1).public.hex()
        one = self.public.hex()
        return f"pk({one})" if self.kind == "p2pk" else f"multi(1,{one},{second})"

    @property
    def script(self) -> bytes:
        if self.kind in ("p2sh", "p2sh-p2wpkh"):
            return b"\xa9\x14" + hash160(self.redeem) + b"\x87"
        return {
            "p2pkh": lambda: b"\x76\xa9\x14" + hash160(self.public) + b"\x88\xac",
            "p2wpkh": lambda: b"\x00\x14" + hash160(self.public),
            "p2wsh": lambda: b"\x00\x20" + hashlib.sha256(self.redeem).digest(),
            "p2tr": lambda: b"\x51\x20" + _output_key(self.public),
            "p2pk": lambda: push(self.public) + b"\xac",
            "p2ms": lambda: b"\x51" + push(self.public) + push(Lock("p2pk", self.number + 1).public) + b"\x52\xae",
        }[self.kind]()


@dataclass(frozen=True, slots=True)
class Tree:
    """The `number`-th extended key, and locks of the keys below it: private derivation, so not the connector's own."""

    number: int

    @property
    def public(self) -> str:
        """As written in a descriptor."""
        key = PrivateKey(self._secret).public_key.format(compressed=True)
        return ExtendedKey(0, bytes(4), 0, self._chain_code, key).text(TEST_VERSION)

    def lock(self, kind: str, *path: int) -> Lock:
        secret, chain_code = self._secret, self._chain_code
        for index in path:
            key = PrivateKey(secret)
            mac = hmac.digest(chain_code, key.public_key.format(compressed=True) + index.to_bytes(4, "big"), "sha512")
            secret, chain_code = key.add(mac[:32]).secret, mac[32:]
        return Lock(kind, path[-1], secret)

    @property
    def _secret(self) -> bytes:
        return hashlib.sha256(f"pyrometer test tree {self.number}".encode()).digest()

    @property
    def _chain_code(self) -> bytes:
        return hashlib.sha256(f"pyrometer test tree's chain code {self.number}".encode()).digest()


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


def parse(raw: bytes) -> Transaction:
    found = read_transaction(raw, form=BITCOIN)
    assert found is not None
    return found


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
    if lock.kind in ("p2pkh", *BARE):
        body = compact(len(inputs)) + b"".join(
            spend + (compact(len(lock.script)) + lock.script if at == index else b"\x00") + number(sequence, 4)
            for at, spend in enumerate(spends)
        )
        message = number(2, 4) + body + compact(count) + made + number(0, 4) + number(1, 4)
        unlocking = {"p2pkh": (b"", push(lock.public)), "p2pk": (b"", b""), "p2ms": (b"\x00", b"")}
        before, after = unlocking[lock.kind]
        return before + push(_sign(lock, message)) + after, ()
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


def _output_key(public: bytes) -> bytes:
    """Of the key path alone (BIP 341, taproot_tweak_pubkey, without a script tree)."""
    tag = hashlib.sha256(b"TapTweak").digest()
    tweak = hashlib.sha256(tag * 2 + public[1:]).digest()
    return PublicKey(b"\x02" + public[1:]).add(tweak).format(compressed=True)[1:]


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
