"""The real connector on a played Symbol chain, and its nodes; what all chains share is in test_played_alike."""

from __future__ import annotations

from datetime import timedelta

import aiohttp
import pytest

from connectors.errors import Reason
from daemon.replay.faults import Faults
from tests.drilled import BLOCK, FAULTS, drill, take_on
from tests.played_symbol import COIN, FEE, GOLD, GROUND, START, STRANGERS, accounts

FIRST, SECOND = accounts(2)

# ── the connector on it ─────────────────────────────────────────────────────────────────────────────────────────────


async def test_a_payment_is_pending_before_it_is_mined_and_counts_only_then() -> None:
    async with drill(GROUND) as running:
        before = running.truth
        sent = running.played.pay(STRANGERS[0], FIRST, units=5, fee=FEE)
        await running.until(START + 3 * BLOCK)
        assert running.listener.stages(sent) == ["pending"]
        assert running.listener.known == before
        running.played.mine(time=START + 3 * BLOCK)
        await running.settle()
        assert running.listener.stages(sent) == ["pending", "mined"]
        assert running.listener.known[FIRST, COIN] == before[FIRST, COIN] + 5
        running.assert_exact()


async def test_a_fee_is_told_as_it_was_paid_and_leaves_the_payer() -> None:
    async with drill(GROUND) as running:
        before = running.truth
        sent = running.played.pay(FIRST, STRANGERS[0], units=7, fee=123)
        running.played.mine(time=START + BLOCK)
        await running.settle()
        (mined,) = [one for one in running.listener.movements if one.transaction == sent and one.stage == "mined"]
        assert (mined.fee, dict(mined.changes)) == (123, {FIRST: -130})
        assert running.listener.known[FIRST, COIN] == before[FIRST, COIN] - 130


async def test_payments_of_undone_blocks_end_up_mined_in_the_other_ones() -> None:
    async with drill(GROUND) as running:
        sent = running.played.pay(STRANGERS[0], FIRST, units=5)
        await running.blocks(2)
        await running.reorganise(2)
        told = [one for one in running.listener.movements if one.transaction == sent]
        block = running.played.ledger.block(3)  # it was in block 2, and the first other block is empty
        assert block is not None
        assert told[-1].tip is not None
        assert (str(told[-1].stage), told[-1].tip.hash) == ("mined", block.hash)


async def test_hours_between_blocks_are_read_with_one_poll_a_block() -> None:
    async with drill(GROUND, poll="1h", max_age="3h", max_tip_age="20h") as running:
        running.interval = timedelta(hours=1)
        await running.blocks(1)
        heard, requests = len(running.listener.updates), running.played.requests
        for _ in range(10):
            await running.blocks(1)
            running.assert_exact()
        assert len(running.listener.updates) - heard == 10
        assert running.played.requests - requests <= 80


# ── faults ──────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("name", ["slow", "failing now and then", "throttled"])
async def test_a_single_bad_node_is_read_exactly_in_the_end(name: str) -> None:
    """What is late or was refused is asked again."""
    async with drill(GROUND) as running:
        take_on(running.faults[0], FAULTS[name])
        await running.blocks(10)
        take_on(running.faults[0], Faults())
        await running.blocks(2)
        running.assert_exact()


async def test_an_emptied_account_is_as_full_as_in_the_beginning_by_a_liar() -> None:
    async with drill(GROUND, nodes=3) as running:
        running.faults[0].lying = True
        first = running.truth[FIRST, COIN]
        for token in (GOLD, None):
            running.played.pay(FIRST, STRANGERS[0], units=running.played.units(FIRST, token), token=token)
        await running.until(START + BLOCK)
        running.played.mine(time=START + BLOCK)
        await running.settle()
        running.assert_exact()
        dispute = next(
            one
            for update in running.listener.updates
            for one in update.disagreements
            if (one.account, one.token) == (FIRST, COIN) and one.tip.height == 2
        )
        assert dict(dispute.answers) == {"node-1": str(first), "node-2": "0", "node-3": "0"}


async def test_nodes_that_are_all_behind_are_read_where_they_are() -> None:
    async with drill(GROUND, nodes=3) as running:
        for faults in running.faults:
            faults.behind = 4
        await running.blocks(8)
        ledger = running.played.ledger
        block = ledger.block(5)
        assert block is not None
        assert running.listener.tip == block.hash
        assert {account: units for (account, token), units in running.listener.known.items() if token == COIN} == {
            account: ledger.held(account, height=5) for account in running.ground.watch.accounts
        }


@pytest.mark.parametrize(
    ("fault", "reason"),
    [(Faults(per_second=1), Reason.RATE_LIMITED), (Faults(failing=1.0), Reason.UNAVAILABLE)],
    ids=["throttled", "failing"],
)
async def test_a_node_that_refuses_is_seen_as_such(fault: Faults, reason: Reason) -> None:
    async with drill(GROUND) as running:
        take_on(running.faults[0], fault)
        await running.blocks(4)
        (stats,) = running.connector.stats()
        assert set(stats.errors) == {reason}


# ── its nodes ───────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("fault", "status", "headers"),
    [(Faults(failing=1.0), 503, {}), (Faults(per_second=0), 429, {"Retry-After": "1"})],
    ids=["failing", "throttled"],
)
async def test_a_node_refuses_in_the_words_of_http(fault: Faults, status: int, headers: dict[str, str]) -> None:
    async with GROUND.opened() as played, aiohttp.ClientSession() as session:
        take_on(played.faults[0], fault)
        async with session.get(f"{played.nodes[0].url}/chain/info") as response:
            assert response.status == status
            assert {name: response.headers.get(name) for name in headers} == headers


async def test_what_its_nodes_were_asked_is_counted_together() -> None:
    async with GROUND.opened(nodes=2) as played, aiohttp.ClientSession() as session:
        for node in (*played.nodes, played.nodes[0]):
            async with session.get(f"{node.url}/chain/info") as response:
                assert response.status == 200
        assert played.requests == 3


async def test_a_node_that_is_behind_tells_blocks_balances_and_pools_of_then() -> None:
    async with GROUND.opened() as played, aiohttp.ClientSession() as session:
        played.pay(STRANGERS[0], FIRST, units=5)
        before = played.units(FIRST)
        for number in range(1, 3):
            played.mine(time=START + number * BLOCK)
        played.pay(STRANGERS[0], FIRST, units=6)
        played.faults[0].behind = 2
        url = played.nodes[0].url
        async with session.get(f"{url}/chain/info") as response:
            assert (await response.json())["height"] == "1"
        async with session.get(f"{url}/blocks/2") as response:
            assert response.status == 404
        async with session.get(f"{url}/transactions/unconfirmed") as response:
            assert (await response.json())["data"] == []
        async with session.post(f"{url}/accounts", json={"addresses": [FIRST]}) as response:
            (told,) = await response.json()
        assert {"id": "6BED913FA20223F8", "amount": str(before)} in told["account"]["mosaics"]
