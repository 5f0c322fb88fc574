"""Who controls the accounts that we watch, as last told, and how that has changed, with the block of each change."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from connectors.base import UNREAD, Address, Control, Tip, Update
from daemon.model import Inventory

SINGLE = "single"
NONCE = "nonce"
"""It rises with whatever a wallet does, which is no change; one that falls lets old signatures count anew."""

MOST_CHANGES = 20
"""Of one account; the newest are kept."""

At = tuple[str, Address]


@dataclass(frozen=True, slots=True)
class ControlChange:
    """`tip` is the block that brought it, as far as is known, and `seen` when that was told to us."""

    seen: datetime
    tip: Tip
    before: Control
    after: Control


@dataclass(frozen=True, slots=True)
class Controlled:
    """What is known of one account: `control` as told at `tip`, or before it could not be read any more (`unread`)."""

    account: Address
    control: Control | None
    tip: Tip | None
    unread: str = ""
    changes: tuple[ControlChange, ...] = ()


@dataclass(frozen=True, slots=True)
class WalletControl:
    """Of a wallet: its accounts of which there is something to tell, and how many were never told of."""

    accounts: tuple[Controlled, ...] = ()
    awaited: int = 0


class Controls:
    """The newest control of each account. Mutable, and pure of effects.

    Plain accounts are only counted, unless their wallet is expected to be something, or they were something else.
    """

    def __init__(self, inventory: Inventory) -> None:
        self._inventory = inventory
        self._known: dict[str, dict[Address, Controlled]] = {name: {} for name in inventory.wallets}
        self._plain: set[At] = set()
        self._told: Counter[str] = Counter()
        self.number = 0
        """How often anything was entered."""

    def take(self, update: Update) -> tuple[ControlChange, ...]:
        """Enters what an update tells, and takes back what its reorganisation undid; gives what has changed."""
        if update.tip is None:
            return ()
        if update.reorg_depth and update.previous is not None:
            self._undo(update.chain, above=update.previous.height - update.reorg_depth)
        changes = (self._enter(update.chain, one, tip=update.tip, seen=update.seen) for one in update.controls)
        return tuple(change for change in changes if change is not None)

    def of(self, wallet: str) -> WalletControl:
        """KeyError when there is no such wallet."""
        accounts = self._inventory.wallets[wallet].accounts
        return WalletControl(tuple(self._known[wallet].values()), len(accounts) - self._told[wallet])

    def carry_over(self, older: Controls, *, chains: Collection[str]) -> None:
        """What `older` knows of accounts that both watch on these chains."""
        for chain, account in older._plain:
            if chain in chains and (wallet := self._inventory.wallet_of.get((chain, account))) is not None:
                self._put(wallet, Controlled(account, Control(account, SINGLE, ()), None))
        for controlled, chain in older._all():
            wallet = self._inventory.wallet_of.get((chain, controlled.account))
            if chain in chains and wallet is not None:
                self._put(wallet, controlled)

    def _all(self) -> Iterator[tuple[Controlled, str]]:
        for wallet, known in self._known.items():
            for controlled in known.values():
                yield controlled, self._inventory.wallets[wallet].chain

    def _enter(self, chain: str, control: Control, *, tip: Tip, seen: datetime) -> ControlChange | None:
        wallet = self._inventory.wallet_of.get((chain, control.account))
        if wallet is None:
            return None
        known = self._get(wallet, control.account)
        if control.kind == UNREAD:
            words = ", ".join(value for _, value in control.facts)
            self._put(wallet, replace(known, unread=words or UNREAD))
            return None
        change = None
        if known.control is not None and differs(known.control, control):
            change = ControlChange(seen, control.tip or tip, known.control, control)
        changes = known.changes if change is None else (*known.changes, change)[-MOST_CHANGES:]
        self._put(wallet, Controlled(control.account, control, tip, changes=changes))
        return change

    def _undo(self, chain: str, *, above: int) -> None:
        """Accounts whose newest changes stand in undone blocks are what they were before."""
        for controlled, on in list(self._all()):
            undone = [one for one in controlled.changes if one.tip.height > above]
            if on == chain and undone:
                kept = tuple(one for one in controlled.changes if one.tip.height <= above)
                wallet = self._inventory.wallet_of[chain, controlled.account]
                self._put(wallet, replace(controlled, control=undone[0].before, changes=kept))

    def _get(self, wallet: str, account: Address) -> Controlled:
        known = self._known[wallet].get(account)
        if known is not None:
            return known
        plain = (self._inventory.wallets[wallet].chain, account) in self._plain
        return Controlled(account, Control(account, SINGLE, ()) if plain else None, None)

    def _put(self, wallet: str, controlled: Controlled) -> None:
        self.number += 1
        found = self._inventory.wallets[wallet]
        at, known = (found.chain, controlled.account), self._known[wallet]
        if at not in self._plain and controlled.account not in known:
            self._told[wallet] += 1
        plain = controlled.control is not None and controlled.control.kind == SINGLE
        if plain and not (controlled.unread or controlled.changes or found.expected):
            known.pop(controlled.account, None)
            self._plain.add(at)
        else:
            self._plain.discard(at)
            known[controlled.account] = controlled


def differs(before: Control, after: Control) -> bool:
    """Whether control has changed from one to the other."""
    return bool(changed_facts(before, after))


def changed_facts(before: Control, after: Control) -> Mapping[str, tuple[tuple[str, ...], tuple[str, ...]]]:
    """By the name of each fact that differs, its values before and after; `kind` is one of them."""
    old, new = by_name(before), by_name(after)
    found = {name: (old.get(name, ()), new.get(name, ())) for name in dict.fromkeys((*old, *new))}
    return {
        name: values
        for name, values in found.items()
        if sorted(values[0]) != sorted(values[1]) and not (name == NONCE and not _falls(*values))
    }


def by_name(control: Control) -> Mapping[str, tuple[str, ...]]:
    """Its facts, with its `kind` before them."""
    found: dict[str, tuple[str, ...]] = {"kind": (control.kind,)}
    for name, value in control.facts:
        found[name] = (*found.get(name, ()), value)
    return found


def _falls(before: tuple[str, ...], after: tuple[str, ...]) -> bool:
    return bool(before and after) and int(after[0]) < int(before[0])
