"""What a Symbol node has told before: not asked for or understood again, and never taken for what came after it."""

from __future__ import annotations

import pytest

from connectors.follow import Keys, UnknownBlock
from connectors.symbol.reader import read_balances
from daemon.replay.symbol.ledger import transfer
from tests.integration.symbol_chain import ALICE, BOB, FEE, RICH, scripted, serving, watching, witness

KEYS = Keys.all_of(watching())


async def test_a_path_that_was_told_lately_is_not_asked_for_again() -> None:
    ledger = scripted(blocks=130)
    async with serving(ledger) as (server,), witness(server) as node:
        path = await node.path(ledger.tip.hash, low=7, high=130)
        asked = dict(server.asked)
        assert await node.path(ledger.tip.hash, low=7, high=130) == path
        assert await node.path(ledger.tip.hash, low=129, high=130) == path[-1:]
        assert server.asked == asked
        assert len(await node.path(ledger.tip.hash, low=6, high=130)) == 124
        assert server.asked != asked


async def test_a_chain_that_stands_still_is_asked_for_its_height_and_score_alone() -> None:
    ledger = scripted()
    async with serving(ledger) as (server,), witness(server) as node:
        first = await node.head()
        asked = dict(server.asked)
        assert await node.head() == first
        assert {
            route: count - asked.get(route, 0) for route, count in server.asked.items() if count != asked[route]
        } == {"/chain/info": 1}


async def test_another_block_of_the_same_height_is_seen_by_its_score() -> None:
    ledger = scripted()
    async with serving(ledger) as (server,), witness(server) as node:
        first = await node.head()
        ledger.reorganise(depth=1)
        other = await node.head()
        assert (other.height, other.hash) == (first.height, ledger.tip.hash)
        assert other.hash != first.hash


async def test_an_account_whose_entry_changes_is_understood_anew() -> None:
    ledger = scripted()
    async with serving(ledger) as (server,), witness(server, settle=0.0) as node:
        assert await read_balances(node, keys=KEYS, block=(await node.head()).hash) == [RICH, RICH, 0]
        ledger.mine(transfer(ALICE, BOB.address, units=7))
        told = await read_balances(node, keys=KEYS, block=(await node.head()).hash)
        assert told == [RICH - 7 - FEE, RICH + 7, 0]
        ledger.mine()
        assert await read_balances(node, keys=KEYS, block=(await node.head()).hash) == told


async def test_a_branch_that_is_left_while_its_path_is_asked_for_is_unknown() -> None:
    ledger = scripted(blocks=130)
    async with serving(ledger) as (server,), witness(server) as node:
        tip = ledger.tip

        def before(route: str) -> None:
            if route == "/blocks":
                ledger.reorganise(depth=5)

        server.behaviour.before = before
        with pytest.raises(UnknownBlock, match="left the branch"):
            await node.path(tip.hash, low=7, high=tip.height)
