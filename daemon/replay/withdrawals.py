"""What the exchange's back office has approved in a replay: every withdrawal of a scenario that is to be paid."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

from daemon.interval import plain
from daemon.replay.cast import Account, Cast, Coin
from daemon.replay.script import Approved, Payment

ALL_PLACES = 80
"""More decimals than a token can have: amounts are told exactly."""

LEAST_KEPT, BLOCKS_KEPT = timedelta(hours=1), 6
"""How long an approval is told: an hour, or six blocks of the slowest chain, by when its payment was read."""

Told = dict[str, str]


class Withdrawals:
    """Open approvals, the oldest first. `address` says where an account is on its chain; they are told for `kept`."""

    def __init__(self, cast: Cast, *, address: Callable[[Account], str], kept: timedelta) -> None:
        self._cast = cast
        self._address = address
        self._kept = kept
        self._open: deque[tuple[datetime, Told]] = deque()
        self._count = 0

    def needs_approval(self, payment: Payment) -> bool:
        """Whether it leaves the wallets and the books are to know of it."""
        leaves = self._cast.wallet_of(payment.payer) is not None and self._cast.wallet_of(payment.payee) is None
        return leaves and payment.approved

    def approve(self, what: Payment | Approved, *, at: datetime) -> None:
        """Enters one; moments must not go back."""
        self._count += 1
        told = {
            "id": f"w{self._count}",
            "asset": what.coin.asset,
            "amount": _amount(what.coin, what.units),
            "destination": self._address(what.payee),
            "chain": what.payee.chain,
            "at": f"{at:%Y-%m-%dT%H:%M:%S.%fZ}",
        }
        self._open.append((at, told))

    def told(self, now: datetime) -> Sequence[Told]:
        """What the back office names now."""
        while self._open and self._open[0][0] < now - self._kept:
            self._open.popleft()
        return [told for _, told in self._open]


def _amount(coin: Coin, units: int) -> str:
    return plain(coin.coins(units), places=ALL_PLACES)
