"""The unspent coins of what is watched: loaded once, then carried forward and back block by block, to the unit.

A block costs what it touches, however much is watched. Going back needs no block: each step keeps what stood before it.
"""

import struct
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Set
from dataclasses import dataclass
from typing import NamedTuple

from connectors.base import Tip
from connectors.bitcoin.block import BlockEvents
from connectors.bitcoin.transaction import OUTPOINT
from connectors.errors import BadAnswer

DEPTH = 144  # blocks that can be undone: about a day of Bitcoin
UNITS, HEIGHTS = 2**63, 2**31  # what a coin's value and height stay below

_packed_head = struct.Struct("<QI")  # value in units; twice the height, plus one for a coinbase


class Coin(NamedTuple):
    """An unspent output: whom it pays, units, the height of its block, whether a coinbase made it."""

    script: bytes
    value: int
    height: int
    coinbase: bool

    def pack(self) -> bytes:
        """A third of the tuple's memory, and nothing for the garbage collector to walk over."""
        return _packed_head.pack(self.value, self.height * 2 + self.coinbase) + self.script


def unpack(packed: bytes) -> Coin:
    """The coin that `Coin.pack` packed."""
    value, origin = _packed_head.unpack_from(packed)
    return Coin(packed[_packed_head.size :], value, origin >> 1, bool(origin & 1))


@dataclass(frozen=True, slots=True)
class Changes:
    """What one step did. `balances` holds the balance after it, in units, of every account that it touched.

    `spent` are the coins that a block took away, by outpoint, those that it had itself created among them. It is empty
    for a step back.
    """

    tip: Tip
    balances: Mapping[int, int]
    spent: Mapping[bytes, Coin]


@dataclass(frozen=True, slots=True)
class Undo:
    """How to take a block back: the tip before it, and the packed coin that stood at each outpoint it touched."""

    tip: Tip
    coins: Mapping[bytes, bytes | None]


class CoinSet:
    """The coins of the watched scripts as of one block. Every method does all of what it says, or raises and does none.

    `scripts` gives each watched scriptPubKey the number of its account; many scripts may share one.
    """

    def __init__(self, scripts: Mapping[bytes, int], *, depth: int = DEPTH) -> None:
        """`depth` is how many blocks can be undone."""
        self._accounts = dict(scripts)
        self._coins: dict[bytes, bytes] = {}
        # A look-up that finds nothing, as most do in a block, touches less memory in a large set than in a large dict.
        self._scripts = set(self._accounts)
        self._outpoints: set[bytes] = set()
        self._balances: dict[int, int] = {}
        self._tip: Tip | None = None
        self._undo: deque[Undo] = deque(maxlen=depth)

    @property
    def tip(self) -> Tip | None:
        """The block as of which everything here stands; None before the first load."""
        return self._tip

    @property
    def scripts(self) -> Set[bytes]:
        """Every watched script: what `read_block` is given. To be read only."""
        return self._scripts

    @property
    def outpoints(self) -> Set[bytes]:
        """Where the coins are: what `read_block` is given. To be read only."""
        return self._outpoints

    @property
    def history(self) -> tuple[Undo, ...]:
        """What the last blocks are undone with, the oldest first: for `load` after a restart."""
        return tuple(self._undo)

    def account(self, script: bytes) -> int | None:
        """The account that a script belongs to; None for one that is not watched."""
        return self._accounts.get(script)

    def balance(self, account: int) -> int:
        """What an account holds at the tip, in units."""
        return self._balances.get(account, 0)

    def coin(self, outpoint: bytes) -> Coin | None:
        """The watched coin at an outpoint; None where there is none."""
        packed = self._coins.get(outpoint)
        return None if packed is None else unpack(packed)

    def coins(self) -> Iterator[tuple[bytes, Coin]]:
        """Every coin with its outpoint."""
        return ((outpoint, unpack(packed)) for outpoint, packed in self._coins.items())

    def load(self, tip: Tip, coins: Iterable[tuple[bytes, Coin]], *, history: Iterable[Undo] = ()) -> None:
        """Puts in place of everything what a scan found as of `tip`, or what was kept before a restart.

        `history` must come from a set that watched the same scripts.
        Raises BadAnswer for a coin that is listed twice, pays no watched script or can't be.
        """
        found, balances = self._tally(coins)
        self._coins, self._outpoints, self._balances, self._tip = found, set(found), balances, tip
        self._undo = deque(history, maxlen=self._undo.maxlen)

    def watch(self, scripts: Mapping[bytes, int]) -> None:
        """Watches more scripts, which hold nothing and held nothing in the blocks that can still be undone.

        Raises ValueError for a script that already belongs to another account.
        """
        if any(self._accounts.get(script, account) != account for script, account in scripts.items()):
            raise ValueError("a script can't belong to two accounts")
        self._accounts.update(scripts)
        self._scripts.update(scripts)

    def adopt(self, coins: Iterable[tuple[bytes, Coin]]) -> None:
        """Adds the coins that newly watched scripts hold at the tip. No block before it can then be undone.

        Raises BadAnswer for a coin that is already here, is listed twice, pays no watched script or can't be.
        """
        found, balances = self._tally(coins)
        if not found.keys().isdisjoint(self._coins):
            raise BadAnswer("a scan found a coin that was already known under another script")
        self._coins.update(found)
        self._outpoints.update(found)
        for account, units in balances.items():
            self._balances[account] = self.balance(account) + units
        self._undo.clear()

    def apply(self, events: BlockEvents, tip: Tip) -> Changes:
        """Carries everything over the next block, which becomes the tip.

        Raises ValueError when `events` isn't the block after the tip, read for these scripts and coins; BadAnswer when
        the block and the set contradict each other, so that one of them is wrong: load again.
        """
        before_tip = self._check_next(events, tip)
        before: dict[bytes, bytes | None] = {}
        after: dict[bytes, bytes | None] = {}
        spent: dict[bytes, Coin] = {}
        for made in events.created:
            before[made.outpoint] = self._coins.get(made.outpoint)
            # Two coinbases of 2010 bear the ids of earlier ones, whose coins they replaced (BIP 30).
            if before[made.outpoint] is not None and not made.coinbase:
                raise BadAnswer("a block creates a coin that is already there")
            after[made.outpoint] = Coin(made.script, made.value, tip.height, made.coinbase).pack()
        for outpoint, _, _ in events.spent:
            packed = after.get(outpoint) or self._coins.get(outpoint)
            if packed is None:
                raise BadAnswer("a block spends a coin that is not there")
            before.setdefault(outpoint, packed)
            after[outpoint] = None
            spent[outpoint] = unpack(packed)
        self._undo.append(Undo(before_tip, before))
        return self._step(tip, after, spent=spent)

    def undo(self) -> Changes:
        """Takes the newest block back, exactly. Raises LookupError when no block is left that could be."""
        if not self._undo:
            raise LookupError("no block can be undone any more: load again")
        last = self._undo.pop()
        return self._step(last.tip, last.coins, spent={})

    def _check_next(self, events: BlockEvents, tip: Tip) -> Tip:
        header = events.header
        if self._tip is None or header.parent[::-1].hex() != self._tip.hash:
            raise ValueError("the block does not follow the tip")
        if tip.hash != header.hash[::-1].hex() or tip.height != self._tip.height + 1:
            raise ValueError("the new tip is not that block")
        if not all(made.script in self._scripts for made in events.created):
            raise ValueError("the block was read for other scripts")
        return self._tip

    def _step(self, tip: Tip, after: Mapping[bytes, bytes | None], *, spent: Mapping[bytes, Coin]) -> Changes:
        """Puts `after` in place; a coin that came and went within the block still touches its account."""
        moved = {self._accounts[coin.script]: 0 for coin in spent.values()}
        for outpoint, packed in after.items():
            gone = self._coins.pop(outpoint, None)
            if gone is not None:
                self._outpoints.remove(outpoint)
                self._count(gone, into=moved, sign=-1)
            if packed is not None:
                self._coins[outpoint] = packed
                self._outpoints.add(outpoint)
                self._count(packed, into=moved, sign=1)
        balances = {account: self.balance(account) + units for account, units in moved.items()}
        for account, units in balances.items():
            if units:
                self._balances[account] = units
            else:
                self._balances.pop(account, None)
        self._tip = tip
        return Changes(tip, balances, spent)

    def _count(self, packed: bytes, *, into: dict[int, int], sign: int) -> None:
        coin = unpack(packed)
        account = self._accounts[coin.script]
        into[account] = into.get(account, 0) + sign * coin.value

    def _tally(self, coins: Iterable[tuple[bytes, Coin]]) -> tuple[dict[bytes, bytes], dict[int, int]]:
        found: dict[bytes, bytes] = {}
        balances: dict[int, int] = {}
        for outpoint, coin in coins:
            account = self._accounts.get(coin.script)
            if account is None:
                raise BadAnswer("a scan found a coin of a script that is not watched")
            if outpoint in found:
                raise BadAnswer("a scan found the same coin twice")
            if not (len(outpoint) == OUTPOINT and 0 <= coin.value < UNITS and 0 <= coin.height < HEIGHTS):
                raise BadAnswer("a scan found a coin with an outpoint, a value or a height that no coin has")
            found[outpoint] = coin.pack()
            balances[account] = balances.get(account, 0) + coin.value
        return found, {account: units for account, units in balances.items() if units}
