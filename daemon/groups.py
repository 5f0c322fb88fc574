"""Sums over wallets by token, tier and owner, at a cost that follows change: what exposure and windows are made of."""

from __future__ import annotations

from collections.abc import Mapping

from connectors.base import Token
from daemon.ledger import Total, Totals, WalletKey
from daemon.model import Inventory, Owner, Tier
from daemon.remembered import others

Group = tuple[Token, Tier, Owner]


class Groups:
    """Remembers the sums of the last look, and adds only what has changed since. Mutable, and pure of effects."""

    def __init__(self) -> None:
        self._inventory: Inventory | None = None
        self._tiers: Mapping[str, Tier] = {}
        self._keys: list[WalletKey] = []
        self._parts: list[Total] = []
        self._sums: dict[Group, Total] = {}

    def of(self, totals: Totals, *, tiers: Mapping[str, Tier], inventory: Inventory) -> dict[Group, Total]:
        """The sum of each group that has a wallet."""
        parts = list(totals.wallets.values())
        # The keys of a ledger stay as they are and in their order: where nothing changed, nothing is looked up.
        if inventory is not self._inventory or tiers != self._tiers or list(totals.wallets) != self._keys:
            self._inventory, self._tiers, self._keys = inventory, dict(tiers), list(totals.wallets)
            self._parts, self._sums = [Total()] * len(parts), {self._group(key): Total() for key in self._keys}
        for place in others(parts, self._parts):
            group = self._group(self._keys[place])
            self._sums[group] = self._sums[group] + (parts[place] - self._parts[place])
        self._parts = parts
        return dict(self._sums)

    def _group(self, key: WalletKey) -> Group:
        assert self._inventory is not None
        wallet, token = key
        return token, self._tiers[wallet], self._inventory.wallets[wallet].owner
