"""What passes as a quantity, a word and a header, and what does not."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.base import Address
from connectors.errors import Reason
from connectors.evm import wire
from connectors.quorum import Flaw

HASH, PARENT = bytes([1]) * 32, bytes([2]) * 32
BLOCK = {"number": 7, "timestamp": 1_700_000_000, "hash": HASH, "parentHash": PARENT}

NO_QUANTITY: list[object] = [
    None,
    5,
    -1,
    1.5,
    True,
    [],
    {},
    "",
    "0x",
    "5",
    "-0x5",
    "0x-5",
    "0x5 ",
    " 0x5",
    "0xg",
    "0x1_0",
    "0X5",
]
NO_QUANTITY += ["0x" + "f" * 65, "0x" + "0" * 70, "0x\u0661", "0x5\n", "null"]


@given(st.integers(0, 2**256 - 1))
def test_every_256_bit_number_is_a_quantity_and_a_word(units: int) -> None:
    assert wire.quantity(hex(units)) == units
    assert wire.word(f"0x{units:064x}") == units


def test_a_quantity_may_have_leading_zeros_and_capitals() -> None:
    assert wire.quantity("0x00FF") == 255


@pytest.mark.parametrize("result", NO_QUANTITY, ids=ascii)
def test_anything_else_is_a_bad_answer_and_never_zero(result: object) -> None:
    value = wire.quantity(result)
    assert isinstance(value, Flaw)
    assert value.reason is Reason.BAD_ANSWER


@pytest.mark.parametrize(
    "result", [*NO_QUANTITY[:4], "0x0", "0x5", "0x" + "0" * 63, "0x" + "0" * 65, "0x" + "g" * 64, "0x" + "0" * 128]
)
def test_a_word_has_exactly_32_bytes(result: object) -> None:
    value = wire.word(result)
    assert isinstance(value, Flaw)
    assert value.reason is Reason.BAD_ANSWER


def test_no_data_at_all_means_no_contract() -> None:
    value = wire.word("0x")
    assert isinstance(value, Flaw)
    assert value.reason is Reason.NO_CONTRACT


@given(st.recursive(st.none() | st.booleans() | st.floats() | st.text(), st.lists))
def test_no_json_value_raises_and_a_flaw_stays_short(result: object) -> None:
    for value in (wire.quantity(result), wire.word(result)):
        assert not isinstance(value, Flaw) or len(value.detail) < 200


def test_balance_of_is_called_with_the_padded_account() -> None:
    account = Address("0x" + "ab" * 20)
    assert wire.balance_of(account) == "0x70a08231" + "00" * 12 + "ab" * 20


def test_a_header_is_taken_from_a_block() -> None:
    header = wire.header(BLOCK)
    assert (header.height, header.hash, header.parent) == (7, "0x" + "01" * 32, "0x" + "02" * 32)
    assert header.time == datetime(2023, 11, 14, 22, 13, 20, tzinfo=UTC)


@pytest.mark.parametrize(
    ("key", "value"),
    [("number", value) for value in (None, -1, 2**63, "7", True, 1.5)]
    + [("timestamp", value) for value in (None, -1, 10**12, "1700000000", True)]
    + [("hash", value) for value in (None, b"", HASH[:-1], HASH + b"x", "0x" + "01" * 32)]
    + [("parentHash", value) for value in (None, b"", "")],
)
def test_a_header_that_no_block_has_is_refused(key: str, value: object) -> None:
    with pytest.raises(ValueError, match="block"):
        wire.header({**BLOCK, key: value})


@pytest.mark.parametrize("block", [None, [], "0x", 5])
def test_what_is_no_block_is_refused(block: object) -> None:
    with pytest.raises(ValueError, match="shape"):
        wire.header(block)
