"""What one node lists of transactions that wait for a block, asked in the cheapest way that it offers."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass

from connectors.errors import ConnectorError, NodeError
from connectors.evm import answers
from connectors.evm.answers import Raw
from connectors.evm.node import EvmNode

MOST_LISTED = 1000
"""Waiting transactions up to which all of them are listed again with each look; else only what is new is asked for."""

MOST_ASKED = 500
"""Transactions that are asked for by hash with one look; the others wait for the next."""

MOST_QUEUED = 20_000
"""Hashes that wait to be asked for; of more the oldest are passed over."""

LARGEST = 32 * 1024 * 1024
"""Bytes of a list."""


@dataclass(frozen=True, slots=True)
class Listing:
    """Transactions as the node tells them. `whole`: what it lacks does not wait at this node."""

    transactions: Sequence[Raw]
    whole: bool


class Mempool:
    """One node's. A way that it refuses is not tried again."""

    def __init__(self, node: EvmNode) -> None:
        self._node = node
        self._ways: list[Callable[[], Awaitable[Listing | None]]] = [self._content, self._filtered, self._next_block]
        self._filter: object = None
        self._short = False
        """Whether the last list was so short that the next one will not be long."""
        self._queue: dict[str, None] = {}

    @property
    def offered(self) -> bool:
        """Whether the node tells anything, as far as is known."""
        return bool(self._ways)

    async def look(self) -> Listing:
        """What waits, or what has come since the last look. Raises ConnectorError, ValueError for nonsense."""
        for way in list(self._ways):
            try:
                listing = await way()
            except NodeError:
                self._ways.remove(way)
                continue
            if listing is not None:
                return listing
        return Listing((), whole=False)

    async def alive(self, names: Sequence[str]) -> frozenset[str]:
        """Those of the transactions that the node knows, be they waiting or mined. Raises ConnectorError."""
        found = await self._by_hash(names)
        return frozenset(name for name, raw in zip(names, found, strict=True) if raw is not None)

    async def _content(self) -> Listing | None:
        """geth's txpool, which Erigon, Nethermind, Reth, Besu and anvil have too; None while it is large."""
        if not self._short:
            counts = answers.fields_of(await self._node.node.call("txpool_status"))
            if sum(answers.number(counts.get(part)) for part in ("pending", "queued")) > MOST_LISTED:
                return None
        self._short = False  # unless it turns out so
        content = answers.fields_of(await self._node.node.long_call("txpool_content", (), ceiling=LARGEST))
        listed = [raw for part in ("pending", "queued") for raw in _in_part(content.get(part))]
        self._short = len(listed) <= MOST_LISTED // 2
        return Listing(listed, whole=True)

    async def _filtered(self) -> Listing:
        """A filter of hashes; a node forgets it after minutes of silence, and others behind one URL know none."""
        node, began = self._node.node, self._filter is None
        try:
            hashes = None if began else await node.call("eth_getFilterChanges", (self._filter,))
        except NodeError:
            hashes = None
        if hashes is None:
            self._filter = await node.call("eth_newPendingTransactionFilter")
            hashes = []
        self._queue |= dict.fromkeys(answers.hash_of(one) for one in answers.items(hashes))
        for old in list(self._queue)[: max(0, len(self._queue) - MOST_QUEUED)]:
            del self._queue[old]
        due = list(self._queue)[:MOST_ASKED]
        found = [answers.fields_of(raw) for raw in await self._by_hash(due) if raw is not None]
        for name in due:
            del self._queue[name]
        waiting = [raw for raw in found if raw.get("blockHash") is None]
        return Listing([*waiting, *(await self._before() if began else ())], whole=False)

    async def _before(self) -> Sequence[Raw]:
        """What waited before the filter was made, as far as it is known."""
        try:
            return (await self._next_block()).transactions
        except NodeError:
            return ()

    async def _next_block(self) -> Listing:
        """What the node would put into the next block; NodeError where it makes none."""
        block = await self._node.node.long_call("eth_getBlockByNumber", ("pending", True), ceiling=LARGEST)
        if block is None:
            raise NodeError(f"{self._node.transport.provider}: tells no pending block", code=0)
        told = answers.items(answers.fields_of(block).get("transactions"))
        return Listing([answers.fields_of(raw) for raw in told], whole=False)

    async def _by_hash(self, names: Sequence[str]) -> Sequence[object]:
        results = await self._node.node.batch([("eth_getTransactionByHash", (name,)) for name in names])
        failed = next((result for result in results if isinstance(result, ConnectorError)), None)
        if failed is not None:
            raise failed
        return results


def _in_part(part: object) -> Iterator[Raw]:
    """By sender, and then by nonce."""
    for of_sender in answers.fields_of(part).values():
        yield from map(answers.fields_of, answers.fields_of(of_sender).values())
