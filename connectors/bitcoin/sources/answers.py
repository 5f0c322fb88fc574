"""What the fields of a provider's answer must be to be believed."""

from __future__ import annotations

import binascii
import re
from decimal import Decimal
from typing import Annotated, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, TypeAdapter, ValidationError

from connectors.errors import BadAnswer
from connectors.standing import Standing

HASH = re.compile(r"[0-9a-f]{64}")
MOST = 2**63 - 1
"""Satoshis: the protocol's own field is a signed 64-bit integer."""

T = TypeVar("T")


def _hash(value: object) -> str:
    if not isinstance(value, str) or not HASH.fullmatch(value):
        raise ValueError("expected 64 hexadecimal digits")
    return value


def _txid(value: object) -> bytes:
    return bytes.fromhex(_hash(value))[::-1]


def _bytes(value: object) -> bytes:
    if not isinstance(value, str):
        raise ValueError("expected hexadecimal text")  # noqa: TRY004 - pydantic turns ValueError into its own
    try:
        return binascii.unhexlify(value)  # bytes.fromhex would skip white space
    except binascii.Error:
        raise ValueError("expected hexadecimal text") from None


def _satoshis(value: object) -> int:
    """From coins. Bounds come first: a few digits with an exponent are an integer of gigabytes."""
    if isinstance(value, bool) or not isinstance(value, int | Decimal):
        raise ValueError("expected a number of coins")  # noqa: TRY004 - as above
    if not 0 <= value <= Decimal(MOST).scaleb(-8):
        raise ValueError("expected an amount that can exist")
    satoshis = Decimal(value).scaleb(8)
    if satoshis != int(satoshis):
        raise ValueError("expected at most eight decimals")
    return int(satoshis)


BlockHash = Annotated[str, BeforeValidator(_hash)]
Txid = Annotated[bytes, BeforeValidator(_txid)]
Raw = Annotated[bytes, BeforeValidator(_bytes)]
Height = Annotated[int, Field(strict=True, ge=0, lt=2**31)]
Index = Annotated[int, Field(strict=True, ge=0, lt=2**32)]
Satoshis = Annotated[int, Field(strict=True, ge=0, le=MOST)]
CoinAmount = Annotated[int, BeforeValidator(_satoshis)]
"""Satoshis, from a decimal number of coins."""


class Fields(BaseModel):
    """An object in an answer; what we don't ask for is ignored."""

    model_config = ConfigDict(extra="ignore", frozen=True)


HEX = TypeAdapter[bytes](Raw)
HASHES = TypeAdapter[str](BlockHash)
NUMBER = TypeAdapter[int](Height)


def understood(value: object, shape: TypeAdapter[T], *, by: Standing, of: str) -> T:
    """The answer to `of` in its proper shape; BadAnswer, counted against the provider, when it has another."""
    try:
        return shape.validate_python(value)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False, include_context=False)[0]
        place = ".".join(str(step) for step in first["loc"])
        what = f"{of}: {place}: {first['msg']}" if place else f"{of}: {first['msg']}"
    raise by.blame(BadAnswer(f"{by.provider}: malformed answer to {by.quote(what)}"))
