"""The scripted ledger's mempool, fees, code and storage, and what a reorganisation leaves of them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.replay.evm.ledger import EvmLedger, Transfer
from daemon.replay.played import Overspent, Purse

MIDNIGHT = datetime(2026, 11, 20, tzinfo=UTC)
ALICE, BOB, CAROL = ("0x" + digit * 40 for digit in "abc")
TOKEN = "0x" + "7" * 40
SINGLETON = 0x5AFE


def minute(number: int) -> datetime:
    return MIDNIGHT + timedelta(minutes=number)


def chain(blocks: int = 0) -> EvmLedger:
    """Alice pays Bob one coin in each of the blocks."""
    ledger = EvmLedger({(ALICE, None): 100, (BOB, None): 10, (ALICE, TOKEN): 7}, time=MIDNIGHT)
    for number in range(1, blocks + 1):
        ledger.mine([Transfer(ALICE, BOB, 1)], time=minute(number))
    return ledger


def hashes(ledger: EvmLedger) -> list[str]:
    return [block.hash for height in range(ledger.tip.height + 1) if (block := ledger.block(height)) is not None]


# ── the mempool ─────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_payment_waits_until_a_block_takes_it() -> None:
    ledger = chain()
    name = ledger.pay(Transfer(ALICE, BOB, 30))
    assert [one.hash for one in ledger.waiting] == [name]
    assert (ledger.units(BOB), ledger.balance_ahead((BOB, None))) == (10, 40)
    block = ledger.mine(time=minute(1))
    assert [one.hash for one in block.transactions] == [name]
    assert (list(ledger.waiting), ledger.units(BOB)) == ([], 40)


def test_a_transaction_is_found_by_its_hash_while_it_waits_and_when_it_is_mined() -> None:
    ledger = chain()
    ledger.mine([Transfer(ALICE, BOB, 1)], time=minute(1))
    ledger.pay(Transfer(ALICE, CAROL, 1))
    name = ledger.pay(Transfer(ALICE, BOB, 30))
    waiting = ledger.find(name)
    assert waiting is not None
    assert (waiting.block, waiting.place, waiting.transaction.transfer) == (None, 1, Transfer(ALICE, BOB, 30))
    block = ledger.mine(time=minute(2))
    mined = ledger.find(name)
    assert mined is not None
    assert (mined.block, mined.place) == (block, 1)
    assert ledger.find("0x" + "00" * 32) is None


def test_what_waits_can_not_be_spent_twice() -> None:
    ledger = chain()
    ledger.pay(Transfer(ALICE, BOB, 80))
    with pytest.raises(Overspent, match=r"has 20 of the native coin, not 21"):
        ledger.pay(Transfer(ALICE, CAROL, 21))
    assert len(ledger.waiting) == 1
    ledger.pay(Transfer(ALICE, CAROL, 20))
    ledger.mine(time=minute(1))
    assert (ledger.units(ALICE), ledger.units(CAROL)) == (0, 20)


def test_what_is_on_its_way_can_be_spent_after_it() -> None:
    """Both come into one block in the order in which they were sent."""
    ledger = chain()
    ledger.pay(Transfer(ALICE, CAROL, 5))
    ledger.pay(Transfer(CAROL, BOB, 5))
    ledger.mine(time=minute(1))
    assert (ledger.units(CAROL), ledger.units(BOB)) == (0, 15)


def test_transfers_given_to_a_block_come_after_what_waits_and_overspending_leaves_all_of_it_waiting() -> None:
    ledger = chain()
    ledger.pay(Transfer(ALICE, BOB, 80))
    with pytest.raises(Overspent):
        ledger.mine([Transfer(ALICE, CAROL, 21)], time=minute(1))
    assert (ledger.tip.height, len(ledger.waiting)) == (0, 1)
    block = ledger.mine([Transfer(BOB, CAROL, 90)], time=minute(1))
    assert [one.transfer.recipient for one in block.transactions] == [BOB, CAROL]


def test_who_sends_counts_up_from_nothing() -> None:
    ledger = chain(blocks=2)
    ledger.pay(Transfer(ALICE, BOB, 1))
    assert [ledger.sent(ALICE, height=height) for height in range(3)] == [0, 1, 2]
    assert (ledger.sent(ALICE), ledger.sent_ahead(ALICE), ledger.sent_ahead(BOB)) == (2, 3, 0)
    assert ledger.waiting[0].nonce == 2


# ── fees ────────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(("token", "coins", "tokens"), [(None, 100 - 30 - 4, 7), (TOKEN, 100 - 4, 7 - 5)])
def test_the_payer_pays_the_fee_in_the_native_coin_and_it_is_burnt(token: str | None, coins: int, tokens: int) -> None:
    ledger = chain()
    ledger.mine([Transfer(ALICE, BOB, 30 if token is None else 5, token, fee=4)], time=minute(1))
    assert (ledger.units(ALICE), ledger.units(ALICE, TOKEN)) == (coins, tokens)
    assert (ledger.supply(None), ledger.supply(TOKEN), ledger.supply(None, height=0)) == (106, 7, 110)


@pytest.mark.parametrize(
    "transfer", [Transfer(ALICE, BOB, 97, fee=4), Transfer(ALICE, BOB, 7, TOKEN, fee=101)], ids=["coin", "token"]
)
def test_a_fee_that_nobody_can_pay_is_overspent(transfer: Transfer) -> None:
    ledger = chain()
    with pytest.raises(Overspent, match="has 100 of the native coin, not 101"):
        ledger.pay(transfer)
    assert (list(ledger.waiting), ledger.balance_ahead((ALICE, TOKEN))) == ([], 7)


def test_a_fee_is_never_negative() -> None:
    with pytest.raises(ValueError, match="at least nothing"):
        Transfer(ALICE, BOB, 1, fee=-1)


# ── code and storage ────────────────────────────────────────────────────────────────────────────────────────────────


def test_code_and_storage_change_with_the_next_block_and_stay_readable_as_they_were() -> None:
    ledger = chain()
    ledger.set_code(CAROL, "0x60")
    ledger.set_storage(CAROL, slot=0, value=SINGLETON)
    assert (ledger.code(CAROL), ledger.storage(CAROL, slot=0)) == ("0x", 0)
    ledger.mine(time=minute(1))
    ledger.set_storage(CAROL, slot=0, value=7)
    ledger.mine(time=minute(2))
    assert [ledger.code(CAROL, height=height) for height in range(3)] == ["0x", "0x60", "0x60"]
    assert [ledger.storage(CAROL, slot=0, height=height) for height in range(3)] == [0, SINGLETON, 7]
    assert (ledger.storage(CAROL, slot=1), ledger.storage(BOB, slot=0)) == (0, 0)


def test_a_change_of_code_or_storage_changes_the_blocks_hash() -> None:
    plain, coded, stored = chain(), chain(), chain()
    coded.set_code(CAROL, "0x60")
    stored.set_storage(CAROL, slot=0, value=1)
    assert len({ledger.mine(time=minute(1)).hash for ledger in (plain, coded, stored)}) == 3


@pytest.mark.parametrize(("slot", "value"), [(-1, 0), (2**256, 0), (0, -1), (0, 2**256)])
def test_a_slot_and_its_value_have_256_bits(slot: int, value: int) -> None:
    with pytest.raises(ValueError, match="256 bits"):
        chain().set_storage(CAROL, slot=slot, value=value)


# ── reorganisations ─────────────────────────────────────────────────────────────────────────────────────────────────


def test_other_blocks_and_one_more_take_the_place_of_the_newest() -> None:
    ledger = chain(blocks=5)
    before = hashes(ledger)
    tip = ledger.reorganise(3, time=minute(6))
    after = hashes(ledger)
    assert (tip.height, tip.time, ledger.tip) == (6, minute(6), tip)
    assert after[:3] == before[:3]
    assert not set(after[3:]) & set(before)
    assert [ledger.block_of(undone) for undone in before[3:]] == [None] * 3
    assert all(block.parent == after[height - 1] for height in range(1, 7) if (block := ledger.block(height)))


def test_the_same_payments_stand_in_other_blocks_under_the_same_hashes() -> None:
    """Each one block later, so that at every undone height the two branches differ."""
    ledger = chain(blocks=5)
    names = [one.hash for height in (3, 4, 5) if (block := ledger.block(height)) for one in block.transactions]
    before = [ledger.balance((BOB, None), height=height) for height in range(6)]
    ledger.reorganise(3, time=minute(6))
    places = [found.block.height for name in names if (found := ledger.find(name)) and found.block]
    assert places == [4, 5, 6]
    assert [ledger.balance((BOB, None), height=height) for height in range(7)] == [*before[:3], 12, 13, 14, 15]
    assert (ledger.units(ALICE), ledger.sent(ALICE), ledger.supply(None)) == (95, 5, 110)


def test_what_waits_goes_on_waiting_through_a_reorganisation() -> None:
    ledger = chain(blocks=3)
    name = ledger.pay(Transfer(BOB, CAROL, 13))
    ledger.reorganise(2, time=minute(4))
    assert [one.hash for one in ledger.waiting] == [name]
    ledger.mine(time=minute(5))
    assert (ledger.units(BOB), ledger.units(CAROL)) == (0, 13)


def test_code_and_storage_are_undone_and_happen_again_a_block_later() -> None:
    ledger = chain(blocks=1)
    ledger.set_code(CAROL, "0x60")
    ledger.set_storage(CAROL, slot=0, value=SINGLETON)
    ledger.mine(time=minute(2))
    ledger.reorganise(1, time=minute(3))
    assert [ledger.code(CAROL, height=height) for height in (1, 2, 3)] == ["0x", "0x", "0x60"]
    assert [ledger.storage(CAROL, slot=0, height=height) for height in (1, 2, 3)] == [0, 0, SINGLETON]


def test_a_reorganisation_of_a_reorganisation_has_hashes_of_its_own() -> None:
    ledger = chain(blocks=3)
    seen = set(hashes(ledger))
    for number in range(4, 8):
        ledger.reorganise(2, time=minute(number))
        fresh = set(hashes(ledger)[-3:])
        assert not fresh & seen
        seen |= fresh


def test_blocks_in_which_nothing_happens_have_other_hashes_too() -> None:
    ledger = chain()
    for number in (1, 2, 3):
        ledger.mine(time=minute(number))
    before = hashes(ledger)
    ledger.reorganise(2, time=minute(4))
    assert hashes(ledger)[:2] == before[:2]
    assert not set(hashes(ledger)[2:]) & set(before)


def test_a_fee_is_undone_with_its_payment_and_paid_once() -> None:
    ledger = chain()
    ledger.mine([Transfer(ALICE, BOB, 5, TOKEN, fee=4)], time=minute(1))
    ledger.reorganise(1, time=minute(2))
    assert [ledger.balance((ALICE, None), height=height) for height in range(3)] == [100, 100, 96]
    assert [ledger.balance((ALICE, TOKEN), height=height) for height in range(3)] == [7, 7, 2]


@pytest.mark.parametrize("depth", [-1, 0, 4])
def test_only_blocks_after_the_first_are_undone(depth: int) -> None:
    ledger = chain(blocks=3)
    before = hashes(ledger)
    with pytest.raises(ValueError, match="can't be undone"):
        ledger.reorganise(depth, time=minute(4))
    assert hashes(ledger) == before


def test_the_tip_after_a_reorganisation_is_younger_than_the_one_before() -> None:
    ledger = chain(blocks=3)
    with pytest.raises(ValueError, match="comes after its parent"):
        ledger.reorganise(1, time=minute(3))
    assert ledger.tip.height == 3


def test_the_same_calls_give_the_same_hashes() -> None:
    first, second = chain(blocks=4), chain(blocks=4)
    for ledger in (first, second):
        ledger.pay(Transfer(ALICE, BOB, 1, fee=2))
        ledger.reorganise(2, time=minute(5))
        ledger.mine(time=minute(6))
    assert hashes(first) == hashes(second)


ACCOUNTS = (ALICE, BOB, CAROL)
transfers = st.builds(
    Transfer,
    sender=st.sampled_from(ACCOUNTS),
    recipient=st.sampled_from(ACCOUNTS),
    units=st.integers(1, 8),
    token=st.sampled_from([None, TOKEN]),
    fee=st.integers(0, 5),
)
steps = st.one_of(
    transfers,
    transfers,
    st.just("mine"),
    st.just("mine"),
    st.integers(1, 4),
    st.tuples(st.sampled_from(ACCOUNTS), st.integers(1, 9)),
)


@given(st.lists(steps, max_size=25))
def test_every_height_equals_a_replay_of_the_blocks_from_the_first(
    script: list[Transfer | str | int | tuple[str, int]],
) -> None:
    """Whatever was paid, mined and reorganised: balances, nonces and storage are what the blocks that are left say."""
    ledger = chain()
    for number, step in enumerate(script, start=1):
        if isinstance(step, Transfer):
            try:
                ledger.pay(step)
            except Overspent:
                continue
        elif isinstance(step, tuple):
            ledger.set_storage(step[0], slot=0, value=step[1])
        elif isinstance(step, int) and step <= ledger.tip.height:
            ledger.reorganise(step, time=minute(number))
        elif step == "mine":
            ledger.mine(time=minute(number))
    purses: dict[Purse, int] = {(account, token): 0 for account in ACCOUNTS for token in (None, TOKEN)}
    purses |= {(ALICE, None): 100, (BOB, None): 10, (ALICE, TOKEN): 7}
    sent, stored = dict.fromkeys(ACCOUNTS, 0), dict.fromkeys(ACCOUNTS, 0)
    for height in range(ledger.tip.height + 1):
        block = ledger.block(height)
        assert block is not None
        for one in block.transactions:
            assert one.nonce == sent[one.transfer.sender]
            purses[one.transfer.sender, one.transfer.token] -= one.transfer.units
            purses[one.transfer.recipient, one.transfer.token] += one.transfer.units
            purses[one.transfer.sender, None] -= one.transfer.fee
            sent[one.transfer.sender] += 1
        for change in block.changes:
            stored[change.account] = getattr(change, "value", 0)
        assert min(purses.values()) >= 0
        assert {purse: ledger.balance(purse, height=height) for purse in purses} == purses
        assert {account: ledger.sent(account, height=height) for account in ACCOUNTS} == sent
        assert {account: ledger.storage(account, slot=0, height=height) for account in ACCOUNTS} == stored
