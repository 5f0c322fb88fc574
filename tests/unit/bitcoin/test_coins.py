"""The coin set: what it holds after each block and after each step back, and what it refuses."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from connectors.base import Tip
from connectors.bitcoin.block import BlockEvents, read_block
from connectors.bitcoin.coins import Changes, Coin, CoinSet
from connectors.bitcoin.forms import BITCOIN
from connectors.errors import BadAnswer
from tests.unit.bitcoin.building import BuiltBlock, Tx, coinbase, pay, script

ALICE, ALICE_CHANGE, BOB, STRANGER = (script(number) for number in range(1, 5))
ACCOUNTS = {ALICE: 0, ALICE_CHANGE: 0, BOB: 1}
GENESIS = Tip(100, bytes(32).hex(), datetime(2024, 1, 1, tzinfo=UTC))
OLD = bytes(range(36))
OLD_COIN = Coin(ALICE, 1000, 90, coinbase=False)


class Chain:
    """Builds blocks one on another and carries a coin set along."""

    def __init__(self, scripts: Mapping[bytes, int] = ACCOUNTS, *, depth: int = 144) -> None:
        self.coins = CoinSet(scripts, depth=depth)
        self.coins.load(GENESIS, [(OLD, OLD_COIN)])

    def next(self, *txs: Tx, first: Tx | None = None) -> tuple[BlockEvents, Tip]:
        tip = self.coins.tip
        assert tip is not None
        first = first or coinbase(tip.height + 1, (STRANGER, 50))
        block = BuiltBlock([first, *txs], parent=bytes.fromhex(tip.hash)[::-1])
        events = read_block(block.raw(), form=BITCOIN, outpoints=self.coins.outpoints, scripts=self.coins.scripts)
        return events, events.header.tip(tip.height + 1)

    def mine(self, *txs: Tx, first: Tx | None = None) -> Changes:
        return self.coins.apply(*self.next(*txs, first=first))


def holdings(coins: CoinSet) -> tuple[dict[bytes, Coin], tuple[int, ...], frozenset[bytes], Tip | None]:
    """Everything that a step may change."""
    return dict(coins.coins()), (coins.balance(0), coins.balance(1)), frozenset(coins.outpoints), coins.tip


def test_before_the_first_load_there_is_nothing() -> None:
    coins = CoinSet(ACCOUNTS)
    assert holdings(coins) == ({}, (0, 0), frozenset(), None)
    assert coins.scripts == set(ACCOUNTS)


def test_loading_sums_the_coins_of_each_account() -> None:
    coins = CoinSet(ACCOUNTS)
    found = [
        (bytes([at]) * 36, Coin(code, 10**at, 7, coinbase=False)) for at, code in enumerate([ALICE, BOB, ALICE_CHANGE])
    ]
    coins.load(GENESIS, found)
    assert (coins.balance(0), coins.balance(1)) == (101, 10)
    assert dict(coins.coins()) == dict(found)
    assert coins.tip == GENESIS


def test_loading_again_replaces_everything() -> None:
    chain = Chain()
    chain.mine(pay(OLD, (BOB, 5)))
    chain.coins.load(GENESIS, [(OLD, OLD_COIN)])
    assert holdings(chain.coins) == holdings(Chain().coins)
    with pytest.raises(LookupError, match="load again"):
        chain.coins.undo()


def test_a_payment_moves_the_balances_and_names_them() -> None:
    chain = Chain()
    tx = pay(OLD, (BOB, 300), (ALICE_CHANGE, 600), (STRANGER, 90))
    changes = chain.mine(tx)
    assert changes.balances == {0: 600, 1: 300}
    assert changes.spent == {OLD: OLD_COIN}
    assert (chain.coins.balance(0), chain.coins.balance(1)) == (600, 300)
    assert chain.coins.tip == changes.tip
    assert changes.tip.height == 101


def test_a_coin_keeps_where_it_comes_from() -> None:
    chain = Chain()
    tx, first = pay(OLD, (BOB, 300)), coinbase(101, (ALICE, 50))
    chain.mine(tx, first=first)
    assert dict(chain.coins.coins()) == {
        tx.outpoint(0): Coin(BOB, 300, 101, coinbase=False),
        first.outpoint(0): Coin(ALICE, 50, 101, coinbase=True),
    }


def test_a_block_of_others_changes_only_the_tip() -> None:
    chain = Chain()
    changes = chain.mine(pay(bytes(36), (STRANGER, 5)))
    assert (changes.balances, changes.spent) == ({}, {})
    assert chain.coins.balance(0) == 1000


def test_change_that_comes_back_to_the_account_is_a_touched_balance() -> None:
    chain = Chain()
    assert chain.mine(pay(OLD, (ALICE_CHANGE, 1000))).balances == {0: 1000}


def test_a_coin_that_comes_and_goes_within_a_block_touches_its_account() -> None:
    chain = Chain()
    first = pay(bytes(36), (BOB, 70))
    second = pay(first.outpoint(0), (STRANGER, 60))
    changes = chain.mine(first, second)
    assert changes.balances == {1: 0}
    assert changes.spent == {first.outpoint(0): Coin(BOB, 70, 101, coinbase=False)}
    assert set(chain.coins.outpoints) == {OLD}


def test_undo_restores_exactly_what_was() -> None:
    chain = Chain()
    before = holdings(chain.coins)
    first = pay(OLD, (BOB, 400), (ALICE, 500))
    chain.mine(first, pay(first.outpoint(1), (ALICE_CHANGE, 450), (STRANGER, 50)), first=coinbase(101, (BOB, 50)))
    changes = chain.coins.undo()
    assert holdings(chain.coins) == before
    assert changes == Changes(GENESIS, {0: 1000, 1: 0}, {})


def test_a_reorg_of_a_hundred_blocks_is_undone() -> None:
    chain = Chain()
    steps, coin = [holdings(chain.coins)], OLD
    for value in range(999, 899, -1):
        tx = pay(coin, (BOB if value % 2 else ALICE, value))
        chain.mine(tx, first=coinbase(value, (ALICE_CHANGE, 1)))
        coin = tx.outpoint(0)
        steps.append(holdings(chain.coins))
    while len(steps) > 1:
        assert holdings(chain.coins) == steps.pop()
        chain.coins.undo()
    assert holdings(chain.coins) == steps[0]


def test_undo_data_beyond_the_depth_is_gone() -> None:
    chain = Chain(depth=2)
    for _ in range(3):
        chain.mine()
    chain.coins.undo()
    assert chain.coins.undo().tip.height == 101
    with pytest.raises(LookupError, match="load again"):
        chain.coins.undo()
    assert chain.coins.balance(0) == 1000


def test_history_survives_a_restart() -> None:
    """Coins and history of one set, loaded into another, are undone alike."""
    chain = Chain()
    before = holdings(chain.coins)
    chain.mine(pay(OLD, (BOB, 400)))
    assert chain.coins.tip is not None
    again = CoinSet(ACCOUNTS)
    again.load(chain.coins.tip, list(chain.coins.coins()), history=chain.coins.history)
    assert holdings(again) == holdings(chain.coins)
    again.undo()
    assert holdings(again) == before


def test_a_second_coinbase_with_the_same_id_replaces_the_coin_of_the_first() -> None:
    """As in blocks 91,722 and 91,880 of 2010 (BIP 30): there is one coin, not two; undone, the first one is back."""
    chain = Chain()
    twin = coinbase(91_722, (ALICE, 50))
    chain.mine(first=twin)
    before = holdings(chain.coins)
    assert chain.coins.balance(0) == 1050
    changes = chain.mine(first=twin)
    assert changes.balances == {0: 1050}
    assert dict(chain.coins.coins())[twin.outpoint(0)].height == 102
    chain.coins.undo()
    assert holdings(chain.coins) == before


def test_a_replaced_coin_can_be_spent_once() -> None:
    chain = Chain()
    twin = coinbase(91_722, (ALICE, 50))
    chain.mine(first=twin)
    before = holdings(chain.coins)
    chain.mine(pay(twin.outpoint(0), (STRANGER, 50)), first=twin)
    assert chain.coins.balance(0) == 1000
    chain.coins.undo()
    assert holdings(chain.coins) == before


def test_any_other_coin_that_is_there_already_contradicts_the_set() -> None:
    tx = pay(bytes(36), (ALICE, 5))
    chain = Chain()
    chain.mine(tx)
    before = holdings(chain.coins)
    with pytest.raises(BadAnswer, match="already there"):
        chain.mine(tx)
    assert holdings(chain.coins) == before


def test_a_spend_of_a_coin_that_is_not_there_contradicts_the_set() -> None:
    chain = Chain()
    events, tip = chain.next(pay(OLD, (BOB, 5)))
    chain.coins.load(GENESIS, [])
    with pytest.raises(BadAnswer, match="not there"):
        chain.coins.apply(events, tip)
    assert holdings(chain.coins) == ({}, (0, 0), frozenset(), GENESIS)
    with pytest.raises(LookupError):
        chain.coins.undo()


@pytest.mark.parametrize("wrong", ["parent", "height", "hash", "never loaded", "scripts"])
def test_a_block_that_is_not_the_next_one_is_refused(wrong: str) -> None:
    chain = Chain()
    events, tip = chain.next(pay(OLD, (BOB, 5)))
    coins = chain.coins
    if wrong == "parent":
        chain.mine()
    elif wrong == "height":
        tip = replace(tip, height=102)
    elif wrong == "hash":
        tip = replace(tip, hash="11" * 32)
    elif wrong == "never loaded":
        coins = CoinSet(ACCOUNTS)
    else:
        coins = CoinSet({ALICE: 0})
        coins.load(GENESIS, [(OLD, OLD_COIN)])
    before = holdings(coins)
    with pytest.raises(ValueError, match="block"):
        coins.apply(events, tip)
    assert holdings(coins) == before


def scans() -> Iterable[tuple[str, list[tuple[bytes, Coin]], str]]:
    yield "twice", [(OLD, OLD_COIN), (OLD, OLD_COIN)], "twice"
    yield "not watched", [(OLD, OLD_COIN._replace(script=STRANGER))], "not watched"
    yield "negative", [(OLD, OLD_COIN._replace(value=-1))], "no coin has"
    yield "too much", [(OLD, OLD_COIN._replace(value=2**63))], "no coin has"
    yield "before the first block", [(OLD, OLD_COIN._replace(height=-1))], "no coin has"
    yield "too high", [(OLD, OLD_COIN._replace(height=2**31))], "no coin has"
    yield "short outpoint", [(OLD[:-1], OLD_COIN)], "no coin has"


@pytest.mark.parametrize(("found", "why"), [case[1:] for case in scans()], ids=[case[0] for case in scans()])
def test_a_scan_that_cannot_be_is_refused(found: list[tuple[bytes, Coin]], why: str) -> None:
    chain = Chain()
    before = holdings(chain.coins)
    with pytest.raises(BadAnswer, match=why):
        chain.coins.load(GENESIS, found)
    with pytest.raises(BadAnswer):
        chain.coins.adopt(found)
    assert holdings(chain.coins) == before


def test_scripts_watched_later_are_followed_from_then_on_and_can_be_undone() -> None:
    chain = Chain()
    chain.mine()
    chain.coins.watch({STRANGER: 1})
    tx = pay(OLD, (STRANGER, 7))
    chain.mine(tx, first=coinbase(9, (BOB, 1)))
    assert chain.coins.balance(1) == 8
    chain.coins.undo()
    chain.coins.undo()
    assert (chain.coins.balance(0), chain.coins.balance(1)) == (1000, 0)


def test_a_script_belongs_to_one_account() -> None:
    coins = Chain().coins
    coins.watch({ALICE: 0})
    with pytest.raises(ValueError, match="two accounts"):
        coins.watch({STRANGER: 5, ALICE: 1})
    assert (coins.account(ALICE), coins.account(STRANGER)) == (0, None)


def test_adopted_coins_count_and_end_what_can_be_undone() -> None:
    chain = Chain()
    chain.mine()
    chain.coins.watch({STRANGER: 1})
    other = bytes(36)
    chain.coins.adopt([(other, Coin(STRANGER, 70, 80, coinbase=False))])
    assert chain.coins.balance(1) == 70
    assert other in chain.coins.outpoints
    with pytest.raises(LookupError):
        chain.coins.undo()


def test_a_coin_is_not_adopted_twice() -> None:
    chain = Chain()
    before = holdings(chain.coins)
    with pytest.raises(BadAnswer, match="already known"):
        chain.coins.adopt([(OLD, OLD_COIN)])
    assert holdings(chain.coins) == before


def test_dogecoins_whole_supply_on_one_account_is_counted_exactly() -> None:
    """It is more units than 64 bits with a sign can hold."""
    coins = CoinSet(ACCOUNTS)
    each = 10**18
    coins.load(GENESIS, [(at.to_bytes(36, "big"), Coin(BOB, each, 1, coinbase=False)) for at in range(20)])
    assert coins.balance(1) == 20 * each
