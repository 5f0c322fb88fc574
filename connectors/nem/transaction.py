"""Transactions as NIS1 tells them in JSON, and their bytes, whose Keccak-256 is the transaction's hash.

Sources: nem-core (org.nem.core.model.*Transaction.java, BinarySerializer.java) and the schemas in symbol/symbol,
catbuffer/schemas/nem, which say the same. Integers are little-endian; an object, a text and an array carry their length
or count in 32 bits.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from struct import pack
from typing import Annotated, Literal, NamedTuple

from pydantic import Field

from connectors.base import Address
from connectors.nem.address import address_of, keccak256
from connectors.nem.answers import (
    AnAddress,
    Definition,
    Fields,
    HashReference,
    Key,
    Missing,
    MosaicName,
    Payload,
    Signature,
    Small,
    Text,
    Time,
    Units,
)
from connectors.nem.mosaic import XEM

NULL = pack("<i", -1)
WHOLE_XEM = 1_000_000
"""What a transfer's amount is divided by, where it multiplies the quantities of mosaics (version 2)."""


class Flow(NamedTuple):
    """So many units of a mosaic (XEM: None) from one account to another; the payer may be unknown, never the payee."""

    payer: Address
    payee: Address
    mosaic: str | None
    units: int


class Entity(Fields):
    """What blocks and transactions begin with."""

    type: Small
    version: Small
    time_stamp: Time
    signer: Key

    @property
    def network(self) -> int:
        """The byte of the network that it was made for."""
        return (self.version >> 24) & 0xFF

    @property
    def form(self) -> int:
        """The version of its own layout."""
        return self.version & 0xFFFFFF

    @property
    def signed_by(self) -> Address:
        return address_of(self.signer, version=self.network)

    def beginning(self) -> bytes:
        return pack("<iii", self.type, self.version, self.time_stamp) + sized(self.signer)


class TransactionFields(Entity):
    fee: Units
    deadline: Time
    signature: Signature | None = None

    def serial(self, *, signed: bool) -> bytes:
        """As it stands in a block when `signed`, else as it is hashed. ValueError when a signature is missing."""
        if signed and self.signature is None:
            raise ValueError("a transaction in a block has a signature")
        signature = sized(self.signature or b"") if signed else b""
        return self.beginning() + signature + pack("<qi", self.fee, self.deadline) + self.body(signed=signed)

    def hash(self) -> str:
        return keccak256(self.serial(signed=False)).hex()

    def body(self, *, signed: bool) -> bytes:
        raise NotImplementedError

    def flows(self) -> Iterator[Flow]:
        """What it moves besides fees; levies on mosaics are not in it."""
        return iter(())

    def named(self) -> Iterator[Address]:
        """Accounts besides the signer whose balance or control it can change, as far as it names them."""
        return iter(())

    @property
    def debtor(self) -> Address:
        """Who pays the fees."""
        return self.signed_by

    @property
    def fees(self) -> int:
        """All that the debtor pays for it."""
        return self.fee

    def parts(self) -> Iterator[TransactionFields]:
        """Itself and what is wrapped into it."""
        yield self


class Message(Fields):
    type: Small
    payload: Payload


class MosaicQuantity(Fields):
    mosaic_id: MosaicName
    quantity: Units


class Transfer(TransactionFields):
    type: Literal[0x101]
    recipient: AnAddress
    amount: Units
    message: Annotated[Message | None, Missing] = None
    mosaics: tuple[MosaicQuantity, ...] = ()

    def body(self, *, signed: bool) -> bytes:  # noqa: ARG002 - see there
        message = b""
        if self.message is not None and self.message.payload:
            message = pack("<i", self.message.type) + sized(self.message.payload)
        body = text(self.recipient) + pack("<q", self.amount) + sized(message)
        if self.form < 2:
            return body
        return body + array(mosaic_id(one.mosaic_id) + pack("<q", one.quantity) for one in self.mosaics)

    def flows(self) -> Iterator[Flow]:
        """Quantities of mosaics are multiplied by the amount in whole XEM (TransferTransaction.getRawQuantity)."""
        if self.form < 2 or not self.mosaics:
            yield Flow(self.signed_by, self.recipient, None, self.amount)
            return
        for one in self.mosaics:
            mosaic = one.mosaic_id.contract
            units = self.amount * one.quantity // WHOLE_XEM
            yield Flow(self.signed_by, self.recipient, None if mosaic == XEM else mosaic, units)

    def named(self) -> Iterator[Address]:
        yield self.recipient


class ImportanceTransfer(TransactionFields):
    type: Literal[0x801]
    mode: Small
    remote_account: Key

    def body(self, *, signed: bool) -> bytes:  # noqa: ARG002 - see there
        return pack("<i", self.mode) + sized(self.remote_account)

    def named(self) -> Iterator[Address]:
        yield address_of(self.remote_account, version=self.network)


class Modification(Fields):
    modification_type: Small
    cosignatory_account: Key


class MinimumChange(Fields):
    relative_change: Small


class MultisigModification(TransactionFields):
    type: Literal[0x1001]
    modifications: list[Modification]
    min_cosignatories: Annotated[MinimumChange | None, Missing] = None

    def body(self, *, signed: bool) -> bytes:  # noqa: ARG002 - see there
        body = array(pack("<i", one.modification_type) + sized(one.cosignatory_account) for one in self.modifications)
        if self.form < 2:
            return body
        minimum = self.min_cosignatories
        return body + sized(b"" if minimum is None else pack("<i", minimum.relative_change))

    def named(self) -> Iterator[Address]:
        return (address_of(one.cosignatory_account, version=self.network) for one in self.modifications)


class Cosignature(TransactionFields):
    type: Literal[0x1002]
    other_hash: HashReference
    other_account: AnAddress

    def body(self, *, signed: bool) -> bytes:  # noqa: ARG002 - see there
        return sized(sized(self.other_hash)) + text(self.other_account)

    def named(self) -> Iterator[Address]:
        yield self.other_account

    @property
    def debtor(self) -> Address:
        return self.other_account


class NamespaceProvision(TransactionFields):
    type: Literal[0x2001]
    rental_fee_sink: AnAddress
    rental_fee: Units
    new_part: Text
    parent: Text | None = None

    def body(self, *, signed: bool) -> bytes:  # noqa: ARG002 - see there
        parent = NULL if self.parent is None else text(self.parent)
        return text(self.rental_fee_sink) + pack("<q", self.rental_fee) + text(self.new_part) + parent

    def flows(self) -> Iterator[Flow]:
        yield Flow(self.signed_by, self.rental_fee_sink, None, self.rental_fee)

    def named(self) -> Iterator[Address]:
        yield self.rental_fee_sink


class MosaicCreation(TransactionFields):
    type: Literal[0x4001]
    mosaic_definition: Definition
    creation_fee_sink: AnAddress
    creation_fee: Units

    def body(self, *, signed: bool) -> bytes:  # noqa: ARG002 - see there
        definition = sized(definition_bytes(self.mosaic_definition))
        return definition + text(self.creation_fee_sink) + pack("<q", self.creation_fee)

    def flows(self) -> Iterator[Flow]:
        yield Flow(self.signed_by, self.creation_fee_sink, None, self.creation_fee)

    def named(self) -> Iterator[Address]:
        yield self.creation_fee_sink
        yield address_of(self.mosaic_definition.creator, version=self.network)


class SupplyChange(TransactionFields):
    type: Literal[0x4002]
    mosaic_id: MosaicName
    supply_type: Small
    delta: Units

    def body(self, *, signed: bool) -> bytes:  # noqa: ARG002 - see there
        return mosaic_id(self.mosaic_id) + pack("<iq", self.supply_type, self.delta)


Inner = Annotated[
    Transfer | ImportanceTransfer | MultisigModification | NamespaceProvision | MosaicCreation | SupplyChange,
    Field(discriminator="type"),
]


class Multisig(TransactionFields):
    """A transaction of a multisig account, wrapped by the cosignatory who proposes it."""

    type: Literal[0x1004]
    other_trans: Inner
    signatures: tuple[Cosignature, ...] = ()

    def body(self, *, signed: bool) -> bytes:
        inner = sized(self.other_trans.serial(signed=False))
        return inner + (array(one.serial(signed=True) for one in self.signatures) if signed else b"")

    def flows(self) -> Iterator[Flow]:
        return self.other_trans.flows()

    def named(self) -> Iterator[Address]:
        yield self.other_trans.signed_by
        yield from self.other_trans.named()
        for one in self.signatures:
            yield from (one.signed_by, *one.named())

    @property
    def debtor(self) -> Address:
        return self.other_trans.signed_by

    @property
    def fees(self) -> int:
        return self.fee + self.other_trans.fee + sum(one.fee for one in self.signatures)

    def parts(self) -> Iterator[TransactionFields]:
        yield self
        yield self.other_trans


Transaction = Annotated[
    Transfer
    | ImportanceTransfer
    | MultisigModification
    | NamespaceProvision
    | MosaicCreation
    | SupplyChange
    | Multisig,
    Field(discriminator="type"),
]
"""All that a block can hold."""


def sized(data: bytes) -> bytes:
    """With its length in front."""
    return pack("<i", len(data)) + data


def text(value: str) -> bytes:
    return sized(value.encode())


def array(items: Iterable[bytes]) -> bytes:
    """With their count in front, and each with its length."""
    parts = [sized(item) for item in items]
    return pack("<i", len(parts)) + b"".join(parts)


def mosaic_id(name: MosaicName) -> bytes:
    return sized(text(name.namespace_id) + text(name.name))


def definition_bytes(definition: Definition) -> bytes:
    """MosaicDefinition.java, MosaicLevy.java."""
    levy = b""
    if definition.levy is not None:
        levy = pack("<i", definition.levy.type) + text(definition.levy.recipient)
        levy += mosaic_id(definition.levy.mosaic_id) + pack("<q", definition.levy.fee)
    properties = array(text(one.name) + text(one.value) for one in definition.properties)
    named = sized(definition.creator) + mosaic_id(definition.id) + text(definition.description)
    return named + properties + sized(levy)
