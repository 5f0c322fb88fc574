"""What stands against a wallet: single payments, each with the reason, and what can't be said."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from daemon.detection.outflow import Outflow


@dataclass(frozen=True, slots=True)
class Case:
    """One payment that a rule objects to: `says` why, in words; `facts` are JSON-ready and stand in the evidence."""

    outflow: Outflow
    says: str
    facts: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Cases:
    """What one rule has found. `by_wallet`: the cases of each wallet that has any, the newest first.

    `unsure` names, by wallet, the causes (as in Verdict) for which nothing certain can be said of it.
    """

    by_wallet: Mapping[str, tuple[Case, ...]] = field(default_factory=dict)
    unsure: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


NONE = Cases()
