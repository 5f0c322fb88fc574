"""The Bitcoin connector in a process of its own, for tests that kill it: JSON lines in, JSON lines out.

Run as a program it is the ancestor of such processes: it has imported everything, and forks one for each socket that it
is sent over its standard input. The process says {"pid": n}. The first line in says what to follow: {"settings": …,
"accounts": […], "die_in": n or null}. Later ones, {"die_in": n}: it kills itself at the n-th statement from then on
that any of its SQLite files is given. A line out is a Report or {"failure": …}, whenever what is known has changed.
The end of the input ends it in good order: it says {"ended": true}. SIGTERM ends it with a word on where it stands.
"""

from __future__ import annotations

import asyncio
import faulthandler
import json
import os
import signal
import socket
import sqlite3
import sys
from collections.abc import AsyncGenerator
from contextlib import aclosing
from datetime import UTC, datetime
from typing import Any, cast

import structlog

from connectors.base import Address, Token, Update, Watch
from connectors.bitcoin.client import connect
from connectors.bitcoin.config import BitcoinConfig


class Death:
    """Counts statements once it is told to."""

    def __init__(self) -> None:
        self._left: int | None = None
        sys.addaudithook(self._look)

    def come_in(self, statements: int | None) -> None:
        self._left = statements

    def _look(self, event: str, args: tuple[Any, ...]) -> None:
        if event == "sqlite3.connect/handle":
            database: sqlite3.Connection = args[0]
            asyncio.get_running_loop().call_soon(database.set_trace_callback, self._count)  # it is not whole yet

    def _count(self, _: str) -> None:
        if self._left is not None:
            self._left -= 1
            if self._left <= 0:
                os.kill(os.getpid(), signal.SIGKILL)


class Life:
    """One process, from its first line to its last."""

    def __init__(self, orders: asyncio.StreamReader, words: asyncio.StreamWriter) -> None:
        self._orders = orders
        self._words = words
        self._death = Death()

    async def live(self) -> None:
        self._say({"pid": os.getpid()})
        first = json.loads(await self._orders.readline())
        self._death.come_in(first["die_in"])
        tasks = {
            asyncio.create_task(self._follow(first["settings"], first["accounts"]), name="following"),
            asyncio.create_task(self._obey(), name="obeying"),
        }
        ended, others = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)
        for task in ended:
            task.result()
        self._say({"ended": True})
        await self._words.drain()

    async def _obey(self) -> None:
        """Until the input ends."""
        while line := await self._orders.readline():
            self._death.come_in(json.loads(line)["die_in"])

    async def _follow(self, settings: dict[str, object], accounts: list[str]) -> None:
        config = BitcoinConfig.model_validate(settings)
        watch = Watch("btc", tuple(Address(account) for account in accounts), (Token("btc", None, 8),))
        said: object = None
        held: dict[str, int] = {}
        async with (
            connect(config, chain="btc", now=lambda: datetime.now(UTC)) as connector,
            aclosing(cast(AsyncGenerator[Update, None], connector.updates(watch))) as updates,
        ):
            async for update in updates:
                report = _report(update, held=held)
                if report != said:
                    said = report
                    self._say(report)

    def _say(self, word: dict[str, object]) -> None:
        self._words.write(json.dumps(word).encode() + b"\n")


def _report(update: Update, *, held: dict[str, int]) -> dict[str, object]:
    """What a consumer knows after the update, given what it `held` before, which is brought up to date."""
    if update.failure is not None:
        return {"failure": f"{update.failure.reason.value}: {update.failure.detail}"}
    if update.complete:
        held.clear()
    held |= {one.account: one.units for one in update.held}
    doubts = [f"{one.account}: {one.reason.value}: {one.detail}" for one in update.unread]
    doubts += [f"{one.account}: {one.answers}" for one in update.disagreements]
    return {"tip": update.tip and update.tip.hash, "held": dict(held), "doubts": doubts}


async def live(place: int) -> None:
    orders, words = await asyncio.open_connection(sock=socket.socket(fileno=place))
    try:
        await Life(orders, words).live()
    finally:
        words.close()


def main() -> None:
    """Forks until the input ends. Who died is taken note of only then: until the next birth no number is used twice."""
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
    faulthandler.register(signal.SIGTERM, chain=True)
    child = 0
    with socket.socket(fileno=sys.stdin.fileno()) as control:
        while places := socket.recv_fds(control, 1, 1)[1]:
            if child:
                os.waitpid(child, 0)
            child = os.fork()
            if not child:
                control.close()
                asyncio.run(live(places[0]))
                return
            os.close(places[0])


if __name__ == "__main__":
    main()
