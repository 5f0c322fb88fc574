"""A scripted Symbol ledger: blocks, what every account holds at each of them, and what waits to be mined.

Fees and harvesting are as on Symbol, without its shares. Nobody's signature or consent is checked: a transaction counts
when it is put into a block.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from hashlib import sha3_256

from connectors.base import Address
from connectors.symbol.address import of_public_key, raw_of
from connectors.symbol.networks import NETWORKS, Network
from daemon.replay.history import History
from daemon.replay.played import Overspent

Json = dict[str, object]
Purse = tuple[Address, str]
"""An account and a mosaic's id."""

EPOCH = datetime.fromtimestamp(1615853185, tz=UTC)
"""When mainnet began (its `epochAdjustment`)."""

XYM = "6BED913FA20223F8"
BLOCK_TIME = timedelta(seconds=30)
DIFFICULTY = 10**14
"""At the first block; it is another one at each."""

INFLATION = 73_000_000
"""Units of the currency that each block makes for who harvests it."""

FEE_MULTIPLIER = 100

ITSELF = ""
"""In the place of a mosaic: the account as such."""

TRANSFER, SECRET_LOCK, MULTISIG_MODIFICATION = 0x4154, 0x4152, 0x4155
AGGREGATE_COMPLETE, AGGREGATE_BONDED = 0x4141, 0x4241


@dataclass(frozen=True, slots=True)
class Person:
    """Whoever has an account. Nothing is ever signed: the key is a digest of the name."""

    name: str
    network: Network = NETWORKS["mainnet"]

    @property
    def key(self) -> bytes:
        return _key(self.name)

    @property
    def address(self) -> Address:
        return of_public_key(self.key, network=self.network)


@lru_cache(maxsize=10_000)
def _key(name: str) -> bytes:
    return sha3_256(f"person {name}".encode()).digest()


HARVESTER = Person("harvester")


@dataclass(frozen=True, slots=True)
class Alias:
    """A namespace, and what it stands for: an account or a mosaic."""

    id: str
    account: Address | None = None
    mosaic: str | None = None

    @property
    def raw(self) -> bytes:
        """How it stands in the place of an address."""
        return bytes([NETWORKS["mainnet"].identifier | 1]) + bytes.fromhex(self.id)[::-1] + bytes(15)


@dataclass(frozen=True, slots=True)
class Multisig:
    """Who can move an account together."""

    cosignatories: tuple[Address, ...]
    min_approval: int
    min_removal: int


@dataclass(frozen=True, slots=True)
class Step:
    """One thing that a transaction does: as nodes tell it, and what it changes."""

    type: int
    signer: Person
    told: Json
    target: Address | None = None
    units: Mapping[str, int] = field(default_factory=dict)
    multisig: Multisig | None = None
    aliases: tuple[Alias, ...] = ()


@dataclass(frozen=True, slots=True)
class Transaction:
    """A step of its own, or an aggregate of them. `size` in bytes decides on the fee; None for roughly Symbol's."""

    signer: Person
    steps: tuple[Step, ...]
    aggregate: int | None = None
    nonce: int = 0
    given_size: int | None = None
    hash: str = field(init=False, compare=False)

    def __post_init__(self) -> None:
        content = [repr((step.type, step.signer.name, sorted(step.told.items(), key=str))) for step in self.steps]
        name = digest("transaction", self.signer.name, str(self.aggregate), str(self.nonce), *content)
        object.__setattr__(self, "hash", name)

    @property
    def size(self) -> int:
        """Bytes."""
        if self.given_size is not None:
            return self.given_size
        return 176 if self.aggregate is None else 168 + 96 * len(self.steps)


@dataclass(frozen=True, slots=True)
class Block:
    """A block, and the score of the chain up to it."""

    height: int
    hash: str
    parent: str
    time: datetime
    transactions: tuple[Transaction, ...]
    score: int
    difficulty: int


class Ledger:
    """`blocks[0]` is the block at height 1. `unconfirmed` and `partial` hold what waits, by hash.

    Only what changes is kept of each block, so that a quiet year costs little. `multisigs` tells who moves an account
    together; `mined` the height of each transaction that is in a block.
    """

    def __init__(
        self,
        balances: Mapping[Address, int],
        *,
        time: datetime,
        mosaics: Mapping[str, int] | None = None,
        fee_multiplier: int = FEE_MULTIPLIER,
    ) -> None:
        """`mosaics` are the divisibilities of those that exist beside the currency."""
        self.mosaics = {XYM: 6, **(mosaics or {})}
        self.fee_multiplier = fee_multiplier
        self.aliases: dict[str, Alias] = {}
        self.unconfirmed: dict[str, Transaction] = {}
        self.partial: dict[str, Transaction] = {}
        self.failed: set[str] = set()
        self.final = 1
        self.multisigs: History[Address, Multisig | None] = History(None)
        self.mined: dict[str, int] = {}
        self._units: History[Purse, int] = History(0)
        self._mosaics: dict[Address, dict[str, None]] = {}
        self._appeared: dict[Address, int] = {}
        self._changed: list[set[Purse]] = []
        """By block, the purses that it changed; ITSELF stands for who appeared or came under other control."""
        self.revisions = Counter[Address]()
        """How often what an account has was changed, undone changes included."""
        self._branch = 0
        self.blocks = [Block(1, digest("nemesis"), "0" * 64, time, (), DIFFICULTY, DIFFICULTY)]
        self._changed.append(set())
        for account, units in balances.items():
            self.grant(account, mosaic=XYM, units=units)
        self._appear(HARVESTER.address, height=1)

    @property
    def tip(self) -> Block:
        return self.blocks[-1]

    def block(self, height: int) -> Block | None:
        return self.blocks[height - 1] if 1 <= height <= len(self.blocks) else None

    def held(self, account: Address, *, mosaic: str = XYM, height: int | None = None) -> int:
        """Units at the end of that block, the newest by default."""
        return self._units.at((account, mosaic), height=height)

    def purses(self, account: Address, *, height: int) -> Mapping[str, int]:
        """Units by mosaic, of those that the account has something of at that block."""
        found = (
            (mosaic, self.held(account, mosaic=mosaic, height=height)) for mosaic in self._mosaics.get(account, ())
        )
        return {mosaic: units for mosaic, units in found if units}

    def all_purses(self) -> Iterator[Purse]:
        """Those that ever had anything in them."""
        return iter(self._units)

    def appeared(self, account: Address, *, height: int) -> int | None:
        """The block in which the account was first named, None where that was not up to this height."""
        first = self._appeared.get(account)
        return first if first is not None and first <= height else None

    def grant(self, account: Address, *, mosaic: str, units: int) -> None:
        """Puts units on an account as of the newest block."""
        self._put(account, mosaic, units, height=self.tip.height)
        self._appear(account, height=self.tip.height)

    def announce(self, transaction: Transaction) -> Transaction:
        """Into the pool that it belongs in: an aggregate bonded waits for cosignatures."""
        pool = self.partial if transaction.aggregate == AGGREGATE_BONDED else self.unconfirmed
        pool[transaction.hash] = transaction
        return transaction

    def complete(self, transaction: Transaction) -> None:
        """The last cosignature has come: the aggregate may be mined."""
        self.unconfirmed[transaction.hash] = self.partial.pop(transaction.hash)

    def drop(self, transaction: Transaction, *, failed: bool = True) -> None:
        """The transaction leaves the pools and comes into no block."""
        for pool in (self.unconfirmed, self.partial):
            pool.pop(transaction.hash, None)
        if failed:
            self.failed.add(transaction.hash)

    def fee(self, transaction: Transaction) -> int:
        """Units of the currency that its signer pays for it."""
        return transaction.size * self.fee_multiplier

    def mine(self, *transactions: Transaction, time: datetime | None = None) -> Block:
        """The next block. Everything in it happens, in its order, or nothing: Overspent leaves the chain as it was."""
        parent = self.tip
        height = parent.height + 1
        self._changed.append(set())
        try:
            for transaction in transactions:
                self._happen(transaction, height=height)
        except Overspent:
            self._undo(self._changed.pop(), above=parent.height)
            raise
        fees = sum(self.fee(transaction) for transaction in transactions)
        self._pay(HARVESTER.address, XYM, fees + INFLATION, height=height)
        when = parent.time + BLOCK_TIME if time is None else time
        name = digest("block", parent.hash, str(self._branch), *(transaction.hash for transaction in transactions))
        difficulty = DIFFICULTY + int(name[:8], 16)
        score = parent.score + difficulty - (milliseconds(when) - milliseconds(parent.time)) // 1000
        self.blocks.append(Block(height, name, parent.hash, when, tuple(transactions), score, difficulty))
        for transaction in transactions:
            self.mined[transaction.hash] = height
            self.unconfirmed.pop(transaction.hash, None)
            self.partial.pop(transaction.hash, None)
        return self.tip

    def undo(self, depth: int) -> Sequence[Block]:
        """The newest blocks are gone, which are given back; blocks that come now have other hashes than they had."""
        undone, self.blocks = self.blocks[-depth:], self.blocks[:-depth]
        changed, self._changed = self._changed[-depth:], self._changed[:-depth]
        self._branch += 1
        for purses in changed:
            self._undo(purses, above=self.tip.height)
        for transaction in (transaction for block in undone for transaction in block.transactions):
            del self.mined[transaction.hash]
        self.final = min(self.final, self.tip.height)
        return undone

    def reorganise(self, *, depth: int, length: int | None = None) -> None:
        """The newest blocks are undone and others come, empty ones; what was in the old ones is unconfirmed again."""
        final = self.final
        for block in self.undo(depth):
            self.unconfirmed |= {transaction.hash: transaction for transaction in block.transactions}
        for _ in range(depth if length is None else length):
            self.mine()
        self.final = final

    def _happen(self, transaction: Transaction, *, height: int) -> None:
        self._pay(transaction.signer.address, XYM, -self.fee(transaction), height=height)
        for step in transaction.steps:
            for mosaic, units in step.units.items():
                self._pay(step.signer.address, mosaic, -units, height=height)
                if step.target is not None:
                    self._pay(step.target, mosaic, units, height=height)
            for account in (step.signer.address, step.target):
                if account is not None:
                    self._appear(account, height=height)
            if step.multisig is not None:
                self.multisigs.put({step.signer.address: step.multisig}, height=height)

    def _pay(self, account: Address, mosaic: str, units: int, *, height: int) -> None:
        have = self.held(account, mosaic=mosaic)
        if have + units < 0:
            raise Overspent(f"{account} has {have} of {mosaic}, not {-units}")
        self._put(account, mosaic, have + units, height=height)

    def _put(self, account: Address, mosaic: str, units: int, *, height: int) -> None:
        self._units.put({(account, mosaic): units}, height=height)
        self._mosaics.setdefault(account, {})[mosaic] = None
        self.revisions[account] += 1
        self._changed[height - 1].add((account, mosaic))

    def _appear(self, account: Address, *, height: int) -> None:
        self._appeared.setdefault(account, height)
        self._changed[height - 1].add((account, ITSELF))

    def _undo(self, purses: Collection[Purse], *, above: int) -> None:
        accounts = {account for account, mosaic in purses if mosaic == ITSELF}
        self._units.undo(above=above)
        self.multisigs.undo(above=above)
        self.revisions.update(account for account, _ in purses)
        for account in accounts:
            if self._appeared.get(account, 0) > above:
                del self._appeared[account]


def milliseconds(time: datetime) -> int:
    """Since the network began, as blocks tell their time."""
    return (time - EPOCH) // timedelta(milliseconds=1)


def digest(*parts: str) -> str:
    """SHA3-256 over the parts, as Symbol writes 32 bytes."""
    return sha3_256("\n".join(parts).encode()).hexdigest().upper()


def transfer(
    sender: Person,
    recipient: Address | Alias,
    *,
    units: int = 0,
    mosaic: str | Alias = XYM,
    more: Mapping[str, int] | None = None,
    nonce: int = 0,
) -> Transaction:
    """Units of one mosaic, and of `more`, from one account to another."""
    return Transaction(sender, (payment(sender, recipient, units=units, mosaic=mosaic, more=more),), nonce=nonce)


def payment(
    sender: Person,
    recipient: Address | Alias,
    *,
    units: int,
    mosaic: str | Alias = XYM,
    more: Mapping[str, int] | None = None,
) -> Step:
    """A transfer as a part of an aggregate."""
    named = {mosaic.id if isinstance(mosaic, Alias) else mosaic: units, **(more or {})}
    meant = {(mosaic.mosaic or "") if isinstance(mosaic, Alias) else mosaic: units, **(more or {})}
    raw = recipient.raw if isinstance(recipient, Alias) else raw_of(recipient)
    told: Json = {"recipientAddress": raw.hex().upper(), "mosaics": [_amount(*one) for one in sorted(named.items())]}
    target = recipient.account if isinstance(recipient, Alias) else recipient
    aliases = tuple(one for one in (mosaic, recipient) if isinstance(one, Alias))
    return Step(TRANSFER, sender, told, target, meant, aliases=aliases)


def secret_lock(sender: Person, recipient: Address, *, units: int) -> Transaction:
    """Units are taken from the sender and wait for the recipient to prove a secret."""
    told: Json = {"recipientAddress": raw_of(recipient).hex().upper(), "secret": "AB" * 32, "hashAlgorithm": 0}
    told |= {"mosaicId": XYM, "amount": str(units), "duration": "480"}
    return Transaction(sender, (Step(SECRET_LOCK, sender, told, None, {XYM: units}),))


def modification(account: Person, *, cosignatories: Sequence[Address], min_approval: int, min_removal: int) -> Step:
    """From now on these move the account; told as if it had had no cosignatories before."""
    additions = [raw_of(address).hex().upper() for address in cosignatories]
    told: Json = {"minApprovalDelta": min_approval, "minRemovalDelta": min_removal, "addressDeletions": []}
    told["addressAdditions"] = additions
    multisig = Multisig(tuple(cosignatories), min_approval, min_removal)
    return Step(MULTISIG_MODIFICATION, account, told, multisig=multisig)


def aggregate(signer: Person, *steps: Step, bonded: bool = False) -> Transaction:
    """Steps that happen together; the signer pays the fee."""
    return Transaction(signer, steps, AGGREGATE_BONDED if bonded else AGGREGATE_COMPLETE)


def again(transaction: Transaction) -> Transaction:
    """The same once more, as another transaction."""
    return replace(transaction, nonce=transaction.nonce + 1)


def _amount(mosaic: str, units: int) -> Json:
    return {"id": mosaic, "amount": str(units)}
