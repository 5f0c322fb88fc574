"""Tells systemd how the daemon fares: ready, alive, reloading, stopping, and one line for people.

The protocol is one datagram of assignments, a line each, to the socket that NOTIFY_SOCKET names; without one nothing
is told (systemd, sd_notify(3) and sd_watchdog_enabled(3)).
"""

from __future__ import annotations

import asyncio
import os
import socket
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from time import monotonic

import structlog

from daemon.model import Judgement, Report, State

log = structlog.get_logger(__name__)

LONGEST = 400
"""Characters of a status; systemd reads 4096 bytes of a datagram (src/core/manager.c, NOTIFY_BUFFER_MAX)."""


class Systemd:
    """A sink of the pipe: signs of life come with its passes and from nowhere else, so that a judging that hangs is one
    that systemd ends. `socket_name` is what NOTIFY_SOCKET says; `watchdog` are the seconds of silence that it bears.

    It is ready with the first pass after `listening` is set: then it serves, and judges. A complete picture is not
    waited for. Where a chain takes half an hour to be read, systemd would end as stuck what already says to everybody
    that it does not know.
    """

    def __init__(
        self, socket_name: str | None, *, watchdog: float | None = None, clock: Callable[[], float] = monotonic
    ) -> None:
        self.listening = asyncio.Event()
        self._name = socket_name
        self._watchdog = watchdog
        self._clock = clock
        self._ready = self._reloading = self._stopping = self._refused = self._down = False
        self._alive = float("-inf")
        self._status = ""

    @classmethod
    def of(cls, env: Mapping[str, str]) -> Systemd:
        """The one that has started this process, if it was systemd."""
        meant = env.get("WATCHDOG_PID", str(os.getpid())) == str(os.getpid())
        microseconds = env.get("WATCHDOG_USEC", "")
        watchdog = int(microseconds) / 1e6 if meant and microseconds.isdecimal() else None
        return cls(env.get("NOTIFY_SOCKET") or None, watchdog=watchdog)

    def offer(self, report: Report) -> None:
        """After each pass of the pipe: what systemd does not know yet, and in time that we are alive."""
        if not self.listening.is_set() or self._stopping:
            return
        status, ready = self._words(report), not self._ready and not self._reloading
        said = ["READY=1"] if ready else []
        if status != self._status:
            said.append(f"STATUS={status}")
        now = self._clock()
        if self._watchdog is not None and now >= self._alive + self._watchdog / 4:
            said.append("WATCHDOG=1")
        if said and self._tell(*said):
            self._ready, self._status = self._ready or ready, status
            self._alive = now if said[-1] == "WATCHDOG=1" else self._alive

    @contextmanager
    def reloading(self) -> Iterator[None]:
        """Around a reload, which has failed when it raises: then the configuration before it stays in force."""
        if self._ready:
            # The time by CLOCK_MONOTONIC is for units of Type=notify-reload (systemd 253).
            self._tell("RELOADING=1", f"MONOTONIC_USEC={int(self._clock() * 1e6)}", "STATUS=reloading")
            self._status = ""
        was_ready, self._ready, self._reloading, self._refused = self._ready, False, True, True
        try:
            yield
            self._refused = False
        finally:
            self._reloading = False
            # What does not come through is told with the next pass.
            self._ready = was_ready and not self._stopping and self._tell("READY=1")

    @asynccontextmanager
    async def told_of(self, stop: asyncio.Event) -> AsyncIterator[None]:
        """Says that we are stopping as soon as `stop` is set."""

        async def tell() -> None:
            await stop.wait()
            self._stopping = True
            self._tell("STOPPING=1", "STATUS=telling the receivers what they have not heard yet")

        task = asyncio.create_task(tell(), name="systemd")
        try:
            yield
        finally:
            task.cancel()
            await asyncio.wait([task])

    def _words(self, report: Report) -> str:
        """How things stand, in one line that fits."""
        verdicts = Counter(verdict.judgement for verdict in report.verdicts)
        told = ", ".join(f"{verdicts[kind]} {kind.value}" for kind in Judgement if verdicts[kind]) or "no rule"
        firing = sum(finding.state is State.FIRING for finding in report.findings)
        text = f"judging {_count(len(report.wallets), 'wallet')} on {_count(len(report.chains), 'chain')}: {told}"
        text += f"; {_count(firing, 'finding')} firing" if firing else ""
        text += "; the last reload was refused" if self._refused and not self._reloading else ""
        if report.problems:
            more = len(report.problems) - 1
            text += f"; not known: {report.problems[0]}{f' and {more} more' if more else ''}"
        # What a node has said may stand in it: no line of it may become an assignment of its own.
        return "".join(letter if letter.isprintable() else " " for letter in text)[:LONGEST]

    def _tell(self, *assignments: str) -> bool:
        """Whether systemd has it, or nobody is there to be told."""
        if self._name is None:
            return True
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as line:
                line.settimeout(0)  # a supervisor that does not read holds up nothing
                line.sendto("\n".join(assignments).encode(errors="replace"), _address(self._name))
        except OSError as error:
            self._noted(error)
            return False
        self._noted(None)
        return True

    def _noted(self, error: OSError | None) -> None:
        """One log line when it can't be told any more and one when it can again."""
        if error is not None and not self._down:
            log.warning("systemd can't be told", socket=self._name, error=error.strerror or str(error))
        elif self._down and error is None:
            log.info("systemd is told again")
        self._down = error is not None


def _address(name: str) -> str:
    """`@` stands for the zero byte that begins an abstract name (unix(7))."""
    return f"\0{name[1:]}" if name.startswith("@") else name


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"
