"""`pyrometer demo`, which is what `make run` runs: the whole daemon before the night of Coincheck, and how it ends."""

from __future__ import annotations

import asyncio
import re
import signal
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import pytest

from tests.system.daemon import command, env, until

pytestmark = pytest.mark.timeout(300)

AS_FAST_AS_CAN_BE = "86400"
DRAIN = "PyrometerDrain fires: 100,000,010 XEM gone, 81.03 % still there."
AFTERWARDS = "Pyrometer goes on watching, in real time; Ctrl-C ends it."


class Demo:
    """The process. `lines` is what it has printed so far."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.lines: list[str] = []
        self._process = process
        self._reading = [asyncio.create_task(self._read(pipe)) for pipe in (process.stdout, process.stderr)]

    @property
    def url(self) -> str:
        """Where the page is, once that is printed."""
        found = re.search(r"page +(http://\S+?)/$", "\n".join(self.lines), re.MULTILINE)
        assert found is not None, self.lines
        return found[1]

    async def says(self, text: str, *, seconds: float = 150) -> None:
        """Until a line with this text is printed."""
        await self._until(lambda: any(text in line for line in self.lines), seconds=seconds)

    async def ended(self, number: signal.Signals) -> int:
        """Sends it a signal and waits for its end; the exit code."""
        self._process.send_signal(number)
        async with asyncio.timeout(30):
            code = await self._process.wait()
            await asyncio.gather(*self._reading)
        return code

    async def kill(self) -> None:
        if self._process.returncode is None:
            self._process.kill()
        await self._process.wait()
        await asyncio.gather(*self._reading)

    async def _until(self, true: Callable[[], object], *, seconds: float) -> None:
        await until(lambda: self._process.returncode is not None or true(), seconds=seconds, what=self.lines[-5:])
        assert true(), self.lines

    async def _read(self, pipe: asyncio.StreamReader | None) -> None:
        assert pipe is not None
        async for line in pipe:
            self.lines.append(line.decode().rstrip("\n"))


@asynccontextmanager
async def running_demo(folder: Path, *, speed: str) -> AsyncIterator[Demo]:
    """A started demonstration; killed at the end if the test has not stopped it."""
    process = await asyncio.create_subprocess_exec(
        *command("demo", "--speed", speed),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        cwd=folder,
        env={**env(), "PYTHONUNBUFFERED": "1", "TMPDIR": str(folder)},
    )
    demo = Demo(process)
    try:
        yield demo
    finally:
        await demo.kill()


def left_behind(folder: Path) -> list[Path]:
    return list(folder.iterdir())


async def fetched(url: str) -> str:
    async with aiohttp.ClientSession() as session, session.get(url) as answer:
        assert answer.status == 200
        return await answer.text()


def places(lines: Sequence[str], *patterns: str) -> list[int]:
    """Where each is found first. Seconds are left open: a busy machine may answer a simulated second later."""
    return [next(place for place, line in enumerate(lines) if re.search(pattern, line)) for pattern in patterns]


async def test_the_whole_story_is_told_judged_and_summed_up_and_then_it_goes_on(tmp_path: Path) -> None:
    async with running_demo(tmp_path, speed=AS_FAST_AS_CAN_BE) as demo:
        await demo.says("Ctrl-C ends it.")
        assert "pyrometer" in (await fetched(f"{demo.url}/")).lower()
        await demo.says(AFTERWARDS)
        order = places(
            demo.lines,
            r"over the limit of 5 % \(jp-psa/hot-share\)",
            r"xem-hot pays thief 10 XEM; a test transfer",
            r"18\.97 % of customers' XEM .* over the limit of 10 % within 10m \(theft/drain\)",
            re.escape(DRAIN),
            r"11 h 23 min after the first transfer",
            r"What should have rung:",
            r"  met      PyrometerHotShareHigh on all: 2018-01-25 12:00:0\d, 3 h 01 min before the first theft",
            r"  met      PyrometerDrain: 2018-01-25 15:04:\d\d, 2 min \d\d s after the first theft, 81\.03 % of XEM",
        )
        assert order == sorted(order)
        series = await fetched(f"{demo.url}/metrics")
        assert 'pyrometer_hot_share_ratio{bound="value",scope="all"} 1.0' in series
        assert re.search(r'^pyrometer_chain_tip_age_seconds\{chain="nem"\} \d', series, re.MULTILINE)
        assert await demo.ended(signal.SIGTERM) == 0
    assert left_behind(tmp_path) == []


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_in_the_middle_ends_it_at_once_and_in_good_order(tmp_path: Path, number: signal.Signals) -> None:
    async with running_demo(tmp_path, speed="3000") as demo:
        await demo.says(DRAIN)
        assert 'pyrometer_findings{severity="critical",state="firing"}' in await fetched(f"{demo.url}/metrics")
        assert await demo.ended(number) == 0
        assert not any("Traceback" in line for line in demo.lines)
        assert not any(AFTERWARDS in line for line in demo.lines)
    assert left_behind(tmp_path) == []


async def test_a_signal_before_anything_has_happened_ends_it_too(tmp_path: Path) -> None:
    async with running_demo(tmp_path, speed="1") as demo:
        await demo.says("Ctrl-C ends it.")
        assert await demo.ended(signal.SIGINT) == 0
        assert not any("Traceback" in line for line in demo.lines)
    assert left_behind(tmp_path) == []


async def test_two_may_run_beside_each_other(tmp_path: Path) -> None:
    """The second takes another port than the first."""
    async with running_demo(tmp_path, speed="1") as one:
        await one.says("Ctrl-C ends it.")
        async with running_demo(tmp_path, speed="1") as other:
            await other.says("Ctrl-C ends it.")
            assert one.url != other.url
            assert [await demo.ended(signal.SIGTERM) for demo in (one, other)] == [0, 0]
