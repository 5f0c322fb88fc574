"""A clock that stands still while anybody works and leaps to the next moment that somebody waits for.

It makes a replay as fast as the work in it, and the same every time: nothing depends on how busy the machine is.
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
import random
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import ParamSpec, TypeVar

from connectors.transport import Timing

P = ParamSpec("P")
T = TypeVar("T")

IDLE_TURNS = 50
"""Turns of the event loop without a sign of work after which everybody waits, if nobody awaits an answer. A notice that
a server sends by itself has so many turns to arrive."""


class _Awaited(ThreadPoolExecutor):
    """Threads that the loop waits for: while one works, nobody may take everybody for idle."""

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        future = super().submit(fn, *args, **kwargs)
        wait([future])
        return future


class Simulation:
    """Its `now`, `clock` and `sleep` take the place of the real ones. It moves only in `run_until`.

    `busy` is a sign of work that takes no simulated time.
    """

    def __init__(self, start: datetime) -> None:
        self._start = start
        self._seconds = 0.0
        self._order = itertools.count()
        self._sleepers: list[tuple[float, int, asyncio.Future[None]]] = []
        self._signs = 0
        self._rested: int | None = None
        """How many signs there had been when everybody waited; None since somebody else had a turn of the loop."""
        self._away = 0
        """How many await an answer."""
        self._loop: asyncio.AbstractEventLoop | None = None
        """Whose threads are awaited."""

    def now(self) -> datetime:
        """The simulated time, UTC."""
        return self._start + timedelta(seconds=self._seconds)

    def clock(self) -> float:
        """Simulated seconds since the start."""
        return self._seconds

    def busy(self) -> None:
        """A sign of work: everybody gets a few turns more before time goes on.

        Who sends a notice unasked gives one, and who begins a task between two calls of `run_until`.
        """
        self._signs += 1

    async def sleep(self, seconds: float) -> None:
        """Returns when so many simulated seconds have passed."""
        self.busy()
        if seconds <= 0:
            await asyncio.sleep(0)
            return
        waking = asyncio.get_running_loop().create_future()
        heapq.heappush(self._sleepers, (self._seconds + seconds, next(self._order), waking))
        await waking
        self.busy()

    @contextmanager
    def away(self) -> Iterator[None]:
        """Somebody awaits an answer: time stands still until it is here."""
        self._away += 1
        try:
            yield
        finally:
            self._away -= 1
            self.busy()

    async def hold_back(self, seconds: float) -> None:
        """As `sleep`, for whoever owes an answer to somebody who is away: meanwhile that one is not waited for."""
        self._away -= 1
        try:
            await self.sleep(seconds)
        finally:
            self._away += 1

    def timing(self, chance: random.Random) -> Timing:
        """What a connector waits by."""
        return Timing(clock=self.clock, sleep=self.sleep, rng=chance.random, away=self.away)

    async def until(self, moment: datetime) -> None:
        """Returns when it is that late."""
        await self.sleep((moment - self.now()).total_seconds())

    async def run_until(self, moment: datetime, *, settled: Callable[[], Awaitable[None]]) -> None:
        """Lets simulated time pass up to the moment. `settled` is awaited whenever nobody works any more.

        From the first time on, what the loop gives to threads (asyncio.to_thread) is done before the loop goes on.
        """
        self._await_threads()
        end = (moment - self._start).total_seconds()
        while True:
            await self._idle()
            await settled()
            due = self._next_due()
            if due is None or due > end:
                break
            self._seconds = max(self._seconds, due)
            self._wake()
        self._seconds = max(self._seconds, end)
        asyncio.get_running_loop().call_soon(self._stir)

    def _stir(self) -> None:
        """Whoever had a turn may have begun something without a sign."""
        self._rested = None

    def _await_threads(self) -> None:
        loop = asyncio.get_running_loop()
        if self._loop is not loop:
            self._loop = loop
            loop.set_default_executor(_Awaited(max_workers=1))

    def _next_due(self) -> float | None:
        while self._sleepers and self._sleepers[0][2].done():  # who was cancelled waits no more
            heapq.heappop(self._sleepers)
        return self._sleepers[0][0] if self._sleepers else None

    def _wake(self) -> None:
        """Everybody who is due now."""
        while (due := self._next_due()) is not None and due <= self._seconds:
            heapq.heappop(self._sleepers)[2].set_result(None)
            self.busy()

    async def _idle(self) -> None:
        """Returns when everybody waits; at once when nobody else had a turn or gave a sign since they did."""
        if self._signs == self._rested and self._away <= 0:
            return
        turns, signs = 0, self._signs
        while turns < IDLE_TURNS or self._away > 0:
            await asyncio.sleep(0)
            turns += 1
            if self._signs != signs:
                turns, signs = 0, self._signs
        self._rested = signs
