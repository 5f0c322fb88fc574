"""What any real database under the store must hold beyond the contract: whole records, exact texts, several writers."""

import asyncio
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine, event
from sqlalchemy.engine import Connection

from daemon.errors import StoreError
from daemon.model import Event, Finding, Notification
from daemon.store import Outcome, Store, Tally, migrations
from daemon.store.repository import SqlStore, open_store
from tests.delivery_cases import NOON, MemoryStore, firing, pending, resolved, told, verdict
from tests.delivery_strategies import FINDINGS
from tests.store_databases import Database

HOUR = timedelta(hours=1)
PATIENCE = 20.0
"""Seconds for one operation where others write too; most take a few milliseconds."""

STATES = st.sampled_from([pending, firing, lambda key: resolved(firing(key), at=NOON + HOUR)])
OPERATIONS = st.one_of(
    st.tuples(st.just("record"), st.sampled_from("abc"), STATES, st.booleans()),
    st.tuples(st.just("settle"), st.sampled_from("abc"), st.sampled_from([None, "HTTP 400"])),
    st.tuples(st.just("prune"), st.sampled_from([NOON, NOON + 3 * HOUR])),
    st.tuples(st.just("drop")),
)
ON_ONE_STORE = settings(
    max_examples=30,
    deadline=None,
    # Each example empties the store itself, and each database has a class of its own.
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.differing_executors],
)


class SqlCases:
    """Inherited by a class of tests in a module with the fixtures `database` and `store`, the store on it."""

    @ON_ONE_STORE
    @given(operations=st.lists(OPERATIONS, max_size=12))
    async def test_the_real_store_does_what_the_one_in_memory_does(
        self, store: SqlStore, operations: list[tuple[Any, ...]]
    ) -> None:
        await _emptied(store)
        oracle = MemoryStore()
        for operation in operations:
            assert await perform(store, operation) == await perform(oracle, operation)
            assert await everything(store) == await everything(oracle)

    @ON_ONE_STORE
    @given(finding=FINDINGS)
    async def test_every_finding_comes_back_as_it_was_whatever_a_node_sent(
        self, store: SqlStore, finding: Finding
    ) -> None:
        """NUL and lone surrogates included, which PostgreSQL and SQLite refuse in a text; decimals digit by digit."""
        await _emptied(store)
        item = Notification(f"{finding.id}:firing:am", "am", Event.FIRING, finding.since, finding)
        await store.record([replace(finding, state=firing().state)], [item])
        (again,) = await store.undelivered("am")
        assert again == item
        assert repr(again.finding.verdict.measured) == repr(finding.verdict.measured)
        assert [one.verdict for one in await store.findings()] == [finding.verdict]

    async def test_a_refusal_is_kept_whatever_the_receiver_answered(self, store: SqlStore) -> None:
        item = told(firing("f1"))
        await store.record([], [item], outcomes={item.id: Outcome(NOON, "HTTP 400: a\0b \ud800 日本")})
        (notice,) = await store.archive.notices(since=NOON, until=NOON + HOUR)
        assert notice.refusal == r"HTTP 400: a\x00b \ud800 日本"

    async def test_times_are_the_same_moment_whatever_their_zone(self, store: SqlStore) -> None:
        tokyo = datetime(2026, 11, 23, 21, 0, 0, 1, tzinfo=timezone(timedelta(hours=9)))
        over = resolved(firing("f1", since=tokyo), at=tokyo)
        await store.record([over], [told(over)])
        assert await store.resolved_since(tokyo.astimezone(UTC)) == (over,)
        assert await store.resolved_since(tokyo + timedelta(microseconds=1)) == ()
        (item,) = await store.undelivered("am")
        assert (item.at, item.at.tzinfo) == (tokyo, UTC)

    async def test_everything_is_there_after_opening_again(self, database: Database) -> None:
        item = told(firing("f1"))
        async with open_store(database.url) as store:
            await store.record([firing("f1")], [item])
        async with open_store(database.url) as store:
            assert await store.findings() == (firing("f1"),)
            assert await store.undelivered("am") == (item,)

    async def test_a_record_is_stored_whole_or_not_at_all(self, store: SqlStore) -> None:
        """The second notification can't be written: then the first one and the finding are not there either."""
        endless: dict[str, object] = {}
        endless["self"] = endless
        bad = replace(firing("f2"), verdict=replace(verdict(), evidence=endless))
        with pytest.raises(StoreError):
            await store.record([firing("f1")], [told(firing("f1")), told(bad)])
        assert await store.findings() == ()
        assert await store.tallies() == {}

    async def test_numbers_of_dropped_rows_are_not_given_out_again(self, store: SqlStore, database: Database) -> None:
        await store.record([], [told(firing("f1"), sink="gone")])
        await store.drop_sink("gone")
        await store.record([], [told(firing("f2"))])
        assert await database.run("select seq from pyrometer_notifications") == [(2,)]

    async def test_many_workers_share_one_store(self, database: Database) -> None:
        """They queue for its one connection, and none of them is turned away."""
        items = [told(firing(f"f{n}"), sink=f"s{n % 3}") for n in range(30)]
        async with patient(database) as store:
            await asyncio.gather(*(store.record([item.finding], [item]) for item in items))
            await asyncio.gather(*(store.record([], [], outcomes={item.id: Outcome(NOON)}) for item in items))
            assert await store.tallies() == {f"s{n}": Tally(delivered=10) for n in range(3)}

    async def test_what_piled_up_in_an_outage_takes_few_statements_however_much_it_is(self, store: SqlStore) -> None:
        """Each waits for the server once: with one for each notification, a long outage would never fit a deadline."""
        await store.findings()
        few, many = [[told(firing(f"{size}-{n}")) for n in range(size)] for size in (2, 400)]
        assert await _statements(store, many) == await _statements(store, few)

    async def test_two_daemons_that_store_the_same_at_once_store_it_once(self, database: Database) -> None:
        items = [told(firing(f"f{n}")) for n in range(10)]
        async with (
            patient(database) as one,
            patient(database) as two,
        ):
            for item in items:
                await asyncio.gather(*(store.record([item.finding], [item]) for store in (one, two)))
            assert await one.undelivered("am") == await two.undelivered("am") == tuple(items)

    async def test_a_cancelled_operation_leaves_the_store_usable(self, store: SqlStore) -> None:
        for delay in (0, 0.0005, 0.001, 0.002, 0.004):
            task = asyncio.create_task(store.record([firing("f1")], [told(firing("f1"))]))
            await asyncio.sleep(delay)
            task.cancel()
            await asyncio.wait([task])
        await store.record([firing("f2")], [])
        assert {finding.id for finding in await store.findings()} >= {"f2"}


class SchemaCases:
    """Inherited by a class of tests in a module with the fixtures `database`, `first_schema` and `store`.

    `first_schema` are the statements by which the version before the history made its tables, and one notification.
    """

    async def test_daemons_that_open_an_empty_database_at_the_same_moment_make_it_once(
        self, database: Database
    ) -> None:
        async with AsyncExitStack() as stack:
            opened = [patient(database) for _ in range(3)]
            stores = [await stack.enter_async_context(store) for store in opened]
            await asyncio.gather(*(store.record([firing(f"f{n}")], []) for n, store in enumerate(stores)))
            assert {finding.id for finding in await stores[0].findings()} == {"f0", "f1", "f2"}
        assert await database.run("select version from pyrometer_schema") == [(len(migrations.STEPS),)]

    async def test_daemons_that_find_an_older_database_at_the_same_moment_take_its_steps_once(
        self, database: Database, first_schema: list[str]
    ) -> None:
        for statement in first_schema:
            await database.run(statement)
        async with (
            patient(database) as one,
            patient(database) as two,
        ):
            await asyncio.gather(one.archive.closing_days(), two.archive.closing_days())
        assert await database.run("select version from pyrometer_schema") == [(len(migrations.STEPS),)]

    async def test_a_database_of_the_first_schema_gains_the_history_and_keeps_what_it_holds(
        self, database: Database, first_schema: list[str]
    ) -> None:
        for statement in first_schema:
            await database.run(statement)
        async with open_store(database.url) as store:
            assert await store.archive.closing_days() == ()
            assert (await store.archive.notices(since=NOON, until=NOON + HOUR))[0].finding == "f0"
        assert await database.run("select version from pyrometer_schema") == [(3,)]

    async def test_a_migrated_database_has_the_structure_of_a_new_one(
        self, database: Database, first_schema: list[str]
    ) -> None:
        """And the first step makes what it always made."""
        async with open_store(database.url) as store:
            await store.archive.closing_days()
        expected = await database.structure()
        for name in await _tables(database):
            await database.run(f"drop table {name}")
        for statement in first_schema:
            await database.run(statement)
        async with open_store(database.url) as store:
            await store.archive.closing_days()
        assert await database.structure() == expected

    async def test_a_database_of_a_newer_version_is_refused_and_not_touched(
        self, store: SqlStore, database: Database
    ) -> None:
        await store.record([firing("f0")], [])
        await database.run("update pyrometer_schema set version = 99")
        async with open_store(database.url) as other:
            with pytest.raises(StoreError, match=r"newer Pyrometer \(schema 99, this one knows 3\)"):
                await other.findings()
            with pytest.raises(StoreError, match="newer Pyrometer"):
                await other.record([firing("f1")], [])
        assert await store.findings() == (firing("f0"),)

    async def test_an_older_database_takes_only_the_steps_that_it_lacks(
        self, store: SqlStore, database: Database, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def add_a_table(connection: Connection) -> None:
            connection.exec_driver_sql("CREATE TABLE added (x INTEGER)")

        await store.record([firing("f0")], [])
        monkeypatch.setattr(migrations, "STEPS", (*migrations.STEPS, add_a_table))
        async with open_store(database.url) as newer:
            assert await newer.findings() == (firing("f0"),)
        assert await database.run("select version from pyrometer_schema") == [(4,)]
        assert await database.run("select * from added") == []

    async def test_a_step_that_fails_leaves_the_old_schema(
        self, store: SqlStore, database: Database, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def half(connection: Connection) -> None:
            connection.exec_driver_sql("CREATE TABLE added (x INTEGER)")
            connection.exec_driver_sql("CREATE TABLE added (x INTEGER)")

        await store.record([firing("f0")], [])
        monkeypatch.setattr(migrations, "STEPS", (*migrations.STEPS, half))
        async with open_store(database.url) as newer:
            with pytest.raises(StoreError, match="already exists"):
                await newer.findings()
        assert await database.run("select version from pyrometer_schema") == [(3,)]
        assert "added" not in await _tables(database)

    async def test_a_database_that_was_emptied_under_a_running_daemon_is_made_anew(
        self, store: SqlStore, database: Database
    ) -> None:
        """As when it is restored from a copy: the first operation after may fail, and none after that."""
        await store.record([firing("f0")], [])
        for name in await _tables(database):
            await database.run(f"drop table {name}")
        with pytest.raises(StoreError, match="pyrometer_findings"):
            await store.record([firing("f1")], [])
        await store.record([firing("f1")], [])
        assert await store.findings() == (firing("f1"),)

    async def test_a_damaged_row_is_a_store_error(self, store: SqlStore, database: Database) -> None:
        await store.record([firing("f0")], [])
        await database.run("update pyrometer_findings set body = '{}'")
        with pytest.raises(StoreError, match=r"no finding"):
            await store.findings()


def patient(database: Database) -> AbstractAsyncContextManager[SqlStore]:
    """A store that waits for the others."""
    return open_store(database.url, deadline=PATIENCE)


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


async def _statements(store: SqlStore, items: list[Notification]) -> int:
    """How many it takes to record them, their findings and that they were delivered."""
    asked: list[str] = []

    def note(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        asked.append(statement)

    event.listen(Engine, "before_cursor_execute", note)
    try:
        outcomes = {item.id: Outcome(NOON) for item in items}
        await store.record([item.finding for item in items], items, outcomes=outcomes)
    finally:
        event.remove(Engine, "before_cursor_execute", note)
    return len(asked)


async def _emptied(store: SqlStore) -> None:
    """Nothing is left of an earlier example: pending findings that end are forgotten, and so is what is over."""
    await store.drop_sink("am")
    await store.record([resolved(replace(one, fired=None), at=NOON) for one in await store.findings()], [])
    await store.prune(before=datetime(9999, 1, 1, tzinfo=UTC))


async def _tables(database: Database) -> list[str]:
    return [name for name in sorted({str(row[0]) for row in await database.structure()}) if "sqlite" not in name]
