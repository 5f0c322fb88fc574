"""A Prometheus of our own: started on a folder, asked, and ended."""

from __future__ import annotations

import asyncio
import shutil
import signal
import socket
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp

from dashboards.pictures.asking import Prometheus

PATIENCE = 60.0
"""Seconds until it must be ready; it takes one."""


def program(name: str) -> str:
    """Its path; SystemExit says what to install."""
    found = shutil.which(name)
    if found is None:
        raise SystemExit(f"{name} is missing: apt-get install prometheus chromium")
    return found


@asynccontextmanager
async def serving(folder: Path, *, config: str, flags: Sequence[str] = ()) -> AsyncIterator[Prometheus]:
    """A Prometheus with this configuration; its data is in `folder/data`."""
    (folder / "prometheus.yml").write_text(config)
    port = _free_port()
    process = await asyncio.create_subprocess_exec(
        program("prometheus"),
        f"--config.file={folder / 'prometheus.yml'}",
        f"--storage.tsdb.path={folder / 'data'}",
        f"--web.listen-address=127.0.0.1:{port}",
        "--storage.tsdb.retention.time=100y",
        "--log.level=error",
        *flags,
    )
    try:
        async with aiohttp.ClientSession() as session:
            url = f"http://127.0.0.1:{port}"
            await _ready(url, session=session, process=process)
            yield Prometheus(url, session=session)
    finally:
        if process.returncode is None:
            process.send_signal(signal.SIGTERM)
        await process.wait()


async def filled_from(samples: Path, *, folder: Path) -> None:
    """Puts samples in the OpenMetrics text format, with their times, where a Prometheus on `folder` finds them."""
    process = await asyncio.create_subprocess_exec(
        program("promtool"), "tsdb", "create-blocks-from", "openmetrics", "--quiet", str(samples), str(folder / "data")
    )
    if await process.wait() != 0:
        raise SystemExit("promtool did not take the samples")


async def _ready(url: str, *, session: aiohttp.ClientSession, process: asyncio.subprocess.Process) -> None:
    async with asyncio.timeout(PATIENCE):
        while True:
            if process.returncode is not None:
                raise SystemExit("Prometheus ended before it was ready")
            try:
                async with session.get(f"{url}/-/ready") as response:
                    if response.ok:
                        return
            except aiohttp.ClientConnectionError:
                pass
            await asyncio.sleep(0.05)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
