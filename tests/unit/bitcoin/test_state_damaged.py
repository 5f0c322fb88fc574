"""A file of kept coins that is damaged, foreign or in the way is begun anew: never a wrong number, never an error."""

from __future__ import annotations

import asyncio
import json
import os
import random
import resource
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from copy import deepcopy
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from structlog.testing import capture_logs

from tests.real import ROOT
from tests.unit.bitcoin.chain import ChainSource, MemoryChain
from tests.unit.bitcoin.keeping import Running, resumed
from tests.unit.bitcoin.killed import walk
from tests.unit.bitcoin.wallets import ALICE, BOB, RECEIVE, expected, spend_of_alice, values_at

HOW_MANY = int(os.environ.get("PYROMETER_FUZZ", "500"))

pytestmark = pytest.mark.timeout(60 + HOW_MANY // 10)


@pytest.fixture(scope="module")
def kept() -> tuple[MemoryChain, bytes]:
    """A chain, and the file of a book that followed it: hundreds of coins, branches, and blocks that can be undone."""
    chain = MemoryChain()
    chain.pay(*((ALICE, 10 + at) for at in range(400)), *((RECEIVE[0], at) for at in range(400)))
    with TemporaryDirectory() as folder:
        path = Path(folder) / "state"
        follow(path, chain)
        for _ in range(12):
            spend_of_alice(chain)
        follow(path, chain)
        return chain, path.read_bytes()


def follow(path: Path, chain: MemoryChain) -> tuple[list[str], int]:
    """A process that reads the newest block rightly. What it warned of, and how often it had coins found."""
    source = ChainSource(chain)

    async def reading() -> None:
        with Running(path, source) as book:
            assert await values_at(book, chain.tip) == expected(chain)

    with capture_logs() as lines:
        asyncio.run(reading())
    return [line["event"] for line in lines if line["log_level"] == "warning"], source.calls["coins"]


def assert_begun_anew(path: Path, chain: MemoryChain) -> int:
    """With at most one line, and for good: the process after it finds everything. How many warnings there were."""
    warnings, scans = follow(path, chain)
    assert len(warnings) <= 1
    assert bool(scans) == bool(warnings)
    assert follow(path, chain) == ([], 0)
    return len(warnings)


def test_a_whole_file_needs_no_scan(kept: tuple[MemoryChain, bytes], path: Path) -> None:
    chain, data = kept
    path.write_bytes(data)
    assert follow(path, chain) == ([], 0)


def test_a_file_cut_off_anywhere_is_begun_anew(kept: tuple[MemoryChain, bytes], path: Path) -> None:
    """At pages and between them."""
    chain, data = kept
    assert len(data) > 20 * 4096
    for size in (99, 512, 4095, 4096, 5000, *range(8192, len(data), 8192), len(data) - 1):
        path.write_bytes(data[:size])
        assert assert_begun_anew(path, chain) == 1, f"cut off at {size}"
        path.unlink()


@pytest.mark.parametrize("size", [0, 1])
def test_an_empty_file_is_a_new_one(size: int, kept: tuple[MemoryChain, bytes], path: Path) -> None:
    """SQLite itself leaves a file of one byte behind where a database was opened and nothing written."""
    chain, data = kept
    path.write_bytes(data[:size])
    assert follow(path, chain) == ([], 2)
    assert follow(path, chain) == ([], 0)


def flip_a_bit(data: bytearray, chance: random.Random) -> None:
    data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)


def overwrite_a_piece(data: bytearray, chance: random.Random) -> None:
    at = chance.randrange(len(data))
    data[at : at + 50] = chance.randbytes(len(data[at : at + 50]))


def empty_a_page(data: bytearray, chance: random.Random) -> None:
    page = 4096 * chance.randrange(len(data) // 4096)
    data[page : page + 4096] = bytes(4096)


def repeat_a_page(data: bytearray, chance: random.Random) -> None:
    page, other = (4096 * chance.randrange(len(data) // 4096) for _ in range(2))
    data[page : page + 4096] = data[other : other + 4096]


def change_a_small_number(data: bytearray, chance: random.Random) -> None:
    """In the first pages, where the shape of everything else is."""
    data[chance.randrange(2 * 4096)] = chance.choice([0, 1, 0x7F, 0xFF])


DAMAGES = (flip_a_bit, overwrite_a_piece, empty_a_page, repeat_a_page, change_a_small_number)


@pytest.mark.parametrize("damage", DAMAGES, ids=lambda damage: damage.__name__)
def test_a_damaged_file_is_begun_anew_or_was_not_hurt(
    damage: Callable[[bytearray, random.Random], None], kept: tuple[MemoryChain, bytes], path: Path
) -> None:
    """SQLite itself sees few of these: it has no checksums."""
    chain, data = kept
    chance = random.Random(damage.__name__)
    hurt = 0
    for _ in range(HOW_MANY // 20):
        damaged = bytearray(data)
        damage(damaged, chance)
        path.write_bytes(damaged)
        hurt += assert_begun_anew(path, chain)
        path.unlink()
    assert hurt


def rewritten(column: str, table: str, change: str) -> Callable[[Path], None]:
    """A single value is another one, in a file that is otherwise in order."""

    def damage(path: Path) -> None:
        with sqlite3.connect(path) as database:
            place = f"rowid in (select rowid from {table} limit 1)"
            if table == "coins":
                place = "outpoint in (select outpoint from coins limit 1)"
            assert database.execute(f"update {table} set {column} = {change} where {place}").rowcount == 1
        database.close()

    return damage


def deleted(table: str) -> Callable[[Path], None]:
    def damage(path: Path) -> None:
        with sqlite3.connect(path) as database:
            key = "outpoint" if table == "coins" else "rowid"
            chosen = f"select {key} from {table} order by {key} desc limit 1"
            assert database.execute(f"delete from {table} where {key} in ({chosen})").rowcount == 1
        database.close()

    return damage


FORGERIES: Mapping[str, Callable[[Path], None]] = {
    "a coin of another value": rewritten("coin", "coins", "cast(x'ffff' || substr(coin, 3) as blob)"),
    "a coin of another script": rewritten("coin", "coins", "cast(coin || x'00' as blob)"),
    "a coin elsewhere": rewritten("outpoint", "coins", "zeroblob(36)"),
    "a coin too short": rewritten("coin", "coins", "x''"),
    "a coin less": deleted("coins"),
    "another height": rewritten("height", "books", "height + 1"),
    "another block": rewritten("hash", "books", "'00'"),
    "another time": rewritten("time", "books", "9223372036854775807"),
    "a block that can't be": rewritten("hash", "books", "cast(x'ff' as text)"),
    "more derived": rewritten("derived", "branches", "2000000000"),
    "less derived": rewritten("derived", "branches", "1"),
    "negatively derived": rewritten("derived", "branches", "-5"),
    "less used": rewritten("used", "branches", "0"),
    "more beyond": rewritten("beyond", "branches", "'7 x'"),
    "a branch less": deleted("branches"),
    "another undone block": rewritten("hash", "undo", "'11'"),
    "another undone time": rewritten("time", "undo", "9223372036854775807"),
    "other undone coins": rewritten("coins", "undo", "zeroblob(40)"),
    "the newest undone block less": deleted("undo"),
    "another total": rewritten("coins", "books", "zeroblob(32)"),
    "another digest": rewritten("digest", "books", "zeroblob(32)"),
}


@pytest.mark.parametrize("forge", FORGERIES.values(), ids=FORGERIES)
def test_a_value_that_is_not_what_was_written_is_noticed(
    forge: Callable[[Path], None], kept: tuple[MemoryChain, bytes], path: Path
) -> None:
    chain, data = kept
    path.write_bytes(data)
    forge(path)
    assert assert_begun_anew(path, chain) == 1


# ── files that are something else ───────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("form", [1, 99])
def test_a_file_of_another_form_is_put_aside_and_begun_anew(
    form: int, kept: tuple[MemoryChain, bytes], path: Path
) -> None:
    chain, data = kept
    path.write_bytes(data)
    with sqlite3.connect(path) as database:
        database.execute(f"pragma user_version = {form}")
    database.close()
    assert assert_begun_anew(path, chain) == 1
    with sqlite3.connect(path.with_name("state.unusable")) as database:
        assert database.execute("pragma user_version").fetchone() == (form,)
    database.close()


def test_a_file_that_was_named_by_mistake_is_not_lost(kept: tuple[MemoryChain, bytes], path: Path) -> None:
    path.write_text("bitcoin:\n  network: mainnet\n")
    assert assert_begun_anew(path, kept[0]) == 1
    assert path.with_name("state.unusable").read_text() == "bitcoin:\n  network: mainnet\n"


def test_a_database_of_something_else_is_left_alone(kept: tuple[MemoryChain, bytes], path: Path) -> None:
    with sqlite3.connect(path) as database:
        database.execute("create table coins (mine integer)")
    database.close()
    before = path.read_bytes()
    for _ in range(2):
        assert follow(path, kept[0]) == (["state file can't be opened; nothing outlives a restart"], 2)
    assert path.read_bytes() == before


def make_a_directory(path: Path) -> None:
    path.mkdir()


def make_a_dangling_link(path: Path) -> None:
    path.symlink_to(path.parent / "nowhere" / "state")


def make_a_pipe_of_the_log(path: Path) -> None:
    path.with_name("state-wal").mkdir()


@pytest.mark.parametrize("make", [make_a_directory, make_a_dangling_link, make_a_pipe_of_the_log])
def test_what_can_not_be_a_file_costs_a_scan_at_each_start_and_one_line(
    make: Callable[[Path], None], kept: tuple[MemoryChain, bytes], path: Path
) -> None:
    make(path)
    for _ in range(2):
        assert follow(path, kept[0]) == (["state file can't be opened; nothing outlives a restart"], 2)


@contextmanager
def as_nobody() -> Iterator[None]:
    """Root may write everything: then as somebody who may not."""
    root = os.geteuid() == 0
    if root:
        os.seteuid(65534)
    try:
        yield
    finally:
        if root:
            os.seteuid(0)


@pytest.mark.parametrize("folder_mode", [0o555, 0o777])
def test_a_read_only_file_is_used_as_far_as_it_can_be(folder_mode: int, kept: tuple[MemoryChain, bytes]) -> None:
    """It is never put aside: whoever made it read-only had a reason."""
    chain, data = kept
    with TemporaryDirectory(dir="/tmp") as name:
        folder = Path(name)
        path = folder / "state"
        path.write_bytes(data)
        path.chmod(0o444)
        folder.chmod(folder_mode)
        longer = deepcopy(chain)
        longer.pay((BOB, 5))
        with as_nobody():
            warnings, _ = follow(path, longer)
        folder.chmod(0o777)
        assert len(warnings) == 1
        assert path.read_bytes() == data


@contextmanager
def files_at_most(size: int) -> Iterator[None]:
    """What a full disk does: no file grows beyond `size` bytes. Python ignores the signal, so that the write fails."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize("more", [-4096, 0, 5000, 50_000])
def test_a_full_disk_ends_the_keeping_and_nothing_else(more: int, kept: tuple[MemoryChain, bytes], path: Path) -> None:
    """What was kept before stays whole, so that the next process goes on from there, with room or without."""
    chain, data = kept
    path.write_bytes(data)
    longer = deepcopy(chain)
    for _ in range(30):
        longer.pay(*((ALICE, at) for at in range(60)))
    for _ in range(2):
        with files_at_most(len(data) + more):
            warnings, scans = follow(path, longer)
        assert warnings == ["coins are not kept any more"]
        assert not scans
    assert follow(path, longer) == ([], 0)


@pytest.mark.parametrize("size", [0, 4096, 60_000])
def test_a_disk_that_was_full_from_the_start_costs_one_line(
    size: int, kept: tuple[MemoryChain, bytes], path: Path
) -> None:
    with files_at_most(size):
        warnings, scans = follow(path, kept[0])
    assert (len(warnings), scans) == (1, 2)
    assert resumed(path) is None
    follow(path, kept[0])
    assert follow(path, kept[0]) == ([], 0)


# ── kill -9 ─────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("seed", range(4))
def test_a_killed_process_leaves_a_whole_book_as_of_some_block(seed: int, path: Path) -> None:
    """And goes on from there without a scan: through payments and reorganisations, for longer each time."""
    chance = random.Random(seed)
    command = [sys.executable, "-m", "tests.unit.bitcoin.killed", str(path), str(seed)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        told = [json.loads(process.stdout.readline()) for _ in range(chance.randint(2, 60))]
        os.kill(process.pid, signal.SIGKILL)
        told += [json.loads(line) for line in process.stdout if line.endswith("\n")]
    found = resumed(path)
    assert found is not None
    assert found.tip is not None
    steps = walk(seed)
    truth: dict[str, list[object]] = {}
    chain = next(steps)
    for _ in range(len(told) + 1):
        truth |= {mined.header.hash: list(expected(chain, mined.header.height)) for mined in chain.branch}
        next(steps)
    assert list(found.units) == truth[found.tip.hash]
    assert found.tip.height >= 1
