"""Readings of a Symbol chain that are told when their block is deep enough, or final."""

from __future__ import annotations

from connectors.base import Stage
from daemon.replay.symbol_ledger import transfer
from tests.integration.symbol_chain import ALICE, CAROL, coins, connected, following, scripted, serving, until, watching


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
