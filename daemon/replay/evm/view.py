"""What one node knows of the ledger: less than there is when it is behind, and other balances when it lies."""

from __future__ import annotations

from collections.abc import Sequence

from daemon.replay.evm.ledger import Block, EvmLedger, Found, Transaction
from daemon.replay.faults import Faults
from daemon.replay.played import Purse


class View:
    """The ledger as a node with these faults tells it. A block it does not have yet it does not know by hash either.

    One that is behind has an empty mempool: what waited back then is mined by now.
    """

    def __init__(self, ledger: EvmLedger, *, faults: Faults) -> None:
        self._ledger = ledger
        self._faults = faults

    @property
    def tip(self) -> Block:
        ledger = self._ledger
        return ledger.block(max(0, ledger.tip.height - self._faults.behind)) or ledger.tip

    @property
    def waiting(self) -> Sequence[Transaction]:
        return () if self._faults.behind else self._ledger.waiting

    def block(self, height: int) -> Block | None:
        return self._ledger.block(height) if height <= self.tip.height else None

    def block_of(self, block_hash: str) -> Block | None:
        block = self._ledger.block_of(block_hash)
        if block is None or not self._faults.behind:
            return block
        return None if block.height > self.tip.height else block

    def find(self, transaction_hash: str) -> Found | None:
        """A transaction of the blocks and the mempool that the node knows."""
        found = self._ledger.find(transaction_hash)
        if found is None or (found.block is None and self._faults.behind):
            return None
        return None if found.block is not None and found.block.height > self.tip.height else found

    def balance(self, purse: Purse, *, height: int) -> int:
        return self._told(self._ledger.balance(purse, height=height), purse=purse)

    def balance_ahead(self, purse: Purse) -> int:
        """When all that waits is mined, as far as the node knows."""
        if self._faults.behind:
            return self.balance(purse, height=self.tip.height)
        return self._told(self._ledger.balance_ahead(purse), purse=purse)

    def supply(self, token: str | None, *, height: int) -> int:
        return self._ledger.supply(token, height=height)

    def sent(self, account: str, *, height: int) -> int:
        return self._ledger.sent(account, height=height)

    def sent_ahead(self, account: str) -> int:
        """As `balance_ahead`, how many transactions."""
        if self._faults.behind:
            return self.sent(account, height=self.tip.height)
        return self._ledger.sent_ahead(account)

    def code(self, account: str, *, height: int) -> str:
        return self._ledger.code(account, height=height)

    def storage(self, account: str, *, slot: int, height: int) -> int:
        return self._ledger.storage(account, slot=slot, height=height)

    def _told(self, units: int, *, purse: Purse) -> int:
        """A liar makes accounts a bit richer, and one that is empty now it tells as full as it was in the beginning.

        Plausible, and what somebody would forge who wants a theft to go unseen.
        """
        if not self._faults.lying:
            return units
        return units + units // 100 + 1 if units else self._ledger.balance(purse, height=0)
