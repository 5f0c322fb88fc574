"""NEM addresses: what people write, the one form that everything else compares, and the address of a public key.

Source: NEM technical reference 1.2.1, section 3.2. Forty characters of base32 stand for 25 bytes: the network's byte,
20 bytes of RIPEMD-160 over Keccak-256 of the public key, and as checksum the first four of Keccak-256 over all that.
"""

from __future__ import annotations

import re
from base64 import b32decode, b32encode
from collections.abc import Callable
from functools import lru_cache, partial
from typing import Protocol

from Crypto.Hash import RIPEMD160, keccak

from connectors.base import Address
from connectors.errors import BadAddress
from connectors.nem import mosaic
from connectors.nem.networks import NETWORKS, Network

LENGTH = 40
CHARACTERS = re.compile(r"[A-Z2-7]+", re.ASCII)
HEXADECIMAL = re.compile(r"(?:0x)?(?:[0-9a-fA-F]{64}|[0-9a-fA-F]{66}|[0-9a-fA-F]{128})", re.ASCII)
SYMBOL_LENGTH = 39
"""Addresses of Symbol, NEM's successor, are one character shorter and begin with the same letters."""

LETTERS = {"N": "mainnet", "T": "testnet", "M": "mijin, a private network"}


class OnNetwork(Protocol):
    """The configuration of a chain, as far as addresses need it."""

    @property
    def network(self) -> str: ...


def canonical_on(config: OnNetwork) -> Callable[[str], Address]:
    """`canonical` for the chain that is configured so."""
    return partial(canonical, network=NETWORKS[config.network])


def contract_on(_config: object) -> Callable[[str], Address]:
    """What reads the names of mosaics; they are the same on both networks."""
    return mosaic.canonical


def canonical(text: str, *, network: Network) -> Address:
    """The address in capitals without hyphens, from that or from the grouped form that wallets show.

    Raises BadAddress that says what is wrong. A text that could be a private key is never repeated.
    """
    plain = text if CHARACTERS.fullmatch(text) else _ungrouped(text)
    if len(plain) != LENGTH:
        raise BadAddress(_of_another_length(plain))
    if plain[0] != network.letter:
        raise BadAddress(_of_another_network(plain[0], network=network))
    raw = b32decode(plain)
    if raw[0] != network.version:
        raise BadAddress(
            f"begins with {plain[:2]}, which stands for network byte 0x{raw[0]:02x}; {network.name}'s is"
            f" 0x{network.version:02x}"
        )
    if keccak256(raw[:21])[:4] != raw[21:]:
        raise BadAddress("the checksum in its last characters does not fit: a character is wrong")
    return Address(plain)


@lru_cache(maxsize=100_000)
def address_of(public_key: bytes, *, version: int) -> Address:
    """The address of an account's public key on the network with this byte."""
    raw = bytes((version,)) + RIPEMD160.new(keccak256(public_key)).digest()
    return Address(b32encode(raw + keccak256(raw)[:4]).decode())


def keccak256(data: bytes) -> bytes:
    """What NEM calls SHA3-256: Keccak as it was before it became SHA-3."""
    return keccak.new(digest_bits=256, data=data).digest()


def _ungrouped(text: str) -> str:
    """Without hyphens and in capitals."""
    if HEXADECIMAL.fullmatch(text):
        raise BadAddress(
            "64 hex digits look like a private key, which must never be given to pyrometer, or a public key; not"
            " repeated here"
        )
    if not text:
        raise BadAddress("expected an address, found nothing")
    if any(map(str.isspace, text)):
        raise BadAddress("holds white space; expected one address")
    if text.startswith("0x"):
        raise BadAddress("begins with 0x as an Ethereum address does; expected one of NEM")
    if text.startswith("-") or text.endswith("-") or "--" in text:
        raise BadAddress("has a hyphen with nothing before or behind it")
    if ":" in text:
        raise BadAddress("has a colon as the name of a mosaic does; expected an address")
    plain = text.replace("-", "").upper()
    if not CHARACTERS.fullmatch(plain):
        place, mark = next((place, mark) for place, mark in enumerate(text) if not _may_stand(mark))
        raise BadAddress(f"expected letters A to Z and digits 2 to 7, found {mark!a} at place {place + 1}")
    if text.replace("-", "") not in (plain, plain.lower()):
        raise BadAddress("mixes capitals and small letters, so it was not copied from anywhere")
    return plain


def _may_stand(mark: str) -> bool:
    return mark == "-" or bool(CHARACTERS.fullmatch(mark.upper()))


def _of_another_length(plain: str) -> str:
    if len(plain) == SYMBOL_LENGTH:
        return f"has {SYMBOL_LENGTH} characters as an address of Symbol does; one of NEM has {LENGTH}"
    return f"expected {LENGTH} characters, found {len(plain)}"


def _of_another_network(letter: str, *, network: Network) -> str:
    found = f"is an address of {LETTERS[letter]}" if letter in LETTERS else f"begins with {letter}"
    return f"{found}; expected one of {network.name}, which begins with {network.letter}"
