"""When a source that was away is asked again."""

from __future__ import annotations

from datetime import timedelta

from connectors.transport import Timing

LONGEST_PAUSE = 60.0
"""Seconds between two attempts at a source that is away."""


def pause(failures: int, *, every: timedelta, timing: Timing) -> float:
    """Seconds until the next attempt: as configured, or doubling with each failure in a row, with jitter."""
    regular = every.total_seconds()
    if not failures:
        return regular
    return max(regular, min(LONGEST_PAUSE, regular * 2.0 ** min(failures, 16)) * (0.5 + timing.rng() / 2))
