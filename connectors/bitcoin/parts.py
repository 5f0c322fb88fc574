"""What both kinds of book do with what a source tells: coins by outpoint, flaws of single accounts, spent coins."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import islice

from connectors.bitcoin.accounts import Accounts
from connectors.bitcoin.coins import Coin
from connectors.bitcoin.sources.base import Snapshot
from connectors.errors import NodeError, Reason
from connectors.quorum import Flaw

MOST_GONE = 100_000
"""Spent coins that are remembered: a mempool tells of what a reorganisation brings back before the book goes back."""


def flaws(accounts: Accounts, *, refused: Mapping[bytes, NodeError]) -> dict[int, Flaw]:
    """Why single accounts have no value, by their number."""
    found = {accounts.scripts[script]: Flaw(Reason.NODE_ERROR, str(error)) for script, error in refused.items()}
    return found | {number: Flaw(Reason.MISCONFIGURED, why) for number, why in accounts.faults.items()}


def coins_of(part: Snapshot) -> Iterable[tuple[bytes, Coin]]:
    """Its coins by their outpoints. A coinbase's is not told apart in a scan; that matters to nobody here."""
    return (
        (coin.txid + coin.vout.to_bytes(4, "little"), Coin(coin.script, coin.value, coin.height, coinbase=False))
        for coin in part.coins
    )


def shorten(gone: dict[bytes, Coin]) -> None:
    """Forgets the oldest of them beyond MOST_GONE."""
    for old in list(islice(gone, max(0, len(gone) - MOST_GONE))):
        del gone[old]
