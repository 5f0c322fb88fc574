"""Many questions at once, of which none is left behind when one fails or nobody waits for the answers any more."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterable
from typing import TypeVar

T = TypeVar("T")


async def together(questions: Iterable[Coroutine[None, None, T]], *, at_once: int | None = None) -> list[T]:
    """All answers, in the order of the questions, of which `at_once` are under way at a time, by default all.

    A failure is raised when the other questions have been withdrawn; those that were not begun never are.

    Neither asyncio.gather nor, before Python 3.13, asyncio.TaskGroup: when they are cancelled in the turn in which a
    question fails, they raise the failure, and the cancellation is lost.
    """
    asked = list(questions)
    left = iter(enumerate(asked))
    answers: dict[int, T] = {}

    async def work() -> None:
        for place, question in left:
            answers[place] = await question

    workers = [asyncio.create_task(work()) for _ in asked[:at_once]]
    if not workers:
        return []
    try:
        await asyncio.wait(workers, return_when=asyncio.FIRST_EXCEPTION)
    finally:
        for _, question in left:
            question.close()
        failure = await _withdrawn(workers)
    if failure is not None:
        raise failure
    return [answers[place] for place in range(len(asked))]


async def _withdrawn(workers: Iterable[asyncio.Task[None]]) -> BaseException | None:
    """One of the failures, None when all is well. All are looked at, so that the loop does not complain of one."""
    tasks = list(workers)
    for task in tasks:
        task.cancel()
        task.add_done_callback(_failure)  # they are looked at even when we are cancelled while we wait for them
    await asyncio.wait(tasks)
    return next(filter(None, map(_failure, tasks)), None)


def _failure(task: asyncio.Task[None]) -> BaseException | None:
    return None if task.cancelled() else task.exception()
