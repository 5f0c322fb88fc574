"""Symbol addresses and mosaic ids: from what people write and nodes answer to the one form that all else compares.

Source: symbol/symbol, client/rest, catapult-sdk/model/address.js, and docs.symbol.dev, «Cryptography», «Account».
24 bytes: the network, RIPEMD-160 of SHA3-256 of the public key, and three bytes of SHA3-256 of those 21; written as 39
characters of base32 (RFC 4648), whose last one carries two bits.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Callable
from hashlib import sha3_256
from typing import Protocol

from Crypto.Hash import RIPEMD160

from connectors.base import Address
from connectors.errors import BadAddress
from connectors.symbol.networks import NETWORKS, Network

LENGTH = 39
RAW = 24
CHECKED = 21
"""Bytes that the checksum covers."""

ALIAS = 0x01
"""This bit of the first byte says that a namespace's id follows (openapi-symbol.yml, UnresolvedAddress)."""

BASE32 = re.compile(r"[A-Z2-7]{39}", re.ASCII)
CHARACTER = re.compile(r"[A-Z2-7]", re.ASCII)
GROUPED = re.compile(r"(?:[^-]{6}-){6}[^-]{3}")
HEX = re.compile(r"[0-9a-fA-F]*", re.ASCII)
LAST = "AIQY"
"""The last characters that an address can have: their three low bits are zero."""

MOSAIC = re.compile(r"(?:0[xX])?([0-9a-fA-F]{16})", re.ASCII)
NAMESPACE = 1 << 63
"""This bit is set in every namespace's id, and in no mosaic's (openapi-symbol.yml, UnresolvedMosaicId)."""


class Networked(Protocol):
    """A configuration that names its network."""

    @property
    def network(self) -> str: ...


def canonical_on(config: Networked) -> Callable[[str], Address]:
    """What reads the addresses of a network."""
    network = NETWORKS[config.network]
    return lambda text: canonical(text, network=network)


def contract_on(_config: object) -> Callable[[str], Address]:
    """What reads mosaic ids, which stand where other chains have a token's contract."""
    return mosaic_id


def canonical(text: str, *, network: Network) -> Address:
    """The address as 39 capital letters and digits, from that form or the hyphenated one.

    Raises BadAddress that says what is wrong. A text that could be a private key is never repeated.
    """
    plain = text.replace("-", "") if GROUPED.fullmatch(text) else text
    if not BASE32.fullmatch(plain):
        raise BadAddress(_what_it_is(text))
    raw = _decoded(plain)
    if raw[0] & ALIAS and raw[0] - ALIAS in {known.identifier for known in NETWORKS.values()}:
        raise BadAddress("this stands for a namespace, whose owner can point it elsewhere; expected an address")
    if raw[0] != network.identifier:
        raise BadAddress(_of_another_network(raw[0], network=network))
    if plain[-1] not in LAST:
        raise BadAddress(f"no address ends with {plain[-1]}: the last letter is wrong; it can be one of A, I, Q and Y")
    if _checksum(raw) != raw[CHECKED:]:
        raise BadAddress("the checksum does not fit: one of the characters is wrong")
    return Address(plain)


def of_raw(raw: bytes) -> Address:
    """The text form of 24 bytes, which are not checked."""
    return Address(base64.b32encode(raw)[:LENGTH].decode())


def raw_of(text: str) -> bytes:
    """The 24 bytes in a node's answer: hexadecimal digits (most nodes) or base32; ValueError for anything else."""
    if len(text) == 2 * RAW and HEX.fullmatch(text):
        return bytes.fromhex(text)
    if BASE32.fullmatch(text) and text[-1] in LAST:
        return _decoded(text)
    raise ValueError("expected an address of 48 hexadecimal digits or 39 characters of base32")


def is_proper(raw: bytes, *, network: Network) -> bool:
    """Whether the 24 bytes are an address of the network."""
    return len(raw) == RAW and raw[0] == network.identifier and _checksum(raw) == raw[CHECKED:]


def of_public_key(key: bytes, *, network: Network) -> Address:
    """The address of the account whose public key this is."""
    body = bytes([network.identifier]) + RIPEMD160.new(sha3_256(key).digest()).digest()
    return of_raw(body + _checksum(body))


def mosaic_id(text: str) -> Address:
    """A mosaic's id as 16 capital hexadecimal digits; any case and a 0x will do. Raises BadAddress."""
    match = MOSAIC.fullmatch(text)
    if match is None:
        raise BadAddress("expected a mosaic's id, 16 hexadecimal digits")
    digits = match[1].upper()
    if int(digits, 16) & NAMESPACE:
        raise BadAddress("this is a namespace, whose owner can point it elsewhere; expected the mosaic's own id")
    return Address(digits)


def _decoded(plain: str) -> bytes:
    return base64.b32decode(plain + "A")[:RAW]  # the last character's surplus bits end up in the 25th byte


def _checksum(raw: bytes) -> bytes:
    return sha3_256(raw[:CHECKED]).digest()[:3]


def _what_it_is(text: str) -> str:
    """Why a text has not even the form of an address."""
    digits = text.removeprefix("0x") if HEX.fullmatch(text.removeprefix("0x")) else ""
    signs = {
        "expected an address, found nothing": not text,
        "expected an address without white space around it": text != text.strip(),
        "64 hex digits look like a private key, which must never be given to pyrometer; not repeated here": len(digits)
        == 64,
        "48 hex digits are how nodes write an address; expected its 39 letters and digits": len(digits) == 2 * RAW,
        "names are not resolved, their owners can point them elsewhere; expected an address": "." in text,
        "expected hyphens after every six characters, or none": "-" in text,
        "40 characters are an address of NEM (NIS1); expected 39": len(text) == LENGTH + 1 and text[0] in "NTM",
        f"expected {LENGTH} characters, found {len(text)}": len(text) != LENGTH,
        "expected capital letters": bool(BASE32.fullmatch(text.upper())),
    }
    return next((why for why, holds in signs.items() if holds), "") or _wrong_character(text)


def _wrong_character(text: str) -> str:
    place, mark = next((i, mark) for i, mark in enumerate(text) if not CHARACTER.fullmatch(mark))
    return f"expected the letters A to Z and the digits 2 to 7, found {mark!a} at place {place + 1}"


def _of_another_network(identifier: int, *, network: Network) -> str:
    other = next((known.name for known in NETWORKS.values() if known.identifier == identifier), None)
    whose = "no public network" if other is None else other
    return f"is an address of {whose}; this chain is {network.name}, whose addresses begin with {network.letter}"
