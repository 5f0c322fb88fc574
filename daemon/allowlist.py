"""The allowlist: to whom wallets may pay that are not the exchange's own, from the configuration and its files."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import Field, model_validator

from connectors.base import Address
from connectors.config import Strict
from daemon.errors import ConfigError
from daemon.listing import Canonical, Listing
from daemon.model import Inventory

if TYPE_CHECKING:
    from daemon.settings import Settings

Allowlist = Mapping[tuple[str, Address], str]
"""(chain, address) → what the configuration calls it."""


class DestinationConfig(Strict):
    """Addresses of somebody else, on one chain, that wallets may pay."""

    chain: str = Field(description="name of a chain")
    addresses: tuple[str, ...] = Field((), description="whom it may pay there")
    addresses_file: Path | None = Field(None, description="instead: a file with one address a line")

    @model_validator(mode="after")
    def _one_source(self) -> DestinationConfig:
        if bool(self.addresses) == (self.addresses_file is not None):
            found = "; found both" if self.addresses else ""
            raise ValueError(f"expected its addresses under one of addresses, addresses_file{found}")
        return self


def build(
    settings: Settings, *, base: Path, canonical: Mapping[str, Canonical], inventory: Inventory
) -> dict[tuple[str, Address], str]:
    """Reads every address once; files count from `base`. `canonical` reads the addresses of each chain.

    ConfigError, with file and line, for an address that is none, one that stands twice on a chain, one of a wallet, an
    unreadable file, and anything that looks like key material.
    """
    allowed: dict[tuple[str, Address], str] = {}
    lists = {name: _listing(name, settings=settings, base=base, canonical=canonical) for name in settings.destinations}
    for name, listing in lists.items():
        for place, address in listing.addresses():
            key = (listing.chain, address)
            if key in inventory.wallet_of:
                message = f"{address} is of wallet {inventory.wallet_of[key]}; expected addresses of others alone"
                raise ConfigError(listing.place(place), message)
            if key in allowed:
                earlier = allowed[key]
                message = f"{address} already stands in destination {earlier} ({lists[earlier].told(address)})"
                raise ConfigError(listing.place(place), message)
            allowed[key] = name
    return allowed


def _listing(name: str, *, settings: Settings, base: Path, canonical: Mapping[str, Canonical]) -> Listing:
    config = settings.destinations[name]
    return Listing(
        at=("destinations", name),
        chain=config.chain,
        key="addresses",
        texts=config.addresses,
        file=config.addresses_file,
        canonical=canonical[config.chain],
        where=settings.where,
        base=base,
    )
