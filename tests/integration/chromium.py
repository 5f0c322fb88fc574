"""A real browser for tests: Debian's Chromium, headless, with an empty profile that is thrown away."""

import asyncio
import os
import shutil
from pathlib import Path

import pytest

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
    """Loads a page, lets its clock run on by `passed` ms as fast as it can, and gives what then stands there."""

    def __init__(self, program: str, *, profiles: Path) -> None:
        self._program = program
        self._profiles = profiles
        self._runs = 0

    async def dom(self, url: str, *, passed: int = 1500) -> str:
        """The document as HTML, after its scripts ran."""
        return (await self._run("--dump-dom", f"--virtual-time-budget={passed}", url)).decode()

    async def screenshot(
        self, url: str, *, to: Path, size: tuple[int, int] = (1100, 1400), dark: bool = False, passed: int = 1500
    ) -> None:
        """Writes a PNG of `size` CSS pixels."""
        scheme = 0 if dark else 1  # Blink's PreferredColorScheme
        await self._run(
            f"--screenshot={to}",
            f"--window-size={size[0]},{size[1]}",
            f"--blink-settings=preferredColorScheme={scheme}",
            f"--virtual-time-budget={passed}",
            url,
        )

    async def _run(self, *arguments: str) -> bytes:
        self._runs += 1
        profile = self._profiles / f"profile-{self._runs}"
        process = await asyncio.create_subprocess_exec(
            self._program,
            *FLAGS,
            f"--user-data-dir={profile}",
            *arguments,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        try:
            output, errors = await asyncio.wait_for(process.communicate(), timeout=45)
        except TimeoutError:
            process.kill()
            await process.wait()
            raise
        assert process.returncode == 0, errors.decode(errors="replace")[-2000:]
        return output


def find_chromium(profiles: Path) -> Chromium:
    """The machine's Chromium; without one the test is skipped, and fails where CI=true."""
    program = os.environ.get("PYROMETER_CHROMIUM") or shutil.which("chromium")
    if program is None:
        reason = "needs Chromium: apt-get install chromium (or name one in PYROMETER_CHROMIUM)"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    return Chromium(program, profiles=profiles)
