"""What stands against payments for a while: as long as they wait, and for a time after they were mined."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Generic, TypeVar

from connectors.base import Stage
from daemon.detection.case import Case, Cases
from daemon.detection.outflow import Key, Outflow
from daemon.movements import PENDING_KEPT

MOST = 10_000
"""Payments that one rule keeps, the newest: some 20 MB with their transactions."""

Kept = TypeVar("Kept")


@dataclass(slots=True)
class Standing(Generic[Kept]):
    """What a rule has to say of payments, by key, until each was mined longer than `keep` ago. Mutable."""

    keep: timedelta
    _kept: dict[Key, tuple[Outflow, Kept]] = field(default_factory=dict)

    def put(self, outflow: Outflow, what: Kept) -> None:
        """In the place of what was kept of it."""
        self._kept[outflow.key] = (outflow, what)
        while len(self._kept) > MOST:
            del self._kept[next(iter(self._kept))]

    def drop(self, key: Key) -> None:
        if self._kept:
            self._kept.pop(key, None)

    def at(self, now: datetime) -> Iterator[tuple[Outflow, Kept]]:
        """What stands now, the newest first; what does not is forgotten."""
        over = [key for key, (outflow, _) in self._kept.items() if now - outflow.since >= self._life(outflow)]
        for key in over:
            del self._kept[key]
        yield from reversed(self._kept.values())

    def _life(self, outflow: Outflow) -> timedelta:
        """Of one that waits longer than nodes keep it nobody tells that it is gone."""
        return self.keep if outflow.stage is Stage.MINED else PENDING_KEPT


def by_wallet(found: Iterator[tuple[str, Case]], *, unsure: dict[str, tuple[str, ...]] | None = None) -> Cases:
    """Cases by the wallet that each is held against, in their order."""
    cases: dict[str, list[Case]] = {}
    for wallet, case in found:
        cases.setdefault(wallet, []).append(case)
    return Cases({wallet: tuple(one) for wallet, one in cases.items()}, unsure or {})
