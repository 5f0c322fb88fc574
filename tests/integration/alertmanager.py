"""A real Alertmanager on a free port, and the webhook that it tells: for the tests that need what it really does."""

import asyncio
import json
import os
import re
import shutil
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from tests.integration.anvil import free_port

CONFIG = """
route:
  receiver: hook
  group_by: [alertname, policy, subject]
  group_wait: 0s
  group_interval: 200ms
  repeat_interval: 1h
receivers:
  - name: hook
    webhook_configs: [{{url: "http://127.0.0.1:{port}/", send_resolved: true}}]
"""


def program(name: str) -> str:
    """The path of a program of Debian's prometheus-alertmanager; the test is skipped without it, and fails under CI."""
    path = shutil.which(name)
    if path is None:
        reason = f"{name} is missing: apt-get install prometheus-alertmanager"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    return path


async def until(true: Callable[[], object], *, seconds: float = 30) -> None:
    """Waits for a condition; fails the test when it does not come in time."""
    async with asyncio.timeout(seconds):
        while not true():  # noqa: ASYNC110 - what is waited for happens in another process
            await asyncio.sleep(0.02)


@dataclass
class Alertmanager:
    """The process and what it has told the webhook, oldest first."""

    folder: Path
    told: list[dict[str, Any]] = field(default_factory=list)
    port: int = field(default_factory=free_port)
    _process: asyncio.subprocess.Process | None = None
    _drain: asyncio.Task[None] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def start(self) -> None:
        """Starts it and waits until it listens."""
        self._process = await asyncio.create_subprocess_exec(
            program("prometheus-alertmanager"),
            f"--config.file={self.folder / 'alertmanager.yml'}",
            f"--storage.path={self.folder / 'data'}",
            "--cluster.listen-address=",
            f"--web.listen-address=127.0.0.1:{self.port}",
            stderr=asyncio.subprocess.PIPE,
        )
        assert self._process.stderr is not None
        async with asyncio.timeout(30):
            while not re.search(r"Listening on.* address=", await self._line(self._process.stderr)):
                pass
        self._drain = asyncio.create_task(_discard(self._process.stderr))

    async def _line(self, stream: asyncio.StreamReader) -> str:
        line = await stream.readline()
        assert line, "Alertmanager ended before it listened"
        return line.decode()

    async def kill(self) -> None:
        """Ends it with no chance to say or save anything."""
        await self._end(signal.SIGKILL)

    async def stop(self) -> None:
        """SIGTERM: it writes down whom it has told what, and forgets what fires."""
        await self._end(signal.SIGTERM)

    async def _end(self, with_signal: signal.Signals) -> None:
        if self._process is not None and self._drain is not None:
            self._process.send_signal(with_signal)
            await self._process.wait()
            await self._drain
        self._process = None

    async def alerts(self) -> list[dict[str, Any]]:
        """The alerts that fire now, as GET /api/v2/alerts tells."""
        async with aiohttp.ClientSession() as session, session.get(f"{self.url}/api/v2/alerts") as response:
            alerts: list[dict[str, Any]] = await response.json()
            return alerts

    def heard(self, status: str, *, subject: str) -> list[dict[str, Any]]:
        """What the webhook was told of a subject: alerts in that status, `firing` or `resolved`."""
        every = [alert for message in self.told for alert in message["alerts"]]
        return [alert for alert in every if alert["status"] == status and alert["labels"]["subject"] == subject]


@asynccontextmanager
async def serving(app: web.Application) -> AsyncIterator[int]:
    """Serves an application on a free port of the loopback, and gives the port."""
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        yield runner.addresses[0][1]
    finally:
        await runner.cleanup()


@asynccontextmanager
async def running_alertmanager(folder: Path) -> AsyncIterator[Alertmanager]:
    """A fresh Alertmanager with its data in `folder`, and a webhook receiver of ours behind it."""
    program("prometheus-alertmanager")
    alertmanager = Alertmanager(folder)
    app = web.Application()
    app.router.add_post("/", _hook(alertmanager.told))
    async with serving(app) as port:
        (folder / "alertmanager.yml").write_text(CONFIG.format(port=port))
        try:
            await alertmanager.start()
            yield alertmanager
        finally:
            await alertmanager.kill()


def _hook(told: list[dict[str, Any]]) -> Callable[[web.Request], Any]:
    async def receive(request: web.Request) -> web.Response:
        told.append(json.loads(await request.text()))
        return web.Response()

    return receive


async def _discard(stream: asyncio.StreamReader) -> None:
    while await stream.read(65536):
        pass
