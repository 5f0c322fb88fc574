"""What a wallet that pays still holds: what is left to save, if the payment is a theft."""

from daemon.interval import plain
from daemon.model import WalletState


def remaining(state: WalletState) -> dict[str, str | None]:
    """Whole coins by asset, JSON-ready, without what it holds none of; None where it can't be vouched for."""
    sure = {asset: plain(held.amount.low, places=80) for asset, held in state.holdings.items() if held.amount.low}
    return {**sure, **dict.fromkeys(state.doubtful)}
