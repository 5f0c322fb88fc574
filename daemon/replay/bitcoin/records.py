"""What the blocks of a played chain did to each script: its coins and its history, at every height."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from daemon.replay.bitcoin.serial import NOTHING, Block, Outpoint, Transaction

DATA = b"\x6a"
"""How a script begins that nobody can spend."""


class Coin(NamedTuple):
    """An output; `height` is its block's, 0 while its transaction is pending."""

    outpoint: Outpoint
    script: bytes
    units: int
    height: int
    coinbase: bool


@dataclass(slots=True)
class Record:
    """Of one script. `made` holds every coin it ever had, in the chain's order, `spent` the height of the spender."""

    script: bytes
    made: dict[Outpoint, Coin] = field(default_factory=dict)
    spent: dict[Outpoint, int] = field(default_factory=dict)
    unspent: dict[Outpoint, Coin] = field(default_factory=dict)
    history: list[tuple[str, int]] = field(default_factory=list)
    units: int = 0
    _digested: int = 0
    _digest: hashlib._Hash = field(default_factory=hashlib.sha256)

    def at(self, height: int) -> list[Coin]:
        """The coins that were unspent after the block at this height."""
        never = height + 1
        return [
            coin
            for outpoint, coin in self.made.items()
            if coin.height <= height and self.spent.get(outpoint, never) > height
        ]

    def digest(self) -> hashlib._Hash:
        """SHA-256 of the history in the form in which an Electrum status has it; a copy, to be added to."""
        for txid, height in self.history[self._digested :]:
            self._digest.update(f"{txid}:{height}:".encode())
        self._digested = len(self.history)
        return self._digest.copy()

    def rewind(self, height: int) -> None:
        """Forgets all above this height."""
        self.made = {outpoint: coin for outpoint, coin in self.made.items() if coin.height <= height}
        self.spent = {
            outpoint: spent for outpoint, spent in self.spent.items() if spent <= height and outpoint in self.made
        }
        self.unspent = {outpoint: coin for outpoint, coin in self.made.items() if outpoint not in self.spent}
        self.history = [(txid, seen) for txid, seen in self.history if seen <= height]
        self.units = sum(coin.units for coin in self.unspent.values())
        self._digested, self._digest = 0, hashlib.sha256()


class Records:
    """Of all scripts that blocks have touched."""

    def __init__(self) -> None:
        self.of: dict[bytes, Record] = {}
        self.coins: dict[Outpoint, Coin] = {}
        """All that is unspent."""
        self.heights: dict[str, int] = {}
        """By transaction."""
        self._scripts: dict[Outpoint, bytes] = {}
        """Of all outputs that ever were."""

    def connect(self, block: Block) -> set[bytes]:
        """The scripts that it touches."""
        touched: set[bytes] = set()
        for place, one in enumerate(block.transactions):
            scripts = set(self._spend(one, height=block.height))
            scripts.update(self._make(one, height=block.height, coinbase=place == 0))
            for script in scripts:
                self.of[script].history.append((one.txid, block.height))
            self.heights[one.txid] = block.height
            touched |= scripts
        return touched

    def disconnect(self, blocks: Sequence[Block]) -> set[bytes]:
        """Undoes the newest blocks, lowest first; the scripts that they touched."""
        height = blocks[0].height - 1
        undone = [one for block in blocks for one in block.transactions]
        scripts = {script for one in undone for script, _ in one.outputs if not script.startswith(DATA)}
        scripts |= {self._scripts[outpoint] for one in undone for outpoint in one.inputs if outpoint != NOTHING}
        for one in undone:
            for place in range(len(one.outputs)):
                self.coins.pop((one.txid, place), None)
        for script in scripts:
            self.of[script].rewind(height)
            self.coins |= self.of[script].unspent
        for one in undone:
            del self.heights[one.txid]
        return scripts

    def _spend(self, one: Transaction, *, height: int) -> Iterator[bytes]:
        for outpoint in one.inputs:
            if outpoint != NOTHING:
                coin = self.coins.pop(outpoint)
                record = self.of[coin.script]
                del record.unspent[outpoint]
                record.spent[outpoint] = height
                record.units -= coin.units
                yield coin.script

    def _make(self, one: Transaction, *, height: int, coinbase: bool) -> Iterator[bytes]:
        for place, (script, units) in enumerate(one.outputs):
            if not script.startswith(DATA):
                coin = Coin((one.txid, place), script, units, height, coinbase)
                record = self.of.setdefault(script, Record(script))
                record.made[coin.outpoint] = record.unspent[coin.outpoint] = self.coins[coin.outpoint] = coin
                record.units += units
                self._scripts[coin.outpoint] = script
                yield script
