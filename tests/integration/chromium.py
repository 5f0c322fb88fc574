"""A real browser for tests: Debian's Chromium, headless, each time with an empty profile."""

import asyncio
from pathlib import Path
from typing import Literal

from tests.real import require_program

HINT = "apt-get install chromium, or set PYROMETER_CHROMIUM to the binary"
DEADLINE = 45.0  # seconds; a page takes one or two
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
)


class Chromium:
    """Loads a page, lets `passed` ms go by on its own clock, as fast as it can, and shows what then stands there.

    `folder` holds the profiles and what is saved.
    """

    def __init__(self, folder: Path) -> None:
        self._program = require_program("chromium", HINT)
        self._folder = folder
        self._runs = 0

    async def dom(self, url: str, *, passed: int = 1500) -> str:
        """The document as HTML, after its scripts ran."""
        return (await self._run("--dump-dom", f"--virtual-time-budget={passed}", url))[0].decode()

    async def dom_and_console(self, url: str, *, passed: int = 1500) -> tuple[str, list[str]]:
        """The document, and every line that the page or the browser has put into the console."""
        logged = ("--enable-logging=stderr", "--log-level=0")
        dom, errors = await self._run(*logged, "--dump-dom", f"--virtual-time-budget={passed}", url)
        return dom.decode(), [line for line in errors.decode(errors="replace").splitlines() if ":CONSOLE" in line]

    async def print_to(self, url: str, *, to: Path) -> None:
        """Writes a PDF."""
        await self._run(f"--print-to-pdf={to}", url)

    async def screenshot(
        self,
        url: str,
        *,
        to: Path,
        size: tuple[int, int] = (1100, 1400),
        scheme: Literal["light", "dark"] = "light",
        passed: int = 1500,
    ) -> None:
        """Writes a PNG of `size` CSS pixels."""
        preferred = {"dark": 0, "light": 1}[scheme]  # Blink's PreferredColorScheme
        await self._run(
            f"--screenshot={to}",
            f"--window-size={size[0]},{size[1]}",
            f"--blink-settings=preferredColorScheme={preferred}",
            f"--virtual-time-budget={passed}",
            url,
        )

    async def _run(self, *arguments: str) -> tuple[bytes, bytes]:
        self._runs += 1
        process = await asyncio.create_subprocess_exec(
            self._program,
            *FLAGS,
            f"--user-data-dir={self._folder / f'profile-{self._runs}'}",
            *arguments,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        try:
            output, errors = await asyncio.wait_for(process.communicate(), timeout=DEADLINE)
        except TimeoutError:
            process.kill()
            await process.wait()
            raise
        assert process.returncode == 0, errors.decode(errors="replace")[-2000:]
        return output, errors
