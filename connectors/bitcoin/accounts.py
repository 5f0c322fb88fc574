"""From accounts to scripts: an address is one script, a descriptor as many as its gap limit asks for."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from itertools import pairwise
from typing import NamedTuple

from connectors.base import Address
from connectors.bitcoin import descriptors
from connectors.bitcoin.address import script_of
from connectors.bitcoin.descriptors import Descriptor
from connectors.bitcoin.networks import Network
from connectors.bitcoin.script_cache import ScriptCache
from connectors.errors import BadAddress

GAP_LIMIT = 20
"""Unused indices in a row that end the search where the watch names no other number (BIP-44, "Address gap limit")."""


@dataclass(frozen=True, slots=True)
class Expansion:
    """How descriptors are derived: as far as the gap limit asks for, rounded up to a multiple of `step` indices.

    `step` is large where finding the coins of more scripts is dear. How far that is depends on what was used alone, not
    on the order in which it was seen: sources that are compared have to count the same. `lookout` further indices are
    watched for payments that should not be there.
    """

    network: Network
    step: int = 1
    lookout: int = 0
    cache: ScriptCache | None = None

    def derive(self, descriptor: Descriptor, start: int, stop: int) -> Sequence[bytes]:
        return (self.cache or descriptor_alone).scripts(descriptor, start, stop)


class _DescriptorAlone:
    def scripts(self, descriptor: Descriptor, start: int, stop: int) -> Sequence[bytes]:
        return descriptor.scripts(start, stop)


descriptor_alone = _DescriptorAlone()


@dataclass(slots=True)
class Branch:
    """A ranged descriptor without multipath. Scripts below `derived` count; `used` is the last used index + 1.

    `gap` unused indices behind it end the search. Those from `derived` to `watched` are the lookout: what is paid there
    is `beyond` the gap limit, and shows that the account has more than what counts.
    """

    descriptor: Descriptor
    account: int
    gap: int
    derived: int = 0
    used: int = 0
    watched: int = 0
    beyond: set[int] = field(default_factory=set)

    def paid(self, index: int) -> None:
        if index < self.derived:
            self.used = max(self.used, index + 1)
        else:
            self.beyond.add(index)

    def widen(self, step: int) -> None:
        """Lets as many indices count as the gap limit asks for. What is no longer beyond it moves it on."""
        while self.derived < self.used + self.gap:
            self.count(-(-(self.used + self.gap) // step) * step)

    def count(self, derived: int) -> None:
        """Lets the indices below `derived` count, and those that counted before."""
        self.derived = max(self.derived, derived)
        paid, self.beyond = self.beyond, set()
        for index in paid:
            self.paid(index)

    @property
    def fault(self) -> str:
        """What was paid beyond the gap limit, and the smallest gap limit that counts all of it; without whole keys."""
        first, *_ = indices = sorted(self.beyond)
        last = self.used - 1
        where = f"{first - last} beyond the last used index {last}" if self.used else "and none before it"
        needed = max(after - before for before, after in pairwise([last, *indices]))
        return (
            f"descriptor {self.descriptor.short}: index {first} was paid, {where}, more than gap_limit {self.gap} "
            f"allows for: set gap_limit to {needed} or more for this wallet"
        )


class _Place(NamedTuple):
    branch: Branch
    number: int


class Accounts:
    """The scripts of accounts, which are numbered from 0. `extend` before the first use, and after every `use`."""

    def __init__(
        self, accounts: Sequence[Address], *, expansion: Expansion, gap_limits: Mapping[Address, int] | None = None
    ) -> None:
        self.names = accounts
        self._gap_limits = gap_limits or {}
        self.scripts: dict[bytes, int] = {}
        """Everything that is watched, the lookouts too: script → number of its account."""
        self.branches: list[Branch] = []
        limits = (f"{account} {self._gap_limits.get(account, GAP_LIMIT)}" for account in accounts)
        self.fingerprint = sha256("\n".join((f"{expansion.step} {expansion.lookout}", *limits)).encode()).digest()
        """Of the accounts in their order, and of how far they are derived."""
        self._expansion = expansion
        self._unfit: dict[int, str] = {}
        self._places: dict[bytes, _Place] = {}
        self._single: dict[bytes, int] = {}
        for number, account in enumerate(accounts):
            try:
                self._enter(account, number=number)
            except BadAddress as error:
                self._unfit[number] = str(error)

    @property
    def faults(self) -> Mapping[int, str]:
        """Accounts that can't be watched, or that hold more than what counts, and why."""
        return {branch.account: branch.fault for branch in reversed(self.branches) if branch.beyond} | self._unfit

    def extend(self) -> Mapping[bytes, int]:
        """Derives what the gap limit asks for beyond what is watched already; returns the new scripts."""
        new, self._single = self._single, {}
        for branch in self.branches:
            if branch.derived < branch.used + branch.gap:
                start = branch.derived
                branch.widen(self._expansion.step)
                new |= self._derive(branch, start)
        return new

    def resume(self, derived: Iterable[int], *, used: Iterable[int], beyond: Iterable[Iterable[int]]) -> None:
        """Takes up what was derived and paid before a restart, branch by branch, in place of the first `extend`."""
        self._single = {}
        for branch, stop, last, paid in zip(self.branches, derived, used, beyond, strict=True):
            branch.derived, branch.used, branch.beyond = stop, last, set(paid)
            self._derive(branch, 0)

    def widen(self, other: Accounts) -> None:
        """Counts and knows at least what `other` does, which has the same accounts and limits."""
        for branch, wider in zip(self.branches, other.branches, strict=True):
            start = branch.derived
            branch.count(wider.derived)
            self._derive(branch, start)
            for index in (wider.used - 1, *wider.beyond):
                branch.paid(index)

    def use(self, scripts: Iterable[bytes]) -> None:
        """These scripts were paid."""
        for script in scripts if self._places else ():
            place = self._places.get(script)
            if place is not None:
                place.branch.paid(place.number)

    def _enter(self, account: Address, *, number: int) -> None:
        if "(" not in account:
            self._watch(script_of(account, network=self._expansion.network), number=number)
            return
        descriptor = descriptors.parse(account, network=self._expansion.network)
        if descriptor.ranged:
            gap = self._gap_limits.get(account, GAP_LIMIT)
            self.branches += [Branch(branch, number, gap) for branch in descriptor.branches]
        for script in () if descriptor.ranged else descriptor.scripts(0, 1):
            self._watch(script, number=number)

    def _watch(self, script: bytes, *, number: int) -> None:
        if self._takes(script, number=number):
            self._single[script] = self.scripts[script] = number

    def _derive(self, branch: Branch, start: int) -> dict[bytes, int]:
        """Watches what counts from index `start`, and the lookout behind it; returns the new scripts."""
        stop = branch.derived + self._expansion.lookout
        new = self._watch_part(branch, start, branch.derived)
        return new | self._watch_part(branch, max(branch.derived, branch.watched), stop)

    def _watch_part(self, branch: Branch, start: int, stop: int) -> dict[bytes, int]:
        new: dict[bytes, int] = {}
        for index, script in enumerate(self._expansion.derive(branch.descriptor, start, stop), start=start):
            if script not in self.scripts:
                self._places[script] = _Place(branch, index)
                new[script] = self.scripts[script] = branch.account
            elif index < branch.derived:
                self._takes(script, number=branch.account)
        branch.watched = max(branch.watched, stop)
        return new

    def _takes(self, script: bytes, *, number: int) -> bool:
        """Whether the script is this account's. One that two claim would count twice: the second is at fault."""
        owner = self.scripts.get(script, number)
        if owner != number:
            self._unfit[number] = f"has a script in common with {self.names[owner]}; watch one of the two"
        return owner == number


class Derivation:
    """`Accounts.extend` in a thread, once at a time: who is cancelled leaves what it finds to the next who asks."""

    def __init__(self, accounts: Accounts) -> None:
        self._accounts = accounts
        self._running: asyncio.Task[Mapping[bytes, int]] | None = None

    async def extend(self) -> Mapping[bytes, int]:
        running = self._running
        if running is None or (running.done() and (running.cancelled() or running.exception() is not None)):
            thread = asyncio.to_thread(self._accounts.extend)
            running = self._running = asyncio.create_task(thread, name="deriving scripts")
        found = await asyncio.shield(running)
        self._running = None
        return found
