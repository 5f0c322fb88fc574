"""From accounts to scripts: an address is one script, a descriptor as many as its gap limit asks for."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
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
    """How descriptors are derived: at least `ahead` indices behind the last used one, more where the gap limit is.

    `ahead` is large where finding the coins of more scripts is dear.
    """

    network: Network
    ahead: int = GAP_LIMIT
    cache: ScriptCache | None = None

    def derive(self, descriptor: Descriptor, start: int, stop: int) -> Sequence[bytes]:
        return (self.cache or descriptor_alone).scripts(descriptor, start, stop)


class _DescriptorAlone:
    def scripts(self, descriptor: Descriptor, start: int, stop: int) -> Sequence[bytes]:
        return descriptor.scripts(start, stop)


descriptor_alone = _DescriptorAlone()


@dataclass(slots=True)
class Branch:
    """A ranged descriptor without multipath. Scripts below `derived` are watched; `used` is the last used index + 1.

    `gap` unused indices behind it end the search.
    """

    descriptor: Descriptor
    account: int
    gap: int
    derived: int = 0
    used: int = 0


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
        """Everything that is watched: script → number of its account."""
        self.faults: dict[int, str] = {}
        """Accounts that can't be watched, and why."""
        self.branches: list[Branch] = []
        self.fingerprint = sha256("\n".join(accounts).encode()).digest()
        """Of the accounts in their order."""
        self._expansion = expansion
        self._places: dict[bytes, _Place] = {}
        self._single: dict[bytes, int] = {}
        for number, account in enumerate(accounts):
            try:
                self._enter(account, number=number)
            except BadAddress as error:
                self.faults[number] = str(error)

    def extend(self) -> Mapping[bytes, int]:
        """Derives what the gap limit asks for beyond what is watched already; returns the new scripts."""
        new, self._single = self._single, {}
        for branch in self.branches:
            if branch.derived < branch.used + branch.gap:
                stop = branch.used + max(branch.gap, self._expansion.ahead)
                new |= self._derive(branch, stop)
        return new

    def resume(self, derived: Iterable[int], *, used: Iterable[int]) -> None:
        """Takes up what was derived and used before a restart, branch by branch, in place of the first `extend`."""
        self._single = {}
        for branch, stop, last in zip(self.branches, derived, used, strict=True):
            self._derive(branch, stop)
            branch.used = last

    def widen(self, other: Accounts) -> None:
        """Watches at least what `other` does, which has the same accounts and limits."""
        for branch, wider in zip(self.branches, other.branches, strict=True):
            if wider.derived > branch.derived:
                self._derive(branch, wider.derived)
            branch.used = max(branch.used, wider.used)

    def use(self, scripts: Iterable[bytes]) -> None:
        """These scripts were paid."""
        for script in scripts if self._places else ():
            place = self._places.get(script)
            if place is not None:
                place.branch.used = max(place.branch.used, place.number + 1)

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

    def _derive(self, branch: Branch, stop: int) -> dict[bytes, int]:
        scripts = self._expansion.derive(branch.descriptor, branch.derived, stop)
        new: dict[bytes, int] = {}
        for index, script in enumerate(scripts, start=branch.derived):
            if self._takes(script, number=branch.account):
                self._places[script] = _Place(branch, index)
                new[script] = self.scripts[script] = branch.account
        branch.derived = max(stop, branch.derived)
        return new

    def _takes(self, script: bytes, *, number: int) -> bool:
        """Whether the script is this account's. One that two claim would count twice: the second is at fault."""
        owner = self.scripts.get(script, number)
        if owner != number:
            self.faults[number] = f"has a script in common with {self.names[owner]}; watch one of the two"
        return owner == number
