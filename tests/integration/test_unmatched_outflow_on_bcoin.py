"""Withdrawals and what the books approved of them on a real Bitcoin chain: batches, fees, replacements."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal

import pytest

from daemon.detection.approval import Approval
from daemon.model import Judgement, Owner, Report, Tier, Wallet
from daemon.policy.unmatched_outflow import UnmatchedOutflow
from daemon.replay.bitcoin.wrapped import BitcoinNode
from tests.build import inventory
from tests.integration.bitcoin_chain import COIN, address, connected_to
from tests.integration.judged import Judged, judging, now, of
from tests.integration.purse import Lock, Money, transaction, txid_of
from tests.integration.regtest import Regtest

pytestmark = [pytest.mark.real, pytest.mark.timeout(120)]

RULE = UnmatchedOutflow.model_validate({"kind": "unmatched_outflow", "grace": "0s", "clear_after": "0s"})
HELD, FEE = 100_000_000, 200_000
BATCH = 200


@dataclass
class Scene:
    """`money` is the hot wallet's one coin."""

    chain: Regtest
    money: Money
    judged: Judged

    def approve(self, name: str, to: Lock, units: int, *, fee: int | None = None) -> None:
        coins, kept = Decimal(units).scaleb(-8), None if fee is None else Decimal(fee).scaleb(-8)
        at = now() - timedelta(minutes=1)
        self.judged.approved.append(Approval(name, "BTC", coins, address(to.script), at, fee=kept))

    async def mined(self) -> Report:
        await self.chain.node.mine()
        return await self.judged.at((await self.chain.node.head())[1])


@asynccontextmanager
async def watched(chain: Regtest) -> AsyncIterator[Scene]:
    (hot,) = chain.locks("p2wpkh")
    money = await chain.fund(hot, HELD)
    await chain.node.mine()
    account = (address(hot.script),)
    inv = inventory(Wallet("btc-hot", "btc", Tier.HOT, Owner.CUSTOMER, None, account), assets={"BTC": [COIN]})
    async with AsyncExitStack() as stack:
        node = await stack.enter_async_context(BitcoinNode(chain.node.url))
        connector = await stack.enter_async_context(connected_to(node=node.url))
        judged = await stack.enter_async_context(judging(connector, inv=inv, rule=RULE))
        await judged.verdict("btc-hot", Judgement.OK)
        yield Scene(chain, money, judged)


def shown(report: Report) -> dict[str, str]:
    """Transaction to stage, as the finding's evidence has them."""
    evidence = of(report, "btc-hot").evidence.get("transactions", [])
    return {one["transaction"]: one["stage"] for one in evidence}


def name_of(raw: bytes) -> str:
    return txid_of(raw)[::-1].hex()


def paying(money: Money, *parts: tuple[Lock, int]) -> bytes:
    """With change."""
    left = money.value - sum(units for _, units in parts) - FEE
    return transaction([money], [*((to.script, units) for to, units in parts), (money.lock.script, left)])


@pytest.mark.parametrize(
    ("approved", "fee", "paid", "told"),
    [
        (500_000, None, 500_000, []),
        (500_000, 1_000, 499_000, []),
        (500_000, 1_000, 500_000, []),
        (500_000, 1_000, 498_999, ["firing btc-hot"]),
        (500_000, None, 500_001, ["firing btc-hot"]),
    ],
    ids=["as approved", "less its fee", "the fee on top", "a satoshi less than that", "a satoshi more"],
)
async def test_the_amount_is_matched_to_the_satoshi_with_the_fee_included_or_on_top(
    approved: int, fee: int | None, paid: int, told: list[str], chain: Regtest
) -> None:
    async with watched(chain) as scene:
        (customer,) = chain.locks("p2wpkh")
        scene.approve("w1", customer, approved, fee=fee)
        await chain.node.submit(paying(scene.money, (customer, paid)))
        await scene.mined()
        assert scene.judged.told == told


@pytest.mark.parametrize("stolen", [False, True], ids=["all approved", "one of them a theft"])
async def test_of_a_batch_of_two_hundred_each_is_matched_for_itself(chain: Regtest, *, stolen: bool) -> None:
    async with watched(chain) as scene:
        customers = chain.locks(*["p2wpkh"] * BATCH)
        for number, customer in enumerate(customers):
            if not (stolen and number == BATCH // 2):
                scene.approve(f"w{number}", customer, 10_000 + number)
        raw = paying(scene.money, *((customer, 10_000 + number) for number, customer in enumerate(customers)))
        await chain.node.submit(raw)
        report = await scene.mined()
        assert scene.judged.told == (["firing btc-hot"] if stolen else [])
        if stolen:
            thief = address(customers[BATCH // 2].script)
            (told,) = of(report, "btc-hot").evidence["transactions"]
            assert told["unmatched"] == {thief: "0.000101"}


async def test_pending_first_replaced_at_a_higher_fee_and_mined_is_one_finding_that_follows(chain: Regtest) -> None:
    async with watched(chain) as scene:
        (thief,) = chain.locks("p2wpkh")
        first = transaction([scene.money], [(thief.script, HELD - FEE)])
        second = transaction([scene.money], [(thief.script, HELD - 5 * FEE)])
        await chain.node.submit(first)
        before = await scene.judged.until(lambda report: shown(report) == {name_of(first): "pending"})
        await chain.node.replace(second)
        await scene.judged.until(lambda report: shown(report) == {name_of(second): "pending"})
        report = await scene.mined()
        assert shown(report) == {name_of(second): "mined"}
        assert [one.id for one in report.findings] == [one.id for one in before.findings]
        assert scene.judged.told == ["firing btc-hot"]


async def test_a_withdrawal_that_is_replaced_at_a_higher_fee_uses_its_approval_once(chain: Regtest) -> None:
    async with watched(chain) as scene:
        (customer,) = chain.locks("p2wpkh")
        scene.approve("w1", customer, 500_000)
        slow = paying(scene.money, (customer, 500_000))
        left = scene.money.value - 500_000 - 5 * FEE
        fast = transaction([scene.money], [(customer.script, 500_000), (scene.money.lock.script, left)])
        await chain.node.submit(slow)
        await scene.judged.until(lambda report: any(one.moved.movement.fee == FEE for one in report.movements))
        await chain.node.replace(fast)
        await scene.mined()
        assert scene.judged.told == []
