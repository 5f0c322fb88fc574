"""The real connector on a played NEM chain; what all chains share is in test_played_alike."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from connectors.base import Disagreement, Stage, Watch
from connectors.errors import Reason
from daemon.replay.faults import Faults
from tests.drilled import BLOCK, FAULTS, drill, take_on
from tests.played_nem import ACCOUNTS, GROUND, START, STRANGERS, XEM


async def test_every_payment_is_told_once_when_it_waits_and_once_when_it_is_mined() -> None:
    async with drill(GROUND) as running:
        name = running.played.pay(ACCOUNTS[0], STRANGERS[0], units=5, fee=7)
        await running.until(START + 2 * BLOCK)
        assert [(one.transaction, one.stage) for one in running.listener.movements] == [(name, Stage.PENDING)]
        assert running.listener.known == running.truth
        running.played.mine(time=START + 3 * BLOCK)
        await running.settle()
        assert [(one.transaction, one.stage) for one in running.listener.movements[1:]] == [(name, Stage.MINED)]
        assert [one.changes for one in running.listener.movements] == [((ACCOUNTS[0], -12),)] * 2
        running.assert_exact()


async def test_an_hour_costs_a_request_when_nothing_happened_and_three_when_an_account_moved() -> None:
    """Of a node: its newest block; the account; the newest block again, when what was read has settled."""
    ground = replace(GROUND, watch=Watch("nem", ACCOUNTS, (XEM,)))
    async with drill(ground, poll="1h", sweep="30d", pending_accounts=0) as running:
        for hour, payments, cost in [(1, 0, 1), (2, 1, 3), (3, 0, 1), (4, 1, 3)]:
            before = running.played.requests
            await running.until(START + timedelta(hours=hour, minutes=-30))
            if payments:
                running.played.pay(STRANGERS[0], ACCOUNTS[0], units=5)
                running.played.mine(time=running.simulation.now())
            await running.until(START + timedelta(hours=hour, minutes=5))
            assert running.played.requests - before == cost
            running.assert_exact()


@pytest.mark.parametrize("name", ["slow", "failing now and then", "throttled"])
async def test_a_single_bad_node_is_read_exactly_in_the_end(name: str) -> None:
    """What is late or was refused is asked again."""
    async with drill(GROUND, pending_accounts=2) as running:
        take_on(running.faults[0], FAULTS[name])
        await running.blocks(12)
        take_on(running.faults[0], Faults())
        await running.blocks(3)
        running.assert_exact()


async def test_every_node_may_be_slow_and_fail_while_one_lies_and_the_chain_reorganises() -> None:
    """The drill that every scenario is run with, too: never a wrong number, and the truth after one good minute."""
    async with drill(GROUND, nodes=3) as running:
        for faults in running.faults:
            faults.latency, faults.failing = timedelta(milliseconds=200), 0.05
        running.faults[2].lying = True
        seen = {running.played.tip: running.truth}
        for number in range(20):
            await (running.reorganise(3) if number == 10 else running.blocks(1))
            seen[running.played.tip] = running.truth
            told = running.listener.known
            assert {key: seen[str(running.listener.tip)][key] for key in told} == told
        for faults in running.faults:
            faults.failing = 0.0
        await running.blocks(2)
        running.assert_exact()


async def test_the_liar_is_named_with_what_it_said() -> None:
    """agree: 2 of 3. The truth is held, and each number that the liar forged is evidence against it."""
    async with drill(GROUND, nodes=3) as running:
        running.faults[2].lying = True
        disputes: tuple[Disagreement, ...] = ()
        while not disputes:  # it lies about what it is asked for, so only about accounts that a block touches
            await running.blocks(1)
            running.assert_exact()
            disputes = tuple(running.listener.disagreements)
        for dispute in disputes:
            units = running.played.units(dispute.account, dispute.token.contract)
            told = {"node-1": str(units), "node-2": str(units), "node-3": str(units + units // 100 + 1)}
            assert dict(dispute.answers) == told
        assert {one.provider for one in running.connector.stats() if one.disagreements} == {"node-3"}


async def test_nodes_that_are_all_behind_are_read_where_they_are() -> None:
    async with drill(GROUND, nodes=3) as running:
        for faults in running.faults:
            faults.behind = 4
        await running.blocks(10)
        block = running.played.ledger.blocks[-5].block
        assert running.listener.tip == block.hash
        units = running.played.ledger.world(block.height).units
        assert running.listener.known == {
            (account, token): units[account, token.contract] for account, token in running.truth
        }


async def test_a_throttled_node_is_seen_as_such() -> None:
    async with drill(GROUND) as running:
        running.faults[0].per_second = 1
        await running.blocks(5)
        (stats,) = running.connector.stats()
        assert set(stats.errors) == {Reason.RATE_LIMITED}
