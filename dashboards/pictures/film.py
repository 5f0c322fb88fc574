"""A run as Prometheus would have scraped it, had the invented morning been a real one: samples at simulated times."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import TextIO

import aiohttp

from dashboards.pictures.run import running, story

EVERY = timedelta(seconds=30)
SAMPLE = re.compile(r"^(\w+)(?:\{(.*)\})? (\S+)$")
TARGET = 'entity="{entity}",instance="pyrometer:9517",job="pyrometer"'


async def filmed(folder: Path, *, to: Path) -> tuple[datetime, datetime]:
    """Plays the story and writes what /metrics says every 30 s; from when to when."""
    scenario = story()
    target = TARGET.format(entity=scenario.entity)
    async with running(scenario, folder=folder) as run, aiohttp.ClientSession() as session:
        with to.open("w") as film:

            async def seen(at: datetime) -> None:
                began = time.perf_counter()
                async with session.get(f"{run.url}/metrics") as response:
                    text = await response.text()
                took = time.perf_counter() - began
                _write(f"{text}\nup 1\nscrape_duration_seconds {took:.6f}\n", target=target, at=at, film=film)

            await run.play(seen=seen, every=EVERY)
            film.write("# EOF\n")
    return scenario.starts, scenario.end


def _write(text: str, *, target: str, at: datetime, film: TextIO) -> None:
    for name, labels, value in _samples(text):
        film.write(f"{name}{{{','.join(filter(None, (labels, target)))}}} {value} {at.timestamp():.3f}\n")


def _samples(text: str) -> Iterator[tuple[str, str, str]]:
    for line in text.splitlines():
        found = SAMPLE.match(line)
        if found is not None:
            yield found[1], found[2] or "", found[3]
