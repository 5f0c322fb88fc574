"""Random walks on a real chain: node, Electrum and Esplora tell the same coins, those of a naive recomputation."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from datetime import timedelta
from pathlib import Path

import pytest

from connectors.bitcoin.sources.base import Coin, Source
from connectors.bitcoin.sources.electrum import ElectrumSource
from connectors.bitcoin.sources.esplora import EsploraSource
from connectors.bitcoin.sources.node import NodeSource
from connectors.config import EndpointConfig
from connectors.heads import Heads
from connectors.transport import Timing, Transport
from daemon.replay.bitcoin.wrapped import BitcoinNode
from tests.integration.electrumx import ElectrumX
from tests.integration.esplora import EsploraServer
from tests.integration.purse import SPENDABLE, Lock, Money, transaction
from tests.integration.regtest import ASKED, Regtest, eventually, now

pytestmark = [pytest.mark.real, pytest.mark.timeout(120)]


@pytest.fixture
async def sources(chain: Regtest, tmp_path: Path) -> AsyncIterator[list[Source]]:
    electrumx = ElectrumX(chain.node.url, folder=tmp_path)
    electrumx.start()
    try:
        async with AsyncExitStack() as stack:
            node = await stack.enter_async_context(BitcoinNode(chain.node.url))
            server = await stack.enter_async_context(EsploraServer(chain.node).running())
            transports = []
            for name, url in (("core", node.url), ("esplora", server.url)):
                endpoint = EndpointConfig.model_validate({"url": url, "name": name})
                transport = Transport(endpoint, chain="btc", timeout=timedelta(seconds=10), timing=Timing())
                transports.append(await stack.enter_async_context(transport))
            electrum = ElectrumSource(electrumx.server, chain="btc", asked=ASKED, now=now, timing=Timing())
            await stack.enter_async_context(electrum)
            core = NodeSource(transports[0], asked=ASKED, now=now)
            yield [core, electrum, EsploraSource(transports[1], asked=ASKED, now=now)]
    finally:
        electrumx.stop()


class Walk:
    """Does something at random with locks of ours, a step at a time."""

    def __init__(self, chain: Regtest, *, seed: int) -> None:
        self.locks = chain.locks(*SPENDABLE, *SPENDABLE)
        self._chain = chain
        self._chance = random.Random(seed)
        self._spent: list[Money] = []

    async def step(self) -> str:
        steps = [
            self._fund,
            self._fund,
            self._spend,
            self._spend,
            self._replace,
            self._evict,
            self._mine,
            self._reorganise,
        ]
        step = self._chance.choice(steps)
        await step()
        return step.__name__

    async def _fund(self) -> None:
        chosen = self._chance.sample(self.locks, 3)
        await self._chain.pay([(lock.script, self._chance.randint(10_000, 90_000)) for lock in chosen])

    async def _spend(self) -> None:
        money = await self._confirmed()
        if money:
            inputs = self._chance.sample(money, min(len(money), 2))
            await self._chain.spend(inputs, self._outputs(inputs, fee=1_000))
            self._spent = inputs

    async def _replace(self) -> None:
        unspent = {(one.txid, one.vout) for one in await self._confirmed(pending=True)}
        if self._spent and all((one.txid, one.vout) in unspent for one in self._spent):
            await self._chain.node.replace(transaction(self._spent, self._outputs(self._spent, fee=5_000)))

    async def _evict(self) -> None:
        pool = sorted(await self._chain.node.mempool())
        if pool:
            await self._chain.node.evict(self._chance.choice(pool))
            await self._chain.recount()

    async def _mine(self) -> None:
        await self._chain.node.mine(self._chance.randint(1, 3))

    async def _reorganise(self) -> None:
        await self._chain.node.reorganise(depth=self._chance.randint(1, 6))

    def _outputs(self, inputs: list[Money], *, fee: int) -> list[tuple[bytes, int]]:
        worth = sum(money.value for money in inputs) - fee
        return [
            (self._chance.choice(self.locks).script, worth // 2),
            (self._chance.choice(self.locks).script, worth // 3),
        ]

    async def _confirmed(self, *, pending: bool = False) -> list[Money]:
        """Coins to spend; with `pending`, also those that something pending spends already."""
        by_script: dict[bytes, Lock] = {lock.script: lock for lock in self.locks}
        _, coins = await self._chain.truth(by_script)
        money = [Money(coin.txid, coin.vout, coin.value, by_script[coin.script]) for coin in sorted(coins)]
        gone = set() if pending else await self._chain.spent_in_mempool()
        return [one for one in money if (one.txid, one.vout) not in gone and one.value > 5_000]


@pytest.mark.parametrize("seed", range(3))
async def test_all_sources_tell_the_same_coins_after_every_step(
    chain: Regtest, sources: list[Source], seed: int
) -> None:
    walk = Walk(chain, seed=seed)
    scripts = [lock.script for lock in walk.locks]
    heads = Heads(sources, agree=3, timing=Timing(), now=now)
    for number in range(14):
        step = await walk.step()
        tip, expected = await chain.truth(scripts)

        async def agreed(tip: str = tip) -> bool:
            return {(await source.head()).hash for source in sources} == {tip}

        await eventually(agreed)
        assert (await heads.advance()).header.hash == tip
        for source in sources:
            coins: set[Coin] = set()
            for part in await source.coins(scripts):
                assert part.header.hash == tip
                coins |= set(part.coins)
            assert coins == expected, f"{source.transport.provider} after step {number}, {step}"
