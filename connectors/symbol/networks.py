"""The public networks of Symbol, and what tells them apart."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Network:
    """`identifier` is the first byte of its addresses, which makes them begin with `letter`.

    `generation_hash` is the seed that every signature on the network covers, in capital hexadecimal digits.
    """

    name: str
    identifier: int
    letter: str
    generation_hash: str


NETWORKS: Mapping[str, Network] = {
    network.name: network
    for network in (
        Network("mainnet", 0x68, "N", "57F7DA205008026C776CB6AED843393F04CD458E0AA2D9F1D5F31A402072B2D6"),
        Network("testnet", 0x98, "T", "49D6E1CE276A85B70EAFE52349AACCA389302E7A9754BCF1221E79494FC665A4"),
    )
}
"""Source: symbol/symbol, sdk/python, symbolchain/symbol/Network.py. The test network has been begun anew before."""
