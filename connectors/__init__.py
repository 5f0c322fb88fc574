"""The chains that pyrometer can read: `kind` → connector, as a literal; adding one is one folder and one line here."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import datetime
from importlib import import_module
from typing import Annotated, Protocol, cast

from pydantic import Field

from connectors.base import Address, Connector, Round, Tip
from connectors.bitcoin.config import BitcoinConfig
from connectors.evm.config import EvmConfig
from connectors.nem.config import NemConfig
from connectors.quorum import Flaw
from connectors.symbol.config import SymbolConfig
from connectors.transport import Timing

AnyChainConfig = Annotated[EvmConfig | BitcoinConfig | NemConfig | SymbolConfig, Field(discriminator="kind")]
"""What a chain can be told, by its `kind`."""


class Connect(Protocol):
    """Opens a chain; every kind's `client.connect`. See connectors.evm.client for the arguments."""

    def __call__(
        self,
        config: AnyChainConfig,
        *,
        chain: str,
        now: Callable[[], datetime],
        timing: Timing = ...,
    ) -> AbstractAsyncContextManager[Connector]: ...


class Aggregators(Protocol):
    """Price aggregators; see connectors.evm.aggregators."""

    async def latest(self, contracts: Sequence[Address]) -> tuple[Tip, tuple[Round | Flaw, ...]]: ...


class OpenAggregators(Protocol):
    """Opens them as `Connect` opens a chain, of which it is given the same."""

    def __call__(
        self, config: AnyChainConfig, *, chain: str, now: Callable[[], datetime], timing: Timing = ...
    ) -> AbstractAsyncContextManager[Aggregators]: ...


Canonical = Callable[[str], Address]
"""Text to an account in the canonical form of its chain; raises BadAddress."""


FirstAddresses = Callable[[Address], Sequence[Address]]
"""The addresses of a canonical descriptor by which it is known again when it is written otherwise."""


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of chain. Its modules are imported when they are first used: web3 alone takes two seconds.

    `movements`: whether its connector's updates tell what transactions move, `controls` who controls accounts.
    `prices`: whether price aggregators on it can be asked.
    """

    package: str
    descriptors: bool = False
    movements: bool = True
    controls: bool = True
    prices: bool = False

    @property
    def aggregators(self) -> OpenAggregators | None:
        """What opens the price aggregators on such a chain; None where no connector knows any."""
        if not self.prices:
            return None
        return cast(OpenAggregators, import_module(f"{self.package}.aggregators").aggregators)

    def tells_control(self, config: AnyChainConfig) -> bool:
        """Whether a chain that is configured so is told of who controls its accounts."""
        return self.controls and getattr(config, "controls", "auto") != "off"

    @property
    def connect(self) -> Connect:
        return cast(Connect, import_module(f"{self.package}.client").connect)

    def canonical(self, config: AnyChainConfig) -> Canonical:
        """What reads the addresses of a chain that is configured so; those of two networks may differ."""
        return cast(Canonical, import_module(f"{self.package}.address").canonical_on(config))

    def contract(self, config: AnyChainConfig) -> Canonical:
        """What reads how a chain's tokens are named: contract addresses, or what stands for them."""
        return cast(Canonical, import_module(f"{self.package}.address").contract_on(config))

    def descriptor(self, config: AnyChainConfig) -> Canonical | None:
        """What reads output descriptors and extended public keys of such a chain; None where there are none."""
        if not self.descriptors:
            return None
        return cast(Canonical, import_module(f"{self.package}.descriptors").descriptor_on(config))

    def first_addresses(self, config: AnyChainConfig) -> FirstAddresses | None:
        """What gives the first addresses of a descriptor of such a chain; None where there are no descriptors."""
        if not self.descriptors:
            return None
        return cast(FirstAddresses, import_module(f"{self.package}.descriptors").first_addresses_on(config))


CONNECTORS: Mapping[str, Kind] = {
    "bitcoin": Kind("connectors.bitcoin", descriptors=True, controls=False),
    "evm": Kind("connectors.evm", prices=True),
    "nem": Kind("connectors.nem"),
    "symbol": Kind("connectors.symbol"),
}
