"""NEM's networks: what addresses begin with, and the first block that makes a chain ours."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Network:
    """`version` is the byte in front of addresses and in the versions of blocks and transactions; `nemesis` the hash
    of the first block, at height 1."""

    name: str
    version: int
    letter: str
    nemesis: str


NETWORKS: Mapping[str, Network] = {
    network.name: network
    for network in (
        Network("mainnet", 0x68, "N", "438cf6375dab5a0d32f9b7bf151d4539e00a590f7c022d5572c7d41815a24be4"),
        Network("testnet", 0x98, "T", "6e34a7895ce1653dde64a614f2ad4215f4217d9e0255b4c84a846e5f7677c6c5"),
    )
}
"""Version bytes and letters: nem-core, NetworkInfos.java. The hash that stands there is the nemesis block's generation
hash, the same on all networks; ours is what the second block names as its parent."""
