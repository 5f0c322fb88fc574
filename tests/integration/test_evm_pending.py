"""What waits for a block on a real EVM node: pending first and mined later, replaced, dropped, undone by a reorg."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import pytest

from connectors.base import Address, Movement, Party, Stage, Update
from tests.integration.anvil import AnvilNode, Forger
from tests.integration.evm_audit import Audit, send, send_token
from tests.integration.evm_chain import COIN, USDT, followed, furnished, watching

pytestmark = [pytest.mark.real, pytest.mark.timeout(120)]

WATCH = watching(4)
HOT, COLD, *_ = WATCH.accounts
STRANGER = Address("0x" + "57" * 20)
THIEF = Address("0x" + "be" * 20)

WAYS = {
    "list": frozenset[str](),
    "filter": frozenset({"txpool_status", "txpool_content"}),
    "next block": frozenset({"txpool_status", "txpool_content", "eth_newPendingTransactionFilter"}),
}
"""How a node tells what waits → what it refuses."""


@dataclass
class Scene:
    node: AnvilNode
    updates: AsyncGenerator[Update, None]
    audit: Audit

    async def stage(self, transaction: str, stage: Stage) -> Movement:
        return await self.audit.until_stage(self.updates, transaction, stage)

    async def block(self) -> Update:
        await self.node.mine()
        return await self.audit.until(self.updates, block=(await self.node.head())[1])


@asynccontextmanager
async def scene(*, refused: frozenset[str] = frozenset(), **settings: object) -> AsyncIterator[Scene]:
    async with furnished(WATCH) as node, Forger(node.url, unknown=refused).running() as proxy:
        await node.set_balances({STRANGER: 10**20})
        await node.mine()
        async with followed([proxy.url], watch=WATCH, **settings) as updates:
            audit = Audit(WATCH)
            audit.take(await anext(updates))
            yield Scene(node, updates, audit)


@pytest.fixture(params=WAYS)
async def on(request: pytest.FixtureRequest) -> AsyncIterator[Scene]:
    """A chain that is followed, in each of the ways in which nodes tell what waits."""
    async with scene(refused=WAYS[request.param]) as made:
        yield made


async def test_a_payment_is_pending_and_then_mined(on: Scene) -> None:
    name = await send(on.node, HOT, to=THIEF, value=7, gas_price=2)
    waits = await on.stage(name, Stage.PENDING)
    assert (waits.changes, waits.destinations, waits.fee) == (((HOT, -7),), (Party(THIEF, 7),), None)
    await on.block()
    assert on.audit.stages[name] == [Stage.PENDING, Stage.MINED]
    assert dict(on.audit.newest[name, COIN].changes) == {HOT: -7 - 2 * 21_000}


async def test_the_call_data_of_a_pending_token_transfer_says_whom_it_pays(on: Scene) -> None:
    name = await send_token(on.node, HOT, contract=str(USDT.contract), to=THIEF, units=44)
    waits = await on.stage(name, Stage.PENDING)
    assert (waits.token, waits.changes, waits.destinations) == (USDT, ((HOT, -44),), (Party(THIEF, 44),))
    await on.block()
    assert on.audit.newest[name, USDT].stage is Stage.MINED
    assert on.audit.newest[name, USDT].changes == ((HOT, -44),)


async def test_a_pending_token_transfer_that_fails_is_mined_and_has_moved_nothing(on: Scene) -> None:
    name = await send_token(on.node, HOT, contract=str(USDT.contract), to=THIEF, units=10**12)
    await on.stage(name, Stage.PENDING)
    await on.block()
    one = on.audit.newest[name, USDT]
    assert (one.stage, one.changes, one.destinations) == (Stage.MINED, ((HOT, 0),), ())


async def test_a_transaction_with_the_same_nonce_and_a_higher_fee_replaces_it(on: Scene) -> None:
    old = await send(on.node, HOT, to=THIEF, value=7, gas_price=10)
    await on.stage(old, Stage.PENDING)
    new = await send(on.node, HOT, to=COLD, value=6, gas_price=100, nonce=0)
    replaced = await on.stage(old, Stage.REPLACED)
    assert replaced.replaced_by == new
    await on.block()
    assert on.audit.stages[old] == [Stage.PENDING, Stage.REPLACED]
    assert on.audit.newest[new, COIN].stage is Stage.MINED


async def test_a_cancellation_that_moves_nothing_replaces_as_well(on: Scene) -> None:
    old = await send(on.node, HOT, to=THIEF, value=7, gas_price=10)
    await on.stage(old, Stage.PENDING)
    new = await send(on.node, HOT, to=HOT, value=0, gas_price=100, nonce=0)
    assert (await on.stage(old, Stage.REPLACED)).replaced_by == new


async def test_one_that_is_dropped_is_evicted_when_blocks_have_come_without_it(on: Scene) -> None:
    name = await send(on.node, HOT, to=THIEF, value=7)
    await on.stage(name, Stage.PENDING)
    await on.node.rpc("anvil_dropTransaction", name)
    for _ in range(4):
        await on.block()
    assert on.audit.newest[name, COIN].stage is Stage.EVICTED or await on.stage(name, Stage.EVICTED)


async def test_what_waited_before_we_came_is_told() -> None:
    async with furnished(WATCH) as node:
        name = await send(node, HOT, to=THIEF, value=7)
        async with followed([node.url], watch=WATCH) as updates:
            audit = Audit(WATCH)
            assert (await audit.until_stage(updates, name, Stage.PENDING)).changes == ((HOT, -7),)


async def test_where_mempools_are_not_asked_nothing_is_pending() -> None:
    async with scene(pending="off") as on:
        name = await send(on.node, HOT, to=THIEF, value=7)
        await on.block()
        await on.block()
        assert on.audit.stages[name] == [Stage.MINED]


async def test_a_node_that_offers_no_way_tells_what_is_mined() -> None:
    async with scene(refused=WAYS["next block"] | {"eth_getBlockByNumber pending"}) as on:
        name = await send(on.node, HOT, to=THIEF, value=7)
        await on.block()
        assert on.audit.stages[name] == [Stage.MINED]


async def test_a_payment_that_a_reorg_drops_waits_again_and_is_given_up_then(on: Scene) -> None:
    name = await send(on.node, HOT, to=THIEF, value=7)
    await on.block()
    await on.node.rpc("anvil_reorg", 1, [])
    await on.audit.until(on.updates, block=(await on.node.head())[1])
    assert on.audit.stages[name][-2:] == [Stage.MINED, Stage.PENDING]
    for _ in range(4):
        await on.block()
    assert on.audit.newest[name, COIN].stage is Stage.EVICTED or await on.stage(name, Stage.EVICTED)


async def test_a_payment_that_a_reorg_puts_into_another_block_is_mined_anew(on: Scene) -> None:
    await on.block()
    name = await send(on.node, HOT, to=THIEF, value=7)
    first = await on.block()
    again = {"from": HOT, "to": THIEF, "value": hex(7), "gas": hex(200_000), "gasPrice": "0x0"}
    await on.node.rpc("anvil_reorg", 2, [[again, 0]])
    second = await on.audit.until(on.updates, block=(await on.node.head())[1])
    assert first.tip is not None and second.tip is not None
    one = on.audit.newest[name, COIN]
    assert one.tip is not None
    assert (dict(one.changes), one.tip.height) == ({HOT: -7}, first.tip.height - 1)
    assert len(on.audit.newest) == 1


async def test_a_reorg_deeper_than_what_was_followed_leaves_nothing_mined_that_is_not(on: Scene) -> None:
    name = await send(on.node, HOT, to=THIEF, value=7)
    await on.block()
    await on.node.rpc("anvil_reorg", 3, [])
    await on.audit.until(on.updates, block=(await on.node.head())[1])
    assert on.audit.newest[name, COIN].stage is not Stage.MINED
    await send(on.node, HOT, to=THIEF, value=1, nonce=0)
    await on.block()
    assert on.audit.newest[name, COIN].stage is not Stage.MINED


async def test_a_reorg_that_pays_somebody_else_with_the_same_nonce_replaces_what_it_undoes(on: Scene) -> None:
    old = await send(on.node, HOT, to=THIEF, value=7)
    await on.block()
    instead = {"from": HOT, "to": COLD, "value": "0x5", "gas": "0x30d40", "gasPrice": "0x0"}
    await on.node.rpc("anvil_reorg", 1, [[instead, 0]])
    await on.audit.until(on.updates, block=(await on.node.head())[1])
    (new,) = on.audit.mined()
    assert on.audit.newest[old, COIN].stage is Stage.REPLACED
    assert on.audit.newest[old, COIN].replaced_by == new.transaction
    assert dict(new.changes) == {HOT: -5, COLD: 5}


async def test_what_blocks_left_open_is_gone_with_them() -> None:
    async with scene(traces="off") as on:
        await on.node.rpc("anvil_setCoinbase", COLD)
        await send(on.node, STRANGER, to=THIEF, value=1, gas_price=7)
        update = await on.block()
        (rest,) = on.audit.rests()
        assert update.tip is not None and rest.tip == update.tip
        await on.node.rpc("anvil_reorg", 1, [])
        await on.audit.until(on.updates, block=(await on.node.head())[1])
        assert on.audit.newest[rest.transaction, COIN].stage is Stage.EVICTED
        assert not on.audit.rests()


async def test_a_connector_that_begins_anew_tells_what_waits_and_nothing_that_was_mined_before() -> None:
    async with furnished(WATCH) as node:
        for start in range(2):
            mined = await send(node, HOT, to=THIEF, value=1)
            await node.mine()
            waits = await send(node, HOT, to=THIEF, value=2)
            async with followed([node.url], watch=WATCH) as updates:
                audit = Audit(WATCH)
                await audit.until_stage(updates, waits, Stage.PENDING)
                assert mined not in audit.stages
                await node.mine()
                await audit.until(updates, block=(await node.head())[1])
                assert audit.at(Stage.MINED) == {waits}, start
