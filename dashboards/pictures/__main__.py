"""`python -m dashboards.pictures` draws the dashboards for the README, out of a run of the whole daemon."""

from __future__ import annotations

import asyncio
import sys
import tempfile
from pathlib import Path

import structlog

from dashboards.catalogue import DASHBOARDS
from dashboards.pictures.asking import Prometheus, Window
from dashboards.pictures.browser import photographed
from dashboards.pictures.film import EVERY, filmed
from dashboards.pictures.page import page
from dashboards.pictures.png import repacked
from dashboards.pictures.reading import read
from dashboards.pictures.server import filled_from, serving

PICTURES = Path(__file__).parents[2] / "docs" / "dashboards"
UNMARKED = ("--query.lookback-delta=45s",)
"""Samples that were imported bear no mark where a series ends: so nothing is taken for known longer than a scrape."""


async def draw(folder: Path) -> None:
    """Plays, imports, asks and draws."""
    start, end = await filmed(folder, to=folder / "film.om")
    await filled_from(folder / "film.om", folder=folder)
    window = Window(start, end, step=EVERY.total_seconds(), scrape=EVERY.total_seconds())
    async with serving(folder, config="", flags=UNMARKED) as prometheus:
        for name in DASHBOARDS:
            await picture(name, asked=prometheus, window=window)


async def picture(name: str, *, asked: Prometheus, window: Window) -> None:
    """One dashboard, light and dark."""
    drawn = await page(read(name), asked=asked, window=window)
    for scheme, html in drawn.html.items():
        to = PICTURES / f"{name}-{scheme}.png"
        await photographed(html, size=(drawn.width, drawn.height), to=to)
        to.write_bytes(repacked(to.read_bytes()))
        sys.stdout.write(f"{to.relative_to(PICTURES.parents[1])}\n")


def main() -> None:
    """Draws all of them."""
    structlog.configure(processors=[], logger_factory=structlog.ReturnLoggerFactory())
    PICTURES.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="pyrometer-pictures-") as folder:
        asyncio.run(draw(Path(folder)))


if __name__ == "__main__":
    main()
