"""What the fields of a NIS1 node's answer must be to be believed.

Source: NemProject/nem, openapi/spec (2026), which describes nis-client 0.6.
"""

from __future__ import annotations

import binascii
from typing import Annotated, TypeVar

from pydantic import AliasGenerator, BaseModel, BeforeValidator, ConfigDict, Field, TypeAdapter, ValidationError
from pydantic.alias_generators import to_camel

from connectors.base import Address
from connectors.errors import BadAddress, BadAnswer
from connectors.nem.address import CHARACTERS, LENGTH, canonical
from connectors.nem.networks import NETWORKS
from connectors.standing import Standing

MOST = 2**63 - 1
"""Units: NIS counts in signed 64-bit integers."""

LATEST = 2**31 - 1
"""Seconds since NEM's epoch, also signed."""

T = TypeVar("T")

ON_LETTER = {network.letter: network for network in NETWORKS.values()}


def _bytes(value: object, *, length: int) -> bytes:
    if not isinstance(value, str) or len(value) != 2 * length:
        raise ValueError(f"expected {2 * length} hexadecimal digits")
    try:
        return binascii.unhexlify(value)
    except (binascii.Error, ValueError):
        raise ValueError(f"expected {2 * length} hexadecimal digits") from None


def _key(value: object) -> bytes:
    return _bytes(value, length=32)


def _signature(value: object) -> bytes:
    return _bytes(value, length=64)


def _payload(value: object) -> bytes:
    if not isinstance(value, str):
        raise ValueError("expected hexadecimal digits")  # noqa: TRY004 - pydantic turns ValueError into its own
    return _bytes(value, length=len(value) // 2)


def _hash_reference(value: object) -> bytes:
    if not isinstance(value, dict):
        raise ValueError("expected an object with the hash")  # noqa: TRY004 - as above
    return _key(value.get("data"))


def _address(value: object) -> Address:
    if not isinstance(value, str) or len(value) != LENGTH or not CHARACTERS.fullmatch(value):
        raise ValueError("expected an address")
    network = ON_LETTER.get(value[0])
    if network is None:
        raise ValueError("expected an address of mainnet or testnet")
    try:
        return canonical(value, network=network)
    except BadAddress as error:
        raise ValueError(f"expected an address, it {error}") from None


def _or_none(value: object) -> object:
    """NIS writes an object that is not there as {}."""
    return None if value == {} else value


Key = Annotated[bytes, BeforeValidator(_key)]
Signature = Annotated[bytes, BeforeValidator(_signature)]
Payload = Annotated[bytes, BeforeValidator(_payload)]
HashReference = Annotated[bytes, BeforeValidator(_hash_reference)]
AnAddress = Annotated[Address, BeforeValidator(_address)]
Units = Annotated[int, Field(strict=True, ge=0, le=MOST)]
Time = Annotated[int, Field(strict=True, ge=0, le=LATEST)]
Height = Annotated[int, Field(strict=True, ge=1, le=MOST)]
Small = Annotated[int, Field(strict=True, ge=-(2**31), lt=2**31)]
Text = Annotated[str, Field(strict=True, max_length=1024)]
Name = Annotated[str, Field(strict=True, min_length=1, max_length=256)]
Missing = BeforeValidator(_or_none)


class Fields(BaseModel):
    """An object in an answer; what we don't ask for is ignored."""

    model_config = ConfigDict(extra="ignore", frozen=True, alias_generator=AliasGenerator(to_camel))


class MosaicName(Fields):
    namespace_id: Name
    name: Name

    @property
    def contract(self) -> str:
        return f"{self.namespace_id}:{self.name}"


class MultisigInfo(Fields):
    cosignatories_count: Annotated[int, Field(strict=True, ge=1, le=2**31)]
    min_cosignatories: Annotated[int, Field(strict=True, ge=0, le=2**31)]


class Account(Fields):
    address: AnAddress
    balance: Units
    multisig_info: Annotated[MultisigInfo | None, Missing] = None


class Cosignatory(Fields):
    address: AnAddress


class AccountMeta(Fields):
    remote_status: Text
    cosignatories: list[Cosignatory]


class AccountAnswer(Fields):
    account: Account
    meta: AccountMeta


class Past(Fields):
    height: Height
    address: AnAddress
    balance: Units


class PastOfOne(Fields):
    data: list[Past]


class PastOfMany(Fields):
    data: list[PastOfOne]


class Property(Fields):
    name: Text
    value: Text


class Levy(Fields):
    type: Small
    recipient: AnAddress
    mosaic_id: MosaicName
    fee: Units


class Definition(Fields):
    creator: Key
    id: MosaicName
    description: Text
    properties: list[Property]
    levy: Annotated[Levy | None, Missing] = None

    @property
    def divisibility(self) -> int | None:
        """None where the definition does not tell a proper one."""
        told = [one.value for one in self.properties if one.name == "divisibility"]
        return int(told[0]) if told and told[0] in ("0", "1", "2", "3", "4", "5", "6") else None


class Listing(Fields):
    """An array of objects that are looked at one by one."""

    data: list[object]


class NodeMeta(Fields):
    features: Small


class NodeInfo(Fields):
    meta_data: NodeMeta


ACCOUNT = TypeAdapter[AccountAnswer](AccountAnswer)
DEFINITION = TypeAdapter[Definition](Definition)
LISTING = TypeAdapter[Listing](Listing)
NODE = TypeAdapter[NodeInfo](NodeInfo)
PAST = TypeAdapter[PastOfMany](PastOfMany)


def fault(error: ValidationError) -> str:
    """Where an answer is malformed, and how, without its values."""
    first = error.errors(include_url=False, include_input=False, include_context=False)[0]
    place = ".".join(str(step) for step in first["loc"])
    return f"{place}: {first['msg']}" if place else first["msg"]


def understood(value: object, shape: TypeAdapter[T], *, by: Standing, of: str) -> T:
    """The answer to `of` in its proper shape; BadAnswer, counted against the node, when it has another."""
    try:
        return shape.validate_python(value)
    except ValidationError as error:
        text = f"malformed answer to {of}: {fault(error)}"
    raise by.blame(BadAnswer(f"{by.provider}: {by.quote(text)}"))
