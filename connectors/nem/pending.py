"""Transactions that wait for a block: asks the nodes for those of watched accounts, in turns, and remembers them."""

from __future__ import annotations

import asyncio
from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta

from pydantic import TypeAdapter, ValidationError

from connectors.base import Address, Watch
from connectors.errors import ConnectorError, NodeError
from connectors.nem.answers import fault
from connectors.nem.movements import Teller
from connectors.nem.node import NisNode
from connectors.nem.transaction import Transaction, TransactionFields
from connectors.panel import in_order
from connectors.together import together
from connectors.transport import Timing

MOST_LISTED = 25
"""A node lists no more of one account (AccountController.java); then absence from the list proves nothing."""

MOST_WAITING = 10_000
"""Transactions that are remembered; a node that invents them can't fill our memory."""

TRANSACTION = TypeAdapter[TransactionFields](Transaction)


@dataclass(slots=True)
class Waiting:
    """A transaction in no block. `told`: it has been reported. `absent_since`: the height of the newest block of the
    node that first was found not to list it any more; if a block holds it, then one that is not much higher."""

    transaction: TransactionFields
    accounts: frozenset[Address]
    told: bool = False
    absent_since: int | None = None


@dataclass(slots=True)
class Pool:
    """What waits, by hash."""

    waiting: dict[str, Waiting] = field(default_factory=dict)
    news: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when there is a transaction that was not there before."""


class Asking:
    """Fills a pool. What goes wrong here rests no node: that is for those who read balances to decide."""

    def __init__(self, nodes: Sequence[NisNode], *, watch: Watch, pool: Pool, most: int, timing: Timing) -> None:
        self._nodes = nodes
        self._watch = watch
        self._accounts = frozenset(watch.accounts)
        self._teller = Teller(watch)
        self._pool = pool
        self._most = most
        self._timing = timing
        self._next = 0

    async def forever(self, every: timedelta) -> None:
        """A round each time."""
        while True:
            await self.round()
            await self._timing.sleep(every.total_seconds())

    async def round(self) -> None:
        """Asks for the accounts whose turn it is, the first node that answers. Never raises ConnectorError."""
        accounts = self._watch.accounts
        count = min(self._most, len(accounts))
        turn = [accounts[(self._next + step) % len(accounts)] for step in range(count)]
        for node in in_order(self._nodes) if turn else ():
            try:
                await node.identify()
                lists = await together(node.unconfirmed(account) for account in turn)
                self._next = (self._next + count) % len(accounts)
                await self._judge(node, dict(zip(turn, lists, strict=True)))
            except ConnectorError:
                continue  # counted where it happened
            return

    async def _judge(self, node: NisNode, lists: Mapping[Address, Sequence[object] | NodeError]) -> None:
        """What is listed waits; what is not may wait no more, unless a list is full. Raises ConnectorError."""
        whole: dict[Address, Container[str]] = {}
        for account, items in lists.items():
            if not isinstance(items, NodeError):
                listed = self._understood(node, items)
                self._take(listed)
                if len(items) < MOST_LISTED:
                    whole[account] = listed
        if self._pool.waiting:
            newest = await node.newest()
            for account, names in whole.items():
                self._miss(account, names, height=newest.height)

    def _understood(self, node: NisNode, items: Sequence[object]) -> Mapping[str, TransactionFields]:
        """By hash; one that makes no sense costs none of the others."""
        found: dict[str, TransactionFields] = {}
        for item in items:
            fields = item if isinstance(item, dict) else {}
            try:
                transaction = TRANSACTION.validate_python(fields.get("transaction"))
                transaction.serial(signed=True)
            except ValidationError as error:
                node.bad(f"malformed answer to /account/unconfirmedTransactions: {fault(error)}")
            except ValueError as error:
                node.bad(f"malformed answer to /account/unconfirmedTransactions: {error}")
            else:
                if transaction.network == node.asked.network.version:
                    found[transaction.hash()] = transaction
        return found

    def _take(self, listed: Mapping[str, TransactionFields]) -> None:
        for name, transaction in listed.items():
            known = self._pool.waiting.get(name)
            if known is not None:
                known.absent_since = None
            elif len(self._pool.waiting) < MOST_WAITING and self._teller.concerns(transaction):
                parties = {transaction.debtor, *transaction.named(), transaction.signed_by}
                self._pool.waiting[name] = Waiting(transaction, frozenset(parties & self._accounts))
                self._pool.news.set()

    def _miss(self, account: Address, listed: Container[str], *, height: int) -> None:
        for name, waiting in self._pool.waiting.items():
            if account in waiting.accounts and name not in listed and waiting.absent_since is None:
                waiting.absent_since = height
