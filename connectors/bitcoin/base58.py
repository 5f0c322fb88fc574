"""Base 58 with a checksum of four bytes: the older addresses, and extended keys."""

from connectors.bitcoin.serial import double_sha256
from connectors.errors import BadAddress

ALPHABET = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
DIGIT = {character: value for value, character in enumerate(ALPHABET)}

LONGEST = 128
"""Characters; an extended key has 111 and the work grows with the square."""


def decode(text: str) -> bytes:
    """What the text holds, its checksum checked and taken off. BadAddress says what is wrong."""
    raw = _decode(text)
    if len(raw) < 5:
        raise BadAddress("is cut off: too short for a checksum")
    payload = raw[:-4]
    if double_sha256(payload)[:4] != raw[-4:]:
        raise BadAddress("the checksum does not fit: a character is wrong, missing or too many")
    return payload


def encode(payload: bytes) -> str:
    """The text for a payload, with its checksum."""
    raw = payload + double_sha256(payload)[:4]
    number = int.from_bytes(raw, "big")
    digits = []
    while number:
        number, digit = divmod(number, 58)
        digits.append(ALPHABET[digit])
    return "1" * (len(raw) - len(raw.lstrip(b"\0"))) + "".join(reversed(digits))


def _decode(text: str) -> bytes:
    if len(text) > LONGEST:
        raise BadAddress(f"is longer than {LONGEST} characters")
    number = 0
    try:
        for character in text:
            number = number * 58 + DIGIT[character]
    except KeyError:
        place, mark = next((place, mark) for place, mark in enumerate(text, start=1) if mark not in DIGIT)
        hint = "; base58 has no 0, O, I and l" if mark in "0OIl" else ""
        raise BadAddress(f"expected base58, found {mark!a} at place {place}{hint}") from None
    zeros = len(text) - len(text.lstrip("1"))
    return bytes(zeros) + number.to_bytes((number.bit_length() + 7) // 8, "big")
