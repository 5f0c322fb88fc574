"""What the answers of a Symbol node must look like; what can't be an answer does not pass.

Source: symbol/symbol, openapi/openapi-symbol.yml (schemas by name), and client/rest, db/dbFormattingRules.js: addresses
come as 48 hexadecimal digits or as base32, 64-bit numbers as decimal text.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Annotated, Self, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, TypeAdapter, ValidationError, model_validator

from connectors.errors import BadAnswer
from connectors.standing import Standing
from connectors.symbol.address import raw_of

HASH = re.compile(r"[0-9A-Fa-f]{64}", re.ASCII)
ID = re.compile(r"[0-9A-F]{16}", re.ASCII)
NUMBER = re.compile(r"[0-9]{1,20}", re.ASCII)
EPOCH = re.compile(r"([0-9]{1,12})s", re.ASCII)
PROPERTY_ID = re.compile(r"0x([0-9A-Fa-f]{4})'([0-9A-Fa-f]{4})'([0-9A-Fa-f]{4})'([0-9A-Fa-f]{4})", re.ASCII)
MOST = 2**64 - 1
HIGHEST = 2**63 - 1
START = datetime(1970, 1, 1, tzinfo=UTC)
LATEST = int((datetime(9999, 1, 1, tzinfo=UTC) - START).total_seconds())

T = TypeVar("T")


def _matching(pattern: re.Pattern[str], what: str, value: object) -> re.Match[str]:
    match = pattern.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        raise ValueError(f"expected {what}")
    return match


def _hash(value: object) -> str:
    return _matching(HASH, "64 hexadecimal digits", value)[0].upper()


def _id(value: object) -> str:
    return _matching(ID, "16 capital hexadecimal digits", value)[0]


def _uint64(value: object) -> int:
    number = int(_matching(NUMBER, "a whole number as text", value)[0])
    if number > MOST:
        raise ValueError("expected a number of at most 64 bits")
    return number


def _height(value: object) -> int:
    height = _uint64(value)
    if height > HIGHEST:
        raise ValueError("expected a height that a chain can have")
    return height


def _address(value: object) -> bytes:
    if not isinstance(value, str):
        raise ValueError("expected an address")  # noqa: TRY004 - pydantic turns ValueError into its own
    return raw_of(value)


def _key(value: object) -> bytes:
    return bytes.fromhex(_hash(value))


def _epoch(value: object) -> datetime:
    seconds = int(_matching(EPOCH, "seconds, such as 1615853185s", value)[1])
    if seconds > LATEST:
        raise ValueError("expected a time before the year 9999")
    return START + timedelta(seconds=seconds)


def _property_id(value: object) -> str:
    return "".join(_matching(PROPERTY_ID, "an id such as 0x6BED'913F'A202'23F8", value).groups()).upper()


Hash = Annotated[str, BeforeValidator(_hash)]
Id = Annotated[str, BeforeValidator(_id)]
Uint64 = Annotated[int, BeforeValidator(_uint64)]
Height = Annotated[int, BeforeValidator(_height)]
RawAddress = Annotated[bytes, BeforeValidator(_address)]
Key = Annotated[bytes, BeforeValidator(_key)]
Small = Annotated[int, Field(strict=True, ge=0, le=2**32 - 1)]


class Fields(BaseModel):
    """An object in an answer; what we don't ask for is ignored."""

    model_config = ConfigDict(extra="ignore", frozen=True)


class NodeInfo(Fields):
    """NodeInfoDTO."""

    networkIdentifier: Small  # noqa: N815 - the names are the node's, here and below
    networkGenerationHashSeed: Hash  # noqa: N815


class NetworkPart(Fields):
    epochAdjustment: Annotated[datetime, BeforeValidator(_epoch)]  # noqa: N815


class ChainPart(Fields):
    currencyMosaicId: Annotated[str, BeforeValidator(_property_id)]  # noqa: N815


class Properties(Fields):
    """NetworkConfigurationDTO: the node's config-network.properties, numbers written as there."""

    network: NetworkPart
    chain: ChainPart


class FinalBlock(Fields):
    height: Height
    hash: Hash


class ChainInfo(Fields):
    """ChainInfoDTO."""

    height: Height
    scoreHigh: Uint64  # noqa: N815
    scoreLow: Uint64  # noqa: N815
    latestFinalizedBlock: FinalBlock  # noqa: N815


class BlockMeta(Fields):
    hash: Hash
    totalTransactionsCount: Small  # noqa: N815


class BlockBody(Fields):
    height: Height
    timestamp: Height
    difficulty: Uint64
    previousBlockHash: Hash  # noqa: N815
    beneficiaryAddress: RawAddress  # noqa: N815
    feeMultiplier: Small  # noqa: N815


class BlockInfo(Fields):
    """BlockInfoDTO."""

    meta: BlockMeta
    block: BlockBody


class BlockPage(Fields):
    data: list[BlockInfo]


class Addressed(Fields):
    address: RawAddress


class AddressedAccount(Fields):
    """Of an AccountInfoDTO, whose it is."""

    account: Addressed


class Amount(Fields):
    id: Id
    amount: Uint64


class Purse(Fields):
    mosaics: list[Amount]


class AccountPurse(Fields):
    """Of an AccountInfoDTO, what is on the account."""

    account: Purse


class Mosaic(Fields):
    id: Id
    divisibility: Annotated[int, Field(strict=True, ge=0, le=255)]


class MosaicInfo(Fields):
    """MosaicInfoDTO."""

    mosaic: Mosaic


class Multisig(Fields):
    accountAddress: RawAddress  # noqa: N815
    minApproval: Small  # noqa: N815
    minRemoval: Small  # noqa: N815
    cosignatoryAddresses: list[RawAddress]  # noqa: N815


class MultisigInfo(Fields):
    """MultisigAccountInfoDTO."""

    multisig: Multisig


class TransactionMeta(Fields):
    """TransactionMetaDTO, or EmbeddedTransactionMetaDTO: then it has no hash of its own."""

    height: Height
    index: Small
    hash: Hash | None = None
    aggregateHash: Hash | None = None  # noqa: N815


class TransactionBody(Fields):
    """Of a transaction of any type, what says who pays whom; fields that its type does not have are None."""

    type: Small
    signerPublicKey: Key  # noqa: N815
    size: Small | None = None
    recipientAddress: RawAddress | None = None  # noqa: N815
    sourceAddress: RawAddress | None = None  # noqa: N815
    mosaics: tuple[Amount, ...] = ()
    mosaicId: Id | None = None  # noqa: N815
    amount: Uint64 | None = None


class TransactionInfo(Fields):
    """TransactionInfoDTO."""

    meta: TransactionMeta
    transaction: TransactionBody

    @model_validator(mode="after")
    def _its_fee_can_be_reckoned(self) -> Self:
        if self.meta.hash is not None and self.transaction.size is None:
            raise ValueError("expected the size of a transaction that is not within another")
        return self


class Pagination(Fields):
    pageNumber: Small  # noqa: N815
    pageSize: Annotated[int, Field(strict=True, ge=1, le=100_000)]  # noqa: N815


class TransactionPage(Fields):
    data: list[TransactionInfo]
    pagination: Pagination


class Status(Fields):
    """TransactionStatusDTO."""

    group: str
    hash: Hash


class Source(Fields):
    primaryId: Small  # noqa: N815


class MosaicEntry(Fields):
    source: Source
    resolved: Id


class MosaicStatement(Fields):
    unresolved: Id
    resolutionEntries: list[MosaicEntry]  # noqa: N815


class MosaicResolution(Fields):
    statement: MosaicStatement


class MosaicResolutionPage(Fields):
    """ResolutionStatementPage of mosaics."""

    data: list[MosaicResolution]
    pagination: Pagination


class AddressEntry(Fields):
    source: Source
    resolved: RawAddress


class AddressStatement(Fields):
    unresolved: RawAddress
    resolutionEntries: list[AddressEntry]  # noqa: N815


class AddressResolution(Fields):
    statement: AddressStatement


class AddressResolutionPage(Fields):
    """ResolutionStatementPage of addresses."""

    data: list[AddressResolution]
    pagination: Pagination


class Alias(Fields):
    mosaicId: Id | None = None  # noqa: N815
    address: RawAddress | None = None


class Namespace(Fields):
    alias: Alias


class NamespaceInfo(Fields):
    """NamespaceInfoDTO."""

    namespace: Namespace


class Refusal(Fields):
    """ModelError."""

    code: str
    message: str


def understood(value: object, shape: TypeAdapter[T], *, by: Standing, of: str) -> T:
    """The answer to `of` in its proper shape; BadAnswer, counted against the provider, when it has another."""
    try:
        return shape.validate_python(value)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False, include_context=False)[0]
        place = ".".join(str(step) for step in first["loc"])
        what = f"{of}: {place}: {first['msg']}" if place else f"{of}: {first['msg']}"
    raise by.blame(BadAnswer(f"{by.provider}: malformed answer to {by.quote(what)}"))
