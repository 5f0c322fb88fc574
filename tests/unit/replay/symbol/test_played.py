"""A played Symbol chain: who pays and for what, reorganisations, and how little a quiet year leaves."""

from __future__ import annotations

from datetime import timedelta
from itertools import pairwise

import pytest

from connectors.symbol.address import canonical, mosaic_id, of_public_key
from connectors.symbol.networks import NETWORKS
from daemon.replay.played import Overspent, PlayedChain
from daemon.replay.symbol.ledger import HARVESTER, INFLATION
from daemon.replay.symbol.played import PlayedSymbol
from tests.drilled import BLOCK
from tests.played_symbol import GOLD, GROUND, PLENTY, START, STRANGERS, accounts, ground

FIRST, SECOND = accounts(2)


def test_it_is_what_a_scenario_needs() -> None:
    played: PlayedChain = GROUND.opened(nodes=2)
    assert len(played.faults) == 2
    assert PlayedSymbol.account("x") == PlayedSymbol.account("x") != PlayedSymbol.account("y")
    assert canonical(PlayedSymbol.account("x"), network=NETWORKS["mainnet"]) == PlayedSymbol.account("x")
    assert mosaic_id(PlayedSymbol.contract("x")) == PlayedSymbol.contract("x") != PlayedSymbol.contract("y")


def test_who_pays_is_named_by_the_key_that_its_address_is_made_of() -> None:
    played = GROUND.opened()
    sent = played.ledger.unconfirmed[played.pay(FIRST, SECOND, units=1)]
    assert of_public_key(sent.signer.key, network=NETWORKS["mainnet"]) == FIRST


def test_an_address_whose_public_key_nobody_knows_is_paid_but_does_not_pay() -> None:
    played = GROUND.opened()
    known_elsewhere = "NCHEST3QRQS4JZGOO64TH7NFJ2A63YA7TM2K5EQ"
    played.pay(FIRST, known_elsewhere, units=5)
    played.mine(time=START + BLOCK)
    assert played.units(known_elsewhere) == 5
    with pytest.raises(ValueError, match="public key, which is not known"):
        played.pay(known_elsewhere, FIRST, units=1)


def test_more_than_there_is_cannot_be_spent_and_what_waits_is_spent() -> None:
    played = GROUND.opened()
    have = played.units(FIRST)
    played.pay(FIRST, SECOND, units=have - 10, fee=4)
    with pytest.raises(Overspent, match=f"{FIRST} has 6 units of the native coin left, not 7"):
        played.pay(FIRST, SECOND, units=5, fee=2)
    with pytest.raises(Overspent, match=f"has {played.units(FIRST, GOLD)} units of {GOLD} left"):
        played.pay(FIRST, SECOND, units=played.units(FIRST, GOLD) + 1, token=GOLD)
    played.pay(FIRST, SECOND, units=6)
    played.mine(time=START + BLOCK)
    assert played.units(FIRST) == 0
    played.pay(SECOND, FIRST, units=have)


def test_fees_go_to_the_harvester_and_nothing_else_is_lost() -> None:
    played = ground(2).opened()
    total = played.units(FIRST) + played.units(SECOND)
    played.pay(FIRST, SECOND, units=5, fee=30)
    played.pay(FIRST, SECOND, units=5, token=GOLD, fee=12)
    played.mine(time=START + BLOCK)
    assert played.units(FIRST) + played.units(SECOND) == total - 42
    assert played.ledger.held(HARVESTER.address) == INFLATION + 42
    assert [played.units(stranger) for stranger in STRANGERS] == [PLENTY] * 3


def test_a_reorganisation_keeps_payments_and_makes_other_blocks_one_more_with_times_that_rise() -> None:
    played = GROUND.opened()
    for number in range(1, 5):
        played.pay(FIRST, SECOND, units=number, fee=1)
        played.mine(time=START + number * BLOCK)
    before, units = list(played.ledger.blocks), played.units(SECOND)
    played.pay(FIRST, SECOND, units=100)
    played.reorganise(3, time=START + 5 * BLOCK)
    after = played.ledger.blocks
    assert after[:2] == before[:2]
    assert not {block.hash for block in after[2:]} & {block.hash for block in before[2:]}
    assert len(after) == len(before) + 1
    assert [block.time for block in after] == [START + number * BLOCK for number in range(6)]
    assert all(child.parent == parent.hash and child.score > parent.score for parent, child in pairwise(after))
    assert played.units(SECOND) == units
    assert len(played.ledger.unconfirmed) == 1
    played.mine(time=START + 6 * BLOCK)
    assert played.units(SECOND) == units + 100


@pytest.mark.parametrize("depth", [0, 3, 4])
def test_no_more_than_there_is_can_be_undone(depth: int) -> None:
    played = GROUND.opened()
    for number in range(1, 3):
        played.mine(time=START + number * BLOCK)
    with pytest.raises(ValueError, match="can't be undone"):
        played.reorganise(depth, time=START + 3 * BLOCK)


def test_no_block_is_older_than_its_parent() -> None:
    played = GROUND.opened()
    played.mine(time=START + BLOCK)
    with pytest.raises(ValueError, match="comes after its parent"):
        played.mine(time=START + BLOCK)
    with pytest.raises(ValueError, match="comes after its parent"):
        played.reorganise(1, time=START)


def test_a_year_of_blocks_leaves_no_more_than_what_changed() -> None:
    """Hours without a payment cost a block each and nothing in the histories of who is not paid."""
    played = ground(200).opened()
    played.pay(STRANGERS[0], FIRST, units=1)
    for hour in range(1, 365 * 24 + 1):
        played.mine(time=START + timedelta(hours=hour))
    ledger = played.ledger
    assert ledger.tip.height == 365 * 24 + 1
    assert ledger.held(FIRST, height=1) + 1 == ledger.held(FIRST, height=2) == ledger.held(FIRST)
    played.reorganise(8000, time=START + timedelta(days=366))
    assert ledger.tip.height == 365 * 24 + 2
    assert ledger.held(HARVESTER.address) == INFLATION * (ledger.tip.height - 1)
