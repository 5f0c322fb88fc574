"""The keeper over restarts, midnights, a store that is down, and pictures that are not whole."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, cast

import pytest

from daemon.errors import StoreError
from daemon.feeds.values import FeedKind, FeedReason, Feeds, SourceState
from daemon.history.config import HistoryConfig, ReportConfig
from daemon.history.days import Days
from daemon.history.figure import Judged, decode
from daemon.history.keeper import MOST_WAITING, Keeper
from daemon.model import Inventory, Report
from daemon.policy.hot_share import HotShare
from daemon.reload import Loaded
from daemon.reporting.reporter import Reporter, gaps
from daemon.setup import Setup
from daemon.store import ClosingRow, SnapshotRow
from daemon.store.archive import SqlArchive
from daemon.store.repository import SqlStore, open_store
from tests.build import ETH, ETHER, NOON, complete, failed, priced, two_tiers
from tests.reported import report

MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)
DAY = date(2026, 11, 23)
MIDNIGHT = datetime(2026, 11, 24, tzinfo=UTC)
RULES = (("share", HotShare.model_validate({"kind": "hot_share", "limit": "0.5"})),)


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[SqlStore]:
    async with open_store(f"sqlite+aiosqlite:///{tmp_path / 'pyrometer.db'}") as store:
        yield store


class Flaky(SqlArchive):
    """An archive that can be told to be down."""

    down = False

    async def keep_snapshots(self, rows: Sequence[SnapshotRow]) -> None:
        self._fault()
        await super().keep_snapshots(rows)

    async def keep_closing(self, row: ClosingRow) -> None:
        self._fault()
        await super().keep_closing(row)

    async def closing_days(self) -> tuple[date, ...]:
        self._fault()
        return await super().closing_days()

    def _fault(self) -> None:
        if self.down:
            raise StoreError("store: it is down")


class Life:
    """One life of a daemon over two wallets of ether, from its start on."""

    def __init__(self, store: SqlStore, *, config: HistoryConfig | None = None, days: Days | None = None) -> None:
        self.archive = Flaky(store._do)
        self.inventory, self.ledger = two_tiers(1 * ETHER, 9 * ETHER)
        setup = _setup(self.inventory)
        self.keeper = Keeper(
            self.archive,
            config=config or HistoryConfig(),
            days=days or ReportConfig().days,
            standing=lambda: (setup, self.ledger, cast(Loaded, _Loaded())),
            program="pyrometer 0",
        )

    def sees(self, at: datetime, *, feeds: Feeds | None = None) -> Report:
        """A picture of that moment; its readings are current unless the node has failed before."""
        book = self.ledger.books["ethereum"]
        height = book.tip.height + 1 if book.tip else 1
        if book.failed is None:
            update = complete(height, {(1, ETH): ETHER, (2, ETH): 9 * ETHER})
            tip = replace(update.tip, time=at) if update.tip else None
            self.ledger.apply(replace(update, tip=tip, seen=at))
        seconds = (at - NOON).total_seconds()
        found = report(self.ledger, self.inventory, seconds=seconds, rules=RULES)
        found = found if feeds is None else replace(found, feeds=feeds)
        self.keeper.offer(found)
        return found

    def problem(self) -> str | None:
        return self.keeper.problem

    def goes_blind(self) -> None:
        self.ledger.apply(failed(0))

    async def lives(self, since: datetime, until: datetime, *, step: timedelta = MINUTE) -> None:
        """Looks every minute, and writes now and then."""
        while since < until:
            self.sees(since)
            since += step
        await self.keeper.flush()


class _Loaded:
    sha256 = "c" * 64


def _setup(inventory: Inventory) -> Setup:
    return Setup("Example KK", "JPY", inventory, RULES, priced(ETH="500000"), Decimal(1), {}, NOON)


async def grid(store: SqlStore, grain: timedelta) -> list[datetime]:
    rows = await store.archive.snapshots(grain=grain, since=NOON - 999 * HOUR, until=NOON + 99_999 * HOUR)
    return [row.at for row in rows]


def reporter(store: SqlStore) -> Reporter:
    return Reporter(store.archive, days=ReportConfig().days, grain=MINUTE, entity="Example KK", currency="JPY")


async def closing(store: SqlStore, day: date = DAY) -> dict[str, Any]:
    row = await store.archive.closing(day)
    assert row is not None
    raw: dict[str, Any] = json.loads(row.body)
    return raw


async def test_there_is_one_snapshot_for_each_minute_however_often_it_looks(store: SqlStore) -> None:
    life = Life(store)
    await life.lives(NOON + timedelta(seconds=3), NOON + 3 * MINUTE, step=timedelta(seconds=1))
    assert await grid(store, MINUTE) == [NOON, NOON + MINUTE, NOON + 2 * MINUTE]


async def test_minutes_become_tens_and_hours_when_they_are_over(store: SqlStore) -> None:
    life = Life(store)
    await life.lives(NOON, NOON + HOUR + MINUTE)
    assert len(await grid(store, timedelta(minutes=10))) == 6
    (hour,) = await store.archive.snapshots(grain=HOUR, since=NOON, until=NOON + HOUR)
    whole = decode(hour.body, at=hour.at, grain=hour.grain)
    assert whole.judged["share", "all"] == Judged(ok=3600)
    assert whole.figures["hot_share", "all"].known == 3600


async def test_an_hour_with_a_hole_does_not_hide_it(store: SqlStore) -> None:
    life = Life(store)
    await life.lives(NOON, NOON + 20 * MINUTE)
    await life.lives(NOON + 50 * MINUTE, NOON + HOUR + MINUTE)
    (hour,) = await store.archive.snapshots(grain=HOUR, since=NOON, until=NOON + HOUR)
    assert decode(hour.body, at=hour.at, grain=hour.grain).figures["hot_share", "all"].known == 30 * 60


async def test_what_is_old_goes_and_what_is_coarse_stays(store: SqlStore) -> None:
    config = HistoryConfig(keep=timedelta(days=2), keep_10m=timedelta(days=3))
    life = Life(store, config=config)
    await life.lives(NOON, NOON + HOUR)
    await life.lives(NOON + timedelta(days=2.5), NOON + timedelta(days=2.5) + MINUTE)
    assert [at for at in await grid(store, MINUTE) if at < NOON + HOUR] == []
    assert len(await grid(store, timedelta(minutes=10))) == 6
    await life.lives(NOON + timedelta(days=4), NOON + timedelta(days=4) + MINUTE)
    assert [at for at in await grid(store, timedelta(minutes=10)) if at < NOON + HOUR] == []
    assert NOON in await grid(store, HOUR)


async def test_the_day_is_closed_at_the_cut_off(store: SqlStore) -> None:
    life = Life(store)
    await life.lives(MIDNIGHT - 5 * MINUTE, MIDNIGHT + MINUTE)
    found = await closing(store)
    assert (found["at"], found["late_seconds"], found["complete"]) == ("2026-11-24T00:00:00Z", 0, True)
    assert found["wallets"]["hot"]["readings"][0]["units"] == str(ETHER)
    assert found["program"] == "pyrometer 0"
    assert await store.archive.closing_days() == (DAY,)


async def test_a_restart_over_midnight_closes_the_day_once(store: SqlStore) -> None:
    await Life(store).lives(MIDNIGHT - 5 * MINUTE, MIDNIGHT + MINUTE)
    before = await store.archive.closing(DAY)
    again = Life(store)
    await again.lives(MIDNIGHT + MINUTE, MIDNIGHT + 5 * MINUTE)
    await again.lives(MIDNIGHT + 5 * MINUTE, MIDNIGHT + 9 * MINUTE)
    assert await store.archive.closing(DAY) == before


async def test_a_day_that_ended_while_nobody_ran_is_closed_late_and_says_so(store: SqlStore) -> None:
    await Life(store).lives(MIDNIGHT - 5 * HOUR, MIDNIGHT - 4 * HOUR)
    late = Life(store)
    late.sees(MIDNIGHT + 3 * HOUR)
    await late.keeper.flush()  # learns what is missing
    late.sees(MIDNIGHT + 3 * HOUR + timedelta(seconds=1))
    await late.keeper.flush()
    found = await closing(store)
    assert found["late_seconds"] == 3 * 3600 + 1
    assert any("10801 s after the cut-off" in gap for gap in gaps(await reporter(store).report(DAY)))


async def test_a_first_start_closes_no_day_before_it(store: SqlStore) -> None:
    life = Life(store)
    await life.lives(MIDNIGHT + HOUR, MIDNIGHT + 2 * HOUR)
    assert await store.archive.closing_days() == ()


async def test_days_that_nobody_saw_the_end_of_stay_gaps_but_for_the_last(store: SqlStore) -> None:
    await Life(store).lives(MIDNIGHT - MINUTE, MIDNIGHT + 5 * MINUTE)
    late = Life(store)
    noon = MIDNIGHT + timedelta(days=3, hours=12)
    for second in range(3):
        late.sees(noon + timedelta(seconds=second))
        await late.keeper.flush()
    assert await store.archive.closing_days() == (DAY, date(2026, 11, 26))
    between = await reporter(store).report(date(2026, 11, 25))
    assert gaps(between)[0].startswith("The day has no closing")


async def test_a_picture_with_a_hole_is_waited_for_and_then_taken_with_its_hole(store: SqlStore) -> None:
    life = Life(store)
    life.sees(MIDNIGHT - 2 * MINUTE)
    life.goes_blind()
    await life.lives(MIDNIGHT, MIDNIGHT + 10 * MINUTE)
    assert await store.archive.closing_days() == ()
    await life.lives(MIDNIGHT + 10 * MINUTE, MIDNIGHT + 11 * MINUTE)
    found = await closing(store)
    assert (found["complete"], found["late_seconds"]) == (False, 600)
    assert found["chains"]["ethereum"]["reason"] == "unavailable"
    assert any("has holes" in gap for gap in gaps(await reporter(store).report(DAY)))


async def test_a_closing_waits_for_sources_that_have_not_answered_yet(store: SqlStore) -> None:
    life = Life(store)
    starting = SourceState(FeedKind.LIABILITIES, "books", None, FeedReason.STARTING, "", None, None)
    life.sees(MIDNIGHT - MINUTE)
    life.sees(MIDNIGHT, feeds=Feeds(sources=(starting,)))
    await life.keeper.flush()
    assert await store.archive.closing_days() == ()
    life.sees(MIDNIGHT + MINUTE, feeds=Feeds(sources=(replace(starting, reason=None, at=MIDNIGHT),)))
    await life.keeper.flush()
    assert (await closing(store))["late_seconds"] == 60


async def test_a_block_that_came_after_the_judgement_does_not_mix_into_the_closing(store: SqlStore) -> None:
    """The ledger is ahead of the report: the next report that is not is taken."""
    life = Life(store)
    life.sees(MIDNIGHT - MINUTE)
    stale = report(life.ledger, life.inventory, seconds=(MIDNIGHT - NOON).total_seconds())
    life.ledger.apply(replace(complete(9, {(1, ETH): 5, (2, ETH): 6}), seen=MIDNIGHT))
    life.keeper.offer(stale)
    await life.keeper.flush()
    assert await store.archive.closing_days() == ()
    life.sees(MIDNIGHT + MINUTE)
    await life.keeper.flush()
    assert await store.archive.closing_days() == (DAY,)


async def test_a_store_that_is_down_over_the_cut_off_gets_the_closing_of_that_moment_later(store: SqlStore) -> None:
    life = Life(store)
    await life.lives(MIDNIGHT - 5 * MINUTE, MIDNIGHT - MINUTE)
    life.archive.down = True
    await life.lives(MIDNIGHT - MINUTE, MIDNIGHT + 5 * MINUTE)
    assert life.problem() == "6 snapshots are in memory alone: store: it is down"
    assert await store.archive.closing_days() == ()
    life.archive.down = False
    await life.keeper.flush()
    assert life.problem() is None
    assert (await closing(store))["late_seconds"] == 0
    assert len(await grid(store, MINUTE)) == 10


async def test_memory_is_bounded_while_the_store_is_down_and_the_gap_is_told(store: SqlStore) -> None:
    life = Life(store)
    life.archive.down = True
    begin = MIDNIGHT - timedelta(days=1) - HOUR
    await life.lives(begin, MIDNIGHT + HOUR)
    life.archive.down = False
    await life.keeper.flush()
    assert len(await grid(store, MINUTE)) == MOST_WAITING
    found = gaps(await reporter(store).report(DAY))
    assert [gap for gap in found if "without any snapshot" in gap] == [
        "2026-11-23T00:00:00Z to 2026-11-23T01:00:00Z: 0 s unknown, 3600 s without any snapshot."
    ]


@pytest.mark.parametrize(("day", "hours"), [(date(2026, 3, 29), 23), (date(2026, 10, 25), 25)])
async def test_a_day_on_which_the_clocks_are_set_is_whole(store: SqlStore, day: date, hours: int) -> None:
    days = ReportConfig(timezone="Europe/Berlin").days
    life = Life(store, config=HistoryConfig(grain=timedelta(minutes=10)), days=days)
    await life.lives(days.start(day), days.end(day) + HOUR, step=timedelta(minutes=10))
    made = Reporter(store.archive, days=days, grain=timedelta(minutes=10), entity="Example KK", currency="EUR")
    row = await made.report(day)
    listed = json.loads(row.body)["header"]["hours"]
    assert (len(listed), sum(one["known"] for one in listed)) == (hours, hours * 3600)
    assert gaps(row) == []
