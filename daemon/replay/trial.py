"""Under which conditions a scenario is played: as it was, or with everything wrong at once that may be wrong."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from daemon.replay.faults import Faults


@dataclass(frozen=True, slots=True)
class Trial:
    """`nodes` and `agree` take the place of the scenario's where they are more; the last node of each chain lies.

    `reorganised` is how many blocks of each chain are undone in the middle of the timeline.
    """

    name: str
    nodes: int = 1
    agree: int = 1
    latency: timedelta = timedelta()
    failing: float = 0.0
    lying: bool = False
    reorganised: int = 0

    def apply(self, faults: Sequence[Faults]) -> None:
        """Has the nodes of a chain fail as this trial says."""
        for one in faults:
            self.burden(one)
        faults[-1].lying = self.lying

    def burden(self, faults: Faults) -> None:
        """Has a server be as slow and fail as often as this trial says; it tells the truth."""
        faults.latency, faults.failing = self.latency, self.failing


AS_IT_WAS = Trial("as it was")
ADVERSE = Trial(
    "adverse", nodes=3, agree=2, latency=timedelta(milliseconds=200), failing=0.05, lying=True, reorganised=3
)
"""200 ms of latency, one request of twenty fails, one node of three lies, and three blocks are undone."""
