"""The store's contract, held by the real one on SQLite and by the one in memory that other tests build on."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import Table, create_mock_engine
from sqlalchemy.schema import CreateTable

from daemon.errors import StoreError
from daemon.store import Outcome, Store, Tally
from daemon.store.repository import SqlStore, open_store
from daemon.store.tables import METADATA
from tests.delivery_cases import NOON, MemoryStore, firing, pending, resolved, told, verdict

HOUR = timedelta(hours=1)


def url(folder: Path) -> str:
    return f"sqlite+aiosqlite:///{folder / 'pyrometer.db'}"


@pytest.fixture
async def sql(tmp_path: Path) -> AsyncIterator[SqlStore]:
    async with open_store(url(tmp_path)) as store:
        yield store


@pytest.fixture(params=["sqlite", "memory"])
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Store]:
    if request.param == "memory":
        yield MemoryStore()
        return
    async with open_store(url(tmp_path)) as store:
        yield store


async def test_an_empty_store_knows_nothing(store: Store) -> None:
    assert await store.findings() == ()
    assert await store.undelivered("am") == ()
    assert await store.tallies() == {}
    assert await store.resolved_since(NOON - 1000 * HOUR) == ()
    assert await store.prune(before=NOON) == 0


async def test_open_findings_come_back_the_oldest_first(store: Store) -> None:
    young, old = pending("f1", since=NOON), firing("f2", since=NOON - HOUR)
    await store.record([young, old], [])
    assert await store.findings() == (old, young)


async def test_a_finding_is_stored_in_its_newest_state(store: Store) -> None:
    await store.record([pending("f1")], [])
    newest = replace(firing("f1"), clear_since=NOON + HOUR, verdict=verdict("other"))
    await store.record([newest, firing("f2", since=NOON + HOUR)], [])
    assert await store.findings() == (newest, firing("f2", since=NOON + HOUR))


async def test_the_last_of_several_states_in_one_record_stays(store: Store) -> None:
    await store.record([pending("f1"), firing("f1")], [])
    assert await store.findings() == (firing("f1"),)


async def test_a_resolved_finding_leaves_for_the_history(store: Store) -> None:
    late, early = resolved(firing("f1"), at=NOON + 2 * HOUR), resolved(firing("f2"), at=NOON + HOUR)
    await store.record([firing("f1"), firing("f2")], [])
    await store.record([late, early], [])
    assert await store.findings() == ()
    assert await store.resolved_since(NOON) == (early, late)
    assert await store.resolved_since(NOON + 2 * HOUR) == (late,)


async def test_a_pending_finding_that_went_away_is_forgotten(store: Store) -> None:
    """It never fired, so nobody was told of it and nobody will miss it."""
    await store.record([pending("f1")], [])
    await store.record([resolved(pending("f1"), at=NOON), resolved(pending("f2"), at=NOON)], [])
    assert await store.findings() == ()
    assert await store.resolved_since(NOON - HOUR) == ()


async def test_recording_twice_is_recording_once(store: Store) -> None:
    for _ in range(2):
        await store.record([firing("f1")], [told(firing("f1"))])
    assert await store.findings() == (firing("f1"),)
    assert await store.undelivered("am") == (told(firing("f1")),)


async def test_notifications_keep_the_order_in_which_they_were_recorded(store: Store) -> None:
    """Not that of their times or ids: the order of recording is the order of events."""
    items = [told(firing(f"f{n}"), at=NOON - n * HOUR) for n in (3, 1, 2)]
    await store.record([], items[:2])
    await store.record([], items[2:])
    assert await store.undelivered("am") == tuple(items)


async def test_the_queue_can_be_read_in_parts(store: Store) -> None:
    items = [told(firing(f"f{n:04}")) for n in range(7)]
    await store.record([], items)
    assert await store.undelivered("am", limit=3) == tuple(items[:3])
    assert await store.undelivered("am", skip=3, limit=3) == tuple(items[3:6])
    assert await store.undelivered("am", skip=6, limit=3) == tuple(items[6:])


async def test_each_sink_has_its_own_queue(store: Store) -> None:
    ours, theirs = told(firing("f1"), sink="a"), told(firing("f1"), sink="b")
    await store.record([], [ours, theirs])
    await store.record([], [], outcomes={ours.id: Outcome(NOON)})
    assert await store.undelivered("a") == ()
    assert await store.undelivered("b") == (theirs,)


async def test_what_is_settled_is_not_handed_out_again(store: Store) -> None:
    first, second = told(firing("f1")), told(firing("f2"))
    await store.record([], [first, second])
    await store.record([], [], outcomes={first.id: Outcome(NOON)})
    assert await store.undelivered("am") == (second,)
    await store.record([], [first, second])
    assert await store.undelivered("am") == (second,)


async def test_a_notification_can_be_stored_with_its_outcome(store: Store) -> None:
    """What was sent while the store was down comes to it as sent."""
    item = told(firing("f1"))
    await store.record([firing("f1")], [item], outcomes={item.id: Outcome(NOON)})
    assert await store.undelivered("am") == ()
    assert await store.tallies() == {"am": Tally(delivered=1)}


async def test_the_first_outcome_stays(store: Store) -> None:
    item = told(firing("f1"))
    await store.record([], [item], outcomes={item.id: Outcome(NOON, "HTTP 400")})
    await store.record([], [], outcomes={item.id: Outcome(NOON)})
    assert await store.tallies() == {"am": Tally(refused=1)}


async def test_an_outcome_of_something_unknown_does_nothing(store: Store) -> None:
    await store.record([], [], outcomes={"nobody": Outcome(NOON)})
    assert await store.tallies() == {}


async def test_tallies_count_by_sink_and_outcome(store: Store) -> None:
    items = [told(firing(f"f{n}")) for n in range(4)]
    outcomes = {items[0].id: Outcome(NOON), items[1].id: Outcome(NOON, "HTTP 400")}
    await store.record([], [*items, told(firing("f0"), sink="b")], outcomes=outcomes)
    assert await store.tallies() == {"am": Tally(waiting=2, delivered=1, refused=1), "b": Tally(waiting=1)}


async def test_pruning_forgets_what_is_over_and_old_and_nothing_else(store: Store) -> None:
    old, new = resolved(firing("f1"), at=NOON - HOUR), resolved(firing("f2"), at=NOON)
    sent, waiting = told(firing("f1")), told(firing("f2"))
    await store.record([old, new, firing("f3")], [sent, waiting], outcomes={sent.id: Outcome(NOON - HOUR)})
    assert await store.prune(before=NOON) == 2
    assert await store.resolved_since(NOON - 9 * HOUR) == (new,)
    assert await store.findings() == (firing("f3"),)
    assert await store.undelivered("am") == (waiting,)
    assert await store.tallies() == {"am": Tally(waiting=1)}


async def test_a_sink_that_is_gone_can_be_dropped_by_name(store: Store) -> None:
    await store.record([firing("f1")], [told(firing("f1"), sink="gone"), told(firing("f1"))])
    assert await store.drop_sink("gone") == 1
    assert await store.drop_sink("gone") == 0
    assert set(await store.tallies()) == {"am"}


async def test_a_thousand_findings_at_once_fit_into_a_statement(store: Store) -> None:
    findings = [firing(f"f{n:04}") for n in range(1100)]
    for _ in range(2):
        await store.record(findings, [told(finding) for finding in findings])
    await store.record([resolved(pending(finding.id), at=NOON) for finding in findings[:600]], [])
    assert len(await store.findings()) == 500
    assert len(await store.undelivered("am", limit=2000)) == 1100


STATES = st.sampled_from([pending, firing, lambda key: resolved(firing(key), at=NOON + HOUR)])
OPERATIONS = st.one_of(
    st.tuples(st.just("record"), st.sampled_from("abc"), STATES, st.booleans()),
    st.tuples(st.just("settle"), st.sampled_from("abc"), st.sampled_from([None, "HTTP 400"])),
    st.tuples(st.just("prune"), st.sampled_from([NOON, NOON + 3 * HOUR])),
    st.tuples(st.just("drop")),
)


@settings(max_examples=30, deadline=None)
@given(operations=st.lists(OPERATIONS, max_size=12))
async def test_the_real_store_does_what_the_one_in_memory_does(operations: list[tuple[Any, ...]]) -> None:
    with TemporaryDirectory() as folder:
        async with open_store(url(Path(folder))) as real:
            oracle = MemoryStore()
            for operation in operations:
                assert await perform(real, operation) == await perform(oracle, operation)
                assert await everything(real) == await everything(oracle)


async def perform(store: Store, operation: tuple[Any, ...]) -> int:
    """Does it; gives how many rows it removed."""
    match operation:
        case ("record", key, state, with_notification):
            finding = state(key)
            await store.record([finding], [told(finding)] if with_notification else [])
        case ("settle", key, refusal):
            await store.record([], [], outcomes={f"{key}:firing:am": Outcome(NOON + 2 * HOUR, refusal)})
        case ("prune", before):
            return await store.prune(before=before)
        case _:
            return await store.drop_sink("am")
    return 0


async def everything(store: Store) -> tuple[object, ...]:
    return (
        await store.findings(),
        await store.undelivered("am"),
        await store.tallies(),
        await store.resolved_since(NOON),
    )


async def test_everything_is_there_after_opening_again(tmp_path: Path) -> None:
    item = told(firing("f1"))
    async with open_store(url(tmp_path)) as store:
        await store.record([firing("f1")], [item])
    async with open_store(url(tmp_path)) as store:
        assert await store.findings() == (firing("f1"),)
        assert await store.undelivered("am") == (item,)


async def test_a_record_is_stored_whole_or_not_at_all(sql: SqlStore) -> None:
    """The second notification can't be written: then the first one and the finding are not there either."""
    endless: dict[str, object] = {}
    endless["self"] = endless
    bad = replace(firing("f2"), verdict=replace(verdict(), evidence=endless))
    with pytest.raises(StoreError):
        await sql.record([firing("f1")], [told(firing("f1")), told(bad)])
    assert await sql.findings() == ()
    assert await sql.tallies() == {}


async def test_numbers_of_dropped_rows_are_not_given_out_again(sql: SqlStore, tmp_path: Path) -> None:
    await sql.record([], [told(firing("f1"), sink="gone")])
    await sql.drop_sink("gone")
    await sql.record([], [told(firing("f2"))])
    with closing(sqlite3.connect(tmp_path / "pyrometer.db")) as database:
        assert database.execute("select seq from pyrometer_notifications").fetchall() == [(2,)]


async def test_times_lie_in_the_tables_in_utc(sql: SqlStore, tmp_path: Path) -> None:
    await sql.record([firing("f1")], [])
    with closing(sqlite3.connect(tmp_path / "pyrometer.db")) as database:
        assert database.execute("select since from pyrometer_findings").fetchone() == ("2026-11-23 12:00:00.000000",)


async def test_many_workers_share_one_store(sql: SqlStore) -> None:
    """SQLite has one writer: ours queue for it, and none of them sees `database is locked`."""
    items = [told(firing(f"f{n}"), sink=f"s{n % 3}") for n in range(30)]
    await asyncio.gather(*(sql.record([item.finding], [item]) for item in items))
    await asyncio.gather(*(sql.record([], [], outcomes={item.id: Outcome(NOON)}) for item in items))
    assert await sql.tallies() == {f"s{n}": Tally(delivered=10) for n in range(3)}


@pytest.mark.parametrize("table", METADATA.sorted_tables, ids=str)
def test_the_tables_are_also_good_postgresql(table: Table) -> None:
    """As far as its dialect can tell without a server: a real time type, and a sequence of our own."""
    text = str(CreateTable(table).compile(dialect=create_mock_engine("postgresql://", print).dialect))
    assert "DATETIME" not in text
    assert "seq" not in table.c or "seq BIGSERIAL NOT NULL" in text
    assert "since" not in table.c or "since TIMESTAMP WITH TIME ZONE NOT NULL" in text
