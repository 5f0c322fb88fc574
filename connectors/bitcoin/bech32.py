"""Base 32 with a BCH code as checksum: bech32 (BIP-173), bech32m (BIP-350) and CashAddr."""

from collections.abc import Iterable
from functools import cache, reduce
from operator import getitem, xor
from typing import NamedTuple

from connectors.errors import BadAddress

CHARSET = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"
BECH32, BECH32M = 1, 0x2BC830A3
"""What the checksum of witness version 0, and of every later one, comes to."""

INVALID = 0xFF
VALUES = bytes(CHARSET.index(chr(code)) if chr(code) in CHARSET else INVALID for code in range(256))
PAIRS = [bytes((two >> 5, two & 31)) for two in range(1024)]
CHARACTERS = CHARSET.encode().ljust(256, b"?")
DIGITS = b"0123456789abcdefghijklmnopqrstuv".ljust(256, b"?")


class Code(NamedTuple):
    """A BCH code over five bits: how wide its register is, and what each bit that leaves it does to the rest."""

    bits: int
    generator: tuple[int, ...]


SEGWIT = Code(30, (0x3B6A57B2, 0x26508E6D, 0x1EA119FA, 0x3D4233DD, 0x2A1462B3))
CASH = Code(40, (0x98F2BC8E61, 0x79B76D99E2, 0xF33E5FB3C4, 0xAE2EABE2A8, 0x1E4F43E470))


def decode(text: str, *, hrp: str) -> tuple[int, bytes]:
    """(witness version, program) of a segwit address that begins with `hrp` and 1. BadAddress says what is wrong."""
    data = _data(_one_case(text), start=len(hrp) + 1)
    if len(text) > 90:
        raise BadAddress("is longer than the 90 characters that bech32 allows")
    if len(data) < 7:
        raise BadAddress("is cut off: too short for a witness version and a checksum")
    checksum = _checksum(data, prefix=_expanded(hrp), code=SEGWIT)
    if checksum not in (BECH32, BECH32M):
        raise BadAddress("the checksum does not fit: a character is wrong, missing or too many")
    version = data[0]
    if version > 16:
        raise BadAddress(f"has witness version {version}; there are 0 to 16")
    if checksum != (BECH32M if version else BECH32):
        have, need = ("bech32", "bech32m") if version else ("bech32m", "bech32")
        raise BadAddress(f"its checksum is {have}, but witness version {version} takes {need} (BIP-350)")
    program = _bytes(data[1:-6])
    if version == 0 and len(program) not in (20, 32):
        raise BadAddress(f"holds {len(program)} bytes; witness version 0 takes 20 or 32")
    if not 2 <= len(program) <= 40:
        raise BadAddress(f"holds {len(program)} bytes; a witness program has 2 to 40")
    return version, program


def encode(version: int, program: bytes, *, hrp: str) -> str:
    """The segwit address of a witness program."""
    data = bytes((version,)) + _fives(program)
    register = _checksum(data + bytes(6), prefix=_expanded(hrp), code=SEGWIT) ^ (BECH32M if version else BECH32)
    return f"{hrp}1{_text(data + split(register, count=6))}"


def decode_cash(text: str, *, prefix: str) -> tuple[int, bytes]:
    """(type byte, hash) of a CashAddr, with or without its prefix. BadAddress says what is wrong."""
    data = _data(_one_case(text), start=len(prefix) + 1 if ":" in text else 0)
    if len(data) < 9 or len(data) > 112:
        raise BadAddress("is cut off or too long for a CashAddr")
    if _checksum(data, prefix=_low_bits(prefix), code=CASH) != 1:
        raise BadAddress("the checksum does not fit: a character is wrong, missing or too many")
    payload = _bytes(data[:-8])
    return payload[0], payload[1:]


def encode_cash(kind: int, content: bytes, *, prefix: str) -> str:
    """The CashAddr of a type byte and a hash."""
    data = _fives(bytes((kind,)) + content)
    register = _checksum(data + bytes(8), prefix=_low_bits(prefix), code=CASH) ^ 1
    return f"{prefix}:{_text(data + split(register, count=8))}"


def _one_case(text: str) -> str:
    folded = text.lower()
    if text != folded and text != folded.upper():  # most are in small letters, and there may be a million
        raise BadAddress("mixes small and capital letters; expected one case throughout")
    return folded


def _data(folded: str, *, start: int) -> bytes:
    """The values of the characters from `start`."""
    data = folded[start:].encode("latin-1", "replace").translate(VALUES)
    if INVALID in data:
        place = start + data.index(INVALID)
        raise BadAddress(f"expected bech32, found {folded[place]!a} at place {place + 1}")
    return data


def _checksum(data: bytes, *, prefix: bytes, code: Code) -> int:
    """The register after prefix and data. The code is linear: every value adds, by exclusive or, what its place gives
    it, so that a million addresses need no loop of ours."""
    return reduce(xor, map(getitem, _weights(len(data), code), data), _after_zeros(prefix, len(data), code))


@cache
def _weights(count: int, code: Code) -> tuple[tuple[int, ...], ...]:
    """For each of `count` places, what each of the 32 values adds there."""
    places = [tuple(range(32))]
    for _ in range(count - 1):
        places.append(tuple(_shifted(register, code) for register in places[-1]))
    return tuple(reversed(places))


@cache
def _after_zeros(prefix: bytes, count: int, code: Code) -> int:
    return register_after(prefix + bytes(count), code)


def register_after(values: Iterable[int], code: Code) -> int:
    """The register of a code, which begins at 1, after values of five bits."""
    register = 1
    for value in values:
        register = _shifted(register, code) ^ value
    return register


def _shifted(register: int, code: Code) -> int:
    """The register after one more value of zero."""
    kept = code.bits - 5
    parts = (part for bit, part in enumerate(code.generator) if register >> kept + bit & 1)
    return reduce(xor, parts, (register & ((1 << kept) - 1)) << 5)


@cache
def _expanded(hrp: str) -> bytes:
    """The prefix as bech32's checksum counts it: high bits, zero, low bits."""
    return bytes([*(code >> 5 for code in hrp.encode()), 0, *(code & 31 for code in hrp.encode())])


@cache
def _low_bits(prefix: str) -> bytes:
    """The prefix as CashAddr's checksum counts it: low bits, zero."""
    return bytes(code & 31 for code in prefix.encode()) + b"\0"


def _bytes(data: bytes) -> bytes:
    """Five bits a value to whole bytes; BadAddress unless fewer than five zero bits are left over."""
    over = len(data) * 5 % 8
    number = int(data.translate(DIGITS), 32) if data else 0
    if over > 4 or number & ((1 << over) - 1):
        raise BadAddress("does not end on a whole byte: bits are left over that should be none or zero")
    return (number >> over).to_bytes(len(data) * 5 // 8, "big")


def _fives(content: bytes) -> bytes:
    """Whole bytes to five bits each, the last filled up with zeros."""
    count = (len(content) * 8 + 4) // 5
    return split(int.from_bytes(content, "big") << count * 5 - len(content) * 8, count=count)


def split(number: int, *, count: int) -> bytes:
    """The last `count` values of five bits in a number."""
    odd = count % 2
    pairs = [PAIRS[number << 5 * odd >> shift & 1023] for shift in _shifts(count + odd)]
    return b"".join(pairs)[:count]


@cache
def _shifts(count: int) -> range:
    """How far each two of `count` values of five bits are from the end."""
    return range(5 * count - 10, -1, -10)


def _text(data: bytes) -> str:
    return data.translate(CHARACTERS).decode()
