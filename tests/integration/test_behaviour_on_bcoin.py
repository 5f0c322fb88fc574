"""The rules `unusual` and `dormant` on a real Bitcoin chain: no change, an absurd fee, replacement, long silence."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from daemon.model import Inventory, Judgement, Owner, Report, Tier, Wallet
from daemon.policy.dormant import Dormant
from daemon.policy.rule import Rule
from daemon.policy.unusual import Unusual
from daemon.replay.bitcoin.wrapped import BitcoinNode
from tests.build import inventory
from tests.integration.bitcoin_chain import COIN, address, connected_to
from tests.integration.judged import Judged, judging, of
from tests.integration.purse import Lock, Money, transaction, txid_of
from tests.integration.regtest import Regtest

pytestmark = [pytest.mark.real, pytest.mark.timeout(120)]

UNUSUAL = Unusual.model_validate({"kind": "unusual", "clear_after": "0s", "history": 3})
FEE = Unusual.model_validate({"kind": "unusual", "clear_after": "0s", "threshold": 3})
DORMANT = Dormant.model_validate({"kind": "dormant", "clear_after": "0s"})
USUAL, COST = 20_000, 2_000


class Till:
    """A hot wallet of one address with one coin, out of which it pays a stranger; change comes back to it."""

    def __init__(self, chain: Regtest, *, money: Money, stranger: Lock, judged: Judged) -> None:
        self.chain, self.money, self.stranger, self.judged = chain, money, stranger, judged

    def payment(self, units: int, *, fee: int = COST, change: bool = True) -> tuple[bytes, int]:
        """The transaction and what comes back; without change the stranger has all but the fee."""
        rest = self.money.value - units - fee
        back = [(self.money.lock.script, rest)] if change else []
        paid = units if change else self.money.value - fee
        return transaction([self.money], [(self.stranger.script, paid), *back]), rest

    async def pay(self, units: int) -> None:
        """Mined, and told."""
        raw, rest = self.payment(units)
        await self.chain.node.submit(raw)
        await self.chain.node.mine()
        _, block = await self.chain.node.head()
        await self.judged.at(block)
        self.money = Money(txid_of(raw), 1, rest, self.money.lock)


@asynccontextmanager
async def watched(chain: Regtest, *, rule: Rule, silent_days: int | None = None) -> AsyncIterator[Till]:
    hot, stranger = chain.locks("p2wpkh", "p2wpkh")
    money = await chain.fund(hot, 200_000)
    await chain.node.mine()
    async with AsyncExitStack() as stack:
        node = await stack.enter_async_context(BitcoinNode(chain.node.url))
        connector = await stack.enter_async_context(connected_to(node=node.url))
        inv = wallets(hot, silent_days=silent_days)
        judged = await stack.enter_async_context(judging(connector, inv=inv, rule=rule))
        await judged.verdict("btc-hot", Judgement.OK)
        yield Till(chain, money=money, stranger=stranger, judged=judged)


def wallets(hot: Lock, *, silent_days: int | None) -> Inventory:
    one = Wallet("btc-hot", "btc", Tier.HOT, Owner.CUSTOMER, None, (address(hot.script),))
    if silent_days is not None:
        one = replace(one, quiet_since=datetime.now(UTC).date() - timedelta(days=silent_days))
    return inventory(one, assets={"BTC": [COIN]})


def shown(report: Report) -> dict[str, str]:
    evidence = of(report, "btc-hot").evidence.get("transactions", [])
    return {one["transaction"]: one["stage"] for one in evidence}


def parts(report: Report) -> set[str]:
    [one] = of(report, "btc-hot").evidence["transactions"]
    return set(one["parts"])


def name_of(raw: bytes) -> str:
    return txid_of(raw)[::-1].hex()


async def read(till: Till, raw: bytes) -> Report:
    """Until the payment is known, as pending."""

    def known(report: Report) -> bool:
        return any(one.moved.movement.transaction == name_of(raw) for one in report.movements)

    return await till.judged.until(known)


async def test_the_largest_ever_with_no_change_is_told_while_pending_and_is_one_finding_when_mined(
    chain: Regtest,
) -> None:
    async with watched(chain, rule=UNUSUAL) as till:
        for _ in range(3):
            await till.pay(USUAL)
        raw, _ = till.payment(0, change=False)
        await chain.node.submit(raw)
        pending = await till.judged.until(lambda report: shown(report) == {name_of(raw): "pending"})
        assert parts(pending) == {"largest", "no_change"}
        await chain.node.mine()
        mined = await till.judged.until(lambda report: shown(report) == {name_of(raw): "mined"})
        assert [item.id for item in mined.findings] == [item.id for item in pending.findings]
        assert till.judged.told == ["firing btc-hot"]


async def test_the_largest_ever_with_change_is_not_told(chain: Regtest) -> None:
    async with watched(chain, rule=UNUSUAL) as till:
        for _ in range(3):
            await till.pay(USUAL)
        raw, _ = till.payment(till.money.value - COST - 1_000)
        await chain.node.submit(raw)
        await read(till, raw)
        assert till.judged.told == []


@pytest.mark.parametrize(("fee", "told"), [(10_000, ["firing btc-hot"]), (9_999, [])])
async def test_a_fee_of_half_the_payment_is_told_and_a_little_less_is_not(
    chain: Regtest, fee: int, told: list[str]
) -> None:
    async with watched(chain, rule=FEE) as till:
        raw, _ = till.payment(USUAL, fee=fee)
        await chain.node.submit(raw)
        await read(till, raw)
        assert till.judged.told == told


async def test_when_it_is_replaced_at_a_higher_fee_the_finding_follows(chain: Regtest) -> None:
    async with watched(chain, rule=UNUSUAL) as till:
        for _ in range(3):
            await till.pay(USUAL)
        first, _ = till.payment(0, change=False)
        second, _ = till.payment(0, fee=10 * COST, change=False)
        await chain.node.submit(first)
        before = await till.judged.until(lambda report: shown(report) == {name_of(first): "pending"})
        await chain.node.replace(second)
        after = await till.judged.until(lambda report: shown(report) == {name_of(second): "pending"})
        assert [item.id for item in after.findings] == [item.id for item in before.findings]
        assert till.judged.told == ["firing btc-hot"]


@pytest.mark.parametrize(("days", "told"), [(90, ["firing btc-hot"]), (88, [])])
async def test_the_first_payment_after_ninety_silent_days_is_told_and_two_days_earlier_is_not(
    chain: Regtest, days: int, told: list[str]
) -> None:
    async with watched(chain, rule=DORMANT, silent_days=days) as till:
        raw, _ = till.payment(USUAL)
        await chain.node.submit(raw)
        await read(till, raw)
        assert till.judged.told == told
