"""Movements on a real chain, from the first sighting in a mempool to the last reorganisation, by every source."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import pytest

from connectors.base import Connector, Movement, Stage, Update
from daemon.replay.bitcoin.wrapped import BitcoinNode, UtxoSet
from tests.integration.bitcoin_chain import address, connected_to, following, watching
from tests.integration.electrumx import ElectrumX
from tests.integration.esplora import EsploraServer
from tests.integration.purse import Lock, Money, transaction, txid_of
from tests.integration.regtest import Regtest

pytestmark = [pytest.mark.real, pytest.mark.timeout(120)]

SOURCES = ("node", "zmq", "electrum", "esplora", "all")


@asynccontextmanager
async def connected_by(
    source: str, *, chain: Regtest, utxos: UtxoSet, electrumx: ElectrumX, **more: object
) -> AsyncIterator[Connector]:
    async with AsyncExitStack() as stack:
        node = await stack.enter_async_context(BitcoinNode(chain.node.url, utxos=utxos))
        esplora = await stack.enter_async_context(EsploraServer(chain.node).running())
        electrum = [f"tcp://127.0.0.1:{electrumx.port}"]
        settings: dict[str, dict[str, Any]] = {
            "node": {"node": node.url},
            "zmq": {"node": {"url": node.url, "zmq": node.zmq_address}},
            "electrum": {"electrum": electrum},
            "esplora": {"esplora": [esplora.url]},
            "all": {"node": node.url, "electrum": electrum, "esplora": [esplora.url], "agree": 3},
        }
        yield await stack.enter_async_context(connected_to(**settings[source], **more))


@pytest.fixture(params=SOURCES)
async def connector(
    request: pytest.FixtureRequest, chain: Regtest, utxos: UtxoSet, electrumx: ElectrumX
) -> AsyncIterator[Connector]:
    async with connected_by(request.param, chain=chain, utxos=utxos, electrumx=electrumx) as connector:
        yield connector


class Told:
    """The newest movement of each transaction, as a consumer of the updates knows it."""

    def __init__(self, updates: AsyncGenerator[Update, None]) -> None:
        self.newest: dict[str, Movement] = {}
        self.stages: dict[str, list[Stage]] = {}
        self._updates = updates

    async def until(self, wanted: Callable[[], bool], *, within: float = 30) -> None:
        async with asyncio.timeout(within):
            while not wanted():
                await self.updates(1)

    async def updates(self, number: int) -> None:
        for _ in range(number):
            update = await anext(self._updates)
            for movement in update.movements:
                self.newest[movement.transaction] = movement
                self.stages.setdefault(movement.transaction, []).append(movement.stage)

    async def stage(self, txid: bytes, stage: Stage) -> Movement:
        """Waits until the transaction has come to the stage."""
        name = txid[::-1].hex()
        await self.until(lambda: name in self.newest and self.newest[name].stage is stage)
        return self.newest[name]

    def of(self, txid: bytes) -> list[Stage]:
        return self.stages.get(txid[::-1].hex(), [])

    async def begin(self) -> None:
        """Until the mempool was looked at once: the first update says nothing of it."""
        await anext(self._updates)


async def funded(chain: Regtest, lock: Lock, value: int) -> Money:
    money = await chain.fund(lock, value)
    await chain.node.mine()
    return money


async def test_a_spend_is_reported_from_the_mempool_with_fee_and_destinations_and_then_mined(
    chain: Regtest, connector: Connector
) -> None:
    cold, thief = chain.locks("p2wsh", "p2pkh")
    money = await funded(chain, cold, 1_000_000)
    async with following(connector, watching([cold])) as updates:
        told = Told(updates)
        await told.begin()
        txid = await chain.spend([money], [(thief.script, 900_000), (cold.script, 60_000)])
        pending = await told.stage(txid, Stage.PENDING)
        assert pending.tip is None
        assert pending.changes == ((address(cold.script), -940_000),)
        assert (pending.fee, pending.change) == (40_000, 60_000)
        assert 100 < pending.size < 400
        assert pending.destinations == ((address(thief.script), 900_000),)
        await chain.node.mine()
        mined = await told.stage(txid, Stage.MINED)
        _, tip = await chain.node.head()
        assert mined.tip is not None
        assert mined.tip.hash == tip
        assert mined.changes == pending.changes
        assert told.of(txid) == [Stage.PENDING, Stage.MINED]


async def test_a_replaced_spend_names_what_replaced_it(chain: Regtest, connector: Connector) -> None:
    cold, first, second = chain.locks("p2wpkh", "p2pkh", "p2wpkh")
    money = await funded(chain, cold, 500_000)
    async with following(connector, watching([cold])) as updates:
        told = Told(updates)
        await told.begin()
        old = await chain.spend([money], [(first.script, 480_000)])
        await told.stage(old, Stage.PENDING)
        raw = transaction([money], [(second.script, 450_000)])
        await chain.node.replace(raw)
        replaced = await told.stage(old, Stage.REPLACED)
        assert replaced.replaced_by == txid_of(raw)[::-1].hex()
        pending = await told.stage(txid_of(raw), Stage.PENDING)
        assert (pending.fee, pending.destinations) == (50_000, ((address(second.script), 450_000),))
        await chain.node.mine()
        await told.stage(txid_of(raw), Stage.MINED)
        assert told.of(old) == [Stage.PENDING, Stage.REPLACED]


async def test_an_evicted_spend_is_taken_back_and_may_come_again(chain: Regtest, connector: Connector) -> None:
    cold, other = chain.locks("p2pkh", "p2wpkh")
    money = await funded(chain, cold, 500_000)
    async with following(connector, watching([cold])) as updates:
        told = Told(updates)
        await told.begin()
        raw = transaction([money], [(other.script, 480_000)])
        await chain.node.submit(raw)
        await told.stage(txid_of(raw), Stage.PENDING)
        await chain.node.evict(txid_of(raw)[::-1].hex())
        await told.stage(txid_of(raw), Stage.EVICTED)
        await chain.node.submit(raw)
        await told.stage(txid_of(raw), Stage.PENDING)
        await chain.node.mine()
        await told.stage(txid_of(raw), Stage.MINED)
        assert told.of(txid_of(raw)) == [Stage.PENDING, Stage.EVICTED, Stage.PENDING, Stage.MINED]


async def test_a_deposit_that_is_spent_twice_by_its_payer_is_not_left_pending(
    chain: Regtest, connector: Connector
) -> None:
    """The second spend pays nobody we know. A node shows its whole mempool, so that it can name it."""
    payer, ours, stranger = chain.locks("p2wpkh", "p2pkh", "p2wpkh")
    money = await funded(chain, payer, 500_000)
    async with following(connector, watching([ours])) as updates:
        told = Told(updates)
        await told.begin()
        deposit = await chain.spend([money], [(ours.script, 480_000)])
        await told.stage(deposit, Stage.PENDING)  # a node tells the fee only when it is asked for
        await told.until(lambda: told.newest[deposit[::-1].hex()].fee == 20_000)
        assert told.newest[deposit[::-1].hex()].changes == ((address(ours.script), 480_000),)
        raw = transaction([money], [(stranger.script, 450_000)])
        await chain.node.replace(raw)
        ends = (Stage.REPLACED, Stage.EVICTED)
        await told.until(lambda: told.newest[deposit[::-1].hex()].stage in ends)
        end = told.newest[deposit[::-1].hex()]
        assert end.replaced_by == (txid_of(raw)[::-1].hex() if end.stage is Stage.REPLACED else None)
        await chain.node.evict(txid_of(raw)[::-1].hex())


async def test_a_chain_of_pending_spends_is_seen_whole(chain: Regtest, connector: Connector) -> None:
    """The second spends what the first has made, and both were there before we came."""
    cold, warm, other = chain.locks("p2wpkh", "p2wpkh", "p2pkh")
    money = await funded(chain, cold, 500_000)
    first = await chain.spend([money], [(warm.script, 480_000)])
    second = await chain.spend([Money(first, 0, 480_000, warm)], [(other.script, 460_000)])
    async with following(connector, watching([cold, warm])) as updates:
        told = Told(updates)
        await told.stage(first, Stage.PENDING)
        pending = await told.stage(second, Stage.PENDING)
        assert (pending.changes, pending.fee) == (((address(warm.script), -480_000),), 20_000)
        await chain.node.mine()
        await told.stage(second, Stage.MINED)


async def test_a_reorganisation_takes_a_mined_spend_back(chain: Regtest, connector: Connector) -> None:
    """The other branch does not hold it: it is pending again, or gone where the node did not take it back."""
    cold, other = chain.locks("p2wpkh", "p2pkh")
    money = await funded(chain, cold, 500_000)
    async with following(connector, watching([cold])) as updates:
        told = Told(updates)
        await told.begin()
        raw = transaction([money], [(other.script, 480_000)])
        await chain.node.submit(raw)
        await told.stage(txid_of(raw), Stage.PENDING)
        await chain.node.mine()
        mined = await told.stage(txid_of(raw), Stage.MINED)
        await chain.node.reorganise(depth=1, length=3)
        name = txid_of(raw)[::-1].hex()
        await told.until(lambda: told.newest[name] != mined)
        again = told.newest[name]
        if again.stage is Stage.MINED:  # the other branch holds it after all
            assert again.tip is not None
            assert mined.tip is not None
            assert again.tip.hash != mined.tip.hash
        else:
            assert again.stage in (Stage.PENDING, Stage.EVICTED)
            assert again.tip is None


@pytest.mark.parametrize("source", ["node", "zmq", "esplora"])
async def test_with_confirmations_a_spend_stays_pending_until_its_block_is_read(
    source: str, chain: Regtest, utxos: UtxoSet, electrumx: ElectrumX
) -> None:
    """It has left the mempool, and is not evicted for that."""
    cold, other = chain.locks("p2wpkh", "p2pkh")
    money = await funded(chain, cold, 500_000)
    await chain.node.mine(3)
    async with (
        connected_by(source, chain=chain, utxos=utxos, electrumx=electrumx, confirmations=3) as connector,
        following(connector, watching([cold])) as updates,
    ):
        told = Told(updates)
        await told.begin()
        txid = await chain.spend([money], [(other.script, 480_000)])
        await told.stage(txid, Stage.PENDING)
        for _ in range(3):
            assert told.of(txid) == [Stage.PENDING]
            await chain.node.mine()
            await told.updates(20)
        await told.stage(txid, Stage.MINED)
        assert told.of(txid) == [Stage.PENDING, Stage.MINED]
