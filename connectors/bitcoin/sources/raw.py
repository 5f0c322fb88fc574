"""A single transaction as serialised: its id, what it spends and what it makes. For proofs, not for whole blocks.

Source: Bitcoin's protocol documentation, «Transaction», and BIP 144 for the form with witnesses.
"""

from __future__ import annotations

import hashlib
from typing import NamedTuple

from connectors.errors import BadAnswer
from connectors.standing import Standing


class Outpoint(NamedTuple):
    txid: bytes
    vout: int


class Output(NamedTuple):
    value: int
    script: bytes


class Transaction(NamedTuple):
    txid: bytes
    spends: tuple[Outpoint, ...]
    outputs: tuple[Output, ...]


class _Reader:
    """Takes a serialisation apart; every length is held against what is left."""

    def __init__(self, raw: bytes) -> None:
        self._raw = raw
        self.at = 0

    def take(self, size: int) -> bytes:
        end = self.at + size
        if end > len(self._raw):
            raise ValueError(f"ends at byte {len(self._raw)} where {end} were announced")
        part, self.at = self._raw[self.at : end], end
        return part

    def number(self, size: int) -> int:
        return int.from_bytes(self.take(size), "little")

    def count(self) -> int:
        """A compact size; it is at most the number of bytes left, for whatever it counts has at least one."""
        first = self.number(1)
        size = first if first < 0xFD else self.number({0xFD: 2, 0xFE: 4, 0xFF: 8}[first])
        if size > len(self._raw) - self.at:
            raise ValueError(f"announces {size} items in {len(self._raw) - self.at} bytes")
        return size

    def string(self) -> bytes:
        return self.take(self.count())


def parse(raw: bytes) -> Transaction:
    """The whole of `raw` as one transaction, with witnesses or without. Raises ValueError for anything else."""
    reader = _Reader(raw)
    reader.take(4)
    with_witness = raw[4:6] == b"\x00\x01"
    if with_witness:
        reader.take(2)
    start = reader.at
    spends = tuple(_input(reader) for _ in range(reader.count()))
    outputs = tuple(_output(reader) for _ in range(reader.count()))
    body = raw[start : reader.at]
    for _ in spends if with_witness else ():
        for _ in range(reader.count()):
            reader.string()
    end = reader.take(4)
    if reader.at != len(raw):
        raise ValueError(f"{len(raw) - reader.at} bytes are left over")
    stripped = raw[:4] + body + end
    return Transaction(hashlib.sha256(hashlib.sha256(stripped).digest()).digest(), spends, outputs)


def proven(raw: bytes, *, txid: bytes, by: Standing) -> bytes:
    """`raw`, if it is the transaction with this id; BadAnswer, counted against the provider, if not."""
    understood(raw, txid=txid, by=by)
    return raw


def understood(raw: bytes, *, txid: bytes, by: Standing) -> Transaction:
    """The transaction with this id; BadAnswer, counted against the provider, when `raw` is none or another one."""
    try:
        transaction = parse(raw)
    except ValueError as error:
        raise by.blame(BadAnswer(f"{by.provider}: gave no transaction: it {error}")) from None
    if transaction.txid != txid:
        text = f"{by.provider}: gave transaction {transaction.txid[::-1].hex()} for {txid[::-1].hex()}"
        raise by.blame(BadAnswer(text))
    return transaction


def _input(reader: _Reader) -> Outpoint:
    outpoint = Outpoint(reader.take(32), reader.number(4))
    reader.string()
    reader.take(4)
    return outpoint


def _output(reader: _Reader) -> Output:
    return Output(reader.number(8), reader.string())
