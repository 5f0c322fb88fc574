"""The real process, as an operator starts it: configuration in, HTTP out, signals, exit code."""

import asyncio
import json
import os
import re
import signal
import sys
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import yaml
from prometheus_client.parser import text_string_to_metric_families

ROOT = Path(__file__).parents[2]
JSON = dict[str, Any]

PATIENCE = 60.0
"""Seconds until something must have happened. Most of it takes one; other tests and their servers run beside."""


class Daemon:
    """`python -m daemon run`, on a free port of the loopback. `log` is what it has logged, one event a line."""

    def __init__(self, folder: Path, config: JSON) -> None:
        self.file = folder / "pyrometer.yaml"
        self.log: list[JSON] = []
        self.url = ""
        self.token = ""
        """What it is asked with, where it wants one."""
        self._process: asyncio.subprocess.Process | None = None
        self._reader: asyncio.Task[None] | None = None
        self._session: aiohttp.ClientSession | None = None
        self.configure(config)

    def configure(self, config: JSON) -> None:
        """Writes the file that the next start or reload reads; what a test does not say gets a quiet default."""
        whole = {
            "entity": "Example Exchange KK",
            "currency": "JPY",
            "store": f"sqlite+aiosqlite:///{self.file.parent / 'pyrometer.db'}",
            "api": {"listen": "127.0.0.1:0"},
            "log": {"level": "debug", "format": "json"},
            "tick": "100ms",
            **config,
        }
        self.file.write_text(yaml.safe_dump(whole, sort_keys=False))

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    async def start(self) -> None:
        """Starts it and waits until it listens."""
        self.log.clear()
        self._process = await asyncio.create_subprocess_exec(
            *command("run", "--config", str(self.file)), stderr=asyncio.subprocess.PIPE, cwd=self.file.parent, env=env()
        )
        self._reader = asyncio.create_task(self._read())
        self._session = aiohttp.ClientSession()
        event = await self.logged("listening")
        self.url = event["url"].rstrip("/")

    async def _read(self) -> None:
        assert self._process is not None
        assert self._process.stderr is not None
        async for line in self._process.stderr:
            text = line.decode()
            self.log.append(json.loads(text) if text.startswith("{") else {"event": text.rstrip()})

    async def logged(self, event: str, *, seconds: float = PATIENCE) -> JSON:
        """The first log entry with this event, once it is there."""
        await until(lambda: any(entry["event"] == event for entry in self.log), seconds=seconds, what=self.log)
        return next(entry for entry in self.log if entry["event"] == event)

    async def get(self, path: str) -> Any:  # noqa: ANN401 - a JSON value
        """The JSON body, whatever the status."""
        return (await self.ask(path))[1]

    async def ask(
        self, path: str, *, method: str = "GET", token: str | None = None, body: object = None
    ) -> tuple[int, Any]:
        assert self._session is not None
        shown = self.token if token is None else token
        headers = {"Authorization": f"Bearer {shown}"} if shown else {}
        async with self._session.request(method, f"{self.url}{path}", headers=headers, json=body) as response:
            return response.status, await response.json(content_type=None)

    async def metrics(self) -> dict[str, float]:
        """Series → value, a series written as Prometheus writes it, labels sorted."""
        assert self._session is not None
        async with self._session.get(f"{self.url}/metrics") as response:
            text = await response.text()
        return {
            _series(sample.name, sample.labels): sample.value
            for family in text_string_to_metric_families(text)
            for sample in family.samples
        }

    async def becomes(self, path: str, true: Callable[[Any], object], *, seconds: float = PATIENCE) -> Any:  # noqa: ANN401
        """Asks until the answer satisfies `true`; the answer."""
        body: Any = None
        try:
            async with asyncio.timeout(seconds):
                while not true(body := await self.get(path)):  # noqa: ASYNC110 - it happens in another process
                    await asyncio.sleep(0.02)
        except TimeoutError:
            raise AssertionError(f"{path} stayed {json.dumps(body)[:2000]}") from None
        return body

    def hang_up(self) -> None:
        """SIGHUP."""
        assert self._process is not None
        self._process.send_signal(signal.SIGHUP)

    async def stop(self, *, kill: bool = False) -> int:
        """SIGTERM, or SIGKILL; its exit code."""
        assert self._process is not None
        if self._process.returncode is None:
            self._process.send_signal(signal.SIGKILL if kill else signal.SIGTERM)
        async with asyncio.timeout(15):
            code = await self._process.wait()
        if self._reader is not None:
            await self._reader
        if self._session is not None:
            await self._session.close()
        return code


@asynccontextmanager
async def running_daemon(folder: Path, config: JSON) -> AsyncIterator[Daemon]:
    """A started daemon; killed at the end if the test has not stopped it."""
    daemon = Daemon(folder, config)
    try:
        await daemon.start()
        yield daemon
    finally:
        await daemon.stop(kill=True)


async def run_command(*arguments: str, cwd: Path, more: Mapping[str, str] | None = None) -> tuple[int, str, str]:
    """One command to its end: exit code, stdout, stderr."""
    process = await asyncio.create_subprocess_exec(
        *command(*arguments),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        cwd=cwd,
        env={**env(), **(more or {})},
    )
    try:
        async with asyncio.timeout(2 * PATIENCE):
            out, err = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
    assert process.returncode is not None
    return process.returncode, out.decode(), err.decode()


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "daemon", *arguments]


def env() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(ROOT), "COLUMNS": "200"}


async def until(true: Callable[[], object], *, seconds: float = PATIENCE, what: object = "") -> None:
    """Waits for a condition; fails the test, saying `what`, when it does not come in time."""
    try:
        async with asyncio.timeout(seconds):
            while not true():  # noqa: ASYNC110 - what is waited for happens in another process
                await asyncio.sleep(0.01)
    except TimeoutError:
        raise AssertionError(f"it did not happen within {seconds} s; last seen: {what}") from None


def _series(name: str, labels: Mapping[str, str]) -> str:
    inside = ",".join(f'{key}="{value}"' for key, value in sorted(labels.items()))
    return f"{name}{{{inside}}}" if inside else name


def gauges(series: Mapping[str, float], pattern: str) -> dict[str, float]:
    """The series whose name matches."""
    return {name: value for name, value in series.items() if re.match(pattern, name)}
