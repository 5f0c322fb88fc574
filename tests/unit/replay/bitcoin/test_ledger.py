"""The played Bitcoin ledger: real blocks of scripted payments."""

from __future__ import annotations

import hashlib
import random
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import pytest

from connectors.bitcoin.address import address_of
from connectors.bitcoin.block import read_block
from connectors.bitcoin.networks import named
from connectors.bitcoin.scripts import p2pkh, p2sh, witness
from connectors.bitcoin.transaction import read_transaction
from connectors.errors import BadAddress
from daemon.replay.bitcoin.ledger import APART, OPENING, Change, Ledger
from daemon.replay.bitcoin.played import PlayedBitcoin
from daemon.replay.bitcoin.records import Coin
from daemon.replay.bitcoin.serial import COMMITMENT, RESERVED, Block, genesis, merkle_root, sha256d
from daemon.replay.played import Overspent

BEGIN = datetime(2024, 5, 31, 4, tzinfo=UTC)
REGTEST = named("regtest")
ALICE, BOB, CAROL = (PlayedBitcoin.account(name) for name in ("alice", "bob", "carol"))
WHOLE = 10**8

P2PKH, P2SH, P2WSH, P2TR = (
    str(address_of(script, network=REGTEST))
    for script in (
        p2pkh(bytes(range(20))),
        p2sh(bytes(range(20))),
        witness(0, bytes(range(32))),
        witness(1, bytes(range(32))),
    )
)


def ledger(*openings: tuple[str, int]) -> Ledger:
    return Ledger(openings, time=BEGIN)


def later(minutes: float) -> datetime:
    return BEGIN + timedelta(minutes=minutes)


def recomputed(blocks: Sequence[Block], *, scripts: set[bytes]) -> Counter[bytes]:
    """What each script holds, by the connector's own reading of every raw block, checked as of a stranger."""
    coins: dict[bytes, tuple[bytes, int]] = {}
    parent = blocks[0].hash
    for block in blocks[1:]:
        asked = bytes.fromhex(block.hash)[::-1]
        events = read_block(block.raw, form=REGTEST.block, outpoints=coins, scripts=scripts, asked=asked, verify=True)
        assert events.header.parent[::-1].hex() == parent
        parent = block.hash
        coins |= {made.outpoint: (made.script, made.value) for made in events.created}
        for spend in events.spent:
            del coins[spend.outpoint]
    sums: Counter[bytes] = Counter()
    for script, units in coins.values():
        sums[script] += units
    return sums


def test_the_first_block_is_that_of_every_regtest_chain() -> None:
    assert genesis().hash == REGTEST.genesis
    assert ledger().blocks[0] == genesis()


def test_opening_balances_stand_in_the_second_block_each_as_a_coin_of_its_own() -> None:
    chain = ledger((ALICE, 5), (BOB, 7), (ALICE, 6))
    assert (chain.tip.height, chain.units(ALICE), chain.units(BOB), chain.units(CAROL)) == (OPENING, 11, 7, 0)
    assert [coin.units for coin in chain.coins(ALICE)] == [5, 6]
    assert not any(coin.coinbase for coin in chain.coins(ALICE))


def test_the_opening_balances_have_the_time_of_the_opening() -> None:
    chain = ledger((ALICE, 5))
    assert [block.time for block in chain.blocks[1:]] == [BEGIN.timestamp() - APART, BEGIN.timestamp()]


def test_a_chain_may_begin_with_nothing() -> None:
    assert ledger().tip.height == OPENING


@pytest.mark.parametrize("openings", [((ALICE, -1),), ((ALICE, 0),), ((ALICE, 21_000_000 * WHOLE), (BOB, 1))])
def test_impossible_opening_balances_are_refused(openings: tuple[tuple[str, int], ...]) -> None:
    with pytest.raises(ValueError, match="opening balances"):
        ledger(*openings)


def test_a_payment_waits_until_it_is_mined() -> None:
    chain = ledger((ALICE, 10))
    txid = chain.pay(ALICE, BOB, units=3, fee=1)
    assert (chain.units(ALICE), chain.units(BOB), list(chain.mempool)) == (10, 0, [txid])
    block = chain.mine(time=later(10))
    assert (chain.units(ALICE), chain.units(BOB), list(chain.mempool)) == (6, 3, [])
    assert [one.txid for one in block.transactions[1:]] == [txid]


def test_a_payment_takes_the_oldest_coins_that_suffice_and_the_rest_goes_back() -> None:
    chain = ledger((ALICE, 4), (ALICE, 5), (ALICE, 6))
    first = [coin.outpoint for coin in chain.coins(ALICE)][:2]
    one = chain.mempool[chain.pay(ALICE, BOB, units=7, fee=1)]
    assert list(one.inputs) == first
    assert one.outputs == ((chain.script(BOB), 7), (chain.script(ALICE), 1))
    assert one.fee == 1


def test_a_payment_of_exactly_what_there_is_has_no_change() -> None:
    chain = ledger((ALICE, 8))
    one = chain.mempool[chain.pay(ALICE, BOB, units=7, fee=1)]
    assert one.outputs == ((chain.script(BOB), 7),)


def test_change_and_pending_receipts_can_be_spent_before_they_are_mined() -> None:
    chain = ledger((ALICE, 10))
    first = chain.pay(ALICE, BOB, units=4)
    second = chain.pay(ALICE, CAROL, units=6)
    third = chain.pay(BOB, CAROL, units=4)
    assert chain.mempool[second].inputs == ((first, 1),)
    assert chain.mempool[third].inputs == ((first, 0),)
    chain.mine(time=later(10))
    assert (chain.units(ALICE), chain.units(BOB), chain.units(CAROL)) == (0, 0, 10)


def test_more_than_there_is_cannot_be_paid() -> None:
    chain = ledger((ALICE, 10))
    with pytest.raises(Overspent, match=rf"{ALICE} has 10 satoshis to spend, not 11"):
        chain.pay(ALICE, BOB, units=10, fee=1)
    chain.pay(ALICE, BOB, units=4)
    with pytest.raises(Overspent, match="has 6 satoshis to spend, not 7"):
        chain.pay(ALICE, BOB, units=7)
    with pytest.raises(Overspent, match="has 0 satoshis"):
        chain.pay(CAROL, BOB, units=1)
    assert len(chain.mempool) == 1


@pytest.mark.parametrize("units", [0, -1])
def test_a_payment_moves_something(units: int) -> None:
    chain = ledger((ALICE, 10))
    with pytest.raises((ValueError, Overspent)):
        chain.pay(ALICE, BOB, units=units)
    assert not chain.mempool


def test_a_sweep_spends_every_coin_into_one_output_without_change() -> None:
    """As on 31 May 2024 at DMM: nine inputs, one output, a fee of 0.1 BTC."""
    parts = [500 * WHOLE] * 8 + [50_290_880_000]
    chain = ledger(*((ALICE, units) for units in parts))
    one = chain.mempool[chain.sweep(ALICE, CAROL, fee=WHOLE // 10)]
    assert len(one.inputs) == 9
    assert one.outputs == ((chain.script(CAROL), sum(parts) - WHOLE // 10),)
    assert one.fee == WHOLE // 10
    chain.mine(time=later(10))
    assert chain.units(ALICE) == 0


def test_a_sweep_of_less_than_the_fee_is_refused() -> None:
    chain = ledger((ALICE, 5))
    with pytest.raises(Overspent):
        chain.sweep(ALICE, BOB, fee=5)


def test_chosen_coins_go_to_chosen_outputs_and_the_rest_is_the_fee() -> None:
    chain = ledger((ALICE, 4), (ALICE, 5), (BOB, 6))
    chosen = [chain.coins(ALICE)[1], chain.coins(BOB)[0]]
    one = chain.mempool[chain.spend(chosen, outputs=[(CAROL, 3), (ALICE, 2), (CAROL, 3)])]
    assert (len(one.inputs), len(one.outputs), one.fee) == (2, 3, 3)


def test_a_coin_is_spent_once() -> None:
    chain = ledger((ALICE, 4))
    coins = chain.coins(ALICE)
    chain.spend(coins, outputs=[(BOB, 4)])
    with pytest.raises(Overspent, match="has no coin"):
        chain.spend(coins, outputs=[(BOB, 4)])
    chain.mine(time=later(10))
    with pytest.raises(Overspent, match="has no coin"):
        chain.spend(coins, outputs=[(BOB, 4)])


def test_a_coin_that_never_was_cannot_be_spent() -> None:
    chain = ledger((ALICE, 4))
    with pytest.raises(Overspent, match="has no coin"):
        chain.spend([Coin(("11" * 32, 0), chain.script(ALICE), 4, 2, coinbase=False)], outputs=[(BOB, 4)])
    with pytest.raises(Overspent, match="nobody"):
        chain.spend([], outputs=[(BOB, 4)])


def test_one_coin_twice_in_a_transaction_is_refused() -> None:
    chain = ledger((ALICE, 4))
    with pytest.raises(Overspent, match="twice"):
        chain.spend(chain.coins(ALICE) * 2, outputs=[(BOB, 8)])


def test_an_address_of_another_network_is_refused() -> None:
    with pytest.raises(BadAddress):
        ledger(("bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4", 5))


def test_fees_go_to_whoever_mines() -> None:
    chain = ledger((ALICE, 10_000))
    chain.pay(ALICE, BOB, units=1_000, fee=700)
    block = chain.mine(time=later(10))
    assert sum(units for _, units in block.transactions[0].outputs) == 50 * WHOLE + 700


def test_the_reward_halves_every_150_blocks() -> None:
    chain = ledger()
    for minute in range(1, 151):
        chain.mine(time=later(minute))
    rewards = [sum(units for _, units in chain.blocks[height].transactions[0].outputs) for height in (149, 150)]
    assert rewards == [50 * WHOLE, 25 * WHOLE]


@pytest.mark.parametrize(
    ("height", "begins"), [(3, "53"), (16, "60"), (17, "0111"), (127, "017f"), (128, "028000"), (256, "020001")]
)
def test_a_coinbase_begins_with_its_height(height: int, begins: str) -> None:
    """BIP 34, in the form of CScript() << height: signed and of the least size."""
    chain = ledger()
    while chain.tip.height < height:
        chain.mine(time=later(chain.tip.height))
    script = chain.tip.transactions[0].stripped[42:]
    assert script.hex().startswith(begins)


@pytest.mark.parametrize("payments", range(7))
def test_a_block_commits_to_its_witnesses(payments: int) -> None:
    """BIP 141, commitment structure: the root of the ids with witnesses, the coinbase's zero, with a reserved value."""
    chain = ledger(*[(ALICE, 5)] * 7)
    for _ in range(payments):
        chain.pay(ALICE, BOB, units=5)
    block = chain.mine(time=later(10))
    root = merkle_root([bytes(32), *(sha256d(one.raw) for one in block.transactions[1:])])
    assert block.transactions[0].outputs[-1] == (COMMITMENT + sha256d(root + RESERVED), 0)
    one_item = b"\x01\x20" + RESERVED
    assert block.transactions[0].raw.endswith(one_item + bytes(4))


@pytest.mark.parametrize("account", [P2PKH, P2SH, P2WSH, P2TR, ALICE])
def test_every_kind_of_address_can_pay_and_be_paid(account: str) -> None:
    chain = ledger((account, 10), (ALICE, 10))
    txids = [chain.pay(account, BOB, units=4), chain.pay(ALICE, account, units=3)]
    for txid in txids:
        one = chain.mempool[txid]
        read = read_transaction(one.raw, form=REGTEST.block)
        assert read is not None
        assert (read.txid[::-1].hex(), read.vsize, read.input_count) == (txid, one.vsize, len(one.inputs))
    chain.mine(time=later(10))
    assert recomputed(chain.blocks, scripts={chain.script(account)})[chain.script(account)] == chain.units(account)


def test_only_what_spends_from_segwit_scripts_has_a_witness() -> None:
    chain = ledger((P2PKH, 10), (ALICE, 10))
    legacy, segwit = (chain.mempool[chain.pay(payer, BOB, units=10)] for payer in (P2PKH, ALICE))
    assert legacy.raw == legacy.stripped
    assert legacy.wtxid == legacy.txid
    assert len(segwit.raw) > len(segwit.stripped)
    assert segwit.wtxid != segwit.txid


@pytest.mark.parametrize("outputs", [1, 252, 253, 300, 70_000])
def test_any_number_of_outputs_can_be_read(outputs: int) -> None:
    chain = ledger((ALICE, outputs))
    chain.spend(chain.coins(ALICE), outputs=[(BOB, 1)] * outputs)
    chain.mine(time=later(10))
    assert recomputed(chain.blocks, scripts={chain.script(BOB)})[chain.script(BOB)] == outputs


@pytest.mark.parametrize("late", [timedelta(), timedelta(seconds=-1), timedelta(microseconds=999_999)])
def test_a_block_is_at_least_a_second_after_its_parent(late: timedelta) -> None:
    chain = ledger((ALICE, 5))
    chain.pay(ALICE, BOB, units=1)
    before = chain.tip
    with pytest.raises(ValueError, match="after its parent"):
        chain.mine(time=BEGIN + late)
    assert chain.tip == before
    assert len(chain.mempool) == 1


def test_a_reorganisation_puts_the_same_payments_into_other_blocks_and_one_more() -> None:
    chain = ledger((ALICE, 10))
    for minute in range(1, 4):
        chain.pay(ALICE, BOB, units=1)
        chain.mine(time=later(minute))
    old = list(chain.blocks)
    waiting = chain.pay(ALICE, BOB, units=1)
    chain.reorganise(3, time=later(5))
    new = chain.blocks
    assert len(new) == len(old) + 1
    assert [block.hash for block in new[:-4]] == [block.hash for block in old[:-3]]
    assert not {block.hash for block in new[-4:]} & {block.hash for block in old}
    assert [block.transactions[1:] for block in new[-4:-1]] == [block.transactions[1:] for block in old[-3:]]
    assert len(new[-1].transactions) == 1
    assert (chain.units(ALICE), chain.units(BOB), list(chain.mempool)) == (7, 3, [waiting])


def test_two_reorganisations_in_a_row_give_blocks_that_never_were() -> None:
    chain = ledger((ALICE, 10))
    chain.mine(time=later(1))
    seen = {chain.tip.hash}
    for minute in (2, 3):
        chain.reorganise(1, time=later(minute))
        assert not seen & {block.hash for block in chain.blocks[-2:]}
        seen |= {block.hash for block in chain.blocks}


def test_undone_blocks_are_still_known_by_their_hashes() -> None:
    chain = ledger((ALICE, 10))
    old = chain.mine(time=later(1))
    chain.reorganise(1, time=later(2))
    assert chain.block_of(old.hash) == old
    assert chain.block_of(chain.tip.hash) == chain.tip
    assert chain.block_of("00" * 32) is None


@pytest.mark.parametrize("depth", [0, -1, 2, 50])
def test_the_opening_balances_cannot_be_undone(depth: int) -> None:
    chain = ledger((ALICE, 10))
    chain.mine(time=later(1))
    with pytest.raises(ValueError, match="1 blocks that can be undone"):
        chain.reorganise(depth, time=later(2))


def test_a_reorganisation_is_after_the_newest_block() -> None:
    chain = ledger((ALICE, 10))
    chain.mine(time=later(5))
    with pytest.raises(ValueError, match="after its parent"):
        chain.reorganise(1, time=later(5))
    assert chain.tip.height == OPENING + 1


def test_listeners_hear_what_was_touched_and_whether_there_is_a_block() -> None:
    chain = ledger((ALICE, 10), (CAROL, 5))
    heard: list[Change] = []
    chain.listeners.append(heard.append)
    chain.pay(ALICE, BOB, units=3)
    touched = {chain.script(ALICE), chain.script(BOB)}
    assert heard == [Change(frozenset(touched), block=False)]
    chain.mine(time=later(1))
    assert heard[-1].block
    assert heard[-1].scripts >= touched
    assert chain.script(CAROL) not in heard[-1].scripts
    chain.reorganise(1, time=later(2))
    assert heard[-1].block
    assert heard[-1].scripts >= touched


def test_the_same_calls_make_the_same_blocks() -> None:
    chains = [walked(seed=3, steps=30) for _ in range(2)]
    assert chains[0].blocks == chains[1].blocks
    assert chains[0].mempool == chains[1].mempool


def walked(*, seed: int, steps: int) -> Ledger:
    """Random payments, blocks and reorganisations, checked after each block."""
    chance = random.Random(seed)
    accounts = [ALICE, BOB, CAROL, P2PKH, P2TR]
    chain = ledger(*((account, 1_000) for account in accounts))
    for minute in range(1, steps + 1):
        for _ in range(chance.randrange(4)):
            payer, payee = chance.choice(accounts), chance.choice(accounts)
            try:
                chain.pay(payer, payee, units=chance.randint(1, 600), fee=chance.randint(0, 5))
            except Overspent:
                continue
        depth = chance.randint(1, 4)
        if chance.random() < 0.3 and depth <= chain.tip.height - OPENING:
            chain.reorganise(depth, time=later(minute))
        else:
            chain.mine(time=later(minute))
        held = recomputed(chain.blocks, scripts={chain.script(account) for account in accounts})
        assert {account: chain.units(account) for account in accounts} == {
            account: held[chain.script(account)] for account in accounts
        }
        for account in accounts:
            record = chain.records.of[chain.script(account)]
            assert record.at(chain.tip.height) == list(record.unspent.values())
            assert (
                record.digest().digest()
                == hashlib.sha256("".join(f"{txid}:{height}:" for txid, height in record.history).encode()).digest()
            )
    return chain


@pytest.mark.parametrize("seed", range(5))
def test_whatever_happens_the_blocks_say_what_the_ledger_says(seed: int) -> None:
    chain = walked(seed=seed, steps=40)
    assert chain.tip.height > 20
