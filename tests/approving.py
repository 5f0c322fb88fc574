"""Approvals for tests: configured sources, and what one that is followed has said."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import datetime
from pathlib import Path

from daemon.app import utc_now
from daemon.detection.approval import Approval, Approved
from daemon.feeds.asking import Asked, asked
from daemon.feeds.book import Heard
from daemon.feeds.config import FeedsConfig
from daemon.feeds.opening import Surroundings
from daemon.feeds.plan import SourceKey
from daemon.feeds.values import Fault, FeedReason
from daemon.feeds.worker import ask_all, following

DECIMALS = {"BTC": 8, "ETH": 18}
HOMES = {"BTC": frozenset({"bitcoin"}), "ETH": frozenset({"ethereum"})}
DEADLINE = 60.0


def source(**keys: object) -> Asked:
    """One source of approvals, asked often."""
    config = FeedsConfig.model_validate({"approvals": [{"every": "50ms", "timeout": "20s", **keys}]})
    (one,) = asked(config, decimals=DECIMALS, currency="JPY", chains={}, homes=HOMES)
    return one


async def once(one: Asked, *, folder: Path = Path(), now: Callable[[], datetime] = utc_now) -> Heard:
    """What it says when it is asked once."""
    ((_, said),) = await ask_all([one], around=Surroundings("JPY", {}, folder, now))
    return said


async def approvals(one: Asked, *, folder: Path = Path()) -> tuple[Approval, ...]:
    said = await once(one, folder=folder)
    assert isinstance(said, Approved), said
    return said.approvals


async def fault(one: Asked, *, folder: Path = Path()) -> Fault:
    said = await once(one, folder=folder)
    assert isinstance(said, Fault), said
    assert "\n" not in said.detail
    return said


class Following:
    """What a worker has brought, in order."""

    def __init__(self) -> None:
        self.said: list[Heard] = []
        self._news = asyncio.Event()

    async def take(self, _: SourceKey, said: Heard) -> None:
        self.said.append(said)
        self._news.set()

    @property
    def good(self) -> list[Approved]:
        return [one for one in self.said if isinstance(one, Approved)]

    @property
    def named(self) -> list[str]:
        """The ids of the newest good answer."""
        return [one.id for one in self.good[-1].approvals] if self.good else []

    @property
    def faults(self) -> list[Fault]:
        return [one for one in self.said if isinstance(one, Fault)]

    async def until(self, condition: Callable[[], object]) -> None:
        """Waits for what is said next, until it is so."""
        async with asyncio.timeout(DEADLINE):
            while not condition():
                self._news.clear()
                await self._news.wait()

    async def failed(self, reason: FeedReason) -> Fault:
        """The newest word, when it is this fault."""
        await self.until(lambda: isinstance(self.said[-1], Fault) and self.said[-1].reason is reason)
        return self.faults[-1]


@asynccontextmanager
async def followed(
    one: Asked, *, folder: Path = Path(), now: Callable[[], datetime] = utc_now
) -> AsyncIterator[Following]:
    """A worker on the source while the block lasts."""
    heard = Following()
    async with following([one], take=heard.take, around=Surroundings("JPY", {}, folder, now)):
        yield heard
