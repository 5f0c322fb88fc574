"""The rule `control_changed` on real Safes: Bybit's way, a reorganisation, and what the inventory expects."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest

from daemon.model import Expected, Judgement, Tier
from daemon.policy.control_changed import ControlChanged
from tests.build import inventory, wallet
from tests.integration.anvil import AnvilNode
from tests.integration.evm_chain import COIN, connected
from tests.integration.judged import Judged, judging, of
from tests.integration.safe import ANSWERS_YES, Safe, call, overwriting, safe_on

pytestmark = [pytest.mark.real, pytest.mark.timeout(120)]

ALICE, BOB, MALLORY = (f"0x{letter * 20}" for letter in ("a1", "b2", "e5"))
FOREIGN, TRICK = (f"0x{letter * 20}" for letter in ("d2", "d3"))
RULE = ControlChanged.model_validate({"kind": "control_changed", "clear_after": "0s"})


@asynccontextmanager
async def watched(*, version: str = "1.1.1", expected: Expected = ()) -> AsyncIterator[tuple[Safe, Judged]]:
    async with AnvilNode() as node:
        safe = await safe_on(node, version=version, owners=(ALICE, BOB), threshold=1)
        await node.rpc("anvil_setCode", FOREIGN, ANSWERS_YES)
        await node.rpc("anvil_setCode", TRICK, overwriting(0, FOREIGN))
        await node.mine()
        cold = replace(wallet("vault", Tier.COLD, int(safe.address, 16), chain="eth"), expected=expected)
        inv = inventory(cold, assets={"ETH": [COIN]})
        async with connected([node.url], pending="off") as connector, judging(connector, inv=inv, rule=RULE) as judged:
            yield safe, judged


async def test_a_singleton_that_is_overwritten_is_one_finding_from_its_very_block() -> None:
    async with watched() as (safe, judged):
        await judged.verdict("vault", Judgement.OK)
        name = await safe.run("0x", to=TRICK, operation=1, signers=1)
        await safe.node.mine()
        report = await judged.at((await safe.node.head())[1])
        found = of(report, "vault")
        assert found.judgement is Judgement.BREACH
        assert f"singleton from {safe.singleton} to {FOREIGN}" in found.summary
        assert name in found.summary
        assert judged.told == ["firing vault"]


async def test_an_ordinary_transaction_of_the_same_safe_is_not_told() -> None:
    async with watched() as (safe, judged):
        await judged.verdict("vault", Judgement.OK)
        await safe.run("0x", to=FOREIGN, signers=1)
        await safe.node.mine()
        report = await judged.at((await safe.node.head())[1])
        assert of(report, "vault").judgement is Judgement.OK
        assert judged.told == []


async def test_a_change_that_a_reorganisation_undoes_is_withdrawn() -> None:
    async with watched(version="1.4.1") as (safe, judged):
        await judged.verdict("vault", Judgement.OK)
        await safe.run(call("addOwnerWithThreshold(address,uint256)", MALLORY, 1), signers=1)
        await safe.node.mine()
        await judged.verdict("vault", Judgement.BREACH)
        await safe.node.rpc("anvil_reorg", 1, [])
        await safe.node.mine()
        await judged.until(lambda _: judged.told == ["firing vault", "resolved vault"])


async def test_a_safe_that_is_not_as_the_inventory_expects_is_told_at_the_start_and_ends_when_it_is() -> None:
    async with watched(version="1.3.0", expected=((("threshold",), ("2",)),)) as (safe, judged):
        found = await judged.verdict("vault", Judgement.BREACH)
        assert found.summary.startswith(
            "Control of vault is not what the inventory expects: threshold is 1, expected 2"
        )
        await safe.run(call("changeThreshold(uint256)", 2), signers=1)
        await safe.node.mine()
        await judged.until(lambda _: judged.told == ["firing vault", "resolved vault"])
