"""The rule `cold_moved` on a real EVM chain: pending and mined, tokens, contract wallets with and without traces."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from connectors.base import Address
from daemon.model import Judgement, Report, Tier
from daemon.policy.cold_moved import ColdMoved
from tests.build import inventory, wallet
from tests.integration.anvil import AnvilNode
from tests.integration.evm_audit import paying, send, send_token
from tests.integration.evm_chain import COIN, USDT, connected, furnished, watching
from tests.integration.judged import Judged, judging, of

pytestmark = [pytest.mark.real, pytest.mark.timeout(120)]

WATCH = watching(3)
HOT, COLD, SAFE = WATCH.accounts
STRANGER, THIEF = Address("0x" + "57" * 20), Address("0x" + "be" * 20)
INVENTORY = inventory(
    wallet("hot", Tier.HOT, int(HOT, 16), chain="eth"),
    wallet("cold", Tier.COLD, int(COLD, 16), chain="eth"),
    wallet("safe", Tier.COLD, int(SAFE, 16), chain="eth"),
    assets={"ETH": [COIN], "USDT": [USDT]},
)
RULE = ColdMoved.model_validate({"kind": "cold_moved", "clear_after": "0s"})


@asynccontextmanager
async def watched(*, safe_pays: str = THIEF, **settings: object) -> AsyncIterator[tuple[AnvilNode, Judged]]:
    """The safe is a contract that pays 700 wei to `safe_pays`, whoever calls it."""
    async with furnished(WATCH) as node:
        await node.set_balances({STRANGER: 10**20})
        await node.rpc("anvil_setCode", SAFE, paying(safe_pays, 700))
        await node.mine()
        async with (
            connected([node.url], **settings) as connector,
            judging(connector, inv=INVENTORY, rule=RULE) as judged,
        ):
            await judged.verdict("cold", Judgement.OK)
            yield node, judged


def shown(report: Report, wallet_name: str) -> dict[str, str]:
    """Transaction to stage, as the finding's evidence has them."""
    evidence = of(report, wallet_name).evidence.get("transactions", [])
    return {one["transaction"]: one["stage"] for one in evidence}


async def test_a_payment_is_told_while_it_is_pending_and_is_the_same_finding_when_it_is_mined() -> None:
    async with watched() as (node, judged):
        name = await send(node, COLD, to=THIEF, value=5)
        pending = await judged.until(lambda report: shown(report, "cold") == {name: "pending"})
        await node.mine()
        mined = await judged.until(lambda report: shown(report, "cold") == {name: "mined"})
        assert [item.id for item in mined.findings] == [item.id for item in pending.findings]
        assert judged.told == ["firing cold"]
        assert f"to {THIEF}" in of(mined, "cold").summary


async def test_the_same_payment_to_the_hot_wallet_is_not_told() -> None:
    async with watched() as (node, judged):
        await send(node, COLD, to=HOT, value=5)
        await node.mine()
        await judged.at((await node.head())[1])
        assert judged.told == []


@pytest.mark.parametrize(("to", "told"), [(THIEF, ["firing cold"]), (HOT, [])], ids=["a stranger", "the hot wallet"])
async def test_a_token_and_its_fee_are_told_where_the_token_leaves_and_else_not(to: str, told: list[str]) -> None:
    async with watched() as (node, judged):
        await send_token(node, COLD, contract=str(USDT.contract), to=to, units=44, gas_price=3)
        await node.mine()
        await judged.at((await node.head())[1])
        assert judged.told == told


@pytest.mark.parametrize("traces", ["auto", "off"])
async def test_a_contract_wallet_that_a_stranger_makes_pay_is_told(traces: str) -> None:
    async with watched(traces=traces) as (node, judged):
        await send(node, STRANGER, to=SAFE)
        await node.mine()
        report = await judged.at((await node.head())[1])
        assert judged.told == ["firing safe"]
        assert (THIEF if traces == "auto" else "to unknown") in of(report, "safe").summary


@pytest.mark.parametrize("traces", ["auto", "off"])
async def test_a_contract_wallet_that_refills_the_hot_one_is_not_told(traces: str) -> None:
    async with watched(safe_pays=HOT, traces=traces) as (node, judged):
        await send(node, STRANGER, to=SAFE)
        await node.mine()
        await judged.at((await node.head())[1])
        assert judged.told == []
