"""Processes that keep a book in a file, and what the next one finds there."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from connectors.base import Tip
from connectors.bitcoin.accounts import Accounts
from connectors.bitcoin.block import BlockEvents
from connectors.bitcoin.book import BlockBook
from connectors.bitcoin.coins import Changes, Coin, CoinSet, Undo
from connectors.bitcoin.forms import BITCOIN
from connectors.bitcoin.state import StateFile
from tests.unit.bitcoin.chain import ChainSource
from tests.unit.bitcoin.wallets import accounts


class Latest:
    """A Listener that knows the coins of the book, as they stand."""

    coins: CoinSet

    def loaded(self, coins: CoinSet) -> None:
        self.coins = coins

    def applied(self, coins: CoinSet, *, events: BlockEvents, changes: Changes) -> None:
        self.coins = coins

    def undone(self, coins: CoinSet, *, undo: Undo) -> None:
        self.coins = coins

    def forgotten(self) -> None:
        pass


@dataclass
class Running:
    """A process that reads the chain, as far as it concerns what is kept: it is begun with the file, and ends."""

    path: Path
    source: ChainSource
    watched: Accounts = field(default_factory=accounts)
    latest: Latest = field(default_factory=Latest)

    def __enter__(self) -> BlockBook:
        self.state = StateFile(self.path, patience=0.01)
        shelf = self.state.shelf(self.source.name, accounts=self.watched)
        return BlockBook(
            self.source,
            accounts=self.watched,
            form=BITCOIN,
            verify=True,
            listeners=[shelf, self.latest],
            resume=shelf.resume,
        )

    def __exit__(self, *raised: object) -> None:
        self.state.close()


@dataclass(frozen=True)
class Kept:
    """Everything that a restart has to bring back."""

    coins: dict[bytes, Coin]
    units: tuple[int, ...]
    tip: Tip | None
    history: tuple[Undo, ...]
    branches: tuple[tuple[int, int, frozenset[int]], ...]


def of(coins: CoinSet, watched: Accounts) -> Kept:
    units = tuple(coins.balance(number) for number in range(len(watched.names)))
    branches = tuple((one.derived, one.used, frozenset(one.beyond)) for one in watched.branches)
    return Kept(dict(coins.coins()), units, coins.tip, coins.history, branches)


def resumed(path: Path, *, name: str = "memory", watched: Accounts | None = None) -> Kept | None:
    """What another process would find in the file now."""
    watched = watched or accounts()
    state = StateFile(path)
    coins = state.shelf(name, accounts=watched).resume()
    state.close()
    return None if coins is None else of(coins, watched)
