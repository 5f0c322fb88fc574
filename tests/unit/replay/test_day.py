"""The day of Example Exchange KK: sums hold, the calm hours are calm, and the plot happens when it should."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import yaml

from daemon.replay.day import DARK, DRAIN, LIGHT, MINUTES, PROBE, REPAIRED, STOPPED, WEEKEND, Minute, Power, write_day
from daemon.replay.evm.ledger import EvmLedger
from daemon.replay.exchange import ASSETS, CHAIN_ID, CUSTOMERS, THIEF, TOKENS, WALLETS, opening

MIDNIGHT = datetime(2026, 11, 20, tzinfo=UTC)
DEMO = Path(__file__).parents[3] / "config" / "demo.yaml"
Settings = dict[str, Any]
ETH = ASSETS["ETH"]
HOT = WALLETS["eth-hot-1"].accounts[0]


def played(script: tuple[Minute, ...]) -> EvmLedger:
    chain = EvmLedger(opening(), time=MIDNIGHT)
    for minute in script:
        chain.mine(minute.transfers, time=MIDNIGHT + minute.at)
    return chain


def shares(chain: EvmLedger) -> Iterator[Decimal]:
    """The hot share of customers' assets by value at each height, recomputed from nothing but balances."""
    customers = [wallet for wallet in WALLETS.values() if wallet.owner == "customer"]
    for height in range(MINUTES + 1):
        value = {"hot": Decimal(0), "warm": Decimal(0), "cold": Decimal(0)}
        for wallet in customers:
            for asset in ASSETS.values():
                units = sum(chain.balance((account, asset.contract), height=height) for account in wallet.accounts)
                value[wallet.tier] += Decimal(units) * asset.price / 10**asset.decimals
        yield value["hot"] / sum(value.values())


@pytest.fixture(scope="module")
def script() -> tuple[Minute, ...]:
    return write_day(1)


@pytest.fixture(scope="module")
def chain(script: tuple[Minute, ...]) -> EvmLedger:
    return played(script)


@pytest.fixture(scope="module")
def share(chain: EvmLedger) -> list[Decimal]:
    return list(shares(chain))


def test_a_day_is_1440_minutes(script: tuple[Minute, ...]) -> None:
    assert [minute.at for minute in script] == [timedelta(minutes=number) for number in range(1, MINUTES + 1)]


def test_the_same_seed_gives_the_same_day_and_another_another(script: tuple[Minute, ...]) -> None:
    assert write_day(1) == script
    assert write_day(2) != script


@pytest.mark.parametrize("seed", range(5))
def test_no_seed_overspends_and_every_total_stays(seed: int) -> None:
    """Mining raises on an overspent purse; what everybody has together is the same at midnight and midnight."""
    ended = played(write_day(seed))
    for asset in ASSETS.values():
        assert ended.supply(asset.contract) == ended.supply(asset.contract, height=0)


def test_totals_hold_at_every_hour(chain: EvmLedger) -> None:
    for asset in ASSETS.values():
        assert len({chain.supply(asset.contract, height=height) for height in range(0, MINUTES + 1, 60)}) == 1


def test_only_people_of_the_story_take_part(script: tuple[Minute, ...]) -> None:
    cast = {THIEF, *CUSTOMERS, *(account for wallet in WALLETS.values() for account in wallet.accounts)}
    contracts = {asset.contract for asset in ASSETS.values()}
    for minute in script:
        assert {move.sender for move in minute.transfers} | {move.recipient for move in minute.transfers} <= cast
        assert {move.token for move in minute.transfers} <= contracts


def test_the_thief_gives_nothing_back(script: tuple[Minute, ...]) -> None:
    assert not [move for minute in script for move in minute.transfers if move.sender == THIEF]


def test_ordinary_hours_keep_three_to_four_percent_hot(share: list[Decimal]) -> None:
    calm = share[:WEEKEND] + share[REPAIRED:]
    assert Decimal("0.03") < min(calm) <= max(calm) < Decimal("0.04")


def test_business_is_busy(script: tuple[Minute, ...]) -> None:
    """Deposits, withdrawals and sweeps go on in every ordinary hour."""
    hours = [sum(len(minute.transfers) for minute in script[start : start + 60]) for start in range(0, MINUTES, 60)]
    ordinary = hours[:9] + hours[16:]
    assert min(ordinary) > 40


def test_from_0940_the_share_is_far_over_the_limit_until_the_theft(share: list[Decimal]) -> None:
    assert share[WEEKEND - 1] < Decimal("0.05")
    assert min(share[WEEKEND:DRAIN]) > Decimal("0.07")


def test_the_theft_is_a_small_test_then_a_handful_of_large_transfers(script: tuple[Minute, ...]) -> None:
    stolen = [
        (minute.at, move.units // ETH.units(1))
        for minute in script
        for move in minute.transfers
        if move.recipient == THIEF
    ]
    times, coins = zip(*stolen, strict=True)
    assert times == tuple(timedelta(minutes=number) for number in (PROBE, *range(DRAIN, DRAIN + 5)))
    assert coins[0] == 1
    assert min(coins[1:]) >= 400


def test_after_the_theft_the_wallet_is_nearly_empty_and_the_share_looks_fine(
    chain: EvmLedger, share: list[Decimal]
) -> None:
    """The trap of the story: what was stolen is no longer hot."""
    assert all(chain.balance((HOT, None), height=height) < ETH.units(250) for height in range(DRAIN + 5, REPAIRED))
    assert max(share[DRAIN + 5 : REPAIRED]) < Decimal("0.03")


def test_the_hot_wallet_is_above_its_floor_at_all_other_times(chain: EvmLedger) -> None:
    calm = [*range(DRAIN), *range(REPAIRED, MINUTES + 1)]
    assert min(chain.balance((HOT, None), height=height) for height in calm) > ETH.units(400)


def test_nobody_withdraws_while_withdrawals_are_stopped(script: tuple[Minute, ...]) -> None:
    paid = [
        move for minute in script[STOPPED - 1 : REPAIRED] for move in minute.transfers if move.recipient in CUSTOMERS
    ]
    assert paid == []


def test_the_node_is_dark_for_45_minutes(script: tuple[Minute, ...]) -> None:
    assert [(minute.at, minute.power) for minute in script if minute.power] == [
        (timedelta(minutes=DARK), Power.OFF),
        (timedelta(minutes=LIGHT), Power.ON),
    ]
    assert LIGHT - DARK == 45


def test_what_really_happens_is_told_with_the_right_figures(script: tuple[Minute, ...], chain: EvmLedger) -> None:
    told = {minute.at: sentence for minute in script for sentence in minute.told}
    gone = chain.balance((THIEF, None)) // ETH.units(1)
    assert f"{gone:,} ETH are gone" in told[timedelta(minutes=STOPPED)]
    assert "1,500 ETH from eth-vault-1 to eth-hot-1" in told[timedelta(minutes=WEEKEND)]


def test_every_purse_opens_with_whole_units() -> None:
    """Spreading a wallet over its accounts loses nothing."""
    purses = opening()
    for wallet in WALLETS.values():
        for symbol, coins in wallet.opening.items():
            asset = ASSETS[symbol]
            assert sum(purses[account, asset.contract] for account in wallet.accounts) == asset.units(coins)


def test_no_address_is_used_twice() -> None:
    accounts = [account for wallet in WALLETS.values() for account in wallet.accounts]
    everybody = [*accounts, *CUSTOMERS, THIEF, *TOKENS]
    assert len(set(everybody)) == len(everybody)


@pytest.fixture(scope="module")
def demo() -> Settings:
    loaded: Settings = yaml.safe_load(DEMO.read_text())
    return loaded


def test_the_demonstrations_configuration_watches_exactly_these_wallets(demo: Settings) -> None:
    declared = {
        name: (wallet["tier"], wallet["owner"], tuple(wallet["addresses"])) for name, wallet in demo["wallets"].items()
    }
    assert declared == {name: (wallet.tier, wallet.owner, wallet.accounts) for name, wallet in WALLETS.items()}


def test_the_demonstrations_configuration_knows_these_assets(demo: Settings) -> None:
    declared = {
        name: (token.get("decimals", 18), token.get("contract"))
        for name, asset in demo["assets"].items()
        for token in asset["tokens"]
    }
    assert declared == {name: (asset.decimals, asset.contract) for name, asset in ASSETS.items()}
    assert demo["feeds"]["prices"][0]["values"] == {name: asset.price for name, asset in ASSETS.items()}


def test_the_demonstrations_configuration_is_of_this_chain(demo: Settings) -> None:
    assert demo["chains"]["ethereum"]["chain_id"] == CHAIN_ID
    assert demo["chains"]["ethereum"]["endpoints"] == ["${PYROMETER_DEMO_NODE}"]


def test_the_floor_in_the_configuration_is_what_the_story_breaks(demo: Settings, chain: EvmLedger) -> None:
    band = next(rule for rule in demo["policies"] if isinstance(rule, dict) and rule["kind"] == "wallet_band")
    floor = ETH.units(band["floor"])
    low = [height for height in range(MINUTES + 1) if chain.balance((HOT, None), height=height) < floor]
    assert low == list(range(DRAIN + 4, REPAIRED))
