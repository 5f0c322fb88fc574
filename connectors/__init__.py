"""The chains that pyrometer can read: `kind` → connector, as a literal; adding one is one folder and one line here."""

from connectors.evm.config import EvmConfig

AnyChainConfig = EvmConfig
"""The configuration union on `kind`; becomes a discriminated union with the second kind."""
