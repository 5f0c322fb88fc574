"""Notices for sources that send none: asking for the newest block again and again."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from datetime import timedelta

from connectors.bitcoin.sources.base import Change, Doubt, NewBlock
from connectors.errors import ConnectorError
from connectors.heads import Witness
from connectors.transport import Timing

LONGEST_PAUSE = 60.0
"""Seconds between two attempts at a source that is away."""


async def polled(source: Witness, *, every: timedelta, timing: Timing) -> AsyncGenerator[Change, None]:
    """A NewBlock whenever the newest block is another one, a Doubt first and when the source goes away or is back.

    Pending transactions are not looked at.
    """
    yield Doubt("nothing was looked at yet")
    known, failures = "", 0
    while True:
        try:
            head = await source.head()
        except ConnectorError as error:
            if not failures:
                yield Doubt(str(error))
            failures += 1
        else:
            if failures:
                yield Doubt("the source is back")
            elif head.hash != known:
                yield NewBlock()
            known, failures = head.hash, 0
        await timing.sleep(pause(failures, every=every, timing=timing))


def pause(failures: int, *, every: timedelta, timing: Timing) -> float:
    """Seconds until the next attempt: as configured, or doubling with each failure in a row, with jitter."""
    regular = every.total_seconds()
    if not failures:
        return regular
    return max(regular, min(LONGEST_PAUSE, regular * 2.0 ** min(failures, 16)) * (0.5 + timing.rng() / 2))
