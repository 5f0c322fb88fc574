"""A played NEM chain keeps the promises of `PlayedChain`."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from connectors.base import Address
from connectors.nem import mosaic
from connectors.nem.address import canonical
from connectors.nem.networks import NETWORKS
from daemon.replay.nem.played import PlayedNem, UnknownKey
from daemon.replay.played import Opening, Overspent, PlayedChain, PlayedToken
from daemon.replay.simulation import Simulation

START = datetime(2018, 1, 25, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
HOT, CUSTOMER, EMPTY = (PlayedNem.account(name) for name in ("hot", "customer", "empty"))
THIEF = "NC4C6PSUW5CLTDT5SXAGJDQJGZNESKFK5MCN77OG"
"""The address that took what Coincheck lost; see docs/incidents."""
COIN = PlayedNem.contract("USDT")
OPENING = {(HOT, None): 1000, (HOT, COIN): 500, (CUSTOMER, None): 100, (THIEF, None): 7}


def played(*, nodes: int = 1) -> PlayedNem:
    simulation = Simulation(START)
    tokens = [PlayedToken(COIN, "USDT", 2)]
    return PlayedNem(Opening(OPENING, tokens, START, nodes=nodes, simulation=simulation, seed=1))


def held(chain: PlayedChain) -> dict[tuple[str, str | None], int]:
    return {purse: chain.units(*purse) for purse in OPENING}


def test_it_opens_with_what_it_was_told_at_the_time_it_was_told() -> None:
    chain = played()
    assert held(chain) == OPENING
    assert chain.units(EMPTY) == chain.units(EMPTY, COIN) == 0
    assert chain.time == START


def test_accounts_and_mosaics_of_a_name_are_proper_and_always_the_same() -> None:
    assert canonical(HOT, network=NETWORKS["mainnet"]) == HOT == PlayedNem.account("hot") != CUSTOMER
    assert mosaic.canonical(COIN) == COIN == PlayedNem.contract("USDT") != PlayedNem.contract("usdt")
    assert mosaic.canonical(PlayedNem.contract("…")) == PlayedNem.contract("…")
    assert mosaic.canonical(PlayedNem.contract("x" * 99)) == PlayedNem.contract("x" * 99)


def test_what_is_paid_moves_when_it_is_mined_and_the_fee_goes_to_a_stranger() -> None:
    chain = played()
    chain.pay(HOT, THIEF, units=10, fee=3)
    chain.pay(HOT, CUSTOMER, units=20, token=COIN, fee=4)
    assert held(chain) == OPENING
    chain.mine(time=START + HOUR)
    assert chain.units(HOT) == 1000 - 10 - 3 - 4
    assert (chain.units(THIEF), chain.units(HOT, COIN), chain.units(CUSTOMER, COIN)) == (17, 480, 20)
    assert chain.units(CUSTOMER) == 100


def test_two_payments_that_are_alike_are_two() -> None:
    chain = played()
    assert chain.pay(HOT, CUSTOMER, units=10) != chain.pay(HOT, CUSTOMER, units=10)
    chain.mine(time=START + HOUR)
    assert chain.units(CUSTOMER) == 120


def test_what_waits_is_spent_already_and_what_comes_in_can_be_passed_on_in_the_same_block() -> None:
    chain = played()
    chain.pay(HOT, CUSTOMER, units=600, fee=1)
    with pytest.raises(Overspent, match="has 399 of XEM left, not 400"):
        chain.pay(HOT, CUSTOMER, units=390, fee=10)
    with pytest.raises(Overspent, match="has 700 of XEM left, not 701"):
        chain.pay(CUSTOMER, HOT, units=701)
    chain.pay(CUSTOMER, HOT, units=700)
    with pytest.raises(Overspent, match=f"has 500 of {COIN} left, not 501"):
        chain.pay(HOT, CUSTOMER, units=501, token=COIN)
    chain.mine(time=START + HOUR)
    assert (chain.units(HOT), chain.units(CUSTOMER)) == (1099, 0)


def test_a_refused_payment_leaves_nothing_behind() -> None:
    chain = played()
    with pytest.raises(Overspent):
        chain.pay(HOT, CUSTOMER, units=1, token=COIN, fee=1001)
    chain.pay(HOT, CUSTOMER, units=500, token=COIN, fee=1000)
    chain.mine(time=START + HOUR)
    assert chain.units(HOT) == 0


def test_an_address_out_of_history_can_be_paid_but_not_pay() -> None:
    with pytest.raises(UnknownKey, match=THIEF):
        played().pay(THIEF, HOT, units=1)


def test_blocks_have_the_times_that_they_were_given_and_none_before_its_parent() -> None:
    chain = played()
    chain.mine(time=START + HOUR)
    assert chain.time == START + HOUR
    with pytest.raises(ValueError, match="comes after its parent"):
        chain.mine(time=START + HOUR)


def test_a_payment_that_waits_for_days_is_mined_all_the_same() -> None:
    chain = played()
    chain.pay(HOT, CUSTOMER, units=1)
    chain.mine(time=START + timedelta(days=30))
    assert chain.units(CUSTOMER) == 101


def test_a_reorganisation_keeps_payments_and_what_waits_in_other_blocks() -> None:
    chain = played()
    for number in range(1, 5):
        chain.pay(HOT, CUSTOMER, units=number, fee=1)
        chain.mine(time=START + number * HOUR)
    before, old = held(chain), chain.ledger.blocks
    old = list(old)
    chain.pay(HOT, CUSTOMER, units=50)
    chain.reorganise(3, time=START + 5 * HOUR)
    new = chain.ledger.blocks
    assert held(chain) == before
    assert (len(new), new[:-4] == old[:-3]) == (len(old) + 1, True)
    assert not {mined.block.hash for mined in new[-4:]} & {mined.block.hash for mined in old}
    assert [len(mined.block.transactions) for mined in new[-4:]] == [0, 1, 1, 1]
    times = [mined.block.header.time for mined in new]
    assert times == sorted(set(times))
    assert chain.time == START + 5 * HOUR
    chain.mine(time=START + 6 * HOUR)
    assert chain.units(CUSTOMER) == before[CUSTOMER, None] + 50


def test_payments_that_wait_are_still_spent_after_a_reorganisation() -> None:
    chain = played()
    chain.mine(time=START + HOUR)
    chain.pay(HOT, CUSTOMER, units=900)
    chain.reorganise(1, time=START + 2 * HOUR)
    with pytest.raises(Overspent):
        chain.pay(HOT, CUSTOMER, units=101)


def test_the_opening_can_not_be_undone() -> None:
    chain = played()
    chain.mine(time=START + HOUR)
    for depth in (0, 2):
        with pytest.raises(ValueError, match="can't be undone"):
            chain.reorganise(depth, time=START + 2 * HOUR)


def test_the_same_calls_make_the_same_blocks() -> None:
    tips = []
    for _ in range(2):
        chain = played()
        chain.pay(HOT, CUSTOMER, units=1, token=COIN)
        chain.mine(time=START + HOUR)
        chain.reorganise(1, time=START + 2 * HOUR)
        tips.append(chain.tip)
    assert tips[0] == tips[1]


@pytest.mark.parametrize(
    ("token", "time", "why"),
    [
        (PlayedToken("a:b", "WEI", 18), START, "0 to 6 decimals"),
        (PlayedToken("a:b", "OLD", 6), datetime(2014, 2, 1, tzinfo=UTC), "NEM begins"),
    ],
)
def test_what_nem_can_not_be_is_refused(token: PlayedToken, time: datetime, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        PlayedNem(Opening({}, [token], time, nodes=1, simulation=Simulation(time), seed=1))


def test_a_year_of_quiet_hours_keeps_nothing_but_its_blocks() -> None:
    chain = played()
    chain.pay(HOT, CUSTOMER, units=1)
    for hour in range(1, 1001):
        chain.mine(time=START + hour * HOUR)
    customer = Address(CUSTOMER)
    units = [chain.ledger.world(height).units[customer, None] for height in (1, 2, 3, 1000)]
    assert units == [100, 100, 101, 101]
    chain.reorganise(900, time=START + 1001 * HOUR)
    assert (chain.units(CUSTOMER), len(chain.ledger.blocks)) == (101, 1003)
