"""Questions side by side: results in order, a bound on how many, and nothing left behind after a failure."""

from __future__ import annotations

import asyncio

import pytest

from connectors.errors import BadAnswer, Unavailable
from connectors.symbol.abreast import AT_ONCE, abreast


async def test_results_come_in_the_order_of_the_items_whoever_is_first() -> None:
    async def work(item: int) -> int:
        await asyncio.sleep((5 - item) / 1000)
        return item * 10

    assert await abreast(range(5), work) == [0, 10, 20, 30, 40]


async def test_no_more_than_so_many_are_under_way() -> None:
    under_way, most = 0, 0

    async def work(_item: int) -> None:
        nonlocal under_way, most
        under_way += 1
        most = max(most, under_way)
        await asyncio.sleep(0)
        under_way -= 1

    await abreast(range(50), work)
    assert most == AT_ONCE


async def test_a_failure_ends_the_others_and_is_raised_as_it_is() -> None:
    ended: list[int] = []

    async def work(item: int) -> None:
        if item == 1:
            raise BadAnswer("no")
        try:
            await asyncio.sleep(10)
        finally:
            ended.append(item)

    before = asyncio.all_tasks()
    with pytest.raises(BadAnswer, match="no"):
        await abreast(range(9), work)
    assert set(ended) == {0, 2, 3}
    assert asyncio.all_tasks() == before


async def test_of_several_failures_one_is_raised() -> None:
    async def work(_item: int) -> None:
        raise Unavailable("down")

    with pytest.raises(Unavailable):
        await abreast(range(9), work)


async def test_nothing_to_do_is_done() -> None:
    async def work(_item: int) -> None:
        raise AssertionError

    assert await abreast([], work) == []
