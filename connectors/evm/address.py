"""EVM addresses: from what people write into a configuration to the one form that everything else compares."""

import re
from collections.abc import Callable

from connectors.base import Address
from connectors.errors import BadAddress

LOWER = re.compile(r"0x[0-9a-f]{40}", re.ASCII)
HEX = re.compile(r"[0-9a-fA-F]*", re.ASCII)
ZERO = Address("0x" + "0" * 40)


def canonical_on(_config: object) -> Callable[[str], Address]:
    """`canonical`: the same on every EVM chain."""
    return canonical


def contract_on(_config: object) -> Callable[[str], Address]:
    """`canonical` too: contracts are named as accounts are."""
    return canonical


def canonical(text: str) -> Address:
    """The address in lower case, from lower case, upper case or the mixed case that carries a checksum (EIP-55).

    Raises BadAddress that says what is wrong. A text that could be a private key is never repeated.
    """
    address = Address(text) if LOWER.fullmatch(text) else _from_other_case(text)
    if address == ZERO:
        raise BadAddress("the zero address is nobody's account")
    return address


def _from_other_case(text: str) -> Address:
    digits = text[2:] if text[:2] in ("0x", "0X") else text
    if len(digits) == 64 and HEX.fullmatch(digits):
        raise BadAddress(
            "64 hex digits look like a private key, which must never be given to pyrometer; not repeated here"
        )
    if not text.startswith("0x"):
        raise BadAddress("expected 0x followed by 40 hex digits")
    if len(digits) != 40:
        raise BadAddress(f"expected 40 hex digits after 0x, found {len(digits)}")
    if not HEX.fullmatch(digits):
        place, mark = next((i, mark) for i, mark in enumerate(digits) if not HEX.fullmatch(mark))
        raise BadAddress(f"expected hex digits after 0x, found {mark!a} at place {place + 3}")
    address = Address(text.lower())
    if digits != digits.upper() and digits != digits.lower():
        from eth_utils.address import to_checksum_address  # half a second to import, and most lists are in lower case

        checksummed = to_checksum_address(address)
        if text != checksummed:
            raise BadAddress(
                f"the checksum in the case of the letters does not fit: a digit is wrong, or it is {checksummed}"
            )
    return address
