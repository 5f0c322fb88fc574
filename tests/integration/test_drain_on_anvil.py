"""The rule `drain` on a real EVM chain: fired and not fired by near-identical cases, over a reorg and an outage."""

from datetime import timedelta

import pytest

from daemon.model import Judgement, Tier
from daemon.policy.drain import Drain
from tests.build import inventory, wallet
from tests.integration.anvil import AnvilNode, Forger
from tests.integration.evm_chain import COIN, connected, furnished, watching
from tests.integration.judged import judging

pytestmark = [pytest.mark.real, pytest.mark.timeout(120)]

WATCH = watching(10)
HOT, *OTHERS = (int(account, 16) for account in WATCH.accounts)
THIEF = "0x" + "be" * 20
INVENTORY = inventory(
    wallet("hot", Tier.HOT, HOT, chain="eth"),
    wallet("cold", Tier.COLD, *OTHERS, chain="eth"),
    assets={"ETH": [COIN]},
)
RULE = Drain.model_validate({"kind": "drain", "window": "10m", "max_share": "0.10", "clear_after": "0s"})
TENTH = sum(10**18 + number for number in range(10)) // 10
"""Of what all accounts hold, rounded down: they hold 10**18 wei and a few more each."""


async def send(node: AnvilNode, *, units: int, to: str = THIEF) -> str:
    """From the richest account, mined; the block's hash."""
    await node.send(WATCH.accounts[-1], to=to, value=units)
    await node.mine()
    return (await node.head())[1]


@pytest.mark.parametrize(
    ("units", "expected"), [(TENTH, Judgement.OK), (TENTH + 1, Judgement.BREACH)], ids=["a tenth", "a wei more"]
)
async def test_a_tenth_may_go_and_not_a_wei_more(units: int, expected: Judgement) -> None:
    async with (
        furnished(WATCH) as node,
        connected([node.url]) as connector,
        judging(connector, inv=INVENTORY, rule=RULE, telling=False) as judged,
    ):
        await judged.verdict("ETH", Judgement.OK)
        report = await judged.at(await send(node, units=units))
        assert [(verdict.subject, verdict.judgement) for verdict in report.verdicts] == [("ETH", expected)]
        assert judged.told == (["firing ETH"] if expected is Judgement.BREACH else [])


async def test_the_same_amount_inside_the_inventory_is_no_drain() -> None:
    async with (
        furnished(WATCH) as node,
        connected([node.url]) as connector,
        judging(connector, inv=INVENTORY, rule=RULE, telling=False) as judged,
    ):
        await judged.verdict("ETH", Judgement.OK)
        report = await judged.at(await send(node, units=TENTH + 1, to=WATCH.accounts[0]))
        assert report.verdicts[0].judgement is Judgement.OK
        assert report.verdicts[0].measured is not None
        assert report.verdicts[0].measured.value == 0


async def test_two_payments_in_two_blocks_add_up() -> None:
    async with (
        furnished(WATCH) as node,
        connected([node.url]) as connector,
        judging(connector, inv=INVENTORY, rule=RULE, telling=False) as judged,
    ):
        await judged.verdict("ETH", Judgement.OK)
        first = await judged.at(await send(node, units=TENTH - 10))
        assert first.verdicts[0].judgement is Judgement.OK
        await judged.at(await send(node, units=0))
        await node.send(WATCH.accounts[0], to=THIEF, value=11)
        await node.mine()
        await judged.verdict("ETH", Judgement.BREACH)
        assert judged.told == ["firing ETH"]


async def test_a_drain_that_a_reorganisation_undoes_is_none() -> None:
    async with (
        furnished(WATCH) as node,
        connected([node.url]) as connector,
        judging(connector, inv=INVENTORY, rule=RULE, telling=False) as judged,
    ):
        await judged.verdict("ETH", Judgement.OK)
        await judged.at(await send(node, units=TENTH + 1))
        assert judged.told == ["firing ETH"]
        await node.rpc("anvil_reorg", 1, [])
        found = await judged.verdict("ETH", Judgement.OK)
        assert found.measured is not None
        assert found.measured.value == 0


async def test_a_deposit_that_a_reorganisation_undoes_is_no_drain() -> None:
    rich = "0x" + "ab" * 20
    async with (
        furnished(WATCH) as node,
        connected([node.url]) as connector,
        judging(connector, inv=INVENTORY, rule=RULE, telling=False) as judged,
    ):
        await node.set_balances({rich: 10**21})
        await node.mine()
        await judged.verdict("ETH", Judgement.OK)
        await node.send(rich, to=WATCH.accounts[0], value=10**20)
        await node.mine()
        await judged.at((await node.head())[1])
        await node.rpc("anvil_reorg", 1, [])
        report = await judged.at((await node.head())[1])
        assert report.verdicts[0].measured is not None
        assert report.verdicts[0].measured.value == 0
        assert judged.told == []


@pytest.mark.parametrize("units", [TENTH, TENTH + 1], ids=["a tenth", "a wei more"])
async def test_what_goes_while_the_node_is_away_shows_when_it_is_back(units: int) -> None:
    async with (
        furnished(WATCH) as node,
        Forger(node.url).running() as proxy,
        connected([proxy.url]) as connector,
        judging(connector, inv=INVENTORY, rule=RULE, telling=False, max_age=timedelta(milliseconds=500)) as judged,
    ):
        await judged.verdict("ETH", Judgement.OK)
        proxy.drop = True
        block = await send(node, units=units)
        await judged.verdict("ETH", Judgement.UNKNOWN)
        assert judged.told == []
        proxy.drop = False
        await judged.at(block)
        assert judged.told == (["firing ETH"] if units > TENTH else [])
