"""A real Prometheus with the configuration that we ship: only hosts, paths and waiting times are put in their place."""

from __future__ import annotations

import asyncio
import shutil
import signal
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import aiohttp

from tests.integration.anvil import free_port
from tests.real import ROOT, require_program

SHIPPED = ROOT / "deploy" / "prometheus"
TOKEN_FILE = "/run/secrets/prometheus_token"
HINT = "apt-get install prometheus"
PATIENCE = 60.0

JSON = dict[str, Any]


def shipped(folder: Path, changes: Mapping[str, str]) -> Path:
    """A copy of deploy/prometheus in `folder`, with each text of `changes` replaced; the path of its prometheus.yml.

    A text that stands nowhere fails: the test would not be on what we ship.
    """
    shutil.copytree(SHIPPED, folder, dirs_exist_ok=True)
    files = [folder / "prometheus.yml", *sorted((folder / "rules").glob("*.yml"))]
    for before, after in changes.items():
        assert any(before in file.read_text() for file in files), before
        for file in files:
            file.write_text(file.read_text().replace(before, after))
    return folder / "prometheus.yml"


class Prometheus:
    """The process. `config` may name `prometheus:9090`, which is its own address then."""

    def __init__(self, config: Path) -> None:
        self.port = free_port()
        self.config = config
        config.write_text(config.read_text().replace("prometheus:9090", f"127.0.0.1:{self.port}"))
        self._log = config.parent / "prometheus.log"
        self._process: asyncio.subprocess.Process | None = None
        self._session: aiohttp.ClientSession | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def start(self) -> None:
        """Starts it and waits until it is ready; what it stored before is there again."""
        program = require_program("prometheus", HINT)
        with self._log.open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                program,
                f"--config.file={self.config}",
                f"--storage.tsdb.path={self.config.parent / 'data'}",
                f"--web.listen-address=127.0.0.1:{self.port}",
                "--enable-feature=exemplar-storage",
                stdout=log,
                stderr=log,
            )
        self._session = self._session or aiohttp.ClientSession()
        async with asyncio.timeout(PATIENCE):
            while not await self._ready():
                assert self._process.returncode is None, self._log.read_text()
                await asyncio.sleep(0.05)

    async def stop(self, *, kill: bool = False) -> None:
        """SIGTERM, or SIGKILL."""
        if self._process is not None and self._process.returncode is None:
            self._process.send_signal(signal.SIGKILL if kill else signal.SIGTERM)
            await self._process.wait()

    async def close(self) -> None:
        await self.stop(kill=True)
        if self._session is not None:
            await self._session.close()

    async def _ready(self) -> bool:
        assert self._session is not None
        with suppress(aiohttp.ClientError):
            async with self._session.get(f"{self.url}/-/ready") as response:
                return response.status == 200
        return False

    async def ask(self, route: str, **query: str) -> Any:  # noqa: ANN401 - a JSON value
        """`data` of /api/v1/`route`; fails when Prometheus finds the question bad."""
        assert self._session is not None
        async with self._session.get(f"{self.url}/api/v1/{route}", params=query) as response:
            body: JSON = await response.json()
        assert body["status"] == "success", body
        return body["data"]

    async def query(self, expression: str) -> list[JSON]:
        """The samples of an instant query now, each with `metric` and `value`."""
        found: list[JSON] = (await self.ask("query", query=expression))["result"]
        return found

    async def alerts(self, name: str) -> list[JSON]:
        """Pending and firing alerts of this name."""
        return [one for one in (await self.ask("alerts"))["alerts"] if one["labels"]["alertname"] == name]

    async def rules(self) -> list[JSON]:
        """All of them, with `health`, `lastError` and `lastEvaluation`."""
        return [rule for group in (await self.ask("rules"))["groups"] for rule in group["rules"]]

    async def becomes(self, true: Callable[[Any], object], route: str, **query: str) -> Any:  # noqa: ANN401
        """Asks until the answer satisfies `true`; the answer."""
        body: Any = None
        try:
            async with asyncio.timeout(PATIENCE):
                while not true(body := await self.ask(route, **query)):  # noqa: ASYNC110 - it happens in another process
                    await asyncio.sleep(0.1)
        except TimeoutError:
            raise AssertionError(f"{route} {query} stayed {body}\n{self._log.read_text()[-2000:]}") from None
        return body


@asynccontextmanager
async def running_prometheus(config: Path) -> AsyncIterator[Prometheus]:
    """A started Prometheus on a free port; killed at the end."""
    prometheus = Prometheus(config)
    try:
        await prometheus.start()
        yield prometheus
    finally:
        await prometheus.close()
