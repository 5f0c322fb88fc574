"""The rule `cold_moved` on a real Bitcoin chain: pending first, mined later, replaced, evicted, and a refill beside."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

import pytest

from daemon.model import Inventory, Judgement, Owner, Report, Tier, Wallet
from daemon.policy.cold_moved import ColdMoved
from daemon.replay.bitcoin.wrapped import BitcoinNode
from tests.build import inventory
from tests.integration.bitcoin_chain import COIN, address, connected_to
from tests.integration.judged import Judged, judging, of
from tests.integration.purse import Lock, Money, transaction, txid_of
from tests.integration.regtest import Regtest

pytestmark = [pytest.mark.real, pytest.mark.timeout(120)]

RULE = ColdMoved.model_validate({"kind": "cold_moved", "clear_after": "0s"})


def wallets(cold: Lock, hot: Lock) -> Inventory:
    named = {"btc-cold": (Tier.COLD, cold), "btc-hot": (Tier.HOT, hot)}
    return inventory(
        *(
            Wallet(name, "btc", tier, Owner.CUSTOMER, None, (address(lock.script),))
            for name, (tier, lock) in named.items()
        ),
        assets={"BTC": [COIN]},
    )


class Vault:
    """A cold wallet with one coin of 0.01 BTC, a hot one and a stranger; `judged` follows the chain by a node."""

    def __init__(self, money: Money, *, hot: Lock, stranger: Lock, judged: Judged) -> None:
        self.money = money
        self.hot, self.stranger = hot, stranger
        self.judged = judged

    def payment(self, to: Lock, units: int) -> bytes:
        return transaction([self.money], [(to.script, units)])


@asynccontextmanager
async def watched(chain: Regtest) -> AsyncIterator[Vault]:
    cold, hot, stranger = chain.locks("p2wpkh", "p2pkh", "p2wpkh")
    money = await chain.fund(cold, 1_000_000)
    await chain.node.mine()
    async with AsyncExitStack() as stack:
        node = await stack.enter_async_context(BitcoinNode(chain.node.url))
        connector = await stack.enter_async_context(connected_to(node=node.url))
        judged = await stack.enter_async_context(judging(connector, inv=wallets(cold, hot), rule=RULE))
        await judged.verdict("btc-cold", Judgement.OK)
        yield Vault(money, hot=hot, stranger=stranger, judged=judged)


def shown(report: Report) -> dict[str, str]:
    """Transaction to stage, as the finding's evidence has them."""
    evidence = of(report, "btc-cold").evidence.get("transactions", [])
    return {one["transaction"]: one["stage"] for one in evidence}


def name_of(raw: bytes) -> str:
    return txid_of(raw)[::-1].hex()


async def test_a_payment_is_told_while_it_is_pending_and_is_the_same_finding_when_it_is_mined(chain: Regtest) -> None:
    async with watched(chain) as vault:
        raw = vault.payment(vault.stranger, 980_000)
        await chain.node.submit(raw)
        pending = await vault.judged.until(lambda report: shown(report) == {name_of(raw): "pending"})
        assert vault.judged.told == ["firing btc-cold"]
        summary = of(pending, "btc-cold").summary
        assert summary.startswith(
            f"btc-cold pays out 0.01 BTC: 0.0098 to {address(vault.stranger.script)}, fee 0.0002; "
            f"transaction {name_of(raw)}, pending since "
        )
        await chain.node.mine()
        height, _ = await chain.node.head()
        mined = await vault.judged.until(lambda report: shown(report) == {name_of(raw): "mined"})
        assert of(mined, "btc-cold").summary.endswith(f"in block {height}")
        assert [item.id for item in mined.findings] == [item.id for item in pending.findings]
        assert vault.judged.told == ["firing btc-cold"]


async def test_the_same_payment_to_the_hot_wallet_is_not_told(chain: Regtest) -> None:
    async with watched(chain) as vault:
        raw = vault.payment(vault.hot, 980_000)
        await chain.node.submit(raw)
        for stage in ("pending", "mined"):
            await vault.judged.until(
                lambda report, stage=stage: (
                    [  # type: ignore[misc]
                        (one.moved.movement.transaction, one.moved.movement.stage.value) for one in report.movements
                    ][:1]
                    == [(name_of(raw), stage)]
                )
            )
            await chain.node.mine()
        assert vault.judged.told == []


async def test_one_that_is_replaced_at_a_higher_fee_goes_on_as_the_same_finding(chain: Regtest) -> None:
    async with watched(chain) as vault:
        first, second = vault.payment(vault.stranger, 980_000), vault.payment(vault.stranger, 900_000)
        await chain.node.submit(first)
        before = await vault.judged.until(lambda report: shown(report) == {name_of(first): "pending"})
        await chain.node.replace(second)
        both = {name_of(first): "replaced", name_of(second): "pending"}
        after = await vault.judged.until(lambda report: shown(report) == both)
        assert "0.009 to" in of(after, "btc-cold").summary
        assert [item.id for item in after.findings] == [item.id for item in before.findings]
        assert vault.judged.told == ["firing btc-cold"]


async def test_one_that_is_replaced_by_a_payment_to_ourselves_is_over(chain: Regtest) -> None:
    async with watched(chain) as vault:
        await chain.node.submit(vault.payment(vault.stranger, 980_000))
        await vault.judged.verdict("btc-cold", Judgement.BREACH)
        rescue = vault.payment(vault.hot, 900_000)
        await chain.node.replace(rescue)
        await vault.judged.until(lambda _: vault.judged.told == ["firing btc-cold", "resolved btc-cold"])
        await chain.node.mine()
        found = await vault.judged.verdict("btc-cold", Judgement.OK)
        assert f"was replaced by {name_of(rescue)}" in found.summary


async def test_one_that_is_evicted_is_over_and_says_so(chain: Regtest) -> None:
    async with watched(chain) as vault:
        raw = vault.payment(vault.stranger, 980_000)
        await chain.node.submit(raw)
        await vault.judged.verdict("btc-cold", Judgement.BREACH)
        await chain.node.evict(name_of(raw))
        found = await vault.judged.verdict("btc-cold", Judgement.OK)
        assert f"its last payment, {name_of(raw)}, left the mempool at " in found.summary
        assert vault.judged.told == ["firing btc-cold", "resolved btc-cold"]


async def test_one_whose_block_is_undone_stays_the_same_finding_while_it_may_still_be_mined(chain: Regtest) -> None:
    async with watched(chain) as vault:
        raw = vault.payment(vault.stranger, 980_000)
        await chain.node.submit(raw)
        await chain.node.mine()
        await vault.judged.until(lambda report: shown(report) == {name_of(raw): "mined"})
        _, undone = await chain.node.head()
        await chain.node.reorganise(depth=1, length=3)
        report = await vault.judged.until(
            lambda report: (
                all(one["hash"] != undone for one in of(report, "btc-cold").evidence["blocks"].values())
                if of(report, "btc-cold").judgement is Judgement.BREACH
                else True
            )
        )
        gone = shown(report) == {}  # the node may have dropped it
        assert vault.judged.told == ["firing btc-cold", *(["resolved btc-cold"] if gone else [])]
