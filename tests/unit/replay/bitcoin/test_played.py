"""A played Bitcoin chain as a scenario sees it."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from connectors.bitcoin.config import BitcoinConfig
from daemon.replay.bitcoin.played import PlayedBitcoin
from daemon.replay.played import Opening, Overspent, PlayedChain, PlayedToken
from daemon.replay.simulation import Simulation
from tests.played_bitcoin import BEGIN, COLD, CUSTOMER, HOT, THIEF, WHOLE, ground
from tests.tasks import left_behind
from tests.unit.replay.bitcoin.asking import Core, played, urls


def begun(**balances: int) -> Opening:
    return ground({PlayedBitcoin.account(name): units for name, units in balances.items()}).opening()


async def test_it_is_a_played_chain() -> None:
    async with played({HOT: 5}) as chain:
        as_one: PlayedChain = chain
        assert as_one.units(HOT) == 5


def test_a_name_always_gives_the_same_address_and_another_name_another() -> None:
    assert PlayedBitcoin.account("hot") == HOT == PlayedBitcoin.account("hot") != PlayedBitcoin.account("hot ")
    assert HOT.startswith("bcrt1q")


def test_there_are_no_tokens() -> None:
    with pytest.raises(ValueError, match="no contracts"):
        PlayedBitcoin.contract("usdt")
    token = PlayedToken("x", "X", 8)
    with pytest.raises(ValueError, match="no tokens"):
        PlayedBitcoin(Opening({(HOT, None): 5}, [token], BEGIN, 1, Simulation(BEGIN), 1))
    with pytest.raises(ValueError, match="no tokens"):
        PlayedBitcoin(Opening({(HOT, "x"): 5}, [], BEGIN, 1, Simulation(BEGIN), 1))
    chain = PlayedBitcoin(begun(hot=5))
    with pytest.raises(ValueError, match="no token"):
        chain.pay(HOT, COLD, units=1, token="x")
    with pytest.raises(ValueError, match="no token"):
        chain.units(HOT, "x")


def test_a_chain_needs_a_node() -> None:
    with pytest.raises(ValueError, match="node"):
        ground({HOT: 5}).opened(nodes=0)


@pytest.mark.parametrize("nodes", [1, 2, 3])
async def test_its_settings_are_a_configuration_with_a_core_and_electrum_servers(nodes: int) -> None:
    async with played({HOT: 5}, nodes=nodes) as chain:
        config = BitcoinConfig.model_validate(chain.settings())
        assert config.providers == ("core", *(f"electrum-{place}" for place in range(1, nodes)))
        assert len(chain.faults) == nodes
        assert len(set(urls(chain))) == nodes


async def test_an_account_that_holds_nothing_may_stand_in_the_opening() -> None:
    async with played({HOT: 5, COLD: 0}) as chain:
        assert (chain.units(HOT), chain.units(COLD)) == (5, 0)


def test_an_opening_balance_may_be_of_several_coins() -> None:
    chain = PlayedBitcoin(begun(hot=100, cold=7), opening_coins={HOT: 9})
    assert [coin.units for coin in chain.coins(HOT)] == [11] * 8 + [12]
    assert [coin.units for coin in chain.coins(COLD)] == [7]


def test_the_theft_from_dmm_is_one_transaction_of_nine_inputs() -> None:
    """4,502.9 BTC and a fee of 0.1 BTC to one address, without change."""
    units, fee = 450_290_880_000, WHOLE // 10
    chain = PlayedBitcoin(begun(hot=units + fee), opening_coins={HOT: 9})
    chain.sweep(HOT, THIEF, fee=fee)
    chain.mine(time=BEGIN + timedelta(minutes=10))
    theft = chain.ledger.tip.transactions[1]
    assert (len(theft.inputs), len(theft.outputs), theft.fee) == (9, 1, fee)
    assert (chain.units(HOT), chain.units(THIEF)) == (0, units)


def test_payments_blocks_and_reorganisations_are_the_ledger_s() -> None:
    chain = PlayedBitcoin(begun(hot=100))
    chain.pay(HOT, CUSTOMER, units=10, fee=1)
    chain.mine(time=BEGIN + timedelta(minutes=10))
    chain.spend(chain.coins(HOT), outputs=[(COLD, 80)])
    chain.reorganise(1, time=BEGIN + timedelta(minutes=20))
    assert chain.height == 4
    chain.mine(time=BEGIN + timedelta(minutes=30))
    assert (chain.units(HOT), chain.units(CUSTOMER), chain.units(COLD)) == (0, 10, 80)
    with pytest.raises(Overspent):
        chain.pay(HOT, CUSTOMER, units=1)


async def test_the_same_seed_fails_the_same_requests() -> None:
    told = []
    for _ in range(2):
        async with played({HOT: 5}, seed=9) as chain:
            chain.faults[0].failing = 0.5
            core = Core(urls(chain)[0])
            told.append([(await core.post({"id": 1, "method": "getblockcount"}))[0] for _ in range(20)])
    assert told[0] == told[1]
    assert set(told[0]) == {200, 503}


async def test_nothing_is_left_running() -> None:
    before = asyncio.all_tasks()
    async with played({HOT: 5}, nodes=3) as chain:
        await Core(urls(chain)[0]).ask("getblockcount")
    assert not await left_behind(before)
