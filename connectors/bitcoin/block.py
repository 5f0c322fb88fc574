"""Reads a raw block: which watched coins it spends, which it creates, and the transactions that do it.

Layouts and limits: Bitcoin Core (serialize.h, primitives/, tx_check.cpp, CheckBlock in validation.cpp), BIP 144.
Only what concerns us is judged: signatures, proof of work and the amounts that others spend are the node's business.
Hashes are 32 bytes in internal byte order; hex in reversed order appears at the edges alone.
"""

from bisect import bisect_right
from collections.abc import Container
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice
from typing import NamedTuple

from connectors.base import Tip
from connectors.bitcoin import auxpow, mweb
from connectors.bitcoin.forms import BlockForm
from connectors.bitcoin.serial import double_sha256, reading, refuse
from connectors.bitcoin.transaction import NOTHING, OUTPOINT, Transaction, walked
from connectors.bitcoin.wire import Walk

HEADER, HASH = 80, 32
COINBASE_SCRIPT = range(2, 101)


class Spend(NamedTuple):
    """A watched coin is spent by transaction `txid`, at `position` in its block."""

    outpoint: bytes
    txid: bytes
    position: int


class Created(NamedTuple):
    """A watched script is paid: a coin of `value` units, made by the transaction at `position` in its block."""

    outpoint: bytes
    script: bytes
    value: int
    coinbase: bool
    position: int


@dataclass(frozen=True, slots=True)
class Header:
    """A block's header; `time` is the block's own clock, in seconds since 1970. The height is not in it."""

    hash: bytes
    parent: bytes
    root: bytes
    time: int

    def tip(self, height: int) -> Tip:
        """The block as the rest of the program knows it."""
        return Tip(height, self.hash[::-1].hex(), datetime.fromtimestamp(self.time, tz=UTC))


@dataclass(frozen=True, slots=True)
class BlockEvents:
    """What a block does to what is watched, in the block's order.

    A coin that is created and spent in this block stands in both lists. `transactions` are those that touch a watched
    coin or script, and no others.
    """

    header: Header
    transactions: tuple[Transaction, ...]
    spent: tuple[Spend, ...]
    created: tuple[Created, ...]


def read_block(
    raw: bytes | memoryview,
    *,
    form: BlockForm,
    outpoints: Container[bytes],
    scripts: Container[bytes],
    asked: bytes | None = None,
    verify: bool = False,
) -> BlockEvents:
    """What the block does to the watched `outpoints` (36 bytes: txid, index) and `scripts` (scriptPubKey).

    `asked` is the hash that the block was asked for by. With `verify` the transactions are checked against the header's
    merkle root, which a source that is not our own node calls for; without, its transactions are believed.
    Raises BadAnswer for anything that is not exactly one block of this form.
    """
    raw = bytes(raw)
    header = _header(raw)
    if asked is not None and header.hash != asked:
        refuse(f"block {header.hash[::-1].hex()} came for {asked[::-1].hex()}")
    walk = Walk(raw, form=form, scripts=scripts)
    with reading("a block"):
        _walk(walk, raw, form=form)
    if verify and _merkle_root(walk) != header.root:
        refuse("its transactions are not those of its header")
    return _events(walk, header, outpoints=outpoints)


def _header(raw: bytes) -> Header:
    if len(raw) < HEADER:
        refuse("it is shorter than a header")
    return Header(double_sha256(raw[:HEADER]), raw[4:36], raw[36:68], int.from_bytes(raw[68:72], "little"))


def _walk(walk: Walk, raw: bytes, *, form: BlockForm) -> None:
    at = HEADER
    if form.auxpow and int.from_bytes(raw[:4], "little") & auxpow.VERSION_AUXPOW:
        at = auxpow.after_proof(raw, at)
    end = walk.transactions(at)
    last = len(walk.starts) - 1
    if last < 0 or not _is_coinbase(walk):
        refuse("it does not begin with a coinbase")
    if walk.hogex:
        if walk.hogex != [last] or last == 0:
            refuse("its HogEx is not its last transaction")
        end = mweb.after_block(raw, end)
    if end != len(raw):
        refuse("it does not end where the bytes do")


def _is_coinbase(walk: Walk) -> bool:
    """Whether the first transaction has one input, which spends nothing and holds 2 to 100 bytes (tx_check.cpp)."""
    script = walk.inputs[0] + OUTPOINT
    alone = len(walk.inputs) == 1 or walk.inputs[1] > walk.ends[0]
    return alone and walk.raw[script - OUTPOINT : script] == NOTHING and walk.raw[script] in COINBASE_SCRIPT


def _events(walk: Walk, header: Header, *, outpoints: Container[bytes]) -> BlockEvents:
    touched: dict[int, Transaction] = {}

    def transaction(position: int) -> Transaction:
        known = touched.get(position)
        if known is None:
            known = touched[position] = walked(walk, position)
        return known

    created: dict[bytes, Created] = {}
    for match in walk.matches:
        outpoint = transaction(match.transaction).txid + match.output.to_bytes(4, "little")
        if outpoint in created:
            refuse("it has one transaction twice")
        created[outpoint] = Created(outpoint, match.script, match.value, match.transaction == 0, match.transaction)
    spent: dict[bytes, Spend] = {}
    for at in _watched_inputs(walk, outpoints=outpoints, created=created):
        outpoint = walk.raw[at : at + OUTPOINT]
        position = bisect_right(walk.starts, at) - 1
        if outpoint in spent:
            refuse("it spends one coin twice")
        if outpoint in created and created[outpoint].position >= position and not walk.form.sorted_by_txid:
            refuse("it spends a coin before it creates it")
        spent[outpoint] = Spend(outpoint, transaction(position).txid, position)
    transactions = tuple(touched[position] for position in sorted(touched))
    return BlockEvents(header, transactions, tuple(spent.values()), tuple(created.values()))


def _watched_inputs(walk: Walk, *, outpoints: Container[bytes], created: Container[bytes]) -> list[int]:
    """Where the inputs are that spend a watched coin, be it of an earlier block or of this one."""
    raw = walk.raw
    found = [
        at
        for at in islice(walk.inputs, 1, None)
        if (outpoint := raw[at : at + OUTPOINT]) in outpoints or outpoint in created or outpoint == NOTHING
    ]
    if any(raw[at : at + OUTPOINT] == NOTHING for at in found):
        refuse("it has a second coinbase")
    return found


def _merkle_root(walk: Walk) -> bytes:
    """Refuses a level with equal neighbours: two lists of transactions share such a root (CVE-2012-2459)."""
    level = bytearray()  # of hashes, end to end
    for position in range(len(walk.starts)):
        level += walk.txid(position)
    while len(level) > HASH:
        above = bytearray()
        for at in range(0, len(level), 2 * HASH):
            left, right = level[at : at + HASH], level[at + HASH : at + 2 * HASH]
            if left == right:
                refuse("it has one transaction twice")
            above += double_sha256(bytes(left + (right or left)))
        level = above
    return bytes(level)
