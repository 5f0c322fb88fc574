"""Movements on a real EVM chain: what transactions, tokens and contracts move, with whom, and for what fee."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

import pytest

from connectors.base import Address, Movement, Party, Stage, Update
from tests.integration.anvil import AnvilNode, Forger
from tests.integration.evm_audit import Audit, passing_on, paying, paying_and_failing, send, send_token
from tests.integration.evm_chain import COIN, DAI, USDT, followed, furnished, watching

pytestmark = [pytest.mark.real, pytest.mark.timeout(120)]

WATCH = watching(6)
HOT, COLD, THIRD, *_ = WATCH.accounts
VAULT = WATCH.accounts[-1]
STRANGER = Address("0x" + "57" * 20)
OTHER = Address("0x" + "58" * 20)
THIEF = Address("0x" + "be" * 20)
CONTRACT = Address("0x" + "c0" * 20)
GWEI = 10**9


@dataclass
class Scene:
    """A chain that is followed, on which strangers have plenty and `codes` are contracts."""

    node: AnvilNode
    updates: AsyncGenerator[Update, None]
    audit: Audit

    async def block(self) -> list[Movement]:
        """Mines what waits; the movements that are told with it."""
        await self.node.mine()
        update = await self.audit.until(self.updates, block=(await self.node.head())[1])
        return list(update.movements)


@asynccontextmanager
async def scene(codes: dict[str, str] | None = None, **settings: object) -> AsyncIterator[Scene]:
    async with furnished(WATCH) as node:
        await node.set_balances({STRANGER: 10**20, OTHER: 10**20, **dict.fromkeys(codes or {}, 10**18)})
        for account, code in (codes or {}).items():
            await node.rpc("anvil_setCode", account, code)
        await node.mine()
        async with followed([node.url], watch=WATCH, **{"pending": "off", **settings}) as updates:
            audit = Audit(WATCH)
            audit.take(await anext(updates))
            yield Scene(node, updates, audit)


async def test_a_payment_is_told_with_whom_it_pays_its_fee_and_its_block() -> None:
    async with scene() as on:
        name = await send(on.node, HOT, to=THIEF, value=777, gas_price=GWEI)
        (one,) = await on.block()
        assert (one.transaction, one.stage, one.token) == (name, Stage.MINED, COIN)
        assert one.tip == on.audit.updates[-1].tip
        assert one.fee == 21_000 * GWEI
        assert one.changes == ((HOT, -777 - one.fee),)
        assert one.destinations == (Party(THIEF, 777),)
        assert one.sources == (Party(HOT, 777),)


async def test_a_deposit_names_where_it_comes_from_and_costs_us_no_fee() -> None:
    async with scene() as on:
        await send(on.node, STRANGER, to=HOT, value=5, gas_price=GWEI)
        (one,) = await on.block()
        assert (one.changes, one.sources, one.destinations) == (((HOT, 5),), (Party(STRANGER, 5),), ())


async def test_a_payment_among_us_has_no_destination_outside() -> None:
    async with scene() as on:
        await send(on.node, HOT, to=COLD, value=5)
        (one,) = await on.block()
        assert (dict(one.changes), one.destinations) == ({HOT: -5, COLD: 5}, ())


async def test_who_pays_himself_pays_the_fee_and_has_change() -> None:
    async with scene() as on:
        await send(on.node, HOT, to=HOT, value=5, gas_price=1)
        (one,) = await on.block()
        assert (one.changes, one.change, one.fee) == (((HOT, -21_000),), 5, 21_000)


async def test_of_a_payment_that_fails_only_the_fee_leaves() -> None:
    async with scene({CONTRACT: "0x5f5ffd"}) as on:
        await send(on.node, HOT, to=CONTRACT, value=500, gas_price=1)
        (one,) = await on.block()
        assert one.fee is not None and one.fee > 21_000
        assert (one.changes, one.destinations) == (((HOT, -one.fee),), ())


async def test_a_contract_that_is_created_with_ether_is_its_destination() -> None:
    async with scene() as on:
        name = await send(on.node, HOT, to=None, value=9, data="0x5f5ff3")
        (one,) = await on.block()
        receipt = await on.node.rpc("eth_getTransactionReceipt", name)
        assert one.destinations == (Party(receipt["contractAddress"], 9),)


async def test_a_token_and_its_fee_are_two_movements_of_one_transaction() -> None:
    async with scene() as on:
        name = await send_token(on.node, HOT, contract=str(USDT.contract), to=THIEF, units=44, gas_price=3)
        coin, token = sorted(await on.block(), key=lambda one: one.token.contract is not None)
        assert (coin.transaction, token.transaction) == (name, name)
        assert (token.token, token.changes, token.fee) == (USDT, ((HOT, -44),), 0)
        assert (token.destinations, token.sources) == ((Party(THIEF, 44),), (Party(HOT, 44),))
        assert coin.changes == ((HOT, -(coin.fee or 0)),)
        assert not coin.destinations


async def test_a_token_transfer_that_fails_moves_no_token() -> None:
    async with scene() as on:
        await send_token(on.node, HOT, contract=str(USDT.contract), to=THIEF, units=10**12, gas_price=3)
        (one,) = await on.block()
        assert one.token == COIN
        assert one.changes == ((HOT, -(one.fee or 0)),)


async def test_a_token_deposit_needs_no_transaction_of_ours() -> None:
    async with scene() as on:
        await send_token(on.node, HOT, contract=str(DAI.contract), to=STRANGER, units=50)
        await on.block()
        await send_token(on.node, STRANGER, contract=str(DAI.contract), to=COLD, units=20)
        (one,) = await on.block()
        assert (one.token, one.changes, one.sources) == (DAI, ((COLD, 20),), (Party(STRANGER, 20),))


@pytest.mark.parametrize("traces", ["auto", "off"])
async def test_ether_that_a_contract_passes_on_is_told_with_its_origin_where_there_are_traces(traces: str) -> None:
    async with scene({CONTRACT: passing_on(HOT)}, traces=traces) as on:
        name = await send(on.node, STRANGER, to=CONTRACT, value=600)
        (one,) = await on.block()
        assert one.changes == ((HOT, 600),)
        assert one.tip is not None
        expected = (name, "0x" + "57" * 20) if traces == "auto" else (f"block:{one.tip.hash}", "unknown")
        assert (one.transaction, one.sources[0].name) == expected


@pytest.mark.parametrize("traces", ["auto", "off"])
async def test_a_vault_that_pays_when_it_is_called_is_told_though_no_transaction_is_from_or_to_it(traces: str) -> None:
    """The way of every contract wallet: a call to a module that makes the vault pay."""
    async with scene({VAULT: paying(THIEF, 700), CONTRACT: passing_on(VAULT)}, traces=traces) as on:
        name = await send(on.node, STRANGER, to=CONTRACT, value=0)
        (one,) = await on.block()
        assert (one.changes, one.stage) == (((VAULT, -700),), Stage.MINED)
        assert one.tip is not None
        expected = (name, THIEF) if traces == "auto" else (f"block:{one.tip.hash}", "unknown")
        assert (one.transaction, one.destinations) == (expected[0], (Party(expected[1], 700),))


async def test_ether_that_goes_through_us_shows_what_stays_with_whom() -> None:
    async with scene({VAULT: passing_on(THIEF)}) as on:
        await send(on.node, HOT, to=VAULT, value=30)
        (one,) = await on.block()
        assert ({account: units for account, units in one.changes if units}, one.destinations) == (
            {HOT: -30},
            (Party(THIEF, 30),),
        )


async def test_what_a_failed_call_would_have_paid_is_not_told() -> None:
    async with scene({VAULT: paying_and_failing(THIEF, 700)}) as on:
        await send(on.node, STRANGER, to=VAULT, value=0)
        assert await on.block() == []


async def test_what_the_maker_of_a_block_earns_is_told_as_the_rest() -> None:
    async with scene() as on:
        await on.node.rpc("anvil_setCoinbase", COLD)
        await send(on.node, STRANGER, to=OTHER, value=1, gas_price=7)
        (one,) = await on.block()
        assert one.tip is not None
        assert (one.transaction, one.changes) == (f"block:{one.tip.hash}", ((COLD, 7 * 21_000),))
        assert (one.sources, one.destinations) == ((Party("unknown", 7 * 21_000),), ())


async def test_a_token_whose_balances_change_without_a_log_is_told_as_the_rest() -> None:
    async with scene() as on:
        slot = f"0x{HOT[2:]:0>64}"
        await on.node.mine()
        await on.node.rpc("anvil_setStorageAt", USDT.contract, slot, f"0x{5:064x}")
        (one,) = await on.block() or await on.block()
        assert one.transaction.startswith("block:")
        assert (one.token, one.changes) == (USDT, ((HOT, 5 - 10**6),))
        assert one.destinations == (Party("unknown", 10**6 - 5),)


async def test_a_payout_of_three_hundred_is_told_with_all_of_it_and_asks_for_the_blocks_receipts_at_once() -> None:
    async with (
        furnished(WATCH) as node,
        Forger(node.url).running() as proxy,
        followed([proxy.url], watch=WATCH, pending="off") as updates,
    ):
        audit = Audit(WATCH)
        audit.take(await anext(updates))
        names = [await send(node, HOT, to=f"0x{0xD00 + one:040x}", value=1 + one, gas_price=1) for one in range(300)]
        before = proxy.requests
        await node.mine()
        update = await audit.until(updates, block=(await node.head())[1])
    assert [one.transaction for one in update.movements] == names
    assert proxy.requests - before < 20


async def test_blocks_that_came_while_nobody_looked_are_told_each_with_its_own() -> None:
    async with scene(poll="200ms") as on:
        names = []
        for _ in range(8):
            names.append(await send(on.node, HOT, to=THIEF, value=1))
            await on.node.mine()
        heights = [one.tip.height for one in await on.block() if one.tip]
        told = {one.transaction: one.tip.height for one in on.audit.mined() if one.tip}
        assert list(told) == names
        assert sorted(told.values()) == sorted(set(told.values()))
        assert len(heights) <= 8


async def test_a_gap_that_is_too_large_is_passed_over_and_the_rest_says_what_it_moved() -> None:
    """Of more than a hundred blocks the newest hundred are told; what the balances changed by before is the rest."""
    async with (
        furnished(WATCH) as node,
        Forger(node.url).running() as proxy,
        followed([proxy.url], watch=WATCH, pending="off") as updates,
    ):
        audit = Audit(WATCH)
        audit.take(await anext(updates))
        proxy.drop = True
        await send(node, HOT, to=THIEF, value=1000)
        await node.mine(130)
        late = await send(node, COLD, to=THIEF, value=3)
        await node.mine()
        proxy.drop = False
        tip = (await node.head())[1]
        async for update in updates:
            if update.failure is None:
                audit.take(update)
                if update.tip is not None and update.tip.hash == tip and update.movements:
                    break
    assert {one.transaction for one in audit.mined()} == {late, f"block:{tip}"}
    (one,) = audit.rests()
    assert one.changes == ((HOT, -1000),)
    assert one.destinations == (Party("unknown", 1000),)


def leaving_out(transaction: Callable[[], str]) -> Callable[[str, list[object], object], object]:
    """A node that tells no log of this transaction, neither by block nor in its receipt."""

    def edit(method: str, _params: list[object], result: object) -> object:
        if method == "eth_getLogs" and isinstance(result, list):
            return [one for one in result if one["transactionHash"] != transaction()]
        if method == "eth_getTransactionReceipt" and isinstance(result, dict):
            return {**result, "logs": []}
        return result

    return edit


async def test_of_three_nodes_one_that_leaves_a_log_out_is_named_and_the_transfer_is_told() -> None:
    name = ""
    async with (
        furnished(WATCH) as node,
        Forger(node.url, edit=leaving_out(lambda: name)).running() as liar,
        followed([liar.url, node.url, node.url], watch=WATCH, pending="off", agree=2) as updates,
    ):
        audit = Audit(WATCH)
        audit.take(await anext(updates))
        name = await send_token(node, HOT, contract=str(USDT.contract), to=THIEF, units=44)
        await node.mine()
        update = await audit.until(updates, block=(await node.head())[1])
    (one,) = update.movements
    assert (one.transaction, one.changes) == (name, ((HOT, -44),))
    assert [(dispute.account, dispute.token) for dispute in update.disagreements] == [(HOT, USDT)]
    assert update.disagreements[0].answers[0] == ("a", "no such movement")


async def test_a_log_that_a_single_node_leaves_out_shows_as_the_rest_of_the_token() -> None:
    name = ""
    async with (
        furnished(WATCH) as node,
        Forger(node.url, edit=leaving_out(lambda: name)).running() as liar,
        followed([liar.url], watch=WATCH, pending="off") as updates,
    ):
        audit = Audit(WATCH)
        audit.take(await anext(updates))
        name = await send_token(node, HOT, contract=str(USDT.contract), to=THIEF, units=44)
        await node.mine()
        update = await audit.until(updates, block=(await node.head())[1])
    (one,) = update.movements
    assert one.transaction.startswith("block:")
    assert (one.changes, one.destinations) == (((HOT, -44),), (Party("unknown", 44),))
