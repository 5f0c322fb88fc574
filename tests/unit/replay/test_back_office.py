"""The small server of the books: what it answers, and that it can be slow and failing."""

from __future__ import annotations

import asyncio
import json
from datetime import timedelta
from decimal import Decimal

import aiohttp
import pytest

from daemon.replay.back_office import BackOffice
from daemon.replay.books import Books
from daemon.replay.faults import Door, Faults
from daemon.replay.script import LiabilitiesChanged
from daemon.replay.simulation import Simulation
from daemon.replay.withdrawals import Withdrawals
from tests.unit.replay.test_books import CAST, SCENARIO, payment

START = SCENARIO.starts


def office(books: Books, *, faults: Faults, simulation: Simulation) -> BackOffice:
    return BackOffice(books, withdrawals(), door=Door(faults, simulation=simulation, seed=1), now=simulation.now)


def withdrawals() -> Withdrawals:
    return Withdrawals(CAST, address=lambda account: f"at-{account.name}", kept=timedelta(hours=1))


async def asked(url: str, *, method: str = "GET") -> tuple[int, bytes]:
    async with aiohttp.ClientSession() as session, session.request(method, url) as response:
        return response.status, await response.read()


async def nothing() -> None:
    """Nobody judges."""


async def test_it_tells_every_amount_exactly_and_as_of_the_simulated_time() -> None:
    books, simulation = Books(SCENARIO), Simulation(START)
    books.take(LiabilitiesChanged(START, {"ETH": Decimal("0.000000000000000001"), "XEM": Decimal(-1000)}, 0))
    await simulation.run_until(START + timedelta(seconds=90.5), settled=nothing)
    async with office(books, faults=Faults(), simulation=simulation) as served:
        status, body = await asked(served.liabilities)
    assert status == 200
    assert json.loads(body) == {
        "at": "2026-01-05T00:01:30.500000Z",
        "amounts": {"ETH": "1000.000000000000000001", "USDC": "1000", "XEM": "0"},
    }


async def test_one_that_fails_answers_so() -> None:
    async with office(Books(SCENARIO), faults=Faults(failing=1.0), simulation=Simulation(START)) as served:
        assert (await asked(served.liabilities))[0] == 503


async def test_one_that_is_slow_answers_after_its_latency() -> None:
    simulation = Simulation(START)
    async with office(
        Books(SCENARIO), faults=Faults(latency=timedelta(milliseconds=200)), simulation=simulation
    ) as served:

        async def ask() -> tuple[int, bytes]:
            with simulation.away():
                return await asked(served.liabilities)

        asking = asyncio.create_task(ask())
        await simulation.run_until(START + timedelta(milliseconds=199), settled=nothing)
        assert not asking.done()
        await simulation.run_until(START + timedelta(milliseconds=200), settled=nothing)
        assert json.loads((await asking)[1])["at"] == "2026-01-05T00:00:00.200000Z"


@pytest.mark.parametrize(("path", "method", "status"), [("/", "GET", 404), ("/liabilities", "POST", 405)])
async def test_it_answers_nothing_else(path: str, method: str, status: int) -> None:
    async with office(Books(SCENARIO), faults=Faults(), simulation=Simulation(START)) as served:
        assert (await asked(f"{served.url}{path}", method=method))[0] == status


async def test_it_tells_every_open_approval_exactly() -> None:
    simulation, open_ones = Simulation(START), withdrawals()
    open_ones.approve(payment("hot/1", "customers/2", units=1), at=START)
    served = BackOffice(
        Books(SCENARIO), open_ones, door=Door(Faults(), simulation=simulation, seed=1), now=simulation.now
    )
    async with served:
        status, body = await asked(served.approvals)
    assert status == 200
    assert json.loads(body) == {
        "at": "2026-01-05T00:00:00.000000Z",
        "approvals": [
            {
                "id": "w1",
                "asset": "ETH",
                "amount": "0.000000000000000001",
                "destination": "at-customers/2",
                "chain": "ethereum",
                "at": "2026-01-05T00:00:00.000000Z",
            }
        ],
    }
