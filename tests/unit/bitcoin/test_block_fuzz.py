"""Damaged blocks: each ends in BadAnswer or is still a block and read correctly; never another error, never for ever.

The suite tries some thousands; PYROMETER_FUZZ says how many instead (100,000 take ten minutes of processor).
"""

import os
import random
from collections.abc import Callable
from dataclasses import dataclass

import pytest

from connectors.bitcoin.block import BlockEvents, read_block
from connectors.bitcoin.forms import BITCOIN, BITCOIN_CASH, DOGECOIN, LITECOIN, BlockForm
from connectors.bitcoin.transaction import read_transaction
from connectors.bitcoin.wire import Walk
from connectors.errors import BadAnswer
from tests.unit.bitcoin.building import BuiltBlock, PlainTx, coinbase, pay, plainly, script, size
from tests.unit.bitcoin.mainnet import ALL, FULL, HEAVY, OLD, real_block, recorded

HOW_MANY = int(os.environ.get("PYROMETER_FUZZ", "500"))
SHARES = {OLD: 0.9, FULL: 0.05, HEAVY: 0.05}
OURS = script(1)
COIN = bytes(range(36))

Damage = Callable[[bytearray, random.Random], None]


def flip_a_bit(raw: bytearray, chance: random.Random) -> None:
    raw[chance.randrange(len(raw))] ^= 1 << chance.randrange(8)


def change_a_byte(raw: bytearray, chance: random.Random) -> None:
    raw[chance.randrange(len(raw))] = chance.choice([0, 1, 0xFC, 0xFD, 0xFE, 0xFF, chance.randrange(256)])


def change_some_bytes(raw: bytearray, chance: random.Random) -> None:
    for _ in range(chance.randrange(2, 9)):
        change_a_byte(raw, chance)


def cut_a_piece_out(raw: bytearray, chance: random.Random) -> None:
    at = chance.randrange(len(raw))
    del raw[at : at + chance.randrange(1, 200)]


def put_a_piece_in(raw: bytearray, chance: random.Random) -> None:
    at = chance.randrange(len(raw))
    raw[at:at] = chance.randbytes(chance.randrange(1, 200))


def repeat_a_piece(raw: bytearray, chance: random.Random) -> None:
    at, other = chance.randrange(len(raw)), chance.randrange(len(raw))
    raw[at:at] = raw[other : other + chance.randrange(1, 200)]


def cut_off(raw: bytearray, chance: random.Random) -> None:
    del raw[chance.randrange(len(raw)) :]


def announce_more(raw: bytearray, chance: random.Random) -> None:
    at = chance.randrange(len(raw))
    raw[at : at + 1] = chance.choice([b"\xfd", b"\xfe", b"\xff"]) + chance.randbytes(chance.choice([2, 4, 8]))


DAMAGES: tuple[Damage, ...] = (
    flip_a_bit,
    change_a_byte,
    change_some_bytes,
    cut_a_piece_out,
    put_a_piece_in,
    repeat_a_piece,
    cut_off,
    announce_more,
)


@dataclass(frozen=True)
class Watched:
    outpoints: frozenset[bytes]
    scripts: frozenset[bytes]

    def read(self, raw: bytes, *, form: BlockForm = BITCOIN, verify: bool = False) -> BlockEvents | None:
        """None for BadAnswer; whatever else is raised fails the test."""
        try:
            return read_block(raw, form=form, outpoints=self.outpoints, scripts=self.scripts, verify=verify)
        except BadAnswer:
            return None


def watch_some(txs: list[PlainTx], *, every: int = 3) -> Watched:
    """A part of what the block pays and spends."""
    scripts = sorted({code for tx in txs for code, _ in tx.outputs})
    outpoints = sorted({outpoint for tx in txs[1:] for outpoint in tx.inputs})
    return Watched(frozenset(outpoints[::every]), frozenset(scripts[::every]))


def agrees(events: BlockEvents, raw: bytes, watched: Watched) -> bool:
    """Whether the plain reader finds the same in what is left of the block."""
    created: list[tuple[bytes, bytes, int]] = []
    txs = plainly(raw)
    for tx in txs:
        for index, (code, value) in enumerate(tx.outputs):
            if code in watched.scripts:
                created.append((tx.txid + index.to_bytes(4, "little"), code, value))
    ours = watched.outpoints | {outpoint for outpoint, _, _ in created}
    spent = [(outpoint, tx.txid) for tx in txs for outpoint in tx.inputs if outpoint in ours]
    return [(one.outpoint, one.script, one.value) for one in events.created] == created and [
        (one.outpoint, one.txid) for one in events.spent
    ] == spent


def damage(raw: bytes, chance: random.Random) -> bytes:
    damaged = bytearray(raw)
    chance.choice(DAMAGES)(damaged, chance)
    return bytes(damaged)


@pytest.mark.timeout(60 + HOW_MANY // 10)
@pytest.mark.parametrize("name", ALL)
def test_a_damaged_mainnet_block_is_refused_or_read_correctly(name: str) -> None:
    """What still is a block after the damage is compared with the plain reader, one in so many of the large ones."""
    raw = real_block(name)
    watched, chance = watch_some(plainly(raw), every=3 if name == OLD else 30), random.Random(name)
    every = 20 if name == OLD else 50
    survivors = 0
    for _ in range(int(HOW_MANY * SHARES[name])):
        damaged = damage(raw, chance)
        events = watched.read(damaged)
        if events is not None:
            survivors += 1
            assert survivors % every or agrees(events, damaged, watched)
    assert survivors, "the damage was so great that nothing was ever read"


@pytest.mark.parametrize("name", ALL)
def test_a_verified_block_survives_only_damage_to_what_its_header_does_not_cover(name: str) -> None:
    """Witnesses and the header's own bytes: every coin is what it was."""
    raw = real_block(name)
    watched, chance = watch_some(plainly(raw)), random.Random(name)
    whole = watched.read(raw, verify=True)
    assert whole is not None
    for _ in range(HOW_MANY // 100):
        events = watched.read(damage(raw, chance), verify=True)
        assert events is None or (events.created, events.spent) == (whole.created, whole.spent)


def a_few_real_transactions() -> bytes:
    """A block of the coinbase and every two-hundredth transaction of the full one, short enough to try all of it."""
    raw = real_block(FULL)
    walk = Walk(raw, form=BITCOIN)
    walk.transactions(80)
    pieces = [raw[start:end] for start, end in zip(walk.starts, walk.ends, strict=True)][::200]
    return raw[:80] + size(len(pieces)) + b"".join(pieces)


def a_built_block() -> bytes:
    """Of every kind of thing that a block of ours may have in it, coins that come and go in it among them."""
    first = pay(COIN, (OURS, 9), (script(2), 8))
    second = pay(first.outpoint(0), (OURS, 7), witness=False)
    return BuiltBlock([coinbase(1, (OURS, 50)), first, second, pay(second.outpoint(0), (b"\x6a" * 300, 0))]).raw()


@pytest.mark.parametrize("make", [a_few_real_transactions, a_built_block])
def test_every_prefix_of_a_block_is_refused(make: Callable[[], bytes]) -> None:
    raw = make()
    watched = watch_some(plainly(raw))
    assert watched.read(raw) is not None
    assert all(watched.read(raw[:length]) is None for length in range(len(raw)))


def test_every_single_byte_of_a_block_may_be_damaged() -> None:
    """Each byte in turn becomes each of the values that mean something to a reader."""
    raw = a_built_block()
    watched = Watched(frozenset({COIN}), frozenset({OURS}))
    survivors = 0
    for at in range(len(raw)):
        for value in (0, 1, raw[at] ^ 0x80, 0xFD, 0xFF):
            damaged = raw[:at] + bytes([value]) + raw[at + 1 :]
            events = watched.read(damaged)
            if events is not None:
                survivors += 1
                assert agrees(events, damaged, watched), f"byte {at} set to {value}"
    assert survivors


@pytest.mark.parametrize("form", [BITCOIN, LITECOIN, DOGECOIN, BITCOIN_CASH], ids=lambda form: form.name)
def test_noise_is_refused(form: BlockForm) -> None:
    chance = random.Random(form.name)
    watched = Watched(frozenset({COIN}), frozenset({OURS}))
    for _ in range(HOW_MANY // 10):
        assert watched.read(chance.randbytes(chance.randrange(2000)), form=form) is None


@pytest.mark.parametrize(
    ("form", "name"), [(LITECOIN, "litecoin-2383209.hex"), (DOGECOIN, "dogecoin-4505708-header.hex")]
)
def test_damage_to_other_forms_is_refused_or_survived(form: BlockForm, name: str) -> None:
    raw = recorded(name) + (a_dogecoin_tail() if form is DOGECOIN else b"")
    watched = Watched(frozenset({COIN}), frozenset({OURS}))
    chance = random.Random(name)
    outcomes = {watched.read(damage(raw, chance), form=form) is None for _ in range(HOW_MANY)}
    assert outcomes == {True, False}


def a_dogecoin_tail() -> bytes:
    return BuiltBlock([coinbase(1, (OURS, 50)), pay(COIN, (OURS, 9), witness=False)]).raw()[80:]


def test_a_damaged_transaction_is_refused_or_read() -> None:
    raw = pay(COIN, (OURS, 9), (script(2), 8)).raw()
    chance = random.Random(0)
    kinds: set[bool | None] = set()
    for form in (BITCOIN, LITECOIN, DOGECOIN, BITCOIN_CASH):
        for _ in range(HOW_MANY // 4):
            try:
                found = read_transaction(damage(raw, chance), form=form)
                kinds.add(found is not None and len(list(found.outputs())) > 0 and len(list(found.inputs())) > 0)
            except BadAnswer:
                kinds.add(None)
    assert kinds == {True, None}
