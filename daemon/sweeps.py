"""What scheduled sweeps of everything have found."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from connectors.base import Drift, Tip


@dataclass(frozen=True, slots=True)
class Drifted:
    """One account that had drifted; `wallet` and `asset` are None where the configuration names them no longer."""

    wallet: str | None
    asset: str | None
    drift: Drift


@dataclass(frozen=True, slots=True)
class SweepState:
    """What the last sweep of a chain found at `tip`, when the node had reported that.

    `accounts` counts all accounts (times tokens) that had drifted, `drifted` holds the first of them.
    """

    at: datetime
    tip: Tip
    accounts: int
    drifted: tuple[Drifted, ...]
