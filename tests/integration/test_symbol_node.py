"""One Symbol node as a witness: identity, blocks, and when its account states are taken for those of a block."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from connectors.errors import BadAnswer, Misconfigured, Reason, Unavailable
from connectors.follow import Keys, UnknownBlock
from connectors.symbol.networks import NETWORKS
from connectors.symbol.node import Block
from connectors.symbol.reader import read_balances
from daemon.replay.symbol_ledger import EPOCH, XYM, transfer
from daemon.replay.symbol_node import SymbolNode
from tests.integration.symbol_chain import ALICE, BOB, RICH, scripted, serving, watching, witness
from tests.unit.connectors.server import FakeTime

KEYS = Keys.all_of(watching())


# ── identity ────────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_a_node_of_another_network_is_misconfigured_and_both_are_named() -> None:
    async with SymbolNode(scripted(), network=NETWORKS["testnet"]) as server, witness(server) as node:
        with pytest.raises(Misconfigured) as caught:
            await node.head()
    seed = NETWORKS["testnet"].generation_hash
    assert str(caught.value) == f"node: is on network 0x98 begun with the seed {seed}, configured is mainnet"


async def test_a_network_that_was_begun_anew_is_another_one() -> None:
    async with serving(scripted()) as (server,), witness(server) as node:
        server.behaviour.twist = lambda route, answer: (
            {**answer, "networkGenerationHashSeed": "AB" * 32} if route == "/node/info" else answer  # type: ignore[dict-item]
        )
        with pytest.raises(Misconfigured, match="begun with the seed ABAB"):
            await node.head()


async def test_who_it_is_is_asked_once_while_connection_and_node_hold() -> None:
    async with serving(scripted()) as (server,), witness(server) as node:
        for _ in range(3):
            await node.head()
        assert (server.asked["/node/info"], server.asked["/network/properties"]) == (1, 1)
        node.transport.circuit.failed(Unavailable("down"))
        await node.head()
        assert server.asked["/node/info"] == 2


async def test_the_currency_is_the_one_that_the_network_names() -> None:
    async with serving(scripted()) as (server,), witness(server) as node:
        await node.identify()
        assert node.currency == XYM


# ── blocks ──────────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_the_head_is_the_newest_block_with_its_time() -> None:
    ledger = scripted()
    async with serving(ledger) as (server,), witness(server) as node:
        head = await node.head()
    tip = ledger.tip
    assert (head.height, head.hash, head.parent) == (tip.height, tip.hash, tip.parent)
    assert abs(head.time - tip.time) < timedelta(milliseconds=1)


async def test_block_times_count_in_milliseconds_from_the_beginning_of_the_network() -> None:
    ledger = scripted()
    ledger.mine(time=EPOCH + timedelta(milliseconds=173_156_113_808))
    async with serving(ledger) as (server,), witness(server) as node:
        found = await node.header_at(ledger.tip.height)
    assert found is not None
    assert found.time == datetime(2026, 9, 10, 3, 1, 38, 808000, tzinfo=UTC)  # mainnet's block 5763675


@pytest.mark.parametrize("height", [-1, 0, 6, 10**15])
async def test_a_height_that_the_chain_does_not_have_is_none(height: int) -> None:
    async with serving(scripted()) as (server,), witness(server) as node:
        assert await node.header_at(height) is None


async def test_the_blocks_between_two_heights_come_in_order_over_many_pages() -> None:
    ledger = scripted(blocks=250)
    async with serving(ledger) as (server,), witness(server) as node:
        found = await node.headers_between(3, 240)
        assert [one.hash for one in found] == [block.hash for block in ledger.blocks[3:239]]
        assert await node.headers_between(-1, 2) == [await node.header_at(1)]
        assert await node.headers_between(7, 8) == []


async def test_a_gap_between_two_heights_is_a_bad_answer() -> None:
    async with serving(scripted()) as (server,), witness(server) as node:
        with pytest.raises(BadAnswer, match="lacks a block between 5 and 9"):
            await node.headers_between(3, 9)


async def test_a_head_from_the_future_is_a_bad_answer() -> None:
    ledger = scripted()
    ledger.mine(time=datetime.now(UTC) + timedelta(minutes=2))
    async with serving(ledger) as (server,), witness(server) as node:
        with pytest.raises(BadAnswer, match="its newest block 6 is from the future"):
            await node.head()


async def test_a_route_that_the_node_does_not_have_is_not_taken_for_a_block_that_is_not_there() -> None:
    async with serving(scripted()) as (server,), witness(server) as node:
        await node.head()
        server.behaviour.missing.add("/blocks/{height}")
        with pytest.raises(BadAnswer, match="does not answer /blocks/3"):
            await node.header_at(3)


async def test_a_block_of_another_height_than_asked_for_is_a_bad_answer() -> None:
    async with serving(scripted()) as (server,), witness(server) as node:
        await node.identify()
        other = await node.rest.transport.get_json("blocks/2")
        server.behaviour.twist = lambda route, answer: other if route == "/blocks/{height}" else answer
        with pytest.raises(BadAnswer, match="gave block 2 for block 3"):
            await node.header_at(3)


# ── when account states belong to a block ───────────────────────────────────────────────────────────────────────────


async def test_a_block_is_read_only_after_it_has_stood_for_a_while() -> None:
    time = FakeTime()
    async with serving(scripted()) as (server,), witness(server, time=time, settle=2.0) as node:
        head = await node.head()
        began = time.now
        await read_balances(node, keys=KEYS, block=head.hash)
        assert time.now - began >= 2.0
        await read_balances(node, keys=KEYS, block=head.hash)  # it has opened a second connection by now
        began = time.now
        await read_balances(node, keys=KEYS, block=head.hash)
        assert time.now == began


async def test_after_a_new_connection_a_block_has_to_stand_anew() -> None:
    """It may end at another machine, which came to the block only just now."""
    time = FakeTime()
    async with serving(scripted()) as (server,), witness(server, time=time, settle=2.0) as node:
        head = await node.head()
        for _ in range(2):
            await read_balances(node, keys=KEYS, block=head.hash)
        await server.go_dark()
        await server.come_back()
        began = time.now
        await read_balances(node, keys=KEYS, block=head.hash)
        await read_balances(node, keys=KEYS, block=head.hash)
        assert time.now - began >= 2.0


async def test_what_is_final_is_known_by_the_block_that_was_newest_when_it_was_told() -> None:
    """A final height alone says nothing of another branch."""
    ledger = scripted()
    ledger.final = 3
    async with serving(ledger) as (server,), witness(server) as node:
        first = await node.head()
        assert node.final_at(first.hash) == 3
        ledger.reorganise(depth=1)
        ledger.final = 4
        second = await node.head()
        assert (node.final_at(second.hash), node.final_at(first.hash)) == (4, 3)
        assert node.final_at(second.parent) == 0


async def test_the_path_to_a_block_is_proven_by_each_child() -> None:
    ledger = scripted(blocks=130)
    async with serving(ledger) as (server,), witness(server) as node:
        tip = ledger.tip
        path = await node.path(tip.hash, low=7, high=tip.height)
        assert [block.hash for block in path] == [block.hash for block in ledger.blocks[7:]]
        with pytest.raises(UnknownBlock, match="does not have block"):
            await node.path(ledger.blocks[20].hash, low=7, high=22)

        def before(route: str) -> None:
            if route == "/blocks":
                ledger.reorganise(depth=5)

        server.behaviour.before = before
        with pytest.raises(UnknownBlock, match="left the branch"):
            await node.path(tip.hash, low=7, high=tip.height)


async def test_a_block_that_comes_while_accounts_are_read_makes_the_old_one_unknown() -> None:
    """Without the second look at the chain Alice's new balance would be told of the old block."""
    ledger = scripted()
    async with serving(ledger) as (server,), witness(server) as node:
        head = await node.head()

        def before(route: str) -> None:
            if route == "/accounts":
                server.behaviour.before = lambda _route: None
                ledger.mine(transfer(ALICE, BOB.address, units=7))

        server.behaviour.before = before
        with pytest.raises(UnknownBlock):
            await read_balances(node, keys=KEYS, block=head.hash)


async def test_account_states_that_run_ahead_of_the_blocks_are_not_told_of_the_older_block() -> None:
    """The broker writes blocks and account states from two queues: the score says when states were written."""
    ledger = scripted()
    async with serving(ledger) as (server,), witness(server) as node:
        head = await node.head()
        ledger.mine(transfer(ALICE, BOB.address, units=7))
        server.behaviour.lag = 1

        def before(route: str) -> None:
            if route == "/accounts":
                server.behaviour.states_behind = -1

        server.behaviour.before = before
        with pytest.raises(Unavailable) as caught:
            await read_balances(node, keys=KEYS, block=head.hash)
    assert caught.value.reason is Reason.STALLED


async def test_account_states_that_come_after_their_block_are_waited_for() -> None:
    ledger, time = scripted(), FakeTime()
    async with serving(ledger) as (server,), witness(server, time=time) as node:
        await read_balances(node, keys=KEYS, block=(await node.head()).hash)
        ledger.mine(transfer(ALICE, BOB.address, units=7))
        server.behaviour.states_behind = 1
        head = await node.head()
        began = time.now

        def before(_route: str) -> None:
            server.behaviour.states_behind = 1 if time.now < began + 4 else 0

        server.behaviour.before = before
        values = await read_balances(node, keys=KEYS, block=head.hash)
    assert values[1] == RICH + 7
    assert time.now >= began + 4 + 2


async def test_account_states_that_stay_those_of_the_block_before_are_never_told() -> None:
    ledger = scripted()
    async with serving(ledger) as (server,), witness(server) as node:
        await read_balances(node, keys=KEYS, block=(await node.head()).hash)
        ledger.mine(transfer(ALICE, BOB.address, units=7))
        server.behaviour.states_behind = 1
        with pytest.raises(Unavailable, match="its account states are not those of block") as caught:
            await read_balances(node, keys=KEYS, block=(await node.head()).hash)
    assert caught.value.reason is Reason.STALLED


async def test_when_other_states_come_to_a_block_that_was_read_nothing_is_told_until_the_next_block() -> None:
    """At the first block nothing shows that states are behind; which of the two were the block's is not known."""
    ledger = scripted()
    async with serving(ledger) as (server,), witness(server) as node:
        server.behaviour.states_behind = 1
        await read_balances(node, keys=KEYS, block=(await node.head()).hash)
        server.behaviour.states_behind = 0
        with pytest.raises(Unavailable, match="its account states are not those of block"):
            await node.head()
        with pytest.raises(Unavailable, match="its account states are not those of block"):
            await read_balances(node, keys=KEYS, block=(await node.head()).hash)
        ledger.mine(transfer(ALICE, BOB.address, units=7))
        values = await read_balances(node, keys=KEYS, block=(await node.head()).hash)
        assert values[1] == RICH + 7


async def test_after_blocks_and_states_were_out_of_step_they_are_told_again_when_they_are_in_step() -> None:
    """What was seen first was an older block's states; the next two blocks show that."""
    ledger = scripted()
    async with serving(ledger) as (server,), witness(server) as node:
        server.behaviour.states_behind = 1
        await read_balances(node, keys=KEYS, block=(await node.head()).hash)
        server.behaviour.states_behind = 0
        ledger.mine()
        with pytest.raises(Unavailable):
            await read_balances(node, keys=KEYS, block=(await node.head()).hash)
        ledger.mine(transfer(ALICE, BOB.address, units=7))
        values = await read_balances(node, keys=KEYS, block=(await node.head()).hash)
        assert values[1] == RICH + 7


@pytest.mark.parametrize("behind", [1, 2, -1])
async def test_states_out_of_step_are_not_told_over_many_blocks(behind: int) -> None:
    ledger = scripted()
    async with serving(ledger) as (server,), witness(server) as node:
        await read_balances(node, keys=KEYS, block=(await node.head()).hash)
        for _ in range(5):
            ledger.mine()
        server.behaviour.states_behind = behind
        server.behaviour.lag = max(0, -behind)
        for _ in range(4):
            ledger.mine(transfer(ALICE, BOB.address, units=7, nonce=ledger.tip.height))
            with pytest.raises(Unavailable):
                await read_balances(node, keys=KEYS, block=(await node.head()).hash)
        server.behaviour.states_behind = server.behaviour.lag = 0
        ledger.mine()
        assert (await read_balances(node, keys=KEYS, block=(await node.head()).hash))[1] == RICH + 28


async def test_many_blocks_at_once_are_reckoned_over() -> None:
    ledger = scripted()
    async with serving(ledger) as (server,), witness(server) as node:
        for blocks in (1, 30, 100):
            await read_balances(node, keys=KEYS, block=(await node.head()).hash)
            for _ in range(blocks):
                ledger.mine()
        assert await read_balances(node, keys=KEYS, block=(await node.head()).hash) == [RICH, RICH, 0]


async def test_another_branch_is_reckoned_from_where_it_parts() -> None:
    ledger = scripted()
    async with serving(ledger) as (server,), witness(server) as node:
        for _ in range(3):
            await read_balances(node, keys=KEYS, block=(await node.head()).hash)
            ledger.mine(transfer(ALICE, BOB.address, units=7, nonce=ledger.tip.height))
        ledger.reorganise(depth=2, length=3)
        server.behaviour.states_behind = 1
        with pytest.raises(Unavailable):
            await read_balances(node, keys=KEYS, block=(await node.head()).hash)
        server.behaviour.states_behind = 0
        assert (await read_balances(node, keys=KEYS, block=(await node.head()).hash))[1] == RICH + 7


async def test_states_that_run_ahead_for_a_moment_make_no_failure() -> None:
    ledger = scripted()
    async with serving(ledger) as (server,), witness(server) as node:
        await read_balances(node, keys=KEYS, block=(await node.head()).hash)
        ledger.mine()
        looks: list[str] = []

        def before(route: str) -> None:
            looks.append(route)
            server.behaviour.lag, server.behaviour.states_behind = (1, -1) if len(looks) < 6 else (0, 0)

        server.behaviour.before = before
        assert (await node.head()).hash == ledger.tip.hash


async def test_a_database_without_account_states_is_an_outage_and_not_zeros() -> None:
    async with serving(scripted()) as (server,), witness(server) as node:
        server.behaviour.lost_states = True
        with pytest.raises(Unavailable, match="its account states lack the beneficiary of block 5") as caught:
            await read_balances(node, keys=KEYS, block=(await node.head()).hash)
    assert caught.value.reason is Reason.STALLED


async def test_a_node_that_lacks_the_block_is_given_time_and_then_says_so() -> None:
    ledger = scripted()
    async with serving(ledger) as (server,), witness(server) as node:
        server.behaviour.lag = 1
        await node.head()
        with pytest.raises(UnknownBlock, match="yet"):
            await read_balances(node, keys=KEYS, block=ledger.tip.hash)

        def before(route: str) -> None:
            server.behaviour.lag = 0

        server.behaviour.before = before
        assert await read_balances(node, keys=KEYS, block=ledger.tip.hash) == [RICH, RICH, 0]


async def test_a_rollback_makes_the_undone_block_unknown() -> None:
    ledger = scripted()
    async with serving(ledger) as (server,), witness(server) as node:
        head = await node.head()
        await read_balances(node, keys=KEYS, block=head.hash)
        ledger.reorganise(depth=2, length=3)
        await node.head()
        with pytest.raises(UnknownBlock):
            await read_balances(node, keys=KEYS, block=head.hash)


async def test_a_chain_that_moves_with_every_look_ends_in_an_error() -> None:
    ledger = scripted()
    async with serving(ledger) as (server,), witness(server) as node:

        def before(route: str) -> None:
            if route == "/chain/info":
                ledger.mine()

        server.behaviour.before = before
        for _ in range(3):
            with pytest.raises(UnknownBlock):
                await read_balances(node, keys=KEYS, block=(await node.head()).hash)


async def test_what_is_read_steadily_is_given_the_block_and_its_beneficiary() -> None:
    ledger = scripted()
    async with serving(ledger) as (server,), witness(server) as node:

        async def read(block: Block) -> Block:
            return block

        block = await node.steadily((await node.head()).hash, read)
    assert (block.header.height, block.transactions, block.fee_multiplier) == (5, 0, 100)
