"""The recent movements: at which stage each transaction stands, since when, and how it came there."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import islice, takewhile
from typing import NamedTuple

from connectors.base import Address, Movement, Party, Stage, Token, Update
from daemon.model import Counterparty, Direction, Inventory, Leg, Moved, Step, Tier, Transfer

MOST = 1000
"""Movements on one shelf. Most take a kilobyte, one that names a hundred parties on both sides some forty, and one in
which we pay 3,500 destinations 700: a chain's six shelves are some megabytes, below 250 if somebody else fills all of
them on purpose, and below 3 GB if all that is on the four shelves of our own payments were such payouts."""

KEPT = timedelta(days=7)
"""How long what is settled is kept: whoever comes back from a long weekend still finds what moved."""

PENDING_KEPT = timedelta(days=14)
"""How long what is pending is kept: Bitcoin Core drops a transaction from its mempool after 336 hours
(`-mempoolexpiry`, its default), so what is older was given up by every node and we were not told."""

MOST_STEPS = 20
"""Of one movement's history: reorganisations and replacements can make it go back and forth for ever."""

SHOWN = 8
"""Movements in a report; the page is to be read at one glance."""

PENDING_SHOWN = 5
COLD_SHOWN = 2
"""Settled payments out of cold wallets that stay in sight, however many deposits came after them."""

Key = tuple[str, Token]


class Shelf(NamedTuple):
    """Whether what lies on it is pending, whether an account of ours pays, and whether a cold one does.

    Each is bounded for itself. Anybody can make any number of small deposits, and a hot wallet pays all day; were they
    counted together, they could push a payment out of a vault out of sight.
    """

    pending: bool
    paid: bool
    cold: bool


def _nobody(chain: str, account: Address) -> bool:  # noqa: ARG001
    return False


class Movements:
    """The newest stage of every transaction, per chain and token. Mutable, and pure of effects.

    `cold` says of a chain's account whether it is a cold wallet's, when a movement is entered.
    """

    def __init__(self, *, cold: Callable[[str, Address], bool] = _nobody) -> None:
        self._cold = cold
        self._chains: dict[str, dict[Shelf, dict[Key, Moved]]] = {}
        self._number = 0
        self._news: list[Moved] = []

    def take(self, update: Update) -> tuple[Moved, ...]:
        """Enters what an update tells; gives what came to another stage, or into another block, by it.

        What is told again as it is known changes neither its time nor its history, so that a connector may begin anew.
        """
        shelves = self._chains.setdefault(update.chain, {})
        steps = [self._enter(shelves, movement, at=update.seen) for movement in update.movements]
        for name, shelf in shelves.items():
            _prune(shelf, before=update.seen - (PENDING_KEPT if name.pending else KEPT))
        return tuple(moved for moved in steps if moved is not None)

    def recent(
        self, *, pending: bool | None = None, paid: bool | None = None, cold: bool | None = None
    ) -> Iterator[Moved]:
        """All of them, or those that are pending (or not) and paid for by us or a cold wallet (or not), newest first.

        Costs what is taken from it, not what there is.
        """
        shelves = (shelf for shelves in self._chains.values() for shelf in shelves.items())
        wanted = (
            reversed(shelf.values())
            for name, shelf in shelves
            if pending in (None, name.pending) and paid in (None, name.paid) and cold in (None, name.cold)
        )
        return heapq.merge(*wanted, key=lambda one: one.number, reverse=True)

    def drained(self) -> list[Moved]:
        """What was entered, or has become better known, since the last call, in order."""
        news, self._news = self._news, []
        return news

    def on(self, chains: Collection[str], *, cold: Callable[[str, Address], bool] = _nobody) -> Movements:
        """The same on these chains alone; `cold` holds for what is entered from now on."""
        kept = Movements(cold=cold)
        kept._number = self._number
        kept._news = [moved for moved in self._news if moved.movement.token.chain in chains]
        kept._chains = {
            chain: {name: dict(shelf) for name, shelf in shelves.items()}
            for chain, shelves in self._chains.items()
            if chain in chains
        }
        return kept

    def _enter(self, shelves: dict[Shelf, dict[Key, Moved]], movement: Movement, *, at: datetime) -> Moved | None:
        key = (movement.transaction, movement.token)
        place = next((shelf for shelf in shelves.values() if key in shelf), {})
        known = place.get(key)
        if known is not None and _stands(known, movement):
            if known.movement != movement:  # its fee may have become known
                place[key] = replace(known, movement=movement)
                self._news.append(place[key])
            return None
        place.pop(key, None)
        self._number += 1
        first_seen, history = (known.first_seen, known.history) if known else (at, ())
        step = Step(movement.stage, at, movement.tip)
        moved = Moved(self._number, movement, first_seen, (*history, step)[-MOST_STEPS:])
        shelves.setdefault(self._shelf(movement), {})[key] = moved
        self._news.append(moved)
        return moved

    def _shelf(self, movement: Movement) -> Shelf:
        payers = [account for account, units in movement.changes if units < 0]
        cold = any(self._cold(movement.token.chain, account) for account in payers)
        return Shelf(movement.stage is Stage.PENDING, bool(payers), cold)


def _stands(known: Moved, movement: Movement) -> bool:
    last = known.history[-1]
    return (last.stage, last.tip) == (movement.stage, movement.tip)


def _prune(shelf: dict[Key, Moved], *, before: datetime) -> None:
    """What is too old or too many, from the oldest on."""
    excess = len(shelf) - MOST
    old = takewhile(lambda one: one[0] < excess or shelf[one[1]].since < before, enumerate(shelf))
    for _, key in list(old):
        del shelf[key]


def named(moved: Moved, *, inventory: Inventory, tiers: Mapping[str, Tier]) -> Transfer:
    """A movement in the words of this inventory; accounts that it does not hold (any more) stay addresses alone."""
    movement = moved.movement
    chain = movement.token.chain

    def wallet(name: str) -> str | None:
        return inventory.wallet_of.get((chain, Address(name)))

    def parties(found: Iterable[Party]) -> tuple[Counterparty, ...]:
        return tuple(Counterparty(party.name, party.units, wallet(party.name)) for party in found)

    holders = ((account, wallet(account), units) for account, units in movement.changes)
    return Transfer(
        moved=moved,
        asset=inventory.asset_of.get(movement.token),
        direction=direction(movement),
        legs=tuple(Leg(account, name, tiers.get(name) if name else None, units) for account, name, units in holders),
        destinations=parties(movement.destinations),
        sources=parties(movement.sources),
    )


def direction(movement: Movement) -> Direction:
    """Internal only when it is certain that nothing left us but the fee: a debit is what it is in any doubt."""
    if not any(units < 0 for _, units in movement.changes):
        return Direction.CREDIT
    left = -sum(units for _, units in movement.changes)
    stays = left in (0, movement.fee)
    return Direction.INTERNAL if stays and not movement.destinations else Direction.DEBIT


def shortlist(movements: Movements, *, inventory: Inventory, tiers: Mapping[str, Tier]) -> tuple[Transfer, ...]:
    """The few to show: what is pending first, and payments out of cold wallets before everything else of their kind."""
    wallet_of = inventory.wallet_of

    def cold_pays(moved: Moved) -> bool:
        chain = moved.movement.token.chain
        for account, units in moved.movement.changes:  # a loop, because every movement comes by in every judgement
            wallet = wallet_of.get((chain, account)) if units < 0 else None
            if wallet is not None and tiers.get(wallet) is Tier.COLD:
                return True
        return False

    waiting = list(movements.recent(pending=True, paid=True))
    waiting.sort(key=cold_pays, reverse=True)  # stays newest first among its likes
    waiting += islice(movements.recent(pending=True, paid=False), PENDING_SHOWN)
    cold = list(islice(filter(cold_pays, movements.recent(pending=False, paid=True)), COLD_SHOWN))
    told = {moved.number for moved in cold}
    others = (moved for moved in movements.recent(pending=False) if moved.number not in told)
    shown = [*waiting[:PENDING_SHOWN], *cold]
    shown += islice(others, SHOWN - len(shown))
    return tuple(named(moved, inventory=inventory, tiers=tiers) for moved in shown)


def cold_payments(movements: Movements, *, inventory: Inventory, tiers: Mapping[str, Tier]) -> tuple[Transfer, ...]:
    """What cold wallets have paid for, at whatever stage it is, the newest change of stage first."""
    return tuple(named(moved, inventory=inventory, tiers=tiers) for moved in movements.recent(cold=True))
