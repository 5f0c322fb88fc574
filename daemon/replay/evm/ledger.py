"""A scripted ledger in the shape of an Ethereum chain: balances, code and storage at every block, and a mempool."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from daemon.replay.history import History
from daemon.replay.played import Overspent, Purse, check_time

NO_PARENT = "0x" + "00" * 32


@dataclass(frozen=True, slots=True)
class Transfer:
    """So many smallest units from one account to another. Addresses are lower case, as everywhere in the ledger.

    `fee` is in units of the native coin; the sender pays it, and it is burnt.
    """

    sender: str
    recipient: str
    units: int
    token: str | None = None
    fee: int = 0

    def __post_init__(self) -> None:
        if self.units <= 0:
            raise ValueError(f"a transfer moves at least one unit, not {self.units}")
        if self.fee < 0:
            raise ValueError(f"a fee is at least nothing, not {self.fee}")

    @property
    def purses(self) -> frozenset[Purse]:
        """Whose balance it changes."""
        return frozenset({(self.sender, self.token), (self.recipient, self.token), (self.sender, None)})


@dataclass(frozen=True, slots=True)
class Transaction:
    """One transfer. The hash stays the same wherever it is mined; `nonce` counts what the sender sent before."""

    hash: str
    nonce: int
    transfer: Transfer


@dataclass(frozen=True, slots=True)
class CodeSet:
    """From its block on an account has this code (hex, 0x for none)."""

    account: str
    code: str


@dataclass(frozen=True, slots=True)
class StorageSet:
    """From its block on a storage slot of an account has this value; both of 256 bits."""

    account: str
    slot: int
    value: int


Change = CodeSet | StorageSet


@dataclass(frozen=True, slots=True)
class Block:
    """A block and what happened in it. `time` is UTC and whole seconds, as on Ethereum."""

    height: int
    hash: str
    parent: str
    time: datetime
    transactions: tuple[Transaction, ...] = ()
    changes: tuple[Change, ...] = ()


class Found(NamedTuple):
    """A transaction and where it stands; `block` is None while it waits, `place` is its index there."""

    transaction: Transaction
    block: Block | None
    place: int


class EvmLedger:
    """One chain. Nothing is minted after the genesis block, and but for burnt fees every total stays as it began.

    Hashes are SHA-256 over a block's content. They are deterministic and differ when anything before them differs, but
    they are not Ethereum's, which are Keccak-256 over an RLP-encoded header.
    """

    def __init__(self, genesis: Mapping[Purse, int], *, time: datetime, changes: Iterable[Change] = ()) -> None:
        """`changes` hold from the genesis block on, as `genesis` does."""
        if any(units < 0 for units in genesis.values()):
            raise ValueError("nobody starts with less than nothing")
        self._units: History[Purse, int] = History(0)
        self._units.put(genesis, height=0)
        self._sent: History[str, int] = History(0)
        self._code: History[str, str] = History("0x")
        self._storage: History[tuple[str, int], int] = History(0)
        self._put(changes, height=0)
        content = sorted(f"{account} {token} {units}" for (account, token), units in genesis.items())
        self._blocks = [Block(0, digest(NO_PARENT, "0", time.isoformat(), *content), NO_PARENT, time)]
        self._by_hash = {self.tip.hash: self.tip}
        self._mined: dict[str, tuple[int, int]] = {}
        self._reorganised = 0
        self._waiting = _Waiting(self)
        self._changing: list[Change] = []

    # ── what it tells ───────────────────────────────────────────────────────────────────────────────────────────────

    @property
    def tip(self) -> Block:
        return self._blocks[-1]

    @property
    def waiting(self) -> Sequence[Transaction]:
        """The mempool, in the order in which the next block will take it."""
        return self._waiting.transactions

    def block(self, height: int) -> Block | None:
        return self._blocks[height] if 0 <= height < len(self._blocks) else None

    def block_of(self, block_hash: str) -> Block | None:
        return self._by_hash.get(block_hash)

    def find(self, transaction_hash: str) -> Found | None:
        """A transaction of the chain or the mempool."""
        mined = self._mined.get(transaction_hash)
        if mined is not None:
            block = self._blocks[mined[0]]
            return Found(block.transactions[mined[1]], block, mined[1])
        place = next((i for i, one in enumerate(self.waiting) if one.hash == transaction_hash), None)
        return None if place is None else Found(self.waiting[place], None, place)

    def units(self, account: str, token: str | None = None) -> int:
        """What an account has now, without what waits."""
        return self._units.at((account, token))

    def balance(self, purse: Purse, *, height: int | None = None) -> int:
        """Units at the end of that block, the newest by default; 0 for a purse that never held anything."""
        return self._units.at(purse, height=height)

    def balance_ahead(self, purse: Purse) -> int:
        """Units when all that waits is mined."""
        return self._waiting.units(purse)

    def supply(self, token: str | None, *, height: int | None = None) -> int:
        """The sum of everybody's balances of a token."""
        return sum(self.balance(purse, height=height) for purse in self._units if purse[1] == token)

    def sent(self, account: str, *, height: int | None = None) -> int:
        """How many transactions an account has sent: its nonce, as Ethereum says."""
        return self._sent.at(account, height=height)

    def sent_ahead(self, account: str) -> int:
        """As `sent`, when all that waits is mined."""
        return self._waiting.sent(account)

    def code(self, account: str, *, height: int | None = None) -> str:
        return self._code.at(account, height=height)

    def storage(self, account: str, *, slot: int, height: int | None = None) -> int:
        return self._storage.at((account, slot), height=height)

    # ── what happens to it ──────────────────────────────────────────────────────────────────────────────────────────

    def pay(self, transfer: Transfer) -> str:
        """The hash of a transaction that now waits. Raises Overspent, counting what waits already."""
        return self._waiting.add(transfer).hash

    def set_code(self, account: str, code: str) -> None:
        """With the next block."""
        self._changing.append(CodeSet(account, code))

    def set_storage(self, account: str, *, slot: int, value: int) -> None:
        """With the next block."""
        if not (0 <= slot < 2**256 and 0 <= value < 2**256):
            raise ValueError("a storage slot and its value have 256 bits")
        self._changing.append(StorageSet(account, slot, value))

    def mine(self, transfers: Iterable[Transfer] = (), *, time: datetime) -> Block:
        """The next block: all that waits, and then the transfers in their order.

        All of it happens or, when one of the transfers raises Overspent, nothing.
        """
        check_time(time, parent=self.tip.time)
        taken = self._waiting.copy()
        for transfer in transfers:
            taken.add(transfer)
        block = self._append(tuple(taken.transactions), tuple(self._changing), time=time)
        self._waiting = _Waiting(self)
        self._changing = []
        return block

    def reorganise(self, depth: int, *, time: datetime) -> Block:
        """Other blocks, one more, take the place of the newest `depth`; the new tip, which has this `time`.

        The first of them is empty, each other holds what the undone block before it held, so that on the two branches
        the balances at one height differ. Undone blocks are forgotten; what waits goes on waiting.
        """
        if not 0 < depth <= self.tip.height:
            raise ValueError(f"of {self.tip.height} blocks after the first, {depth} can't be undone")
        check_time(time, parent=self.tip.time)
        undone = self._undo(depth)
        self._reorganised += 1
        held: list[tuple[tuple[Transaction, ...], tuple[Change, ...]]] = [((), ())]
        held += [(block.transactions, block.changes) for block in undone]
        times = [*(block.time for block in undone), time]
        for (transactions, changes), moment in zip(held, times, strict=True):
            self._append(transactions, changes, time=moment)
        return self.tip

    def _undo(self, depth: int) -> Sequence[Block]:
        """Where the transactions of the undone blocks stand is told anew when they happen again."""
        undone = self._blocks[-depth:]
        del self._blocks[-depth:]
        for block in undone:
            del self._by_hash[block.hash]
        for history in (self._units, self._sent, self._code, self._storage):
            history.undo(above=self.tip.height)
        return undone

    def _append(self, transactions: tuple[Transaction, ...], changes: tuple[Change, ...], *, time: datetime) -> Block:
        height = self.tip.height + 1
        content = [transaction.hash for transaction in transactions] + [str(change) for change in changes]
        # Without the number of the branch a block that happens again would have its old hash.
        block_hash = digest(self.tip.hash, str(height), time.isoformat(), str(self._reorganised), *content)
        block = Block(height, block_hash, self.tip.hash, time, transactions, changes)
        for place, transaction in enumerate(transactions):
            self._apply(transaction.transfer, height=height)
            self._mined[transaction.hash] = (height, place)
        self._put(changes, height=height)
        self._blocks.append(block)
        self._by_hash[block_hash] = block
        return block

    def _put(self, changes: Iterable[Change], *, height: int) -> None:
        for change in changes:
            if isinstance(change, CodeSet):
                self._code.put({change.account: change.code}, height=height)
            else:
                self._storage.put({(change.account, change.slot): change.value}, height=height)

    def _apply(self, transfer: Transfer, *, height: int) -> None:
        for purse, units in _moved(transfer):
            self._units.put({purse: self._units.at(purse) + units}, height=height)
        self._sent.put({transfer.sender: self._sent.at(transfer.sender) + 1}, height=height)


class _Waiting:
    """Transactions in an order, and what accounts have and have sent when all of them are mined."""

    def __init__(self, ledger: EvmLedger) -> None:
        self.transactions: list[Transaction] = []
        self._ledger = ledger
        self._units: dict[Purse, int] = {}
        self._sent: dict[str, int] = {}

    def copy(self) -> _Waiting:
        other = _Waiting(self._ledger)
        other.transactions = list(self.transactions)
        other._units, other._sent = dict(self._units), dict(self._sent)
        return other

    def units(self, purse: Purse) -> int:
        known = self._units.get(purse)
        return self._ledger.balance(purse) if known is None else known

    def sent(self, account: str) -> int:
        known = self._sent.get(account)
        return self._ledger.sent(account) if known is None else known

    def add(self, transfer: Transfer) -> Transaction:
        """Raises Overspent and then changes nothing."""
        self._check(transfer)
        nonce = self.sent(transfer.sender)
        transaction = Transaction(_transaction_hash(transfer, nonce=nonce), nonce, transfer)
        for purse, units in _moved(transfer):
            self._units[purse] = self.units(purse) + units
        self._sent[transfer.sender] = nonce + 1
        self.transactions.append(transaction)
        return transaction

    def _check(self, transfer: Transfer) -> None:
        wanted: dict[Purse, int] = {(transfer.sender, None): transfer.fee}
        purse = (transfer.sender, transfer.token)
        wanted[purse] = wanted.get(purse, 0) + transfer.units
        for (account, token), units in wanted.items():
            have = self.units((account, token))
            if have < units:
                raise Overspent(f"{account} has {have} of {token or 'the native coin'}, not {units}")


def _moved(transfer: Transfer) -> Sequence[tuple[Purse, int]]:
    """By how much each purse changes; one may stand more than once."""
    moved = [
        ((transfer.sender, transfer.token), -transfer.units),
        ((transfer.recipient, transfer.token), transfer.units),
    ]
    return [*moved, ((transfer.sender, None), -transfer.fee)] if transfer.fee else moved


def _transaction_hash(transfer: Transfer, *, nonce: int) -> str:
    """Nobody sends twice with one nonce, so equal transfers have different hashes."""
    content = (transfer.sender, transfer.recipient, str(transfer.units), str(transfer.token), str(transfer.fee))
    return digest("transaction", str(nonce), *content)


def digest(*parts: str) -> str:
    """SHA-256 over the parts, as Ethereum writes 32 bytes."""
    return "0x" + hashlib.sha256("\n".join(parts).encode()).hexdigest()
