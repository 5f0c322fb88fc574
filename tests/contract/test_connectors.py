"""The connector contract (connectors/base.py), run on every kind of chain that is registered."""

import asyncio
from collections import Counter
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from pathlib import Path
from typing import cast

import pytest

from connectors import CONNECTORS
from connectors.base import Address, Stage, Token, Update
from connectors.errors import Reason
from tests.contract.laboratory import LABORATORIES, Laboratory
from tests.tasks import left_behind

pytestmark = [pytest.mark.real, pytest.mark.timeout(60)]


def test_every_registered_kind_is_held_to_the_contract() -> None:
    assert set(LABORATORIES) == set(CONNECTORS)


@pytest.fixture(params=sorted(LABORATORIES))
async def laboratory(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Laboratory]:
    async with LABORATORIES[request.param](str(tmp_path / "state")) as laboratory:
        yield laboratory


def following(laboratory: Laboratory) -> aclosing[AsyncGenerator[Update, None]]:
    updates = laboratory.connector.updates(laboratory.watch)
    return aclosing(cast(AsyncGenerator[Update, None], updates))


def held(update: Update) -> dict[tuple[Address, Token], int]:
    return {(one.account, one.token): one.units for one in update.held}


def everything(laboratory: Laboratory) -> set[tuple[Address, Token]]:
    return {(account, token) for account in laboratory.watch.accounts for token in laboratory.watch.tokens}


async def until_moved(updates: AsyncGenerator[Update, None]) -> Update:
    """The next update that says more than that the chain still stands where it stood."""
    async for update in updates:
        if update.failure or update.tip != update.previous:
            return update
    raise AssertionError("the updates ended")


async def test_the_first_update_holds_everything_watched_at_one_tip(laboratory: Laboratory) -> None:
    async with following(laboratory) as updates:
        update = await anext(updates)
    assert update.complete
    assert update.tip is not None
    assert held(update) == await laboratory.truth()
    assert held(update).keys() | {(one.account, one.token) for one in update.unread} == everything(laboratory)


async def test_a_token_that_does_not_exist_is_unread_on_every_account_and_never_zero(laboratory: Laboratory) -> None:
    update = await laboratory.connector.read(laboratory.watch)
    missing = laboratory.watch.tokens[-1]
    assert {(one.account, one.token, one.reason) for one in update.unread} == {
        (account, missing, Reason.NO_CONTRACT) for account in laboratory.watch.accounts
    }


async def test_a_single_reading_equals_the_first_update(laboratory: Laboratory) -> None:
    single = await laboratory.connector.read(laboratory.watch)
    async with following(laboratory) as updates:
        first = await anext(updates)
    assert (single.tip, single.held, single.unread, single.complete) == (first.tip, first.held, first.unread, True)


async def test_while_nothing_happens_each_poll_says_so(laboratory: Laboratory) -> None:
    async with following(laboratory) as updates:
        first = await anext(updates)
        second, third = await anext(updates), await anext(updates)
    for still in (second, third):
        assert (still.tip, still.previous, still.held, still.unread, still.complete) == (
            first.tip,
            first.tip,
            (),
            (),
            False,
        )
    assert first.seen < second.seen < third.seen


async def test_a_move_brings_the_accounts_that_changed_and_no_others(laboratory: Laboratory) -> None:
    async with following(laboratory) as updates:
        first = await anext(updates)
        await laboratory.move()
        update = await until_moved(updates)
    truth = await laboratory.truth()
    changed = {key: value for key, value in truth.items() if value != held(first)[key]}
    assert changed
    assert (held(update), update.complete, update.previous) == (changed, False, first.tip)


async def test_a_block_without_moves_brings_a_new_tip_and_no_holdings(laboratory: Laboratory) -> None:
    async with following(laboratory) as updates:
        first = await anext(updates)
        await laboratory.block()
        update = await until_moved(updates)
    assert update.tip is not None
    assert first.tip is not None
    assert update.tip.height == first.tip.height + 1
    assert (update.held, update.unread) == ((), ())


async def test_a_reorg_is_told_with_its_depth_and_everything_is_right_after_it(laboratory: Laboratory) -> None:
    await laboratory.move()
    async with following(laboratory) as updates:
        first = await anext(updates)
        await laboratory.reorganise()
        update = await until_moved(updates)
    assert (update.reorg_depth, update.previous) == (1, first.tip)
    assert held(first) | held(update) == await laboratory.truth()


async def test_what_a_block_moves_is_told_and_is_what_the_balances_changed_by(laboratory: Laboratory) -> None:
    async with following(laboratory) as updates:
        before = held(await anext(updates))
        await laboratory.move()
        now, moved = dict(before), Counter(before)
        async with asyncio.timeout(30):
            while now == before or now != moved:
                update = await anext(updates)
                now |= held(update)
                for one in update.movements:
                    if one.stage is Stage.MINED:
                        assert one.tip is not None
                        moved.update({(account, one.token): units for account, units in one.changes})
    assert now == await laboratory.truth()


async def test_an_outage_is_a_failure_without_numbers_and_after_it_everything_is_told_again(
    laboratory: Laboratory,
) -> None:
    async with following(laboratory) as updates:
        await anext(updates)
        await laboratory.outage()
        for _ in range(2):
            update = await until_moved(updates)
            assert update.failure is not None
            assert update.failure.reason is Reason.UNAVAILABLE
            assert (update.tip, update.held, update.unread) == (None, (), ())
        await laboratory.recover()
        async for update in updates:
            if update.failure is None:
                break
    assert update.complete
    assert held(update) == await laboratory.truth()


async def test_a_reading_during_an_outage_is_a_failure_and_not_an_exception(laboratory: Laboratory) -> None:
    await laboratory.outage()
    assert (await laboratory.connector.read(laboratory.watch)).failure is not None


async def test_a_probe_says_of_each_provider_whether_it_is_well(laboratory: Laboratory) -> None:
    existing = laboratory.watch.tokens[:1]
    watch = type(laboratory.watch)(laboratory.watch.chain, laboratory.watch.accounts, existing)
    assert await laboratory.connector.probe(watch) == (("node", None),)
    ((provider, trouble),) = await laboratory.connector.probe(laboratory.watch)
    assert provider == "node"
    assert trouble is not None
    await laboratory.outage()
    ((provider, trouble),) = await laboratory.connector.probe(watch)
    assert trouble is not None
    assert trouble.startswith("node: ")


async def test_the_counters_know_requests_and_errors_by_provider(laboratory: Laboratory) -> None:
    await laboratory.connector.read(laboratory.watch)
    (before,) = laboratory.connector.stats()
    assert before.provider == "node"
    assert before.requests > 0
    assert not before.errors
    await laboratory.outage()
    await laboratory.connector.read(laboratory.watch)
    (after,) = laboratory.connector.stats()
    assert after.requests > before.requests
    assert after.errors.keys() == {Reason.UNAVAILABLE}


async def test_closing_the_updates_leaves_no_task_behind(laboratory: Laboratory) -> None:
    before = asyncio.all_tasks()
    async with following(laboratory) as updates:
        await anext(updates)
        await anext(updates)
    assert not await left_behind(before, pool_stays=True)


@pytest.mark.parametrize("kind", sorted(LABORATORIES))
async def test_cancelling_a_poll_is_cancellation_and_leaves_no_task_behind_when_closed(
    kind: str, tmp_path: Path
) -> None:
    """Finding everything may go on meanwhile, for the next poll, but not beyond the connector."""
    before = asyncio.all_tasks()
    async with LABORATORIES[kind](str(tmp_path / "state")) as laboratory:
        reading = asyncio.create_task(laboratory.connector.read(laboratory.watch))
        await asyncio.sleep(0)
        reading.cancel()
        with pytest.raises(asyncio.CancelledError):
            await reading
    assert not await left_behind(before)
