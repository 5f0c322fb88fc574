"""The names of mosaics: `namespace:name`, as tokens of ours carry them.

Source: NEM technical reference 1.2.1, chapter 4, and nem-core: NamespaceId.java, NamespaceIdPart.java, MosaicId.java.
"""

from __future__ import annotations

import re

from connectors.base import Address
from connectors.errors import BadAddress

XEM = "nem:xem"
"""The chain's own coin as a mosaic."""

MOST_PARTS = 3
PART = re.compile(r"[a-z0-9][a-z0-9_-]*", re.ASCII)
NAME = re.compile(r"[a-z0-9][a-z0-9'_ -]*", re.ASCII)
LONGEST_ROOT, LONGEST_PART, LONGEST_NAME = 16, 64, 32


def canonical(text: str) -> Address:
    """The mosaic's name in small letters. Raises BadAddress that says what is wrong."""
    namespace, colon, name = text.lower().partition(":")
    parts = namespace.split(".")
    if not colon:
        raise BadAddress("expected a mosaic as namespace:name")
    if f"{namespace}:{name}" == XEM:
        raise BadAddress(f"{XEM} is the chain's own coin; leave contract and decimals out")
    if len(parts) > MOST_PARTS:
        raise BadAddress(f"a namespace has at most {MOST_PARTS} parts, found {len(parts)}")
    for place, part in enumerate(parts):
        longest = LONGEST_PART if place else LONGEST_ROOT
        if not PART.fullmatch(part) or len(part) > longest:
            raise BadAddress(
                f"part {place + 1} of the namespace is none: small letters, digits, _ and -, up to {longest}"
            )
    if not NAME.fullmatch(name) or len(name) > LONGEST_NAME:
        raise BadAddress(f"the mosaic's name is none: small letters, digits, _, -, ' and blanks, up to {LONGEST_NAME}")
    return Address(f"{namespace}:{name}")
