"""What the store does when a real SQLite can't: a StoreError of one line, until the cause is gone."""

import asyncio
import os
import shutil
import sqlite3
import subprocess
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from sqlalchemy import Engine, event
from sqlalchemy.engine import Connection, make_url
from sqlalchemy.engine.interfaces import DBAPIConnection

from daemon.errors import ConfigError, StoreError
from daemon.model import Finding
from daemon.store.engine import BUSY_SECONDS, reason
from daemon.store.repository import SqlStore, open_store
from tests.delivery_cases import firing, told


def url(file: Path, *, query: str = "") -> str:
    return f"sqlite+aiosqlite:///{file}{query}"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "pyrometer.db"


@pytest.fixture
async def store(file: Path) -> AsyncIterator[SqlStore]:
    """Opened and holding one finding, so that its tables are there."""
    async with open_store(url(file)) as store:
        await store.record([firing("f0")], [])
        yield store


@contextmanager
def locked(file: Path) -> Iterator[None]:
    """Another process is in the middle of writing."""
    with closing(sqlite3.connect(file, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        yield
        other.execute("ROLLBACK")


async def refusal(store: SqlStore) -> str:
    """The message with which the store refuses to record; one line."""
    with pytest.raises(StoreError) as caught:
        await store.record([firing("f1")], [told(firing("f1"))])
    assert caught.value.__cause__ is not None
    message = str(caught.value)
    assert "\n" not in message
    assert "INSERT" not in message
    return message


async def test_a_database_locked_by_another_process_is_a_store_error(store: SqlStore, file: Path) -> None:
    with locked(file):
        assert await refusal(store) == f"store {file}: database is locked"
    await store.record([firing("f1")], [])


async def test_a_locked_database_can_still_be_read(store: SqlStore, file: Path) -> None:
    with locked(file):
        assert await store.findings() == (firing("f0"),)


async def test_a_short_lock_is_waited_for(store: SqlStore, file: Path) -> None:
    ready = threading.Event()

    def hold() -> None:
        with locked(file):
            ready.set()
            threading.Event().wait(0.3)

    other = threading.Thread(target=hold)
    other.start()
    await asyncio.to_thread(ready.wait)
    await store.record([firing("f1")], [])
    other.join()
    assert len(await store.findings()) == 2


async def test_an_operation_longer_than_the_deadline_is_a_store_error_and_leaves_the_store_usable(file: Path) -> None:
    async with open_store(url(file), deadline=0.3) as store:
        await store.record([firing("f0")], [])
        with locked(file):
            assert await refusal(store) == f"store {file}: no answer within 0.3 s"
        await insist(store, firing("f1"))  # the driver's thread may still be waiting for the lock
        assert len(await store.findings()) == 2


async def test_the_deadline_holds_however_long_the_driver_hangs(store: SqlStore, file: Path) -> None:
    """The driver's thread can't be stopped; the caller is not made to wait for it."""
    async with open_store(url(file), deadline=0.2) as impatient:
        assert await impatient.findings() == (firing("f0"),)
        with locked(file):
            loop = asyncio.get_running_loop()
            began = loop.time()
            assert "no answer" in await refusal(impatient)
            assert loop.time() - began < BUSY_SECONDS / 2


async def test_a_database_that_may_not_grow_is_full(file: Path) -> None:
    def limit(connection: DBAPIConnection, _: object) -> None:
        connection.cursor().execute("PRAGMA max_page_count=32")

    event.listen(Engine, "connect", limit)
    try:
        async with open_store(url(file)) as store:
            await store.record([firing("f0")], [])
            with pytest.raises(StoreError, match="database or disk is full"):
                for n in range(100):
                    await store.record([firing(f"g{n}")], [told(firing(f"g{n}"))])
            kept = len(await store.findings())
            assert len(await store.undelivered("am")) == kept - 1
    finally:
        event.remove(Engine, "connect", limit)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 256 kB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    if shutil.which("mount") is None:
        pytest.skip("mount is missing: apt-get install mount")
    mount = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(folder)], check=False, capture_output=True
    )
    if mount.returncode:
        pytest.skip("mounting a small file system takes root")
    try:
        yield folder
    finally:
        subprocess.run(["umount", str(folder)], check=True)


async def test_a_full_disk_is_a_store_error_and_costs_nothing_that_was_stored(small_disk: Path) -> None:
    file = small_disk / "pyrometer.db"
    async with open_store(url(file)) as store:
        await store.record([firing("f0")], [told(firing("f0"))])
        ballast = small_disk / "ballast"
        with ballast.open("wb", buffering=0) as filler, pytest.raises(OSError, match="No space"):
            while True:
                filler.write(bytes(4096))
        assert "full" in await refusal(store) or "I/O" in await refusal(store)
        assert await store.findings() == (firing("f0"),)
        ballast.unlink()
        await store.record([firing("f1")], [])
    async with open_store(url(file)) as store:
        assert await store.findings() == (firing("f0"), firing("f1"))


@pytest.fixture
def read_only_disk(small_disk: Path) -> Iterator[Path]:
    """A database on a file system that is then made read-only, which stops root too."""

    async def fill() -> None:
        async with open_store(url(small_disk / "pyrometer.db")) as store:
            await store.record([firing("f0")], [])

    asyncio.run(fill())
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    yield small_disk
    subprocess.run(["mount", "-o", "remount,rw", str(small_disk)], check=True)


async def test_a_read_only_disk_is_a_store_error(read_only_disk: Path) -> None:
    async with open_store(url(read_only_disk / "pyrometer.db")) as store:
        assert str(read_only_disk) in await refusal(store)


async def test_a_read_only_database_still_tells_what_it_holds(store: SqlStore, file: Path) -> None:
    async with open_store(url(Path(f"file:{file}"), query="?mode=ro&uri=true")) as reader:
        assert await reader.findings() == (firing("f0"),)
        assert "attempt to write a readonly database" in await refusal(reader)


@pytest.fixture
def text_file(file: Path) -> Path:
    file.write_bytes(b"entity: Example Exchange KK\n" * 100)
    return file


async def test_a_file_that_is_no_database_is_a_store_error(text_file: Path) -> None:
    file = text_file
    async with open_store(url(file)) as store:
        assert await refusal(store) == f"store {file}: file is not a database"


def scribble_over(file: Path) -> None:
    """All but the first page."""
    data = bytearray(file.read_bytes())
    data[4096:] = os.urandom(len(data) - 4096)
    file.write_bytes(data)


async def test_a_damaged_database_is_a_store_error(file: Path) -> None:
    async with open_store(url(file)) as store:
        await store.record([firing(f"f{n}") for n in range(50)], [])
    scribble_over(file)
    async with open_store(url(file)) as store:
        with pytest.raises(StoreError, match="malformed"):
            await store.findings()


async def test_a_folder_that_does_not_exist_is_a_store_error(tmp_path: Path) -> None:
    async with open_store(url(tmp_path / "nowhere" / "pyrometer.db")) as store:
        assert "unable to open database file" in await refusal(store)


async def insist(store: SqlStore, finding: Finding) -> None:
    """Records a finding, trying again for some seconds."""
    async with asyncio.timeout(15):
        while True:
            try:
                await store.record([finding], [])
            except StoreError:
                await asyncio.sleep(0.05)
            else:
                return


async def test_commits_survive_a_power_cut(file: Path) -> None:
    """As far as SQLite's own switches say so: WAL, synced at every commit; foreign keys are held."""
    found: dict[str, object] = {}

    def look(connection: Connection) -> None:
        for name in ("journal_mode", "synchronous", "foreign_keys", "busy_timeout"):
            found[name] = connection.exec_driver_sql(f"PRAGMA {name}").scalar()

    event.listen(Engine, "commit", look)
    try:
        async with open_store(url(file)) as store:
            await store.record([firing("f0")], [])
    finally:
        event.remove(Engine, "commit", look)
    assert found == {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1, "busy_timeout": 2000}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("pyrometer.db", "expected sqlite"),
        ("sqlite:///pyrometer.db", "expected sqlite"),
        ("mysteryql://host/db", "expected sqlite"),
        ("", "expected sqlite"),
    ],
)
async def test_a_url_that_can_not_be_used_is_a_configuration_error(text: str, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        async with open_store(text):
            pass


async def test_a_password_in_the_url_is_in_no_message() -> None:
    with pytest.raises(ConfigError) as caught:
        async with open_store("mysteryql+x://user:hunter2@host/db"):
            pass
    assert "hunter2" not in str(caught.value)


def test_a_password_that_the_driver_repeats_is_struck_out() -> None:
    error = OSError("can't connect to postgresql://user:hunter2@host/db\nand a second line")
    text = reason(error, url=make_url("postgresql+asyncpg://user:hunter2@db.example/pyrometer"))
    assert text == "store db.example:5432/pyrometer: can't connect to postgresql://user:***@host/db"
