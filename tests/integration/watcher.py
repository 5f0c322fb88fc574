"""Follows a chain by the connector in a process of its own, which may be stopped, killed and started again."""

from __future__ import annotations

import asyncio
import json
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

PATIENCE = 60.0
"""Seconds until something must have happened, on a machine that does other things too."""


@dataclass(frozen=True, slots=True)
class Report:
    """Every account's satoshis at the block `tip`. `doubts`: accounts that could not be read, or were disagreed on."""

    tip: str
    held: Mapping[str, int]
    doubts: Sequence[str]


class Watcher:
    """One process at a time, on the same files. `reports` are those that nobody has looked at yet."""

    def __init__(self, settings: Mapping[str, object], *, accounts: Sequence[str], folder: Path) -> None:
        self.reports: list[Report] = []
        self._settings = {**settings, "state": str(folder / "state")}
        self._accounts = list(accounts)
        self._log = folder / "log"
        self._failure = "none"
        self._tip: str | None = None
        self._process: Process | None = None
        self._reading: asyncio.Task[None] | None = None
        self._news = asyncio.Event()

    async def start(self, *, die_in: int | None = None) -> None:
        assert self._process is None, "it runs already"
        self._tip = None
        with self._log.open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "tests.integration.watcher_process"),
                cwd=Path(__file__).parents[2],
                stdin=PIPE,
                stdout=PIPE,
                stderr=log,
            )
        self._reading = asyncio.create_task(self._read(self._process), name="reading the watcher")
        self._tell({"settings": self._settings, "accounts": self._accounts, "die_in": die_in})

    async def stop(self) -> None:
        """In good order."""
        if self._process is not None and self._process.stdin is not None:
            self._process.stdin.close()
        code = await self._ended()
        assert code in (0, None), f"exit code {code}; {self._words()}"

    async def kill(self) -> None:
        """As kill -9; it may have killed itself meanwhile."""
        if self._process is not None and self._process.returncode is None:
            self._process.kill()
        await self._ended()

    def die_in(self, statements: int) -> None:
        """At the so many-th statement that a file of its is given from now on."""
        self._tell({"die_in": statements})

    async def dies(self, *, within: float) -> bool:
        """Whether it kills itself within so many seconds."""
        assert self._process is not None
        try:
            await asyncio.wait_for(self._process.wait(), within)
        except TimeoutError:
            return False
        return True

    async def reach(self, tip: str) -> None:
        """Waits until it reports that block."""
        deadline = asyncio.get_running_loop().time() + PATIENCE
        while self._tip != tip:
            assert self._process is not None and self._process.returncode is None, f"it has ended; {self._words()}"
            self._news.clear()
            try:
                async with asyncio.timeout_at(deadline):
                    await self._news.wait()
            except TimeoutError:
                raise AssertionError(f"{tip} is not reported but {self._tip}; {self._words()}") from None

    def _tell(self, order: Mapping[str, object]) -> None:
        assert self._process is not None and self._process.stdin is not None
        self._process.stdin.write(json.dumps(order).encode() + b"\n")

    async def _read(self, process: Process) -> None:
        assert process.stdout is not None
        while (line := await process.stdout.readline()).endswith(b"\n"):  # a killed one may leave half a line
            told = json.loads(line)
            self._failure = told.get("failure", self._failure)
            if "tip" in told:
                self.reports.append(Report(**told))
                self._tip = told["tip"]
            self._news.set()
        await process.wait()
        self._news.set()

    async def _ended(self) -> int | None:
        process, self._process = self._process, None
        if process is None or self._reading is None:
            return None
        if process.stdin is not None:
            process.stdin.close()
        try:
            code = await asyncio.wait_for(process.wait(), PATIENCE)
        except TimeoutError:
            process.kill()
            code = await process.wait()
        await self._reading
        return code

    def _words(self) -> str:
        log = self._log.read_text(errors="replace")[-2000:] if self._log.exists() else ""
        return f"last failure: {self._failure}; log: {log}"
