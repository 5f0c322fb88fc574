"""Which tasks are still there: a library's task may need another turn of the loop to end after it was cancelled."""

import asyncio
from collections.abc import Collection

PATIENCE = 5.0
"""Seconds that an ended task is waited for; one that is left behind waits for more than that."""


SERVING = {"RequestHandler.start", "Door._pass", "_copy"}
"""What serves one connection in a test's own server, in the test's loop."""


async def left_behind(
    before: Collection[asyncio.Task[object]], *, pool_stays: bool = False
) -> set[asyncio.Task[object]]:
    """The tasks that began after `before` was taken and have not ended, after they were given time to.

    `pool_stays`: the client keeps its connections for the next request, and so they are served on.
    """
    loop = asyncio.get_running_loop()
    deadline = loop.time() + PATIENCE
    while new := {task for task in asyncio.all_tasks() - set(before) if not (pool_stays and _serves(task))}:
        if loop.time() > deadline:
            return new
        await asyncio.sleep(0.01)
    return set()


def _serves(task: asyncio.Task[object]) -> bool:
    return getattr(task.get_coro(), "__qualname__", "") in SERVING
