"""How fast a replay goes before somebody who watches."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

from daemon.replay.pace import GLANCE, at_once, paced

START = datetime(2018, 1, 25, 12, tzinfo=UTC)


async def test_nobody_who_watches_is_at_the_moment_at_once() -> None:
    assert [moment async for moment in at_once(START)] == [START]


async def test_the_way_to_a_moment_is_seen_glance_by_glance_and_ends_there() -> None:
    began = asyncio.get_running_loop().time()
    to = START + timedelta(seconds=300)
    seen = [moment async for moment in paced(START, speed=1000)(to)]
    assert seen == sorted(seen)
    assert seen[-1] == to
    assert len(seen) <= 2 + timedelta(seconds=0.3) / GLANCE
    assert asyncio.get_running_loop().time() - began >= 0.29


async def test_a_moment_that_is_past_comes_at_once() -> None:
    """Whoever can't keep up plays as fast as they can."""
    moments = paced(START, speed=86_400)
    assert [moment async for moment in moments(START - timedelta(hours=1))] == [START - timedelta(hours=1)]
