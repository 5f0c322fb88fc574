"""The rules `drain` and `tier_mismatch` on a real Bitcoin chain, fired and not fired by near-identical cases."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

import pytest

from daemon.model import Owner, Report, Tier, Wallet
from daemon.policy.drain import Drain
from daemon.policy.rule import Rule
from daemon.policy.tier_mismatch import TierMismatch
from daemon.replay.bitcoin.wrapped import BitcoinNode
from tests.build import inventory
from tests.integration.bitcoin_chain import COIN, address, connected_to
from tests.integration.judged import Judged, judging
from tests.integration.purse import Lock, Money, transaction, txid_of
from tests.integration.regtest import Regtest

pytestmark = [pytest.mark.real, pytest.mark.timeout(120)]

DRAIN = Drain.model_validate({"kind": "drain", "window": "10m", "max_share": "0.10", "clear_after": "0s"})
MISMATCH = TierMismatch.model_validate({"kind": "tier_mismatch", "clear_after": "0s"})
EACH, FEE = 1_000_000, 2_000
TENTH = 2 * EACH // 10


@dataclass
class Scene:
    """`money` is the cold wallet's one coin; the hot one holds as much."""

    chain: Regtest
    money: Money
    hot: Lock
    stranger: Lock
    judged: Judged

    async def pay(self, *parts: tuple[Lock, int]) -> None:
        """Out of the cold wallet, with change; it waits for a block."""
        rest = self.money.value - sum(units for _, units in parts) - FEE
        outputs = [*((lock.script, units) for lock, units in parts), (self.money.lock.script, rest)]
        raw = transaction([self.money], outputs)
        await self.chain.node.submit(raw)
        self.money = Money(txid_of(raw), len(parts), rest, self.money.lock)

    async def mined(self) -> Report:
        await self.chain.node.mine()
        return await self.judged.at((await self.chain.node.head())[1])


@asynccontextmanager
async def watched(chain: Regtest, *, rule: Rule) -> AsyncIterator[Scene]:
    cold, hot, stranger = chain.locks("p2wpkh", "p2wpkh", "p2wpkh")
    money = await chain.fund(cold, EACH)
    await chain.fund(hot, EACH)
    await chain.node.mine()
    wallets = [
        Wallet(f"btc-{tier.value}", "btc", tier, Owner.CUSTOMER, None, (address(lock.script),))
        for tier, lock in ((Tier.COLD, cold), (Tier.HOT, hot))
    ]
    async with AsyncExitStack() as stack:
        node = await stack.enter_async_context(BitcoinNode(chain.node.url))
        connector = await stack.enter_async_context(connected_to(node=node.url))
        inv = inventory(*wallets, assets={"BTC": [COIN]})
        judged = await stack.enter_async_context(judging(connector, inv=inv, rule=rule))
        await judged.at((await chain.node.head())[1])
        yield Scene(chain, money, hot, stranger, judged)


@pytest.mark.parametrize(
    ("units", "told"),
    [(TENTH - FEE, []), (TENTH - FEE + 1, ["firing BTC"])],
    ids=["a tenth with the fee", "a satoshi more"],
)
async def test_a_tenth_may_go_with_the_fee_and_not_a_satoshi_more(units: int, told: list[str], chain: Regtest) -> None:
    async with watched(chain, rule=DRAIN) as scene:
        await scene.pay((scene.stranger, units))
        await scene.mined()
        assert scene.judged.told == told


async def test_as_much_that_goes_to_our_own_wallet_is_no_drain(chain: Regtest) -> None:
    async with watched(chain, rule=DRAIN) as scene:
        await scene.pay((scene.hot, 2 * TENTH))
        await scene.mined()
        assert scene.judged.told == []


async def test_two_payments_in_two_blocks_add_up(chain: Regtest) -> None:
    async with watched(chain, rule=DRAIN) as scene:
        await scene.pay((scene.stranger, TENTH // 2))
        await scene.mined()
        assert scene.judged.told == []
        await scene.pay((scene.stranger, TENTH // 2))
        await scene.mined()
        assert scene.judged.told == ["firing BTC"]


@pytest.mark.parametrize("spends", [21, 20])
async def test_a_cold_wallet_that_spends_three_times_a_day_is_told_and_one_that_spends_less_is_not(
    spends: int, chain: Regtest
) -> None:
    async with watched(chain, rule=MISMATCH) as scene:
        for _ in range(spends):
            await scene.pay((scene.hot, 1_000))
        report = await scene.mined()
        assert scene.judged.told == (["firing btc-cold"] if spends == 21 else [])
        assert report.wallets["btc-cold"].observed is (Tier.WARM if spends == 21 else None)
        assert report.wallets["btc-hot"].observed is None
