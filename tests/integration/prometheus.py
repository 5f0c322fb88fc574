"""A real Prometheus on a free port: started and stopped at will, and asked over its API as panels and people ask it."""

from __future__ import annotations

import asyncio
import shutil
import signal
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import aiohttp

from tests.integration.anvil import free_port
from tests.real import ROOT, require_program

HINT = "apt-get install prometheus"
DEADLINE = 60.0

SHIPPED = ROOT / "deploy" / "prometheus"


def put_shipped(folder: Path, changes: Mapping[str, str]) -> None:
    """Puts a copy of what we ship for Prometheus into `folder`, with each text of `changes` replaced.

    A text that stands nowhere fails: the test would not be on what we ship.
    """
    shutil.copytree(SHIPPED, folder, dirs_exist_ok=True)
    files = [folder / "prometheus.yml", *sorted((folder / "rules").glob("*.yml"))]
    for before, after in changes.items():
        assert any(before in file.read_text() for file in files), before
        for file in files:
            file.write_text(file.read_text().replace(before, after))


class Prometheus:
    """One server. It reads `config` when it starts, and keeps what it has scraped in `data` while it is stopped."""

    def __init__(self, config: Path, *, data: Path) -> None:
        self._program = require_program("prometheus", HINT)
        self._config = config
        self._data = data
        self._process: asyncio.subprocess.Process | None = None
        self.port = free_port()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def start(self) -> None:
        """Starts it and waits until it answers queries."""
        self._process = await asyncio.create_subprocess_exec(
            str(self._program),
            f"--config.file={self._config}",
            f"--storage.tsdb.path={self._data}",
            f"--web.listen-address=127.0.0.1:{self.port}",
            "--query.lookback-delta=1m",
            "--enable-feature=exemplar-storage",
            "--log.level=error",
        )
        end = time.monotonic() + DEADLINE
        async with aiohttp.ClientSession() as session:
            while not await self._ready(session):
                assert self._process.returncode is None, "Prometheus ended before it was ready"
                assert time.monotonic() < end, "Prometheus does not start"
                await asyncio.sleep(0.02)

    async def stop(self) -> None:
        """SIGTERM, as `docker compose stop` sends it; does nothing when it does not run."""
        process, self._process = self._process, None
        if process is not None and process.returncode is None:
            process.send_signal(signal.SIGTERM)
            async with asyncio.timeout(DEADLINE):
                await process.wait()

    async def asked(self, path: str, **parameters: str) -> Any:  # noqa: ANN401 - a JSON value
        """The `data` of an answer of its HTTP API."""
        async with (
            aiohttp.ClientSession() as session,
            session.get(f"{self.url}/api/v1/{path}", params=parameters) as response,
        ):
            body = await response.json()
        assert body["status"] == "success", body
        return body["data"]

    async def seen(self, true: Callable[[Any], object], path: str, **parameters: str) -> Any:  # noqa: ANN401
        """Asks its HTTP API until the `data` of the answer satisfies `true`; that."""
        data: Any = None
        try:
            async with asyncio.timeout(DEADLINE):
                while not true(data := await self.asked(path, **parameters)):  # noqa: ASYNC110 - it scrapes by itself
                    await asyncio.sleep(0.1)
        except TimeoutError:
            raise AssertionError(f"{path} {parameters} stayed {data}") from None
        return data

    async def samples(self, expression: str) -> list[tuple[dict[str, str], float]]:
        """What an instant query gives now: labels and value of each series."""
        found = (await self.asked("query", query=expression))["result"]
        return [(one["metric"], float(one["value"][1])) for one in found]

    async def value(self, expression: str) -> float | None:
        """The value of the only series, None where there is none."""
        samples = await self.samples(expression)
        assert len(samples) <= 1, f"{expression} gives several series: {samples}"
        return samples[0][1] if samples else None

    async def becomes(self, expression: str, value: float | None, *, seconds: float = DEADLINE) -> None:
        """Asks until the only series has this value, or there is none."""
        last: object = "nothing"
        try:
            async with asyncio.timeout(seconds):
                while (last := await self.value(expression)) != value:  # noqa: ASYNC110 - it scrapes by itself
                    await asyncio.sleep(0.05)
        except TimeoutError:
            raise AssertionError(f"{expression} stayed {last} instead of {value}") from None

    async def _ready(self, session: aiohttp.ClientSession) -> bool:
        try:
            async with session.get(f"{self.url}/-/ready") as response:
                return response.status == 200
        except aiohttp.ClientError:
            return False
