"""kill -9 at every point of a notification's way: it arrives, and as one alert."""

import asyncio
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from daemon.store import Tally
from daemon.store.repository import open_store
from tests.integration.alertmanager import Alertmanager, running_alertmanager, until
from tests.integration.delivery_process import POINTS, live

pytestmark = [pytest.mark.real, pytest.mark.timeout(120)]


@pytest.fixture
async def alertmanager(tmp_path: Path) -> AsyncIterator[Alertmanager]:
    async with running_alertmanager(tmp_path) as alertmanager:
        yield alertmanager


async def death(database: Path, alertmanager: Alertmanager, *, judgement: str, at: str) -> None:
    """The daemon in small, in a process of its own, dies there."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "tests.integration.delivery_process",
        *(str(database), alertmanager.url, judgement, at),
        cwd=Path(__file__).parents[2],
    )
    assert await process.wait() == -signal.SIGKILL


async def life(database: Path, alertmanager: Alertmanager, *, judgement: str) -> None:
    """It lives to its end, with nothing but what the database tells it of earlier lives."""
    await live(str(database), alertmanager.url, judgement=judgement, chosen="nowhere")


async def tally(database: Path) -> tuple[int, Tally]:
    """How many findings are open, and what became of the notifications."""
    async with open_store(f"sqlite+aiosqlite:///{database}") as store:
        [(_, tally)] = (await store.tallies()).items()
        return len(await store.findings()), tally


@pytest.mark.parametrize("point", POINTS)
async def test_a_firing_alert_survives_kill_9(tmp_path: Path, alertmanager: Alertmanager, point: str) -> None:
    database = tmp_path / "pyrometer.db"
    await death(database, alertmanager, judgement="firing", at=point)
    await life(database, alertmanager, judgement="firing")
    [alert] = await alertmanager.alerts()
    assert alert["labels"]["alertname"] == "PyrometerHotShareHigh"
    assert await tally(database) == (1, Tally(delivered=1))
    await until(lambda: alertmanager.heard("firing", subject="all"))
    assert len({alert["fingerprint"] for alert in alertmanager.heard("firing", subject="all")}) == 1


@pytest.mark.parametrize("point", POINTS)
async def test_the_end_of_an_alert_survives_kill_9(tmp_path: Path, alertmanager: Alertmanager, point: str) -> None:
    database = tmp_path / "pyrometer.db"
    await life(database, alertmanager, judgement="firing")
    await until(lambda: alertmanager.heard("firing", subject="all"))
    await death(database, alertmanager, judgement="resolved", at=point)
    await life(database, alertmanager, judgement="resolved")
    assert await alertmanager.alerts() == []
    assert await tally(database) == (0, Tally(delivered=2))
    await until(lambda: alertmanager.heard("resolved", subject="all"))


async def test_lives_that_die_again_and_again_still_deliver_once(tmp_path: Path, alertmanager: Alertmanager) -> None:
    database = tmp_path / "pyrometer.db"
    for point in ("before the commit", "after the commit", "after sending", "before sending"):
        await death(database, alertmanager, judgement="firing", at=point)
    await life(database, alertmanager, judgement="firing")
    assert len(await alertmanager.alerts()) == 1
    assert await tally(database) == (1, Tally(delivered=1))
