"""What one configuration means to the pipe."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal

from daemon.classify import Classification
from daemon.detection.approvals import Grounds
from daemon.detection.destinations import Destinations
from daemon.exposure import Ages
from daemon.feeds.plan import Plan
from daemon.model import Inventory
from daemon.policy.rule import Rule


@dataclass(frozen=True, slots=True)
class Setup:
    """What one configuration means; a reload swaps it whole.

    `growth` is how much unread accounts may have grown; `began` when this configuration came into force; `telling` the
    chains whose connectors tell movements, `controlling` those whose connectors tell who controls accounts;
    `destinations` what is known of whom wallets pay, None without an allowlist.
    """

    entity: str
    currency: str
    inventory: Inventory
    policies: tuple[tuple[str, Rule], ...]
    feeds: Plan
    growth: Decimal
    ages: Mapping[str, Ages]
    began: datetime
    telling: frozenset[str] = frozenset()
    controlling: frozenset[str] = frozenset()
    classification: Classification = field(default_factory=Classification)
    destinations: Destinations | None = field(default=None, compare=False)
    grounds: Grounds = field(default_factory=Grounds)
    """What approvals are read by."""
