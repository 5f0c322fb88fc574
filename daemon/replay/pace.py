"""How fast a replay goes before somebody who watches."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from datetime import datetime, timedelta

Pace = Callable[[datetime], AsyncIterator[datetime]]
"""Gives the moments on the way to one, each when it is its time; the last is that one."""

GLANCE = timedelta(seconds=0.1)
"""Of real time, between two moments that somebody who watches sees."""


async def at_once(moment: datetime) -> AsyncIterator[datetime]:
    """A Pace for nobody who watches."""
    yield moment


def paced(start: datetime, *, speed: float) -> Pace:
    """From now on `speed` simulated seconds a second, of which the first is the one after `start`."""
    began = time.monotonic()

    async def moments(to: datetime) -> AsyncIterator[datetime]:
        while True:
            passed = timedelta(seconds=(time.monotonic() - began) * speed)
            if start + passed >= to:
                yield to
                return
            yield start + passed
            left = (to - start - passed).total_seconds() / speed
            await asyncio.sleep(min(GLANCE.total_seconds(), left))

    return moments
