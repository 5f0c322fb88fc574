"""Who controls accounts of the small EVM chain, as the real connector's reading sees it."""

from __future__ import annotations

from connectors.base import Address, Control
from connectors.evm.control_facts import Question, control_of
from daemon.replay.evm.controls import controlled, dressed
from daemon.replay.evm.ledger import EvmLedger
from tests.played_evm import START

SAFE, PLAIN = Address("0x" + "5a" * 20), Address("0x" + "ab" * 20)
BEFORE, AFTER = "0x" + "34" * 20, "0x" + "bd" * 20


def seen(ledger: EvmLedger, account: Address) -> Control:
    told: dict[Question, str] = {}
    while not isinstance(found := control_of(account, told), Control):
        for one in found:
            word = f"0x{ledger.storage(one.address, slot=one.slot):064x}"
            told[one] = ledger.code(one.address) if one.method == "eth_getCode" else word
    return found


def test_an_account_whose_implementation_will_change_is_a_safe_of_six_from_the_first_block_on() -> None:
    ledger = EvmLedger({}, time=START, changes=dressed([(SAFE, "implementation", BEFORE)]))
    found = seen(ledger, SAFE)
    assert found.kind == "safe"
    assert ("singleton", BEFORE) in found.facts
    assert ("threshold", "3") in found.facts
    assert [name for name, _ in found.facts].count("owner") == 6


def test_implementation_threshold_and_guard_change_in_its_storage() -> None:
    first = [(SAFE, "implementation", BEFORE), (SAFE, "threshold", "4"), (SAFE, "guard", BEFORE)]
    changes = [
        *dressed(first),
        *controlled(SAFE, what="implementation", to=AFTER),
        *controlled(SAFE, what="threshold", to="1"),
        *controlled(SAFE, what="guard", to="none"),
    ]
    found = dict(seen(EvmLedger({}, time=START, changes=changes), SAFE).facts)
    assert (found["singleton"], found["threshold"], "guard" in found) == (AFTER, "1", False)


def test_a_plain_account_delegates_and_ceases_to() -> None:
    assert seen(EvmLedger({}, time=START, changes=dressed([(PLAIN, "delegate", "none")])), PLAIN).kind == "single"
    ledger = EvmLedger({}, time=START, changes=controlled(PLAIN, what="delegate", to=AFTER))
    assert seen(ledger, PLAIN) == Control(PLAIN, "delegated", (("delegate", AFTER),))


def test_what_is_said_in_words_changes_nothing() -> None:
    assert not list(controlled(SAFE, what="owners", to="three of the treasury"))
    assert not list(controlled(SAFE, what="threshold", to="one"))
