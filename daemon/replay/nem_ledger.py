"""A scripted NEM ledger: blocks, and what every account holds at each of them; fees and harvesting as on NEM.

Unlike NEM's, the first block holds no transactions: balances just begin with it. Nobody's signature is checked.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from connectors.base import Address
from connectors.nem.answers import DEFINITION
from connectors.nem.block import BLOCK, EPOCH, Block
from connectors.nem.mosaic import XEM
from connectors.nem.pending import TRANSACTION
from connectors.nem.transaction import (
    ImportanceTransfer,
    MosaicCreation,
    MultisigModification,
    SupplyChange,
    TransactionFields,
)
from daemon.replay.nem_transactions import Json, Notary, Person, digest_of

BLOCK_TIME = timedelta(seconds=60)

WORLDS_KEPT = 400
"""Newest blocks whose balances are known; NIS itself goes back by 360 at most."""

Purse = tuple[Address, str | None]
"""An account and a mosaic, None for XEM."""


class Overspent(ValueError):
    """A transaction wants more than its payer has at that point of its block."""


@dataclass(frozen=True, slots=True)
class Multisig:
    """Who can move an account together."""

    cosignatories: tuple[Address, ...]
    minimum: int


@dataclass(slots=True)
class World:
    """Everything that blocks change. `remotes`: who harvests, and for whom."""

    units: dict[Purse, int] = field(default_factory=dict)
    multisigs: dict[Address, Multisig] = field(default_factory=dict)
    remotes: dict[Address, Address] = field(default_factory=dict)
    definitions: dict[str, Json] = field(default_factory=dict)

    def copy(self) -> World:
        return World(dict(self.units), dict(self.multisigs), dict(self.remotes), dict(self.definitions))


@dataclass(frozen=True, slots=True)
class Mined:
    """A block, and as NIS tells it."""

    block: Block
    told: Json


class Ledger:
    """`blocks[0]` is the block at height 1. `pool` holds what waits, by hash."""

    def __init__(self, notary: Notary, *, balances: Mapping[Address, int], time: datetime) -> None:
        self.notary = notary
        self.pool: dict[str, Json] = {}
        self._branch = 0
        first = World({(account, None): units for account, units in balances.items()})
        seconds = round((time - EPOCH).total_seconds())
        self.blocks = [self._block(1, "00" * 32, (), seconds=seconds, harvester=notary.person("nemesis"))]
        self._worlds = [first]
        self.mine()

    @property
    def tip(self) -> Mined:
        return self.blocks[-1]

    @property
    def nemesis(self) -> str:
        """The hash of the first block."""
        return self.blocks[0].block.hash

    @property
    def now(self) -> int:
        """Seconds since NEM's epoch, by the clock of the newest block."""
        return self.tip.block.time_stamp

    def world(self, height: int | None = None) -> World:
        """At the end of that block, the newest by default. LookupError for one that is too old."""
        below = 0 if height is None else len(self.blocks) - height
        if not 0 <= below < len(self._worlds):
            raise LookupError(f"balances at block {height} are not known")
        return self._worlds[-1 - below]

    def units(self, account: Address, mosaic: str | None = None) -> int:
        return self.world().units.get((account, mosaic), 0)

    def announce(self, transaction: Json) -> str:
        """The hash of a transaction that now waits for a block."""
        name = hash_of(transaction)
        self.pool[name] = transaction
        return name

    def mine(
        self,
        transactions: Sequence[Json] | None = None,
        *,
        harvester: Person | None = None,
        after: timedelta = BLOCK_TIME,
    ) -> Mined:
        """The next block, with all that waits where nothing is named. Overspent leaves the ledger as it was."""
        seconds = self.now + round(after.total_seconds())
        self._expire(seconds)
        chosen = list(self.pool.values()) if transactions is None else list(transactions)
        by = harvester or self.notary.person("a harvester")
        height, parent = self.tip.block.height + 1, self.tip.block.hash
        mined = self._block(height, parent, chosen, seconds=seconds, harvester=by)
        world = self.world().copy()
        for transaction, told in zip(mined.block.transactions, chosen, strict=True):
            _apply(transaction, told=told, world=world)
        _pay(world, None, (world.remotes.get(by.address, by.address), None), units=mined.block.fees)
        self.blocks.append(mined)
        self._worlds = [*self._worlds, world][-WORLDS_KEPT:]
        for one in mined.block.transactions:
            self.pool.pop(one.hash(), None)
        return mined

    def reorganise(self, depth: int, *, length: int | None = None, keep: bool = True) -> None:
        """The newest `depth` blocks are replaced by `length` others, one more by default.

        What they held waits again, and with `keep` stands in the first of the new ones.
        """
        self._branch += 1
        undone = self.blocks[-depth:]
        del self.blocks[-depth:], self._worlds[-depth:]
        for transaction in (one for mined in undone for one in transactions_of(mined)):
            self.announce(transaction)
        for place in range(depth + 1 if length is None else length):
            self.mine(None if keep and place == 0 else [])

    def _expire(self, seconds: int) -> None:
        for name, told in list(self.pool.items()):
            if TRANSACTION.validate_python(told).deadline < seconds:
                del self.pool[name]

    def _block(
        self, height: int, parent: str, transactions: Sequence[Json], *, seconds: int, harvester: Person
    ) -> Mined:
        frame: Json = {
            "timeStamp": seconds + self._branch,  # so that another branch's blocks differ, whatever they hold
            "prevBlockHash": {"data": parent},
            "type": -1 if height == 1 else 1,
            "transactions": list(transactions),
            "version": self.notary.version(1),
            "signer": harvester.key.hex(),
            "height": height,
        }
        told = {**frame, "signature": digest_of(frame)}
        return Mined(BLOCK.validate_python(told), told)


def hash_of(transaction: Json) -> str:
    return TRANSACTION.validate_python(transaction).hash()


def transactions_of(mined: Mined) -> list[Json]:
    """As they are told."""
    told = mined.told["transactions"]
    return [one for one in told if isinstance(one, dict)] if isinstance(told, list) else []


def _apply(transaction: TransactionFields, *, told: Json, world: World) -> None:
    for flow in transaction.flows():
        _pay(world, (flow.payer, flow.mosaic), (flow.payee, flow.mosaic), units=flow.units)
        if flow.mosaic is not None:
            _levy(world, payer=flow.payer, mosaic=flow.mosaic)
    _pay(world, (transaction.debtor, None), None, units=transaction.fees)
    for part, json in zip(transaction.parts(), _parts(told), strict=False):
        _change(part, told=json, world=world)


def _parts(told: Json) -> Iterator[Json]:
    yield told
    inner = told.get("otherTrans")
    if isinstance(inner, dict):
        yield inner


def _levy(world: World, *, payer: Address, mosaic: str) -> None:
    """An absolute one."""
    levy = DEFINITION.validate_python(world.definitions[mosaic]).levy
    if levy is not None:
        paid_in = None if levy.mosaic_id.contract == XEM else levy.mosaic_id.contract
        _pay(world, (payer, paid_in), (levy.recipient, paid_in), units=levy.fee)


def _change(part: TransactionFields, *, told: Json, world: World) -> None:
    match part:
        case MultisigModification():
            known = world.multisigs.get(part.signed_by, Multisig((), 0))
            grown = part.min_cosignatories.relative_change if part.min_cosignatories else 0
            world.multisigs[part.signed_by] = Multisig((*known.cosignatories, *part.named()), known.minimum + grown)
        case ImportanceTransfer():
            (remote,) = part.named()
            world.remotes.pop(remote, None)
            if part.mode == 1:
                world.remotes[remote] = part.signed_by
        case MosaicCreation():
            definition, json = part.mosaic_definition, told["mosaicDefinition"]
            if isinstance(json, dict):
                world.definitions[definition.id.contract] = json
            supply = next(int(one.value) for one in definition.properties if one.name == "initialSupply")
            _issue(world, part.signed_by, definition.id.contract, whole=supply)
        case SupplyChange():
            _issue(world, part.signed_by, part.mosaic_id.contract, whole=part.delta)


def _issue(world: World, creator: Address, mosaic: str, *, whole: int) -> None:
    divisibility = DEFINITION.validate_python(world.definitions[mosaic]).divisibility or 0
    _pay(world, None, (creator, mosaic), units=whole * 10**divisibility)


def _pay(world: World, payer: Purse | None, payee: Purse | None, *, units: int) -> None:
    """None: out of nothing, into nothing."""
    if payer is not None:
        have = world.units.get(payer, 0)
        if have < units:
            raise Overspent(f"{payer[0]} has {have} of {payer[1] or 'XEM'}, not {units}")
        world.units[payer] = have - units
    if payee is not None:
        world.units[payee] = world.units.get(payee, 0) + units
