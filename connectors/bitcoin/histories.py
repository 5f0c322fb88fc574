"""What blocks moved, at the word of a source that gives histories of scripts in place of blocks."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from connectors.base import Tip
from connectors.bitcoin.coins import Coin
from connectors.bitcoin.forms import BlockForm
from connectors.bitcoin.movements import Describer, Traced
from connectors.bitcoin.parts import shorten
from connectors.bitcoin.snapshot_book import SnapshotBook
from connectors.bitcoin.sources.base import HistorySource
from connectors.bitcoin.traffic import REMEMBERED
from connectors.bitcoin.transaction import Transaction, read_transaction
from connectors.errors import Unavailable


class Histories:
    """Reads the histories of scripts that have changed. What could not be told stays owed."""

    def __init__(self, source: HistorySource, *, book: SnapshotBook, describer: Describer, form: BlockForm) -> None:
        self._source = source
        self._book = book
        self._describer = describer
        self._form = form
        self._owed: int | None = None
        """The height above which nothing was told yet."""
        self._recent: dict[bytes, int] = {}
        """Scripts of what was told, and the height of the newest of it: after a reorg their histories may look the same
        and be in other blocks."""
        self._made: dict[bytes, Coin] = {}
        """Coins that told transactions made. The book never had those that were spent before it was read again, and a
        reorg may bring another spend of them."""

    def can_tell(self, tip: Tip) -> bool:
        """Whether what has changed up to this block is known: the source may have been away when it was read."""
        return self._book.has_read(tip.hash)

    async def mined(self, *, previous: Tip | None, tip: Tip, ancestor: int | None) -> tuple[Traced, ...]:
        """What was mined above `previous`, or above `ancestor` after a reorg, up to `tip`. Raises ConnectorError.

        Only where `can_tell`.
        """
        if previous is None:
            self._book.touched.clear()
            return ()
        above = previous.height if ancestor is None else ancestor
        above = self._owed = above if self._owed is None else min(above, self._owed)
        again = {script for script, height in self._recent.items() if height > above}
        touched = tuple(self._book.touched | again)
        heights = await self._mined_heights(touched, above=above, upto=tip.height)
        tips = {height: await self._tip_at(height) for height in set(heights.values())}
        transactions = await self._transactions(heights)
        told = tuple(self._described(transactions, heights=heights, tips=tips))
        self._book.touched.difference_update(touched)
        self._owed = None
        shorten(self._made)
        self._recent |= dict.fromkeys(touched, tip.height)
        self._recent = {one: height for one, height in self._recent.items() if height > tip.height - REMEMBERED}
        return told

    async def _mined_heights(self, scripts: Iterable[bytes], *, above: int, upto: int) -> dict[bytes, int]:
        heights: dict[bytes, int] = {}
        for script in scripts:
            heights |= await self._source.confirmed(script)
        return {txid: height for txid, height in heights.items() if above < height <= upto}

    async def _transactions(self, heights: Mapping[bytes, int]) -> list[Transaction]:
        """In the order of their blocks; within one, not in order."""
        raws = await self._source.transactions(heights)
        if raws.keys() != heights.keys():
            raise Unavailable(f"{self._source.transport.provider}: its blocks changed while their movements were read")
        read = (read_transaction(raws[txid], form=self._form) for txid in sorted(heights, key=heights.__getitem__))
        return [transaction for transaction in read if transaction is not None]

    def _described(
        self, transactions: Sequence[Transaction], *, heights: Mapping[bytes, int], tips: Mapping[int, Tip]
    ) -> Iterable[Traced]:
        for transaction in transactions:
            self._made |= self._describer.paid(transaction)
        for transaction in transactions:
            taken = {outpoint: coin for outpoint in transaction.inputs() if (coin := self._coin(outpoint))}
            yield self._describer.describe(transaction, taken=taken, tip=tips[heights[transaction.txid]])

    def _coin(self, outpoint: bytes) -> Coin | None:
        return self._made.get(outpoint) or self._book.coin(outpoint)

    async def _tip_at(self, height: int) -> Tip:
        header = await self._source.header_at(height)
        if header is None:
            raise Unavailable(f"{self._source.transport.provider}: lacks block {height}, which its histories name")
        return header.tip
