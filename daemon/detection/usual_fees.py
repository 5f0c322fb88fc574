"""What our payments have cost of late: the median that a fee is compared with."""

from __future__ import annotations

from bisect import bisect_left, insort

SAMPLES = 64
"""The newest transactions of a token that count; half of them must cost more before the median does."""

PER_BYTE = 1000
"""A rate is so many thousandths of a unit for a virtual byte, so that it is a whole number on cheap chains too."""


def rate(fee: int, *, size: int) -> int:
    """The fee for a virtual byte, in thousandths of a unit; the fee itself where the chain counts no size."""
    return fee * PER_BYTE // size if size else fee


class UsualFees:
    """Of the newest transactions that wallets of ours have paid for, whichever. Mutable; at most some 10 kB.

    What is pushed out by newer ones does not come back when those are withdrawn.
    """

    def __init__(self, rates: dict[str, int] | None = None) -> None:
        self.rates = dict(rates or {})
        """By transaction, the oldest first."""
        self._sorted = sorted(self.rates.values())

    def __len__(self) -> int:
        return len(self.rates)

    def take(self, transaction: str, rate: int) -> bool:
        """Whether that is news."""
        known = self.rates.get(transaction)
        if known == rate:
            return False
        if known is not None:
            self._drop(known)
        elif len(self.rates) >= SAMPLES:
            self._drop(self.rates.pop(next(iter(self.rates))))
        self.rates[transaction] = rate
        insort(self._sorted, rate)
        return True

    def withdraw(self, transaction: str) -> bool:
        rate = self.rates.pop(transaction, None)
        if rate is not None:
            self._drop(rate)
        return rate is not None

    def median(self) -> int | None:
        """The lower one of two; None without any."""
        return self._sorted[(len(self._sorted) - 1) // 2] if self._sorted else None

    def _drop(self, rate: int) -> None:
        del self._sorted[bisect_left(self._sorted, rate)]
