"""What a gate stands for: the accounts of its wallet, by marks that are short enough to keep for a million of them."""

from __future__ import annotations

from base64 import b64decode, b64encode
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import blake2b
from itertools import chain

from daemon.model import Wallet

SIZE = 8
"""Bytes of a mark: that two of a million accounts have the same one happens once in 40 million times."""

Marks = frozenset[bytes]

NOTHING: Marks = frozenset()


@dataclass(frozen=True, slots=True)
class Stands:
    """The accounts of a wallet (none when it is not configured), and `former` ones that no wallet has now."""

    wallet: Wallet | None
    former: Marks = NOTHING

    @property
    def count(self) -> int:
        """About how many they are."""
        return len(self.former) + (len(self.wallet.accounts) if self.wallet else 0)

    def marks(self) -> Marks:
        """Of all of them. Of a million accounts it takes two seconds."""
        return self.former if self.wallet is None else self.former | marks_of(self.wallet)


def marks_of(wallet: Wallet) -> Marks:
    """Of its accounts. Another name of their chain changes nothing; the same address on another chain is another.

    Of descriptors also of the first addresses, so that one that is written otherwise is known again.
    """
    return frozenset(_marked(wallet))


def shared(wallet: Wallet, marks: Marks) -> Marks:
    """Those that are of its accounts; takes no room for the others."""
    return frozenset(mark for mark in _marked(wallet) if mark in marks)


def _marked(wallet: Wallet) -> Iterator[bytes]:
    where = blake2b(repr(wallet.identity or wallet.chain).encode(), digest_size=SIZE)
    for account in chain(wallet.accounts, wallet.derived()):
        mark = where.copy()
        mark.update(account.encode())
        yield mark.digest()


def encode_marks(marks: Marks) -> str:
    """ASCII, in no particular order."""
    return b64encode(b"".join(marks)).decode()


def decode_marks(text: str) -> Marks:
    """What `encode_marks` was given; ValueError when the text is nothing of the kind."""
    return frozenset(_parts(b64decode(text, validate=True)))


def _parts(body: bytes) -> Iterator[bytes]:
    if len(body) % SIZE:
        raise ValueError(f"{len(body)} bytes are no accounts")
    for start in range(0, len(body), SIZE):
        yield body[start : start + SIZE]
