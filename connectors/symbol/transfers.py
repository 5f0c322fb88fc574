"""What transactions do to watched accounts: transfers, locks and revocations, alone or within an aggregate, and fees.

Source: symbol/symbol, openapi/openapi-symbol.yml (schemas *TransactionBodyDTO) and client/rest, model/EntityType.js.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from connectors.base import Address, Movement, Party, Stage, Tip, Token, Watch
from connectors.symbol import wire
from connectors.symbol.address import NAMESPACE, of_public_key, of_raw
from connectors.symbol.networks import NETWORKS, Network

TRANSFER, REVOCATION = 0x4154, 0x434D
HASH_LOCK, SECRET_LOCK = 0x4148, 0x4152
MULTISIG_MODIFICATION = 0x4155
MOVING = (TRANSFER, REVOCATION, HASH_LOCK, SECRET_LOCK)

T = TypeVar("T")

MOST_PARTIES = 100
"""Of one transaction that is told; a payout to thousands by others is told by its largest."""

MOST_PAID = 3_500
"""Destinations of one in which a watched account pays: an aggregate holds 100 transactions by the
network's settings (maxTransactionsPerAggregate), one that is configured otherwise perhaps more."""

ALIASES = {network.identifier | 1 for network in NETWORKS.values()}


@dataclass(frozen=True, slots=True)
class Aliases:
    """What namespaces stood for: (primary source, what) by namespace, in the order of the sources.

    The primary source is the place of a transaction in its block, counted from 1 (ReceiptSource).
    """

    mosaics: Mapping[str, Sequence[tuple[int, str]]] = field(default_factory=dict)
    addresses: Mapping[bytes, Sequence[tuple[int, bytes]]] = field(default_factory=dict)

    def mosaic(self, identity: str, *, place: int) -> str:
        """The mosaic's id; the namespace's own where it is not known what it stood for."""
        return _last_before(self.mosaics.get(identity, ()), place) or identity

    def address(self, raw: bytes, *, place: int) -> bytes:
        return _last_before(self.addresses.get(raw, ()), place) or raw


def aliased_mosaics(infos: Iterable[wire.TransactionInfo]) -> frozenset[str]:
    """The namespaces that stand for mosaics in the transactions that move some."""
    bodies = [info.transaction for info in infos if info.transaction.type in MOVING]
    ids = {one.id for body in bodies for one in body.mosaics} | {body.mosaicId for body in bodies if body.mosaicId}
    return frozenset(identity for identity in ids if int(identity, 16) & NAMESPACE)


def aliased_addresses(infos: Iterable[wire.TransactionInfo]) -> frozenset[bytes]:
    """The 24 bytes that name a namespace in the place of an address, in the transactions that move mosaics."""
    bodies = [info.transaction for info in infos if info.transaction.type in MOVING]
    raws = {raw for body in bodies for raw in (body.recipientAddress, body.sourceAddress) if raw}
    return frozenset(raw for raw in raws if raw[0] in ALIASES)


@dataclass(frozen=True, slots=True)
class Leg:
    """So many units of a mosaic from one account to another; `credited` unless they are only locked for it."""

    mosaic: str
    units: int
    source: Address
    target: Address | None
    credited: bool = True


@dataclass(slots=True)
class Whole:
    """A transaction with what is within it."""

    hash: str
    signer: Address
    size: int
    legs: list[Leg] = field(default_factory=list)
    changes_control: set[Address] = field(default_factory=set)


def wholes(infos: Sequence[wire.TransactionInfo], *, network: Network, aliases: Aliases) -> Sequence[Whole]:
    """Top-level transactions in the order given, each with the legs of all that is within it."""
    found: dict[str, Whole] = {}
    for info in infos:
        if info.meta.hash is not None:
            signer = of_public_key(info.transaction.signerPublicKey, network=network)
            found[info.meta.hash] = Whole(info.meta.hash, signer, info.transaction.size or 0)
    places = {info.meta.hash: info.meta.index + 1 for info in infos if info.meta.hash is not None}
    for info in infos:
        parent = info.meta.hash or info.meta.aggregateHash
        whole = found.get(parent or "")
        if whole is None or parent is None:
            continue  # its aggregate came or went between two pages
        signer = of_public_key(info.transaction.signerPublicKey, network=network)
        whole.legs += _legs(info.transaction, signer=signer, place=places[parent], aliases=aliases)
        if info.transaction.type == MULTISIG_MODIFICATION:
            whole.changes_control.add(signer)
    return list(found.values())


@dataclass(frozen=True, slots=True)
class Teller:
    """Tells movements of a watch; `currency` is the mosaic that fees are paid in."""

    watch: Watch
    currency: str
    watched: Collection[Address]

    def movements(
        self, whole: Whole, *, stage: Stage, tip: Tip | None = None, fee: int | None = None
    ) -> Sequence[Movement]:
        """One for each watched token of which the transaction moves units from or to a watched account."""
        told: list[Movement] = []
        for token in self.watch.tokens:
            mosaic = token.contract or self.currency
            legs = [leg for leg in whole.legs if leg.mosaic == mosaic and leg.units]
            paid = fee if mosaic == self.currency else 0
            changes = self._changes(legs, signer=whole.signer, fee=paid or 0)
            if changes:
                told.append(
                    self._movement(whole, token=token, legs=legs, changes=changes, stage=stage, tip=tip, fee=paid)
                )
        return told

    def _changes(self, legs: Sequence[Leg], *, signer: Address, fee: int) -> Mapping[Address, int]:
        changes: dict[Address, int] = defaultdict(int)
        for leg in legs:
            if leg.source in self.watched:
                changes[leg.source] -= leg.units
            if leg.credited and leg.target is not None and leg.target in self.watched:
                changes[leg.target] += leg.units
        if fee and signer in self.watched:
            changes[signer] -= fee
        return changes

    def _movement(
        self,
        whole: Whole,
        *,
        token: Token,
        legs: Sequence[Leg],
        changes: Mapping[Address, int],
        stage: Stage,
        tip: Tip | None,
        fee: int | None,
    ) -> Movement:
        targets, sources = Counter[str](), Counter[str]()
        for leg in legs:
            if leg.target is not None and leg.target not in self.watched:
                targets[leg.target] += leg.units
            if leg.source not in self.watched:
                sources[leg.source] += leg.units
        return Movement(
            transaction=whole.hash,
            token=token,
            stage=stage,
            tip=tip,
            changes=tuple(changes.items()),
            change=0,
            destinations=_parties(
                targets, most=MOST_PAID if any(units < 0 for units in changes.values()) else MOST_PARTIES
            ),
            sources=_parties(sources),
            fee=fee,
            size=whole.size,
        )


def _legs(body: wire.TransactionBody, *, signer: Address, place: int, aliases: Aliases) -> list[Leg]:
    """What a single transaction moves. A lock takes from its signer; who is to have it is named and not credited."""
    recipient = body.recipientAddress and of_raw(aliases.address(body.recipientAddress, place=place))
    mosaic = body.mosaicId and aliases.mosaic(body.mosaicId, place=place)
    if body.type == TRANSFER and recipient:
        return [
            Leg(aliases.mosaic(one.id, place=place), one.amount, signer, Address(recipient)) for one in body.mosaics
        ]
    if body.amount is None or not mosaic:
        return []
    if body.type == REVOCATION and body.sourceAddress:
        owner = of_raw(aliases.address(body.sourceAddress, place=place))
        return [Leg(mosaic, body.amount, owner, signer)]
    if body.type == SECRET_LOCK and recipient:
        return [Leg(mosaic, body.amount, signer, Address(recipient), credited=False)]
    if body.type == HASH_LOCK:
        return [Leg(mosaic, body.amount, signer, None)]
    return []


def _parties(sums: Counter[str], *, most: int = MOST_PARTIES) -> tuple[Party, ...]:
    return tuple(Party(name, units) for name, units in sums.most_common(most))


def _last_before(entries: Sequence[tuple[int, T]], place: int) -> T | None:
    """What the newest entry at or before the place says; the oldest one where all are later."""
    before = [what for source, what in entries if source <= place]
    return before[-1] if before else entries[0][1] if entries else None
