"""The Bitcoin connector in a process of its own, for tests that kill it: JSON lines in, JSON lines out.

The first line in says what to follow: {"settings": …, "accounts": […], "die_in": n or null}. Later ones, {"die_in": n}:
it kills itself at the n-th statement from then on that any of its SQLite files is given. The end of the input ends it
in good order. A line out is a Report or {"failure": …}, whenever what is known has changed.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sqlite3
import sys
from typing import Any

import structlog

from connectors.base import Address, Update, Watch
from tests.integration.bitcoin_chain import COIN, connected_to, following


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


async def follow(settings: dict[str, object], accounts: list[str]) -> None:
    watch = Watch("btc", tuple(Address(account) for account in accounts), (COIN,))
    said: object = None
    held: dict[str, int] = {}
    async with connected_to(**settings) as connector, following(connector, watch) as updates:
        async for update in updates:
            report = report_of(update, held=held)
            if report != said:
                said = report
                print(json.dumps(report), flush=True)  # noqa: T201 - this is its interface


def report_of(update: Update, *, held: dict[str, int]) -> dict[str, object]:
    """What a consumer knows after the update, given what it `held` before, which is brought up to date."""
    if update.failure is not None:
        return {"failure": f"{update.failure.reason.value}: {update.failure.detail}"}
    if update.complete:
        held.clear()
    held |= {one.account: one.units for one in update.held}
    doubts = [f"{one.account}: {one.reason.value}: {one.detail}" for one in update.unread]
    doubts += [f"{one.account}: {one.answers}" for one in update.disagreements]
    return {"tip": update.tip and update.tip.hash, "held": dict(held), "doubts": doubts}


async def obey(orders: asyncio.StreamReader, death: Death) -> None:
    """Until the input ends."""
    while line := await orders.readline():
        death.come_in(json.loads(line)["die_in"])


async def main() -> None:
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
    orders = asyncio.StreamReader()
    protocol = asyncio.StreamReaderProtocol(orders)
    await asyncio.get_running_loop().connect_read_pipe(lambda: protocol, sys.stdin)
    first = json.loads(await orders.readline())
    death = Death()
    death.come_in(first["die_in"])
    tasks = {
        asyncio.create_task(follow(first["settings"], first["accounts"]), name="following"),
        asyncio.create_task(obey(orders, death), name="obeying"),
    }
    ended, others = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    for task in others:
        task.cancel()
    await asyncio.wait(others)
    for task in ended:
        task.result()


if __name__ == "__main__":
    asyncio.run(main())
