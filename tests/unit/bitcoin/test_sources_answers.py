"""Fields of answers: what is believed, and what is not."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from connectors.bitcoin.sources.answers import HEX, MOST, CoinAmount, Fields, Height, Satoshis, Txid, understood
from connectors.errors import BadAnswer
from tests.unit.bitcoin.test_sources_base import standing

AMOUNT = TypeAdapter[int](CoinAmount)
TXID = TypeAdapter[bytes](Txid)
HEIGHT = TypeAdapter[int](Height)
SATOSHIS = TypeAdapter[int](Satoshis)


class Example(Fields):
    height: Height


@given(st.integers(min_value=0, max_value=MOST))
def test_every_amount_of_satoshis_is_read_exactly_from_coins(satoshis: int) -> None:
    assert AMOUNT.validate_python(Decimal(satoshis).scaleb(-8)) == satoshis


@pytest.mark.parametrize(
    ("value", "satoshis"),
    [(0, 0), (1, 10**8), (Decimal("0.00000001"), 1), (Decimal("1E-7"), 10), (Decimal("5E1"), 5 * 10**9)],
)
def test_amounts_may_be_written_in_every_way_json_knows(value: object, satoshis: int) -> None:
    assert AMOUNT.validate_python(value) == satoshis


@pytest.mark.parametrize(
    "value",
    [
        -1,
        Decimal("-0.1"),
        Decimal("0.000000001"),
        Decimal("1E999999"),
        Decimal("1E-999999"),
        Decimal(10) ** 12,
        True,
        "1",
        1.5,
        None,
        [],
    ],
)
def test_amounts_that_can_not_be_are_refused(value: object) -> None:
    """An exponent of a million costs a comparison, not memory."""
    with pytest.raises(ValidationError):
        AMOUNT.validate_python(value)


@pytest.mark.parametrize("value", ["", "ab", "AB" * 32, "ab" * 33, "zz" * 32, " " + "ab" * 32, 5, None, b"\xab" * 32])
def test_only_64_hexadecimal_digits_are_a_transaction_id(value: object) -> None:
    with pytest.raises(ValidationError):
        TXID.validate_python(value)


def test_transaction_ids_are_kept_as_serialised() -> None:
    assert TXID.validate_python("00" * 31 + "ff") == b"\xff" + b"\x00" * 31


@pytest.mark.parametrize("value", ["0", "0g", "ab cd", " ab", 5, None])
def test_only_hexadecimal_text_is_bytes(value: object) -> None:
    with pytest.raises(ValidationError):
        HEX.validate_python(value)


@pytest.mark.parametrize("value", [-1, 2**31, True, "5", 5.0, None])
def test_heights_are_small_whole_numbers(value: object) -> None:
    with pytest.raises(ValidationError):
        HEIGHT.validate_python(value)


@pytest.mark.parametrize("value", [-1, 2**63, True, "5", 5.0, None])
def test_satoshis_are_whole_numbers_of_64_bits(value: object) -> None:
    with pytest.raises(ValidationError):
        SATOSHIS.validate_python(value)


def test_a_malformed_answer_names_provider_call_and_field_and_is_counted() -> None:
    judge = standing()
    with pytest.raises(BadAnswer, match=r"node: malformed answer to getthing: 1\.height: "):
        understood([{"height": 1}, {"height": "secret"}], TypeAdapter(list[Example]), by=judge, of="getthing")
    assert sum(judge.stats().errors.values()) == 1


def test_a_malformed_answer_is_not_repeated_in_the_message() -> None:
    with pytest.raises(BadAnswer) as error:
        understood("secret", HEIGHT, by=standing(), of="getthing")
    assert "secret" not in str(error.value)
