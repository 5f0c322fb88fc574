"""The recent movements: at which stage each transaction stands, since when, and how it came there."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Collection, Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import islice, product, starmap
from typing import NamedTuple

from connectors.base import Address, Movement, Party, Stage, Token, Update
from daemon.journal import decode, encode, row_key
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

SETTLE = timedelta(minutes=10)
"""After a restart, how long a chain must be followed until a movement that waited before, and of which nobody tells, is
of unknown fate: by then every connector has listed what waits, and a node that was started with us knows it again."""

UNHEARD = SETTLE / 2
"""A chain that was not read for so long was not followed."""

MOST_PAID = 100_000
"""Payments of ours that are kept for detection beyond those on the shelves, some 150 MB in the store and, for a moment,
in memory when we start. They are of the last days, `KEPT` at most."""

PENDING_SHOWN = 5
COLD_SHOWN = 2
"""Settled payments out of cold wallets that stay in sight, however many deposits came after them."""

PENDING = Stage.PENDING
"""To look a member up in its class takes longer than to call a function, and every movement asks for it."""

Key = tuple[str, Token]

Restore = Callable[[Sequence[Moved]], None]


class Shelf(NamedTuple):
    """Whether what lies on it is pending, whether an account of ours pays, and whether a cold one does.

    Each is bounded for itself. Anybody can make any number of small deposits, and a hot wallet pays all day; were they
    counted together, they could push a payment out of a vault out of sight.
    """

    pending: bool
    paid: bool
    cold: bool


SHELVES: Mapping[tuple[bool, bool, bool], Shelf] = {
    shelf: shelf for shelf in starmap(Shelf, product((False, True), repeat=3))
}
"""All there are: every movement asks for one, and none has to be made for that."""


def _nobody(chain: str, account: Address) -> bool:  # noqa: ARG001
    return False


class Journal:
    """Rows of movements that have changed, under one kind; see Remembers. From the first time it is asked on.

    Bounded: one row a movement, and MOST_PAID of them between two calls.
    """

    def __init__(self, kind: str, *, all_there_is: Callable[[], Iterable[Moved]], restore: Restore) -> None:
        self.kind = kind
        self._all = all_there_is
        self._restore = restore
        self._asked = False
        self._rows: dict[Key, Moved | None] = {}

    def note(self, key: Key, moved: Moved | None) -> None:
        """It is to be kept as it stands now; None: to be forgotten."""
        if self._asked:
            self._rows.pop(key, None)
            self._rows[key] = moved
            if len(self._rows) > MOST_PAID:
                del self._rows[next(iter(self._rows))]

    def changed(self) -> dict[str, str | None]:
        """See Remembers."""
        if not self._asked:
            self._asked = True
            self._rows = {(moved.movement.transaction, moved.movement.token): moved for moved in self._all()}
        rows, self._rows = self._rows, {}
        return {row_key(*key): None if moved is None else encode(moved) for key, moved in rows.items()}

    def restore(self, rows: Mapping[str, str]) -> None:
        """See Remembers; rows that can't be read cost none of the others."""
        found, damaged = list[Moved](), 0
        for text in rows.values():
            try:
                found.append(decode(text))
            except ValueError:
                damaged += 1
        self._restore(found)
        if damaged:
            raise ValueError(f"{damaged} of {len(rows)} movements can't be read, the others can")

    def going_on(self, older: Journal) -> None:
        """After a reload: what is not told yet is still to be told."""
        self._asked, self._rows = older._asked, dict(older._rows)


class Movements:
    """The newest stage of every transaction, per chain and token. Mutable, and pure of effects.

    `cold` says of a chain's account whether it is a cold wallet's, when a movement is entered. What an earlier run has
    left stays `open` until it is told again: what waited then, and nobody tells of, comes to an unknown fate; what was
    mined in a block that is undone waits again.
    """

    def __init__(self, *, cold: Callable[[str, Address], bool] = _nobody) -> None:
        self._cold = cold
        self._chains: dict[str, dict[Shelf, dict[Key, Moved]]] = {}
        self._number = 0
        self._news: list[Moved] = []
        self.journal = Journal("movement", all_there_is=self._in_order, restore=self._go_on)
        self.paid = Journal("paid", all_there_is=tuple, restore=self._remind)
        """Payments that are on no shelf any more, because there are too many since; for detection alone."""
        self._open: dict[str, set[Key]] = {}
        self._followed: dict[str, tuple[datetime, datetime]] = {}
        """Of chains with something open: since when we read it without a break, and when we did last."""
        self._earlier: list[Moved] = []

    def take(self, update: Update) -> tuple[Moved, ...]:
        """Enters what an update tells; gives what came to another stage, or into another block, by it.

        What is told again as it is known changes neither its time nor its history, so that a connector may begin anew.
        """
        shelves = self._chains.setdefault(update.chain, {})
        steps: list[Moved | None] = []
        if self._open.get(update.chain):
            steps += self._settle(shelves, update)
        for movement in update.movements:
            if self._open:
                self._open.get(movement.token.chain, set()).discard((movement.transaction, movement.token))
            steps.append(self._come_to(shelves, movement, at=update.seen))
        for name, shelf in shelves.items():
            self._prune(name, shelf, before=update.seen - (PENDING_KEPT if name.pending else KEPT))
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

    def earlier(self) -> list[Moved]:
        """Payments of an earlier run that stand on no shelf, in order; once, because they are many."""
        earlier, self._earlier = self._earlier, []
        return earlier

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
        kept._open = {chain: set(keys) for chain, keys in self._open.items() if chain in chains}
        kept._followed, kept._earlier = dict(self._followed), list(self._earlier)
        kept.journal.going_on(self.journal)
        kept.paid.going_on(self.paid)
        return kept

    def _come_to(self, shelves: dict[Shelf, dict[Key, Moved]], movement: Movement, *, at: datetime) -> Moved | None:
        key = (movement.transaction, movement.token)
        first_seen = at
        history: tuple[Step, ...] = ()
        for place in shelves.values():  # a loop, because every movement comes by here
            known = place.get(key)
            if known is None:
                continue
            last = known.history[-1]
            if last.stage is movement.stage and last.tip == movement.tip:
                if known.movement != movement:  # its fee may have become known
                    place[key] = replace(known, movement=movement)
                    self._news.append(place[key])
                    self.journal.note(key, place[key])
                return None
            del place[key]
            first_seen, history = known.first_seen, known.history
            break
        self._number += 1
        step = Step(movement.stage, at, movement.tip)
        moved = Moved(self._number, movement, first_seen, (*history[1 - MOST_STEPS :], step))
        name = self._shelf(movement)
        shelf = shelves.get(name)
        if shelf is None:
            shelf = shelves[name] = {}
        shelf[key] = moved
        self._news.append(moved)
        self.journal.note(key, moved)
        return moved

    def _shelf(self, movement: Movement) -> Shelf:
        paid = cold = False
        for account, units in movement.changes:
            if units < 0:
                paid = True
                cold = cold or self._cold(movement.token.chain, account)
        return SHELVES[movement.stage is PENDING, paid, cold]

    def _prune(self, name: Shelf, shelf: dict[Key, Moved], *, before: datetime) -> None:
        """What is too old or too many, from the oldest on."""
        excess = len(shelf) - MOST
        old: list[Key] = []
        for place, (key, moved) in enumerate(shelf.items()):
            if place >= excess and moved.since >= before:
                break
            old.append(key)
        for key in old:
            moved = shelf.pop(key)
            if self._open:
                self._open.get(moved.movement.token.chain, set()).discard(key)
            if name.paid and moved.since >= before:
                self.paid.note(key, moved)
            self.journal.note(key, None)

    # ── what an earlier run has left ────────────────────────────────────────────────────────────────────────────────

    def _in_order(self) -> list[Moved]:
        return list(self.recent())[::-1]

    def _go_on(self, earlier: Sequence[Moved]) -> None:
        """What was on the shelves comes before what was told in this run, which counts where both know of it."""
        before = {(moved.movement.transaction, moved.movement.token): moved for moved in earlier}
        in_order = ((one, (one.movement.transaction, one.movement.token)) for one in self._in_order())
        own = [_joined(before.pop(key, None), one) for one, key in in_order]
        last = max((moved.number for moved in earlier), default=0)
        for chain, token in {(token.chain, token) for _, token in before}:
            self._open.setdefault(chain, set()).update(key for key in before if key[1] == token)
        everything = sorted(before.values(), key=lambda moved: moved.number)
        everything += [replace(moved, number=last + number) for number, moved in enumerate(own, 1)]
        self._number, self._chains = last + len(own), {}
        for moved in everything:
            shelves = self._chains.setdefault(moved.movement.token.chain, {})
            shelf = shelves.setdefault(self._shelf(moved.movement), {})
            shelf[moved.movement.transaction, moved.movement.token] = moved

    def _remind(self, earlier: Sequence[Moved]) -> None:
        self._earlier = sorted(earlier, key=lambda moved: moved.number)

    def _settle(self, shelves: dict[Shelf, dict[Key, Moved]], update: Update) -> Iterator[Moved | None]:
        """What becomes of movements of an earlier run that are not told again."""
        chain, at = update.chain, update.seen
        since, last = self._followed.get(chain, (at, at))
        since = at if at - last > UNHEARD or at < since else since
        self._followed[chain] = since, at
        told = {(movement.transaction, movement.token) for movement in update.movements}
        open_ = self._open[chain] - told if told else self._open[chain]
        if update.reorg_depth and update.previous is not None:
            undone = _mined_above(update.previous.height - update.reorg_depth, shelves=shelves, among=open_)
            for movement in undone:
                yield self._come_to(shelves, replace(movement, stage=Stage.PENDING, tip=None), at=at)
        for movement in _waiting_since(at - SETTLE, shelves=shelves, among=open_) if at - since >= SETTLE else ():
            yield self._come_to(shelves, replace(movement, stage=Stage.UNKNOWN), at=at)


def _mined_above(height: int, *, shelves: Mapping[Shelf, Mapping[Key, Moved]], among: Container[Key]) -> list[Movement]:
    settled = (pair for name, shelf in shelves.items() if not name.pending for pair in shelf.items())
    movements = (moved.movement for key, moved in settled if key in among)
    return [movement for movement in movements if movement.tip is not None and movement.tip.height > height]


def _waiting_since(
    moment: datetime, *, shelves: Mapping[Shelf, Mapping[Key, Moved]], among: Container[Key]
) -> list[Movement]:
    """Costs what waits, not what is known."""
    waiting = (pair for name, shelf in shelves.items() if name.pending for pair in shelf.items())
    return [moved.movement for key, moved in waiting if moved.since <= moment and key in among]


def _joined(earlier: Moved | None, own: Moved) -> Moved:
    """What both runs have told of one movement."""
    if earlier is None:
        return own
    first, *later = own.history
    goes_on = (earlier.history[-1].stage, earlier.history[-1].tip) == (first.stage, first.tip)
    history = (*earlier.history, *(later if goes_on else own.history))
    return replace(own, first_seen=earlier.first_seen, history=history[-MOST_STEPS:])


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
