"""JSON from strangers: no NaN, no endless nesting, no endless numbers."""

import json
import re
from decimal import Decimal, InvalidOperation
from typing import NoReturn

DEEPEST = 32
"""Levels of arrays and objects; what we ask for has fewer than ten."""

NO_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))
STRINGS = re.compile(rb'"(?:[^"\\]++|\\.)*+"', re.DOTALL)


def loads(body: bytes, *, decimals: bool = False, unique: bool = False) -> object:
    """The value in UTF-8 text. Raises ValueError for everything that is not JSON (RFC 8259) or is nested too deep.

    The standard parser stops at the interpreter's recursion limit, but any library may have raised that so far that
    the stack bursts first; so the depth is looked at before. With `decimals`, numbers that are not whole are Decimal.
    With `unique`, an object that says a name twice is refused: which one holds, nobody knows (RFC 8259, section 4).
    """
    if _too_deep(body) and _too_deep(STRINGS.sub(b"", body)):
        raise ValueError(f"nested deeper than {DEEPEST}")
    value: object = json.loads(
        body.decode(),
        parse_constant=_no_constant,
        parse_float=_decimal if decimals else None,
        object_pairs_hook=_each_once if unique else None,
    )
    return value


def _decimal(text: str) -> Decimal:
    try:
        return Decimal(text)
    except InvalidOperation:  # no ValueError: an exponent of more digits than decimals have
        raise ValueError("a number that is beyond all bounds") from None


def _each_once(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("an object says a name twice")
    return found


def _too_deep(body: bytes) -> bool:
    """Takes innermost pairs away, level by level. Brackets within strings count, too, so that a yes may be wrong.

    Every level has at least as many pairs as the level around it, so each step takes at least its share away; where
    one does not, there are more levels than allowed, and nobody can make us take a long text apart pair by pair.
    """
    brackets = body.translate(None, NO_BRACKETS)
    for levels_left in range(DEEPEST, 0, -1):
        inner = len(brackets)
        brackets = brackets.replace(b"[]", b"").replace(b"{}", b"")
        if (inner - len(brackets)) * levels_left < inner:
            return True
    return bool(brackets)


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")
