"""A connector that goes on after blocks that were told before: what Symbol moved while nobody watched, told once."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from structlog.testing import capture_logs

from connectors.base import Movement, Stage, Tip, Update, Watch
from connectors.errors import BadAnswer
from connectors.symbol.companion import GIVE_UP, MOST_OWED, SymbolCompanion
from connectors.symbol.mined import OwedBlocks
from connectors.symbol.transfers import Teller
from daemon.replay.symbol.ledger import Ledger, Transaction, transfer
from daemon.replay.symbol.node import SymbolNode
from tests.integration.symbol_chain import (
    ALICE,
    DAVE,
    coins,
    connected,
    following,
    moving,
    scripted,
    serving,
    until,
    watching,
    witness,
)
from tests.unit.connectors.server import FakeTime

TRANSACTIONS = "/transactions/{group}"
Told = list[tuple[str, Stage, int | None]]


def told_so_far(ledger: Ledger, *, blocks: int = 1) -> Watch:
    """The watch of a connector that begins after the newest block, of which the `blocks` newest are known."""
    tips = tuple(Tip(one.height, one.hash, one.time) for one in ledger.blocks[-blocks:])
    return replace(watching(), since=tips)


def pay(ledger: Ledger, *, count: int, first: int = 0) -> list[Transaction]:
    """As many payments to a stranger, each in a block of its own."""
    sent = [transfer(ALICE, DAVE.address, units=1, nonce=first + number) for number in range(count)]
    for one in sent:
        ledger.mine(one)
    return sent


def told(*movements: Movement) -> Told:
    return [(one.transaction, one.stage, one.tip.height if one.tip else None) for one in movements]


def mined(ledger: Ledger, sent: list[Transaction]) -> Told:
    return [(one.hash, Stage.MINED, ledger.mined[one.hash]) for one in sent]


def refuses(node: SymbolNode, *, height: int) -> None:
    """The node tells no transactions of one block that has some."""

    def forget(route: str, answer: object) -> object:
        if route != TRANSACTIONS or not isinstance(answer, dict) or not answer["data"]:
            return answer
        return {**answer, "data": []} if answer["data"][0]["meta"].get("height") == str(height) else answer

    node.behaviour.twist = forget


async def test_payments_that_were_mined_meanwhile_are_told_at_once_each_in_its_block_and_once() -> None:
    ledger = scripted()
    pay(ledger, count=1, first=100)
    watch = told_so_far(ledger, blocks=3)
    sent = pay(ledger, count=5)
    ledger.mine()
    async with serving(ledger) as (node,), connected(node) as connector, following(connector, watch) as updates:
        first = await anext(updates)
        later = [await anext(updates) for _ in range(3)]
        (more,) = pay(ledger, count=1, first=50)
        update = await until(updates, moving)
    assert told(*first.movements) == mined(ledger, sent)
    assert [one.tip and one.tip.hash for one in first.movements] == [one.hash for one in ledger.blocks[6:11]]
    assert (first.complete, first.owed, [one.movements for one in later]) == (True, False, [()] * 3)
    assert told(*update.movements) == mined(ledger, [more])


async def test_where_no_block_came_meanwhile_nothing_is_told() -> None:
    ledger = scripted()
    pay(ledger, count=1)
    watch = told_so_far(ledger)
    async with serving(ledger) as (node,), connected(node) as connector, following(connector, watch) as updates:
        first = await anext(updates)
    assert (first.movements, first.owed) == ((), False)


async def test_a_node_that_is_behind_what_was_told_makes_nothing_up() -> None:
    ledger = scripted()
    pay(ledger, count=1)
    ahead = Tip(ledger.tip.height + 5, "F" * 64, ledger.tip.time)
    watch = replace(watching(), since=(*told_so_far(ledger).since, ahead))
    async with serving(ledger) as (node,), connected(node) as connector, following(connector, watch) as updates:
        first = await anext(updates)
        (sent,) = pay(ledger, count=1, first=9)
        update = await until(updates, moving)
    assert first.movements == ()
    assert told(*update.movements) == mined(ledger, [sent])


@pytest.mark.parametrize("depth", [1, 3])
async def test_after_a_reorganisation_meanwhile_only_the_new_branch_is_told(depth: int) -> None:
    ledger = scripted()
    stands = pay(ledger, count=1, first=100)
    sent = pay(ledger, count=depth)
    watch = told_so_far(ledger, blocks=depth + 2)
    ledger.reorganise(depth=depth, length=1)
    for one in sent:
        ledger.mine(one)
    later = pay(ledger, count=2, first=50)
    async with serving(ledger) as (node,), connected(node) as connector, following(connector, watch) as updates:
        first = await anext(updates)
        second = await anext(updates)
    assert told(*first.movements) == mined(ledger, [*sent, *later])
    assert stands[0].hash not in {one.transaction for one in first.movements}
    assert second.movements == ()


async def test_where_all_known_blocks_are_undone_those_above_the_lowest_are_told_and_the_log_says_so() -> None:
    ledger = scripted()
    sent = pay(ledger, count=4)
    watch = told_so_far(ledger, blocks=2)
    ledger.reorganise(depth=4)
    for one in sent:
        ledger.mine(one)
    with capture_logs() as log:
        async with serving(ledger) as (node,), connected(node) as connector, following(connector, watch) as updates:
            first = await anext(updates)
    assert told(*first.movements) == mined(ledger, sent)
    assert [one["undone_below"] for one in log if one["event"] == "movements skipped"] == [watch.since[0].height]


@pytest.mark.timeout(120)
async def test_of_a_gap_that_is_too_long_the_newest_blocks_are_told_and_the_log_says_how_many_are_not() -> None:
    ledger = scripted()
    watch = told_so_far(ledger)
    pay(ledger, count=1)
    for _ in range(MOST_OWED - 1):
        ledger.mine(time=ledger.tip.time)
    late = transfer(ALICE, DAVE.address, units=2)
    ledger.mine(late, time=ledger.tip.time)
    with capture_logs() as log:
        async with (
            serving(ledger) as (node,),
            connected(node, max_age="10m", max_tip_age="2d") as connector,
            following(connector, watch) as updates,
        ):
            first = await anext(updates)
            assert (await anext(updates)).movements == ()
    assert told(*first.movements) == mined(ledger, [late])
    assert [one["blocks"] for one in log if one["event"] == "movements skipped"] == [1]


async def test_when_a_block_of_the_gap_is_refused_those_before_it_are_told_and_the_others_are_owed() -> None:
    ledger = scripted()
    watch = told_so_far(ledger)
    sent = pay(ledger, count=6)
    async with serving(ledger) as (node,), connected(node) as connector, following(connector, watch) as updates:
        refuses(node, height=ledger.mined[sent[2].hash])
        first = await anext(updates)
        assert (first.failure, told(*first.movements), first.owed) == (None, mined(ledger, sent[:2]), True)
        assert coins(first)[ALICE.address] == ledger.held(ALICE.address)
        second = await anext(updates)
        assert (second.movements, second.owed) == ((), True)
        node.behaviour.twist = lambda _route, answer: answer
        update = await until(updates, moving)
        after = await anext(updates)
    assert told(*update.movements) == mined(ledger, sent[2:])
    assert (update.owed, after.movements) == (False, ())


async def test_a_gap_that_takes_longer_than_balances_may_wait_is_told_in_parts_in_order_and_once() -> None:
    ledger, time = scripted(), FakeTime()
    watch = told_so_far(ledger)
    sent = pay(ledger, count=20)
    tip = Tip(ledger.tip.height, ledger.tip.hash, ledger.tip.time)
    seen: list[Movement] = []
    async with serving(ledger) as (server,), witness(server, time=time) as node:

        def before(route: str) -> None:
            time.now += 3 if route == TRANSACTIONS else 0

        server.behaviour.before = before
        owed = OwedBlocks(watch, teller=lambda one: Teller(watch, one.currency, frozenset(watch.accounts)))
        looks = []
        while len(seen) < len(sent):
            await owed.read(node, tip=tip, low=watch.since[0].height + len(seen), seconds=10)
            looks.append(owed.take(tip))
            seen += [movement for block in looks[-1] for movement in block.movements]
    assert told(*seen) == mined(ledger, sent)
    assert [len(look) for look in looks] == [4, 4, 4, 4, 4]
    assert server.asked["/blocks"] == 1


async def test_however_little_time_there_is_each_look_reads_a_block() -> None:
    ledger, time = scripted(), FakeTime()
    watch = told_so_far(ledger)
    pay(ledger, count=3)
    tip = Tip(ledger.tip.height, ledger.tip.hash, ledger.tip.time)
    async with serving(ledger) as (server,), witness(server, time=time) as node:

        def before(_route: str) -> None:
            time.now += 3

        server.behaviour.before = before
        owed = OwedBlocks(watch, teller=lambda one: Teller(watch, one.currency, frozenset(watch.accounts)))
        for number in range(1, 4):
            await owed.read(node, tip=tip, low=watch.since[0].height + number - 1, seconds=0)
            assert [block.tip.height for block in owed.take(tip)] == [watch.since[0].height + number]


async def test_blocks_of_a_gap_that_were_told_before_a_failure_are_not_asked_again() -> None:
    """The path to the newest block told is pages long: each that was told counts."""
    ledger = scripted()
    watch = told_so_far(ledger)
    for _ in range(450):
        ledger.mine(time=ledger.tip.time)
    async with serving(ledger) as (server,), witness(server) as node:
        pages = [0]

        def twist(route: str, answer: object) -> object:
            pages[0] += route == "/blocks"
            return "no" if route == "/blocks" and pages[0] == 4 else answer

        server.behaviour.twist = twist
        with pytest.raises(BadAnswer):
            await node.path(ledger.tip.hash, low=watch.since[0].height, high=ledger.tip.height)
        assert server.asked["/blocks"] == 4
        path = await node.path(ledger.tip.hash, low=watch.since[0].height, high=ledger.tip.height)
    assert [block.hash for block in path] == [block.hash for block in ledger.blocks[watch.since[0].height :]]
    assert server.asked["/blocks"] == 6


async def test_what_nobody_can_connect_to_what_was_told_is_owed_until_somebody_can() -> None:
    ledger = scripted()
    watch = told_so_far(ledger)
    sent = pay(ledger, count=3)
    async with serving(ledger) as (node,), connected(node) as connector, following(connector, watch) as updates:
        node.behaviour.twist = lambda route, answer: "no" if route == "/blocks" else answer
        first = await anext(updates)
        assert (first.failure, first.movements, first.owed) == (None, (), True)
        node.behaviour.twist = lambda _route, answer: answer
        update = await until(updates, moving)
    assert told(*update.movements) == mined(ledger, sent)


async def test_where_nobody_can_connect_it_for_long_telling_begins_anew_and_the_log_says_so() -> None:
    ledger, time = scripted(), FakeTime()
    watch = told_so_far(ledger)
    pay(ledger, count=3)
    tip = Tip(ledger.tip.height, ledger.tip.hash, ledger.tip.time)
    update = Update("symbol", ledger.tip.time, tip=tip, complete=True)
    async with serving(ledger) as (server,), witness(server, time=time) as node:
        await node.head()
        server.behaviour.twist = lambda route, answer: "no" if route == "/blocks" else answer
        companion = SymbolCompanion(watch, nodes=[node], patience=timedelta(seconds=10))
        with capture_logs() as log:
            assert (await companion.tell(update)).owed
            time.now += GIVE_UP - 60
            assert (await companion.tell(update)).owed
            assert "movements passed over" not in {one["event"] for one in log}
            time.now += 61
            after = await companion.tell(update)
    assert (after.movements, after.owed) == ((), False)
    assert [(one["since"], one["tip"]) for one in log if one["event"] == "movements passed over"] == [(5, 8)]


async def test_where_blocks_must_be_deep_the_gap_is_told_with_the_first_deep_block_and_a_reorg_takes_none_of_it() -> (
    None
):
    """The block at which the gap was read is undone before it is deep enough; the blocks below it are not."""
    ledger = scripted()
    watch = told_so_far(ledger)
    sent = pay(ledger, count=4)
    async with (
        serving(ledger) as (node,),
        connected(node, confirmations=3) as connector,
        following(connector, watch) as updates,
    ):
        assert (await anext(updates)).failure  # read, and not deep enough
        ledger.reorganise(depth=1, length=2)
        seen: list[Update] = []
        for _ in range(6):
            ledger.mine()
            seen.append(await until(updates, lambda update: update.failure or moving(update) or update.tip))
            if seen[-1].movements:
                break
    movements = [one for update in seen for one in update.movements if one.stage is Stage.MINED]
    assert told(*movements) == mined(ledger, sent[:3])
