"""The primitives of Bitcoin's serialisation: sizes, counts, hashes, and what happens when the bytes end too early.

Sizes and counts are CompactSize (Bitcoin Core, serialize.h). What Bitcoin Core refuses to deserialise is refused here.
"""

import struct
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from typing import NoReturn

from connectors.errors import BadAnswer

LARGEST_SIZE = 0x02000000  # Bitcoin Core's MAX_SIZE: no count and no length is larger
LONG_SIZE = 0xFD  # a first byte from here on says that the number follows
LARGEST_VARINT = 2**64 - 1

_long_sizes = {
    0xFD: (struct.Struct("<H").unpack_from, 3, 0xFD),
    0xFE: (struct.Struct("<I").unpack_from, 5, 0x1_0000),
    0xFF: (struct.Struct("<Q").unpack_from, 9, 0x1_0000_0000),
}


@contextmanager
def reading(what: str) -> Iterator[None]:
    """Turns running off the end of the bytes (IndexError, struct.error) into BadAnswer."""
    try:
        yield
    except (IndexError, struct.error) as error:
        raise BadAnswer(f"{what} ends in the middle") from error


def refuse(problem: str) -> NoReturn:
    raise BadAnswer(f"these bytes are no block and no transaction: {problem}")


def double_sha256(data: bytes) -> bytes:
    return sha256(sha256(data).digest()).digest()


def compact_size(raw: bytes, at: int) -> tuple[int, int]:
    """The number at `at` and where the next thing begins. Only the shortest form of a number is one."""
    first = raw[at]
    if first < LONG_SIZE:
        return first, at + 1
    unpack, length, least = _long_sizes[first]
    (value,) = unpack(raw, at + 1)
    if value < least:
        refuse("a size is not written in its shortest form")
    if value > LARGEST_SIZE:
        refuse("a size is larger than any message")
    return value, at + length


def count(raw: bytes, at: int, *, each: int) -> tuple[int, int]:
    """A number of things of at least `each` bytes that the bytes left can hold, and where the first begins."""
    number, at = compact_size(raw, at)
    if number * each > len(raw) - at:
        refuse("more is announced than the bytes left can hold")
    return number, at


def after_varint(raw: bytes, at: int) -> int:
    """Where the next thing begins after a VARINT (Bitcoin Core, serialize.h: base 128, the high bit says "more")."""
    value = 0
    while raw[at] & 0x80:
        value = (value << 7 | raw[at] & 0x7F) + 1
        if value > LARGEST_VARINT >> 7:
            refuse("a number is larger than 64 bits")
        at += 1
    return at + 1
