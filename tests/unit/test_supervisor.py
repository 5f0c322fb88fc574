"""keep(): a worker comes back, says so once, and leaves only for Fatal or cancellation."""

import asyncio
import random

import pytest
from structlog.testing import capture_logs

from daemon.errors import Fatal, StoreError
from daemon.supervisor import Backoff, keep


class Script:
    """A step that does what the script says, one word a call, then ends the test by Fatal."""

    def __init__(self, *words: str) -> None:
        self.words = list(words)
        self.calls = 0

    async def __call__(self) -> None:
        self.calls += 1
        word = self.words.pop(0) if self.words else "fatal"
        if word == "fatal":
            raise Fatal("the end")
        if word == "bug":
            raise ZeroDivisionError("a bug")
        if word == "fail":
            raise StoreError("locked")
        if word == "stray":
            await cancelled_by_somebody()
        if word == "hang":
            await asyncio.sleep(3600)


async def cancelled_by_somebody() -> None:
    inner = asyncio.ensure_future(asyncio.sleep(3600))
    asyncio.get_running_loop().call_soon(inner.cancel)
    await inner


async def played(*words: str, deadline: float | None = None) -> tuple[Script, list[float], list[str]]:
    script, slept = Script(*words), list[float]()

    async def sleep(seconds: float) -> None:
        slept.append(seconds)

    with capture_logs() as logs, pytest.raises(Fatal):
        await keep("worker", script, deadline=deadline, sleep=sleep, backoff=Backoff(rng=random.Random(1)))
    return script, slept, [entry["event"] for entry in logs]


async def test_one_line_when_it_goes_down_and_one_when_it_is_up_again() -> None:
    script, slept, lines = await played("ok", "fail", "bug", "fail", "ok", "ok")
    assert lines == ["worker down", "worker up again"]
    assert (script.calls, len(slept)) == (7, 3)


async def test_a_step_that_hangs_past_its_deadline_is_a_failure() -> None:
    script, slept, lines = await played("hang", "ok", deadline=0.01)
    assert (script.calls, len(slept), lines) == (3, 1, ["worker down", "worker up again"])


async def test_a_worker_does_not_die_of_a_cancellation_that_was_not_meant_for_it() -> None:
    script, slept, lines = await played("stray", "ok", "stray", deadline=5)
    assert (script.calls, len(slept)) == (4, 2)
    assert lines == ["worker down", "worker up again", "worker down"]


async def test_only_an_unforeseen_error_is_logged_with_its_traceback() -> None:
    for word, expected in (("fail", False), ("bug", True)):
        with capture_logs() as logs, pytest.raises(Fatal):
            await keep("worker", Script(word), sleep=lambda _seconds: asyncio.sleep(0))
        assert (logs[0]["exc_info"] is not None) is expected


async def test_cancellation_passes_through() -> None:
    task = asyncio.create_task(keep("worker", Script("hang")))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


def test_the_delay_grows_to_its_cap_with_full_jitter_and_starts_anew() -> None:
    backoff = Backoff(first=1, most=8, rng=random.Random(7))
    delays = [backoff.next() for _ in range(2000)]
    assert all(0 <= delay <= 8 for delay in delays)
    assert delays[0] <= 1
    assert max(delays[5:]) > 7
    assert min(delays[5:]) < 1
    backoff.reset()
    assert backoff.next() <= 1
