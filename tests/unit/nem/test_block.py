"""Blocks: their hashes are recomputed, and they say whom they touch; the way from one block to another."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from pydantic import ValidationError

from connectors.nem.block import BLOCK, Block, Blocks
from connectors.nem.networks import NETWORKS
from daemon.replay.nem_ledger import Ledger, hash_of
from daemon.replay.nem_transactions import Notary
from tests.unit.nem import published
from tests.unit.nem.ed25519 import fits

NOTARY = Notary(NETWORKS["mainnet"])
ALICE, BOB, CAROL, DAVE = (NOTARY.person(name) for name in ("alice", "bob", "carol", "dave"))
BEGIN = datetime(2020, 1, 1, tzinfo=UTC)


def ledger() -> Ledger:
    balances = {person.address: 10**12 for person in (ALICE, BOB, CAROL, DAVE)}
    return Ledger(NOTARY, balances=balances, time=BEGIN)


def test_the_hash_of_a_real_block_is_the_one_that_the_chain_knows_it_by() -> None:
    block = BLOCK.validate_python(published.BLOCK_3)
    assert block.header.hash == published.HASH_3
    assert block.header.parent == published.BLOCK_3["prevBlockHash"]["data"]
    assert (block.header.height, block.header.time) == (3, datetime(2015, 3, 29, 20, 39, 21, tzinfo=UTC))


@pytest.mark.parametrize("told", [published.BLOCK_3, published.BLOCK_1051051, published.TESTNET_88611])
def test_the_harvesters_signature_of_a_real_block_fits_the_bytes_that_we_hash(told: dict[str, Any]) -> None:
    block = BLOCK.validate_python(told)
    assert fits(block.signature, message=block.serial(), key=block.signer)


@pytest.mark.parametrize(
    "change",
    [
        {"height": 1051052},
        {"timeStamp": 63656861},
        {"version": 1744830466},
        {"signer": "00" * 32},
        {"prevBlockHash": {"data": "00" * 32}},
        {"transactions": []},
        {"transactions": [{**published.BLOCK_1051051["transactions"][0], "amount": 1}]},
        {"transactions": [{**published.BLOCK_1051051["transactions"][0], "signature": "00" * 64}]},
    ],
    ids=str,
)
def test_whatever_is_changed_in_a_block_changes_its_hash(change: dict[str, object]) -> None:
    true = BLOCK.validate_python(published.BLOCK_1051051).hash
    assert BLOCK.validate_python({**published.BLOCK_1051051, **change}).hash != true


def test_a_real_block_touches_sender_recipient_and_harvester() -> None:
    block = BLOCK.validate_python(published.BLOCK_1051051)
    transaction = block.transactions[0]
    assert block.touched == {block.signed_by, transaction.signed_by, "NBZMQO7ZPBYNBDUR7F75MAKA2S3DHDCIFG775N3D"}
    assert block.fees == 40_000_000


def test_an_empty_block_touches_nobody_not_even_its_harvester() -> None:
    assert BLOCK.validate_python(published.BLOCK_3).touched == frozenset()


def test_a_multisig_transaction_touches_everybody_in_and_around_it() -> None:
    chain = ledger()
    inner = NOTARY.transfer(ALICE, to=BOB.address, units=1, time=chain.now)
    told = NOTARY.multisig(CAROL, inner=inner, inner_hash=hash_of(inner), cosigners=[DAVE])
    touched = chain.mine([told]).block.touched
    assert {person.address for person in (ALICE, BOB, CAROL, DAVE)} <= touched


def test_mosaics_that_move_and_mosaics_that_are_defined_are_told_apart() -> None:
    chain = ledger()
    define = NOTARY.mosaic_definition(ALICE, name="a:b", divisibility=0, supply=9, time=chain.now)
    first = chain.mine([define]).block
    move = NOTARY.transfer(ALICE, to=BOB.address, units=1_000_000, time=chain.now, mosaics={"a:b": 1, "nem:xem": 1})
    second = chain.mine([move]).block
    assert (set(first.defined), set(first.moved)) == ({"a:b"}, set())
    assert (set(second.defined), set(second.moved)) == (set(), {"a:b"})


def blocks_of(*chains: Ledger) -> Blocks:
    blocks = Blocks()
    for chain in chains:
        for mined in chain.blocks:
            blocks.keep(mined.block)
    return blocks


def heights(blocks: Any) -> list[int]:  # noqa: ANN401 - a sequence of blocks
    return [block.height for block in blocks]


def test_the_way_along_one_branch_applies_each_block_once() -> None:
    chain = ledger()
    for _ in range(4):
        chain.mine()
    path = blocks_of(chain).path(chain.blocks[2].block.hash, chain.tip.block.hash)
    assert path is not None
    assert (heights(path.undone), heights(path.applied)) == ([], [4, 5, 6])


def test_the_way_to_another_branch_undoes_ours_newest_first() -> None:
    chain = ledger()
    for _ in range(4):
        chain.mine()
    blocks, old = blocks_of(chain), chain.tip.block
    chain.reorganise(2, length=3)
    for mined in chain.blocks:
        blocks.keep(mined.block)
    path = blocks.path(old.hash, chain.tip.block.hash)
    assert path is not None
    assert (heights(path.undone), heights(path.applied)) == ([6, 5], [5, 6, 7])


def test_there_is_no_way_over_a_block_that_nobody_told() -> None:
    chain = ledger()
    for _ in range(4):
        chain.mine()
    blocks = Blocks()
    for place in (0, 1, 3, 4):
        blocks.keep(chain.blocks[place].block)
    assert blocks.path(chain.blocks[1].block.hash, chain.blocks[4].block.hash) is None
    lowest = blocks.lowest(chain.blocks[4].block.hash)
    assert lowest is not None
    assert lowest.height == 4


def test_only_so_many_blocks_are_kept() -> None:
    blocks, first = Blocks(), BLOCK.validate_python(published.BLOCK_3)
    blocks.keep(first)
    for height in range(4, 1100):
        blocks.keep(BLOCK.validate_python({**published.BLOCK_3, "height": height}))
    assert blocks.get(first.hash) is None


@pytest.mark.parametrize(
    "change",
    [
        {"height": 0},
        {"height": 2**63},
        {"height": "3"},
        {"height": None},
        {"timeStamp": -1},
        {"timeStamp": 2**31},
        {"signer": None},
        {"signature": "00"},
        {"prevBlockHash": "00" * 32},
        {"prevBlockHash": {}},
        {"prevBlockHash": {"data": 5}},
        {"transactions": None},
        {"transactions": {}},
        {"transactions": [None]},
        {"transactions": [{}]},
        {"type": 2},
        {"version": 1.0},
    ],
    ids=str,
)
def test_a_malformed_block_is_refused(change: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        BLOCK.validate_python({**published.BLOCK_3, **change})


def test_the_scripted_ledger_links_its_blocks_by_their_hashes() -> None:
    chain = ledger()
    for _ in range(3):
        chain.mine(after=timedelta(seconds=90))
    blocks: list[Block] = [mined.block for mined in chain.blocks]
    assert [block.parent for block in blocks[1:]] == [block.hash for block in blocks[:-1]]
