"""The chains that pyrometer can read: `kind` → connector, as a literal; adding one is one folder and one line here."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import datetime
from importlib import import_module
from typing import Annotated, Protocol, cast

from pydantic import Field

from connectors.base import Address, Connector
from connectors.bitcoin.config import BitcoinConfig
from connectors.evm.config import EvmConfig

AnyChainConfig = Annotated[EvmConfig | BitcoinConfig, Field(discriminator="kind")]
"""What a chain can be told, by its `kind`."""


class Connect(Protocol):
    """Opens a chain; every kind's `client.connect`. See connectors.evm.client for the arguments."""

    def __call__(
        self,
        config: AnyChainConfig,
        *,
        chain: str,
        now: Callable[[], datetime],
        sleep: Callable[[float], Awaitable[None]] = ...,
        clock: Callable[[], float] = ...,
        rng: Callable[[], float] = ...,
    ) -> AbstractAsyncContextManager[Connector]: ...


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of chain. Its modules are imported when they are first used: web3 alone takes two seconds."""

    package: str

    @property
    def connect(self) -> Connect:
        return cast(Connect, import_module(f"{self.package}.client").connect)

    def canonical_on(self, config: AnyChainConfig) -> Callable[[str], Address]:
        """Text to the canonical address of the chain that is configured so; raises BadAddress."""
        module = import_module(f"{self.package}.address")
        return cast(Callable[[AnyChainConfig], Callable[[str], Address]], module.canonical_on)(config)


CONNECTORS: Mapping[str, Kind] = {
    "bitcoin": Kind("connectors.bitcoin"),
    "evm": Kind("connectors.evm"),
}
