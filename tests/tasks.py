"""Which tasks are still there: a library's task may need another turn of the loop to end after it was cancelled."""

import asyncio
from collections.abc import Collection

PATIENCE = 5.0
"""Seconds that an ended task is waited for; one that is left behind waits for more than that."""


async def left_behind(before: Collection[asyncio.Task[object]]) -> set[asyncio.Task[object]]:
    """The tasks that began after `before` was taken and have not ended, after they were given time to."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + PATIENCE
    while new := asyncio.all_tasks() - set(before):
        if loop.time() > deadline:
            return new
        await asyncio.sleep(0.01)
    return set()
