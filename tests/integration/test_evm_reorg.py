"""A real chain that reorganises, and a real node that dies and comes back, with its chain and without."""

from pathlib import Path

import pytest

from connectors.errors import Reason
from tests.integration.evm_chain import (
    COIN,
    followed,
    furnished,
    held,
    holdings_at,
    next_failure,
    next_good,
    next_tip,
    watching,
)

pytestmark = [pytest.mark.real, pytest.mark.timeout(90)]

WATCH = watching(10)
FIRST, SECOND = WATCH.accounts[:2]


@pytest.mark.parametrize("depth", [1, 5])
async def test_a_transfer_that_a_reorg_undoes_is_undone_in_the_next_update(depth: int) -> None:
    async with furnished(WATCH) as node:
        await node.mine()
        async with followed([node.url], watch=WATCH) as updates:
            before = held(await anext(updates))
            await node.send(FIRST, to=SECOND, value=777)
            await node.mine(depth)
            moved = await next_tip(updates)
            while moved.tip is None or moved.tip.height != (await node.head())[0]:
                moved = await next_tip(updates)
            await node.rpc("anvil_reorg", depth, [])
            undone = await next_tip(updates)
            assert undone.tip is not None
            assert (undone.complete, undone.reorg_depth, undone.previous) == (True, depth, moved.tip)
            assert held(undone) == await holdings_at(node, watch=WATCH, block=undone.tip.hash)
            assert held(undone)[SECOND, COIN] == before[SECOND, COIN]


async def test_the_depth_is_exact_when_blocks_were_mined_faster_than_polled() -> None:
    async with furnished(WATCH) as node, followed([node.url], watch=WATCH) as updates:
        await anext(updates)
        await node.mine(20)
        while (await next_good(updates)).tip != (await anext(updates)).tip:
            pass
        await node.rpc("anvil_reorg", 7, [])
        assert (await next_tip(updates)).reorg_depth == 7


async def test_a_node_killed_is_a_failure_and_back_with_its_chain_it_is_read_whole(tmp_path: Path) -> None:
    async with (
        furnished(WATCH, state=tmp_path / "state.json") as node,
        followed([node.url], watch=WATCH) as updates,
    ):
        first = await anext(updates)
        await node.stop()
        failed = await next_failure(updates)
        assert failed.failure is not None
        assert (failed.failure.reason, failed.tip) == (Reason.UNAVAILABLE, None)
        await node.start()
        back = await next_good(updates)
        assert (back.complete, back.tip, back.reorg_depth) == (True, first.tip, 0)
        assert held(back) == held(first)
        await node.send(FIRST, to=SECOND, value=5)
        await node.mine()
        assert held(await next_tip(updates))[SECOND, COIN] == held(first)[SECOND, COIN] + 5


async def test_a_development_chain_restarted_from_another_genesis_is_read_anew() -> None:
    async with furnished(WATCH) as node:
        await node.mine(30)
        async with followed([node.url], watch=WATCH) as updates:
            first = await anext(updates)
            assert first.tip is not None
            await node.restart(genesis_time=node.genesis_time + 7)
            async for update in updates:
                if update.tip is not None and update.tip.height < first.tip.height:
                    break
            assert (update.complete, update.reorg_depth) == (True, first.tip.height + 1)
            assert set(held(update).values()) == {0}
            assert len(update.unread) == 20


async def test_a_node_that_comes_back_as_another_chain_is_misconfigured() -> None:
    async with furnished(WATCH) as node, followed([node.url], watch=WATCH) as updates:
        await anext(updates)
        await node.kill()
        node.chain_id = 5
        await node.start()
        async for update in updates:
            if update.failure is not None and update.failure.reason is Reason.MISCONFIGURED:
                break
    assert update.failure is not None
    assert update.failure.detail == "a: is on chain 5, configured is chain 1"


async def test_a_snapshot_taken_back_is_a_reorg_to_a_lower_height() -> None:
    """evm_revert removes blocks; once another takes the place of one that we know the branch is another one."""
    async with furnished(WATCH) as node:
        snapshot = await node.rpc("evm_snapshot")
        async with followed([node.url], watch=WATCH) as updates:
            await node.send(FIRST, to=SECOND, value=5)
            await node.mine(10)
            first = await anext(updates)
            await node.rpc("evm_revert", snapshot)
            await node.rpc("evm_increaseTime", 3)
            await node.rpc("evm_mine")
            async for update in updates:
                if update.tip is not None and update.tip != first.tip and update.complete:
                    break
            assert update.tip is not None
            assert first.tip is not None
            assert update.tip.height < first.tip.height
            assert update.reorg_depth >= first.tip.height - update.tip.height
            assert held(update) == await holdings_at(node, watch=WATCH, block=update.tip.hash)
