"""What a Symbol chain tells beside balances: movements, from the pools into a block."""

from __future__ import annotations

import pytest

from connectors.base import Movement, Party, Stage
from daemon.replay.symbol_ledger import Alias, aggregate, payment, secret_lock, transfer
from tests.integration.symbol_chain import (
    ALICE,
    BOB,
    CAROL,
    COIN,
    DAVE,
    FEE,
    GOLD,
    XYM_NAME,
    coins,
    connected,
    following,
    moving,
    scripted,
    serving,
    told,
    until,
    watching,
)


async def test_a_transfer_is_pending_and_then_mined_each_told_once() -> None:
    ledger = scripted()
    async with serving(ledger) as (node,), connected(node) as connector, following(connector, watching()) as updates:
        assert not (await anext(updates)).movements
        sent = ledger.announce(transfer(ALICE, DAVE.address, units=700))
        pending = await until(updates, moving)
        assert not (await anext(updates)).movements
        block = ledger.mine(sent)
        mined = await until(updates, moving)
        assert not (await anext(updates)).movements
    assert pending.movements == (
        Movement(
            transaction=sent.hash,
            token=COIN,
            stage=Stage.PENDING,
            tip=None,
            changes=((ALICE.address, -700),),
            change=0,
            destinations=(Party(DAVE.address, 700),),
            sources=(),
            fee=None,
            size=176,
        ),
    )
    (movement,) = mined.movements
    assert movement.tip is not None
    assert (movement.stage, movement.tip.hash, movement.tip.height) == (Stage.MINED, block.hash, block.height)
    assert (movement.changes, movement.fee) == (((ALICE.address, -700 - FEE),), FEE)
    assert mined.tip == movement.tip
    assert coins(mined)[ALICE.address] == ledger.held(ALICE.address)


async def test_a_deposit_names_whom_it_comes_from() -> None:
    ledger = scripted()
    watch = watching(BOB)
    async with serving(ledger) as (node,), connected(node) as connector, following(connector, watch) as updates:
        await anext(updates)
        ledger.mine(transfer(ALICE, BOB.address, units=9))
        update = await until(updates, moving)
    (movement,) = update.movements
    assert movement.changes == ((BOB.address, 9),)
    assert (movement.sources, movement.destinations) == ((Party(ALICE.address, 9),), ())


async def test_what_leads_nowhere_near_the_watched_accounts_is_not_told() -> None:
    ledger = scripted()
    watch = watching(CAROL)
    async with serving(ledger) as (node,), connected(node) as connector, following(connector, watch) as updates:
        await anext(updates)
        ledger.announce(transfer(ALICE, BOB.address, units=9))
        ledger.mine(transfer(BOB, ALICE.address, units=9))
        update = await until(updates, lambda update: update.tip and update.tip.height == ledger.tip.height)
    assert not update.movements


async def test_each_mosaic_of_a_transfer_is_a_movement_and_the_fee_belongs_to_the_currency() -> None:
    ledger = scripted()
    watch = watching(ALICE, tokens=(COIN, GOLD))
    async with serving(ledger) as (node,), connected(node) as connector, following(connector, watch) as updates:
        await anext(updates)
        ledger.mine(transfer(ALICE, DAVE.address, units=5, more={GOLD.contract or "": 30}))
        update = await until(updates, moving)
    assert {one.token: (one.changes, one.fee) for one in update.movements} == {
        COIN: (((ALICE.address, -5 - FEE),), FEE),
        GOLD: (((ALICE.address, -30),), 0),
    }


async def test_a_fee_alone_is_a_movement_too() -> None:
    ledger = scripted()
    async with serving(ledger) as (node,), connected(node) as connector, following(connector, watching()) as updates:
        await anext(updates)
        ledger.mine(transfer(ALICE, DAVE.address, units=3, mosaic=GOLD.contract or ""))
        update = await until(updates, moving)
    (movement,) = update.movements
    assert (movement.token, movement.changes, movement.destinations) == (COIN, ((ALICE.address, -FEE),), ())


async def test_an_aggregate_is_one_movement_of_all_that_is_within_it() -> None:
    ledger = scripted()
    async with serving(ledger) as (node,), connected(node) as connector, following(connector, watching()) as updates:
        await anext(updates)
        steps = (
            payment(ALICE, DAVE.address, units=100),
            payment(BOB, ALICE.address, units=40),
            payment(ALICE, CAROL.address, units=1),
        )
        sent = aggregate(ALICE, *steps)
        ledger.mine(sent)
        update = await until(updates, moving)
    (movement,) = update.movements
    assert movement.transaction == sent.hash
    assert dict(movement.changes) == {
        ALICE.address: -100 + 40 - 1 - sent.fee,
        BOB.address: -40,
        CAROL.address: 1,
    }
    assert (movement.destinations, movement.fee) == ((Party(DAVE.address, 100),), sent.fee)


async def test_an_aggregate_bonded_is_pending_while_it_waits_for_cosignatures_and_when_it_has_them() -> None:
    ledger = scripted()
    async with serving(ledger) as (node,), connected(node) as connector, following(connector, watching()) as updates:
        await anext(updates)
        sent = ledger.announce(aggregate(DAVE, payment(ALICE, DAVE.address, units=100), bonded=True))
        assert told(await until(updates, moving)) == [(sent.hash, Stage.PENDING)]
        ledger.complete(sent)
        for _ in range(3):
            assert not (await anext(updates)).movements
        ledger.grant(DAVE.address, mosaic="6BED913FA20223F8", units=10**9)
        ledger.mine(sent)
        assert told(await until(updates, moving)) == [(sent.hash, Stage.MINED)]


@pytest.mark.parametrize("failed", [True, False])
async def test_what_leaves_the_pools_without_a_block_is_evicted(failed: bool) -> None:
    ledger = scripted()
    async with serving(ledger) as (node,), connected(node) as connector, following(connector, watching()) as updates:
        await anext(updates)
        sent = ledger.announce(transfer(ALICE, DAVE.address, units=700))
        await until(updates, moving)
        ledger.drop(sent, failed=failed)
        assert told(await until(updates, moving)) == [(sent.hash, Stage.EVICTED)]


async def test_what_is_in_a_block_that_is_not_read_yet_is_not_evicted() -> None:
    """The pools and the blocks are two looks: a transaction may leave the one before the other shows it."""
    ledger = scripted()
    async with serving(ledger) as (node,), connected(node) as connector, following(connector, watching()) as updates:
        await anext(updates)
        sent = ledger.announce(transfer(ALICE, DAVE.address, units=700))
        await until(updates, moving)

        def before(route: str) -> None:
            if route == "/transactions/{group}":
                node.behaviour.before = lambda _route: None
                ledger.mine(sent)

        node.behaviour.before = before
        assert told(await until(updates, moving)) == [(sent.hash, Stage.MINED)]


async def test_a_secret_lock_takes_from_its_signer_and_names_who_is_to_have_it_without_crediting_it() -> None:
    ledger = scripted()
    async with serving(ledger) as (node,), connected(node) as connector, following(connector, watching()) as updates:
        await anext(updates)
        sent = secret_lock(ALICE, BOB.address, units=500)
        ledger.mine(sent, secret_lock(BOB, DAVE.address, units=50))
        update = await until(updates, moving)
    first, second = update.movements
    assert dict(first.changes) == {ALICE.address: -500 - sent.fee}
    assert second.destinations == (Party(DAVE.address, 50),)


@pytest.mark.parametrize("pending", [True, False])
async def test_a_name_in_the_place_of_a_mosaic_or_an_account_is_what_it_stands_for(pending: bool) -> None:
    ledger = scripted()
    to_bob = Alias("A95F1F8A96159516", account=BOB.address)
    ledger.aliases = {one.id: one for one in (XYM_NAME, to_bob)}
    async with serving(ledger) as (node,), connected(node) as connector, following(connector, watching()) as updates:
        await anext(updates)
        sent = transfer(ALICE, to_bob, units=12, mosaic=XYM_NAME)
        if pending:
            ledger.announce(sent)
        else:
            ledger.mine(sent)
        update = await until(updates, moving)
    (movement,) = update.movements
    assert dict(movement.changes) == {ALICE.address: -12 - (0 if pending else FEE), BOB.address: 12}
