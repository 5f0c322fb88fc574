"""Balances from one real node: equal to the node's own word at the same block, whatever happens meanwhile."""

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from connectors.base import Token, Watch
from connectors.errors import Reason
from tests.integration.anvil import AnvilNode, Forger
from tests.integration.evm_chain import (
    COIN,
    DAI,
    TOKENS,
    USDT,
    Holdings,
    connected,
    followed,
    furnish,
    furnished,
    held,
    holdings_at,
    next_failure,
    next_good,
    next_tip,
    read_once,
    watching,
)

pytestmark = [pytest.mark.real, pytest.mark.timeout(90)]

SENDERS = 5
MOST_TOUCHED = 2 * SENDERS * len(TOKENS)
"""Balances that one block of `mining_transfers` can change: of those who send and those who get."""


@asynccontextmanager
async def mining_transfers(node: AnvilNode, watch: Watch, *, seed: int) -> AsyncIterator[None]:
    """Blocks full of transfers between the watched accounts, of all tokens, one after the other."""
    chance = random.Random(seed)

    async def mine() -> None:
        while True:
            for sender in chance.sample(watch.accounts, SENDERS):
                to, token = chance.choice(watch.accounts), chance.choice(watch.tokens)
                if token.contract is None:
                    await node.send(sender, to=to, value=chance.randrange(10**6))
                else:
                    await node.send_token(sender, contract=token.contract, to=to, units=chance.randrange(10**3))
            await node.mine()

    task = asyncio.create_task(mine())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait([task])


def totals(holdings: Holdings) -> dict[Token, int]:
    return {token: sum(units for (_, one), units in holdings.items() if one == token) for token in TOKENS}


async def test_a_thousand_accounts_are_as_the_node_says_at_that_hash_while_transfers_are_mined() -> None:
    watch = watching(1000)
    known: Holdings = {}
    tips, heights = set(), list[int]()
    async with furnished(watch) as node:
        await node.mine()
        async with followed([node.url], batch=500, watch=watch) as updates:
            async with mining_transfers(node, watch, seed=1):
                told = [(await anext(updates)), *[await next_tip(updates) for _ in range(6)]]
            for update in told:
                assert update.tip is not None
                assert update.unread == ()
                known |= held(update)
                tips.add(update.tip.hash)
                heights.append(update.tip.height)
                assert known == await holdings_at(node, watch=watch, block=update.tip.hash)
            assert [update.complete for update in told] == [True] + [False] * 6
            assert len(tips) == 7
            assert sum(len(update.held) for update in told[1:]) <= (heights[-1] - heights[0]) * MOST_TOUCHED


async def test_transfers_between_watched_accounts_never_change_a_total() -> None:
    watch = watching(60)
    known: Holdings = {}
    async with furnished(watch) as node:
        await node.mine()
        async with followed([node.url], batch=7, watch=watch) as updates, mining_transfers(node, watch, seed=2):
            first = await anext(updates)
            changes = 0
            for _ in range(25):
                update = await next_tip(updates)
                known = known or held(first)
                changes += len(update.held)
                known |= held(update)
                assert totals(known) == totals(held(first))
            assert changes > 25


async def test_a_transfer_shows_only_once_it_lies_as_deep_as_configured() -> None:
    watch = watching(2)
    async with furnished(watch) as node:
        await node.mine(4)
        await node.send(watch.accounts[0], to=watch.accounts[1], value=5)
        await node.mine()
        height, _ = await node.head()
        async with connected([node.url], confirmations=3) as connector:
            before = await connector.read(watch)
            await node.mine(2)
            after = await connector.read(watch)
    assert before.tip is not None
    assert after.tip is not None
    assert (before.tip.height, after.tip.height) == (height - 2, height)
    assert held(after)[watch.accounts[1], COIN] - held(before)[watch.accounts[1], COIN] == 5


async def test_one_account_that_the_node_refuses_is_unread_for_all_its_tokens_and_no_other_is() -> None:
    watch = watching(20)
    async with furnished(watch) as node, Forger(node.url).running() as proxy:
        proxy.refused.add(watch.accounts[7])
        update = await read_once([proxy.url], watch=watch)
        truth = await holdings_at(node, watch=watch, block=(await node.head())[1])
    assert {(one.account, one.token, one.reason) for one in update.unread} == {
        (watch.accounts[7], token, Reason.NODE_ERROR) for token in TOKENS
    }
    assert held(update) == {key: units for key, units in truth.items() if key[0] != watch.accounts[7]}


async def test_when_every_account_is_refused_that_is_an_outage_and_not_zeros() -> None:
    watch = watching(5)
    async with furnished(watch) as node, Forger(node.url).running() as proxy:
        proxy.refused.update(watch.accounts)
        update = await read_once([proxy.url], watch=watch)
    assert update.failure is not None
    assert update.failure.reason is Reason.NODE_ERROR
    assert (update.tip, update.held) == (None, ())


async def test_decimals_other_than_the_contracts_make_that_token_unread_and_name_both() -> None:
    watch = watching(3)
    wrong = Token("eth", USDT.contract, 18)
    async with furnished(watch) as node:
        update = await read_once([node.url], watch=Watch("eth", watch.accounts, (COIN, wrong, DAI)))
    assert {(one.token, one.reason, one.detail) for one in update.unread} == {
        (wrong, Reason.MISCONFIGURED, "the contract has 6 decimals, declared are 18")
    }
    assert len(update.unread) == 3
    assert len(update.held) == 6


async def test_a_batch_larger_than_the_node_takes_is_read_in_parts() -> None:
    """anvil refuses a body over 2 MB, some 15,000 calls."""
    accounts = watching(16_000).accounts
    async with AnvilNode() as node:
        await node.mine()
        update = await read_once([node.url], watch=Watch("eth", accounts, (COIN,)), batch=10_000)
        large = await read_once(
            [node.url], watch=Watch("eth", accounts, (COIN, Token("eth", "0x" + "ab" * 20, 6))), batch=10_000
        )
    assert len(update.held) == 16_000
    assert (len(large.held), len(large.unread)) == (16_000, 16_000)


async def test_a_contract_that_appears_later_is_read_from_then_on() -> None:
    watch = watching(2)
    async with AnvilNode() as node:
        await node.mine()
        async with followed([node.url], watch=watch) as updates:
            first = await anext(updates)
            assert {one.reason for one in first.unread} == {Reason.NO_CONTRACT}
            await furnish(node, watch)
            second = await next_tip(updates)
            assert second.unread == ()
            assert len(second.held) == 6


@pytest.mark.parametrize(
    ("garbage", "reason"),
    [(b"<html>busy</html>", Reason.BAD_ANSWER), (b"", Reason.BAD_ANSWER), (b"[" * 10_000_000, Reason.BAD_ANSWER)],
    ids=["html", "nothing", "10 MB"],
)
async def test_a_node_that_talks_nonsense_is_a_failure_and_comes_back(garbage: bytes, reason: Reason) -> None:
    watch = watching(3)
    async with (
        furnished(watch) as node,
        Forger(node.url).running() as proxy,
        followed([proxy.url], watch=watch) as updates,
    ):
        first = await anext(updates)
        proxy.garbage = garbage
        failed = await next_failure(updates)
        assert failed.failure is not None
        assert failed.failure.reason is reason
        proxy.garbage = None
        back = await next_good(updates)
        assert (back.complete, held(back)) == (True, held(first))


async def test_a_node_that_drops_or_delays_only_its_balances_is_a_failure_with_that_reason() -> None:
    watch = watching(3)
    async with furnished(watch) as node, Forger(node.url).running() as proxy:
        proxy.only = frozenset({"eth_getBalance", "eth_call"})
        async with connected([proxy.url], timeout="300ms") as connector:
            proxy.drop = True
            dropped = await connector.read(watch)
            proxy.drop, proxy.delay = False, 5
            late = await connector.read(watch)
            proxy.delay = 0
            good = await connector.read(watch)
    assert dropped.failure is not None
    assert late.failure is not None
    assert (dropped.failure.reason, late.failure.reason) == (Reason.UNAVAILABLE, Reason.TIMEOUT)
    assert good.failure is None
