"""Several questions at once: answers in order, the first failure, and a cancellation that is never lost."""

import asyncio
import gc

import pytest

from connectors.errors import BadAnswer
from connectors.nem.node import together


async def answer(value: int, *, after: float = 0.0) -> int:
    await asyncio.sleep(after)
    return value


async def fail(text: str) -> int:
    await asyncio.sleep(0)
    raise BadAnswer(text)


async def test_answers_come_in_the_order_of_the_questions() -> None:
    assert await together(answer(number, after=0.01 / number) for number in (1, 2, 3)) == [1, 2, 3]
    assert await together([]) == []


async def test_a_failure_withdraws_the_other_questions_before_it_is_raised() -> None:
    before = asyncio.all_tasks()
    with pytest.raises(BadAnswer, match="no"):
        await together([answer(1, after=60), fail("no"), fail("neither")])
    assert asyncio.all_tasks() == before
    gc.collect()  # an exception that nobody looked at would be a warning now


@pytest.mark.parametrize("turns", range(1, 8))
async def test_a_cancellation_in_the_very_turn_of_a_failure_is_not_lost(turns: int) -> None:
    asking = asyncio.create_task(together([fail("no"), answer(1, after=60)]))
    for _ in range(turns):
        await asyncio.sleep(0)
    accepted = asking.cancel()
    await asyncio.wait([asking])
    assert asking.cancelled() == accepted
    if not accepted:
        assert isinstance(asking.exception(), BadAnswer)


async def test_a_cancellation_withdraws_all_questions() -> None:
    before = asyncio.all_tasks()
    asking = asyncio.create_task(together([answer(1, after=60), answer(2, after=60)]))
    await asyncio.sleep(0)
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    assert asyncio.all_tasks() == before
