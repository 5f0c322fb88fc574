"""The chains that pyrometer can read: `kind` → connector, as a literal; adding one is one folder and one line here."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import datetime
from importlib import import_module
from typing import Protocol, cast

from connectors.base import Address, Connector
from connectors.evm.config import EvmConfig

AnyChainConfig = EvmConfig
"""The configuration union on `kind`; becomes a discriminated union with the second kind."""


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

    @property
    def canonical(self) -> Callable[[str], Address]:
        """Text to the chain's canonical address; raises BadAddress."""
        return cast(Callable[[str], Address], import_module(f"{self.package}.address").canonical)


CONNECTORS: Mapping[str, Kind] = {
    "evm": Kind("connectors.evm"),
}
