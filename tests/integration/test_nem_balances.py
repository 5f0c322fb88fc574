"""What accounts hold on NEM, read by the real connector from small NIS1 nodes of ours, each number at one block."""

from __future__ import annotations

import asyncio

from connectors.base import Address, Token, Update, Watch
from connectors.errors import Reason
from tests.integration.nem_chain import (
    COIN,
    NAMES,
    XEM,
    at_the_tip,
    chain,
    connected,
    following,
    held,
    nodes_on,
    of_accounts,
    until,
)


async def test_xem_and_mosaics_are_read_at_one_block() -> None:
    made = chain()
    async with nodes_on(made) as (node,), connected([node], chain=made) as connector:
        update = await connector.read(made.watch())
    assert update.tip is not None
    assert (update.tip.height, update.tip.hash) == (made.ledger.tip.block.height, made.ledger.tip.block.hash)
    assert held(update) == made.truth()
    assert update.unread == ()
    assert made.ledger.units(made.address("hot"), "exchange:coin") == 5000


async def test_a_block_reads_again_only_the_accounts_that_it_touches() -> None:
    made = chain()
    async with (
        nodes_on(made) as (node,),
        connected([node], chain=made) as connector,
        following(connector, made.watch(XEM)) as updates,
    ):
        await anext(updates)
        before = of_accounts(node)
        made.ledger.mine()
        await until(updates, at_the_tip(made))
        assert of_accounts(node) == before
        made.pay("cold", "other", 5)
        update = await until(updates, at_the_tip(made))
        assert of_accounts(node) == before + 1
    assert held(update) == {(made.address("cold"), XEM): made.ledger.units(made.address("cold"))}


async def test_a_block_that_arrives_in_the_middle_of_a_reading_mixes_no_two_blocks() -> None:
    made = chain()
    async with nodes_on(made) as (node,), connected([node], chain=made, batch=1) as connector:

        def pay_once(path: str) -> None:
            if path == "/account/get":
                node.behaviour.before = lambda _: None
                made.pay("deposits", "hot", 77)

        node.behaviour.before = pay_once
        update = await connector.read(made.watch())
    assert update.tip is not None
    assert update.tip.hash == made.ledger.tip.block.hash
    assert held(update) == made.truth()


async def test_blocks_that_come_all_the_time_do_not_keep_a_large_reading_from_its_end() -> None:
    made = chain()
    others = [made.notary.person(f"customer {number}") for number in range(60)]
    watch = Watch("nem", (*made.accounts, *(person.address for person in others)), (XEM,))
    async with nodes_on(made) as (node,), connected([node], chain=made, batch=1) as connector:
        left = 40

        def pay(path: str) -> None:
            nonlocal left
            if path == "/account/get" and left:
                left -= 1
                made.pay("maker", NAMES[left % 3], left)

        node.behaviour.before = pay
        update = await connector.read(watch)
    assert left == 0
    assert {key: units for key, units in held(update).items() if units} == made.truth(XEM)


async def test_what_moves_faster_than_it_can_be_read_is_an_outage_and_no_mixture() -> None:
    made = chain()
    async with nodes_on(made) as (node,), connected([node], chain=made) as connector:

        def pay(path: str) -> None:
            if "/account/get" in path:
                made.pay("hot", "cold", 1)

        node.behaviour.before = pay
        update = await connector.read(made.watch(XEM))
        assert update.failure is not None
        assert "faster than its accounts can be read" in update.failure.detail
        assert (update.held, update.unread) == ((), ())
        node.behaviour.before = lambda _: None
        assert held(await connector.read(made.watch(XEM))) == made.truth(XEM)


async def test_accounts_that_are_ahead_of_the_block_that_is_shown_are_never_told_at_that_block() -> None:
    """NIS takes a block into its accounts before it shows it (BlockChainUpdateContext.updateOurChain)."""
    made = chain()
    async with (
        nodes_on(made) as (node,),
        connected([node], chain=made, settle="60ms") as connector,
        following(connector, made.watch(XEM)) as updates,
    ):
        await anext(updates)
        node.behaviour.ahead = 1
        made.pay("hot", "cold", 5)
        made.pay("cold", "deposits", 3)  # in the accounts at once, while the block before it is what is shown

        def show_soon(path: str) -> None:
            if path.startswith("/account/get"):
                node.behaviour.before = lambda _: None
                asyncio.get_running_loop().call_later(0.03, setattr, node.behaviour, "ahead", 0)

        node.behaviour.before = show_soon
        seen: list[Update] = []
        while not seen or not at_the_tip(made)(seen[-1]):
            seen.append(await anext(updates))
    told: dict[tuple[Address, Token], int] = {}
    for update in seen:
        assert update.tip is not None
        told |= held(update)
        truth = made.truth(XEM, height=update.tip.height)
        assert {key: truth[key] for key in held(update)} == held(update)
    assert told == made.truth(XEM)


async def test_an_account_that_a_node_refuses_is_unread_and_spoils_no_other() -> None:
    made = chain()
    async with nodes_on(made) as (node,), connected([node], chain=made) as connector:
        node.behaviour.refused = {made.address("cold")}
        async with following(connector, made.watch()) as updates:
            update = await anext(updates)
            assert {(one.account, one.token, one.reason) for one in update.unread} == {
                (made.address("cold"), token, Reason.NODE_ERROR) for token in (XEM, COIN)
            }
            expected = {key: units for key, units in made.truth().items() if key[0] != made.address("cold")}
            assert held(update) == expected
            node.behaviour.refused = set()
            better = await until(updates, lambda update: bool(update.held))
    assert held(better) == {key: units for key, units in made.truth().items() if key[0] == made.address("cold")}
    assert (better.complete, better.previous) == (False, update.tip)


async def test_an_account_that_stays_unread_is_asked_for_again_with_the_next_block() -> None:
    made = chain()
    async with nodes_on(made) as (node,), connected([node], chain=made) as connector:
        node.behaviour.refused = {made.address("cold")}
        async with following(connector, made.watch(XEM)) as updates:
            await anext(updates)
            node.behaviour.refused = set()
            made.ledger.mine()
            update = await until(updates, lambda update: bool(update.held))
    assert held(update) == {(made.address("cold"), XEM): made.ledger.units(made.address("cold"))}


async def test_all_accounts_failing_is_an_outage_and_not_zeros() -> None:
    made = chain()
    async with nodes_on(made) as (node,), connected([node], chain=made) as connector:
        node.behaviour.failing = {"/account/get": 500, "/account/get/batch": 500}
        update = await connector.read(made.watch(XEM))
    assert update.failure is not None
    assert update.failure.reason is Reason.NODE_ERROR
    assert "every one of 3 balances failed" in update.failure.detail


async def test_a_node_that_knows_no_batches_is_asked_for_one_account_after_the_other() -> None:
    made = chain()
    async with nodes_on(made) as (node,), connected([node], chain=made) as connector:
        node.behaviour.batches = False
        async with following(connector, made.watch()) as updates:
            assert held(await anext(updates)) == made.truth()
            made.ledger.mine([made.transfer("hot", "cold", 1), made.transfer("deposits", "cold", 1)])
            await until(updates, at_the_tip(made))
    assert node.calls["/account/get/batch"] == 1
    assert node.calls["/account/get"] == 6


async def test_fees_go_to_an_account_for_which_somebody_else_harvests() -> None:
    made = chain()
    remote = made.person("remote harvester")
    made.ledger.mine([made.notary.importance_transfer(made.person("cold"), remote=remote, time=made.ledger.now)])
    async with (
        nodes_on(made) as (node,),
        connected([node], chain=made) as connector,
        following(connector, made.watch(XEM)) as updates,
    ):
        await anext(updates)
        made.ledger.mine([made.transfer("customer", "other", 1)], harvester=remote)
        update = await until(updates, at_the_tip(made))
    assert held(update) == {(made.address("cold"), XEM): made.ledger.units(made.address("cold"))}


async def test_a_sweep_finds_what_no_block_gave_a_reason_for_and_tells_it_as_drift() -> None:
    made = chain()
    async with (
        nodes_on(made) as (node,),
        connected([node], chain=made, sweep="30ms") as connector,
        following(connector, made.watch(XEM)) as updates,
    ):
        await anext(updates)
        node.behaviour.lies = {(made.address("cold"), None): 12}
        update = await until(updates, lambda update: bool(update.drift) or made.ledger.mine() is None)
    assert update.drift is not None
    assert [(one.account, one.token, one.followed, one.found) for one in update.drift] == [
        (made.address("cold"), XEM, 1_000_000_000_000, 12)
    ]
    assert held(update) == {(made.address("cold"), XEM): 12}


async def test_a_sweep_that_finds_what_was_followed_says_so() -> None:
    made = chain()
    async with (
        nodes_on(made) as (node,),
        connected([node], chain=made, sweep="30ms") as connector,
        following(connector, made.watch(XEM)) as updates,
    ):
        assert (await anext(updates)).drift is None
        made.pay("hot", "cold", 5)
        update = await until(updates, lambda update: update.drift is not None or made.ledger.mine() is None)
    assert update.drift == ()


async def test_deep_readings_come_from_what_was_read_when_the_block_was_new() -> None:
    made = chain()
    async with (
        nodes_on(made) as (node,),
        connected([node], chain=made, confirmations=2) as connector,
        following(connector, made.watch()) as updates,
    ):
        first = await anext(updates)
        assert first.failure is not None
        assert "it shows them as of block" in first.failure.detail
        truth, tip = made.truth(), made.ledger.tip.block.hash
        made.pay("hot", "cold", 5)
        update = await until(updates, lambda update: update.failure is None)
    assert update.tip is not None
    assert (update.tip.hash, held(update)) == (tip, truth)


async def test_a_node_that_keeps_history_tells_xem_at_exactly_the_agreed_block_at_once() -> None:
    made = chain()
    truth, tip = made.truth(XEM), made.ledger.tip.block.hash
    made.pay("hot", "cold", 5)
    async with nodes_on(made) as (node,), connected([node], chain=made, confirmations=2) as connector:
        node.behaviour.historical = True
        update = await connector.read(made.watch())
    assert update.tip is not None
    assert (update.tip.hash, held(update)) == (tip, truth)
    assert {(one.token, one.reason) for one in update.unread} == {(COIN, Reason.UNAVAILABLE)}


async def test_accounts_without_tokens_or_tokens_without_accounts_are_read_as_nothing() -> None:
    made = chain()
    async with nodes_on(made) as (node,), connected([node], chain=made) as connector:
        for watch in (Watch("nem", (), (XEM,)), Watch("nem", made.accounts, ())):
            update = await connector.read(watch)
            assert (update.failure, update.held, update.unread, update.complete) == (None, (), (), True)


async def test_the_truth_of_this_file_is_the_ledgers() -> None:
    made = chain()
    account: Address = made.address("hot")
    before = made.ledger.units(account)
    made.pay("hot", "cold", 5)
    assert made.ledger.units(account) == before - 5 - 50_000
