"""The real connector on a played EVM chain, and the chain itself; what all chains share is in test_played_alike."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta

import aiohttp
import pytest

from connectors.base import Connector, Party, Stage
from connectors.errors import Reason
from connectors.evm.address import canonical
from connectors.evm.config import EvmConfig
from daemon.replay.evm.played import PlayedEvm
from daemon.replay.faults import Faults
from daemon.replay.played import PlayedChain
from tests.drilled import (
    BLOCK,
    FAULTS,
    Drill,
    Known,
    Traffic,
    connected,
    drill,
    listening,
    take_on,
)
from tests.played_evm import ACCOUNTS, COIN, GROUND, START, STRANGERS, TETHER, USDT, WATCH

# ── in simulated time ───────────────────────────────────────────────────────────────────────────────────────────────


async def test_what_waits_is_not_counted_before_it_is_mined() -> None:
    async with drill(GROUND) as running:
        before = running.truth
        running.played.pay(STRANGERS[0], ACCOUNTS[0], units=5)
        await running.until(START + 3 * BLOCK)
        assert running.listener.known == before
        running.played.mine(time=START + 3 * BLOCK)
        await running.settle()
        assert running.listener.known[ACCOUNTS[0], COIN] == before[ACCOUNTS[0], COIN] + 5


@pytest.mark.parametrize("name", ["slow", "failing now and then", "throttled"])
async def test_a_single_bad_node_is_read_exactly_in_the_end(name: str) -> None:
    """What is late or was refused is asked again."""
    async with drill(GROUND) as running:
        take_on(running.faults[0], FAULTS[name])
        await running.blocks(12)
        running.faults[0].failing = 0.0
        await running.blocks(2)
        running.assert_exact()


async def test_two_liars_of_three_are_not_refuted_and_not_hidden() -> None:
    """A majority that lies alike is believed, as anywhere; the honest node's word stands beside it."""
    async with drill(GROUND, nodes=3) as running:
        running.faults[0].lying = running.faults[1].lying = True
        await running.blocks(1)
        assert running.listener.known != running.truth
        assert running.listener.updates[-1].disagreements


async def test_nodes_that_are_all_behind_are_read_where_they_are() -> None:
    async with drill(GROUND, nodes=3) as running:
        for faults in running.faults:
            faults.behind = 4
        await running.blocks(10)
        block = running.played.ledger.block(6)
        assert block is not None
        assert running.listener.tip == block.hash
        units = {
            (account, token): running.played.ledger.balance((account, token.contract), height=6)
            for account, token in running.truth
        }
        assert running.listener.known == units


async def test_a_throttled_node_is_seen_as_such() -> None:
    async with drill(GROUND) as running:
        running.faults[0].per_second = 1
        await running.blocks(5)
        (stats,) = running.connector.stats()
        assert stats.errors[Reason.RATE_LIMITED] > 0
        assert set(stats.errors) == {Reason.RATE_LIMITED}


async def test_a_year_of_blocks_leaves_no_more_than_what_changed() -> None:
    """Hours without a payment cost a block each and nothing in the balances' history."""
    played = GROUND.opened()
    played.pay(STRANGERS[0], ACCOUNTS[0], units=1)
    for hour in range(1, 365 * 24 + 1):
        played.mine(time=START + timedelta(hours=hour))
    ledger = played.ledger
    assert ledger.tip.height == 365 * 24
    assert ledger.balance((ACCOUNTS[0], None), height=0) + 1 == ledger.balance((ACCOUNTS[0], None), height=1)
    ledger.reorganise(8000, time=START + timedelta(days=366))
    assert ledger.tip.height == 365 * 24 + 1
    assert ledger.units(ACCOUNTS[0]) == ledger.balance((ACCOUNTS[0], None), height=1)


# ── movements ───────────────────────────────────────────────────────────────────────────────────────────────────────


def assert_moved(running: Drill[PlayedEvm], *, before: Known) -> None:
    """What is told to be mined sums up to what the ledger's balances changed by, and nothing is left to the rest."""
    newest = {(one.transaction, one.token): one for one in running.listener.movements}
    sums = Counter(before)
    for one in newest.values():
        if one.stage is Stage.MINED:
            sums.update({(account, one.token): units for account, units in one.changes})
    assert dict(sums) == running.truth
    assert not [one for one in newest.values() if one.transaction.startswith("block:") and one.stage is Stage.MINED]


async def test_what_blocks_move_sums_up_to_the_balances_through_reorganisations() -> None:
    async with drill(GROUND) as running:
        before = running.truth
        for number in range(12):
            await (running.reorganise(3) if number == 6 else running.blocks(1))
            assert_moved(running, before=before)


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
async def test_one_bad_node_of_three_changes_nothing_in_what_is_told_to_move(fault: Faults) -> None:
    async with drill(GROUND, nodes=3) as running:
        before = running.truth
        take_on(running.faults[1], fault)
        await running.blocks(5)
        await running.reorganise(2)
        await running.blocks(1)
        assert_moved(running, before=before)


async def test_a_payment_is_pending_before_it_is_mined_and_is_told_once_at_each_stage() -> None:
    async with drill(GROUND) as running:
        name = running.played.pay(ACCOUNTS[0], STRANGERS[0], units=5, fee=21_000)
        await running.go_on(timedelta(seconds=12))
        assert running.listener.stages(name) == [Stage.PENDING]
        await running.mine(after=timedelta(seconds=48))
        await running.settle()
        assert running.listener.stages(name) == [Stage.PENDING, Stage.MINED]
        mined = running.listener.movements[-1]
        assert (mined.changes, mined.fee) == (((ACCOUNTS[0], -5 - 21_000),), 21_000)


async def test_a_token_payment_that_waits_says_whom_it_pays() -> None:
    async with drill(GROUND) as running:
        running.played.pay(ACCOUNTS[0], STRANGERS[0], units=5, token=USDT)
        await running.go_on(timedelta(seconds=12))
        (waits,) = running.listener.movements
        assert (waits.token, waits.changes, waits.stage) == (TETHER, ((ACCOUNTS[0], -5),), Stage.PENDING)
        assert waits.destinations == (Party(STRANGERS[0], 5),)


async def test_a_quiet_block_costs_each_node_no_more_than_a_few_requests() -> None:
    """A poll is five seconds, a block sixty: the head and the mempool with each poll, three more with the block."""
    async with drill(GROUND, pending="off") as running:
        before = running.played.requests
        await running.blocks(10)
        assert (running.played.requests - before) / 10 <= 12 + 6


# ── in real time ────────────────────────────────────────────────────────────────────────────────────────────────────


@asynccontextmanager
async def on_the_real_clock(*, nodes: int) -> AsyncIterator[tuple[PlayedEvm, Connector]]:
    """The connector polls fast; block times are long ago, so that none is from the future."""
    async with GROUND.opened(nodes=nodes) as played, connected(GROUND, played, poll="20ms") as connector:
        yield played, connector


async def test_on_the_real_clock_every_block_is_read_exactly_and_so_is_a_reorganisation() -> None:
    async with on_the_real_clock(nodes=3) as (played, connector), listening(connector, WATCH) as listener:
        played.faults[2].lying = True
        traffic = Traffic(played, ground=GROUND)
        for number in range(1, 9):
            traffic.pay()
            if number == 6:
                played.reorganise(3, time=played.time + BLOCK)
            else:
                played.mine(time=played.time + BLOCK)
            await listener.until(lambda: listener.tip == played.tip)
            assert listener.known == GROUND.truth(played)
        assert 3 in listener.reorgs


async def test_on_the_real_clock_a_failing_chain_is_a_failure_and_comes_back() -> None:
    async with on_the_real_clock(nodes=1) as (played, connector):
        played.faults[0].failing = 1.0
        failed = await connector.read(WATCH)
        assert failed.failure is not None
        assert failed.failure.reason is Reason.UNAVAILABLE
        played.faults[0].failing = 0.0
        again = await connector.read(WATCH)
        assert {(one.account, one.token): one.units for one in again.held} == GROUND.truth(played)


async def test_a_probe_finds_every_node_well_and_names_one_that_fails() -> None:
    async with on_the_real_clock(nodes=2) as (played, connector):
        assert await connector.probe(WATCH) == (("node-1", None), ("node-2", None))
        played.faults[1].failing = 1.0
        (_, well), (name, trouble) = await connector.probe(WATCH)
        assert (well, name) == (None, "node-2")
        assert trouble is not None and "503" in trouble


# ── the played chain itself ─────────────────────────────────────────────────────────────────────────────────────────


def _as_played_chain(played: PlayedEvm) -> PlayedChain:
    """Checked by the types: it can be used wherever a scenario needs a chain."""
    return played


@pytest.mark.parametrize(("nodes", "agree"), [(1, 1), (2, 2), (3, 2), (4, 3), (5, 3)])
async def test_its_settings_ask_for_a_majority_of_its_nodes(nodes: int, agree: int) -> None:
    async with GROUND.opened(nodes=nodes) as played:
        settings = _as_played_chain(played).settings()
        assert (settings["kind"], settings["chain_id"], settings["agree"]) == ("evm", 31337, agree)
        assert json.loads(json.dumps(settings)) == settings
        names = [endpoint.name for endpoint in EvmConfig.model_validate(settings).endpoints]
        assert names == [f"node-{number}" for number in range(1, nodes + 1)]


def test_names_give_the_same_addresses_every_time_and_each_its_own() -> None:
    named = [PlayedEvm.account("hot"), PlayedEvm.account("cold"), PlayedEvm.contract("hot")]
    assert named == [PlayedEvm.account("hot"), PlayedEvm.account("cold"), PlayedEvm.contract("hot")]
    assert len(set(named)) == 3
    assert [canonical(name) for name in named] == named


async def test_what_its_nodes_were_asked_is_counted_together() -> None:
    async with GROUND.opened(nodes=2) as played, aiohttp.ClientSession() as session:
        request = {"jsonrpc": "2.0", "id": 1, "method": "eth_blockNumber", "params": []}
        for node in (*played.nodes, played.nodes[0]):
            async with session.post(node.url, json=request) as response:
                assert response.status == 200
        assert played.requests == 3


@pytest.mark.parametrize(
    ("fault", "status", "headers"),
    [(Faults(failing=1.0), 503, {}), (Faults(per_second=0), 429, {"Retry-After": "1"})],
    ids=["failing", "throttled"],
)
async def test_a_node_refuses_in_the_words_of_http(fault: Faults, status: int, headers: dict[str, str]) -> None:
    async with GROUND.opened() as played, aiohttp.ClientSession() as session:
        take_on(played.faults[0], fault)
        async with session.post(played.nodes[0].url, data=b"{}") as response:
            assert response.status == status
            assert {name: response.headers.get(name) for name in headers} == headers
