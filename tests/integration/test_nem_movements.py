"""What moves on NEM: transactions that wait, are mined, are undone or given up."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest

from connectors.base import Movement, Party, Stage
from connectors.nem.config import DEEPEST
from connectors.nem.mined import MOST_BLOCKS
from tests.integration.nem_chain import (
    COIN,
    NAMES,
    XEM,
    Chain,
    at_the_tip,
    chain,
    connected,
    following,
    movements_until,
    nodes_on,
    some,
    until,
)


def stages(movements: list[Movement]) -> list[tuple[str, Stage]]:
    return [(one.transaction, one.stage) for one in movements]


async def test_a_payment_to_a_stranger_is_told_with_its_fee_and_its_block() -> None:
    made = chain()
    async with (
        nodes_on(made) as (node,),
        connected([node], chain=made) as connector,
        following(connector, made.watch(XEM)) as updates,
    ):
        assert (await anext(updates)).movements == ()
        name = made.pay("hot", "customer", 700)
        (movement,) = await movements_until(updates, some)
    size = len(made.ledger.tip.block.transactions[0].serial(signed=True))
    assert movement == Movement(
        transaction=name,
        token=XEM,
        stage=Stage.MINED,
        tip=made.ledger.tip.block.header.tip,
        changes=((made.address("hot"), -50_700),),
        change=0,
        destinations=(Party(made.address("customer"), 700),),
        sources=(Party(made.address("hot"), 50_700),),
        fee=50_000,
        size=size,
    )


async def test_a_payment_between_watched_accounts_has_no_destination() -> None:
    made = chain()
    async with (
        nodes_on(made) as (node,),
        connected([node], chain=made) as connector,
        following(connector, made.watch(XEM)) as updates,
    ):
        await anext(updates)
        made.pay("hot", "cold", 700)
        (movement,) = await movements_until(updates, some)
    assert dict(movement.changes) == {made.address("hot"): -50_700, made.address("cold"): 700}
    assert movement.destinations == ()


async def test_an_incoming_payment_names_who_paid() -> None:
    made = chain()
    async with (
        nodes_on(made) as (node,),
        connected([node], chain=made) as connector,
        following(connector, made.watch(XEM)) as updates,
    ):
        await anext(updates)
        made.pay("customer", "deposits", 700)
        (movement,) = await movements_until(updates, some)
    assert movement.changes == ((made.address("deposits"), 700),)
    assert movement.sources == (Party(made.address("customer"), 50_700),)


async def test_a_payment_to_oneself_is_change_and_costs_the_fee() -> None:
    made = chain()
    async with (
        nodes_on(made) as (node,),
        connected([node], chain=made) as connector,
        following(connector, made.watch(XEM)) as updates,
    ):
        await anext(updates)
        made.pay("hot", "hot", 700)
        (movement,) = await movements_until(updates, some)
    assert (movement.changes, movement.change) == (((made.address("hot"), -50_000),), 700)


async def test_mosaics_and_the_fee_in_xem_are_movements_of_their_own() -> None:
    made = chain()
    async with (
        nodes_on(made) as (node,),
        connected([node], chain=made) as connector,
        following(connector, made.watch()) as updates,
    ):
        await anext(updates)
        made.pay("hot", "customer", 1_000_000, mosaics={"exchange:coin": 12, "nem:xem": 7})
        told = {one.token: one for one in await movements_until(updates, some)}
    hot, customer = made.address("hot"), made.address("customer")
    assert told[COIN].changes == ((hot, -12),)
    assert (told[COIN].destinations, told[COIN].fee) == ((Party(customer, 12),), None)
    assert told[XEM].changes == ((hot, -50_007),)
    assert told[XEM].destinations == (Party(customer, 7),)


async def test_blocks_that_move_nothing_watched_tell_nothing() -> None:
    made = chain()
    async with (
        nodes_on(made) as (node,),
        connected([node], chain=made) as connector,
        following(connector, made.watch()) as updates,
    ):
        await anext(updates)
        made.pay("customer", "other", 5)
        made.pay("other", "customer", 5)
        name = made.pay("hot", "customer", 5)
        told = await movements_until(updates, some)
    assert {one.transaction for one in told} == {name}


async def test_a_transaction_waits_before_it_is_mined_and_is_told_in_both_stages() -> None:
    made = chain()
    async with (
        nodes_on(made) as (node,),
        connected([node], chain=made) as connector,
        following(connector, made.watch(XEM)) as updates,
    ):
        await anext(updates)
        name = made.ledger.announce(made.transfer("cold", "customer", 9))
        (waiting,) = await movements_until(updates, some)
        assert (waiting.transaction, waiting.stage, waiting.tip) == (name, Stage.PENDING, None)
        assert waiting.destinations == (Party(made.address("customer"), 9),)
        made.ledger.mine()
        (mined,) = await movements_until(updates, some)
    assert (mined.transaction, mined.stage) == (name, Stage.MINED)
    assert (mined.changes, mined.fee) == (waiting.changes, waiting.fee)


async def test_a_transaction_past_its_deadline_is_given_up() -> None:
    made = chain()
    async with (
        nodes_on(made) as (node,),
        connected([node], chain=made) as connector,
        following(connector, made.watch(XEM)) as updates,
    ):
        await anext(updates)
        name = made.ledger.announce(made.transfer("cold", "customer", 9, lifetime=30))
        told = await movements_until(updates, some)
        made.ledger.mine([], after=timedelta(seconds=90))
        told += await movements_until(updates, some)
    assert stages(told) == [(name, Stage.PENDING), (name, Stage.EVICTED)]


async def test_a_transaction_that_nodes_drop_is_given_up_after_some_blocks_without_it() -> None:
    made = chain()
    async with (
        nodes_on(made) as (node,),
        connected([node], chain=made) as connector,
        following(connector, made.watch(XEM)) as updates,
    ):
        await anext(updates)
        name = made.ledger.announce(made.transfer("cold", "customer", 9))
        told = await movements_until(updates, some)
        made.ledger.pool.clear()
        told += await movements_until(updates, lambda told: some(told) or made.ledger.mine([]) is None)
    assert stages(told) == [(name, Stage.PENDING), (name, Stage.EVICTED)]


async def test_after_a_reorg_a_mined_transaction_waits_again_and_is_mined_again() -> None:
    made = chain()
    async with (
        nodes_on(made) as (node,),
        connected([node], chain=made) as connector,
        following(connector, made.watch(XEM)) as updates,
    ):
        await anext(updates)
        name = made.pay("hot", "customer", 5)
        told = await movements_until(updates, some)
        made.ledger.reorganise(1, keep=False)
        told += await movements_until(updates, some)
        made.ledger.mine()
        told += await movements_until(updates, some)
    assert stages(told) == [(name, Stage.MINED), (name, Stage.PENDING), (name, Stage.MINED)]
    assert told[-1].tip == made.ledger.tip.block.header.tip


async def test_a_transaction_that_is_in_both_branches_is_told_with_its_new_block() -> None:
    made = chain()
    async with (
        nodes_on(made) as (node,),
        connected([node], chain=made) as connector,
        following(connector, made.watch(XEM)) as updates,
    ):
        await anext(updates)
        name = made.pay("hot", "customer", 5)
        told = await movements_until(updates, some)
        made.ledger.reorganise(1)
        told += await movements_until(updates, some)
    assert stages(told) == [(name, Stage.MINED), (name, Stage.MINED)]
    assert told[1].tip == made.ledger.blocks[-2].block.header.tip


async def test_movements_of_an_outage_are_told_after_it() -> None:
    made = chain()
    async with (
        nodes_on(made) as (node,),
        connected([node], chain=made) as connector,
        following(connector, made.watch(XEM)) as updates,
    ):
        await anext(updates)
        await node.go_dark()
        await until(updates, lambda update: update.failure is not None)
        names = [made.pay("hot", "customer", number) for number in (1, 2, 3)]
        await node.come_back()
        told = await movements_until(updates, lambda told: len(told) >= 3)
    assert stages(told) == [(name, Stage.MINED) for name in names]


async def test_accounts_beyond_the_number_for_one_poll_have_their_turn() -> None:
    made = chain()
    async with (
        nodes_on(made) as (node,),
        connected([node], chain=made, pending_accounts=1) as connector,
        following(connector, made.watch(XEM)) as updates,
    ):
        await anext(updates)
        names = {made.ledger.announce(made.transfer(name, "other", 5)) for name in ("hot", "cold", "deposits")}
        told = await movements_until(updates, lambda told: {one.transaction for one in told} == names)
    assert {one.stage for one in told} == {Stage.PENDING}


async def test_nobody_is_asked_for_waiting_transactions_where_that_is_switched_off() -> None:
    made = chain()
    async with (
        nodes_on(made) as (node,),
        connected([node], chain=made, pending_accounts=0) as connector,
        following(connector, made.watch(XEM)) as updates,
    ):
        for _ in range(4):
            await anext(updates)
    assert node.calls["/account/unconfirmedTransactions"] == 0


async def test_waiting_transactions_that_make_no_sense_cost_none_of_the_others() -> None:
    made = chain()
    async with (
        nodes_on(made) as (node,),
        connected([node], chain=made) as connector,
        following(connector, made.watch(XEM)) as updates,
    ):

        def with_nonsense(path: str, answer: object) -> object:
            if path == "/account/unconfirmedTransactions" and isinstance(answer, dict):
                answer["data"] = [None, {"transaction": {"type": 5}}, *answer["data"], {"meta": {}}]
            return answer

        node.behaviour.twist = with_nonsense
        name = made.ledger.announce(made.transfer("cold", "customer", 9))
        told = await movements_until(updates, some)
        errors = connector.stats()[0].errors
    assert stages(told) == [(name, Stage.PENDING)]
    assert errors


async def test_a_node_that_tells_no_waiting_transactions_is_still_good_for_balances() -> None:
    made = chain()
    async with (
        nodes_on(made) as (node,),
        connected([node], chain=made) as connector,
        following(connector, made.watch(XEM)) as updates,
    ):
        node.behaviour.failing = {"/account/unconfirmedTransactions": 503}
        for _ in range(5):
            assert (await anext(updates)).failure is None


@pytest.mark.timeout(120)
async def test_what_waited_is_not_called_gone_where_blocks_were_passed_over_that_may_hold_it() -> None:
    made = chain()
    async with (
        nodes_on(made) as (node,),
        connected([node], chain=made, max_age="10m") as connector,
        following(connector, made.watch(XEM)) as updates,
    ):
        await anext(updates)
        made.ledger.announce(made.transfer("cold", "customer", 9))
        (waiting,) = await movements_until(updates, some)
        assert waiting.stage is Stage.PENDING
        for _ in range(MOST_BLOCKS + 1):
            made.ledger.mine(after=timedelta(seconds=30))
        told = (await until(updates, at_the_tip(made))).movements
        name = made.pay("hot", "customer", 5)
        told += tuple(await movements_until(updates, some))
    assert stages(list(told)) == [(name, Stage.MINED)]


async def test_what_blocks_did_in_an_outage_of_hours_is_told_once_when_it_is_over() -> None:
    """Of more blocks than balances are followed over: these are read anew, movements are not passed over."""
    made = chain()
    async with (
        nodes_on(made) as (node,),
        connected([node], chain=made, max_age="10m") as connector,
        following(connector, made.watch(XEM)) as updates,
    ):
        await anext(updates)
        waited = made.ledger.announce(made.transfer("cold", "customer", 9))
        told = await movements_until(updates, some)
        await node.go_dark()
        await until(updates, lambda update: update.failure is not None)
        for _ in range(DEEPEST + 40):
            made.ledger.mine()
        name = made.pay("hot", "customer", 5)
        await node.come_back()
        told += await movements_until(updates, lambda told: len(told) >= 2)
        told += (await anext(updates)).movements
    assert stages(told) == [(waited, Stage.PENDING), (waited, Stage.MINED), (name, Stage.MINED)]


def still_listed(made: Chain) -> Callable[[str, object], object]:
    """The node goes on listing what waited in the beginning."""
    waiting = list(made.ledger.pool.values())

    def twist(path: str, answer: object) -> object:
        listed = [{"meta": {"data": None}, "transaction": one} for one in waiting]
        return {"data": listed} if path == "/account/unconfirmedTransactions" else answer

    return twist


async def test_a_list_that_is_older_than_the_block_takes_no_transaction_back_out_of_it() -> None:
    made = chain()
    async with (
        nodes_on(made) as (node,),
        connected([node], chain=made) as connector,
        following(connector, made.watch(XEM)) as updates,
    ):
        await anext(updates)
        name = made.ledger.announce(made.transfer("cold", "customer", 9, lifetime=200))
        told = await movements_until(updates, some)
        node.behaviour.twist = still_listed(made)
        made.ledger.mine()
        for _ in range(6):  # past the deadline, too
            told += (await until(updates, at_the_tip(made))).movements
            before = node.calls["/account/unconfirmedTransactions"]
            while node.calls["/account/unconfirmedTransactions"] < before + 2 * len(NAMES):
                told += (await anext(updates)).movements
            made.ledger.mine([])
    assert stages(told) == [(name, Stage.PENDING), (name, Stage.MINED)]


async def test_what_stands_in_the_first_block_that_is_read_does_not_wait() -> None:
    made = chain()
    made.ledger.announce(made.transfer("cold", "customer", 9))
    async with nodes_on(made) as (node,):
        node.behaviour.twist = still_listed(made)
        made.ledger.mine()
        made.ledger.mine([])
        async with (
            connected([node], chain=made) as connector,
            following(connector, made.watch(XEM)) as updates,
        ):
            while node.calls["/account/unconfirmedTransactions"] < 3 * len(NAMES):
                assert (await anext(updates)).movements == ()


async def test_what_a_node_ahead_has_in_a_block_is_not_called_gone_before_that_block_is_read() -> None:
    made = chain()
    async with (
        nodes_on(made, count=2) as nodes,
        connected(nodes, chain=made, agree=2) as connector,
        following(connector, made.watch(XEM)) as updates,
    ):
        nodes[1].behaviour.lag = 3  # the other one is asked for what waits
        for _ in range(5):
            made.ledger.mine([])
            update = await anext(updates)
        assert update.failure is None
        name = made.ledger.announce(made.transfer("cold", "customer", 9))
        told = await movements_until(updates, some)
        for _ in range(6):
            made.ledger.mine()
            before = nodes[0].calls["/account/unconfirmedTransactions"]
            while nodes[0].calls["/account/unconfirmedTransactions"] < before + 2 * len(NAMES):
                told += (await anext(updates)).movements
    assert stages(told) == [(name, Stage.PENDING), (name, Stage.MINED)]
