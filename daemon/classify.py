"""Which tier a wallet is in: so far, the one that its owner declares."""

from collections.abc import Mapping

from daemon.model import Tier, Wallet


def classify(wallets: Mapping[str, Wallet]) -> dict[str, Tier]:
    """The tier by which each wallet is judged."""
    return {name: wallet.tier for name, wallet in wallets.items()}
