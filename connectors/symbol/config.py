"""Configuration of a Symbol chain: the network, its REST nodes, and how deep it is read."""

from __future__ import annotations

from datetime import timedelta
from typing import Literal, Self

from pydantic import Field, model_validator

from connectors.config import AN_INSTANT, ChainConfig, Duration

FINAL_AFTER = timedelta(minutes=30)
"""How long a block may take to become final while all is well: on mainnet some 20 blocks of 30 s, at times more."""

LONGEST_SETTLE = timedelta(seconds=10)
"""Blocks come every 30 s on average and often sooner; much longer than this, and many would never be read."""


class SymbolConfig(ChainConfig):
    """A chain read by the REST interface of Symbol's nodes (catapult-rest)."""

    kind: Literal["symbol"]
    network: Literal["mainnet", "testnet"] = Field(description="mainnet or testnet; a node of another one is refused")
    finalized: bool = Field(
        default=False, description="tell readings only once their block is final, some ten minutes after it was made"
    )
    batch: int = Field(100, ge=1, le=1000, description="accounts in one request")
    settle: Duration = Field(
        timedelta(seconds=2),
        le=LONGEST_SETTLE,
        description="how long a block must have stood before it is read: nodes write account states beside blocks",
    )
    poll: Duration = Field(
        timedelta(seconds=5), gt=AN_INSTANT, description="how often the nodes are asked for their newest block"
    )
    decimals: int = Field(6, ge=0, le=6, description="divisibility of the network's currency")

    @model_validator(mode="after")
    def _time_to_become_final(self) -> Self:
        if self.finalized and self.max_tip_age < FINAL_AFTER:
            raise ValueError("finalized: blocks may take half an hour to become final; raise max_tip_age to 1h")
        return self

    @property
    def identity(self) -> tuple[str, str]:
        """The kind and the network."""
        return self.kind, self.network

    @property
    def reader(self) -> str:
        """How balances are read, for people."""
        return "rest"
