"""A connector that goes on after blocks that were told before: what NEM moved while nobody watched, told once."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from structlog.testing import capture_logs

from connectors.base import Stage, Tip, Update, Watch
from connectors.nem.block import Blocks
from connectors.nem.mined import CHUNK, GIVE_UP, MOST_BLOCKS, MinedBlocks
from connectors.nem.movements import Teller
from connectors.nem.networks import NETWORKS
from connectors.nem.node import Asked, NisNode
from daemon.replay.nem.node import NemNode, NisError
from tests.integration.nem_chain import (
    NAMES,
    XEM,
    Chain,
    at_the_tip,
    chain,
    connected,
    following,
    held,
    movements_until,
    nodes_on,
    now,
    some,
    until,
)
from tests.unit.connectors.server import FakeTime, transport_to

BLOCK = "/block/at/public"
Told = list[tuple[str, Stage, int | None]]


def told_so_far(made: Chain, *, blocks: int = 1) -> Watch:
    """The watch of a connector that begins after the newest block, of which the `blocks` newest are known."""
    tips = tuple(one.block.header.tip for one in made.ledger.blocks[-blocks:])
    return replace(made.watch(XEM), since=tips)


def told(update: Update) -> Told:
    return [(one.transaction, one.stage, one.tip.height if one.tip else None) for one in update.movements]


def mined_in(made: Chain, name: str) -> tuple[str, Stage, int | None]:
    height = next(one.block.height for one in made.ledger.blocks for tx in one.block.transactions if tx.hash() == name)
    return name, Stage.MINED, height


def refuses(node: NemNode, *, height: int) -> None:
    """The node has one block that it does not tell."""

    def twist(path: str, answer: object) -> object:
        if path == BLOCK and isinstance(answer, dict) and answer["height"] == height:
            raise NisError(500, "told to refuse this block")
        return answer

    node.behaviour.twist = twist


async def test_payments_that_were_mined_meanwhile_are_told_at_once_each_in_its_block_and_once() -> None:
    made = chain()
    made.pay("hot", "customer", 1)
    watch = told_so_far(made, blocks=3)
    names = []
    for number in range(2, 7):
        names.append(made.pay("hot", "customer", number))
        made.ledger.mine([])
    async with (
        nodes_on(made) as (node,),
        connected([node], chain=made) as connector,
        following(connector, watch) as updates,
    ):
        first = await anext(updates)
        later = [await anext(updates) for _ in range(3)]
        name = made.pay("hot", "customer", 9)
        (movement,) = await movements_until(updates, some)
    assert told(first) == [mined_in(made, one) for one in names]
    assert (first.complete, first.owed, [told(one) for one in later]) == (True, False, [[], [], []])
    assert [one.tip and one.tip.hash for one in first.movements] == [
        made.ledger.blocks[one.tip.height - 1].block.hash for one in first.movements if one.tip
    ]
    assert movement.transaction == name


async def test_where_no_block_came_meanwhile_nothing_is_told() -> None:
    made = chain()
    made.pay("hot", "customer", 1)
    async with (
        nodes_on(made) as (node,),
        connected([node], chain=made) as connector,
        following(connector, told_so_far(made)) as updates,
    ):
        first = await anext(updates)
    assert (told(first), first.owed) == ([], False)


@pytest.mark.parametrize("depth", [1, 3])
async def test_after_a_reorganisation_meanwhile_only_the_new_branch_is_told(depth: int) -> None:
    """What the old one held as well is told with its new block; what it held alone the daemon takes back by itself."""
    made = chain()
    stands = made.pay("hot", "customer", 1)
    names = [made.pay("hot", "customer", number) for number in range(2, 2 + depth)]
    watch = told_so_far(made, blocks=depth + 2)
    made.ledger.reorganise(depth)
    later = made.pay("cold", "customer", 50)
    async with (
        nodes_on(made) as (node,),
        connected([node], chain=made) as connector,
        following(connector, watch) as updates,
    ):
        first = await anext(updates)
        assert (await anext(updates)).movements == ()
    assert told(first) == [mined_in(made, one) for one in (*names, later)]
    assert stands not in {one.transaction for one in first.movements}


async def test_where_all_known_blocks_are_undone_those_above_the_lowest_are_told_and_the_log_says_what_is_not() -> None:
    made = chain()
    names = [made.pay("hot", "customer", number) for number in range(1, 5)]
    watch = told_so_far(made, blocks=2)
    made.ledger.reorganise(4)
    later = made.pay("cold", "customer", 50)
    with capture_logs() as log:
        async with (
            nodes_on(made) as (node,),
            connected([node], chain=made) as connector,
            following(connector, watch) as updates,
        ):
            first = await anext(updates)
    assert told(first) == [mined_in(made, later)]  # the others stand in the lowest block of the new branch
    assert mined_in(made, names[0])[2] == watch.since[0].height - 2
    assert [one["told_from"] for one in log if one["event"] == "movements passed over"] == [watch.since[0].height + 1]


@pytest.mark.timeout(120)
async def test_of_a_gap_that_is_too_long_the_newest_blocks_are_told_and_the_log_says_from_where() -> None:
    made = chain()
    made.ledger.mine([])
    watch = told_so_far(made)
    early = made.pay("hot", "customer", 1)
    for _ in range(MOST_BLOCKS - 1):
        made.ledger.mine([], after=timedelta(seconds=30))
    late = made.pay("hot", "customer", 2)
    with capture_logs() as log:
        async with (
            nodes_on(made) as (node,),
            connected([node], chain=made, max_age="10m", max_tip_age="2d") as connector,
            following(connector, watch) as updates,
        ):
            seen = await anext(updates)
            assert (await anext(updates)).movements == ()
    assert told(seen) == [mined_in(made, late)]
    assert early not in {one.transaction for one in seen.movements}
    (line,) = [one for one in log if one["event"] == "movements passed over"]
    assert line["told_from"] == made.ledger.tip.block.height - MOST_BLOCKS + 1
    assert node.calls[BLOCK] < MOST_BLOCKS + 200


async def test_while_a_block_of_the_gap_is_refused_nothing_of_it_is_told_and_balances_are() -> None:
    """Half of a list would look whole. What was read stays read."""
    made = chain()
    watch = told_so_far(made)
    names = [made.pay("hot", "customer", number) for number in range(1, 100)]
    async with nodes_on(made) as (node,):
        missing = watch.since[0].height + 2
        refuses(node, height=missing)
        async with connected([node], chain=made) as connector, following(connector, watch) as updates:
            first = await anext(updates)
            assert (first.failure, told(first), first.owed) == (None, [], True)
            assert held(first)[made.address("hot"), XEM] == made.ledger.units(made.address("hot"))
            for _ in range(3):
                update = await anext(updates)
                assert (told(update), update.owed) == ([], True)
            names.append(made.pay("hot", "customer", 777))
            update = await until(updates, at_the_tip(made))
            assert (told(update), update.owed) == ([], True)
            node.behaviour.twist, before = None, node.calls[BLOCK]
            update = await until(updates, lambda update: bool(update.movements))
            after = [await anext(updates) for _ in range(3)]
    assert told(update) == [mined_in(made, one) for one in names]
    assert (update.owed, [told(one) for one in after]) == (False, [[], [], []])
    assert node.calls[BLOCK] - before < CHUNK + 4


@pytest.mark.parametrize("agree", [1, 2])
async def test_blocks_that_one_node_refuses_another_tells(agree: int) -> None:
    """Also where two must agree: on the tip, whose hash proves all blocks below it."""
    made = chain()
    watch = told_so_far(made)
    names = [made.pay("hot", "customer", number) for number in range(1, 100)]
    async with nodes_on(made, count=2) as nodes:
        refuses(nodes[0], height=watch.since[0].height + 2)
        async with connected(nodes, chain=made, agree=agree) as connector, following(connector, watch) as updates:
            first = await anext(updates)
    assert told(first) == [mined_in(made, one) for one in names]


@pytest.mark.parametrize("others", [0, 1])
async def test_a_block_that_a_node_forges_is_never_told(others: int) -> None:
    """Its hash is not the one that the block above it names, so with one node of two honest the truth is told."""
    made = chain()
    watch = told_so_far(made)
    names = [made.pay("hot", "customer", number) for number in range(1, 100)]
    height = watch.since[0].height + 2

    def twist(path: str, answer: object) -> object:
        forged = path == BLOCK and isinstance(answer, dict) and answer["height"] == height
        return {**answer, "transactions": []} if forged and isinstance(answer, dict) else answer

    async with nodes_on(made, count=1 + others) as nodes:
        nodes[0].behaviour.twist = twist
        async with connected(nodes, chain=made) as connector, following(connector, watch) as updates:
            first = await anext(updates)
            errors = sum(connector.stats()[0].errors.values())
    assert told(first) == ([mined_in(made, one) for one in names] if others else [])
    assert first.owed is (others == 0)
    assert errors


async def test_a_reorganisation_in_the_middle_of_the_gap_s_reading_mixes_no_two_branches() -> None:
    made = chain()
    watch = told_so_far(made)
    names = [made.pay("hot", "customer", number) for number in range(1, 100)]
    low = watch.since[0].height + 20
    async with nodes_on(made) as (node,):

        def twist(path: str, answer: object) -> object:
            if path == BLOCK and isinstance(answer, dict) and answer["height"] == low:
                node.behaviour.twist = None
                made.ledger.reorganise(90, length=91)
            return answer

        node.behaviour.twist = twist
        async with connected([node], chain=made) as connector, following(connector, watch) as updates:
            seen = await movements_until(updates, lambda seen: len(seen) >= len(names))
            assert (await anext(updates)).movements == ()
    assert [(one.transaction, one.stage, one.tip and one.tip.height) for one in seen] == [
        mined_in(made, one) for one in names
    ]
    hashes = {one.block.hash for one in made.ledger.blocks}
    assert all(one.tip and one.tip.hash in hashes for one in seen)


async def test_a_node_that_is_behind_what_was_told_makes_nothing_up() -> None:
    made = chain()
    names = [made.pay("hot", "customer", number) for number in range(1, 4)]
    watch = told_so_far(made, blocks=4)
    async with nodes_on(made) as (node,):
        node.behaviour.lag = 2
        async with connected([node], chain=made) as connector, following(connector, watch) as updates:
            first = await anext(updates)
            node.behaviour.lag = 0
            rest = await until(updates, at_the_tip(made))
    assert told(first) == []
    assert told(rest) == [mined_in(made, one) for one in names[1:]]  # told again as it is known


async def test_what_waits_is_not_called_gone_before_the_gap_is_told() -> None:
    made = chain()
    watch = told_so_far(made)
    for number in range(1, 100):
        made.pay("hot", "customer", number)
    async with nodes_on(made) as (node,):
        refuses(node, height=watch.since[0].height + 2)
        name = made.ledger.announce(made.transfer("cold", "customer", 9))
        async with connected([node], chain=made) as connector, following(connector, watch) as updates:
            (waiting,) = await movements_until(updates, some)
            assert (waiting.transaction, waiting.stage) == (name, Stage.PENDING)
            made.ledger.pool.clear()
            for _ in range(5):
                made.ledger.mine([])
                update = await until(updates, at_the_tip(made))
                assert told(update) == []
                before = node.calls["/account/unconfirmedTransactions"]
                while node.calls["/account/unconfirmedTransactions"] < before + 2 * len(NAMES):
                    assert told(await anext(updates)) == []
            node.behaviour.twist = None
            seen = await movements_until(updates, lambda seen: len(seen) >= 100)
    assert [one.stage for one in seen] == [Stage.MINED] * 99 + [Stage.EVICTED]
    assert seen[-1].transaction == name


async def test_a_reorganisation_after_the_restart_undoes_what_the_gap_told() -> None:
    made = chain()
    watch = told_so_far(made)
    names = [made.pay("hot", "customer", number) for number in range(1, 4)]
    async with (
        nodes_on(made) as (node,),
        connected([node], chain=made) as connector,
        following(connector, watch) as updates,
    ):
        assert len((await anext(updates)).movements) == 3
        made.ledger.reorganise(2, keep=False)
        seen = await movements_until(updates, some)
    assert {(one.transaction, one.stage) for one in seen} == {(one, Stage.PENDING) for one in names[1:]}


# ── one look after the other, in time that passes at will ───────────────────────────────────────────────────────────


async def test_blocks_that_nobody_tells_are_passed_over_after_a_while_and_those_above_are_told() -> None:
    made, time = chain(), FakeTime()
    watch = told_so_far(made)
    names = [made.pay("hot", "customer", number) for number in range(1, 30)]
    known = {one.hash: one.height for one in watch.since}
    tip: Tip = made.ledger.tip.block.header.tip
    missing = watch.since[0].height + 5
    async with nodes_on(made) as (node,), transport_to(node.url, time=time) as transport:
        refuses(node, height=missing)
        blocks = Blocks()
        asked = Asked(NETWORKS["testnet"], made.ledger.nemesis)
        nodes = [NisNode(transport, asked=asked, blocks=blocks, now=now)]
        mined = MinedBlocks(nodes, blocks=blocks, teller=Teller(watch), patience=timedelta(seconds=10))
        with capture_logs() as log:
            assert await mined.up_to(tip, known=known) is None
            assert await mined.up_to(tip, known=known) is None
            time.now += GIVE_UP - 1
            assert await mined.up_to(tip, known=known) is None
            time.now += 2
            way = await mined.up_to(tip, known=known)
    assert way is not None
    assert way.begins is None
    assert [one.tip.height for one in way.blocks][-1] == tip.height
    heights = [one.tip.height for one in way.blocks]
    assert heights == list(range(heights[0], tip.height + 1))
    assert missing < heights[0] <= missing + CHUNK
    assert [name for one in way.blocks for name in one.names] == names[-len(heights) :]
    assert [one["event"] for one in log].count("movements can't be told yet") == 1
