"""Configuration of an EVM chain: Ethereum and whatever speaks its JSON-RPC."""

from datetime import timedelta
from typing import Literal

from pydantic import Field

from connectors.config import AN_INSTANT, ChainConfig, Duration


class EvmConfig(ChainConfig):
    """A chain read by Ethereum's JSON-RPC."""

    kind: Literal["evm"]
    chain_id: int = Field(ge=1, description="EIP-155 chain id that every node must report; 1 is Ethereum")
    batch: int = Field(200, ge=1, le=10_000, description="calls in one JSON-RPC batch request")
    pending: Literal["auto", "off"] = Field(
        "auto", description="transactions that wait for a block: by whichever way a node offers, or not at all"
    )
    traces: Literal["auto", "off"] = Field(
        "auto", description="ask for traces of blocks in which ether moved that no transaction accounts for"
    )
    controls: Literal["auto", "off"] = Field(
        "auto", description="read who can move accounts that have code: owners, threshold, implementation"
    )
    sweep: Duration = Field(
        timedelta(hours=6), gt=AN_INSTANT, description="how often every account is asked whether it has code"
    )
    decimals: int = Field(18, ge=0, le=77, description="decimals of the native coin")

    @property
    def identity(self) -> tuple[str, str]:
        """The kind and the chain id."""
        return self.kind, str(self.chain_id)

    @property
    def reader(self) -> str:
        """How balances are read, for people."""
        return "batch"
