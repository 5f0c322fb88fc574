"""What the block reader says of blocks that are well-formed: spends, creations, ids, whichever way they are written."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from connectors.base import Tip
from connectors.bitcoin.block import BlockEvents, Created, Spend, read_block
from connectors.bitcoin.forms import BITCOIN, BITCOIN_CASH
from connectors.bitcoin.transaction import Output
from tests.unit.bitcoin.building import (
    EPOCH,
    NOTHING,
    P2PKH,
    P2SH,
    P2TR,
    P2WPKH,
    BuiltBlock,
    Tx,
    coinbase,
    pay,
    script,
)

OURS, THEIRS, MINER = script(1), script(2), script(3)
OLD_COIN = bytes(range(32)) + (7).to_bytes(4, "little")
OTHER_COIN = bytes(range(1, 33)) + bytes(4)


def read(*txs: Tx, outpoints: frozenset[bytes] = frozenset(), verify: bool = True) -> BlockEvents:
    """A Bitcoin block of a coinbase and `txs`, with OURS watched."""
    block = BuiltBlock([coinbase(1, (MINER, 50)), *txs])
    return read_block(block.raw(), form=BITCOIN, outpoints=outpoints, scripts={OURS}, verify=verify)


def test_the_header_gives_hash_parent_and_time() -> None:
    block = BuiltBlock([coinbase(1)], parent=bytes(range(32)))
    header = read_block(block.raw(), form=BITCOIN, outpoints=(), scripts=()).header
    assert (header.hash, header.parent, header.time) == (block.hash(), bytes(range(32)), EPOCH)
    assert header.tip(9) == Tip(9, block.hash()[::-1].hex(), datetime.fromtimestamp(EPOCH, tz=UTC))


def test_a_block_that_touches_nothing_watched_says_nothing() -> None:
    events = read(pay(OLD_COIN, (THEIRS, 5)))
    assert (events.transactions, events.spent, events.created) == ((), (), ())


def test_a_payment_to_a_watched_script_creates_a_coin() -> None:
    tx = pay(OLD_COIN, (THEIRS, 5), (OURS, 7))
    events = read(tx)
    assert events.created == (Created(tx.outpoint(1), OURS, 7, coinbase=False, position=1),)
    assert events.spent == ()


def test_a_watched_outpoint_is_spent_by_the_transaction_that_has_it_as_input() -> None:
    first, second = pay(OTHER_COIN, (THEIRS, 5)), pay(OLD_COIN, (THEIRS, 5))
    events = read(first, second, outpoints=frozenset({OLD_COIN}))
    assert events.spent == (Spend(OLD_COIN, second.txid(), 2),)
    assert events.created == ()


def test_a_watched_coinbase_is_marked_as_one() -> None:
    tx = coinbase(5, (OURS, 50))
    events = read_block(BuiltBlock([tx]).raw(), form=BITCOIN, outpoints=(), scripts={OURS}, verify=True)
    assert events.created == (Created(tx.outpoint(0), OURS, 50, coinbase=True, position=0),)


def test_a_coin_created_and_spent_within_the_block_is_both() -> None:
    first = pay(OLD_COIN, (OURS, 7))
    second = pay(first.outpoint(0), (THEIRS, 6))
    events = read(first, second)
    assert [created.outpoint for created in events.created] == [first.outpoint(0)]
    assert events.spent == (Spend(first.outpoint(0), second.txid(), 2),)


def test_a_chain_of_payments_to_ourselves_within_the_block_keeps_its_order() -> None:
    chain = [pay(OLD_COIN, (OURS, 9))]
    for value in (8, 7, 6):
        chain.append(pay(chain[-1].outpoint(0), (OURS, value)))
    events = read(*chain, outpoints=frozenset({OLD_COIN}))
    assert [created.value for created in events.created] == [9, 8, 7, 6]
    assert [spend.position for spend in events.spent] == [1, 2, 3, 4]


def test_touched_transactions_come_with_all_outputs_and_inputs() -> None:
    tx = Tx([(OLD_COIN, b"\x51"), (OTHER_COIN, b"")], [(THEIRS, 3), (OURS, 4), (b"", 0)])
    (touched,) = read(tx).transactions
    assert (touched.position, touched.txid, touched.input_count) == (1, tx.txid(), 2)
    assert list(touched.inputs()) == [OLD_COIN, OTHER_COIN]
    assert list(touched.outputs()) == [Output(THEIRS, 3), Output(OURS, 4), Output(b"", 0)]


def test_a_transaction_touched_twice_is_listed_once() -> None:
    events = read(pay(OLD_COIN, (OURS, 1), (OURS, 2)), outpoints=frozenset({OLD_COIN}))
    assert len(events.transactions) == 1
    assert [created.value for created in events.created] == [1, 2]


def test_the_id_leaves_the_witness_out() -> None:
    with_witness = pay(OLD_COIN, (OURS, 7))
    without = replace(with_witness, witness=())
    assert read(with_witness).created == read(without).created


def test_witnesses_count_a_quarter_in_the_virtual_size() -> None:
    tx = pay(OLD_COIN, (OURS, 7))
    base = len(replace(tx, witness=()).raw())
    (touched,) = read(tx).transactions
    assert touched.vsize == -(-(3 * base + len(tx.raw())) // 4)
    (plain,) = read(replace(tx, witness=())).transactions
    assert plain.vsize == base


@pytest.mark.parametrize("kind", [P2WPKH, P2TR, P2PKH, P2SH])
def test_every_type_of_script_is_matched_by_its_bytes(kind: str) -> None:
    watched = script(77, kind)
    block = BuiltBlock([coinbase(1), pay(OLD_COIN, (watched, 7), (script(78, kind), 8))])
    events = read_block(block.raw(), form=BITCOIN, outpoints=(), scripts={watched}, verify=True)
    assert [(one.script, one.value) for one in events.created] == [(watched, 7)]


@pytest.mark.parametrize("length", [0, 1, 0xFC, 0xFD, 0xFFFF, 0x10000])
def test_every_form_of_a_size_is_read(length: int) -> None:
    """In scripts of inputs and outputs and in witnesses; what follows must be found."""
    filler = b"\x6a" * length
    tx = Tx([(OTHER_COIN, filler), (OLD_COIN, b"")], [(filler, 0), (OURS, 7)], [[filler], [b"signature"]])
    events = read(tx, outpoints=frozenset({OLD_COIN}))
    assert events.created == (Created(tx.outpoint(1), OURS, 7, coinbase=False, position=1),)
    assert events.spent == (Spend(OLD_COIN, tx.txid(), 1),)


@pytest.mark.parametrize("number", [0xFC, 0xFD, 0x10000])
def test_every_form_of_a_count_is_read(number: int) -> None:
    """Of inputs, outputs and witness items."""
    inputs = [(at.to_bytes(32, "big") + bytes(4), b"") for at in range(1, number)] + [(OLD_COIN, b"")]
    outputs = [(b"\x6a", 0)] * (number - 1) + [(OURS, 7)]
    tx = Tx(inputs, outputs, [[b""] * number] + [[]] * (number - 1))
    events = read(tx, outpoints=frozenset({OLD_COIN}))
    assert events.created == (Created(tx.outpoint(number - 1), OURS, 7, coinbase=False, position=1),)
    assert events.spent == (Spend(OLD_COIN, tx.txid(), 1),)


def test_a_block_of_many_transactions_is_counted_in_the_long_form() -> None:
    txs = [pay(at.to_bytes(36, "big"), (THEIRS, 1)) for at in range(1, 300)]
    assert read(*txs, pay(OLD_COIN, (OURS, 1))).created[0].position == 300


def test_any_buffer_will_do() -> None:
    raw = BuiltBlock([coinbase(1, (OURS, 50))]).raw()
    for buffer in (memoryview(raw), memoryview(bytearray(raw))):
        events = read_block(buffer, form=BITCOIN, outpoints=(), scripts={OURS})
        assert type(events.created[0].script) is bytes
        assert events.created[0].value == 50


def test_bitcoin_cash_spends_a_coin_before_it_creates_it() -> None:
    """Its blocks are sorted by transaction id; in a Bitcoin block the order is the order of time."""
    first = pay(OLD_COIN, (OURS, 7), witness=False)
    second = pay(first.outpoint(0), (THEIRS, 6), witness=False)
    block = BuiltBlock([coinbase(1), second, first])
    events = read_block(block.raw(), form=BITCOIN_CASH, outpoints=(), scripts={OURS}, verify=True)
    assert [created.position for created in events.created] == [2]
    assert events.spent == (Spend(first.outpoint(0), second.txid(), 1),)


def test_the_asked_hash_is_accepted() -> None:
    block = BuiltBlock([coinbase(1)])
    assert (
        read_block(block.raw(), form=BITCOIN, outpoints=(), scripts=(), asked=block.hash()).header.hash == block.hash()
    )


@pytest.mark.parametrize("number", range(1, 10))
def test_the_merkle_root_of_any_number_of_transactions_is_verified(number: int) -> None:
    txs = [pay(at.to_bytes(36, "big"), (THEIRS, at)) for at in range(1, number)]
    assert read(*txs, verify=True).header.hash == read(*txs, verify=False).header.hash


def test_a_coinbase_never_spends_a_watched_coin() -> None:
    events = read(outpoints=frozenset({NOTHING}))
    assert events.spent == ()
