"""Keeps what we know of one source's mempool in step with the source."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from datetime import timedelta

import structlog

from connectors.bitcoin.book import Book
from connectors.bitcoin.forms import BlockForm
from connectors.bitcoin.mempool import Mempool
from connectors.bitcoin.sources.base import Change, Doubt, NewBlock, NewTransaction, Source, Touched
from connectors.bitcoin.sources.polling import pause
from connectors.bitcoin.transaction import Transaction, read_transaction
from connectors.errors import BadAnswer, ConnectorError, Unavailable
from connectors.transport import Timing

log = structlog.get_logger()

TOGETHER = 500
"""Transactions whose bytes are in memory at a time."""

SHARE = 4.0
"""A source that has to be asked again and again rests this many times as long as the answer took, at least."""

SELDOM = 12.0
"""So many times more seldom is everything listed at a source that sends notices. They are no proof, and tell nothing of
what leaves the mempool without a block."""

MOST_QUEUED = 10_000
"""Transactions of notices that wait to be looked at; with more, everything is listed instead."""

TXID = 32
"""Bytes of an outpoint that name its transaction."""


@dataclass(slots=True)
class _Due:
    """What is to be looked at."""

    everything: bool = False
    scripts: dict[bytes, None] = field(default_factory=dict)
    raws: list[bytes] = field(default_factory=list)


class Watcher:
    """`listen` and `run` are to run beside each other until they are cancelled; both need the book to be whole.

    A transaction that touches nothing is not looked at twice. So none is looked at while the book knows a part of its
    coins, and all are once more when it has found others. `news` is set when something changed that a consumer should
    hear of. `every`: how often a source without notices is asked. `depth`: how far below the newest block is read.
    """

    def __init__(
        self,
        source: Source,
        *,
        book: Book,
        mempool: Mempool,
        form: BlockForm,
        every: timedelta,
        depth: int,
        news: asyncio.Event,
        timing: Timing,
    ) -> None:
        self.mempool = mempool
        self._source = source
        self._book = book
        self._form = form
        self._every = every
        self._depth = depth
        self._news = news
        self._timing = timing
        self._changes = source.changes(book.accounts.scripts)
        self._due = _Due(everything=True)
        self._wake = asyncio.Event()
        self._basis = (0, 0)
        """What was watched when everything was last listed; see `_watched`."""
        self._asked_for_fee: set[bytes] = set()

    def list_anew(self) -> None:
        """Lists everything again, as soon as can be."""
        self._due.everything = True
        self._wake.set()

    async def listen(self) -> None:
        """Takes the source's notices, where it sends any."""
        if self._changes is not None:
            async with aclosing(self._changes) as changes:
                async for change in changes:
                    self._take(change)

    async def run(self) -> None:
        """Lists, looks and rests in turn."""
        failures = 0
        while True:
            if not self._book.whole:
                self._due.everything = self.mempool.failing = True
                await self._timing.sleep(self._every.total_seconds())
                continue
            began = self._timing.clock()
            self._wake.clear()
            try:
                await self._look()
                failures = 0
            except ConnectorError as error:
                failures += 1
                self._due.everything = self.mempool.failing = True
                if failures == 1:
                    log.warning("mempool can't be read", provider=self._source.transport.provider, why=str(error))
            seconds = self._rest(failures, took=self._timing.clock() - began)
            await (self._timing.sleep(seconds) if failures else self._timing.sleep_or(self._wake, seconds=seconds))
            if not self._wake.is_set():
                self._due.everything = True

    def _rest(self, failures: int, *, took: float) -> float:
        regular = max(pause(failures, every=self._every, timing=self._timing), SHARE * took)
        return regular if failures or self._changes is None else SELDOM * regular

    def _take(self, change: Change) -> None:
        match change:
            case NewBlock():
                self._news.set()
            case NewTransaction(raw) if len(self._due.raws) < MOST_QUEUED:
                self._due.raws.append(raw)
            case Touched(script):
                self._due.scripts[script] = None
            case NewTransaction() | Doubt():
                self._due.everything = True
        self._wake.set()

    async def _look(self) -> None:
        due, self._due = self._due, _Due()
        before = dict(self.mempool.pending)
        try:
            for transaction in map(self._read, due.raws):
                if transaction is not None and not self.mempool.offer(transaction):
                    # It may spend what another made whose notice was lost: the next listing offers them in turn.
                    self.mempool.examined.discard(transaction.txid)
            if due.everything or self._watched() != self._basis:
                await self._list_everything()
            elif due.scripts:
                await self._list_scripts(due.scripts)
            await self._ask_for_fees()
        finally:
            if self.mempool.pending != before:
                self._news.set()

    async def _list_everything(self) -> None:
        """What came to be watched since may be touched by what was examined before: then nothing counts as examined."""
        number, basis = self.mempool.begin(), self._watched()
        scripts = [script for script in self._book.accounts.scripts if script not in self._book.refused]
        if basis != self._basis:
            self.mempool.examined.clear()
        pending = await self._source.pending(scripts)
        await self._examine(pending.fees)
        newest = await self._source.head()
        self._basis = basis
        self.mempool.failing = False
        if pending.complete:
            self.mempool.settle(pending.fees.keys(), number=number, height=newest.height + self._depth)

    async def _list_scripts(self, scripts: Collection[bytes]) -> None:
        pending = await self._source.pending(scripts)
        await self._examine(pending.fees)
        if pending.complete:
            self.mempool.settle_scripts(scripts, listed=pending.fees.keys())

    async def _examine(self, listed: Mapping[bytes, int | None]) -> None:
        """Offers what is new; and once more what spends a coin that was only found after it.

        All that makes coins for us is known by then, so that there is no third time.
        """
        children: dict[bytes, set[bytes]] = defaultdict(set)
        new = [txid for txid in listed if txid not in self.mempool.examined]
        touching = await self._offer(new, listed=listed, children=children)
        again = {child for parent in touching for child in children.get(parent, ())}
        await self._offer(again, listed=listed, children=children)

    async def _offer(
        self, txids: Iterable[bytes], *, listed: Mapping[bytes, int | None], children: dict[bytes, set[bytes]]
    ) -> Sequence[bytes]:
        """Which of them touch what is watched. `children` gains, by transaction, what among them spends its coins."""
        wanted = list(txids)
        touching: list[bytes] = []
        for start in range(0, len(wanted), TOGETHER):
            raws = await self._source.transactions(wanted[start : start + TOGETHER])
            if not self._book.whole:
                raise Unavailable(f"{self._source.transport.provider}: its coins are found anew meanwhile")
            for txid, raw in raws.items():
                transaction = self._read(raw)
                if transaction is None:
                    self.mempool.examined.add(txid)
                    continue
                if self.mempool.offer(transaction, fee=listed[txid]):
                    touching.append(txid)
                for parent in {outpoint[:TXID] for outpoint in transaction.inputs()} & listed.keys():
                    children[parent].add(txid)
        return touching

    def _read(self, raw: bytes) -> Transaction | None:
        """None for one that can't be read, which must not hide the others, or that moves nothing that we can watch."""
        try:
            return read_transaction(raw, form=self._form)
        except BadAnswer as error:
            self._source.transport.blame(error)
            return None

    async def _ask_for_fees(self) -> None:
        pending = self.mempool.pending
        self._asked_for_fee.intersection_update(pending)
        unknown = [
            txid for txid, traced in pending.items() if traced.movement.fee is None and txid not in self._asked_for_fee
        ]
        if unknown:
            try:
                self.mempool.price(await self._source.fees(unknown))
            except ConnectorError as error:  # hides no transaction; the next time they are asked for again
                log.info("fees can't be read", provider=self._source.transport.provider, why=str(error))
            else:
                self._asked_for_fee.update(unknown)

    def _watched(self) -> tuple[int, int]:
        """Another whenever more scripts are watched, or more coins of them are known, than blocks brought."""
        return len(self._book.accounts.scripts), self._book.found
