"""Time that stands still until a test lets it pass: whoever sleeps meanwhile is woken in the order of the hours."""

from __future__ import annotations

import asyncio

from connectors.transport import Timing

TURNS = 200
"""Of the loop: more than anything here needs until it sleeps or waits again."""


async def settled() -> None:
    """Until everybody has done what can be done at this hour."""
    for _ in range(TURNS):
        await asyncio.sleep(0)


class SteppedTime:
    """`pauses` are the seconds that were slept or are to be, as far as they are not zero, in the order of asking."""

    def __init__(self) -> None:
        self.now = 0.0
        self.pauses: list[float] = []
        self._sleepers: list[tuple[float, asyncio.Event]] = []

    def timing(self) -> Timing:
        return Timing(clock=lambda: self.now, sleep=self._sleep, rng=lambda: 1.0)

    async def passes(self, seconds: float) -> None:
        """So much time, and everything that happens in it."""
        until = self.now + seconds
        await settled()
        while due := sorted(at for at, _ in self._sleepers if at <= until):
            self.now = due[0]
            for at, woken in self._sleepers:
                if at <= self.now:
                    woken.set()
            await settled()
        self.now = until

    async def _sleep(self, seconds: float) -> None:
        if seconds <= 0:
            await asyncio.sleep(0)
            return
        self.pauses.append(seconds)
        sleeper = (self.now + seconds, asyncio.Event())
        self._sleepers.append(sleeper)
        try:
            await sleeper[1].wait()
        finally:
            self._sleepers.remove(sleeper)
