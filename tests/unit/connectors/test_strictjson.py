"""JSON from strangers: the standard parser is the oracle for what is good, and nothing bursts."""

import json
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors import strictjson

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=30,
)


@given(value=VALUES, escaped=st.booleans())
def test_every_json_value_is_understood(value: object, escaped: bool) -> None:
    assert strictjson.loads(json.dumps(value, ensure_ascii=escaped).encode()) == value


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"nonsense",
        b'{"half": ',
        b"NaN",
        b"[-Infinity]",
        b"\xff\xfe\xfa",
        '{"a": 1}'.encode("utf-16"),
        b"9" * 10_000,
        b"[" * 200_000,
        b"[" * 200_000 + b"]" * 200_000,
        b'{"a":' * 200_000 + b"1" + b"}" * 200_000,
        b"[{" * 200_000,
        b'"' + b"[" * 200_000,
        b"[" * 33 + b"]" * 33,
    ],
    ids=lambda body: f"{body[:9]!r} {len(body)}",
)
def test_anything_else_is_a_value_error_however_high_the_recursion_limit_is(body: bytes) -> None:
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(1_000_000)
    try:
        with pytest.raises(ValueError, match=r".*"):
            strictjson.loads(body)
    finally:
        sys.setrecursionlimit(limit)


@pytest.mark.parametrize("number", [b"1e99999999999999999999", b"-0.1E-99999999999999999999"])
def test_an_exponent_that_no_decimal_has_is_a_value_error_like_everything_else(number: bytes) -> None:
    with pytest.raises(ValueError, match="beyond all bounds"):
        strictjson.loads(b'{"BTC": ' + number + b"}", decimals=True)


def test_nesting_up_to_the_limit_is_fine() -> None:
    assert strictjson.loads(b"[" * 32 + b"]" * 32)


def test_brackets_within_strings_are_no_nesting() -> None:
    value = [{"message": "expected [ or {" + "[" * 500 + '\\" ['}] * 300
    assert strictjson.loads(json.dumps(value).encode()) == value
