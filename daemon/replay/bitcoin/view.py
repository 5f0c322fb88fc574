"""What one node knows of the ledger: all of it, or the chain as it was some blocks ago; and how it lies about coins."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from daemon.replay.bitcoin.ledger import Ledger
from daemon.replay.bitcoin.records import Coin, Record
from daemon.replay.bitcoin.serial import Block, Transaction
from daemon.replay.faults import Faults

LIE = 8
"""A lying node tells one coin of each script by this part larger than it is."""


class View:
    """A node's, by its faults. One that is behind has an empty mempool: what waited then is in blocks now.

    A lie is about a coin where nothing proves its worth: blocks and transactions are told as they are.
    """

    def __init__(self, ledger: Ledger, faults: Faults) -> None:
        self.faults = faults
        self._ledger = ledger

    @property
    def height(self) -> int:
        return max(0, self._ledger.tip.height - self.faults.behind)

    @property
    def tip(self) -> Block:
        return self._ledger.blocks[self.height]

    def block(self, height: int) -> Block | None:
        """On the branch that the node takes for the longest."""
        return self._ledger.blocks[height] if 0 <= height <= self.height else None

    def block_of(self, block_hash: str) -> Block | None:
        """Also on a branch that was given up."""
        found = self._ledger.block_of(block_hash)
        return found if found is not None and found.height <= self.height else None

    @property
    def mempool(self) -> Collection[str]:
        return () if self.faults.behind else self._ledger.mempool.keys()

    def pending(self, txid: str) -> Transaction | None:
        """In the mempool."""
        return self._ledger.mempool.get(txid) if txid in self.mempool else None

    def transaction(self, txid: str) -> Transaction | None:
        """In the mempool or a block."""
        mined = self._ledger.records.heights.get(txid)
        known = txid in self.mempool if mined is None else mined <= self.height
        return self._ledger.transaction(txid) if known else None

    def waiting(self, script: bytes) -> Sequence[Transaction]:
        """In the mempool, touching the script."""
        return () if self.faults.behind else self._ledger.waiting(script)

    def on_pending(self, one: Transaction) -> bool:
        """Whether a waiting transaction spends of another one that waits."""
        return any(txid in self._ledger.mempool for txid, _ in one.inputs)

    def is_taken(self, coin: Coin) -> bool:
        """Whether something in the mempool spends it."""
        return not self.faults.behind and self._ledger.taker(coin.outpoint) is not None

    def record(self, script: bytes) -> Record | None:
        """As of the ledger's newest block."""
        return self._ledger.records.of.get(script)

    def history(self, script: bytes) -> Sequence[tuple[str, int]]:
        """Mined transactions that touch the script and their heights, in the chain's order."""
        record = self.record(script)
        if record is None:
            return ()
        return [seen for seen in record.history if seen[1] <= self.height] if self.faults.behind else record.history

    def coins(self, script: bytes) -> Sequence[Coin]:
        """Unspent at the node's newest block, as the node tells them."""
        record = self.record(script)
        if record is None:
            return ()
        coins = record.at(self.height) if self.faults.behind else list(record.unspent.values())
        return self._lied(coins) if self.faults.lying else coins

    def pending_coins(self, script: bytes) -> Sequence[Coin]:
        """What waiting transactions make for the script."""
        return [
            Coin((one.txid, place), script, units, 0, coinbase=False)
            for one in self.waiting(script)
            for place, (paid, units) in enumerate(one.outputs)
            if paid == script
        ]

    def spent_of(self, script: bytes, one: Transaction) -> int:
        """What a waiting transaction takes from the script, in satoshis."""
        record = self.record(script)
        made = {} if record is None else record.made
        pending = {coin.outpoint: coin for coin in self.pending_coins(script)}
        coins = (made.get(outpoint) or pending.get(outpoint) for outpoint in one.inputs)
        return sum(coin.units for coin in coins if coin is not None)

    def count(self) -> int:
        """Unspent outputs of everybody, now."""
        return len(self._ledger.records.coins)

    def _lied(self, coins: Sequence[Coin]) -> Sequence[Coin]:
        """What a pending transaction spends can be proven by it, so the lie is about another coin."""
        free = [coin for coin in coins if not self.is_taken(coin)]
        if not free:
            return coins
        chosen = max(free, key=lambda coin: coin.units)
        told = chosen._replace(units=chosen.units + chosen.units // LIE + 1)
        return [told if coin is chosen else coin for coin in coins]
