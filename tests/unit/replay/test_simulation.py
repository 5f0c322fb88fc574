"""Simulated time: stands still while anybody works, leaps to the next moment that somebody waits for."""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime, timedelta

from daemon.replay.simulation import IDLE_TURNS, Simulation

START = datetime(2018, 1, 26, tzinfo=UTC)


async def nothing() -> None:
    """Nobody minds that all are idle."""


def later(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


async def test_whoever_sleeps_wakes_when_simulated_time_has_come_that_far_and_in_that_order() -> None:
    simulation, woken = Simulation(START), list[tuple[str, datetime]]()

    async def sleeper(name: str, seconds: float) -> None:
        await simulation.sleep(seconds)
        woken.append((name, simulation.now()))

    tasks = [
        asyncio.create_task(sleeper(name, seconds)) for name, seconds in (("c", 30), ("a", 1), ("b", 1), ("d", 99))
    ]
    await simulation.run_until(later(60), settled=nothing)
    assert woken == [("a", later(1)), ("b", later(1)), ("c", later(30))]
    assert simulation.now() == later(60)
    assert simulation.clock() == 60
    tasks[-1].cancel()
    await asyncio.wait(tasks)


async def test_time_stands_still_while_somebody_works() -> None:
    simulation, moments = Simulation(START), list[datetime]()

    async def worker() -> None:
        for _ in range(3):
            for _ in range(IDLE_TURNS // 2):
                await asyncio.sleep(0)
            simulation.busy()
        moments.append(simulation.now())

    tasks = [asyncio.create_task(worker()), asyncio.create_task(simulation.sleep(1))]
    await simulation.run_until(later(10), settled=nothing)
    assert moments == [START]
    await asyncio.wait(tasks)


async def test_settled_is_told_at_every_moment_before_time_goes_on() -> None:
    simulation, moments = Simulation(START), list[datetime]()

    async def settled() -> None:
        moments.append(simulation.now())

    async def sleeper() -> None:
        await simulation.sleep(1)
        await simulation.sleep(2)

    task = asyncio.create_task(sleeper())
    await simulation.run_until(later(10), settled=settled)
    assert moments == [START, later(1), later(3)]
    await task


async def test_what_settled_does_is_done_before_time_goes_on() -> None:
    simulation, order = Simulation(START), list[str]()

    async def settled() -> None:
        await asyncio.sleep(0.01)
        order.append(f"settled at {simulation.clock():g}")

    async def sleeper() -> None:
        await simulation.sleep(1)
        order.append("woken")

    task = asyncio.create_task(sleeper())
    await simulation.run_until(later(2), settled=settled)
    assert order == ["settled at 0", "woken", "settled at 1"]
    await task


async def test_who_was_cancelled_keeps_nobody_waiting() -> None:
    simulation = Simulation(START)
    task = asyncio.create_task(simulation.sleep(1))
    await asyncio.sleep(0)
    task.cancel()
    await simulation.run_until(later(5), settled=nothing)
    assert task.cancelled()
    assert simulation.now() == later(5)


async def test_a_moment_that_has_passed_is_not_waited_for() -> None:
    simulation = Simulation(START)
    await simulation.run_until(later(5), settled=nothing)
    async with asyncio.timeout(5):
        await simulation.until(later(3))
        await simulation.sleep(0)
    assert simulation.now() == later(5)
    await simulation.run_until(later(4), settled=nothing)
    assert simulation.now() == later(5)


async def test_time_does_not_go_on_while_a_thread_works() -> None:
    """A connector hashes and parses in threads; whoever is called idle meanwhile would be polled in vain."""
    simulation = Simulation(START)
    began: list[float] = []

    async def work() -> None:
        await asyncio.to_thread(time.sleep, 0.1)
        began.append(simulation.clock())

    async def wait() -> None:
        for _ in range(10):
            await simulation.sleep(10)

    tasks = [asyncio.create_task(work()), asyncio.create_task(wait())]
    await simulation.run_until(later(300), settled=nothing)
    await asyncio.gather(*tasks)
    assert began == [0.0]


async def test_time_stands_still_while_an_answer_is_awaited_however_long_it_takes() -> None:
    simulation, moments = Simulation(START), list[datetime]()

    async def asking() -> None:
        with simulation.away():
            await asyncio.sleep(0.2)  # of real time: the answer is on its way somewhere in the kernel
        moments.append(simulation.now())

    tasks = [asyncio.create_task(asking()), asyncio.create_task(simulation.sleep(1))]
    await simulation.run_until(later(10), settled=nothing)
    assert moments == [START]
    await asyncio.wait(tasks)


async def test_who_holds_an_answer_back_lets_time_go_on_for_the_one_who_awaits_it() -> None:
    simulation, moments = Simulation(START), list[datetime]()

    async def asking() -> None:
        with simulation.away():
            await simulation.hold_back(3)  # what the node does meanwhile
            await asyncio.sleep(0.05)
        moments.append(simulation.now())

    task = asyncio.create_task(asking())
    await simulation.run_until(later(10), settled=nothing)
    assert moments == [later(3)]
    await task


async def test_who_gives_up_awaiting_an_answer_keeps_nobody_waiting() -> None:
    simulation = Simulation(START)

    async def asking() -> None:
        with simulation.away():
            async with asyncio.timeout(0.05):
                await asyncio.sleep(60)

    task = asyncio.create_task(asking())
    await simulation.run_until(later(5), settled=nothing)
    assert isinstance(task.exception(), TimeoutError)
    assert simulation.now() == later(5)


async def test_where_nothing_happened_since_everybody_waited_nobody_is_waited_for_again() -> None:
    simulation, turns = Simulation(START), 0

    async def count() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    counting = asyncio.create_task(count())
    await simulation.run_until(later(1), settled=nothing)
    so_far = turns
    assert so_far >= IDLE_TURNS
    for seconds in range(2, 10):
        await simulation.run_until(later(seconds), settled=nothing)
    assert turns == so_far
    counting.cancel()
    await asyncio.wait([counting])


async def test_a_notice_that_was_sent_meanwhile_is_waited_for() -> None:
    simulation, heard = Simulation(START), list[datetime]()
    await simulation.run_until(later(1), settled=nothing)
    asyncio.get_running_loop().call_soon(lambda: heard.append(simulation.now()))
    simulation.busy()
    await simulation.run_until(later(2), settled=nothing)
    assert heard == [later(1)]


async def test_what_somebody_began_between_two_runs_is_waited_for() -> None:
    simulation, moments = Simulation(START), list[datetime]()
    await simulation.run_until(later(1), settled=nothing)
    await asyncio.sleep(0)

    async def begun() -> None:
        for _ in range(IDLE_TURNS // 2):
            await asyncio.sleep(0)
        moments.append(simulation.now())

    task = asyncio.create_task(begun())
    await simulation.run_until(later(2), settled=nothing)
    assert moments == [later(1)]
    await task
