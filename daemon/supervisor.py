"""Keeps a worker going: the only place that catches everything, because a dead worker must come back or be noticed."""

import asyncio
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

import structlog

from daemon.errors import Fatal

log = structlog.get_logger(__name__)

Sleep = Callable[[float], Awaitable[None]]


@dataclass(slots=True)
class Backoff:
    """Capped exponential delay with full jitter, in seconds (the form in AWS's "Exponential Backoff And Jitter")."""

    first: float = 0.2
    most: float = 15.0
    rng: random.Random = field(default_factory=random.Random)
    attempt: int = 0

    def next(self) -> float:
        ceiling = min(self.most, self.first * 2.0 ** min(self.attempt, 30))
        self.attempt += 1
        return self.rng.uniform(0, ceiling)

    def reset(self) -> None:
        self.attempt = 0


async def keep(
    name: str,
    step: Callable[[], Awaitable[None]],
    *,
    deadline: float | None = None,
    backoff: Backoff | None = None,
    sleep: Sleep = asyncio.sleep,
) -> None:
    """Runs `step` again and again until cancelled; only Fatal and cancellation leave it.

    `deadline` is the most seconds that one step may take. One line is logged when the worker goes down and one when
    a step has succeeded again, however often it failed in between.
    """
    backoff = backoff or Backoff()
    down = False
    while True:
        try:
            async with asyncio.timeout(deadline):
                await step()
        except Fatal:
            raise
        except (Exception, asyncio.CancelledError) as error:
            if _ours(error):
                raise
            if not down:
                what = f"{type(error).__name__}: {error}"
                log.error("worker down", worker=name, error=what, exc_info=_unexpected(error))  # noqa: TRY400
            down = True
            await sleep(backoff.next())
        else:
            if down:
                log.info("worker up again", worker=name)
            down = False
            backoff.reset()


def _ours(error: BaseException) -> bool:
    """Whether we are the ones to end; something inside a step that was cancelled by somebody else is its failure."""
    task = asyncio.current_task()
    return isinstance(error, asyncio.CancelledError) and (task is None or task.cancelling() > 0)


def _unexpected(error: BaseException) -> BaseException | None:
    """A traceback is for errors that nobody foresaw."""
    foreseen = type(error).__module__.partition(".")[0] in ("daemon", "connectors") or isinstance(error, OSError)
    return None if foreseen else error
