"""Sums over wallets by token, tier and owner, at a cost that follows change: what exposure and windows are made of."""

from __future__ import annotations

from collections.abc import Mapping

from connectors.base import Token
from daemon.ledger import Total, Totals, WalletKey
from daemon.model import Inventory, Owner, Tier

Group = tuple[Token, Tier, Owner]


class Groups:
    """Remembers the sums of the last look, and adds only what has changed since. Mutable, and pure of effects."""

    def __init__(self) -> None:
        self._inventory: Inventory | None = None
        self._tiers: Mapping[str, Tier] = {}
        self._parts: dict[WalletKey, Total] = {}
        self._sums: dict[Group, Total] = {}

    def of(self, totals: Totals, *, tiers: Mapping[str, Tier], inventory: Inventory) -> dict[Group, Total]:
        """The sum of each group that has a wallet."""
        if inventory is not self._inventory or tiers != self._tiers:
            self._inventory, self._tiers = inventory, dict(tiers)
            self._parts, self._sums = {}, {}
        for key, part in totals.wallets.items():
            known = self._parts.get(key)
            if known is part:
                continue
            name, token = key
            group = (token, tiers[name], inventory.wallets[name].owner)
            change = part if known is None else part - known
            self._sums[group] = self._sums.get(group, Total()) + change
            self._parts[key] = part
        return dict(self._sums)
