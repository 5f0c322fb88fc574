"""Answers what is asked at an agreed block out of the books, one for each source."""

from __future__ import annotations

from collections.abc import Collection
from contextlib import ExitStack
from dataclasses import dataclass

from connectors.base import Movement, Token, Update, Watch
from connectors.bitcoin.accounts import Accounts, Expansion
from connectors.bitcoin.book import BlockBook, Book, SnapshotBook
from connectors.bitcoin.config import BitcoinConfig
from connectors.bitcoin.movements import Movements
from connectors.bitcoin.networks import named
from connectors.bitcoin.script_cache import ScriptCache
from connectors.bitcoin.sources.base import BlockSource, Source
from connectors.bitcoin.sources.node import NodeSource
from connectors.bitcoin.state import StateFile
from connectors.errors import Reason
from connectors.follow import Keys
from connectors.quorum import Flaw, Value

SCANNED_AHEAD = 1000
"""Indices of a descriptor that a scan covers, as Bitcoin Core's scantxoutset does when not told: a node can't say that
an address was used and emptied, and another scan takes minutes."""


@dataclass(frozen=True, slots=True)
class _Kept:
    """A book, and the accounts that it was made for."""

    watch: Watch
    book: Book


class Books:
    """The books of a chain's sources. A book is begun when it is first asked for, and anew for other accounts."""

    def __init__(self, config: BitcoinConfig, *, stack: ExitStack) -> None:
        """Files are closed with the stack."""
        self._config = config
        self._stack = stack
        self._state: StateFile | None = None
        if config.state is not None:
            self._state = StateFile(config.state)
            stack.callback(self._state.close)
        self._network = named(config.network)
        self._kept: dict[str, _Kept] = {}
        self._movements: dict[str, Movements] = {}

    async def read(self, node: Source, *, keys: Keys, block: str) -> list[Value]:
        """The units of each key at the block; see ReadAt."""
        units = await self._book(node, watch=keys.watch).at(block)
        tokens = keys.watch.tokens
        if keys.whole and len(tokens) == 1 and tokens[0].contract is None:
            return list(units)
        missing = [None if token.contract is None else _no_contract(token.contract) for token in tokens]
        places = (divmod(index, len(tokens)) for index in keys.indices)
        return [missing[token] or units[account] for account, token in places]

    def moved(self, update: Update) -> tuple[Movement, ...]:
        """What the blocks of an update moved, by the first source that has applied them."""
        if update.tip is None or update.previous is None or update.tip == update.previous:
            return ()
        told = (movements.between(update.previous, update.tip) for movements in self._movements.values())
        return next((found for found in told if found), ())

    def first_script(self, watch: Watch) -> Collection[bytes]:
        """A script of the first account, for a question that costs little."""
        accounts = Accounts(watch.accounts[:1], expansion=Expansion(self._network, ahead=1))
        return list(accounts.extend())[:1]

    def _book(self, source: Source, *, watch: Watch) -> Book:
        name = source.transport.provider
        kept = self._kept.get(name)
        if kept is None or kept.watch != watch:
            kept = self._kept[name] = _Kept(watch, self._begun(source, watch=watch))
        return kept.book

    def _begun(self, source: Source, *, watch: Watch) -> Book:
        own = isinstance(source, NodeSource)
        expansion = Expansion(self._network, ahead=SCANNED_AHEAD if own else 0, cache=self._cache())
        accounts = Accounts(watch.accounts, expansion=expansion, gap_limits=watch.gap_limits)
        if not isinstance(source, BlockSource):
            return SnapshotBook(source, accounts=accounts)
        coin = Token(watch.chain, None, self._config.decimals)
        movements = self._movements[source.transport.provider] = Movements(accounts, network=self._network, coin=coin)
        form = self._network.block
        if self._state is None:
            return BlockBook(source, accounts=accounts, form=form, verify=not own, listeners=[movements])
        shelf = self._state.shelf(source.transport.provider, accounts=accounts)
        return BlockBook(
            source,
            accounts=accounts,
            form=form,
            verify=not own,
            listeners=[shelf, movements],
            resume=shelf.resume,
        )

    def _cache(self) -> ScriptCache | None:
        state = self._config.state
        if state is None:
            return None
        cache = ScriptCache(state.with_name(f"{state.name}-scripts"))
        self._stack.callback(cache.close)
        return cache


def _no_contract(contract: str) -> Flaw:
    return Flaw(Reason.NO_CONTRACT, f"there is no contract {contract}: this chain has none")
