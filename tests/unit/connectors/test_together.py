"""Questions at once: answers in order, a bound on how many, nothing left behind by a failure, no lost cancellation."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import AsyncIterator

import pytest

from connectors.errors import BadAnswer
from connectors.together import together


@pytest.fixture(autouse=True)
async def nothing_is_left_behind() -> AsyncIterator[None]:
    """No task runs on, and the loop complains of no failure that nobody looked at."""
    complaints: list[str] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: complaints.append(context["message"]))
    before = asyncio.all_tasks()
    yield
    gc.collect()  # the loop complains when the task is collected
    left = asyncio.all_tasks() - before - {asyncio.current_task()}
    assert (left, complaints) == (set(), [])


async def answer(value: int, *, turns: int = 1) -> int:
    for _ in range(turns):
        await asyncio.sleep(0)
    return value


async def never() -> int:
    await asyncio.Event().wait()
    raise AssertionError


async def fail(text: str, *, turns: int = 1) -> int:
    await answer(0, turns=turns)
    raise BadAnswer(text)


@pytest.mark.parametrize("at_once", [None, 1, 2, 9])
async def test_answers_come_in_the_order_of_the_questions_whoever_is_first(at_once: int | None) -> None:
    questions = (answer(number, turns=5 - number) for number in range(5))
    assert await together(questions, at_once=at_once) == [0, 1, 2, 3, 4]


async def test_no_questions_have_no_answers() -> None:
    assert await together([]) == []


@pytest.mark.parametrize(("at_once", "expected"), [(None, 50), (4, 4), (1, 1), (99, 50)])
async def test_no_more_than_so_many_are_under_way(at_once: int | None, expected: int) -> None:
    under_way, most = 0, 0

    async def question() -> None:
        nonlocal under_way, most
        under_way += 1
        most = max(most, under_way)
        await asyncio.sleep(0)
        under_way -= 1

    await together((question() for _ in range(50)), at_once=at_once)
    assert most == expected


async def test_a_failure_withdraws_what_is_under_way_before_it_is_raised_as_it_is() -> None:
    withdrawn: list[int] = []

    async def question(number: int) -> int:
        try:
            return await never()
        finally:
            await asyncio.sleep(0)  # closing something
            withdrawn.append(number)

    with pytest.raises(BadAnswer, match=r"^no$"):
        await together([question(0), fail("no"), question(2)])
    assert sorted(withdrawn) == [0, 2]


async def test_of_several_failures_one_is_raised() -> None:
    with pytest.raises(BadAnswer):
        await together([fail("no"), fail("neither"), never()])


async def test_what_was_not_begun_when_one_fails_never_is() -> None:
    begun: list[int] = []

    async def question(number: int) -> int:
        begun.append(number)
        return await fail("no")

    with pytest.raises(BadAnswer):
        await together([question(number) for number in range(9)], at_once=2)  # a list: each must be closed
    assert begun == [0, 1]


async def test_a_cancellation_withdraws_all_questions() -> None:
    asking = asyncio.create_task(together([never(), never(), never()], at_once=2))
    await asyncio.sleep(0)
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking


@pytest.mark.parametrize("turns", range(1, 9))
async def test_a_cancellation_in_the_very_turn_of_a_failure_is_not_lost(turns: int) -> None:
    asking = asyncio.create_task(together([fail("no"), never()]))
    for _ in range(turns):
        await asyncio.sleep(0)
    accepted = asking.cancel()
    await asyncio.wait([asking])
    assert asking.cancelled() == accepted
    if not accepted:
        assert isinstance(asking.exception(), BadAnswer)


@pytest.mark.parametrize("turns", range(1, 9))
async def test_a_cancellation_in_the_very_turn_of_the_last_answer_is_not_lost(turns: int) -> None:
    asking = asyncio.create_task(together([answer(1), answer(2)]))
    for _ in range(turns):
        await asyncio.sleep(0)
    accepted = asking.cancel()
    await asyncio.wait([asking])
    assert asking.cancelled() == accepted
    if not accepted:
        assert asking.result() == [1, 2]


async def test_a_second_cancellation_while_questions_close_is_not_lost_either() -> None:
    closing, closed = asyncio.Event(), asyncio.Event()

    async def slow_to_close() -> int:
        try:
            return await never()
        finally:
            closing.set()
            await closed.wait()
            raise BadAnswer("too late")

    question = asyncio.create_task(slow_to_close())

    async def ask() -> int:
        return await question

    asking = asyncio.create_task(together([ask(), fail("no")]))
    await closing.wait()
    asking.cancel()
    await asyncio.wait([asking])
    assert asking.cancelled()
    closed.set()
    with pytest.raises(BadAnswer, match="too late"):
        await question
