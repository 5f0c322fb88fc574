"""What the store does when a real PostgreSQL is killed, cut off, frozen, locked or refuses: a StoreError of one line,
nothing of what it failed to store, and all of it once the cause is gone."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

from daemon.errors import StoreError
from daemon.model import Finding
from daemon.store import Tally
from daemon.store.engine import WRITERS
from daemon.store.repository import SqlStore, open_store
from tests.delivery_cases import firing, told
from tests.integration.anvil import free_port
from tests.integration.postgres import PASSWORD, Postgres, started
from tests.integration.postgres_databases import PostgresDatabase
from tests.integration.wire import Wire
from tests.store_sql_cases import PATIENCE, patient

pytestmark = [pytest.mark.real, pytest.mark.timeout(180)]

WAITING = "select count(*) from pg_stat_activity where wait_event_type = 'Lock' and datname = current_database()"


@pytest.fixture(scope="module")
def running() -> Iterator[Postgres]:
    yield from started()


@pytest.fixture
def server(running: Postgres) -> Postgres:
    running.start_again()
    return running


@pytest.fixture
def database(server: Postgres) -> PostgresDatabase:
    return PostgresDatabase(server)


@pytest.fixture
async def store(database: PostgresDatabase) -> AsyncIterator[SqlStore]:
    """Opened and holding one finding, so that its tables are there."""
    async with patient(database) as store:
        await store.record([firing("f0")], [])
        yield store


@asynccontextmanager
async def busy(database: PostgresDatabase, statement: str) -> AsyncIterator[None]:
    """Another client has run this in a transaction that it does not end."""
    engine = create_async_engine(database.url, poolclass=NullPool)
    async with engine.connect() as connection:
        try:
            await connection.execute(text(statement))
            yield
        finally:
            await connection.invalidate()


async def until(database: PostgresDatabase, query: str, *, gives: int) -> None:
    async with asyncio.timeout(30):
        while await database.run(query) != [(gives,)]:  # noqa: ASYNC110 - it happens in the server
            await asyncio.sleep(0.05)


def one_line(error: StoreError) -> str:
    message = str(error)
    assert "\n" not in message
    assert PASSWORD not in message
    assert "INSERT" not in message
    return message


async def refusal(url: str, *, deadline: float = PATIENCE) -> str:
    """The message with which a store at that URL refuses to record."""
    async with open_store(url, deadline=deadline) as store:
        with pytest.raises(StoreError) as caught:
            await store.record([firing("f1")], [told(firing("f1"))])
        return one_line(caught.value)


async def insist(store: SqlStore, finding: Finding) -> None:
    """Records a finding and its notification, trying again until it is answered that they are stored."""
    async with asyncio.timeout(90):
        while True:
            try:
                await store.record([finding], [told(finding)])
            except StoreError as error:
                one_line(error)
                await asyncio.sleep(0.05)
            else:
                return


async def holds(store: SqlStore, *keys: str) -> None:
    """These findings beside the first, each with its notification, in this order."""
    assert {finding.id for finding in await store.findings()} == {"f0", *keys}
    assert [item.finding.id for item in await store.undelivered("am")] == list(keys)


# Killed and cut off.


async def test_a_server_killed_in_mid_transaction_keeps_nothing_of_it_and_takes_it_when_it_is_back(
    store: SqlStore, database: PostgresDatabase
) -> None:
    async with busy(database, "lock table pyrometer_notifications in share mode"):
        recording = asyncio.create_task(store.record([firing("f1")], [told(firing("f1"))]))
        await until(database, WAITING, gives=1)
        database.server.kill()
        with pytest.raises(StoreError) as caught:
            await recording
        one_line(caught.value)
    with pytest.raises(StoreError, match=r"refused|Connect call failed"):
        await store.findings()
    database.server.start()
    await holds(store)
    await store.record([firing("f1")], [told(firing("f1"))])
    await holds(store, "f1")


async def test_a_server_killed_at_any_moment_loses_nothing_that_it_said_was_stored(
    store: SqlStore, database: PostgresDatabase
) -> None:
    written: list[str] = []

    async def write() -> None:
        while len(written) < 5 or not ended.is_set():
            key = f"f{len(written) + 1:05}"
            await insist(store, firing(key))
            written.append(key)

    ended = asyncio.Event()
    writing = asyncio.create_task(write())
    for _ in range(3):
        so_far = len(written)
        async with asyncio.timeout(60):
            while len(written) < so_far + 5:  # noqa: ASYNC110 - it happens in the task beside
                await asyncio.sleep(0.001)
        await asyncio.to_thread(database.server.kill)
        await asyncio.to_thread(database.server.start)
    ended.set()
    await writing
    tallies = await store.tallies()
    assert tallies == {"am": Tally(waiting=len(written))}
    assert [item.finding.id for item in await store.undelivered("am", limit=10**6)] == written


async def test_a_connection_that_was_dropped_while_idle_is_not_even_noticed(
    store: SqlStore, database: PostgresDatabase
) -> None:
    await _drop(database)
    await store.record([firing("f1")], [told(firing("f1"))])
    await holds(store, "f1")


async def test_a_connection_that_is_dropped_in_mid_transaction_leaves_nothing_behind(
    store: SqlStore, database: PostgresDatabase
) -> None:
    async with busy(database, "lock table pyrometer_notifications in share mode"):
        recording = asyncio.create_task(store.record([firing("f1")], [told(firing("f1"))]))
        await until(database, WAITING, gives=1)
        await _drop(database, "and wait_event_type = 'Lock'")
        with pytest.raises(StoreError) as caught:
            await recording
        one_line(caught.value)
    await holds(store)
    await insist(store, firing("f1"))
    await holds(store, "f1")


async def _drop(database: PostgresDatabase, which: str = "") -> None:
    others = f"datname = current_database() and pid <> pg_backend_pid() {which}"
    assert await database.run(f"select pg_terminate_backend(pid, 10000) from pg_stat_activity where {others}")


async def test_a_commit_whose_answer_is_lost_is_stored_once_when_it_is_tried_again(
    store: SqlStore, database: PostgresDatabase
) -> None:
    async with Wire(database.server.port) as wire, open_store(_through(wire, database), deadline=PATIENCE) as far:
        assert await far.findings() == (firing("f0"),)
        wire.lose = b"COMMIT;"
        with pytest.raises(StoreError):
            await far.record([firing("f1")], [told(firing("f1"))])
        await until(database, "select count(*) from pyrometer_notifications", gives=1)
        await insist(far, firing("f1"))
        await holds(far, "f1")


async def test_a_daemon_that_is_cut_off_in_mid_transaction_does_not_hold_up_another_for_long(
    store: SqlStore, database: PostgresDatabase
) -> None:
    """Its server ends what it has begun, long before the network notices that one of them is gone."""
    async with Wire(database.server.port) as wire, open_store(_through(wire, database), deadline=2) as far:
        await _insist_on_reading(far)
        wire.hold = b"INSERT INTO pyrometer_notifications"
        with pytest.raises(StoreError, match=r"no answer|timeout|TimeoutError"):
            await far.record([firing("f1")], [told(firing("f1"))])
        await store.record([firing("f2")], [told(firing("f2"))])
        await holds(store, "f2")


def _through(wire: Wire, database: PostgresDatabase) -> str:
    return database.url.replace(f":{database.server.port}/", f":{wire.port}/")


# Frozen and locked.


async def test_a_server_that_answers_nothing_any_more_is_given_up_in_time_and_used_again(
    store: SqlStore, database: PostgresDatabase
) -> None:
    async with open_store(database.url, deadline=0.5) as impatient:
        await _insist_on_reading(impatient)
        database.server.freeze()
        try:
            for _ in range(2):
                with pytest.raises(StoreError) as caught:
                    await asyncio.wait_for(impatient.record([firing("f1")], [told(firing("f1"))]), timeout=60)
                one_line(caught.value)
        finally:
            database.server.thaw()
        await insist(impatient, firing("f1"))
    await holds(store, "f1")


async def _insist_on_reading(store: SqlStore) -> None:
    """With a deadline so short, even a server that is well may be late once."""
    async with asyncio.timeout(60):
        while True:
            try:
                await store.findings()
            except StoreError:
                await asyncio.sleep(0.05)
            else:
                return


async def test_a_store_whose_server_is_frozen_can_be_closed(store: SqlStore, database: PostgresDatabase) -> None:
    try:
        async with asyncio.timeout(90), open_store(database.url, deadline=1) as impatient:
            await _insist_on_reading(impatient)
            database.server.freeze()
            with pytest.raises(StoreError):
                await impatient.findings()
    finally:
        database.server.thaw()
    assert await store.findings() == (firing("f0"),)


async def test_a_table_that_another_client_has_locked_is_waited_for_no_longer_than_the_deadline(
    store: SqlStore, database: PostgresDatabase
) -> None:
    async with busy(database, "lock table pyrometer_findings in access exclusive mode"):
        async with open_store(database.url, deadline=0.5) as impatient:
            with pytest.raises(StoreError, match=r"no answer within 0\.5 s|timeout|TimeoutError"):
                await impatient.findings()
        recording = asyncio.create_task(store.record([firing("f1")], [told(firing("f1"))]))
        await until(database, WAITING, gives=1)
    await recording
    await holds(store, "f1")


async def test_the_server_s_own_time_limit_of_a_statement_is_a_store_error_until_the_cause_is_gone(
    store: SqlStore, database: PostgresDatabase
) -> None:
    await database.run(f"alter database {database.name} set statement_timeout = '500ms'")
    async with patient(database) as other:
        async with busy(database, "lock table pyrometer_findings in access exclusive mode"):
            with pytest.raises(StoreError, match="canceling statement due to statement timeout"):
                await other.findings()
        await insist(other, firing("f1"))
    await holds(store, "f1")


async def test_another_writer_that_does_not_end_is_waited_for_and_then_given_up(
    store: SqlStore, database: PostgresDatabase
) -> None:
    async with busy(database, f"select pg_advisory_xact_lock({WRITERS})"):
        message = await refusal(database.url, deadline=12.0)
        assert message.endswith("canceling statement due to lock timeout")
        assert await store.findings() == (firing("f0"),)
    await store.record([firing("f1")], [told(firing("f1"))])


# Refused.


@pytest.mark.parametrize(
    ("password", "name", "said"),
    [
        ("wrong", None, 'password authentication failed for user "ledger"'),
        (PASSWORD, "nowhere", 'database "nowhere" does not exist'),
    ],
)
async def test_who_may_not_come_in_is_told_why(
    database: PostgresDatabase, password: str, name: str | None, said: str
) -> None:
    where = f"store 127.0.0.1:{database.server.port}/{name or database.name}"
    url = database.server.url_of(password, database=name or database.name)
    assert await refusal(url) == f"{where}: {said}"


async def test_a_user_without_rights_is_told_what_it_may_not_do(database: PostgresDatabase) -> None:
    await database.run(f"create role guest_{database.name} login password '{PASSWORD}'")
    message = await refusal(database.url.replace("//ledger:", f"//guest_{database.name}:"))
    assert message.endswith("permission denied for schema public")


async def test_a_server_with_no_room_for_another_connection_is_a_store_error(database: PostgresDatabase) -> None:
    await database.run(f"create role guest_{database.name} login password '{PASSWORD}' connection limit 0")
    message = await refusal(database.url.replace("//ledger:", f"//guest_{database.name}:"))
    assert "too many connections" in message


async def test_a_database_that_is_read_only_still_tells_what_it_holds(
    store: SqlStore, database: PostgresDatabase
) -> None:
    """As a standby does."""
    await database.run(f"alter database {database.name} set default_transaction_read_only = on")
    async with patient(database) as other:
        assert await other.findings() == (firing("f0"),)
        with pytest.raises(StoreError, match="cannot execute INSERT in a read-only transaction"):
            await other.record([firing("f1")], [])


async def test_a_server_that_is_not_there_is_a_store_error() -> None:
    assert "Connect call failed" in await refusal(f"postgresql+asyncpg://ledger:{PASSWORD}@127.0.0.1:{free_port()}/x")


@pytest.mark.parametrize(
    "answer", [b"", b"HTTP/1.1 400 Bad Request\r\n\r\n", b"N" + b"\xff" * 20, b"NR\0\0\0\x08\0\0\xff\xff"]
)
async def test_what_answers_and_is_no_postgresql_is_a_store_error(answer: bytes) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(8)
        writer.write(answer)
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        assert await refusal(f"postgresql+asyncpg://ledger:{PASSWORD}@127.0.0.1:{port}/x")


async def test_a_column_that_a_later_version_adds_while_it_runs_does_not_matter(
    store: SqlStore, database: PostgresDatabase
) -> None:
    await store.record([firing("f1")], [told(firing("f1"))])
    await holds(store, "f1")
    await database.run("alter table pyrometer_notifications add column later text")
    await holds(store, "f1")
