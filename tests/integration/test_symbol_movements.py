"""What a Symbol chain tells beside balances: movements from the pools into blocks and back, and control of accounts."""

from __future__ import annotations

import pytest

from connectors.base import Address, Control, Movement, Party, Stage, Update
from connectors.symbol.mined import GIVE_UP
from daemon.replay.symbol_ledger import (
    Alias,
    Person,
    aggregate,
    modification,
    payment,
    secret_lock,
    transfer,
)
from tests.integration.symbol_chain import (
    ALICE,
    BOB,
    CAROL,
    COIN,
    DAVE,
    GOLD,
    coins,
    connected,
    following,
    scripted,
    serving,
    until,
    watching,
)

FEE = 17_600
"""Of a plain transfer on the small node: 176 bytes at a multiplier of 100."""

XYM_NAME = Alias("E74B99BA41F4AFEE", mosaic="6BED913FA20223F8")
"""The namespace symbol.xym, which wallets write in the place of the currency's mosaic."""


def told(update: Update) -> list[tuple[str, Stage]]:
    return [(one.transaction, one.stage) for one in update.movements]


def moving(update: Update) -> object:
    return update.movements


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


async def test_after_a_rollback_what_was_mined_is_pending_again_and_then_mined_again() -> None:
    ledger = scripted()
    async with serving(ledger) as (node,), connected(node) as connector, following(connector, watching()) as updates:
        await anext(updates)
        sent = transfer(ALICE, DAVE.address, units=700)
        ledger.mine(sent)
        assert told(await until(updates, moving)) == [(sent.hash, Stage.MINED)]
        ledger.reorganise(depth=1, length=2)
        update = await until(updates, moving)
        assert (told(update), update.reorg_depth) == ([(sent.hash, Stage.PENDING)], 1)
        ledger.mine(sent)
        assert told(await until(updates, moving)) == [(sent.hash, Stage.MINED)]


async def test_what_the_other_branch_holds_as_well_is_told_as_mined_there_only() -> None:
    ledger = scripted()
    async with serving(ledger) as (node,), connected(node) as connector, following(connector, watching()) as updates:
        await anext(updates)
        sent = transfer(ALICE, DAVE.address, units=700)
        first = ledger.mine(sent)
        await until(updates, moving)
        ledger.reorganise(depth=1, length=1)
        second = ledger.mine(sent)
        update = await until(updates, moving)
    assert [(one.stage, one.tip and one.tip.hash) for one in update.movements] == [(Stage.MINED, second.hash)]
    assert first.hash != second.hash


async def test_blocks_that_came_while_the_chain_was_not_read_are_told_late() -> None:
    ledger = scripted()
    async with serving(ledger) as (node,), connected(node) as connector, following(connector, watching()) as updates:
        await anext(updates)
        await node.go_dark()
        assert (await anext(updates)).failure
        sent = [transfer(ALICE, DAVE.address, units=1, nonce=number) for number in range(5)]
        for one in sent:
            ledger.mine(one)
        await node.come_back()
        update = await until(updates, moving)
    assert told(update) == [(one.hash, Stage.MINED) for one in sent]
    assert [one.tip and one.tip.height for one in update.movements] == [6, 7, 8, 9, 10]


async def test_a_block_that_tells_fewer_transactions_than_it_holds_is_told_later() -> None:
    ledger = scripted()
    async with serving(ledger) as (node,), connected(node) as connector, following(connector, watching()) as updates:
        await anext(updates)

        def forget(route: str, answer: object) -> object:
            return {**answer, "data": []} if route == "/transactions/{group}" and isinstance(answer, dict) else answer

        node.behaviour.twist = forget
        sent = transfer(ALICE, DAVE.address, units=1)
        ledger.mine(sent)
        update = await until(updates, lambda update: update.tip and update.tip.height == ledger.tip.height)
        assert not update.movements
        assert coins(update)[ALICE.address] == ledger.held(ALICE.address)
        node.behaviour.twist = lambda _route, answer: answer
        assert told(await until(updates, moving)) == [(sent.hash, Stage.MINED)]


async def test_a_block_that_makes_no_sense_holds_up_those_after_it_only_for_a_while() -> None:
    """What it has changed is not known, so the control of every account is read anew."""
    ledger = scripted()
    async with serving(ledger) as (node,), connected(node) as connector, following(connector, watching()) as updates:
        await anext(updates)

        def forget(_route: str, answer: object) -> object:
            lacks = isinstance(answer, dict) and answer.get("data") and answer["data"][0]["meta"].get("height") == "6"
            return {**answer, "data": []} if lacks and isinstance(answer, dict) else answer

        node.behaviour.twist = forget
        ledger.mine(transfer(ALICE, DAVE.address, units=1))
        for _ in range(2 * GIVE_UP):
            assert not (await anext(updates)).movements
        sent = transfer(ALICE, DAVE.address, units=2)
        ledger.mine(sent)
        update = await until(updates, moving)
    assert told(update) == [(sent.hash, Stage.MINED)]
    assert set(controls(update)) == {ALICE.address, BOB.address, CAROL.address}


async def test_blocks_are_told_in_their_order_also_when_a_later_one_could_be_read_first() -> None:
    ledger = scripted()
    async with serving(ledger) as (node,), connected(node) as connector, following(connector, watching()) as updates:
        await anext(updates)
        refusals = [0]

        def forget(_route: str, answer: object) -> object:
            if isinstance(answer, dict) and answer.get("data") and answer["data"][0]["meta"].get("height") == "6":
                refusals[0] += 1
                return {**answer, "data": []} if refusals[0] < GIVE_UP else answer
            return answer

        node.behaviour.twist = forget
        sent = [transfer(ALICE, DAVE.address, units=1, nonce=number) for number in range(2)]
        for one in sent:
            ledger.mine(one)
        update = await until(updates, moving)
    assert told(update) == [(one.hash, Stage.MINED) for one in sent]


async def test_a_node_that_takes_long_to_tell_movements_holds_up_no_balances() -> None:
    ledger = scripted()
    async with (
        serving(ledger, count=2) as (slow, quick),
        connected(slow, quick, max_age="18s", timeout="60s") as connector,
        following(connector, watching()) as updates,
    ):
        await anext(updates)
        slow.behaviour.slow["/transactions/{group}"] = 60.0
        sent = transfer(ALICE, CAROL.address, units=5)
        ledger.mine(sent)
        update = await until(updates, lambda update: update.tip and update.tip.height == ledger.tip.height)
        assert coins(update)[CAROL.address] == 5
        assert not update.movements
        assert told(await until(updates, moving)) == [(sent.hash, Stage.MINED)]
    assert quick.asked["/accounts"] == 0


async def test_a_full_block_is_read_over_all_its_pages() -> None:
    ledger = scripted()
    async with serving(ledger) as (node,), connected(node) as connector, following(connector, watching()) as updates:
        await anext(updates)
        people = [Person(f"customer {number}") for number in range(230)]
        sent = [transfer(ALICE, person.address, units=1) for person in people]
        ledger.mine(*sent)
        update = await until(updates, moving)
    assert told(update) == [(one.hash, Stage.MINED) for one in sent]


async def test_without_routes_for_pools_balances_and_blocks_are_told_all_the_same() -> None:
    ledger = scripted()
    async with serving(ledger) as (node,), connected(node) as connector, following(connector, watching()) as updates:
        node.behaviour.twist = lambda route, answer: "no" if route == "/transactions/{group}" else answer
        first = await anext(updates)
        ledger.mine()
        update = await until(updates, lambda update: update.tip and update.tip.height == ledger.tip.height)
    assert (first.failure, update.failure) == (None, None)
    assert not (first.movements or update.movements)


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


async def test_more_names_than_fit_on_a_page_are_all_resolved() -> None:
    ledger = scripted()
    names = [Alias(f"{0xA95F1F8A96159516 + number:016X}", account=Person(f"{number}").address) for number in range(120)]
    names.append(Alias("FFFFFFFFFFFFFFF0", account=BOB.address))
    async with serving(ledger) as (node,), connected(node) as connector, following(connector, watching(BOB)) as updates:
        await anext(updates)
        sent = [transfer(ALICE, name, units=1) for name in names]
        ledger.mine(*sent)
        update = await until(updates, moving)
    assert [(one.transaction, one.changes) for one in update.movements] == [(sent[-1].hash, ((BOB.address, 1),))]


@pytest.mark.parametrize("kind", ["mosaicId", "address"])
async def test_a_block_whose_names_are_not_resolved_is_told_later(kind: str) -> None:
    """Either name might stand for something that is watched."""
    ledger = scripted()
    to_bob = Alias("A95F1F8A96159516", account=BOB.address)
    async with serving(ledger) as (node,), connected(node) as connector, following(connector, watching()) as updates:
        await anext(updates)

        def forget(route: str, answer: object) -> object:
            lacks = route == "/statements/resolutions/{kind}" and isinstance(answer, dict) and answer["data"]
            is_mosaic = lacks and len(answer["data"][0]["statement"]["unresolved"]) == 16  # type: ignore[index]
            hidden = lacks and is_mosaic == (kind == "mosaicId")
            return {**answer, "data": []} if hidden and isinstance(answer, dict) else answer

        node.behaviour.twist = forget
        sent = transfer(ALICE, to_bob, units=12, mosaic=XYM_NAME)
        ledger.mine(sent)
        update = await until(updates, lambda update: update.tip and update.tip.height == ledger.tip.height)
        assert not update.movements
        node.behaviour.twist = lambda _route, answer: answer
        update = await until(updates, moving)
    assert [dict(one.changes) for one in update.movements] == [{ALICE.address: -12 - FEE, BOB.address: 12}]


# ── control ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def controls(update: Update) -> dict[Address, Control]:
    return {one.account: one for one in update.controls}


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


# ── depth ───────────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_with_confirmations_a_reading_is_told_when_its_block_is_that_deep() -> None:
    ledger = scripted()
    async with (
        serving(ledger) as (node,),
        connected(node, confirmations=3) as connector,
        following(connector, watching()) as updates,
    ):
        update = await anext(updates)
        assert update.failure is not None
        assert update.failure.reason.value == "starting"
        ledger.mine(transfer(ALICE, CAROL.address, units=5))
        ledger.mine()
        update = await until(updates, lambda update: update.failure is None)
        assert update.tip is not None
        assert (update.tip.height, coins(update)[CAROL.address], update.complete) == (5, 0, True)
        ledger.mine()
        ledger.mine()  # block 6 may never have been read: it came with 7
        update = await until(updates, lambda update: CAROL.address in coins(update))
        assert update.tip is not None
        assert update.tip.height in (6, 7)
        assert coins(update)[CAROL.address] == 5
        assert [one.stage for one in update.movements] == [Stage.MINED]


async def test_with_finality_a_reading_is_told_when_enough_nodes_tell_its_block_to_be_final() -> None:
    ledger = scripted()
    ledger.final = 4
    async with (
        serving(ledger, count=2) as nodes,
        connected(*nodes, agree=2, finalized=True, max_tip_age="1h") as connector,
        following(connector, watching()) as updates,
    ):
        update = await anext(updates)
        assert update.failure is not None
        assert update.failure.reason.value == "starting"
        ledger.final = 5
        update = await until(updates, lambda update: update.failure is None)
        assert update.tip is not None
        assert (update.tip.height, update.complete) == (5, True)
        ledger.mine(transfer(ALICE, CAROL.address, units=5))
        for _ in range(3):
            update = await anext(updates)
            assert (update.tip and update.tip.height, update.held) == (5, ())
        ledger.final = 6
        update = await until(updates, lambda update: update.tip and update.tip.height == 6)
        assert coins(update)[CAROL.address] == 5


async def test_a_single_reading_with_finality_waits_for_it() -> None:
    ledger = scripted()
    ledger.final = 3
    async with serving(ledger) as (node,), connected(node, finalized=True, max_tip_age="1h") as connector:

        def before(_route: str) -> None:
            if node.asked.total() > 30:
                ledger.final = 5

        node.behaviour.before = before
        update = await connector.read(watching())
    assert (update.tip and update.tip.height, coins(update)[ALICE.address]) == (5, ledger.held(ALICE.address))
