"""All detectors of a configuration, told every movement once, in order."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Protocol

from daemon.detection import dormant, unusual
from daemon.detection.approvals import ApprovalBook
from daemon.detection.case import Cases
from daemon.detection.destinations import Destinations
from daemon.detection.detector import Detector
from daemon.detection.fitting import Terms
from daemon.detection.matching import Matches, Patience
from daemon.detection.outflow import Key, Outflow, debits_of, outflow, outflow_of
from daemon.detection.payees import Payees
from daemon.detection.probes import Probes
from daemon.detection.profiles import Profiles
from daemon.detection.unknown_destination import UnknownDestinations
from daemon.interval import EXACT
from daemon.model import Inventory, Moved
from daemon.policy.dormant import Dormant
from daemon.policy.probe import Probe
from daemon.policy.rule import Rule
from daemon.policy.unknown_destination import UnknownDestination
from daemon.policy.unmatched_outflow import UnmatchedOutflow
from daemon.policy.unusual import Unusual

MOST_REMEMBERED = 50_000
"""Outflows that are told again when announcements change; some 50 MB."""


class Explains(Protocol):
    """Who knows which payments were announced. Mutable: what explains a payment is used up by it."""

    @property
    def number(self) -> int:
        """Another whenever something was announced, approved or withdrawn."""
        ...

    def take(self, one: Outflow) -> int:
        """Units of it that are explained, and used up by it; asked again of the same key, it is counted once."""
        ...

    def parts(self, key: Key) -> Mapping[str, int]:
        """Of the units of a payment that are explained, by destination."""
        ...

    def withdraw(self, key: Key) -> None:
        """It never happened: what it has used up can be used again."""
        ...


class Silence:
    """Explains nothing."""

    number = 0

    def take(self, one: Outflow) -> int:  # noqa: ARG002
        return 0

    def parts(self, key: Key) -> Mapping[str, int]:  # noqa: ARG002
        return {}

    def withdraw(self, key: Key) -> None:
        pass


@dataclass(frozen=True, slots=True)
class Around:
    """What detectors are made with: values and books that outlive them. `destinations` are None without an allowlist;
    `payees` remember whom we paid."""

    inventory: Inventory
    profiles: Profiles = field(default_factory=Profiles, compare=False)
    """Told every movement, behind the detectors, which so see what was before it."""
    destinations: Destinations | None = None
    payees: Payees = field(default_factory=Payees, compare=False)
    approvals: ApprovalBook = field(default_factory=ApprovalBook, compare=False)
    policy: str = ""
    """The one that the detector is made for."""

    @property
    def known(self) -> Destinations:
        return self.destinations or Destinations(self.inventory)


def unmatched(rule: UnmatchedOutflow, around: Around) -> Matches:
    """What the policy has matched under whatever configuration goes on under this one."""
    book, inventory = around.approvals, around.inventory
    terms = Terms(
        window=rule.window,
        late=rule.late,
        linger=rule.linger,
        tolerance=rule.tolerance.as_integer_ratio(),
        fees={asset: int(most.scaleb(book.finest(asset), EXACT)) for asset, most in rule.fees.items()},
    )
    patience = Patience(rule.grace, rule.keep)
    known = book.matcher(around.policy)
    if isinstance(known, Matches):
        known.configured(terms=terms, patience=patience, inventory=inventory)
        return known
    made = Matches(book, terms=terms, patience=patience, inventory=inventory)
    book.add(around.policy, made)
    return made


DETECTORS: dict[type[Rule], Callable[[Any, Around], Detector]] = {
    UnknownDestination: lambda rule, around: UnknownDestinations(
        rule, inventory=around.inventory, known=around.known, payees=around.payees
    ),
    Probe: lambda rule, around: Probes(rule, known=around.known, payees=around.payees),
    Unusual: lambda rule, around: unusual.detector(rule, profiles=around.profiles),
    Dormant: lambda rule, around: dormant.detector(rule, profiles=around.profiles, wallets=around.inventory.wallets),
    UnmatchedOutflow: unmatched,
}
"""Kind of rule → what makes its detector."""

Policies = Sequence[tuple[str, Rule]]


class Detection:
    """Mutable, and pure of effects. The cost of `take` follows the movements told, not accounts or rules' memory."""

    def __init__(self, around: Around, *, policies: Policies, explains: Explains | None = None) -> None:
        self._around = around
        self._rules = {policy: rule for policy, rule in policies if type(rule) in DETECTORS}
        self._detectors = {
            policy: DETECTORS[type(rule)](rule, replace(around, policy=policy)) for policy, rule in self._rules.items()
        }
        self._explains = explains or Silence()
        self._number = self._explains.number
        self._told: OrderedDict[Key, Outflow] = OrderedDict()  # of a plain dict that is full, the first is far to seek

    @property
    def size(self) -> int:
        """Outflows that it could tell again."""
        return len(self._told)

    def take(self, moved: Iterable[Moved]) -> None:
        """Movements that came to another stage, in the order in which we were told."""
        for one in moved:
            self._enter(one)
        while len(self._told) > MOST_REMEMBERED:
            self._told.popitem(last=False)

    def look(self, now: datetime) -> Mapping[str, Cases]:
        """What each rule has found, by its policy's id."""
        while self._explains.number != self._number:  # what one payment uses up, another lacks
            self._number = self._explains.number
            self._explain_anew()
        return {policy: detector.cases(now) for policy, detector in self._detectors.items()}

    def taking_over(self, older: Detection, *, recent: Iterable[Moved]) -> Detection:
        """Itself, gone on from what another configuration's has found, and told what moved of late, in order.

        The older one was told all of it: detectors that go on are not told again.
        """
        if older._around == self._around:
            for policy, rule in self._rules.items():
                if older._rules.get(policy) == rule:
                    self._detectors[policy] = older._detectors[policy]
            new = {policy for policy, rule in self._rules.items() if older._rules.get(policy) != rule}
        else:
            new = set(self._rules)
        self._told = older._told.copy()
        recent = list(recent)
        known = {key: one for key, one in older._told.items() if one.wallet in self._around.inventory.wallets}
        known |= {one.key: one for one in (outflow(moved, inventory=self._around.inventory) for moved in recent) if one}
        for one in sorted(known.values(), key=lambda found: found.first_seen):
            covered = self._covered(one, units=self._explains.take(one) if one.stands else 0)
            for policy in new if covered.stands else ():
                self._detectors[policy].take(covered)
        for moved in recent:
            debits = debits_of(moved.movement, inventory=self._around.inventory)
            self._count(moved, outflow(moved, inventory=self._around.inventory), payers=debits)
        return self

    def _enter(self, moved: Moved) -> None:
        movement, inventory = moved.movement, self._around.inventory
        debits = debits_of(movement, inventory=inventory)
        one = outflow_of(moved, debits=debits, inventory=inventory) if debits else None
        if one is None:
            self._count(moved, None, payers=debits)
            if (movement.transaction, movement.token) in self._told:  # it leaves nothing, now that its fee is known
                self._withdraw(Key(movement.transaction, movement.token))
            return
        if not one.stands:
            self._count(moved, one, payers=debits)  # first: what is judged again for lack of it must not be compared
            self._withdraw(one.key)
            return
        one = self._covered(one, units=self._explains.take(one))
        for detector in self._detectors.values():
            detector.take(one)
        self._count(moved, one, payers=debits)

    def _count(self, moved: Moved, one: Outflow | None, *, payers: Collection[str]) -> None:
        if payers:
            self._around.profiles.take(moved, one, payers=payers)

    def _withdraw(self, key: Key) -> None:
        self._told.pop(key, None)
        self._explains.withdraw(key)
        for detector in self._detectors.values():
            detector.withdraw(key)

    def _covered(self, one: Outflow, *, units: int) -> Outflow:
        """With so many units explained."""
        if units or one.covered:
            one = replace(one, covered=units, announced=self._explains.parts(one.key) if units else {})
        self._told[one.key] = one
        return one

    def _explain_anew(self) -> None:
        for one in list(self._told.values()):
            again = self._covered(one, units=self._explains.take(one) if one.stands else 0)
            if (again.covered, again.announced) != (one.covered, one.announced):
                for detector in self._detectors.values():
                    detector.take(again)
