"""Chromium without a window: a page in, a PNG out."""

from __future__ import annotations

import asyncio
import tempfile
from pathlib import Path

from dashboards.pictures.server import program

FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
    "--disable-lcd-text",
)
PATIENCE = 120.0
"""Seconds; a page takes one or two."""


async def photographed(html: str, *, size: tuple[int, int], to: Path) -> None:
    """Writes a PNG of `size` pixels."""
    with tempfile.TemporaryDirectory(prefix="pyrometer-pictures-") as folder:
        page = Path(folder) / "page.html"
        page.write_text(html)
        process = await asyncio.create_subprocess_exec(
            program("chromium"),
            *FLAGS,
            f"--user-data-dir={folder}/profile",
            f"--screenshot={to}",
            f"--window-size={size[0]},{size[1]}",
            page.as_uri(),
            stderr=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.DEVNULL,
        )
        async with asyncio.timeout(PATIENCE):
            _, errors = await process.communicate()
    if process.returncode != 0:
        raise SystemExit(f"chromium drew nothing: {errors.decode(errors='replace')[-500:]}")
