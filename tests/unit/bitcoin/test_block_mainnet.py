"""Real mainnet blocks, read by us, by a plain reader and by bitcoinlib: the same transactions, the same coins."""

import random
from functools import cache

import pytest

from connectors.bitcoin.block import HEADER, BlockEvents, read_block
from connectors.bitcoin.forms import BITCOIN
from connectors.bitcoin.transaction import read_transaction
from connectors.bitcoin.wire import Walk
from tests.unit.bitcoin.building import PlainTx, plainly
from tests.unit.bitcoin.mainnet import ALL, FULL, HEAVY, OLD, by_bitcoinlib, real_block

MISNAMED = bytes.fromhex("966e8c2b5eb5e842bac97782412162f39e91fccb44a1bfde5ceb7c89e79a37eb")[::-1]
COUNTS = {OLD: 213, FULL: 3315, HEAVY: 230}


@cache
def plain(name: str) -> list[PlainTx]:
    return plainly(real_block(name))


class Everything:
    def __contains__(self, key: object) -> bool:
        return True


def everything(name: str) -> BlockEvents:
    return read_block(real_block(name), form=BITCOIN, outpoints=(), scripts=Everything(), verify=True)


def as_plain(events: BlockEvents) -> list[PlainTx]:
    return [
        PlainTx(tx.txid, tuple(tx.inputs()), tuple((output.script, output.value) for output in tx.outputs()))
        for tx in events.transactions
    ]


def expected(name: str, *, outpoints: set[bytes], scripts: set[bytes]) -> tuple[list[tuple[bytes, int]], list[bytes]]:
    """Coins created and outpoints spent, by going through everything one by one."""
    created, spent, known = [], [], set(outpoints)
    for tx in plain(name):
        spent += [outpoint for outpoint in tx.inputs if outpoint in known]
        for index, (script, value) in enumerate(tx.outputs):
            if script in scripts:
                outpoint = tx.txid + index.to_bytes(4, "little")
                created.append((outpoint, value))
                known.add(outpoint)
    return created, spent


@pytest.mark.parametrize("name", ALL)
def test_every_transaction_of_a_real_block_is_read_as_the_plain_reader_reads_it(name: str) -> None:
    """Ids, inputs and outputs, with a merkle root that agrees with the header."""
    events = everything(name)
    assert as_plain(events) == plain(name)
    assert len(events.transactions) == COUNTS[name]
    assert name == OLD or events.header.hash[::-1].hex() in name


@pytest.mark.timeout(60)
def test_bitcoinlib_reads_the_same_transactions_in_an_old_block() -> None:
    assert by_bitcoinlib(real_block(OLD)) == as_plain(everything(OLD))


@pytest.mark.timeout(60)
def test_bitcoinlib_reads_the_same_transactions_in_the_full_block_but_one_id() -> None:
    """It takes seconds, and misnames a P2SH-P2WSH spend of a single key; the merkle root says that ours is right."""
    theirs, ours = by_bitcoinlib(real_block(FULL)), as_plain(everything(FULL))
    assert [(tx.inputs, tx.outputs) for tx in theirs] == [(tx.inputs, tx.outputs) for tx in ours]
    assert [one.txid for one, other in zip(ours, theirs, strict=True) if one.txid != other.txid] == [MISNAMED]


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize("share", [0.002, 0.1, 1.0])
def test_what_is_watched_is_found_and_nothing_else(name: str, share: float) -> None:
    """Among random shares of the block's own scripts and outpoints, coins that live for this one block included."""
    chance = random.Random(share)
    scripts = {script for tx in plain(name) for script, _ in tx.outputs if chance.random() < share}
    outpoints = {outpoint for tx in plain(name)[1:] for outpoint in tx.inputs if chance.random() < share}
    events = read_block(real_block(name), form=BITCOIN, outpoints=outpoints, scripts=scripts, verify=True)
    created, spent = expected(name, outpoints=outpoints, scripts=scripts)
    assert [(one.outpoint, one.value) for one in events.created] == created
    assert [one.outpoint for one in events.spent] == spent
    touched = {one.position for one in events.created} | {one.position for one in events.spent}
    assert [tx.position for tx in events.transactions] == sorted(touched)


@pytest.mark.parametrize("name", ALL)
def test_every_transaction_is_read_alone_as_in_its_block(name: str) -> None:
    raw = real_block(name)
    walk = Walk(raw, form=BITCOIN)
    walk.transactions(HEADER)
    for start, end, tx in zip(walk.starts, walk.ends, plain(name), strict=True):
        alone = read_transaction(memoryview(raw)[start:end], form=BITCOIN)
        assert alone is not None
        assert (alone.txid, tuple(alone.inputs())) == (tx.txid, tx.inputs)
