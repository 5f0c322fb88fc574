"""Several NIS1 nodes: laggards, liars, outages, rate limits, reorganisations, and nodes of another chain."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from connectors import CONNECTORS
from connectors.base import Address, Token, Update
from connectors.errors import Reason
from connectors.nem.config import NemConfig
from tests.integration.nem_chain import XEM, at_the_tip, chain, config_for, connected, following, held, nodes_on, until


async def test_a_node_that_lags_drags_nobody() -> None:
    made = chain()
    async with nodes_on(made, count=3) as nodes, connected(nodes, chain=made, agree=2) as connector:
        nodes[0].behaviour.lag = 2
        made.pay("hot", "cold", 5)
        update = await connector.read(made.watch())
    assert update.tip is not None
    assert update.tip.hash == made.ledger.tip.block.hash
    assert (held(update), update.disagreements) == (made.truth(), ())


async def test_two_of_three_settle_a_lie_and_it_is_told() -> None:
    made = chain()
    async with nodes_on(made, count=3) as nodes, connected(nodes, chain=made, agree=2) as connector:
        nodes[1].behaviour.lies = {(made.address("cold"), None): 1}
        update = await connector.read(made.watch())
        stats = {one.provider: one.disagreements for one in connector.stats()}
    assert held(update) == made.truth()
    (dispute,) = update.disagreements
    truth = str(made.ledger.units(made.address("cold")))
    assert (dispute.account, dispute.token) == (made.address("cold"), XEM)
    assert dict(dispute.answers) == {"a": truth, "b": "1", "c": truth}
    assert stats == {"a": 0, "b": 1, "c": 0}


async def test_two_nodes_that_contradict_each_other_leave_the_value_unread() -> None:
    made = chain()
    async with nodes_on(made, count=2) as nodes, connected(nodes, chain=made, agree=2) as connector:
        nodes[1].behaviour.lies = {(made.address("cold"), "exchange:coin"): 1}
        update = await connector.read(made.watch())
    assert [(one.account, one.reason) for one in update.unread] == [(made.address("cold"), Reason.DISAGREEMENT)]


async def test_a_node_that_is_a_block_ahead_still_tells_what_it_held_at_the_agreed_block() -> None:
    made = chain()
    async with (
        nodes_on(made, count=2) as nodes,
        connected(nodes, chain=made, agree=2) as connector,
        following(connector, made.watch()) as updates,
    ):
        first = await anext(updates)
        truth = made.truth()
        nodes[1].behaviour.lag = 1
        made.pay("hot", "cold", 5)
        for _ in range(3):
            update = await anext(updates)
            assert (update.failure, update.tip, update.held) == (None, first.tip, ())
        nodes[1].behaviour.lag = 0
        update = await until(updates, lambda update: update.tip != first.tip)
    assert held(first) == truth
    assert held(first) | held(update) == made.truth()


async def test_a_single_node_that_ends_is_followed_by_the_next() -> None:
    made = chain()
    async with (
        nodes_on(made, count=2) as nodes,
        connected(nodes, chain=made) as connector,
        following(connector, made.watch()) as updates,
    ):
        first = await anext(updates)
        await nodes[0].go_dark()
        made.pay("hot", "cold", 5)
        update = await until(updates, lambda update: update.tip != first.tip and update.failure is None)
    assert held(first) | held(update) == made.truth()


async def test_a_rate_limit_is_told_as_such_and_another_node_takes_over() -> None:
    made = chain()
    async with nodes_on(made, count=2) as nodes, connected(nodes, chain=made) as connector:
        nodes[0].behaviour.throttled = True
        assert held(await connector.read(made.watch())) == made.truth()
        nodes[1].behaviour.throttled = True
        update = await connector.read(made.watch())
    assert update.failure is not None
    assert update.failure.reason is Reason.RATE_LIMITED


async def test_a_rate_limit_in_the_middle_of_a_reading_costs_nothing_that_was_read() -> None:
    made = chain()
    async with nodes_on(made) as (node,), connected([node], chain=made, batch=1) as connector:

        def throttle(path: str) -> None:
            if path == "/account/mosaic/owned":
                node.behaviour.throttled = True
                node.behaviour.before = lambda _: None

        node.behaviour.before = throttle
        update = await connector.read(made.watch())
        assert update.failure is not None
        assert update.failure.reason is Reason.RATE_LIMITED
        node.behaviour.throttled = False
        async with following(connector, made.watch()) as updates:
            update = await until(updates, lambda update: update.failure is None)
    assert held(update) == made.truth()


@pytest.mark.parametrize("away", [0, 1, 2])
async def test_two_of_three_are_enough_and_the_third_may_come_back(away: int) -> None:
    made = chain()
    async with (
        nodes_on(made, count=3) as nodes,
        connected(nodes, chain=made, agree=2) as connector,
        following(connector, made.watch()) as updates,
    ):
        told: dict[tuple[Address, Token], int] = {}
        await nodes[away].go_dark()
        for back in (False, True):
            if back:
                await nodes[away].come_back()
            made.pay("hot", "cold", 5)
            async for update in updates:
                assert (update.failure, update.disagreements, update.unread) == (None, (), ())
                told |= held(update)
                if at_the_tip(made)(update):
                    break
            assert told == made.truth()


async def test_two_of_three_away_is_an_outage_and_no_single_node_is_believed() -> None:
    made = chain()
    async with nodes_on(made, count=3) as nodes, connected(nodes, chain=made, agree=2) as connector:
        for node in nodes[1:]:
            await node.go_dark()
        update = await connector.read(made.watch())
    assert update.failure is not None
    assert update.failure.reason is Reason.NO_QUORUM
    assert (update.held, update.unread, update.controls, update.movements) == ((), (), (), ())


async def test_a_node_that_forges_a_transaction_has_another_block_than_the_others() -> None:
    made = chain()
    made.pay("hot", "cold", 5)

    def forged(path: str, answer: object) -> object:
        if path in ("/chain/last-block", "/block/at/public") and isinstance(answer, dict):
            return {**answer, "transactions": [{**one, "amount": 6} for one in answer["transactions"]]}
        return answer

    async with nodes_on(made, count=3) as nodes, connected(nodes, chain=made, agree=2) as connector:
        nodes[0].behaviour.twist = forged
        update = await connector.read(made.watch())
    assert update.tip is not None
    assert update.tip.hash == made.ledger.tip.block.hash
    assert (held(update), update.disagreements) == (made.truth(), ())


async def test_deep_readings_come_however_often_the_nodes_are_asked_between_two_blocks() -> None:
    made = chain()
    truths: dict[str, dict[tuple[Address, Token], int]] = {}
    told: dict[tuple[Address, Token], int] = {}
    read: list[int] = []
    async with (
        nodes_on(made) as (node,),
        connected([node], chain=made, confirmations=4, poll="1ms") as connector,
        following(connector, made.watch()) as updates,
    ):
        for blocks in range(16):
            truths[made.ledger.tip.block.hash] = made.truth()
            for _ in range(10):
                update = await anext(updates)
                assert blocks < 3 or update.failure is None, update.failure
            if update.tip is not None:
                assert update.tip.height == made.ledger.tip.block.height - 3
                read.append(update.tip.height)
                update = await connector.read(made.watch())
                assert update.tip is not None
                told = held(update)
                assert told == truths[update.tip.hash]
            made.pay("hot", "cold", 5 + blocks)
    assert read == list(range(read[0], read[0] + 13))


async def test_a_node_that_is_always_a_block_behind_another_breaks_no_agreement() -> None:
    made = chain()
    async with (
        nodes_on(made, count=2) as nodes,
        connected(nodes, chain=made, agree=2) as connector,
        following(connector, made.watch()) as updates,
    ):
        nodes[1].behaviour.lag = 1
        truth, failures = made.truth(), 0
        update = await anext(updates)
        for number in range(8):
            made.pay("hot", "cold", 5 + number)
            agreed = made.ledger.blocks[-2].block.hash
            for _ in range(3):
                update = await anext(updates)
            failures += update.failure is not None
            if update.tip is not None:
                assert update.tip.hash == agreed
                assert held(await connector.read(made.watch())) == truth
            truth = made.truth()
    assert failures <= 1, "only in the beginning, before the block ahead was read"


@pytest.mark.parametrize("depth", [1, 3])
async def test_after_a_reorg_every_number_is_of_the_new_branch(depth: int) -> None:
    made = chain()
    made.ledger.mine([])
    async with (
        nodes_on(made) as (node,),
        connected([node], chain=made) as connector,
        following(connector, made.watch()) as updates,
    ):
        first = await anext(updates)
        told = held(first)
        for number in range(depth):
            made.pay("hot", "cold", 5 + number)
        update = await until(updates, lambda update: update.tip != first.tip)
        told |= held(update)
        made.ledger.reorganise(depth, keep=False)
        reorged = await until(updates, lambda update: update.reorg_depth > 0)
        told |= held(reorged)
    assert (reorged.reorg_depth, reorged.complete) == (depth, True)
    assert told == made.truth()


async def test_a_reorg_of_one_node_of_three_moves_nobody() -> None:
    made, other = chain(), chain()
    async with nodes_on(made, count=2) as honest, nodes_on(other) as (rogue,):
        other.ledger.mine([])
        nodes = [rogue, *honest]
        async with connected(nodes, chain=made, agree=2) as connector:
            update = await connector.read(made.watch())
    assert update.tip is not None
    assert update.tip.hash == made.ledger.tip.block.hash
    assert held(update) == made.truth()


async def failed(*, chain_of: str = "testnet", nemesis: str | None = None) -> Update:
    made = chain()
    async with nodes_on(made) as (node,):
        settings: dict[str, object] = {"network": chain_of}
        config = config_for([node], chain=made, **settings).model_dump(exclude={"nemesis", "endpoints"})
        whole = {**config, "nemesis": nemesis, "endpoints": [node.url]}
        opened = CONNECTORS["nem"].connect(NemConfig.model_validate(whole), chain="nem", now=lambda: datetime.now(UTC))
        async with opened as connector:
            return await connector.read(made.watch())


async def test_a_node_of_the_other_network_is_misconfigured() -> None:
    update = await failed(chain_of="mainnet")
    assert update.failure is not None
    assert update.failure.reason is Reason.MISCONFIGURED
    assert "its blocks have network byte 0x98" in update.failure.detail


async def test_a_node_with_another_first_block_is_misconfigured() -> None:
    update = await failed()
    assert update.failure is not None
    assert update.failure.reason is Reason.MISCONFIGURED
    assert "not 6e34a7895ce1653dde64a614f2ad4215f4217d9e0255b4c84a846e5f7677c6c5" in update.failure.detail


async def test_a_block_from_the_future_is_a_bad_answer() -> None:
    made = chain()
    made.ledger.mine([], after=timedelta(days=2))
    async with nodes_on(made) as (node,), connected([node], chain=made) as connector:
        update = await connector.read(made.watch())
    assert update.failure is not None
    assert update.failure.reason is Reason.BAD_ANSWER
    assert "from the future" in update.failure.detail


async def test_blocks_that_do_not_fit_together_are_a_bad_answer() -> None:
    made = chain()
    async with (
        nodes_on(made) as (node,),
        connected([node], chain=made) as connector,
        following(connector, made.watch()) as updates,
    ):
        await anext(updates)

        def torn(path: str, answer: object) -> object:
            fits = path != "/chain/last-block" or not isinstance(answer, dict)
            return answer if fits else {**answer, "prevBlockHash": {"data": "11" * 32}}  # type: ignore[dict-item]

        made.ledger.mine([])
        made.ledger.mine([])
        node.behaviour.twist = torn
        update = await until(updates, lambda update: update.failure is not None)
    assert update.failure is not None
    assert update.failure.reason is Reason.BAD_ANSWER
    assert "follows 1111" in update.failure.detail


async def test_an_outage_longer_than_what_is_followed_ends_with_everything_read_anew() -> None:
    made = chain()
    async with (
        nodes_on(made) as (node,),
        connected([node], chain=made) as connector,
        following(connector, made.watch()) as updates,
    ):
        first = await anext(updates)
        await node.go_dark()
        for _ in range(400):
            made.ledger.mine([])
        made.pay("hot", "cold", 5)
        await node.come_back()
        tip = made.ledger.tip.block.hash
        update = await until(updates, lambda update: update.tip is not None and update.tip.hash == tip)
    assert held(first) | held(update) == made.truth()
    assert node.calls["/block/at/public"] < 600  # each of the gap's blocks once, for what it moved
