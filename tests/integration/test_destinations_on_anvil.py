"""The rules on destinations on a real EVM chain: strangers, look-alikes and probes, each beside its harmless twin."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from connectors.base import Address
from daemon.detection.destinations import Destinations
from daemon.model import Judgement, Report, Tier
from daemon.policy.probe import Probe
from daemon.policy.rule import Rule
from daemon.policy.unknown_destination import UnknownDestination
from tests.build import inventory, wallet
from tests.integration.anvil import AnvilNode
from tests.integration.evm_audit import send, send_token
from tests.integration.evm_chain import COIN, USDT, connected, furnished, watching
from tests.integration.judged import Judged, judging, of

pytestmark = [pytest.mark.real, pytest.mark.timeout(120)]

WATCH = watching(2)
HOT, COLD = WATCH.accounts  # each holds 10**18 wei, and 10**6 units of the token
BROKER = Address("0xb0b5e1" + "11" * 14 + "c0ffee")
LOOK_ALIKE = Address("0xb0b5e1" + "22" * 14 + "c0ffee")
THIEF, OTHER = Address("0x" + "be" * 20), Address("0x" + "57" * 20)
INVENTORY = inventory(
    wallet("hot", Tier.HOT, int(HOT, 16), chain="eth"),
    wallet("cold", Tier.COLD, int(COLD, 16), chain="eth"),
    assets={"ETH": [COIN], "USDT": [USDT]},
)
KNOWN = Destinations(INVENTORY, {("eth", BROKER): "broker"})
UNKNOWN = UnknownDestination.model_validate({"kind": "unknown_destination", "clear_after": "0s"})
PROBE = Probe.model_validate({"kind": "probe", "clear_after": "0s"})


@asynccontextmanager
async def watched(rule: Rule) -> AsyncIterator[tuple[AnvilNode, Judged]]:
    async with (
        furnished(WATCH) as node,
        connected([node.url]) as connector,
        judging(connector, inv=INVENTORY, rule=rule, destinations=KNOWN) as judged,
    ):
        await judged.verdict("cold" if rule is UNKNOWN else "hot", Judgement.OK)
        yield node, judged


def shown(report: Report, wallet_name: str) -> dict[str, str]:
    """Transaction to stage, as the finding's evidence has them."""
    evidence = of(report, wallet_name).evidence.get("transactions", [])
    return {one["transaction"]: one["stage"] for one in evidence}


@pytest.mark.parametrize(
    ("payer", "to", "told"),
    [
        (COLD, THIEF, ["firing cold"]),
        (COLD, BROKER, []),
        (HOT, LOOK_ALIKE, ["firing hot"]),
        (HOT, THIEF, []),
    ],
    ids=["a vault and a stranger", "a vault and a broker", "a hot wallet and a look-alike", "one and a stranger"],
)
async def test_unknown_destinations_and_look_alikes_are_told_and_others_not(
    payer: str, to: str, told: list[str]
) -> None:
    async with watched(UNKNOWN) as (node, judged):
        await send(node, payer, to=to, value=5)
        report = await judged.mined(node)
        assert judged.told == told
        if to == LOOK_ALIKE:
            assert f"looks like broker {BROKER} but is not it" in of(report, "hot").summary


async def test_pending_first_mined_later_and_undone_by_a_reorganisation_is_one_finding_until_it_is_gone() -> None:
    async with watched(UNKNOWN) as (node, judged):
        name = await send(node, COLD, to=THIEF, value=5)
        pending = await judged.until(lambda report: shown(report, "cold") == {name: "pending"})
        await node.mine()
        later = await judged.until(lambda report: shown(report, "cold") == {name: "mined"})
        assert [one.id for one in later.findings] == [one.id for one in pending.findings]
        await node.rpc("anvil_reorg", 1, [])
        await judged.until(lambda report: shown(report, "cold") == {name: "pending"})
        assert judged.told == ["firing cold"]
        await judged.mining(node, lambda report: shown(report, "cold") == {})
        assert judged.told == ["firing cold", "resolved cold"]


async def test_replaced_at_a_higher_fee_the_finding_follows_and_ends_when_it_is_turned_to_a_broker() -> None:
    async with watched(UNKNOWN) as (node, judged):
        first = await send(node, COLD, to=THIEF, value=5, nonce=0)
        before = await judged.until(lambda report: shown(report, "cold") == {first: "pending"})
        second = await send(node, COLD, to=THIEF, value=4, gas_price=100, nonce=0)
        after = await judged.until(lambda report: shown(report, "cold") == {second: "pending"})
        assert [one.id for one in after.findings] == [one.id for one in before.findings]
        assert judged.told == ["firing cold"]
        await send(node, COLD, to=BROKER, value=4, gas_price=1000, nonce=0)
        await judged.until(lambda report: shown(report, "cold") == {})
        assert judged.told == ["firing cold", "resolved cold"]


@pytest.mark.parametrize(
    ("first", "second", "told"),
    [(THIEF, THIEF, ["firing hot"]), (OTHER, THIEF, []), (BROKER, BROKER, [])],
    ids=["the same new payee", "two new payees", "a broker"],
)
async def test_a_small_payment_in_ether_and_then_a_tenth_of_the_token_is_a_probe_of_one_payee_alone(
    first: str, second: str, told: list[str]
) -> None:
    async with watched(PROBE) as (node, judged):
        await send(node, HOT, to=first, value=10**15)
        await judged.mined(node)
        assert judged.told == []
        large = await send_token(node, HOT, contract=str(USDT.contract), to=second, units=100_000)
        report = await judged.mined(node)
        assert judged.told == told
        assert shown(report, "hot") == ({large: "mined"} if told else {})


async def test_a_probe_is_told_while_the_large_payment_waits_and_follows_what_replaces_it() -> None:
    async with watched(PROBE) as (node, judged):
        test = await send(node, HOT, to=THIEF, value=10**15, nonce=0)
        await judged.mined(node)
        large = await send(node, HOT, to=THIEF, value=10**17, nonce=1)
        before = await judged.until(lambda report: shown(report, "hot") == {large: "pending"})
        [told] = of(before, "hot").evidence["transactions"]
        assert told["probe"]["transaction"] == test
        faster = await send(node, HOT, to=THIEF, value=10**17, gas_price=100, nonce=1)
        after = await judged.until(lambda report: shown(report, "hot") == {faster: "pending"})
        report = await judged.mined(node)
        assert shown(report, "hot") == {faster: "mined"}
        assert (
            {one.id for one in report.findings}
            == {one.id for one in after.findings}
            == {one.id for one in before.findings}
        )
        assert judged.told == ["firing hot"]
