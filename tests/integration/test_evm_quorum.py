"""Three real nodes with one chain, two of which must agree: one forges, dies, lags, or is another chain's."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager

import pytest
from structlog.testing import capture_logs

from connectors.base import Update
from connectors.errors import Reason
from tests.integration.anvil import AnvilNode, Forger
from tests.integration.evm_chain import (
    COIN,
    connected,
    followed,
    following,
    furnish,
    held,
    holdings_at,
    next_failure,
    next_good,
    next_tip,
    read_once,
    watching,
)

pytestmark = [pytest.mark.real, pytest.mark.timeout(90)]

WATCH = watching(20)
VICTIM, OTHER = WATCH.accounts[3], WATCH.accounts[4]


async def each(nodes: list[AnvilNode], step: Callable[[AnvilNode], Awaitable[object]]) -> None:
    await asyncio.gather(*(step(node) for node in nodes))


@asynccontextmanager
async def three_nodes() -> AsyncIterator[list[AnvilNode]]:
    """The same genesis and the same commands make the same blocks, hash by hash."""
    genesis = int(time.time()) - 100_000
    async with AsyncExitStack() as stack:
        nodes = [await stack.enter_async_context(AnvilNode(genesis_time=genesis)) for _ in range(3)]
        await each(nodes, lambda node: furnish(node, WATCH))
        await transfer(nodes)
        assert len({await node.head() for node in nodes}) == 1
        yield nodes


async def transfer(nodes: list[AnvilNode]) -> None:
    async def step(node: AnvilNode) -> None:
        await node.send(VICTIM, to=OTHER, value=9)
        await node.mine()

    await each(nodes, step)


def answers(update: Update) -> dict[tuple[str, str | None], tuple[tuple[str, str], ...]]:
    return {(one.account, one.token.contract): one.answers for one in update.disagreements}


async def test_three_honest_nodes_agree_and_nothing_is_disputed() -> None:
    async with three_nodes() as nodes, connected([node.url for node in nodes], agree=3) as connector:
        update = await connector.read(WATCH)
        assert update.tip is not None
        assert held(update) == await holdings_at(nodes[0], watch=WATCH, block=update.tip.hash)
        assert update.disagreements == ()
        assert [stats.disagreements for stats in connector.stats()] == [0, 0, 0]


async def test_a_forging_proxy_is_outvoted_and_shown_with_all_answers_until_it_stops() -> None:
    async with three_nodes() as nodes, Forger(nodes[2].url).running() as forger:
        forger.forged[VICTIM] = 10**30
        urls = [nodes[0].url, nodes[1].url, forger.url]
        async with connected(urls, agree=2) as connector, following(connector, WATCH) as updates:
            first = await anext(updates)
            assert first.tip is not None
            truth = await holdings_at(nodes[0], watch=WATCH, block=first.tip.hash)
            assert held(first) == truth
            true = str(truth[VICTIM, COIN])
            assert answers(first)[VICTIM, None] == (("a", true), ("b", true), ("c", str(10**30)))
            assert len(first.disagreements) == 3
            assert (await anext(updates)).disagreements == first.disagreements
            assert [stats.disagreements > 0 for stats in connector.stats()] == [False, False, True]
            forger.forged.clear()
            await transfer(nodes)
            async for update in updates:
                if update.tip not in (first.tip, update.previous):
                    break
            assert update.disagreements == ()


async def test_a_real_node_whose_state_was_changed_behind_an_equal_block_hash_is_found_out() -> None:
    async with three_nodes() as nodes:
        await nodes[1].set_balances({VICTIM: 1})
        update = await read_once([node.url for node in nodes], watch=WATCH, agree=2)
    assert [one.account for one in update.disagreements] == [VICTIM]
    assert update.unread == ()
    assert held(update)[VICTIM, COIN] != 1


async def test_a_forger_a_bit_slower_than_the_others_is_still_caught() -> None:
    async with three_nodes() as nodes, Forger(nodes[2].url).running() as forger:
        forger.forged[VICTIM], forger.delay = 5, 0.05
        update = await read_once([nodes[0].url, nodes[1].url, forger.url], watch=WATCH, agree=2)
    assert len(update.disagreements) == 3


async def test_with_two_nodes_a_forged_balance_is_unread_and_nobody_is_believed() -> None:
    async with three_nodes() as nodes, Forger(nodes[1].url).running() as forger:
        forger.forged[VICTIM] = 0
        update = await read_once([nodes[0].url, forger.url], watch=WATCH, agree=2)
    assert {(one.account, one.reason) for one in update.unread} == {(VICTIM, Reason.DISAGREEMENT)}
    assert len(update.unread) == len(update.disagreements) == 3
    assert len(update.held) == 57


async def test_a_node_fifty_blocks_behind_changes_nothing() -> None:
    async with three_nodes() as nodes:
        await each(nodes[:2], lambda node: node.mine(50))
        update = await read_once([nodes[2].url, nodes[0].url, nodes[1].url], watch=WATCH, agree=2)
        assert update.tip is not None
        assert (update.tip.height, update.tip.hash) == await nodes[0].head()
        assert (update.unread, update.disagreements) == ((), ())


async def test_a_dead_node_changes_nothing_and_is_logged_once_down_and_once_up() -> None:
    with capture_logs() as lines:
        async with three_nodes() as nodes, Forger(nodes[0].url).running() as proxy:
            urls = [proxy.url, nodes[1].url, nodes[2].url]
            async with followed(urls, agree=2, watch=WATCH) as updates:
                await anext(updates)
                proxy.drop = True
                for _ in range(3):
                    await transfer(nodes)
                    update = await next_tip(updates)
                    assert (update.failure, update.unread) == (None, ())
                requests = proxy.requests
                for _ in range(10):
                    await anext(updates)
                assert proxy.requests <= requests + 3
                proxy.drop = False
                while not any(line["event"] == "node up" for line in lines):
                    await transfer(nodes)
                    await next_tip(updates)
    assert [(line["event"], line["provider"]) for line in lines] == [("node down", "a"), ("node up", "a")]


async def test_two_dead_nodes_of_three_are_no_quorum_and_their_return_is_a_complete_update() -> None:
    async with three_nodes() as nodes, Forger(nodes[0].url).running() as a, Forger(nodes[1].url).running() as b:
        urls = [a.url, b.url, nodes[2].url]
        async with followed(urls, agree=2, watch=WATCH) as updates:
            first = await anext(updates)
            a.drop = b.drop = True
            failed = await next_failure(updates)
            assert failed.failure is not None
            assert failed.failure.reason is Reason.NO_QUORUM
            assert "1 of 2 nodes answered; a: closed the connection" in failed.failure.detail
            a.drop = b.drop = False
            back = await next_good(updates)
            assert (back.complete, back.tip, held(back)) == (True, first.tip, held(first))


async def test_when_only_a_laggard_is_left_to_agree_the_tip_does_not_go_back() -> None:
    async with three_nodes() as nodes, Forger(nodes[0].url).running() as dying:
        await each(nodes[:2], lambda node: node.mine(50))
        urls = [dying.url, nodes[1].url, nodes[2].url]
        async with followed(urls, agree=2, watch=WATCH) as updates:
            await anext(updates)
            dying.drop = True
            failed = await next_failure(updates)
    assert failed.failure is not None
    assert failed.failure.reason is Reason.NO_QUORUM
    assert "50 blocks behind" in failed.failure.detail


async def test_with_one_to_agree_a_fallback_takes_over_and_one_that_lags_does_not() -> None:
    async with three_nodes() as nodes, Forger(nodes[0].url).running() as preferred:
        async with followed([preferred.url, nodes[1].url], watch=WATCH) as updates:
            first = await anext(updates)
            preferred.drop = True
            still = await anext(updates)
            assert (still.tip, still.failure) == (first.tip, None)
            await transfer([nodes[1]])
            assert (await next_tip(updates)).failure is None
        preferred.drop = False
        await each(nodes[:1], lambda node: node.mine(50))
        async with followed([preferred.url, nodes[2].url], watch=WATCH) as updates:
            await anext(updates)
            preferred.drop = True
            failed = await next_failure(updates)
            assert failed.failure is not None
            assert "50 blocks behind" in failed.failure.detail


async def test_a_node_of_another_chain_is_left_out_and_named_and_too_many_are_a_misconfiguration() -> None:
    async with three_nodes() as nodes, AnvilNode(chain_id=5) as stranger:
        urls = [stranger.url, nodes[0].url, nodes[1].url]
        async with connected(urls, agree=2) as connector:
            update = await connector.read(WATCH)
            assert (update.failure, len(update.held)) == (None, 60)
            assert connector.stats()[0].errors == {Reason.MISCONFIGURED: 1}
            assert (await connector.probe(WATCH))[0] == ("a", "a: is on chain 5, configured is chain 1")
        update = await read_once(urls[:2], watch=WATCH, agree=2)
    assert update.failure is not None
    assert update.failure.reason is Reason.MISCONFIGURED
    assert "a: is on chain 5, configured is chain 1" in update.failure.detail


async def test_a_slow_dead_node_does_not_hold_up_the_polls() -> None:
    """A node that accepts connections and says nothing costs a short grace once, not its deadline each poll."""
    async with three_nodes() as nodes, Forger(nodes[0].url).running() as silent:
        silent.delay = 60
        urls = [silent.url, nodes[1].url, nodes[2].url]
        async with followed(urls, agree=2, timeout="30s", watch=WATCH) as updates:
            async with asyncio.timeout(15):
                for _ in range(20):
                    assert (await anext(updates)).failure is None
            assert silent.requests <= 6
