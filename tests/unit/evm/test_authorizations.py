"""Whom the transactions of a block touch, also by an authorisation that somebody else sends."""

from __future__ import annotations

from typing import Any

import pytest
from eth_account import Account

from connectors.evm.authorizations import authority_of, touched
from tests.unit.evm.crafted import COLD, HOT, STRANGER, THIEF, transaction

KEY = "0x" + "07" * 32
OWNER = Account.from_key(KEY).address.lower()


def signed(*, chain: int = 1, nonce: int = 0) -> dict[str, Any]:
    """As nodes tell it, of a key that anybody knows."""
    made = Account.sign_authorization({"chainId": chain, "address": bytes.fromhex(THIEF[2:]), "nonce": nonce}, KEY)
    return {
        "chainId": hex(chain),
        "address": THIEF,
        "nonce": hex(nonce),
        "yParity": hex(made.y_parity),
        "r": hex(made.r),
        "s": hex(made.s),
    }


@pytest.mark.parametrize(("chain", "nonce"), [(1, 0), (0, 0), (137, 300)])
def test_who_signed_an_authorisation_comes_out_of_its_signature(chain: int, nonce: int) -> None:
    assert authority_of(signed(chain=chain, nonce=nonce)) == OWNER


@pytest.mark.parametrize("wrong", [{"r": "0x0"}, {"yParity": "0x5"}, {"s": None}, {"address": "0x12"}])
def test_what_nobody_can_have_signed_is_of_nobody(wrong: dict[str, Any]) -> None:
    assert authority_of({**signed(), **wrong}) is None


def test_an_authorisation_that_was_altered_is_of_somebody_else() -> None:
    assert authority_of({**signed(), "nonce": "0x9"}) != OWNER


def test_senders_recipients_and_authorities_are_touched_each_once() -> None:
    sent = [
        transaction(1, HOT, to=COLD),
        transaction(2, STRANGER, to=None),
        transaction(3, HOT, to=HOT),
        transaction(4, STRANGER, to=STRANGER, authorizationList=[signed(), signed(nonce=1), {"nonsense": 1}]),
    ]
    found = [(account, name[-1]) for account, name in touched(sent, accounts={HOT, COLD, OWNER})]
    assert found == [(HOT, "1"), (COLD, "1"), (HOT, "3"), (OWNER, "4")]
