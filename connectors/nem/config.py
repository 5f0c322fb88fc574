"""Configuration of a NEM chain: which network, and the NIS1 nodes to ask."""

from __future__ import annotations

from datetime import timedelta
from typing import Literal

from pydantic import Field

from connectors.config import AN_INSTANT, ChainConfig, Duration
from connectors.nem.networks import NETWORKS

DEEPEST = 360
"""Blocks that NIS gives up at most for another branch (nis.blockChainRewriteLimit)."""


class NemConfig(ChainConfig):
    """A chain read from NIS1 nodes."""

    kind: Literal["nem"]
    network: Literal["mainnet", "testnet"] = Field("mainnet", description="mainnet or testnet")
    nemesis: str | None = Field(
        None,
        pattern=r"^[0-9a-f]{64}$",
        description="hash of the first block, for a network of one's own; default: the network's",
    )
    confirmations: int = Field(
        1, ge=1, le=DEEPEST, description="read this deep: 1 is the newest block; NIS undoes no block deeper than 360"
    )
    poll: Duration = Field(
        timedelta(seconds=5), gt=AN_INSTANT, description="how often the nodes are asked for their newest block"
    )
    max_tip_age: Duration = Field(
        timedelta(minutes=15), gt=AN_INSTANT, description="nodes whose newest block is older than this stand still"
    )
    batch: int = Field(100, ge=1, le=1000, description="accounts in one request for balances")
    settle: Duration = Field(
        timedelta(seconds=1),
        description="how long a node may show a new block later than its accounts show it; readings wait that long",
    )
    sweep: Duration = Field(
        timedelta(hours=1), gt=AN_INSTANT, description="how often everything is read anew, touched or not"
    )
    pending_accounts: int = Field(
        50, ge=0, le=10_000, description="accounts asked for unconfirmed transactions in one poll; all have their turn"
    )

    @property
    def decimals(self) -> int:
        """Of the native coin, XEM."""
        return 6

    @property
    def reader(self) -> str:
        """How balances are read, for people."""
        return "accounts"

    @property
    def identity(self) -> tuple[str, str]:
        """The kind and the hash of the first block."""
        return self.kind, self.nemesis_hash

    @property
    def nemesis_hash(self) -> str:
        """Of the block at height 1."""
        return self.nemesis or NETWORKS[self.network].nemesis
