"""What a rule on payments is made of: something that is told each payment once, and says what stands against whom."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Protocol, runtime_checkable

from daemon.detection.case import Cases
from daemon.detection.outflow import Key, Outflow


class Detector(Protocol):
    """Mutable, and pure of effects; told outflows of all wallets in the order in which they were first seen.

    The cost of `take` and `withdraw` follows the one payment, that of `cases` the cases that stand, not what was ever
    told. What it remembers is bounded; its docstring says by what, and in bytes.
    """

    def take(self, outflow: Outflow) -> None:
        """A payment that is new, or has come to another stage, or is covered otherwise: takes the place of what was
        known under its key. Only outflows that stand."""
        ...

    def withdraw(self, key: Key) -> None:
        """It was replaced, evicted, or undone: it never happened. Of one that was never told: nothing."""
        ...

    def cases(self, now: datetime) -> Cases:
        """What stands at `now`; equal, as long as nothing has changed, to what was said before."""
        ...


@runtime_checkable
class Remembers(Protocol):
    """What must outlive a restart: rows of text under keys of its own, kept in the store under `kind`."""

    @property
    def kind(self) -> str: ...

    def changed(self) -> dict[str, str | None]:
        """The rows that changed since the last call: key → JSON, None where it is to be forgotten."""
        ...

    def restore(self, rows: dict[str, str]) -> None:
        """What an earlier run has left, before anything else is told. ValueError when it can't be read.

        Movements of that run are told again after it, so what they did to these rows is not to be counted twice.
        """
        ...


Make = Callable[..., Detector]
