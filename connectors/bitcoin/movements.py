"""Movements out of applied blocks: who paid whom, what came back as change, and the fee where it is known."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping

from connectors.base import Movement, Party, Stage, Tip, Token
from connectors.bitcoin.accounts import Accounts
from connectors.bitcoin.address import address_of
from connectors.bitcoin.block import BlockEvents
from connectors.bitcoin.coins import Changes, Coin, CoinSet, Undo
from connectors.bitcoin.networks import Network
from connectors.bitcoin.transaction import Transaction

REMEMBERED = 1000
"""Blocks whose movements are kept until they are asked for."""

MOST_PARTIES = 100
"""Of one transaction; a payout to thousands is told by its largest."""


class Movements:
    """A Listener of a book that keeps what its newest blocks moved."""

    def __init__(self, accounts: Accounts, *, network: Network, coin: Token) -> None:
        """`coin` is the chain's own."""
        self._accounts = accounts
        self._coin = coin
        self._network = network
        self._blocks: dict[str, tuple[str, tuple[Movement, ...]]] = {}

    def between(self, previous: Tip, tip: Tip) -> tuple[Movement, ...]:
        """What the blocks above `previous` moved, up to `tip`; after a reorg, above where the branches part."""
        older = {previous.hash}
        at = previous.hash
        while at in self._blocks:
            at = self._blocks[at][0]
            older.add(at)
        found: list[tuple[Movement, ...]] = []
        at = tip.hash
        while at not in older and at in self._blocks:
            at, movements = self._blocks[at]
            found.append(movements)
        return tuple(movement for movements in reversed(found) for movement in movements)

    def loaded(self, coins: CoinSet) -> None:
        """See Listener."""

    def applied(self, coins: CoinSet, *, events: BlockEvents, changes: Changes) -> None:  # noqa: ARG002
        """See Listener."""
        told = (self._told(one, tip=changes.tip, spent=changes.spent) for one in events.transactions)
        self._blocks[changes.tip.hash] = (events.header.parent[::-1].hex(), tuple(told))
        for old in list(self._blocks)[: max(0, len(self._blocks) - REMEMBERED)]:
            del self._blocks[old]

    def undone(self, coins: CoinSet, *, undo: Undo) -> None:
        """See Listener."""

    def forgotten(self) -> None:
        """See Listener."""

    def _told(self, transaction: Transaction, *, tip: Tip, spent: Mapping[bytes, Coin]) -> Movement:
        inputs = list(transaction.inputs())
        taken = [spent[outpoint] for outpoint in inputs if outpoint in spent]
        payers = {self._accounts.scripts[coin.script] for coin in taken}
        net: Counter[int] = Counter()
        for coin in taken:
            net[self._accounts.scripts[coin.script]] -= coin.value
        change, paid, others = 0, 0, Counter[bytes]()
        for script, value in transaction.outputs():
            account = self._accounts.scripts.get(script)
            paid += value
            if account is None:
                others[script] += value
                continue
            net[account] += value
            change += value if account in payers else 0
        worth = sum(coin.value for coin in taken)
        return Movement(
            transaction=transaction.txid[::-1].hex(),
            token=self._coin,
            stage=Stage.MINED,
            tip=tip,
            changes=tuple((self._accounts.names[account], units) for account, units in net.items()),
            change=change,
            destinations=self._parties(others.items()),
            sources=self._parties(_sums(taken).items()),
            fee=worth - paid if len(taken) == len(inputs) else None,
            size=transaction.vsize,
        )

    def _parties(self, sums: Iterable[tuple[bytes, int]]) -> tuple[Party, ...]:
        largest = sorted(sums, key=lambda one: -one[1])[:MOST_PARTIES]
        return tuple(
            Party(address_of(script, network=self._network) or script.hex(), units) for script, units in largest
        )


def _sums(coins: Iterable[Coin]) -> Mapping[bytes, int]:
    sums: Counter[bytes] = Counter()
    for coin in coins:
        sums[coin.script] += coin.value
    return sums
