"""The register of who controls accounts: what is a change, what a reorganisation takes back, what outlives a reload."""

from __future__ import annotations

from dataclasses import replace

import pytest

from connectors.base import UNREAD, Control, Update
from daemon.control import changed_facts
from daemon.controls import MOST_CHANGES, Controls
from daemon.ledger import Ledger
from daemon.model import Tier
from tests.build import address, complete, inventory, tip, wallet

INVENTORY = inventory(wallet("hot", Tier.HOT, 1, 2), wallet("vault", Tier.COLD, 3))
OWNER, THIEF = "0x" + "a1" * 20, "0x" + "e5" * 20


def safe(*owners: str, threshold: int = 1, nonce: int = 0, account: int = 3) -> Control:
    named = (("owner", one) for one in owners)
    return Control(address(account), "safe", (("threshold", str(threshold)), *named, ("nonce", str(nonce))))


def single(account: int) -> Control:
    return Control(address(account), "single", ())


def update(height: int, *controls: Control, previous: int | None = None, depth: int = 0, branch: str = "a") -> Update:
    here = tip(height, branch=branch)
    before = None if previous is None else tip(previous)
    return Update("ethereum", here.time, tip=here, previous=before, controls=controls, reorg_depth=depth)


def told(*updates: Update) -> Controls:
    controls = Controls(INVENTORY)
    for one in updates:
        controls.take(one)
    return controls


def test_what_is_told_first_is_no_change() -> None:
    controls = Controls(INVENTORY)
    assert controls.take(update(1, safe(OWNER))) == ()
    (known,) = controls.of("vault").accounts
    assert (known.control, known.tip, known.changes) == (safe(OWNER), tip(1), ())


def test_another_owner_is_a_change_with_its_block() -> None:
    controls = told(update(1, safe(OWNER)))
    (change,) = controls.take(update(2, safe(OWNER, THIEF)))
    assert (change.before, change.after, change.tip) == (safe(OWNER), safe(OWNER, THIEF), tip(2))


def test_the_block_that_a_connector_names_is_that_of_the_change() -> None:
    controls = told(update(1, safe(OWNER)))
    (change,) = controls.take(update(9, replace(safe(THIEF), tip=tip(7), transaction="0x77")))
    assert (change.tip, change.after.transaction) == (tip(7), "0x77")


def test_owners_in_another_order_are_no_change() -> None:
    assert told(update(1, safe(OWNER, THIEF))).take(update(2, safe(THIEF, OWNER))) == ()


@pytest.mark.parametrize(("nonce", "changes"), [(6, 0), (5, 0), (4, 1)])
def test_a_nonce_that_rises_is_no_change_and_one_that_falls_is(nonce: int, changes: int) -> None:
    assert len(told(update(1, safe(OWNER, nonce=5))).take(update(2, safe(OWNER, nonce=nonce)))) == changes


def test_a_plain_account_that_gains_code_has_changed_and_one_that_loses_it_too() -> None:
    controls = told(update(1, single(1)))
    delegated = Control(address(1), "delegated", (("delegate", THIEF),))
    assert len(controls.take(update(2, delegated))) == 1
    (change,) = controls.take(update(3, single(1)))
    assert changed_facts(change.before, change.after) == {
        "kind": (("delegated",), ("single",)),
        "delegate": ((THIEF,), ()),
    }


def test_what_could_not_be_read_is_unread_until_it_is_and_compared_with_what_was_before() -> None:
    controls = told(update(1, safe(OWNER)))
    gone = Control(address(3), UNREAD, (("reason", "timeout"), ("detail", "late")))
    assert controls.take(update(2, gone)) == ()
    (known,) = controls.of("vault").accounts
    assert (known.unread, known.control) == ("timeout, late", safe(OWNER))
    assert len(controls.take(update(3, safe(THIEF)))) == 1
    assert controls.of("vault").accounts[0].unread == ""


def test_a_reorganisation_takes_back_the_changes_of_undone_blocks_alone() -> None:
    controls = told(update(1, safe(OWNER)), update(2, safe(OWNER, THIEF)), update(5, safe(THIEF)))
    controls.take(update(5, safe(OWNER, THIEF), previous=5, depth=2, branch="b"))
    (known,) = controls.of("vault").accounts
    assert [change.tip.height for change in known.changes] == [2]
    assert known.control == safe(OWNER, THIEF)


def test_a_change_that_the_new_branch_holds_as_well_is_told_from_its_block() -> None:
    controls = told(update(1, safe(OWNER)), update(5, safe(THIEF)))
    (change,) = controls.take(update(6, safe(THIEF), previous=5, depth=1, branch="b"))
    assert change.tip == tip(6, branch="b")
    assert len(controls.of("vault").accounts[0].changes) == 1


def test_accounts_that_nothing_was_told_of_are_awaited_and_plain_ones_are_only_counted() -> None:
    controls = told(update(1, single(1)))
    assert (controls.of("hot").awaited, controls.of("hot").accounts) == (1, ())
    controls.take(update(2, single(2), single(2)))
    assert (controls.of("hot").awaited, controls.of("hot").accounts) == (0, ())


def test_strangers_are_not_entered() -> None:
    assert told().take(update(1, single(9))) == ()


def test_the_newest_changes_of_an_account_are_kept() -> None:
    controls = told(*(update(height, safe(OWNER, threshold=height)) for height in range(1, MOST_CHANGES + 10)))
    changes = controls.of("vault").accounts[0].changes
    assert (len(changes), changes[-1].tip.height) == (MOST_CHANGES, MOST_CHANGES + 9)


def test_a_reload_keeps_what_is_known_of_accounts_that_stay() -> None:
    older, newer = Ledger(INVENTORY), Ledger(inventory(wallet("one", Tier.HOT, 1), wallet("vault", Tier.COLD, 3)))
    older.apply(replace(complete(1, {}), controls=(single(1), single(2), safe(OWNER))))
    older.controls.take(update(2, safe(THIEF)))
    newer.carry_over(older, chains=["ethereum"])
    assert newer.controls.of("one").awaited == newer.controls.of("vault").awaited == 0
    assert [change.after for change in newer.controls.of("vault").accounts[0].changes] == [safe(THIEF)]
