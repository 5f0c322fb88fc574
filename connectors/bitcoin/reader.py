"""Answers what is asked at an agreed block out of the books, one for each source."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterator, Sequence
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass

from connectors.base import Drift, Tip, Token, Watch
from connectors.bitcoin.accounts import Accounts, Expansion
from connectors.bitcoin.book import BlockBook, Book
from connectors.bitcoin.config import BitcoinConfig
from connectors.bitcoin.movements import Describer, MinedMovements, Way
from connectors.bitcoin.networks import named
from connectors.bitcoin.script_cache import ScriptCache
from connectors.bitcoin.snapshot_book import SnapshotBook
from connectors.bitcoin.sources.base import BlockSource, Source
from connectors.bitcoin.sources.node import NodeSource
from connectors.bitcoin.state import Shelf, StateFile
from connectors.errors import ConnectorError, Reason
from connectors.follow import Keys
from connectors.quorum import Flaw, Value

SCANNED_AHEAD = 1000
"""Indices of a descriptor that a scan covers, as Bitcoin Core's scantxoutset does when not told: a node can't say that
an address was used and emptied, and another scan takes minutes."""

ASKED_AHEAD = 100
"""The same where there are servers too, which are asked for each script by itself."""


@dataclass(slots=True)
class Kept:
    """A source's book for the accounts of `watch`, and what its blocks move, where it has blocks."""

    source: Source
    watch: Watch
    book: Book
    describer: Describer
    mined: MinedMovements | None
    reading: asyncio.Task[Sequence[Value]] | None = None
    """What the book is doing, be anybody waiting or not, and the block that it is brought to."""
    block: str = ""


class Books:
    """The books of a chain's sources, as an async context manager.

    A book is begun when it is first asked for, and anew for other accounts. It goes on finding coins when the question
    is given up meanwhile: a scan may take longer than anybody waits for one of several sources.
    """

    def __init__(self, config: BitcoinConfig, *, stack: AsyncExitStack) -> None:
        """What is open in the end is closed with the stack."""
        self._config = config
        self._stack = stack
        self._state: StateFile | None = None
        if config.state is not None:
            self._state = StateFile(config.state)
            stack.callback(self._state.close)
        self._network = named(config.network)
        self._cache = self._opened_cache()
        self._kept: dict[str, Kept] = {}
        self._readings: set[asyncio.Task[Sequence[Value]]] = set()
        stack.push_async_callback(self._give_up)

    async def read(self, node: Source, *, keys: Keys, block: str) -> list[Value]:
        """The units of each key at the block; see ReadAt."""
        units = await self._at(self._book(node, watch=keys.watch), block=block)
        tokens = keys.watch.tokens
        if keys.whole and len(tokens) == 1 and tokens[0].contract is None:
            return list(units)
        missing = [None if token.contract is None else _no_contract(token.contract) for token in tokens]
        places = (divmod(index, len(tokens)) for index in keys.indices)
        return [missing[token] or units[account] for account, token in places]

    def of(self, watch: Watch) -> Iterator[Kept]:
        """The books for these accounts that know all coins."""
        return (kept for kept in self._kept.values() if kept.watch == watch and kept.book.whole)

    def ways(self, watch: Watch, *, tip: Tip, above: int | None) -> Sequence[Way]:
        """What the blocks up to `tip` moved above this height, by each source that gives blocks, the fullest first."""
        ways = (kept.mined.up_to(tip, above=above) for kept in self.of(watch) if kept.mined is not None)
        return sorted(ways, key=lambda way: (not way.whole, not way.jumped, -len(way.traced)))

    def first_script(self, watch: Watch) -> Collection[bytes]:
        """A script of the first account, for a question that costs little."""
        accounts = Accounts(watch.accounts[:1], expansion=Expansion(self._network))
        return list(accounts.extend())[:1]

    async def sweep(self, kept: Kept) -> tuple[Drift, ...] | None:
        """Finds all coins anew and compares them with those that were followed, at one block.

        Where they differ, if only in where an account's coins are, the book goes on with what was found. None where
        nothing is followed: without blocks everything is asked for anew at each block anyway. Raises ConnectorError
        when nothing comes of it.
        """
        if not isinstance(kept.book, BlockBook) or not isinstance(kept.source, BlockSource):
            return None
        accounts = self._accounts(kept.watch)
        accounts.widen(kept.book.accounts)
        fresh = self._block_book(kept.source, accounts=accounts)
        tip = await fresh.begin()
        found = await fresh.at(tip.hash)
        followed = await kept.book.at(tip.hash)
        drift = tuple(_drift(kept.watch, followed=followed, found=found))
        if drift or kept.book.lacks(fresh):  # nothing was awaited since: both are at one block
            await kept.book.adopt(fresh)
        return drift

    # ── books ───────────────────────────────────────────────────────────────────────────────────────────────────────

    async def _at(self, kept: Kept, *, block: str) -> Sequence[Value]:
        while True:
            if kept.reading is None or kept.reading.done():
                kept.reading, kept.block = self._brought(kept.book, block=block), block
            reading, wanted = kept.reading, kept.block
            with suppress(*(() if wanted == block else (ConnectorError,))):  # what came of another question is not ours
                values = await asyncio.shield(reading)
                if wanted == block:
                    return values

    def _brought(self, book: Book, *, block: str) -> asyncio.Task[Sequence[Value]]:
        """Begins to bring the book to the block. Its failure is known even if nobody waits for it any more."""
        reading = asyncio.ensure_future(book.at(block))
        self._readings.add(reading)
        reading.add_done_callback(self._readings.discard)
        reading.add_done_callback(lambda task: task.cancelled() or task.exception())
        return reading

    async def _give_up(self) -> None:
        readings = tuple(self._readings)
        for reading in readings:
            reading.cancel()
        await asyncio.gather(*readings, return_exceptions=True)

    def _book(self, source: Source, *, watch: Watch) -> Kept:
        name = source.transport.provider
        kept = self._kept.get(name)
        if kept is None or kept.watch != watch:
            kept = self._kept[name] = self._begun(source, watch=watch)
        return kept

    def _begun(self, source: Source, *, watch: Watch) -> Kept:
        accounts = self._accounts(watch)
        coin = Token(watch.chain, None, self._config.decimals)
        describer = Describer(accounts, network=self._network, coin=coin)
        if not isinstance(source, BlockSource):
            return Kept(source, watch, SnapshotBook(source, accounts=accounts), describer, None)
        mined = MinedMovements(describer)
        shelf = None
        if self._state is not None:
            shelf = self._state.shelf(source.transport.provider, accounts=accounts)
        book = self._block_book(source, accounts=accounts, shelf=shelf, mined=mined)
        return Kept(source, watch, book, describer, mined)

    def _accounts(self, watch: Watch) -> Accounts:
        """All sources of a chain count the same indices: they are compared, or stand in for each other."""
        reach = ASKED_AHEAD if self._config.electrum or self._config.esplora else SCANNED_AHEAD
        step = reach if self._config.node is not None else 1
        expansion = Expansion(self._network, step=step, lookout=reach, cache=self._cache)
        return Accounts(watch.accounts, expansion=expansion, gap_limits=watch.gap_limits)

    def _block_book(
        self,
        source: BlockSource,
        *,
        accounts: Accounts,
        shelf: Shelf | None = None,
        mined: MinedMovements | None = None,
    ) -> BlockBook:
        return BlockBook(
            source,
            accounts=accounts,
            form=self._network.block,
            verify=not isinstance(source, NodeSource),
            listeners=[listener for listener in (shelf, mined) if listener is not None],
            resume=shelf.resume if shelf is not None else lambda: None,
        )

    def _opened_cache(self) -> ScriptCache | None:
        state = self._config.state
        if state is None:
            return None
        cache = ScriptCache(state.with_name(f"{state.name}-scripts"))
        self._stack.callback(cache.close)
        return cache


def _no_contract(contract: str) -> Flaw:
    return Flaw(Reason.NO_CONTRACT, f"there is no contract {contract}: this chain has none")


def _drift(watch: Watch, *, followed: Sequence[Value], found: Sequence[Value]) -> Iterator[Drift]:
    """Where both have a value and they differ."""
    coin = next(token for token in watch.tokens if token.contract is None)
    for account, before, after in zip(watch.accounts, followed, found, strict=True):
        if isinstance(before, int) and isinstance(after, int) and before != after:
            yield Drift(account, coin, before, after)
