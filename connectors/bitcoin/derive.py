"""Public keys from extended public keys, in bulk (BIP-32), and the output keys of taproot (BIP-341, BIP-86).

Only public keys: nothing here takes or makes a private one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from hashlib import sha256, sha512

from coincurve import PublicKey, PublicKeyXOnly

from connectors.bitcoin import base58
from connectors.bitcoin.scripts import hash160
from connectors.errors import BadAddress

HARDENED = 1 << 31
"""The first index whose key only the private key leads to."""

DEEPEST = 255
TAP_TWEAK = sha256(b"TapTweak").digest() * 2


@dataclass(frozen=True, slots=True)
class ExtendedKey:
    """An extended public key (BIP-32): `key` is a compressed public key, `parent` the fingerprint of the one above."""

    depth: int
    parent: bytes
    child: int
    chain_code: bytes
    key: bytes

    @classmethod
    def parse(cls, payload: bytes) -> ExtendedKey:
        """From the 74 bytes behind the version.

        BadAddress, a sentence that lacks "the key", for what BIP-32 (test vector 5) calls invalid.
        """
        depth, parent, child = payload[0], payload[1:5], int.from_bytes(payload[5:9], "big")
        if depth == 0 and (parent != bytes(4) or child != 0):
            raise BadAddress("is at depth 0 and yet names a parent or an index")
        if not is_public_key(payload[41:]):
            raise BadAddress("holds no public key on the curve")
        return cls(depth, parent, child, payload[9:41], payload[41:])

    def text(self, version: bytes) -> str:
        """As it is written, with the version of its network."""
        place = bytes((self.depth,)) + self.parent + self.child.to_bytes(4, "big")
        return base58.encode(version + place + self.chain_code + self.key)

    def at(self, path: Sequence[int]) -> ExtendedKey:
        """The extended key that a path of unhardened indices leads to."""
        key = self
        for index in path:
            key = key.children(index, index + 1)[0]
        return key

    def children(self, start: int, stop: int) -> list[ExtendedKey]:
        """The children from index `start` up to, not including, `stop`; both at most 2^31."""
        parent = hash160(self.key)[:4]
        return [
            ExtendedKey(self.depth + 1, parent, index, code, key)
            for index, (key, code) in enumerate(self._derived(start, stop), start=start)
        ]

    def public_keys(self, start: int, stop: int) -> list[bytes]:
        """The children's compressed public keys alone."""
        return [key for key, _ in self._derived(start, stop)]

    def _derived(self, start: int, stop: int) -> list[tuple[bytes, bytes]]:
        """CKDpub: (key, chain code) of each child. That one has none is less likely than 2^-127: ValueError.

        Multiplying the generator and adding the parent is quicker than coincurve's one call for both.
        """
        if not 0 <= start <= stop <= HARDENED:
            raise ValueError(f"expected indices from 0 to {HARDENED}, found {start} to {stop}")
        point, mac = PublicKey(self.key), _keyed(self.chain_code)
        derived = []
        for index in range(start, stop):
            mixed = mac(self.key + index.to_bytes(4, "big"))
            child = PublicKey.combine_keys([point, PublicKey.from_valid_secret(mixed[:32])])
            derived.append((child.format(), mixed[32:]))
        return derived


def _keyed(key: bytes) -> Callable[[bytes], bytes]:
    """HMAC-SHA512 under one key (RFC 2104), of which a call costs half of hmac.digest's: the key is hashed once."""
    padded = key.ljust(128, b"\0")
    inner, outer = sha512(bytes(byte ^ 0x36 for byte in padded)), sha512(bytes(byte ^ 0x5C for byte in padded))

    def digest(message: bytes) -> bytes:
        inside, outside = inner.copy(), outer.copy()
        inside.update(message)
        outside.update(inside.digest())
        return outside.digest()

    return digest


def is_public_key(key: bytes) -> bool:
    """Whether the bytes are a point of the curve, compressed (33 bytes) or not (65, beginning with 04)."""
    if (len(key), key[:1]) not in ((33, b"\x02"), (33, b"\x03"), (65, b"\x04")):
        return False
    try:
        PublicKey(key)
    except ValueError:
        return False
    return True


def is_x_only_key(key: bytes) -> bool:
    """Whether 32 bytes are the x coordinate of a point (BIP-340)."""
    return is_public_key(b"\x02" + key)


def taproot_output_key(internal: bytes) -> bytes:
    """The output key for an internal key of 32 bytes without a script tree: Q = P + hash_TapTweak(P)·G (BIP-341)."""
    key = PublicKeyXOnly(internal)
    key.tweak_add(sha256(TAP_TWEAK + internal).digest())
    return key.format()
