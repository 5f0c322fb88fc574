"""Follows a chain by the connector in a process of its own, which may be stopped, killed and started again."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

PATIENCE = 180.0
"""Seconds until something must have happened, on a machine that does other things too."""

LOG_SHOWN = 8000
"""Characters of its log's end."""

SETTINGS = {"kind": "bitcoin", "network": "regtest", "poll": "100ms", "max_tip_age": "30d"}


@dataclass(frozen=True, slots=True)
class Report:
    """Every account's satoshis at the block `tip`. `doubts`: accounts that could not be read, or were disagreed on."""

    tip: str
    held: Mapping[str, int]
    doubts: Sequence[str]


class Ancestor:
    """Has imported what watchers need: what is forked from it lives at once. One child at a time."""

    def __init__(self, log: Path) -> None:
        self.log = log
        self._process: subprocess.Popen[bytes] | None = None
        self._control: socket.socket | None = None

    def start(self) -> None:
        self._control, theirs = socket.socketpair()
        with theirs, theirs.makefile() as place, self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tests.integration.watcher_process"],
                cwd=Path(__file__).parents[2],
                stdin=place,
                stdout=subprocess.DEVNULL,
                stderr=log,
            )

    def stop(self) -> None:
        assert self._process is not None and self._control is not None
        self._control.close()
        self._process.wait(PATIENCE)

    def child(self) -> socket.socket:
        """What a new one speaks over."""
        assert self._control is not None
        ours, theirs = socket.socketpair()
        with theirs:
            socket.send_fds(self._control, [b"!"], [theirs.fileno()])
        return ours


class Watcher:
    """One process at a time, on the same files. `reports` are those that nobody has looked at yet."""

    def __init__(
        self, settings: Mapping[str, object], *, accounts: Sequence[str], folder: Path, ancestor: Ancestor
    ) -> None:
        self.reports: list[Report] = []
        self._settings = {**SETTINGS, **settings, "state": str(folder / "state")}
        self._accounts = list(accounts)
        self._ancestor = ancestor
        self._failure = "none"
        self._tip: str | None = None
        self._pid: int | None = None
        """While it may live."""
        self._ended_well = False
        self._orders: asyncio.StreamWriter | None = None
        self._reading: asyncio.Task[None] | None = None
        self._news = asyncio.Event()

    async def start(self, *, die_in: int | None = None) -> None:
        assert self._pid is None, "it runs already"
        words, self._orders = await asyncio.open_connection(sock=self._ancestor.child())
        self._pid = json.loads(await words.readline())["pid"]
        self._tip, self._ended_well = None, False
        self._reading = asyncio.create_task(self._read(words), name="reading the watcher")
        self._tell({"settings": self._settings, "accounts": self._accounts, "die_in": die_in})

    async def stop(self) -> None:
        """In good order."""
        assert self._orders is not None
        self._orders.write_eof()
        if not await self.dies(within=PATIENCE):
            await self._end_with_traceback()
            raise AssertionError(f"it does not end; {self._words()}")
        await self.kill()
        assert self._ended_well, f"it did not end in good order; {self._words()}"

    async def kill(self) -> None:
        """As kill -9; it may have killed itself meanwhile."""
        if self._pid is not None:
            os.kill(self._pid, signal.SIGKILL)
        if self._reading is not None and self._orders is not None:
            await self._reading
            self._orders.close()
        self._pid = None

    def die_in(self, statements: int) -> None:
        """At the so many-th statement that a file of its is given from now on."""
        self._tell({"die_in": statements})

    async def dies(self, *, within: float) -> bool:
        """Whether it ends by itself within so many seconds."""
        assert self._reading is not None
        await asyncio.wait([self._reading], timeout=within)
        return self._reading.done()

    async def reach(self, tip: str) -> None:
        """Waits until it reports that block."""
        assert self._reading is not None
        deadline = asyncio.get_running_loop().time() + PATIENCE
        while self._tip != tip:
            assert not self._reading.done(), f"it has ended; {self._words()}"
            self._news.clear()
            try:
                async with asyncio.timeout_at(deadline):
                    await self._news.wait()
            except TimeoutError:
                reported = self._tip
                await self._end_with_traceback()
                raise AssertionError(f"{tip} is not reported but {reported}; {self._words()}") from None

    async def _end_with_traceback(self) -> None:
        """Where each of its threads stands goes into the log, even where none of them moves any more."""
        assert self._pid is not None
        os.kill(self._pid, signal.SIGTERM)
        await self.dies(within=PATIENCE)

    def _tell(self, order: Mapping[str, object]) -> None:
        assert self._orders is not None
        self._orders.write(json.dumps(order).encode() + b"\n")

    async def _read(self, words: asyncio.StreamReader) -> None:
        """Until it has ended."""
        while (line := await _line(words)).endswith(b"\n"):  # a killed one may leave half a line
            told = json.loads(line)
            self._failure = told.get("failure", self._failure)
            self._ended_well = "ended" in told
            if "tip" in told:
                self.reports.append(Report(**told))
                self._tip = told["tip"]
            self._news.set()
        asyncio.get_running_loop().call_soon(self._news.set)  # when this task counts as done

    def _words(self) -> str:
        return f"last failure: {self._failure}; log: {self._ancestor.log.read_text(errors='replace')[-LOG_SHOWN:]}"


async def _line(words: asyncio.StreamReader) -> bytes:
    """Of one that was killed with orders unread the connection ends in a reset."""
    try:
        return await words.readline()
    except ConnectionError:
        return b""
