"""Output scripts (scriptPubKey) of the forms that have an address, and the hashes in them."""

import hashlib
from collections.abc import Callable, Collection
from hashlib import sha256
from typing import NamedTuple

Digest = Callable[[bytes], bytes]

CHECKSIG, CHECKMULTISIG = b"\xac", b"\xae"
SMALLEST = 0x50
"""OP_1 to OP_16 push their number and are this much larger."""


def ripemd160_from(available: Collection[str]) -> Digest:
    """RIPEMD-160 by OpenSSL where it has that (some builds leave it out), else by pycryptodome."""
    if "ripemd160" not in available:
        from Crypto.Hash import RIPEMD160

        return lambda data: RIPEMD160.new(data).digest()
    empty = hashlib.new("ripemd160", usedforsecurity=False)

    def digest(data: bytes) -> bytes:
        hasher = empty.copy()  # half the time of looking the algorithm up each time
        hasher.update(data)
        return hasher.digest()

    return digest


_ripemd160 = ripemd160_from(hashlib.algorithms_available)


def hash160(data: bytes) -> bytes:
    """RIPEMD-160 of SHA-256: what stands for a key or a script in its address."""
    return _ripemd160(sha256(data).digest())


class Witness(NamedTuple):
    """What a segwit output commits to (BIP-141)."""

    version: int
    program: bytes


def p2pk(key: bytes) -> bytes:
    return push(key) + CHECKSIG


def p2pkh(digest: bytes) -> bytes:
    """From the hash160 of a key."""
    return b"\x76\xa9\x14" + digest + b"\x88\xac"


def p2sh(digest: bytes) -> bytes:
    """From the hash of a script: hash160, or on Bitcoin Cash also the double SHA-256."""
    return b"\xa9\x14" + digest + b"\x87" if len(digest) == 20 else b"\xaa\x20" + digest + b"\x87"


def witness(version: int, program: bytes) -> bytes:
    return bytes((version and SMALLEST + version, len(program))) + program


def multisig(threshold: int, keys: list[bytes]) -> bytes:
    """`threshold` of these keys, in this order; both numbers are 1 to 20."""
    return number(threshold) + b"".join(push(key) for key in keys) + number(len(keys)) + CHECKMULTISIG


def number(value: int) -> bytes:
    return bytes((SMALLEST + value,)) if value <= 16 else bytes((1, value))


def push(data: bytes) -> bytes:
    """Up to 75 bytes onto the stack."""
    return bytes((len(data),)) + data


def witness_of(script: bytes) -> Witness | None:
    """The witness program that a script is, None when it is none (BIP-141: a version and one push of 2 to 40 bytes)."""
    if not 4 <= len(script) <= 42 or script[1] != len(script) - 2:
        return None
    if script[0] == 0:
        return Witness(0, script[2:])
    return Witness(script[0] - SMALLEST, script[2:]) if SMALLEST < script[0] <= SMALLEST + 16 else None


def key_hash_of(script: bytes) -> bytes | None:
    """The hash in a P2PKH script, None when it is none."""
    return script[3:23] if len(script) == 25 and p2pkh(script[3:23]) == script else None


def script_hash_of(script: bytes) -> bytes | None:
    """The hash in a P2SH script, of 20 or (Bitcoin Cash) 32 bytes, None when it is none."""
    return script[2:-1] if len(script) in (23, 35) and p2sh(script[2:-1]) == script else None
