"""What is known of destinations before anything moves: the inventory, the allowlist, and what looks like either."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from itertools import chain as concatenated
from typing import NamedTuple

from connectors.base import Address
from daemon.detection.resemblance import Ends, Growing, Resemblance, by_kind, compared, parted
from daemon.model import Inventory

NOBODY: Mapping[tuple[str, Address], str] = {}


class LookAlike(NamedTuple):
    """Whom a destination is made to look like: `name` is what the known address is called, None if it is only usual."""

    name: str | None
    resemblance: Resemblance

    @property
    def says(self) -> str:
        return f"looks like {self.name or 'the usual destination'} {self.resemblance.known} but is not it"


class Destinations:
    """Immutable. `allowed` names whom wallets may pay beside each other.

    To find whom one looks like takes up to 32 bytes for each known address beside their texts, once it was asked or
    `prepared`; preparing a million takes seconds. Two are equal that know the same.
    """

    def __init__(self, inventory: Inventory, allowed: Mapping[tuple[str, Address], str] = NOBODY) -> None:
        self._inventory = inventory
        self._allowed = allowed

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Destinations):
            return NotImplemented
        return self._allowed == other._allowed and self._inventory == other._inventory

    __hash__ = None  # type: ignore[assignment]  # as of every value made of mappings

    def known(self, chain: str, name: str) -> bool:
        """Whether it is one of our accounts, or allowed."""
        key = (chain, name)
        return key in self._allowed or key in self._inventory.wallet_of

    def looks_like(self, chain: str, name: str, *, usual: Growing | None = None) -> LookAlike | None:
        """The known destination that an unknown one resembles most, if any; `usual` are more of them."""
        one = parted(name)
        if one is None:
            return None
        kind = self._kinds.get((chain, one.lead))
        candidates = [] if kind is None else kind.candidates(one.body)
        if usual is not None:
            candidates += usual.candidates(chain, one)
        if not candidates:
            return None
        among = (0 if kind is None else len(kind)) + (0 if usual is None else usual.size(chain, one))
        found = compared(one, candidates, among=among)
        return None if found is None else LookAlike(self._name(chain, found.known), found)

    def prepare(self) -> None:
        """Does now what the first question would take."""
        _ = self._kinds

    def _name(self, chain: str, address: Address) -> str | None:
        key = (chain, address)
        return self._allowed.get(key) or self._inventory.wallet_of.get(key)

    @cached_property
    def _kinds(self) -> Mapping[tuple[str, str], Ends]:
        return dict(by_kind(concatenated(self._inventory.wallet_of, self._allowed)))
