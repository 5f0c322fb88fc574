"""Windows as JSON text and back, and whose accounts they sum over: what a restart goes on from."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from daemon.levels import Of, Subject
from daemon.model import Inventory, Tier


@dataclass(slots=True)
class Reading:
    """So many coins, read first at these heights, last at those of `last`, and held `until`."""

    coins: Decimal
    heights: Mapping[str, int]
    until: datetime
    last: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Kept:
    """One window as it was: the newest readings in order, older ones of falling coins, and what was whole last."""

    fresh: tuple[Reading, ...]
    settled: tuple[Reading, ...]
    whole: Decimal | None


@dataclass(frozen=True, slots=True)
class Summed:
    """What windows were summed over. `wallets`: chain, owner, tier, number and digest of the accounts, in their order.

    `assets` are their tokens as text.
    """

    wallets: Mapping[str, tuple[str, str, str, int, str]]
    assets: Mapping[str, frozenset[str]]


def window_key(subject: Subject, length: timedelta) -> str:
    raw = [subject.of.value, subject.asset, subject.name, length.total_seconds()]
    return json.dumps(raw, separators=(",", ":"))


def read_key(text: str) -> tuple[Subject, timedelta]:
    """ValueError when it is no such key."""
    of, asset, name, seconds = json.loads(text)
    return Subject(Of(of), asset, name), timedelta(seconds=seconds)


def encode(kept: Kept) -> str:
    raw = {
        "fresh": [[str(one.coins), _moment(one.until), dict(one.heights), dict(one.last)] for one in kept.fresh],
        "settled": [[str(one.coins), _moment(one.until), dict(one.last)] for one in kept.settled],
        "whole": None if kept.whole is None else str(kept.whole),
    }
    return json.dumps(raw, separators=(",", ":"))


def decode(text: str) -> Kept:
    """What `encode` was given, without the heights of what is settled; ValueError when it is nothing of the kind."""
    try:
        raw = json.loads(text)
        fresh = tuple(_reading(coins, until, dict(heights), dict(last)) for coins, until, heights, last in raw["fresh"])
        settled = tuple(_reading(coins, until, {}, dict(last)) for coins, until, last in raw["settled"])
        return Kept(fresh, settled, None if raw["whole"] is None else Decimal(raw["whole"]))
    except (KeyError, TypeError, AttributeError, ArithmeticError) as error:
        raise ValueError(f"no window: {type(error).__name__} {error}") from error


def summed(inventory: Inventory, tiers: Mapping[str, Tier]) -> Summed:
    wallets = {
        name: (one.chain, one.owner.value, tiers[name].value, len(one.accounts), _digest(one.accounts))
        for name, one in inventory.wallets.items()
    }
    assets = {name: frozenset(json.dumps(list(token)) for token in held) for name, held in inventory.assets.items()}
    return Summed(wallets, assets)


def encode_summed(found: Summed) -> str:
    raw = {"wallets": found.wallets, "assets": {name: sorted(held) for name, held in found.assets.items()}}
    return json.dumps(raw, separators=(",", ":"))


def decode_summed(text: str) -> Summed:
    try:
        raw = json.loads(text)
        wallets = {name: _wallet(one) for name, one in raw["wallets"].items()}
        return Summed(wallets, {name: frozenset(held) for name, held in raw["assets"].items()})
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"no inventory: {type(error).__name__} {error}") from error


def still_holds(subject: Subject, before: Summed, *, inventory: Inventory, now: Summed) -> bool:
    """Whether nothing has left what the subject is summed over but coins: it may have gained accounts."""
    if not before.assets.get(subject.asset, frozenset({""})) <= now.assets.get(subject.asset, frozenset()):
        return False
    return all(
        _goes_on(name, one, inventory=inventory, now=now, same_tier=subject.of is Of.TIER)
        for name, one in before.wallets.items()
        if subject.of is Of.ASSET or subject.name == (name if subject.of is Of.WALLET else one[2])
    )


def _goes_on(
    name: str, before: tuple[str, str, str, int, str], *, inventory: Inventory, now: Summed, same_tier: bool
) -> bool:
    found = now.wallets.get(name)
    if found is None or found[:2] != before[:2] or (same_tier and found[2] != before[2]):
        return False
    return found[3:] == before[3:] or _digest(inventory.wallets[name].accounts[: before[3]]) == before[4]


def _digest(accounts: Sequence[str]) -> str:
    return hashlib.sha256("\n".join(accounts).encode(errors="backslashreplace")).hexdigest()


def _wallet(raw: Sequence[Any]) -> tuple[str, str, str, int, str]:
    chain, owner, tier, count, digest = raw
    return str(chain), str(owner), str(tier), int(count), str(digest)


def _reading(coins: str, until: str, heights: Mapping[str, int], last: Mapping[str, int]) -> Reading:
    return Reading(Decimal(coins), heights, datetime.fromisoformat(until), last)


def _moment(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat()
