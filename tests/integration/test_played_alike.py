"""Real connectors on played chains that several nodes tell: exact after every block, whatever is wrong with a node."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import pytest

from connectors.base import Disagreement
from connectors.errors import Reason
from daemon.replay.faults import Faults
from tests import played_evm, played_nem, played_symbol
from tests.drilled import BLOCK, FAULTS, Ground, Traffic, drill, take_on

GROUNDS: Mapping[str, Ground[Any]] = {
    "evm": played_evm.GROUND,
    "nem": played_nem.GROUND,
    "symbol": played_symbol.GROUND,
}
everywhere = pytest.mark.parametrize("ground", GROUNDS.values(), ids=GROUNDS)


@everywhere
@pytest.mark.parametrize("nodes", [1, 3])
async def test_every_block_is_read_exactly(ground: Ground[Any], nodes: int) -> None:
    async with drill(ground, nodes=nodes) as running:
        running.assert_exact()
        for _ in range(30):
            await running.blocks(1)
            running.assert_exact()
        assert running.listener.troubles == []


@everywhere
@pytest.mark.parametrize("nodes", [1, 3])
async def test_a_reorganisation_of_depth_three_is_told_with_its_depth_and_read_exactly(
    ground: Ground[Any], nodes: int
) -> None:
    async with drill(ground, nodes=nodes) as running:
        await running.blocks(6)
        await running.reorganise(3)
        running.assert_exact()
        assert running.listener.reorgs == [3]
        await running.blocks(2)
        running.assert_exact()


@everywhere
@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
async def test_one_bad_node_of_three_changes_nothing_in_what_is_read(ground: Ground[Any], fault: Faults) -> None:
    """Whatever is wrong with it, and through a reorganisation: the other two agree."""
    async with drill(ground, nodes=3) as running:
        take_on(running.faults[1], fault)
        for _ in range(8):
            await running.blocks(1)
            running.assert_exact()
        await running.reorganise(3)
        running.assert_exact()


@pytest.mark.parametrize("ground", [GROUNDS["evm"], GROUNDS["symbol"]], ids=["evm", "symbol"])
async def test_every_node_may_be_slow_and_fail_while_one_lies_and_the_chain_reorganises(ground: Ground[Any]) -> None:
    """The drill that every scenario is run with, too: never a wrong number, and the truth after two good minutes."""
    async with drill(ground, nodes=3) as running:
        for faults in running.faults:
            faults.latency, faults.failing = timedelta(milliseconds=200), 0.05
        running.faults[2].lying = True
        seen = {running.played.tip: running.truth}
        for number in range(20):
            await (running.reorganise(3) if number == 10 else running.blocks(1))
            seen[running.played.tip] = running.truth
            assert running.listener.tip in seen
            assert running.listener.known == seen[str(running.listener.tip)]
        for faults in running.faults:
            faults.failing = 0.0
        await running.blocks(2)
        running.assert_exact()


@pytest.mark.parametrize("ground", [GROUNDS["evm"], GROUNDS["symbol"]], ids=["evm", "symbol"])
async def test_the_liar_is_named_with_what_it_said(ground: Ground[Any]) -> None:
    """agree: 2 of 3. The truth is held, and each number that the liar forged is evidence against it."""
    async with drill(ground, nodes=3) as running:
        running.faults[2].lying = True
        disputes: tuple[Disagreement, ...] = ()
        while not disputes:  # a machine that stood still for a moment may have taken the liar for too slow to be heard
            await running.blocks(1)
            running.assert_exact()
            disputes = running.listener.updates[-1].disagreements
        assert {dispute.tip.hash for dispute in disputes} == {running.played.tip}
        assert len(disputes) == len(running.truth)
        for dispute in disputes:
            told, units = dict(dispute.answers), running.truth[dispute.account, dispute.token]
            assert told == {"node-1": str(units), "node-2": str(units), "node-3": str(units + units // 100 + 1)}
        assert {one.provider for one in running.connector.stats() if one.disagreements} == {"node-3"}


@everywhere
async def test_a_chain_whose_nodes_all_fail_is_a_failure_and_never_a_zero(ground: Ground[Any]) -> None:
    async with drill(ground, nodes=3) as running:
        await running.blocks(1)
        known, heard = dict(running.listener.known), len(running.listener.updates)
        for faults in running.faults:
            faults.failing = 1.0
        await running.blocks(2)
        news = running.listener.updates[heard:]
        assert news
        assert {update.failure is not None for update in news} == {True}
        assert running.listener.known == known
        for faults in running.faults:
            faults.failing = 0.0
        await running.blocks(3)
        running.assert_exact()


@everywhere
async def test_a_failing_node_is_seen_as_such(ground: Ground[Any]) -> None:
    async with drill(ground, nodes=3) as running:
        running.faults[1].failing = 1.0
        await running.blocks(5)
        failed = [stats.provider for stats in running.connector.stats() if stats.errors.get(Reason.UNAVAILABLE)]
        assert failed == ["node-2"]


@everywhere
def test_the_same_opening_and_calls_give_the_same_hashes(ground: Ground[Any]) -> None:
    tips = []
    for _ in range(2):
        played = ground.opened()
        traffic = Traffic(played, ground=ground)
        for number in range(1, 6):
            traffic.pay()
            played.mine(time=ground.start + number * BLOCK)
        played.reorganise(2, time=ground.start + 6 * BLOCK)
        tips.append(played.tip)
    assert tips[0] == tips[1]
