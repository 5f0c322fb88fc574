"""Rules on behaviour on a real EVM chain: `unusual`, `dormant`, `tier_mismatch`, each beside a near-identical case."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest

from connectors.base import Address
from daemon.model import Inventory, Judgement, Report, Tier, Wallet
from daemon.policy.dormant import Dormant
from daemon.policy.rule import Rule
from daemon.policy.tier_mismatch import TierMismatch
from daemon.policy.unusual import Unusual
from tests.build import inventory, wallet
from tests.integration.anvil import AnvilNode
from tests.integration.evm_audit import send
from tests.integration.evm_chain import COIN, connected, furnished, watching
from tests.integration.judged import Judged, judging, of

pytestmark = [pytest.mark.real, pytest.mark.timeout(120)]

WATCH = watching(2)
HOT, COLD = WATCH.accounts
STRANGER = Address("0x" + "57" * 20)
UNUSUAL = Unusual.model_validate({"kind": "unusual", "clear_after": "0s", "history": 3})
DORMANT = Dormant.model_validate({"kind": "dormant", "clear_after": "0s"})
MISMATCH = TierMismatch.model_validate({"kind": "tier_mismatch", "clear_after": "0s"})
LONG_AGO = datetime.now(UTC).date() - timedelta(days=100)
"""More than the 90 days of `silence` before the node's first block, which lies a day and more back."""
USUAL = 10**15


def wallets(*, quiet_since: date | None = None) -> Inventory:
    def named(name: str, tier: Tier, account: Address) -> Wallet:
        return replace(wallet(name, tier, int(account, 16), chain="eth"), quiet_since=quiet_since)

    return inventory(named("hot", Tier.HOT, HOT), named("cold", Tier.COLD, COLD), assets={"ETH": [COIN]})


@asynccontextmanager
async def watched(rule: Rule, *, quiet_since: date | None = None) -> AsyncIterator[tuple[AnvilNode, Judged]]:
    async with furnished(WATCH) as node:
        await node.set_balances({HOT: 10**20, COLD: 10**20})
        async with (
            connected([node.url]) as connector,
            judging(connector, inv=wallets(quiet_since=quiet_since), rule=rule) as judged,
        ):
            await judged.at((await node.head())[1])
            yield node, judged


def stages(report: Report, subject: str) -> dict[str, str]:
    evidence = of(report, subject).evidence.get("transactions", [])
    return {one["transaction"]: one["stage"] for one in evidence}


async def pays(node: AnvilNode, judged: Judged, *, value: int, times: int = 1, payer: Address = HOT) -> str:
    """So many payments, each in a block of its own; the last one's name."""
    name = ""
    for _ in range(times):
        name = await send(node, payer, to=STRANGER, value=value)
        await node.mine()
        await judged.at((await node.head())[1])
    return name


async def test_a_payment_far_larger_than_those_before_is_told_while_pending_and_is_one_finding_when_mined() -> None:
    async with watched(UNUSUAL) as (node, judged):
        await pays(node, judged, value=USUAL, times=3)
        name = await send(node, HOT, to=STRANGER, value=10 * USUAL)
        pending = await judged.until(lambda report: stages(report, "hot") == {name: "pending"})
        assert "10 times the largest of 0.001 ETH before (+2)" in of(pending, "hot").summary
        await node.mine()
        mined = await judged.until(lambda report: stages(report, "hot") == {name: "mined"})
        assert [item.id for item in mined.findings] == [item.id for item in pending.findings]
        assert judged.told == ["firing hot"]


async def test_one_that_is_not_quite_as_much_larger_is_not_told() -> None:
    async with watched(UNUSUAL) as (node, judged):
        await pays(node, judged, value=USUAL, times=3)
        await pays(node, judged, value=10 * USUAL - 1)
        assert judged.told == []


async def test_one_as_large_that_goes_to_our_own_wallet_is_not_told() -> None:
    async with watched(UNUSUAL) as (node, judged):
        await pays(node, judged, value=USUAL, times=3)
        await send(node, HOT, to=COLD, value=10 * USUAL)
        await node.mine()
        await judged.at((await node.head())[1])
        assert judged.told == []


@pytest.mark.parametrize("quiet", [True, False], ids=["declared quiet", "nothing declared"])
async def test_a_wallet_that_is_declared_quiet_is_told_when_it_pays_and_one_that_is_not_is_not(quiet: bool) -> None:
    async with watched(DORMANT, quiet_since=LONG_AGO if quiet else None) as (node, judged):
        await pays(node, judged, value=USUAL, payer=COLD)
        assert judged.told == (["firing cold"] if quiet else [])


async def test_only_the_first_payment_after_the_silence_is_told() -> None:
    async with watched(DORMANT, quiet_since=LONG_AGO) as (node, judged):
        first = await pays(node, judged, value=USUAL, payer=COLD)
        await pays(node, judged, value=USUAL, payer=COLD)
        report = await judged.until(lambda report: of(report, "cold").judgement is Judgement.BREACH)
        assert stages(report, "cold") == {first: "mined"}


@pytest.mark.parametrize("spends", [21, 20])
async def test_a_cold_wallet_that_spends_three_times_a_day_is_told_and_one_that_spends_less_is_not(spends: int) -> None:
    async with watched(MISMATCH) as (node, judged):
        for _ in range(spends):
            await send(node, COLD, to=HOT, value=1)
            await node.mine()
        report = await judged.at((await node.head())[1])
        assert judged.told == (["firing cold"] if spends == 21 else [])
        assert report.wallets["cold"].observed is (Tier.WARM if spends == 21 else None)
        assert report.wallets["hot"].observed is None


@pytest.mark.parametrize("declared", ["cold", "hot"])
async def test_a_wallet_that_delegates_to_code_is_told_where_it_is_declared_cold(declared: str) -> None:
    account = COLD if declared == "cold" else HOT
    async with watched(MISMATCH) as (node, judged):
        await node.rpc("anvil_setCode", account, "0xef0100" + "be" * 20)
        await send(node, STRANGER_WITH_COINS, to=account, value=1)
        await node.mine()
        await judged.until(lambda report: report.wallets[declared].observed is Tier.HOT)
        assert judged.told == (["firing cold"] if declared == "cold" else [])


STRANGER_WITH_COINS = "0xf39fd6e51aad88f6f4ce6ab8827279cfffb92266"
"""The first of the accounts that anvil furnishes."""
