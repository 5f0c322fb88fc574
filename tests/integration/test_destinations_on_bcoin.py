"""The rules on destinations on a real Bitcoin chain: pending first, replaced, undone, each beside its harmless twin."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

import pytest

from daemon.detection.destinations import Destinations
from daemon.model import Inventory, Judgement, Owner, Report, Tier, Wallet
from daemon.policy.probe import Probe
from daemon.policy.rule import Rule
from daemon.policy.unknown_destination import UnknownDestination
from daemon.replay.bitcoin.wrapped import BitcoinNode
from tests.build import inventory
from tests.integration.bitcoin_chain import COIN, address, connected_to
from tests.integration.judged import Judged, judging, of
from tests.integration.purse import Lock, Money, transaction, txid_of
from tests.integration.regtest import Regtest

pytestmark = [pytest.mark.real, pytest.mark.timeout(120)]

UNKNOWN = UnknownDestination.model_validate({"kind": "unknown_destination", "clear_after": "0s"})
PROBE = Probe.model_validate({"kind": "probe", "clear_after": "0s"})
HELD, SMALL = 100_000_000, 50_000
"""Satoshis: one whole coin, and less than a thousandth of it."""

FEE = 20_000


def wallets(cold: Lock, hot: Lock) -> Inventory:
    named = {"btc-cold": (Tier.COLD, cold), "btc-hot": (Tier.HOT, hot)}
    return inventory(
        *(
            Wallet(name, "btc", tier, Owner.CUSTOMER, None, (address(lock.script),))
            for name, (tier, lock) in named.items()
        ),
        assets={"BTC": [COIN]},
    )


@dataclass
class Scene:
    """`cold` and `hot` hold one coin each; `broker` is allowed, `thief` is nobody."""

    chain: Regtest
    cold: Money
    hot: Money
    broker: Lock
    thief: Lock
    judged: Judged

    async def mined(self) -> Report:
        await self.chain.node.mine()
        return await self.judged.at((await self.chain.node.head())[1])


@asynccontextmanager
async def watched(chain: Regtest, rule: Rule) -> AsyncIterator[Scene]:
    cold, hot, broker, thief = chain.locks("p2wpkh", "p2wpkh", "p2wpkh", "p2wpkh")
    from_cold, from_hot = await chain.fund(cold, HELD), await chain.fund(hot, HELD)
    await chain.node.mine()
    inv = wallets(cold, hot)
    known = Destinations(inv, {("btc", address(broker.script)): "broker"})
    async with AsyncExitStack() as stack:
        node = await stack.enter_async_context(BitcoinNode(chain.node.url))
        connector = await stack.enter_async_context(connected_to(node=node.url))
        judged = await stack.enter_async_context(judging(connector, inv=inv, rule=rule, destinations=known))
        await judged.verdict("btc-cold", Judgement.OK)
        yield Scene(chain, from_cold, from_hot, broker, thief, judged)


def payment(money: Money, to: Lock, units: int) -> tuple[bytes, Money]:
    """A transaction with change, and the change."""
    left = money.value - units - FEE
    raw = transaction([money], [(to.script, units), (money.lock.script, left)])
    return raw, Money(txid_of(raw), 1, left, money.lock)


def name_of(raw: bytes) -> str:
    return txid_of(raw)[::-1].hex()


def shown(report: Report, wallet_name: str) -> dict[str, str]:
    """Transaction to stage, as the finding's evidence has them."""
    evidence = of(report, wallet_name).evidence.get("transactions", [])
    return {one["transaction"]: one["stage"] for one in evidence}


async def test_a_vault_that_pays_a_stranger_is_told_while_it_waits_and_is_the_same_finding_when_mined(
    chain: Regtest,
) -> None:
    async with watched(chain, UNKNOWN) as scene:
        raw, _ = payment(scene.cold, scene.thief, HELD // 2)
        await chain.node.submit(raw)
        before = await scene.judged.until(lambda report: shown(report, "btc-cold") == {name_of(raw): "pending"})
        assert f"btc-cold pays 0.5 BTC to {address(scene.thief.script)}, neither" in of(before, "btc-cold").summary
        after = await scene.mined()
        assert shown(after, "btc-cold") == {name_of(raw): "mined"}
        assert [one.id for one in after.findings] == [one.id for one in before.findings]
        assert scene.judged.told == ["firing btc-cold"]


async def test_the_same_payment_to_a_broker_and_one_of_the_hot_wallet_to_a_stranger_are_not_told(
    chain: Regtest,
) -> None:
    async with watched(chain, UNKNOWN) as scene:
        await chain.node.submit(payment(scene.cold, scene.broker, HELD // 2)[0])
        await chain.node.submit(payment(scene.hot, scene.thief, HELD // 2)[0])
        await scene.mined()
        assert scene.judged.told == []


async def test_replaced_at_a_higher_fee_the_finding_follows_and_ends_when_it_is_turned_to_a_broker(
    chain: Regtest,
) -> None:
    async with watched(chain, UNKNOWN) as scene:
        first = transaction([scene.cold], [(scene.thief.script, HELD - FEE)])
        second = transaction([scene.cold], [(scene.thief.script, HELD - 5 * FEE)])
        rescue = transaction([scene.cold], [(scene.broker.script, HELD - 20 * FEE)])
        await chain.node.submit(first)
        before = await scene.judged.until(lambda report: shown(report, "btc-cold") == {name_of(first): "pending"})
        await chain.node.replace(second)
        after = await scene.judged.until(lambda report: shown(report, "btc-cold") == {name_of(second): "pending"})
        assert [one.id for one in after.findings] == [one.id for one in before.findings]
        assert scene.judged.told == ["firing btc-cold"]
        await chain.node.replace(rescue)
        await scene.judged.until(lambda report: shown(report, "btc-cold") == {})
        assert scene.judged.told == ["firing btc-cold", "resolved btc-cold"]


@pytest.mark.parametrize("to", ["thief", "broker"])
async def test_a_small_payment_and_then_half_of_all_is_a_probe_of_a_stranger_and_not_of_a_broker(
    chain: Regtest, to: str
) -> None:
    async with watched(chain, PROBE) as scene:
        payee = scene.thief if to == "thief" else scene.broker
        test, left = payment(scene.hot, payee, SMALL)
        await chain.node.submit(test)
        await scene.mined()
        assert scene.judged.told == []
        large, _ = payment(left, payee, HELD // 2)
        await chain.node.submit(large)
        report = await scene.mined()
        assert scene.judged.told == (["firing btc-hot"] if to == "thief" else [])
        assert shown(report, "btc-hot") == ({name_of(large): "mined"} if to == "thief" else {})


async def test_a_large_payment_whose_probe_was_mined_is_told_while_it_waits_and_follows_what_replaces_it(
    chain: Regtest,
) -> None:
    async with watched(chain, PROBE) as scene:
        test, left = payment(scene.hot, scene.thief, SMALL)
        await chain.node.submit(test)
        await scene.mined()
        large = transaction([left], [(scene.thief.script, left.value - FEE)])
        await chain.node.submit(large)
        before = await scene.judged.until(lambda report: shown(report, "btc-hot") == {name_of(large): "pending"})
        [told] = of(before, "btc-hot").evidence["transactions"]
        assert told["probe"]["transaction"] == name_of(test)
        faster = transaction([left], [(scene.thief.script, left.value - 5 * FEE)])
        await chain.node.replace(faster)
        after = await scene.judged.until(lambda report: shown(report, "btc-hot") == {name_of(faster): "pending"})
        assert [one.id for one in after.findings] == [one.id for one in before.findings]
        assert scene.judged.told == ["firing btc-hot"]


async def test_a_probe_that_is_evicted_takes_the_finding_with_it(chain: Regtest) -> None:
    async with watched(chain, PROBE) as scene:
        test, left = payment(scene.hot, scene.thief, SMALL)
        large, _ = payment(left, scene.thief, HELD // 2)
        await chain.node.submit(test)
        await scene.judged.until(
            lambda report: any(one.moved.movement.transaction == name_of(test) for one in report.movements)
        )
        await chain.node.submit(large)
        await scene.judged.until(lambda report: shown(report, "btc-hot") == {name_of(large): "pending"})
        await chain.node.evict(name_of(test))  # and with it what spends its change
        await scene.judged.until(lambda report: shown(report, "btc-hot") == {})
        assert scene.judged.told == ["firing btc-hot", "resolved btc-hot"]
