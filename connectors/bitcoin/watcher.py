"""Keeps what we know of one source's mempool in step with the source."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from datetime import timedelta

import structlog

from connectors.base import Tip
from connectors.bitcoin.book import Book
from connectors.bitcoin.forms import BlockForm
from connectors.bitcoin.mempool import Mempool
from connectors.bitcoin.sources.base import Change, Doubt, NewBlock, NewTransaction, Source, Touched
from connectors.bitcoin.sources.polling import pause
from connectors.bitcoin.transaction import Transaction, read_transaction
from connectors.errors import BadAnswer, ConnectorError, Unavailable
from connectors.quorum import Header
from connectors.transport import Timing

log = structlog.get_logger()

TOGETHER = 500
"""Transactions whose bytes are in memory at a time."""

SHARE = 4.0
"""A source that has to be asked again and again rests this many times as long as the answer took, at least."""

SELDOM = 12.0
"""So many times more seldom is everything listed at a source that sends notices. They are no proof, and tell nothing of
what leaves the mempool without a block."""

PATIENCE = 5.0
"""Seconds that a transaction is held back until the book has read the source's newest block, where its coins may be
made. A warning that comes at once and says too little is better than none."""

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
        self._caught_up: Tip | None = None
        """What the book had read when `catch_up` last looked."""
        self._read_on = asyncio.Event()
        self._given_up = ""
        """The hash of a block that the book did not come to in good time."""
        self._waited = 0.0
        """Seconds of this look that were spent on waiting for the book: the source had rest meanwhile."""

    def list_anew(self) -> None:
        """Lists everything again, as soon as can be."""
        self._due.everything = True
        self._wake.set()

    def catch_up(self) -> None:
        """Lists everything again where a block that the book has read since may make a difference."""
        tip = self._book.tip
        if tip is not None and tip != self._caught_up:
            self._caught_up = tip
            self._read_on.set()
            if self.mempool.examine_again(height=tip.height):
                self.list_anew()

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
            self._waited = 0.0
            try:
                await self._look()
                failures = 0
            except ConnectorError as error:
                failures += 1
                self._due.everything = self.mempool.failing = True
                if failures == 1:
                    log.warning("mempool can't be read", provider=self._source.transport.provider, why=str(error))
            seconds = self._rest(failures, took=self._timing.clock() - began - self._waited)
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
            await self._take_raws(due.raws)
            if due.everything or self._watched() != self._basis:
                await self._list_everything()
            elif due.scripts:
                await self._list_scripts(due.scripts)
            await self._ask_for_fees()
        finally:
            if self.mempool.pending != before:
                self._news.set()

    async def _take_raws(self, raws: Sequence[bytes]) -> None:
        """What touches nothing may spend what another made whose notice was lost: the next listing offers it again."""
        if not raws:
            return
        head = await self._catching_up()
        found = filter(None, map(self._read, raws))
        strangers = [transaction.txid for transaction in found if not self.mempool.offer(transaction)]
        self.mempool.examined.difference_update(strangers)
        self._suspect(strangers, head=head)

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

        All that makes coins for us is known by then, so that there is no third time; but for what blocks made that the
        book has not read.
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
            head = await self._catching_up()
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
            self._suspect(raws, head=head)
        return touching

    def _suspect(self, txids: Collection[bytes], *, head: Header) -> None:
        """Has these looked at again, where the newest blocks are not read."""
        behind = not self._has_read(head)
        if behind or self._depth:
            self.mempool.suspect(txids, height=head.height + self._depth, again=behind)

    async def _catching_up(self) -> Header:
        """The block that is to be read at the source, when the book has read it, or has been waited for in vain."""
        head = await self._source.head()
        began = self._timing.clock()
        due = began + PATIENCE
        while not self._has_read(head) and head.hash != self._given_up:
            self._read_on.clear()
            self._news.set()
            await self._timing.sleep_or(self._read_on, seconds=due - self._timing.clock())
            if self._timing.clock() >= due:
                self._given_up = head.hash
        self._waited += self._timing.clock() - began
        return head

    def _has_read(self, head: Header) -> bool:
        return self._book.tip == head.tip

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
