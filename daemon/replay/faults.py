"""What can be wrong with a node: slow, failing, throttled, behind, lying."""

from __future__ import annotations

import random
from dataclasses import dataclass
from datetime import timedelta
from enum import Enum

from daemon.replay.simulation import Simulation


@dataclass(slots=True)
class Faults:
    """Of one node, to be changed at any time. A node that is `behind` tells the chain as it was so many blocks ago.

    `failing` is the share of requests that are answered by an error, in [0, 1]; `per_second` is how many requests are
    answered at most. One that is `lying` tells other balances than the chain's, at the chain's own blocks.
    """

    latency: timedelta = timedelta()
    failing: float = 0.0
    per_second: int | None = None
    behind: int = 0
    lying: bool = False


class Answering(Enum):
    """What becomes of a request."""

    WELL = "well"
    FAILING = "failing"  # HTTP 503, or the protocol's own word for an internal error
    TOO_MANY = "too many"  # HTTP 429, or the protocol's own word for it


class Door:
    """Every request to a node comes through here first. `seed` decides which ones fail."""

    def __init__(self, faults: Faults, *, simulation: Simulation, seed: int) -> None:
        self.faults = faults
        self.requests = 0
        """That came so far."""
        self._simulation = simulation
        self._random = random.Random(seed)  # noqa: S311 - a replay must repeat, not resist guessing
        self._second = (-1.0, 0)
        """The simulated second and how many requests came in it."""

    async def enter(self) -> Answering:
        """How to answer the request that has just come, after the latency."""
        self.requests += 1
        self._simulation.busy()
        if self.faults.latency:
            await self._simulation.hold_back(self.faults.latency.total_seconds())
        if self.faults.per_second is not None and self._is_one_too_many(self.faults.per_second):
            return Answering.TOO_MANY
        return Answering.FAILING if self._random.random() < self.faults.failing else Answering.WELL

    def leave(self) -> None:
        """The answer is on its way."""
        self._simulation.busy()

    def _is_one_too_many(self, most: int) -> bool:
        second = float(int(self._simulation.clock()))
        known, count = self._second
        count = count + 1 if second == known else 1
        self._second = (second, count)
        return count > most
