"""Payments and what the books approved of them on a real EVM chain, each beside its harmless twin."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from decimal import Decimal

import pytest

from connectors.base import Address, Stage
from daemon.detection.approval import Approval
from daemon.model import Judgement, Report, Tier
from daemon.policy.unmatched_outflow import UnmatchedOutflow
from tests.build import inventory, wallet
from tests.integration.anvil import AnvilNode
from tests.integration.evm_audit import send, send_token
from tests.integration.evm_chain import COIN, USDT, connected, furnished, watching
from tests.integration.judged import Judged, judging, now, of

pytestmark = [pytest.mark.real, pytest.mark.timeout(120)]

WATCH = watching(2)
HOT, COLD = WATCH.accounts  # each holds 10**18 wei, and 10**6 units of the token
CUSTOMER, THIEF = Address("0x" + "57" * 20), Address("0x" + "be" * 20)
INVENTORY = inventory(
    wallet("hot", Tier.HOT, int(HOT, 16), chain="eth"),
    wallet("cold", Tier.COLD, int(COLD, 16), chain="eth"),
    assets={"ETH": [COIN], "USDT": [USDT]},
)
RULE = UnmatchedOutflow.model_validate({"kind": "unmatched_outflow", "grace": "0s", "clear_after": "0s"})


def approval(name: str, units: int, *, asset: str = "ETH", to: str = CUSTOMER) -> Approval:
    token = COIN if asset == "ETH" else USDT
    coins = Decimal(units).scaleb(-token.decimals)
    return Approval(name, asset, coins, to, now() - timedelta(minutes=1))


@asynccontextmanager
async def watched() -> AsyncIterator[tuple[AnvilNode, Judged]]:
    async with (
        furnished(WATCH) as node,
        connected([node.url]) as connector,
        judging(connector, inv=INVENTORY, rule=RULE) as judged,
    ):
        await judged.verdict("hot", Judgement.OK)
        yield node, judged


def shown(report: Report) -> dict[str, str]:
    """Transaction to stage, as the finding's evidence has them."""
    evidence = of(report, "hot").evidence.get("transactions", [])
    return {one["transaction"]: one["stage"] for one in evidence}


@pytest.mark.parametrize(
    ("to", "units", "told"),
    [(CUSTOMER, 5, []), (CUSTOMER, 6, ["firing hot"]), (THIEF, 5, ["firing hot"])],
    ids=["as approved", "one wei more", "to somebody else"],
)
async def test_what_the_books_approved_is_not_told_and_one_wei_more_is(to: str, units: int, told: list[str]) -> None:
    async with watched() as (node, judged):
        judged.approved.append(approval("w1", 5))
        await send(node, HOT, to=to, value=units)
        await judged.mined(node)
        assert judged.told == told


async def test_tokens_are_matched_in_their_own_decimals_and_an_approval_that_left_twice_is_told() -> None:
    async with watched() as (node, judged):
        judged.approved.append(approval("w1", 1_000, asset="USDT"))
        first = await send_token(node, HOT, contract=str(USDT.contract), to=CUSTOMER, units=1_000)
        await judged.mined(node)
        assert judged.told == []
        second = await send_token(node, HOT, contract=str(USDT.contract), to=CUSTOMER, units=1_000)
        report = await judged.mined(node)
        assert shown(report) == {second: "mined"}
        assert f"approval w1 left twice: first in {first}" in of(report, "hot").summary


async def test_a_late_approval_ends_it_and_a_sweep_between_own_wallets_needs_none() -> None:
    async with watched() as (node, judged):
        await send(node, HOT, to=COLD, value=5)
        await judged.mined(node)
        assert judged.told == []
        name = await send(node, HOT, to=CUSTOMER, value=7)
        assert shown(await judged.mined(node)) == {name: "mined"}
        judged.approved.append(approval("w2", 7))
        await judged.verdict("hot", Judgement.OK)
        assert judged.told == ["firing hot", "resolved hot"]


async def test_pending_first_then_replaced_by_fee_then_mined_is_one_finding_that_follows() -> None:
    async with watched() as (node, judged):
        first = await send(node, HOT, to=THIEF, value=5, nonce=0)
        before = await judged.until(lambda report: shown(report) == {first: "pending"})
        second = await send(node, HOT, to=THIEF, value=5, gas_price=100, nonce=0)
        await judged.until(lambda report: shown(report) == {second: "pending"})
        report = await judged.mined(node)
        assert shown(report) == {second: "mined"}
        assert [one.id for one in report.findings] == [one.id for one in before.findings]
        assert judged.told == ["firing hot"]


async def test_an_approved_payment_that_is_replaced_by_fee_uses_its_approval_once() -> None:
    async with watched() as (node, judged):
        judged.approved.append(approval("w1", 5))
        first = await send(node, HOT, to=CUSTOMER, value=5, nonce=0)
        await judged.until(lambda report: (first, Stage.PENDING) in stages(report))
        await send(node, HOT, to=CUSTOMER, value=5, gas_price=100, nonce=0)
        await judged.mined(node)
        assert judged.told == []


async def test_a_payment_that_a_reorganisation_undoes_gives_its_approval_back() -> None:
    async with watched() as (node, judged):
        judged.approved.append(approval("w1", 5))
        first = await send(node, HOT, to=CUSTOMER, value=5)
        await judged.mined(node)
        await node.rpc("anvil_reorg", 1, [])
        await judged.until(lambda report: (first, Stage.PENDING) in stages(report))
        await judged.mining(node, lambda report: (first, Stage.EVICTED) in stages(report))
        second = await send(node, HOT, to=CUSTOMER, value=5, gas_price=100)
        assert second != first
        await judged.mined(node)
        assert judged.told == []
        third = await send(node, HOT, to=CUSTOMER, value=5)
        assert shown(await judged.mined(node)) == {third: "mined"}
        assert judged.told == ["firing hot"]


def stages(report: Report) -> set[tuple[str, Stage]]:
    return {(one.moved.movement.transaction, one.moved.movement.stage) for one in report.movements}
