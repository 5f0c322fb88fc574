"""What a gate says to a signer at one moment."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta

GOOD_FOR = timedelta(seconds=10)
"""How long an answer may be relied on: whoever hears nothing newer within it must not sign."""


@dataclass(frozen=True, slots=True)
class GateState:
    """Of one wallet. Times are UTC.

    `open` is the answer. `since` is when it became so, and `reason` why, in words. `findings` are the ids of those that
    closed it, and `by` names the operator whose word it was, None where it was nobody's. A gate that is `blind` is
    closed only for as long as nobody sees the wallet; any other that is closed waits for an operator.
    """

    wallet: str
    since: datetime
    reason: str
    open: bool = field(kw_only=True)
    findings: tuple[str, ...] = ()
    by: str | None = None
    blind: bool = False

    @property
    def word(self) -> str:
        """`open` or `closed`."""
        return "open" if self.open else "closed"
