"""The last reading of every account and token, and running totals of them that cost only what changed."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple

from connectors.base import Address, Disagreement, Drift, Failure, Tip, Token, Update
from connectors.errors import Reason
from daemon.branches import Branches
from daemon.control import WalletControl
from daemon.controls import Controls
from daemon.model import Inventory, Moved, Tier
from daemon.movements import Movements
from daemon.sweeps import Drifted, SweepState

Key = tuple[Address, Token]

MOST_FORKS = 32
"""The newest are asked for at every pass of the pipe."""

MOST_NAMED = 20
"""A state file that was damaged may have made a million accounts drift; the first few tell what there is to tell."""


@dataclass(frozen=True, slots=True)
class Total:
    """A sum over (account, token) pairs that merges with `+`, so that shards can be added up; units are the token's.

    `known` sums current readings, `lost` the last readings of what is unread now; `pairs` counts all, `unread` those
    without a current reading, `never` those of them that were never read at all.
    """

    known: int = 0
    lost: int = 0
    pairs: int = 0
    unread: int = 0
    never: int = 0

    def __add__(self, other: Total) -> Total:
        return Total(
            self.known + other.known,
            self.lost + other.lost,
            self.pairs + other.pairs,
            self.unread + other.unread,
            self.never + other.never,
        )

    def __sub__(self, other: Total) -> Total:
        return Total(
            self.known - other.known,
            self.lost - other.lost,
            self.pairs - other.pairs,
            self.unread - other.unread,
            self.never - other.never,
        )


NEVER_READ = Total(pairs=1, unread=1, never=1)

WalletKey = tuple[str, Token]


@dataclass(frozen=True, slots=True)
class Totals:
    """A snapshot of the running totals. `lost_at` is the block time of the last reading before a wallet went unread."""

    wallets: Mapping[WalletKey, Total]
    lost_at: Mapping[WalletKey, datetime]


@dataclass(frozen=True, slots=True)
class Readings:
    """A wallet's accounts one by one, at one tip: account → asset → units, as text; what is unread is left out.

    An asset with several tokens on the chain is counted per token, named `asset:contract`.
    """

    tip: Tip | None
    seen: datetime | None
    units: Mapping[Address, Mapping[str, str]]
    control: WalletControl = field(default_factory=WalletControl)


@dataclass(frozen=True, slots=True)
class Sweep:
    """What a scheduled sweep found different from what was followed, as of `tip`; `at` is when that was seen."""

    at: datetime
    tip: Tip
    drift: tuple[Drift, ...]


class Fork(NamedTuple):
    """The `number`-th time that blocks of this chain were undone: those above `height`, as far as is known."""

    number: int
    height: int


@dataclass(slots=True)
class Book:
    """What is known of one chain, of `pairs` of account and token.

    `failed` is the newest failure with the time of the first in a row; `sweep` the last one that ended, and `drifted`
    counts the accounts (times tokens) that all of them found to have drifted. `words` are what was last said of an
    account that is unread, by its reason. `forks` are the newest ones.
    """

    pairs: int = 0
    tip: Tip | None = None
    seen: datetime | None = None
    failed: tuple[Failure, datetime] | None = None
    units: dict[Key, int] = field(default_factory=dict)
    unread: dict[Key, Reason] = field(default_factory=dict)
    reasons: Counter[Reason] = field(default_factory=Counter)
    words: dict[Reason, str] = field(default_factory=dict)
    disagreements: tuple[Disagreement, ...] = ()
    reorgs: int = 0
    forks: deque[Fork] = field(default_factory=lambda: deque(maxlen=MOST_FORKS))
    sweep: Sweep | None = None
    drifted: int = 0

    @property
    def said(self) -> str:
        """In words, why accounts are unread: for each reason, what was last said of one of them."""
        return "; ".join(words for reason, words in self.words.items() if self.reasons[reason])


class GapError(Exception):
    """An update does not continue what is known: the connector must begin again with a complete one."""


class Ledger:
    """The one mutable state of the pipe. Everything starts as never read."""

    def __init__(self, inventory: Inventory) -> None:
        self._inventory = inventory
        self._wallets: dict[WalletKey, Total] = {}
        self._lost_at: dict[WalletKey, datetime] = {}
        self.books = {chain: Book() for chain in inventory.watches}
        self.movements = Movements(cold=self._is_cold)
        self.controls = Controls(inventory)
        self.branches = Branches()
        for chain, watch in inventory.watches.items():
            book = self.books[chain]
            for token in watch.tokens:
                for account in watch.accounts:
                    book.unread[(account, token)] = Reason.STARTING
                    self._add((account, token), NEVER_READ)
            book.pairs = book.reasons[Reason.STARTING] = len(book.unread)

    def apply(self, update: Update) -> tuple[Moved, ...]:
        """Takes what a connector says; raises GapError when it does not continue the last tip, and takes nothing then.

        Gives the movements that came to another stage by it.

        A failure leaves the last picture as it is: it is still true at its tip, and its age tells when it stops being
        current. A single unread account in a new block is unread at once: its old value belongs to another block.
        """
        book = self.books[update.chain]
        if update.failure is not None or update.tip is None:
            failure = update.failure or Failure(Reason.BAD_ANSWER, "an update without a tip")
            book.failed = (failure, book.failed[1] if book.failed else update.seen)
            return ()
        if not update.complete and update.previous != book.tip:
            raise GapError(f"{update.chain}: an update from {update.previous}, but the ledger is at {book.tip}")
        if update.complete:
            self._forget_unmentioned(book, update)
        for unread in update.unread:
            self._lose(book, (unread.account, unread.token), unread.reason)
            book.words[unread.reason] = unread.detail
        for held in update.held:
            self._hold(book, (held.account, held.token), held.units)
        self._fork(book, update)
        self.branches.take(update)
        book.tip, book.seen, book.failed = update.tip, update.seen, None
        book.disagreements = update.disagreements
        book.reorgs += update.reorg_depth > 0
        if update.drift is not None:
            book.sweep = Sweep(update.seen, update.tip, update.drift)
            book.drifted += len(update.drift)
        self.controls.take(update)
        return self.movements.take(update)

    def _is_cold(self, chain: str, account: Address) -> bool:
        wallet = self._inventory.wallet_of.get((chain, account))
        return wallet is not None and self._inventory.wallets[wallet].tier is Tier.COLD

    def totals(self) -> Totals:
        return Totals(dict(self._wallets), dict(self._lost_at))

    def held(self, wallet: str, token: Token) -> Total:
        """The running total of a wallet's accounts; of no pairs where it is not asked for this token."""
        return self._wallets.get((wallet, token), Total())

    def sweeps(self) -> dict[str, SweepState]:
        """The last sweep of each chain where one has ended."""
        return {chain: self._named(book.sweep) for chain, book in self.books.items() if book.sweep is not None}

    def _named(self, sweep: Sweep) -> SweepState:
        wallets, assets = self._inventory.wallet_of, self._inventory.asset_of
        drifted = (
            Drifted(wallets.get((one.token.chain, one.account)), assets.get(one.token), one)
            for one in sweep.drift[:MOST_NAMED]
        )
        return SweepState(sweep.at, sweep.tip, len(sweep.drift), tuple(drifted))

    def readings(self, wallet: str) -> Readings:
        """The newest readings of a wallet's accounts; KeyError when there is no such wallet."""
        found = self._inventory.wallets[wallet]
        book = self.books[found.chain]
        tokens = self._inventory.watches[found.chain].tokens
        units = {
            account: {
                self._label(token): str(book.units[(account, token)])
                for token in tokens
                if (account, token) in book.units and (account, token) not in book.unread
            }
            for account in found.accounts
        }
        return Readings(book.tip, book.seen, units, self.controls.of(wallet))

    def _label(self, token: Token) -> str:
        asset = self._inventory.asset_of[token]
        siblings = [other for other in self._inventory.assets[asset] if other.chain == token.chain]
        return asset if len(siblings) == 1 else f"{asset}:{token.contract or 'native'}"

    def carry_over(self, older: Ledger, *, chains: Iterable[str]) -> None:
        """Takes the readings of `older` for the accounts and tokens that both watch, on these chains.

        Accounts that are new stay never read until the next complete update. Movements and control are taken over on
        every chain that both watch: a transaction is what it is, whichever node we ask and whatever we watch today.
        """
        self.movements = older.movements.on(self.books, cold=self._is_cold)
        self.branches = older.branches
        self.controls.carry_over(older.controls, chains=self.books.keys() & older.books.keys())
        for chain in self.books.keys() & older.books.keys():
            self.books[chain].forks = older.books[chain].forks.copy()
        for chain in chains:
            book, source = self.books[chain], older.books[chain]
            book.tip, book.seen, book.failed = source.tip, source.seen, source.failed
            book.disagreements, book.reorgs = source.disagreements, source.reorgs
            book.sweep, book.drifted = source.sweep, source.drifted
            book.words = dict(source.words)
            for key in list(book.unread):
                if key in source.units:
                    self._hold(book, key, source.units[key])
                if key in source.unread:
                    self._lose(book, key, source.unread[key])
                    self._lost_before(key, older)

    def _lost_before(self, key: Key, older: Ledger) -> None:
        """What was lost stays as old as it is, also where its account belongs to another wallet now."""
        lost_at = older._lost_at.get(older._wallet_key(key))
        wallet = self._wallet_key(key)
        if lost_at is not None and wallet in self._lost_at:
            self._lost_at[wallet] = min(self._lost_at[wallet], lost_at)

    def _fork(self, book: Book, update: Update) -> None:
        """Enters that blocks were undone: as many as the update says, of those of an earlier run where we have read
        none yet; one at least where only the tip shows it."""
        tip, depth = update.tip, update.reorg_depth
        known = book.tip or (update.previous if depth else None)
        if known is None or tip is None:
            return
        other = tip.hash != known.hash and tip.height <= known.height
        if depth or other:
            number = book.forks[-1].number + 1 if book.forks else 1
            book.forks.append(Fork(number, known.height - depth if depth else tip.height - 1))

    def _forget_unmentioned(self, book: Book, update: Update) -> None:
        """A complete update replaces everything: what it does not mention was not read."""
        mentioned = {(held.account, held.token) for held in update.held}
        mentioned.update((unread.account, unread.token) for unread in update.unread)
        for key in book.units.keys() - mentioned:
            self._lose(book, key, Reason.BAD_ANSWER)

    def _hold(self, book: Book, key: Key, units: int) -> None:
        before = _contribution(book, key)
        book.units[key] = units
        reason = book.unread.pop(key, None)
        if reason is not None:
            book.reasons[reason] -= 1
        self._add(key, _contribution(book, key) - before)
        wallet = self._wallet_key(key)
        if reason is not None and not self._wallets[wallet].unread:
            self._lost_at.pop(wallet, None)

    def _lose(self, book: Book, key: Key, reason: Reason) -> None:
        before = _contribution(book, key)
        known_reason = book.unread.get(key)
        if known_reason is not None:
            book.reasons[known_reason] -= 1
        book.unread[key] = reason
        book.reasons[reason] += 1
        self._add(key, _contribution(book, key) - before)
        if known_reason is None and book.tip is not None:
            self._lost_at.setdefault(self._wallet_key(key), book.tip.time)

    def _add(self, key: Key, change: Total) -> None:
        wallet = self._wallet_key(key)
        self._wallets[wallet] = self._wallets.get(wallet, Total()) + change

    def _wallet_key(self, key: Key) -> WalletKey:
        account, token = key
        return self._inventory.wallet_of[(token.chain, account)], token


def _contribution(book: Book, key: Key) -> Total:
    units = book.units.get(key)
    if units is None:
        return NEVER_READ
    if key in book.unread:
        return Total(lost=units, pairs=1, unread=1)
    return Total(known=units, pairs=1)
