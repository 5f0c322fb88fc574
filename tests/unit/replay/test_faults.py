"""A node's door: requests wait, fail or are turned away as the node's faults say."""

from __future__ import annotations

import asyncio
from collections import Counter
from datetime import UTC, datetime, timedelta

from daemon.replay.faults import Answering, Door, Faults
from daemon.replay.simulation import Simulation

START = datetime(2018, 1, 26, tzinfo=UTC)


def door(faults: Faults, *, simulation: Simulation | None = None, seed: int = 1) -> Door:
    return Door(faults, simulation=simulation or Simulation(START), seed=seed)


async def nothing() -> None:
    """Nobody minds that all are idle."""


async def test_a_node_without_faults_answers_well_at_once() -> None:
    it = door(Faults())
    assert [await it.enter() for _ in range(50)] == [Answering.WELL] * 50
    assert it.requests == 50


async def test_about_so_many_requests_fail_and_the_same_ones_for_the_same_seed() -> None:
    first, again, other = (door(Faults(failing=0.05), seed=seed) for seed in (1, 1, 2))
    answers = [[await it.enter() for _ in range(2000)] for it in (first, again, other)]
    assert answers[0] == answers[1] != answers[2]
    assert 60 < Counter(answers[0])[Answering.FAILING] < 140


async def test_latency_is_simulated_time() -> None:
    simulation = Simulation(START)
    entering = asyncio.create_task(door(Faults(latency=timedelta(seconds=20)), simulation=simulation).enter())
    await simulation.run_until(START + timedelta(seconds=19), settled=nothing)
    assert not entering.done()
    await simulation.run_until(START + timedelta(seconds=20), settled=nothing)
    assert await entering is Answering.WELL


async def test_more_than_so_many_requests_a_second_are_too_many() -> None:
    simulation = Simulation(START)
    it = door(Faults(per_second=2), simulation=simulation)
    assert [await it.enter() for _ in range(3)] == [Answering.WELL, Answering.WELL, Answering.TOO_MANY]
    await simulation.run_until(START + timedelta(seconds=1), settled=nothing)
    assert await it.enter() is Answering.WELL


async def test_faults_may_change_at_any_time() -> None:
    faults = Faults()
    it = door(faults)
    assert await it.enter() is Answering.WELL
    faults.failing = 1.0
    assert await it.enter() is Answering.FAILING


async def test_every_request_and_answer_is_a_sign_of_work() -> None:
    simulation, slept = Simulation(START), list[float]()
    it = door(Faults(), simulation=simulation)

    async def client() -> None:
        for _ in range(20):
            await it.enter()
            for _ in range(30):  # on the way back
                await asyncio.sleep(0)
            it.leave()
            for _ in range(30):
                await asyncio.sleep(0)
        slept.append(simulation.clock())

    tasks = [asyncio.create_task(client()), asyncio.create_task(simulation.sleep(1))]
    await simulation.run_until(START + timedelta(seconds=2), settled=nothing)
    assert slept == [0.0]
    await asyncio.wait(tasks)
