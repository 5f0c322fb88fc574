"""Deriving from an extended public key, against bitcoinlib, in one run."""

import time
from typing import Any

from connectors.bitcoin.address import address_of
from connectors.bitcoin.descriptors import parse
from connectors.bitcoin.networks import NETWORKS
from connectors.bitcoin.reference import bitcoinlib

ADDRESSES = 100_000
ROUNDS = 10
PEER_ADDRESSES = 100

ACCOUNT = (
    "zpub6rFR7y4Q2AijBEqTUquhVz398htDFrtymD9xYYfG1m4wAcvPhXNfE3EfH1r1ADqtfSdVCToUG868RvUUkgDKf31mGDtKsAYz2oz2AGutZYs"
)
"""The account of BIP-84's test vectors."""


async def btc_derive() -> dict[str, object]:
    """Microseconds per P2WPKH address: 100,000 of ours, scripts and addresses, against bitcoinlib.

    `peer` is `account.key_for_path("0/i").address()`, as its documentation derives; `peer_child` holds the key of the
    branch and calls `child_public(i).address()`, the quickest it can do. All take turns in rounds of about half a
    second, and the best round of each counts. Ours uses every processor, bitcoinlib can't; its 100,000 would take
    minutes, so that its rounds derive fewer.
    """
    count = ADDRESSES // ROUNDS
    ours = peer = child = float("inf")
    for number in range(ROUNDS):
        ours = min(ours, _ours(number * count, count))
        peer = min(peer, _peer(range(number * count, number * count + PEER_ADDRESSES)))
        child = min(child, _peer_child(range(number * count, number * count + PEER_ADDRESSES)))
    return {
        "bench": "btc_derive",
        "ours": round(ours, 1),
        "peer": round(peer, 1),
        "peer_child": round(child, 1),
        "ratio": round(peer / ours, 1),
        "unit": "µs per address",
    }


def _ours(start: int, count: int) -> float:
    network = NETWORKS["bitcoin"]
    began = time.perf_counter()
    receiving = parse(ACCOUNT, network=network).branches[0]
    addresses = [address_of(script, network=network) for script in receiving.scripts(start, start + count)]
    seconds = time.perf_counter() - began
    if addresses[-1] != _account().key_for_path(f"0/{start + count - 1}").address():
        raise RuntimeError("another address than bitcoinlib's")
    return seconds / count * 1e6


def _peer(indices: range) -> float:
    account = _account()
    began = time.perf_counter()
    for index in indices:
        account.key_for_path(f"0/{index}").address()
    return (time.perf_counter() - began) / len(indices) * 1e6


def _peer_child(indices: range) -> float:
    receiving = _account().child_public(0)
    began = time.perf_counter()
    for index in indices:
        receiving.child_public(index).address()
    return (time.perf_counter() - began) / len(indices) * 1e6


def _account() -> Any:  # noqa: ANN401 - bitcoinlib has no types
    return bitcoinlib("keys").HDKey(ACCOUNT, network="bitcoin", witness_type="segwit")
