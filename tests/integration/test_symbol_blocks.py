"""Movements in the blocks of a Symbol chain: over rollbacks and outages, in order, whole, and told without a gap."""

from __future__ import annotations

import pytest

from connectors.base import Stage
from connectors.symbol.mined import GIVE_UP
from daemon.replay.symbol_ledger import Alias, Person, transfer
from tests.integration.symbol_chain import (
    ALICE,
    BOB,
    CAROL,
    DAVE,
    FEE,
    XYM_NAME,
    coins,
    connected,
    controls,
    following,
    moving,
    scripted,
    serving,
    told,
    until,
    watching,
)


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
