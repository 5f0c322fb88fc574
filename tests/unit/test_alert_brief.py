"""What a page says beside the summary: how much, which transaction, where that stands, and what is still there."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given

from daemon.emit.brief import brief
from daemon.model import Verdict
from tests.delivery_cases import verdict
from tests.delivery_strategies import VERDICTS


def on(evidence: dict[str, Any], *, subject: str = "btc-cold", grounds: tuple[str, ...] = ()) -> dict[str, str]:
    """What is told of such a verdict."""
    return brief(replace(verdict(subject), evidence=evidence, grounds=grounds))


def payment(name: str = "a1", **facts: object) -> dict[str, object]:
    mined = {"transaction": name, "stage": "mined", "asset": "BTC", "amount": "4502.9", "height": 870000}
    return {**mined, **facts}


def test_a_payment_is_told_with_amount_transaction_and_block() -> None:
    told = on({"transactions": [payment()]}, grounds=("a1",))
    assert told == {
        "amount": "4502.9 BTC",
        "transaction": "a1",
        "transaction_stage": "in block 870000",
        "still_there": "",
    }


def test_of_several_payments_the_newest_is_told() -> None:
    told = on({"transactions": [payment("b2", amount="1"), payment("a1")]}, grounds=("b2", "a1"))
    assert (told["amount"], told["transaction"]) == ("1 BTC, the newest of 2 payments", "b2")


def test_a_payment_that_was_taken_back_is_not_told_as_the_newest() -> None:
    """Evidence lists it, but the finding rests on it no more."""
    told = on({"transactions": [payment("replaced", amount="9"), payment("a1")]}, grounds=("a1",))
    assert (told["amount"], told["transaction"]) == ("4502.9 BTC", "a1")


def test_a_pending_payment_says_since_when_it_waits() -> None:
    """Minutes count: it can still be replaced."""
    row = payment(stage="pending", height=None, since="2026-11-23T12:00:04.250000+00:00")
    assert on({"transactions": [row]}, grounds=("a1",))["transaction_stage"] == "pending since 2026-11-23 12:00:04 UTC"


def test_a_payment_that_nobody_tells_of_any_more_is_of_unknown_stage() -> None:
    row = payment(stage="unknown", height=None)
    assert on({"transactions": [row]}, grounds=("a1",))["transaction_stage"] == "unknown"


def test_a_change_of_control_is_told_with_its_transaction_and_block() -> None:
    change = {"account": "0x5", "transaction": "0x77", "height": 19}
    told = on({"changes": [change]}, grounds=("0x5 at 0xabc",))
    assert (told["transaction"], told["transaction_stage"], told["amount"]) == ("0x77", "in block 19", "")


def test_a_change_whose_transaction_no_chain_names_has_neither() -> None:
    told = on({"changes": [{"account": "0x5", "transaction": None, "height": 19}]})
    assert (told["transaction"], told["transaction_stage"]) == ("", "")


@pytest.mark.parametrize("subject", ["ETH", "hot/ETH", "eth-hot-1/ETH"])
def test_a_drain_is_told_with_what_is_gone_and_what_is_left(subject: str) -> None:
    told = on({"lost": "120", "held_at_least": "330", "held_at_most": "330"}, subject=subject)
    assert (told["amount"], told["still_there"]) == ("120 ETH", "330 ETH")


@pytest.mark.parametrize("most", ["350", None])
def test_what_is_left_of_a_drain_that_is_not_all_read_is_the_least_of_it(most: str | None) -> None:
    evidence = {"lost": "100 to 120", "held_at_least": "330", **({"held_at_most": most} if most else {})}
    told = on(evidence, subject="ETH")
    assert (told["amount"], told["still_there"]) == ("100 to 120 ETH", "at least 330 ETH")


@pytest.mark.parametrize(
    ("held", "text"),
    [
        ({"BTC": "120.5"}, "120.5 BTC in btc-cold"),
        ({}, "nothing in btc-cold"),
        ({"BTC": None}, "BTC unknown in btc-cold"),
        ({"A": "1", "B": "2", "C": "3", "D": "4", "E": "5"}, "1 A, 2 B, 3 C and 2 more in btc-cold"),
    ],
)
def test_what_is_still_in_the_wallet_is_named_and_unknown_is_called_so(held: object, text: str) -> None:
    assert on({"still_there": held})["still_there"] == text


@pytest.mark.parametrize("rows", ["a1", {"a1": payment()}, [None, "a1", 7], None, []])
def test_evidence_of_an_unforeseen_shape_breaks_nothing(rows: object) -> None:
    assert set(on({"transactions": rows, "changes": rows}, grounds=("a1",)).values()) == {""}


def test_a_time_that_is_none_is_told_as_it_stands() -> None:
    row = payment(stage="pending", height=None, since="soon")
    assert on({"transactions": [row]}, grounds=("a1",))["transaction_stage"] == "pending since soon"


@given(VERDICTS)
def test_whatever_the_evidence_holds_it_is_told_as_text(found: Verdict) -> None:
    assert all(isinstance(text, str) for text in brief(found).values())
