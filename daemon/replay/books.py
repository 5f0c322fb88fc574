"""The exchange's books in a replay: what customers are owed of each asset, and when a payment reaches them."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal

from daemon.interval import EXACT
from daemon.replay.scenario import Scenario
from daemon.replay.script import Happening, LiabilitiesChanged, Payment

CREDITED_DEEPER = 1
"""By how many blocks a deposit is deeper than the chain is read when it is credited: whoever reads the books has had a
block's time to read the deposit too."""


@dataclass(frozen=True, slots=True)
class _Deposit:
    """Coins that are credited with the block of that number."""

    asset: str
    coins: Decimal
    block: int


class Books:
    """Whole coins of each asset of the scenario's `liabilities`; of others the books say nothing.

    A withdrawal is debited when it is paid, a deposit credited when it is so deep as `confirmations` says and
    CREDITED_DEEPER more. So what is owed is never ahead of what a daemon can have read by then.
    """

    def __init__(self, scenario: Scenario) -> None:
        self._owed = dict(scenario.liabilities)
        self._depths = {name: setup.confirmations + CREDITED_DEEPER for name, setup in scenario.chains.items()}
        self._blocks: Counter[str] = Counter()
        self._deposits: dict[str, deque[_Deposit]] = {name: deque() for name in scenario.chains}

    @property
    def owed(self) -> Mapping[str, Decimal]:
        """What they say now."""
        return self._owed

    def take(self, happening: Happening) -> None:
        """Enters what happens; most of it is none of the books' business."""
        if isinstance(happening, LiabilitiesChanged):
            for asset, change in happening.changes.items():
                self._add(asset, change)
        elif isinstance(happening, Payment) and happening.coin.asset in self._owed:
            self._pay(happening)

    def mined(self, chain: str) -> None:
        """A block came with all that waited. One that takes the place of another confirms nothing and is not told."""
        self._blocks[chain] += 1
        waiting = self._deposits[chain]
        while waiting and waiting[0].block <= self._blocks[chain]:
            deposit = waiting.popleft()
            self._add(deposit.asset, deposit.coins)

    def _pay(self, payment: Payment) -> None:
        if payment.owed > 0:
            block = self._blocks[payment.chain] + self._depths[payment.chain]
            self._deposits[payment.chain].append(_Deposit(payment.coin.asset, payment.owed, block))
        elif payment.owed:
            self._add(payment.coin.asset, payment.owed)

    def _add(self, asset: str, coins: Decimal) -> None:
        self._owed[asset] = EXACT.add(self._owed[asset], coins)
