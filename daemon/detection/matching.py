"""Which approved withdrawals explain what leaves, destination by destination, and what nobody has approved."""

from __future__ import annotations

import json
from collections import OrderedDict, deque
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from connectors.base import Address, Party, Stage
from daemon.detection.approvals import ApprovalBook, ApprovalKey, Known, Place
from daemon.detection.case import Case, Cases
from daemon.detection.fitting import (
    MOST_SHARED,
    Group,
    Output,
    Terms,
    first_fitting,
    merged,
    moved,
    shared_out,
)
from daemon.detection.outflow import Key, Outflow
from daemon.detection.recalling import Recalled, recalled, row_of
from daemon.detection.unexplained import Tracked, unexplained
from daemon.model import Inventory

MOST_TRACKED = 500_000
"""Payments that are known at once, each with its destinations: some 900 bytes and 400 for each destination, so 650 MB
if all of them are there. Beyond, the oldest are forgotten. A day of 100,000 withdrawals takes some 130 MB."""

MOST_WITHDRAWN = 10_000
"""Payments that were taken back and are judged when they come again, however long ago they were first seen."""

BEGAN = "began"


@dataclass(frozen=True, slots=True)
class Patience:
    """How long after a payment every source must have been asked before it counts as unmatched, and how long a mined
    one that is stays a case."""

    grace: timedelta
    keep: timedelta


class Matches:
    """The `Detector` of unmatched outflows, of all wallets. It keeps payments for the window of its terms, pending ones
    and cases for as long as they are that, and MOST_TRACKED in all; approvals are the book's.

    What was first seen before it began, or longer ago than the window when it is told first, is not judged: nobody
    knows any more what was approved then.
    """

    def __init__(self, book: ApprovalBook, *, terms: Terms, patience: Patience, inventory: Inventory) -> None:
        self._book = book
        self._terms = terms
        self._patience = patience
        self._inventory = inventory
        self.began = book.clock
        self._groups: dict[tuple[str, str], Group] = {}
        """By `Place`, and so by asset and destination: to find one, none has to be made."""
        self._tracked: OrderedDict[Key, Tracked] = OrderedDict()
        self._loose: dict[Key, None] = {}
        self._user: dict[ApprovalKey, Output] = {}
        self._recalled: dict[Key, list[Output]] = {}
        self._awaited: dict[Key, None] = {}
        self._withdrawn: dict[Key, None] = {}
        self._ages: deque[tuple[datetime, Key]] = deque()
        self._rows: dict[str, ApprovalKey | Key | None] = {BEGAN: None}
        self._old: dict[Key, None] = {}

    @property
    def reach(self) -> timedelta:
        return self._terms.window + self._terms.late

    @property
    def size(self) -> int:
        """Payments that are known."""
        return len(self._tracked)

    def configured(self, *, terms: Terms, patience: Patience, inventory: Inventory) -> None:
        """Goes on by other terms; what was matched stays so. What is ours by now needs no approval."""
        self._terms, self._patience, self._inventory = terms, patience, inventory
        for key in list(self._loose):
            tracked = self._tracked[key]
            for one in [one for one in tracked.outputs if not one.by]:
                if (one.chain, one.place.to) in inventory.wallet_of:
                    self._drop_output(one)
                    tracked.outputs.remove(one)
                else:
                    self._settle(one)
            self._judge(key)

    # Detector.

    def take(self, outflow: Outflow) -> None:
        key, first_seen = outflow.key, outflow.first_seen
        tracked = self._tracked.get(key)
        if tracked is None:
            if outflow.units <= outflow.covered or not self._answerable(outflow):
                return
            tracked = self._tracked[key] = Tracked(outflow, self._recalled.pop(key, []))
            self._ages.append((first_seen, key))
            if len(self._tracked) > MOST_TRACKED:
                self._forget(next(iter(self._tracked)))  # of a plain dict that is full, the first is far to seek
        before, tracked.outflow = tracked.outflow, outflow
        if before is outflow or before.destinations != outflow.destinations or before.fee != outflow.fee:
            self._enter(tracked)
        if self._loose or tracked.loose:
            self._judge(key)

    def withdraw(self, key: Key) -> None:
        tracked = self._tracked.pop(key, None)
        outputs = tracked.outputs if tracked else self._recalled.pop(key, [])
        if tracked is not None:
            self._withdrawn[key] = None
            if len(self._withdrawn) > MOST_WITHDRAWN:
                del self._withdrawn[next(iter(self._withdrawn))]
        self._loose.pop(key, None)
        self._note(key, kept=False)
        for one in outputs:
            self._drop_output(one)
        for place in {one.place for one in outputs}:
            self._try_again(place)

    def cases(self, now: datetime) -> Cases:
        self._book.tick(now)
        if self.began is not None and self.began > now:  # the clock was ahead then
            self.began = now
            self._rows[BEGAN] = None
        self._prune(now)
        spoken, silent = self._book.spoken, self._book.silent(now) if self._loose else ()
        found: dict[str, list[Case]] = {}
        unsure: dict[str, tuple[str, ...]] = {}
        for key in self._loose:
            tracked = self._tracked[key]
            one = tracked.outflow
            if not tracked.missing or (one.stage is Stage.MINED and now - one.since >= self._patience.keep):
                continue
            if spoken is not None and spoken >= one.first_seen + self._patience.grace:
                case = unexplained(tracked, groups=self._groups, user=self._user, terms=self._terms)
                for wallet in one.payers:
                    found.setdefault(wallet, []).append(case)
            elif silent:
                unsure.update(dict.fromkeys(one.payers, silent))
        by_wallet = {
            name: tuple(sorted(cases, key=lambda case: case.outflow.since, reverse=True))
            for name, cases in found.items()
        }
        return Cases(by_wallet, unsure)

    # Matcher.

    def approved(self, one: Known) -> None:
        for place in one.homes:
            group = self._group(place)
            (group.used if one.key in self._user else group.free).add(one)
            if one.fee and one.fee > group.widest:
                group.widest = one.fee
        if self._loose:
            for place in one.homes:
                self._try_again(place)

    def uses(self, key: ApprovalKey) -> bool:
        return key in self._user

    def forgotten(self, one: Known) -> None:
        for place in one.homes:
            group = self._groups.get(place)
            if group is not None:
                group.free.remove(one)
                group.used.remove(one)
                self._tidy(place)
        if self._user.pop(one.key, None) is not None:
            self._rows[_name(one.key)] = None

    # Remembers.

    def changed(self) -> dict[str, str | None]:
        rows, self._rows = self._rows, {}
        return {name: self._row(name, key) for name, key in rows.items()}

    def restore(self, rows: Mapping[str, str]) -> None:
        """What an earlier run has left: which approvals were used by what, and what was unmatched. ValueError."""
        self._restored(recalled(rows))

    def _row(self, name: str, key: ApprovalKey | Key | None) -> str | None:
        if name == BEGAN:
            return None if self.began is None else json.dumps({"began": self.began.isoformat()})
        if isinstance(key, ApprovalKey):
            output = self._user.get(key)
            known = next((one for one in output.by if one.key == key), None) if output else None
            return None if known is None or output is None else row_of(known, output)
        return None if key is None else json.dumps({"open": [key.transaction, *key.token]})

    def _restored(self, found: Recalled) -> None:
        if found.began is not None:
            self.began = found.began
            self._rows.pop(BEGAN, None)
        self._awaited.update(dict.fromkeys(found.open))
        for used in found.used:
            places = [(used.place, used.payment.token.chain)]
            known = self._book.recall(used.key, used.approval, places=places)
            if known.key in self._user:
                continue
            tracked = self._tracked.get(used.payment)
            outputs = self._recalled.setdefault(used.payment, []) if tracked is None else tracked.outputs
            output = next((one for one in outputs if one.place == used.place), None)
            if output is None:
                output = Output(used.payment, used.place, used.units, used.step, used.seen)
                outputs.append(output)
                self._group(used.place).outputs[output] = None
            output.by = (*output.by, known)
            self._user[known.key] = output
            for place in known.homes:
                self._group(place).free.remove(known)
                self._group(place).used.add(known)
            self._ages.append((used.seen, used.payment))

    # Inside.

    def _answerable(self, outflow: Outflow) -> bool:
        """Whether what was approved at its time is known, or it was judged before."""
        key = outflow.key
        if key in self._withdrawn or key in self._recalled or key in self._awaited:
            return True
        clock = self._book.clock or outflow.first_seen
        began = outflow.first_seen if self.began is None else self.began
        if self.began is None:
            self.began = outflow.first_seen
            self._rows[BEGAN] = None
        return outflow.first_seen >= began and clock - outflow.first_seen < self._terms.window

    def _enter(self, tracked: Tracked) -> None:
        """Each destination that is new is matched; one that is not paid any more, or otherwise, gives back."""
        outflow = tracked.outflow
        step: int = 10 ** (self._book.finest(outflow.asset) - outflow.key.token.decimals)
        alone = len(outflow.destinations) == 1 and not outflow.unlisted and outflow.key.token.contract is None
        fee = (outflow.fee or 0) * step if alone else 0
        paid = dict.fromkeys(outflow.destinations)
        touched = self._left(tracked, paid=paid, step=step, fee=fee) if tracked.outputs else ()
        for name, units in paid:
            group = self._groups.get((outflow.asset, name)) or self._group(Place(outflow.asset, Address(name)))
            output = Output(outflow.key, group.place, units * step, step, outflow.first_seen, fee)
            tracked.outputs.append(output)
            group.outputs[output] = None
        for one in tracked.outputs:
            if not one.by:
                self._settle(one)
        for place in touched:
            self._try_again(place)

    def _left(self, tracked: Tracked, *, paid: dict[Party, None], step: int, fee: int) -> Collection[Place]:
        """Where it does not pay any more what it did; what it still pays is taken out of `paid`."""
        touched: dict[Place, None] = {}
        asset = tracked.outflow.asset
        still = {((asset, party.name), party.units * step): party for party in paid}
        for one in list(tracked.outputs):
            party = still.get((one.place, one.units))
            if party is not None:
                del paid[party]
                one.network_fee = fee
            else:
                tracked.outputs.remove(one)
                self._drop_output(one)
                touched[one.place] = None
        return touched

    def _group(self, place: Place) -> Group:
        group = self._groups.get(place)
        if group is None:
            group = self._groups[place] = Group(place)
        return group

    def _tidy(self, place: Place) -> None:
        group = self._groups.get(place)
        if group is not None and group.empty:
            del self._groups[place]

    def _settle(self, output: Output) -> bool:
        """Finds approvals for it, if there are any, without taking any from what is explained."""
        group, terms = self._groups[output.place], self._terms
        free = first_fitting(group.free, output, terms=terms, widest=group.widest)
        if free is not None:
            self._use(output, (free,))
            return True
        if not group.free.rows and len(group.outputs) > MOST_SHARED:
            return False
        changes = moved(group, output, terms=terms, user=self._user)
        if changes is not None:
            self._reassign({one: (known,) for one, known in changes.items()})
            return True
        together = merged(group.free, output, terms=terms)
        if together is not None:
            self._use(output, together)
            return True
        shares = shared_out(group, output, terms=terms)
        if shares is not None:
            self._reassign(shares)
        return shares is not None

    def _reassign(self, taken: Mapping[Output, tuple[Known, ...]]) -> None:
        for one in taken:
            self._release(one)
        for one, found in taken.items():
            self._use(one, found)

    def _use(self, output: Output, found: tuple[Known, ...]) -> None:
        output.by = found
        for one in found:
            self._user[one.key] = output
            self._rows[_name(one.key)] = one.key
            for place in one.homes:
                group = self._groups[place]
                group.free.remove(one)
                group.used.add(one)

    def _release(self, output: Output) -> None:
        for one in output.by:
            if self._user.get(one.key) is output:
                del self._user[one.key]
                self._rows[_name(one.key)] = None
                for place in one.homes:
                    group = self._groups[place]
                    if group.used.remove(one):
                        group.free.add(one)
        output.by = ()

    def _drop_output(self, output: Output) -> None:
        self._release(output)
        group = self._groups.get(output.place)
        if group is not None:
            group.outputs.pop(output, None)
            self._tidy(output.place)

    def _try_again(self, place: Place) -> None:
        """What is not explained yet, the oldest first, after something has changed there."""
        group = self._groups.get(place)
        if group is None or not self._loose:
            return
        for one in [one for one in group.outputs if not one.by]:
            if self._settle(one):
                self._judge(one.key)

    def _judge(self, key: Key) -> None:
        """Keeps in mind whether something of it is not explained."""
        tracked = self._tracked.get(key)
        if tracked is not None and tracked.loose:
            if key not in self._loose:
                self._loose[key] = None
                self._note(key, kept=True)
        elif self._loose and key in self._loose:
            del self._loose[key]
            self._note(key, kept=False)

    def _note(self, key: Key, *, kept: bool) -> None:
        if kept or key in self._awaited:
            self._awaited[key] = None
            self._rows[f"open {key.transaction} {key.token.chain} {key.token.contract}"] = key if kept else None
        if not kept:
            self._awaited.pop(key, None)

    def _prune(self, now: datetime) -> None:
        oldest = now - self._terms.window
        while self._ages and self._ages[0][0] < oldest:
            self._old[self._ages.popleft()[1]] = None
        for key in list(self._old):
            tracked = self._tracked.get(key)
            if tracked is None or (tracked.outflow.stage is Stage.MINED and self._over(tracked, now=now)):
                self._forget(key)
                del self._old[key]

    def _over(self, tracked: Tracked, *, now: datetime) -> bool:
        return tracked.outflow.key not in self._loose or now - tracked.outflow.since >= self._patience.keep

    def _forget(self, key: Key) -> None:
        """The payment alone: that its approvals were used is known until they are too old to be used again."""
        tracked = self._tracked.pop(key, None)
        outputs = tracked.outputs if tracked else self._recalled.pop(key, [])
        self._loose.pop(key, None)
        self._note(key, kept=False)
        for one in outputs:
            self._groups[one.place].outputs.pop(one, None)
            self._tidy(one.place)


def _name(key: ApprovalKey) -> str:
    return f"used {key.source[1]} {key.id}"
