"""One transaction: its id and virtual size, what it spends and whom it pays."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from connectors.bitcoin.cashtokens import PREFIX, without_token
from connectors.bitcoin.forms import BlockForm
from connectors.bitcoin.serial import compact_size, double_sha256, reading, refuse
from connectors.bitcoin.wire import Walk

OUTPOINT = 36
NOTHING = b"\x00" * 32 + b"\xff" * 4  # the outpoint of a coinbase
VERSION = 4  # bytes
MWEB_ONLY = b"\x00\x08\x00\x00\x01"  # marker, flags, no inputs, no outputs, an MWEB transaction


class Output(NamedTuple):
    """Whom an output pays (scriptPubKey, a Bitcoin Cash token left out) and how much, in units."""

    script: bytes
    value: int


@dataclass(frozen=True, slots=True)
class Transaction:
    """A transaction, at `position` in its block (0 outside one). `vsize` is in virtual bytes (BIP 141).

    `txid` is in internal byte order. Inputs and outputs are read when asked for: a payout to thousands costs nothing
    until somebody wants to know.
    """

    position: int
    txid: bytes
    vsize: int
    stripped: bytes = field(repr=False)
    form: BlockForm = field(repr=False)

    @property
    def input_count(self) -> int:
        return compact_size(self.stripped, VERSION)[0]

    def inputs(self) -> Iterator[bytes]:
        """The outpoints that it spends, in order; a coinbase spends `NOTHING`."""
        raw = self.stripped
        number, at = compact_size(raw, VERSION)
        for _ in range(number):
            yield raw[at : at + OUTPOINT]
            at = _after_input(raw, at)

    def outputs(self) -> Iterator[Output]:
        """All its outputs, in order."""
        raw = self.stripped
        number, at = compact_size(raw, VERSION)
        for _ in range(number):
            at = _after_input(raw, at)
        number, at = compact_size(raw, at)
        for _ in range(number):
            value = int.from_bytes(raw[at : at + 8], "little")
            size, at = compact_size(raw, at + 8)
            script = raw[at : at + size]
            at += size
            yield Output(without_token(script) if self.form.tokens and script[:1] == PREFIX else script, value)


def read_transaction(raw: bytes | memoryview, *, form: BlockForm) -> Transaction | None:
    """A transaction outside a block; None for one that happens wholly inside Litecoin's extension block.

    Raises BadAnswer for anything that is not exactly one transaction.
    """
    raw = bytes(raw)
    if form.mweb and raw[VERSION : VERSION + len(MWEB_ONLY)] == MWEB_ONLY:
        return None
    walk = Walk(raw, form=form, pool=True)
    with reading("a transaction"):
        end = walk.transaction(0)
    if end != len(raw):
        refuse("the transaction does not end where the bytes do")
    return walked(walk, 0)


def walked(walk: Walk, position: int) -> Transaction:
    """The transaction at `position` of a walk."""
    stripped = walk.stripped(position)
    vsize = len(stripped) + (walk.witness_size(position) + 3) // 4
    return Transaction(position, double_sha256(stripped), vsize, stripped, walk.form)


def _after_input(raw: bytes, at: int) -> int:
    size, at = compact_size(raw, at + OUTPOINT)
    return at + size + 4
