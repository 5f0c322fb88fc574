"""A scripted Symbol ledger: blocks, what every account holds at each of them, and what waits to be mined.

Fees and harvesting are as on Symbol, without its shares. Nobody's signature or consent is checked: a transaction counts
when it is put into a block.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from hashlib import sha3_256

from connectors.base import Address
from connectors.symbol.address import of_public_key, raw_of
from connectors.symbol.networks import NETWORKS, Network

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

TRANSFER, SECRET_LOCK, MULTISIG_MODIFICATION = 0x4154, 0x4152, 0x4155
AGGREGATE_COMPLETE, AGGREGATE_BONDED = 0x4141, 0x4241


class Overspent(ValueError):
    """A transaction wants more than its payer has at that point of its block."""


@dataclass(frozen=True, slots=True)
class Person:
    """Whoever has an account. Nothing is ever signed: the key is a digest of the name."""

    name: str
    network: Network = NETWORKS["mainnet"]

    @property
    def key(self) -> bytes:
        return sha3_256(f"person {self.name}".encode()).digest()

    @property
    def address(self) -> Address:
        return of_public_key(self.key, network=self.network)


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
    """A step of its own, or an aggregate of them."""

    signer: Person
    steps: tuple[Step, ...]
    aggregate: int | None = None
    nonce: int = 0

    @property
    def hash(self) -> str:
        content = [repr((step.type, step.signer.name, sorted(step.told.items(), key=str))) for step in self.steps]
        return digest("transaction", self.signer.name, str(self.aggregate), str(self.nonce), *content)

    @property
    def size(self) -> int:
        """Bytes, roughly as on Symbol."""
        return 176 if self.aggregate is None else 168 + 96 * len(self.steps)

    @property
    def fee(self) -> int:
        return self.size * FEE_MULTIPLIER


@dataclass(slots=True)
class World:
    """Everything that blocks change. `appeared`: accounts that have been named on the chain, with the height."""

    units: dict[Purse, int] = field(default_factory=dict)
    appeared: dict[Address, int] = field(default_factory=dict)
    multisigs: dict[Address, Multisig] = field(default_factory=dict)

    def copy(self) -> World:
        return World(dict(self.units), dict(self.appeared), dict(self.multisigs))


@dataclass(frozen=True, slots=True)
class Block:
    """A block, the world after it, and the score of the chain up to it."""

    height: int
    hash: str
    parent: str
    time: datetime
    transactions: tuple[Transaction, ...]
    world: World
    score: int
    difficulty: int


class Ledger:
    """`blocks[0]` is the block at height 1. `unconfirmed` and `partial` hold what waits, by hash."""

    def __init__(
        self, balances: Mapping[Address, int], *, time: datetime, mosaics: Mapping[str, int] | None = None
    ) -> None:
        """`mosaics` are the divisibilities of those that exist beside the currency."""
        self.mosaics = {XYM: 6, **(mosaics or {})}
        self.aliases: dict[str, Alias] = {}
        self.unconfirmed: dict[str, Transaction] = {}
        self.partial: dict[str, Transaction] = {}
        self.failed: set[str] = set()
        self.final = 1
        self._branch = 0
        world = World({(account, XYM): units for account, units in balances.items()}, dict.fromkeys(balances, 1))
        world.appeared[HARVESTER.address] = 1
        self.blocks = [Block(1, digest("nemesis"), "0" * 64, time, (), world, DIFFICULTY, DIFFICULTY)]

    @property
    def tip(self) -> Block:
        return self.blocks[-1]

    def block(self, height: int) -> Block | None:
        return self.blocks[height - 1] if 1 <= height <= len(self.blocks) else None

    def held(self, account: Address, *, mosaic: str = XYM) -> int:
        """Units at the newest block."""
        return self.tip.world.units.get((account, mosaic), 0)

    def grant(self, account: Address, *, mosaic: str, units: int) -> None:
        """Puts units on an account as of the newest block."""
        self.tip.world.units[account, mosaic] = units
        self.tip.world.appeared.setdefault(account, self.tip.height)

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

    def mine(self, *transactions: Transaction, time: datetime | None = None) -> Block:
        """The next block. Everything in it happens, in its order, or nothing: Overspent leaves the chain as it was."""
        parent = self.tip
        world = parent.world.copy()
        height, fees = parent.height + 1, 0
        for transaction in transactions:
            fees += transaction.fee
            _pay(world, transaction.signer.address, XYM, -transaction.fee)
            for step in transaction.steps:
                _take(world, step=step, height=height)
        _pay(world, HARVESTER.address, XYM, fees + INFLATION)
        when = parent.time + BLOCK_TIME if time is None else time
        name = digest("block", parent.hash, str(self._branch), *(transaction.hash for transaction in transactions))
        difficulty = DIFFICULTY + int(name[:8], 16)
        score = parent.score + difficulty - (milliseconds(when) - milliseconds(parent.time)) // 1000
        self.blocks.append(Block(height, name, parent.hash, when, tuple(transactions), world, score, difficulty))
        for transaction in transactions:
            self.unconfirmed.pop(transaction.hash, None)
            self.partial.pop(transaction.hash, None)
        return self.tip

    def reorganise(self, *, depth: int, length: int | None = None) -> None:
        """The newest blocks are undone and others come, empty ones; what was in the old ones is unconfirmed again."""
        undone, self.blocks = self.blocks[-depth:], self.blocks[:-depth]
        self._branch += 1
        for block in undone:
            self.unconfirmed |= {transaction.hash: transaction for transaction in block.transactions}
        for _ in range(depth if length is None else length):
            self.mine()


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


def _take(world: World, *, step: Step, height: int) -> None:
    for mosaic, units in step.units.items():
        _pay(world, step.signer.address, mosaic, -units)
        if step.target is not None:
            _pay(world, step.target, mosaic, units)
    for account in (step.signer.address, step.target):
        if account is not None:
            world.appeared.setdefault(account, height)
    if step.multisig is not None:
        world.multisigs[step.signer.address] = step.multisig


def _pay(world: World, account: Address, mosaic: str, units: int) -> None:
    have = world.units.get((account, mosaic), 0)
    if have + units < 0:
        raise Overspent(f"{account} has {have} of {mosaic}, not {-units}")
    world.units[account, mosaic] = have + units


def _amount(mosaic: str, units: int) -> Json:
    return {"id": mosaic, "amount": str(units)}
