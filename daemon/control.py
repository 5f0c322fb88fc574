"""What is known of who controls an account, and how that has changed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from connectors.base import Address, Control, Tip

SINGLE = "single"
NONCE = "nonce"
"""It rises with whatever a wallet does, which is no change; one that falls lets old signatures count anew."""


@dataclass(frozen=True, slots=True)
class ControlChange:
    """`tip` is the block that brought it, as far as is known, and `seen` when that was told to us.

    `unwatched`: `before` is what an earlier run was told last; it changed at some time between, `tip` at the latest.
    """

    seen: datetime
    tip: Tip
    before: Control
    after: Control
    unwatched: bool = False


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
