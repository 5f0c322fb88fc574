"""What the Bitcoin connector needs of a source of blocks and coins, whatever protocol the source speaks.

Scripts are scriptPubKeys. Transaction ids are 32 bytes in internal byte order; block hashes are hex as everybody shows
them (reversed), as in connectors.quorum.Header. Values are satoshis (the smallest unit, 10**-8 of a coin).
"""

from __future__ import annotations

import hashlib
from collections.abc import AsyncGenerator, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import NamedTuple, Protocol, runtime_checkable

from connectors.errors import NodeError
from connectors.heads import Witness
from connectors.quorum import Header

HEADER_SIZE = 80
"""Bytes of a block header; with merged mining (AuxPoW) more follow that are not part of the block's hash."""


class Coin(NamedTuple):
    """An unspent output. `height` is its block's."""

    txid: bytes
    vout: int
    value: int
    script: bytes
    height: int


@dataclass(frozen=True, slots=True)
class Snapshot:
    """All confirmed coins of `scripts` as of the block `header`; pending transactions change nothing in it.

    `refused`: scripts among them that the source can't tell the coins of (a history too long for it, mostly), and why.
    `used`: scripts among them that were ever paid, where the source can tell; all that hold coins were, of course.
    `statuses`: for each used script something that changes whenever its history does, from a HistorySource.
    """

    header: Header
    scripts: Collection[bytes]
    coins: tuple[Coin, ...]
    refused: Mapping[bytes, NodeError] = field(default_factory=dict)
    used: Collection[bytes] = ()
    statuses: Mapping[bytes, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Pending:
    """Transactions in a source's mempool, and each one's fee in satoshis where the source says it with the list.

    Not `complete`: the source cuts its lists, there may be more.
    """

    fees: Mapping[bytes, int | None]
    complete: bool = True


@dataclass(frozen=True, slots=True)
class NewBlock:
    """The source has another newest block."""


@dataclass(frozen=True, slots=True)
class NewTransaction:
    """A transaction entered the mempool, or a block that was just connected; the bytes are as it is serialised."""

    raw: bytes


@dataclass(frozen=True, slots=True)
class Touched:
    """Something about this script's history has changed: look again at its coins and pending transactions."""

    script: bytes


@dataclass(frozen=True, slots=True)
class Doubt:
    """Notices may have been lost: look at everything again."""

    why: str


Change = NewBlock | NewTransaction | Touched | Doubt


class Source(Witness, Protocol):
    """One provider. Everything raises ConnectorError only; on another chain than ours, Misconfigured."""

    async def coins(self, scripts: Collection[bytes]) -> Sequence[Snapshot]:
        """The coins of these scripts in parts: each script in one part, each part exact at its own block.

        That block is the source's newest at the time, however deep `head` reads. A BlockSource may need several parts;
        applying the blocks between brings them to one. All others give one.
        """
        ...

    async def pending(self, scripts: Collection[bytes]) -> Pending:
        """What is in the mempool now and touches these scripts; sources that can't select give the whole mempool."""
        ...

    async def transactions(self, txids: Collection[bytes]) -> Mapping[bytes, bytes]:
        """Pending transactions as serialised; those that are not in the mempool any more are missing."""
        ...

    async def fees(self, txids: Collection[bytes]) -> Mapping[bytes, int]:
        """Fees of pending transactions in satoshis; those that are gone or unknown are missing."""
        ...

    def changes(self, scripts: Collection[bytes]) -> AsyncGenerator[Change, None] | None:
        """Notices without end, the first a Doubt; None from a source that sends none and has to be asked.

        They may repeat, they may come late; they are no proof of anything. `scripts` may grow meanwhile.
        Never raises ConnectorError: a source that is away is a Doubt, and is asked again with growing pauses.
        """
        ...


@runtime_checkable
class BlockSource(Source, Protocol):
    """A source that also gives whole blocks."""

    async def block(self, block: str) -> bytes:
        """The block with this hash as serialised; its header is proven by the hash, its transactions are not.

        Raises UnknownBlock when the source lacks it, Pruned when it has thrown it away.
        """
        ...


@runtime_checkable
class HistorySource(Source, Protocol):
    """A source that gives histories of scripts in place of blocks."""

    async def confirmed(self, script: bytes) -> Mapping[bytes, int]:
        """The mined transactions that touch the script, and the heights of their blocks."""
        ...


class Pruned(NodeError):
    """The node keeps only newer blocks."""


def block_hash(header: bytes) -> str:
    """The hash of a block by its header, for all chains of the family (their proofs of work differ, this does not)."""
    return hashlib.sha256(hashlib.sha256(header[:HEADER_SIZE]).digest()).digest()[::-1].hex()


def parse_header(raw: bytes, *, height: int) -> Header:
    """A block header as serialised; what follows its 80 bytes is ignored. Raises ValueError when it is shorter."""
    if len(raw) < HEADER_SIZE:
        raise ValueError(f"a block header has {HEADER_SIZE} bytes, found {len(raw)}")
    time = datetime.fromtimestamp(int.from_bytes(raw[68:72], "little"), tz=UTC)
    return Header(height, block_hash(raw), raw[4:36][::-1].hex(), time)


def electrum_hash(script: bytes) -> str:
    """How the Electrum protocol names a script: SHA-256, reversed (protocol basics, section «Script Hashes»)."""
    return hashlib.sha256(script).digest()[::-1].hex()


def esplora_hash(script: bytes) -> str:
    """How Esplora names a script: SHA-256, not reversed (electrs, src/rest.rs, parse_scripthash)."""
    return hashlib.sha256(script).hexdigest()
