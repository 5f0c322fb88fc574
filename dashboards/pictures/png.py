"""PNGs packed again: of few colours and straight lines, unfiltered rows pack much better than what a browser writes."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator

SIGNATURE = b"\x89PNG\r\n\x1a\n"
DEPTH = 3
"""Bytes of a pixel: red, green, blue, as Chromium writes them."""


def repacked(png: bytes) -> bytes:
    """The same picture. ValueError if it is none of 8 bits RGB without interlacing (W3C, PNG, sections 9 and 11)."""
    chunks = dict(_chunks(png))
    header = chunks[b"IHDR"]
    width, height, bits, colours, _, _, interlaced = struct.unpack(">IIBBBBB", header)
    if (bits, colours, interlaced) != (8, 2, 0):
        raise ValueError(f"expected 8 bits RGB, found {bits} bits of colour type {colours}")
    rows = _unfiltered(zlib.decompress(chunks[b"IDAT"]), width=width * DEPTH, height=height)
    data = zlib.compress(b"".join(b"\0" + row for row in rows), 9)
    return SIGNATURE + b"".join(_chunk(*one) for one in ((b"IHDR", header), (b"IDAT", data), (b"IEND", b"")))


def _chunks(png: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Kind and content; pieces of the image data as one."""
    at, image = len(SIGNATURE), b""
    while at < len(png):
        (size,) = struct.unpack(">I", png[at : at + 4])
        kind, content = png[at + 4 : at + 8], png[at + 8 : at + 8 + size]
        image += content if kind == b"IDAT" else b""
        at += size + 12
        if kind != b"IDAT":
            yield kind, content
    yield b"IDAT", image


def _chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def _unfiltered(data: bytes, *, width: int, height: int) -> Iterator[bytes]:
    before = bytearray(width)
    for row in range(height):
        start = row * (width + 1)
        before = _row(data[start], bytearray(data[start + 1 : start + 1 + width]), before=before)
        yield bytes(before)


def _row(kind: int, row: bytearray, *, before: bytearray) -> bytearray:
    """In the place of differences from the pixel to the left, above, their mean, or the nearest (Paeth), the values."""
    for at in range(len(row)) if kind else ():
        left, corner = (row[at - DEPTH], before[at - DEPTH]) if at >= DEPTH else (0, 0)
        guess = (0, left, before[at], (left + before[at]) // 2)[kind] if kind < 4 else _paeth(left, before[at], corner)
        row[at] = (row[at] + guess) & 255
    return row


def _paeth(left: int, above: int, corner: int) -> int:
    guess = left + above - corner
    return min((left, above, corner), key=lambda one: abs(guess - one))
