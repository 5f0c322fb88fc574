"""Several questions to one node at a time, without leaving one behind when another fails."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

from connectors.errors import ConnectorError

S = TypeVar("S")
T = TypeVar("T")

AT_ONCE = 4
"""Requests that are under way on one node at a time."""


async def abreast(items: Sequence[S], work: Callable[[S], Awaitable[T]]) -> list[T]:
    """The results in the order of the items. Raises the first ConnectorError; then nothing is under way any more."""
    results: dict[int, T] = {}
    left = iter(enumerate(items))

    async def worker() -> None:
        for place, item in left:
            results[place] = await work(item)

    failure: ConnectorError | None = None
    try:
        async with asyncio.TaskGroup() as group:
            for _ in range(min(AT_ONCE, len(items))):
                group.create_task(worker())
    except* ConnectorError as errors:
        failure = next(error for error in errors.exceptions if isinstance(error, ConnectorError))
    if failure is not None:
        raise failure
    return [results[place] for place in range(len(items))]
