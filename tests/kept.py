"""Two days of a small exchange, kept in a real store: the real connector, pipe and keeper, in simulated time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from pathlib import Path

from daemon.feeds.book import FeedBook
from daemon.feeds.values import Custody, FeedKind, Feeds, SourceState, Stated
from daemon.history.config import HistoryConfig, ReportConfig
from daemon.history.keeper import Keeper
from daemon.interval import Interval
from daemon.model import Report, Tier
from daemon.outbox import Outbox
from daemon.replay.faults import Faults
from daemon.replay.player import Bells, Player, opened
from daemon.replay.scenario import load
from daemon.reporting.reporter import Reporter
from daemon.store.repository import SqlStore, open_store
from tests.drilled import take_on

SCENARIO = Path(__file__).parent / "data" / "two_days.yaml"
FIRST, SECOND = date(2026, 11, 20), date(2026, 11, 21)
GRAIN = timedelta(minutes=10)
CONFIG = HistoryConfig(grain=GRAIN)
DAYS = ReportConfig(timezone="Asia/Tokyo").days


def utc(text: str) -> datetime:
    return datetime.fromisoformat(f"{text}+00:00")


BLIND = (utc("2026-11-20T03:00"), utc("2026-11-20T05:00"))
"""While the node does not answer."""
ASLEEP = (utc("2026-11-20T08:00"), utc("2026-11-20T09:30"))
"""While nobody keeps anything."""


class Books(FeedBook):
    """What an exchange states of itself, beside the prices of the configuration; the bank's figure is as of 14:00."""

    @property
    def owed(self) -> frozenset[str]:
        return frozenset(("ETH", "USDC"))

    def look(self, now: datetime) -> Feeds:
        prices = super().look(now)
        bank = now.replace(minute=0, second=0, microsecond=0)
        state = SourceState(FeedKind.LIABILITIES, "books", now, None, "", None, timedelta(minutes=2))
        return Feeds(
            prices=prices.prices,
            trailing={"ETH": _stated("412345.678", now), "USDC": _stated("149.5", now)},
            liabilities={"ETH": _stated("15999.000000000000000001", now), "USDC": _stated("12500000", now)},
            custody=(Custody("Example Trust", "USDC", Tier.COLD, _stated("249999.5", bank, source="trust")),),
            fund=_stated("2000000000", now, source="fund"),
            insurance=Interval.exactly(Decimal(500_000_000)),
            sources=(*prices.sources, state),
            merkle_root="ab" * 32,
        )


def _stated(text: str, at: datetime, *, source: str = "books") -> Stated:
    return Stated(Interval.exactly(Decimal(text)), source, at)


@dataclass(slots=True)
class Sleepy:
    """The keeper as a sink, but for a time in which it hears nothing."""

    keeper: Keeper | None = None

    def offer(self, report: Report) -> None:
        if self.keeper is not None and not ASLEEP[0] <= report.at < ASLEEP[1]:
            self.keeper.offer(report)


async def play(store: SqlStore) -> None:
    """Both days from their first minute to an hour past the last."""
    scenario = load(SCENARIO)
    sleepy = Sleepy()
    outbox = Outbox(store, sinks=["am"], clock=lambda: scenario.starts)
    async with opened(scenario, bells=Bells(outbox, ("am",), (sleepy,))) as player:
        pipeline = player._pipeline
        pipeline.feeds = Books(player._loaded.setup.feeds)
        sleepy.keeper = Keeper(
            store.archive,
            config=CONFIG,
            days=DAYS,
            standing=lambda: (pipeline.setup, pipeline.ledger, player._loaded),
            program="pyrometer 0.1.0",
        )
        ticking = asyncio.create_task(_tick(player))
        failing = asyncio.create_task(_fail(player))
        try:
            await player.play()
        finally:
            for task in (ticking, failing):
                task.cancel()
                with suppress(asyncio.CancelledError):
                    await task
        await sleepy.keeper.flush()


async def _tick(player: Player) -> None:
    """Judges a few seconds after every ten minutes, as a daemon does every second."""
    while True:
        await player._simulation.sleep(300)
        await player._pipeline.cycle(player._simulation.now())


async def _fail(player: Player) -> None:
    """The node is gone for two hours."""
    (played,) = player._director.stage.chains.values()
    await player._simulation.until(BLIND[0])
    for one in played.faults:
        take_on(one, Faults(failing=1.0))
    await player._simulation.until(BLIND[1])
    for one in played.faults:
        take_on(one, Faults())


@asynccontextmanager
async def kept(folder: Path) -> AsyncIterator[SqlStore]:
    """A store that holds the two days."""
    async with open_store(f"sqlite+aiosqlite:///{folder / 'pyrometer.db'}") as store:
        await play(store)
        yield store


def reporter(store: SqlStore) -> Reporter:
    return Reporter(store.archive, days=DAYS, grain=GRAIN, entity="Example Exchange KK", currency="JPY")
