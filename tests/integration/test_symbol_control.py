"""Who can move the accounts of a Symbol chain, and when it is told."""

from __future__ import annotations

from connectors.base import Control
from daemon.replay.symbol_ledger import Person, aggregate, modification
from tests.integration.symbol_chain import (
    ALICE,
    BOB,
    CAROL,
    DAVE,
    connected,
    controls,
    following,
    moving,
    scripted,
    serving,
    until,
    watching,
)


async def test_at_first_the_control_of_every_account_is_told() -> None:
    ledger = scripted()
    step = modification(BOB, cosignatories=(CAROL.address, DAVE.address), min_approval=2, min_removal=1)
    ledger.mine(aggregate(ALICE, step))
    watch = watching(ALICE, BOB, CAROL)
    async with serving(ledger) as (node,), connected(node) as connector, following(connector, watch) as updates:
        update = await anext(updates)
        later = await anext(updates)
    cosignatories = tuple(("cosignatory", name) for name in sorted((CAROL.address, DAVE.address)))
    assert controls(update) == {
        ALICE.address: Control(ALICE.address, "single", ()),
        BOB.address: Control(BOB.address, "multisig", (("minApproval", "2"), ("minRemoval", "1"), *cosignatories)),
        CAROL.address: Control(CAROL.address, "single", ()),  # she cosigns; her own account moves by her key
    }
    assert not later.controls


async def test_a_change_of_control_is_told_with_the_block_that_brings_it_and_of_nobody_else() -> None:
    ledger = scripted()
    async with serving(ledger) as (node,), connected(node) as connector, following(connector, watching()) as updates:
        await anext(updates)
        step = modification(BOB, cosignatories=(DAVE.address,), min_approval=1, min_removal=1)
        ledger.mine(aggregate(ALICE, step))
        update = await until(updates, lambda update: update.controls)
    assert update.tip is not None
    assert update.tip.height == ledger.tip.height
    facts = (("minApproval", "1"), ("minRemoval", "1"), ("cosignatory", DAVE.address))
    assert update.controls == (Control(BOB.address, "multisig", facts),)


async def test_a_change_of_control_that_is_rolled_back_is_told_as_well() -> None:
    ledger = scripted()
    async with serving(ledger) as (node,), connected(node) as connector, following(connector, watching()) as updates:
        await anext(updates)
        step = modification(BOB, cosignatories=(DAVE.address,), min_approval=1, min_removal=1)
        ledger.mine(aggregate(ALICE, step))
        await until(updates, lambda update: update.controls)
        ledger.reorganise(depth=1, length=2)
        update = await until(updates, lambda update: update.reorg_depth)
    assert controls(update)[BOB.address] == Control(BOB.address, "single", ())


async def test_the_control_of_strangers_is_not_told_also_after_a_rollback() -> None:
    ledger = scripted()
    async with serving(ledger) as (node,), connected(node) as connector, following(connector, watching()) as updates:
        await anext(updates)
        ledger.mine(aggregate(ALICE, modification(DAVE, cosignatories=(BOB.address,), min_approval=1, min_removal=1)))
        await until(updates, moving)
        ledger.reorganise(depth=1, length=2)
        update = await until(updates, lambda update: update.reorg_depth)
    assert set(controls(update)) == {ALICE.address, BOB.address, CAROL.address}


async def test_a_missing_route_is_not_taken_for_accounts_without_cosignatories() -> None:
    async with serving(scripted()) as (node,), connected(node) as connector:
        node.behaviour.missing.add("/account/{address}/multisig")
        async with following(connector, watching()) as updates:
            first = await anext(updates)
            assert (first.failure, first.controls) == (None, ())
            node.behaviour.missing.clear()
            assert set(controls(await until(updates, lambda update: update.controls))) == {
                ALICE.address,
                BOB.address,
                CAROL.address,
            }


async def test_the_control_of_many_accounts_is_told_over_several_updates() -> None:
    watch = watching(*(Person(f"depositor {number}") for number in range(230)))
    async with serving(scripted()) as (node,), connected(node) as connector, following(connector, watch) as updates:
        found = [len((await anext(updates)).controls) for _ in range(4)]
    assert found == [100, 100, 30, 0]
