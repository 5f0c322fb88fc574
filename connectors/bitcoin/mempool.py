"""What one source's mempool holds of transactions that touch what is watched."""

from __future__ import annotations

from collections.abc import Callable, Collection, Container, Iterable, Mapping
from dataclasses import replace
from itertools import islice
from typing import TypeVar

from connectors.bitcoin.coins import Coin
from connectors.bitcoin.movements import Describer, Traced
from connectors.bitcoin.transaction import NOTHING, Transaction

T = TypeVar("T")

MOST_RIVALS = 10_000
"""Replacements by transactions that do not touch what is watched; the newest are remembered."""

MOST_LEFT = 10_000
"""Coins made by transactions that have left; the newest are remembered."""


class Mempool:
    """Is told what its source lists; pure of effects.

    A transaction counts as pending until a listing that should have it lacks it, so that a source that is away takes
    nothing back. `coin_at` gives the watched coin at an outpoint, as of the newest block that is read. What may spend a
    younger one is `examine_again`ed when that block is read.
    """

    def __init__(self, describer: Describer, *, coin_at: Callable[[bytes], Coin | None]) -> None:
        self.pending: dict[bytes, Traced] = {}
        """By transaction id, in internal byte order, the oldest first."""
        self.examined: set[bytes] = set()
        """Every transaction that was offered since it was listed, whether it touches anything or not."""
        self._suspects: dict[bytes, int | None] = {}
        """What touched nothing → the height up to which blocks may show that it does; None when they were read."""
        self.rivals: dict[bytes, bytes] = {}
        """Pending transaction → another that spends a coin of it without touching what is watched."""
        self.begun = 0
        """How many listings of everything have begun; `settled` is the number of the last that was settled."""
        self.settled = 0
        self.height = 0
        """Of the source's newest block after the last settled listing: what the listing lacks may be mined by then."""
        self.failing = False
        """Whether the source can't be listed at present."""
        self._describer = describer
        self._coin_at = coin_at
        self._made: dict[bytes, Coin] = {}
        self._left: dict[bytes, Coin] = {}
        """Coins made by what has left for a block, mostly, that is not read yet."""
        self._inputs_known: dict[bytes, int] = {}
        """Of each pending transaction, how many coins that it spends were known when it was offered."""
        self._spent: dict[bytes, bytes] = {}

    def offer(self, transaction: Transaction, *, fee: int | None = None) -> bool:
        """Takes a transaction that is in the mempool, where none that spends the same coin can be any more.

        Says whether it touches anything watched.
        """
        inputs = tuple(transaction.inputs())
        if NOTHING in inputs:
            return False  # a block's own, which notices tell as well; all spend the same nothing
        self.examined.add(transaction.txid)
        taken = {outpoint: coin for outpoint in inputs if (coin := self._coin(outpoint)) is not None}
        made = self._describer.paid(transaction)
        replaced = {self._spent[outpoint] for outpoint in inputs if outpoint in self._spent} - {transaction.txid}
        self._drop(replaced)
        if not taken and not made:
            self._note_rivals(replaced, by=transaction.txid)
            return False
        known = self.pending.get(transaction.txid)
        if fee is None and known is not None:
            fee = known.movement.fee
        self.pending[transaction.txid] = self._describer.describe(transaction, taken=taken, fee=fee)
        self._inputs_known[transaction.txid] = len(taken)
        self._made |= made
        self._spent |= dict.fromkeys(inputs, transaction.txid)
        return True

    def price(self, fees: Mapping[bytes, int]) -> None:
        """Takes what the source says of the fees of pending transactions, where they are not known."""
        for txid, fee in fees.items():
            known = self.pending.get(txid)
            if known is not None and known.movement.fee is None:
                self.pending[txid] = replace(known, movement=replace(known.movement, fee=fee))

    def begin(self) -> int:
        """A listing of everything begins; its number, for `settle`.

        What spends more coins that are known by now than when it was offered does not count as examined any more.
        """
        self.examined.difference_update(self._told_short())
        self.begun += 1
        return self.begun

    def suspect(self, txids: Iterable[bytes], *, height: int, again: bool) -> None:
        """Of these, what touches nothing as yet may spend coins of blocks up to this height, which are not read.

        `again`: also what was examined once more already, when blocks were read.
        """
        strangers = (txid for txid in txids if txid not in self.pending)
        self._suspects |= {txid: height for txid in strangers if again or txid not in self._suspects}

    def examine_again(self, *, height: int) -> bool:
        """Blocks are read up to this height: what may spend their coins does not count as examined.

        Says whether there is any.
        """
        due = [txid for txid, at in self._suspects.items() if at is not None and at <= height]
        self._suspects |= dict.fromkeys(due)
        again = [*due, *self._told_short()]
        self.examined.difference_update(again)
        return bool(again)

    def settle(self, listed: Collection[bytes], *, number: int, height: int) -> None:
        """A listing of everything has ended, with all that it named offered: whatever it lacks is gone."""
        self._drop([txid for txid in self.pending if txid not in listed])
        self.examined.intersection_update(listed)
        for txid in self._suspects.keys() - listed:
            del self._suspects[txid]
        self.settled, self.height = number, height

    def settle_scripts(self, scripts: Container[bytes], *, listed: Container[bytes]) -> None:
        """As `settle`, for the transactions that touch one of these scripts."""
        self._drop([txid for txid in self.pending if txid not in listed and self._touches(txid, scripts)])

    def _told_short(self) -> list[bytes]:
        """What spends more coins that are known by now than when it was offered."""
        return [
            txid
            for txid, traced in self.pending.items()
            if sum(self._coin(outpoint) is not None for outpoint in traced.inputs) > self._inputs_known[txid]
        ]

    def _coin(self, outpoint: bytes) -> Coin | None:
        return self._made.get(outpoint) or self._coin_at(outpoint) or self._left.get(outpoint)

    def _touches(self, txid: bytes, scripts: Container[bytes]) -> bool:
        made = (coin for outpoint, coin in self._made.items() if outpoint.startswith(txid))
        taken = (self._coin(outpoint) for outpoint in self.pending[txid].inputs)
        return any(coin.script in scripts for coin in (*made, *taken) if coin is not None)

    def _note_rivals(self, replaced: Collection[bytes], *, by: bytes) -> None:
        self.rivals |= dict.fromkeys(replaced, by)
        _shorten(self.rivals, most=MOST_RIVALS)

    def _drop(self, txids: Collection[bytes]) -> None:
        self.examined.difference_update(txids)
        for txid in txids:
            gone = self.pending.pop(txid)
            del self._inputs_known[txid]
            for outpoint in gone.inputs:
                if self._spent.get(outpoint) == txid:
                    del self._spent[outpoint]
        if txids:
            dropped = set(txids)
            left = {outpoint: coin for outpoint, coin in self._made.items() if outpoint[:32] in dropped}
            self._made = {outpoint: coin for outpoint, coin in self._made.items() if outpoint not in left}
            self._left |= left
            _shorten(self._left, most=MOST_LEFT)


def _shorten(remembered: dict[bytes, T], *, most: int) -> None:
    for old in list(islice(remembered, max(0, len(remembered) - most))):
        del remembered[old]
