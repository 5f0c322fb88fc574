"""A scripted NEM ledger: blocks, and what every account holds at each of them; fees and harvesting as on NEM.

Unlike NEM's, the first block holds no transactions: balances just begin with it. Nobody's signature is checked.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
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
from daemon.replay.history import Draft, History
from daemon.replay.nem.transactions import Json, Notary, Person, digest_of, number
from daemon.replay.played import Overspent

BLOCK_TIME = timedelta(seconds=60)

Purse = tuple[Address, str | None]
"""An account and a mosaic, None for XEM."""


@dataclass(frozen=True, slots=True)
class Multisig:
    """Who can move an account together."""

    cosignatories: tuple[Address, ...]
    minimum: int


@dataclass(frozen=True, slots=True)
class World:
    """Everything that blocks change, as of one of them. `remotes`: who harvests, and for whom."""

    units: Mapping[Purse, int]
    multisigs: Mapping[Address, Multisig | None]
    remotes: Mapping[Address, Address | None]
    definitions: Mapping[str, Json | None]


class Worlds:
    """Everything that blocks change, as of any of them."""

    def __init__(self) -> None:
        self.units = History[Purse, int](0)
        self.multisigs = History[Address, Multisig | None](None)
        self.remotes = History[Address, Address | None](None)
        self.definitions = History[str, Json | None](None)

    def as_of(self, height: int) -> World:
        return World(
            self.units.as_of(height),
            self.multisigs.as_of(height),
            self.remotes.as_of(height),
            self.definitions.as_of(height),
        )

    def put(self, next_one: NextWorld, *, height: int) -> None:
        self.units.put(next_one.units.changed, height=height)
        self.multisigs.put(next_one.multisigs.changed, height=height)
        self.remotes.put(next_one.remotes.changed, height=height)
        self.definitions.put(next_one.definitions.changed, height=height)

    def undo(self, *, above: int) -> None:
        for history in (self.units, self.multisigs, self.remotes, self.definitions):
            history.undo(above=above)


class NextWorld:
    """What a block makes of the newest world; it counts once it is `put`."""

    def __init__(self, worlds: Worlds) -> None:
        self.units = Draft(worlds.units)
        self.multisigs = Draft(worlds.multisigs)
        self.remotes = Draft(worlds.remotes)
        self.definitions = Draft(worlds.definitions)


@dataclass(frozen=True, slots=True)
class Mined:
    """A block, and as NIS tells it."""

    block: Block
    told: Json
    text: bytes
    """What is told, as JSON."""


class Ledger:
    """`blocks[0]` is the block at height 1, at which `balances` begin and the `definitions` of mosaics hold.

    `pool` holds what waits, by hash.
    """

    def __init__(
        self,
        notary: Notary,
        *,
        balances: Mapping[Purse, int],
        time: datetime,
        definitions: Mapping[str, Json] | None = None,
    ) -> None:
        self.notary = notary
        self.pool: dict[str, Json] = {}
        self._understood: dict[str, TransactionFields] = {}
        """What waits, by signature, which is a digest of the content: so that no hash is reckoned twice."""
        self._branch = 0
        self._worlds = Worlds()
        self._mosaics: dict[Address, set[str | None]] = {}
        self.blocks = [self._block(1, "00" * 32, (), seconds=seconds_of(time), harvester=notary.person("nemesis"))]
        first = NextWorld(self._worlds)
        for purse, units in balances.items():
            first.units[purse] = units
        for name, definition in (definitions or {}).items():
            first.definitions[name] = definition
        self._put(first)
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
        """At the end of that block, the newest by default. LookupError where there is none."""
        asked = len(self.blocks) if height is None else height
        if not 1 <= asked <= len(self.blocks):
            raise LookupError(f"there is no block {asked}")
        return self._worlds.as_of(asked)

    def mosaics_of(self, account: Address) -> frozenset[str | None]:
        """All that the account ever had, XEM (None) too."""
        return frozenset(self._mosaics.get(account, ()))

    def units(self, account: Address, mosaic: str | None = None) -> int:
        return self._worlds.units.at((account, mosaic))

    def announce(self, transaction: Json) -> str:
        """The hash of a transaction that now waits for a block."""
        understood = TRANSACTION.validate_python(transaction)
        self._understood[str(transaction["signature"])] = understood
        self.pool[understood.hash()] = transaction
        return understood.hash()

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
        by = harvester or self._stranger()
        height, parent = self.tip.block.height + 1, self.tip.block.hash
        mined = self._block(height, parent, chosen, seconds=seconds, harvester=by)
        world = NextWorld(self._worlds)
        for transaction, told in zip(mined.block.transactions, chosen, strict=True):
            _apply(transaction, told=told, world=world)
        if mined.block.fees:
            _pay(world, None, (world.remotes[by.address] or by.address, None), units=mined.block.fees)
        self.blocks.append(mined)
        self._put(world)
        for one in mined.block.transactions:
            self.pool.pop(one.hash(), None)
        self._understood = {}
        return mined

    def reorganise(self, depth: int, *, length: int | None = None, keep: bool = True) -> None:
        """The newest `depth` blocks are replaced by `length` others, one more by default.

        What they held waits again, and with `keep` stands in the first of the new ones.
        """
        for transaction in (one for mined in self.undo(depth) for one in transactions_of(mined)):
            self.announce(transaction)
        for place in range(depth + 1 if length is None else length):
            self.mine(None if keep and place == 0 else [])

    def undo(self, depth: int) -> list[Mined]:
        """Takes back the newest blocks, which it returns, oldest first. What follows is another branch."""
        self._branch += 1
        undone = self.blocks[-depth:]
        del self.blocks[-depth:]
        self._worlds.undo(above=len(self.blocks))
        return undone

    def _put(self, world: NextWorld) -> None:
        self._worlds.put(world, height=len(self.blocks))
        for account, mosaic in world.units.changed:
            self._mosaics.setdefault(account, set()).add(mosaic)

    def _stranger(self) -> Person:
        """Who harvests by default: somebody else on each branch, so that its blocks differ, whatever they hold."""
        return self.notary.person(f"a harvester of branch {self._branch}" if self._branch else "a harvester")

    def _expire(self, seconds: int) -> None:
        self.pool = {name: told for name, told in self.pool.items() if number(told["deadline"]) >= seconds}

    def _block(
        self, height: int, parent: str, transactions: Sequence[Json], *, seconds: int, harvester: Person
    ) -> Mined:
        frame: Json = {
            "timeStamp": seconds,
            "prevBlockHash": {"data": parent},
            "type": -1 if height == 1 else 1,
            "transactions": list(transactions),
            "version": self.notary.version(1),
            "signer": harvester.key.hex(),
            "height": height,
        }
        told = {**frame, "signature": digest_of(frame)}
        understood = [self._understood.get(str(one["signature"]), one) for one in transactions]
        block = BLOCK.validate_python({**told, "transactions": understood})
        return Mined(block, told, json.dumps(told, separators=(",", ":")).encode())


def seconds_of(time: datetime) -> int:
    """Whole seconds since NEM's epoch."""
    return round((time - EPOCH).total_seconds())


def hash_of(transaction: Json) -> str:
    return TRANSACTION.validate_python(transaction).hash()


def transactions_of(mined: Mined) -> list[Json]:
    """As they are told."""
    told = mined.told["transactions"]
    return [one for one in told if isinstance(one, dict)] if isinstance(told, list) else []


def _apply(transaction: TransactionFields, *, told: Json, world: NextWorld) -> None:
    for flow in transaction.flows():
        _pay(world, (flow.payer, flow.mosaic), (flow.payee, flow.mosaic), units=flow.units)
        if flow.mosaic is not None:
            _levy(world, payer=flow.payer, mosaic=flow.mosaic)
    _pay(world, (transaction.debtor, None), None, units=transaction.fees)
    for part, fields in zip(transaction.parts(), _parts(told), strict=False):
        _change(part, told=fields, world=world)


def _parts(told: Json) -> Iterator[Json]:
    yield told
    inner = told.get("otherTrans")
    if isinstance(inner, dict):
        yield inner


def _levy(world: NextWorld, *, payer: Address, mosaic: str) -> None:
    """An absolute one."""
    levy = DEFINITION.validate_python(world.definitions[mosaic]).levy
    if levy is not None:
        paid_in = None if levy.mosaic_id.contract == XEM else levy.mosaic_id.contract
        _pay(world, (payer, paid_in), (levy.recipient, paid_in), units=levy.fee)


def _change(part: TransactionFields, *, told: Json, world: NextWorld) -> None:
    match part:
        case MultisigModification():
            known = world.multisigs[part.signed_by] or Multisig((), 0)
            grown = part.min_cosignatories.relative_change if part.min_cosignatories else 0
            world.multisigs[part.signed_by] = Multisig((*known.cosignatories, *part.named()), known.minimum + grown)
        case ImportanceTransfer():
            (remote,) = part.named()
            world.remotes[remote] = part.signed_by if part.mode == 1 else None
        case MosaicCreation():
            definition, fields = part.mosaic_definition, told["mosaicDefinition"]
            if isinstance(fields, dict):
                world.definitions[definition.id.contract] = fields
            supply = next(int(one.value) for one in definition.properties if one.name == "initialSupply")
            _issue(world, part.signed_by, definition.id.contract, whole=supply)
        case SupplyChange():
            _issue(world, part.signed_by, part.mosaic_id.contract, whole=part.delta)


def _issue(world: NextWorld, creator: Address, mosaic: str, *, whole: int) -> None:
    divisibility = DEFINITION.validate_python(world.definitions[mosaic]).divisibility or 0
    _pay(world, None, (creator, mosaic), units=whole * 10**divisibility)


def _pay(world: NextWorld, payer: Purse | None, payee: Purse | None, *, units: int) -> None:
    """None: out of nothing, into nothing."""
    if payer is not None:
        have = world.units[payer]
        if have < units:
            raise Overspent(f"{payer[0]} has {have} of {payer[1] or 'XEM'}, not {units}")
        world.units[payer] = have - units
    if payee is not None:
        world.units[payee] = world.units[payee] + units
