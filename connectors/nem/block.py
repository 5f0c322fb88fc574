"""A block as NIS1 tells it: its hash, recomputed from what it says, and the accounts that it touches."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property
from struct import pack
from typing import Literal

from pydantic import TypeAdapter

from connectors.base import Address
from connectors.nem.address import keccak256
from connectors.nem.answers import HashReference, Height, Signature
from connectors.nem.transaction import Entity, Flow, MosaicCreation, Transaction, array, sized
from connectors.quorum import Header

EPOCH = datetime(2015, 3, 29, 0, 6, 25, tzinfo=UTC)
"""Time stamps count seconds from here (NEM technical reference 1.2.1, section 1.1)."""

REMEMBERED = 1000
"""Blocks that are kept."""


class Block(Entity):
    """Everything that a node says of a block is in what is hashed, except the signature."""

    type: Literal[-1, 1]
    signature: Signature
    prev_block_hash: HashReference
    height: Height
    transactions: list[Transaction]

    def serial(self) -> bytes:
        """What is hashed and what the harvester signs: all but its own signature, with those of its transactions."""
        raw = self.beginning() + sized(sized(self.prev_block_hash)) + pack("<q", self.height)
        return raw + array(one.serial(signed=True) for one in self.transactions)

    @cached_property
    def hash(self) -> str:
        """Keccak-256 (HashUtils.java). ValueError when a transaction has no signature."""
        return keccak256(self.serial()).hex()

    @property
    def parent(self) -> str:
        return self.prev_block_hash.hex()

    @property
    def header(self) -> Header:
        return Header(self.height, self.hash, self.parent, EPOCH + timedelta(seconds=self.time_stamp))

    @cached_property
    def fees(self) -> int:
        """What the harvester gets, or the account that it harvests for."""
        return sum(transaction.fees for transaction in self.transactions)

    @cached_property
    def touched(self) -> frozenset[Address]:
        """Accounts that it names. Beneficiaries of remote harvesting and of levies are not among them."""
        names = {self.signed_by} if self.fees else set()
        for transaction in self.transactions:
            names |= {transaction.signed_by, *transaction.named()}
        return frozenset(names)

    @cached_property
    def moved(self) -> frozenset[str]:
        """Mosaics that change hands, without XEM: each of them may have a levy for somebody who is not named."""
        return frozenset(flow.mosaic for flow in self._flows() if flow.mosaic is not None)

    @cached_property
    def defined(self) -> frozenset[str]:
        """Mosaics that are defined, also anew."""
        parts = (part for transaction in self.transactions for part in transaction.parts())
        return frozenset(part.mosaic_definition.id.contract for part in parts if isinstance(part, MosaicCreation))

    def _flows(self) -> Sequence[Flow]:
        return [flow for transaction in self.transactions for flow in transaction.flows()]


BLOCK = TypeAdapter[Block](Block)


@dataclass(frozen=True, slots=True)
class Path:
    """From one block to another: what has to be undone, newest first, and what is applied then, oldest first."""

    undone: Sequence[Block]
    applied: Sequence[Block]


class Blocks:
    """The newest blocks that any node told, by hash. As the hash is recomputed, it does not matter which node."""

    def __init__(self) -> None:
        self._blocks: dict[str, Block] = {}

    def keep(self, block: Block) -> Block:
        """The block, remembered."""
        known = self._blocks.pop(block.hash, block)
        self._blocks[block.hash] = known
        while len(self._blocks) > REMEMBERED:
            del self._blocks[next(iter(self._blocks))]
        return known

    def get(self, block: str) -> Block | None:
        return self._blocks.get(block)

    def path(self, old: str, new: str) -> Path | None:
        """None where a block on the way is not known."""
        undone, applied = self.get(old), self.get(new)
        back: list[Block] = []
        forth: list[Block] = []
        while undone is not None and applied is not None and undone.hash != applied.hash:
            if applied.height >= undone.height:
                forth.append(applied)
                applied = self.get(applied.parent)
            else:
                back.append(undone)
                undone = self.get(undone.parent)
        if undone is None or applied is None:
            return None
        return Path(back, forth[::-1])

    def lowest(self, block: str) -> Block | None:
        """The block, or the one furthest below it that is known without a gap."""
        at = self.get(block)
        while at is not None and at.parent in self._blocks:
            at = self._blocks[at.parent]
        return at
