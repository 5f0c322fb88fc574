"""What a book makes of a part that a source told: coins by their outpoints, and why single accounts have no value."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from connectors.bitcoin.accounts import Accounts
from connectors.bitcoin.coins import Coin
from connectors.bitcoin.sources.base import Snapshot
from connectors.errors import NodeError, Reason
from connectors.quorum import Flaw


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
