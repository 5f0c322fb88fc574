"""What customers hold of each asset, in all, by tier and by wallet: summed anew only where it has changed."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from enum import StrEnum
from typing import NamedTuple

from connectors.base import Token
from daemon.groups import Group
from daemon.interval import EXACT, ZERO, amount
from daemon.ledger import Total, Totals, WalletKey
from daemon.model import ChainState, Inventory, Owner, Tier
from daemon.remembered import others


class Of(StrEnum):
    """What holdings are summed over: all of the customers' wallets, those of a tier, or one wallet."""

    ASSET = "asset"
    TIER = "tier"
    WALLET = "wallet"


class Subject(NamedTuple):
    """Customers' holdings of an asset; `name` is the tier or the wallet that they are in, "" for all of them."""

    of: Of
    asset: str
    name: str = ""

    def __str__(self) -> str:
        return f"{self.name}/{self.asset}" if self.name else self.asset


@dataclass(frozen=True, slots=True)
class Level:
    """What a subject holds now, in whole coins. `lost` sums the last readings of what can't be read now.

    `whole`: nothing is lost. `heard`: of every chain that it is on there was a reading once.
    """

    known: Decimal = ZERO
    lost: Decimal = ZERO
    whole: bool = True
    heard: bool = True

    def __add__(self, other: Level) -> Level:
        return Level(
            EXACT.add(self.known, other.known),
            EXACT.add(self.lost, other.lost),
            self.whole and other.whole,
            self.heard and other.heard,
        )


Source = tuple[Subject, Token]
"""A sum of units that a subject's level is made of."""


class Levels:
    """What every subject holds. Mutable, and pure of effects: only what has changed is summed anew."""

    def __init__(self) -> None:
        self._basis: tuple[object, ...] = ()
        self._parts: list[Total] = []
        self._feeds: list[Sequence[Source]] = []
        """The sums that each part goes into."""
        self._fed: dict[Subject, dict[Token, list[int]]] = {}
        """The parts of each of a subject's sums."""
        self._heard: dict[str, tuple[bool, bool]] = {}
        self._levels: dict[Subject, Level] = {}

    def of(
        self,
        totals: Totals,
        *,
        groups: Mapping[Group, Total],
        inventory: Inventory,
        tiers: Mapping[str, Tier],
        chains: Mapping[str, ChainState],
        wanted: Collection[tuple[Of, timedelta]],
    ) -> tuple[Mapping[Subject, Level], Collection[Subject]]:
        """All levels, and the subjects of those that may have changed."""
        wallets = totals.wallets if any(of is Of.WALLET for of, _ in wanted) else {}
        parts = [*groups.values(), *wallets.values()]
        heard = {name: (state.reason is not None, state.tip is not None) for name, state in chains.items()}
        basis = (inventory, dict(tiers), wanted, list(groups), list(wallets))
        if not self._basis or basis[0] is not self._basis[0] or basis[1:] != self._basis[1:]:
            self._lay_out(groups, wallets, inventory=inventory, of={of for of, _ in wanted})
            changed = set(self._fed)
        else:
            changed = {subject for place in others(parts, self._parts) for subject, _ in self._feeds[place]}
            if heard != self._heard:
                on = {name for name, state in heard.items() if state != self._heard.get(name)}
                changed |= {s for s, tokens in self._fed.items() if any(token.chain in on for token in tokens)}
        self._basis, self._parts, self._heard = basis, parts, heard
        self._levels = {**self._levels, **{subject: self._level(subject, chains=chains) for subject in changed}}
        return self._levels, changed

    def _lay_out(
        self,
        groups: Iterable[Group],
        wallets: Iterable[WalletKey],
        *,
        inventory: Inventory,
        of: Collection[Of],
    ) -> None:
        self._feeds, self._fed, self._levels = [], {}, {}
        for token, tier, owner in groups:
            asset = inventory.asset_of[token]
            fed = [Subject(Of.ASSET, asset), Subject(Of.TIER, asset, tier.value)] if owner is Owner.CUSTOMER else []
            self._feeds.append([(subject, token) for subject in fed if subject.of in of])
        for name, token in wallets:
            customers = inventory.wallets[name].owner is Owner.CUSTOMER
            self._feeds.append([(Subject(Of.WALLET, inventory.asset_of[token], name), token)] if customers else [])
        for place, sources in enumerate(self._feeds):
            for subject, token in sources:
                self._fed.setdefault(subject, {}).setdefault(token, []).append(place)

    def _level(self, subject: Subject, *, chains: Mapping[str, ChainState]) -> Level:
        """Sums units first and turns few sums into coins."""
        level = Level()
        for token, places in self._fed[subject].items():
            whole = Total()
            for place in places:
                whole = whole + self._parts[place]
            level = level + _level(whole, decimals=token.decimals, chain=chains[token.chain])
        return level


def _level(part: Total, *, decimals: int, chain: ChainState) -> Level:
    stale = chain.reason is not None
    known, lost = (0, part.known + part.lost) if stale else (part.known, part.lost)
    unread = part.pairs if stale else part.unread
    return Level(
        amount(known, decimals=decimals),
        amount(lost, decimals=decimals),
        whole=unread == part.never,
        heard=chain.tip is not None,
    )
