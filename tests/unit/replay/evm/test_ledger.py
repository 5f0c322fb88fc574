"""The scripted ledger: history of every balance, all or nothing blocks, sums that never change."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.replay.evm.ledger import NO_PARENT, EvmLedger, Transfer
from daemon.replay.played import Overspent, Purse

MIDNIGHT = datetime(2026, 11, 20, tzinfo=UTC)
ALICE, BOB, CAROL = ("0x" + digit * 40 for digit in "abc")
TOKEN = "0x" + "7" * 40


def minute(number: int) -> datetime:
    return MIDNIGHT + timedelta(minutes=number)


def chain() -> EvmLedger:
    return EvmLedger({(ALICE, None): 100, (BOB, None): 10, (ALICE, TOKEN): 7}, time=MIDNIGHT)


def test_genesis_is_block_zero_without_a_parent() -> None:
    tip = chain().tip
    assert (tip.height, tip.parent, tip.time, tip.transactions) == (0, NO_PARENT, MIDNIGHT, ())


def test_balances_of_every_block_are_kept() -> None:
    """What was true at a height stays readable, and blocks that don't touch a purse change nothing."""
    ledger = chain()
    ledger.mine([Transfer(ALICE, BOB, 30)], time=minute(1))
    ledger.mine(time=minute(2))
    ledger.mine([Transfer(BOB, CAROL, 5)], time=minute(3))
    assert [ledger.balance((ALICE, None), height=height) for height in range(4)] == [100, 70, 70, 70]
    assert [ledger.balance((BOB, None), height=height) for height in range(4)] == [10, 40, 40, 35]
    assert [ledger.balance((CAROL, None), height=height) for height in range(4)] == [0, 0, 0, 5]
    assert ledger.balance((BOB, None)) == 35


def test_coin_and_token_of_an_account_are_apart() -> None:
    ledger = chain()
    ledger.mine([Transfer(ALICE, BOB, 7, TOKEN)], time=minute(1))
    assert (ledger.balance((ALICE, None)), ledger.balance((ALICE, TOKEN)), ledger.balance((BOB, TOKEN))) == (100, 0, 7)


def test_what_came_in_a_block_can_be_spent_in_it() -> None:
    ledger = chain()
    ledger.mine([Transfer(ALICE, CAROL, 100), Transfer(CAROL, BOB, 100)], time=minute(1))
    assert (ledger.balance((ALICE, None)), ledger.balance((CAROL, None)), ledger.balance((BOB, None))) == (0, 0, 110)


def test_paying_oneself_changes_nothing() -> None:
    ledger = chain()
    ledger.mine([Transfer(ALICE, ALICE, 60)], time=minute(1))
    assert ledger.balance((ALICE, None)) == 100


def test_overspending_undoes_the_whole_block() -> None:
    """The good transfer before the bad one does not happen either, and the chain can go on."""
    ledger = chain()
    before = ledger.tip
    with pytest.raises(Overspent, match=r"has 20 of the native coin, not 21"):
        ledger.mine([Transfer(ALICE, BOB, 80), Transfer(ALICE, BOB, 21)], time=minute(1))
    assert ledger.tip == before
    assert ledger.balance((ALICE, None)) == 100
    assert ledger.mine([Transfer(ALICE, BOB, 100)], time=minute(1)).height == 1


@pytest.mark.parametrize("units", [0, -1])
def test_a_transfer_moves_something(units: int) -> None:
    with pytest.raises(ValueError, match="at least one unit"):
        Transfer(ALICE, BOB, units)


def test_nobody_starts_in_debt() -> None:
    with pytest.raises(ValueError, match="less than nothing"):
        EvmLedger({(ALICE, None): -1}, time=MIDNIGHT)


def test_time_goes_forward() -> None:
    with pytest.raises(ValueError, match="comes after its parent"):
        chain().mine(time=MIDNIGHT)


def test_blocks_are_found_by_height_and_hash() -> None:
    ledger = chain()
    block = ledger.mine(time=minute(1))
    assert ledger.block(1) is block
    assert ledger.block_of(block.hash) is block
    assert ledger.block(0) is not None and block.parent == ledger.block(0).hash  # type: ignore[union-attr]
    assert (ledger.block(2), ledger.block(-1), ledger.block_of("0x" + "00" * 32)) == (None, None, None)


def test_the_same_content_gives_the_same_hashes() -> None:
    first, second = chain(), chain()
    for ledger in (first, second):
        ledger.mine([Transfer(ALICE, BOB, 1)], time=minute(1))
    assert first.tip.hash == second.tip.hash
    assert len(first.tip.hash) == 66


@pytest.mark.parametrize(
    ("transfers", "at"),
    [
        ((Transfer(ALICE, BOB, 2),), 1),
        ((Transfer(BOB, ALICE, 1),), 1),
        ((Transfer(ALICE, BOB, 1, TOKEN),), 1),
        ((), 1),
        ((), 2),
    ],
)
def test_other_content_gives_another_hash(transfers: tuple[Transfer, ...], at: int) -> None:
    one, other = chain(), chain()
    one.mine([Transfer(ALICE, BOB, 1)], time=minute(1))
    other.mine(transfers, time=minute(at))
    assert one.tip.hash != other.tip.hash


def test_another_past_gives_another_hash() -> None:
    """Equal blocks on different histories differ, as on any chain."""
    one, other = chain(), EvmLedger({(ALICE, None): 101}, time=MIDNIGHT)
    assert one.mine(time=minute(1)).hash != other.mine(time=minute(1)).hash


def test_equal_transfers_are_different_transactions() -> None:
    ledger = chain()
    first = ledger.mine([Transfer(ALICE, BOB, 1), Transfer(ALICE, BOB, 1)], time=minute(1))
    second = ledger.mine([Transfer(ALICE, BOB, 1)], time=minute(2))
    assert len({one.hash for one in (*first.transactions, *second.transactions)}) == 3


ACCOUNTS = (ALICE, BOB, CAROL)
moves = st.builds(
    Transfer,
    sender=st.sampled_from(ACCOUNTS),
    recipient=st.sampled_from(ACCOUNTS),
    units=st.integers(1, 60),
    token=st.sampled_from([None, TOKEN]),
)


@given(st.lists(st.lists(moves, max_size=4), max_size=12))
def test_history_equals_a_naive_copy_of_every_block(blocks: list[list[Transfer]]) -> None:
    """Whatever is mined, each height reads as a full copy taken then, and every token's total stays."""
    ledger = chain()
    purses: dict[Purse, int] = {(account, token): 0 for account in ACCOUNTS for token in (None, TOKEN)}
    purses |= {(ALICE, None): 100, (BOB, None): 10, (ALICE, TOKEN): 7}
    copies = [dict(purses)]
    for number, block in enumerate(blocks, start=1):
        tried = dict(purses)
        for move in block:
            tried[move.sender, move.token] -= move.units
            if tried[move.sender, move.token] < 0:
                with pytest.raises(Overspent):
                    ledger.mine(block, time=minute(number))
                break
            tried[move.recipient, move.token] += move.units
        else:
            ledger.mine(block, time=minute(number))
            purses = tried
            copies.append(dict(purses))
    for height, copy in enumerate(copies):
        assert {purse: ledger.balance(purse, height=height) for purse in copy} == copy
        assert (ledger.supply(None, height=height), ledger.supply(TOKEN, height=height)) == (110, 7)
