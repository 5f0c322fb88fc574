"""A detector that judges each payment by what its wallet had done before, once, and again when that turns out wrong."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta

from connectors.base import Stage
from daemon.detection.case import NONE, Case, Cases
from daemon.detection.outflow import Key, Outflow

MOST = 2000
"""Payments, of all wallets, that are judged again when an earlier one is withdrawn; and as many cases: below 4 MB."""


class ByHistory:
    """See Detector. A payment is judged when it is told first, before its wallet's profile counts it; that of a
    transaction that stands in a profile already, by what stood there before it."""

    def __init__(self, judge: Callable[[Outflow], Case | None], *, keep: timedelta) -> None:
        """`keep` is how long a case stands after its payment was mined."""
        self._judge, self._keep = judge, keep
        self._recent: OrderedDict[Key, Outflow] = OrderedDict()
        self._cases: dict[Key, Case] = {}
        self._said: Cases | None = NONE

    def take(self, outflow: Outflow) -> None:
        key = outflow.key
        known = self._recent.get(key)
        if known is None and len(self._recent) >= MOST:
            self._recent.popitem(last=False)
        self._recent[key] = outflow
        if known is None or not known.pays_as(outflow):
            self._enter(outflow)
        elif self._cases and key in self._cases:
            self._cases[key] = replace(self._cases[key], outflow=outflow)
            self._said = None

    def withdraw(self, key: Key) -> None:
        gone = self._recent.pop(key, None)
        if self._cases.pop(key, None) is not None:
            self._said = None
        if gone is None:
            return
        for later in [one for one in self._recent.values() if one.wallet == gone.wallet]:
            if later.first_seen >= gone.first_seen:
                self._enter(later)

    def cases(self, now: datetime) -> Cases:
        over = [key for key, case in self._cases.items() if _is_over(case.outflow, keep=self._keep, now=now)]
        for key in over:
            del self._cases[key]
        if over or self._said is None:
            self._said = self._sorted()
        return self._said

    def _enter(self, outflow: Outflow) -> None:
        case = self._judge(outflow)
        if case is not None:
            self._cases[outflow.key] = case
            while len(self._cases) > MOST:
                del self._cases[next(iter(self._cases))]
            self._said = None
        elif self._cases and self._cases.pop(outflow.key, None) is not None:
            self._said = None

    def _sorted(self) -> Cases:
        by_wallet: dict[str, list[Case]] = {}
        for case in sorted(self._cases.values(), key=lambda one: one.outflow.since, reverse=True):
            by_wallet.setdefault(case.outflow.wallet, []).append(case)
        return Cases({wallet: tuple(cases) for wallet, cases in by_wallet.items()}) if by_wallet else NONE


def _is_over(one: Outflow, *, keep: timedelta, now: datetime) -> bool:
    return one.stage is Stage.MINED and now - one.since >= keep
