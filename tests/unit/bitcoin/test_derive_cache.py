"""The script cache: the same scripts as derived, whatever became of its file, and nothing derived twice."""

import sqlite3
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from connectors.bitcoin.descriptors import Descriptor, parse
from connectors.bitcoin.networks import NETWORKS
from connectors.bitcoin.script_cache import CHUNK, ScriptCache
from tests.unit.bitcoin.published import BIP_84, VECTOR_1

BITCOIN = NETWORKS["bitcoin"]
RECEIVING, CHANGE = parse(BIP_84.key, network=BITCOIN).branches


@dataclass
class Counted:
    """A descriptor that is quick to derive from and counts what it derives: its scripts are its indices."""

    canonical: str = "counted"
    derived: list[int] = field(default_factory=list)

    def scripts(self, start: int, stop: int) -> list[bytes]:
        self.derived += range(start, stop)
        return numbers(start, stop)


def numbers(start: int, stop: int) -> list[bytes]:
    return [index.to_bytes(22, "big") for index in range(start, stop)]


@pytest.fixture
def cache(tmp_path: Path) -> Iterator[ScriptCache]:
    cache = ScriptCache(tmp_path / "scripts.db")
    yield cache
    cache.close()


def of(counted: Counted) -> Descriptor:
    """The stand-in as what it stands in for: the cache uses `canonical` and `scripts` alone."""
    return counted  # type: ignore[return-value]


def test_scripts_are_those_of_the_descriptor(cache: ScriptCache) -> None:
    for branch in (RECEIVING, CHANGE, parse(f"wsh(sortedmulti(1,{VECTOR_1}/*,{BIP_84.plain}/*))", network=BITCOIN)):
        for start, stop in ((0, 30), (0, 60), (10, 20), (50, 50), (55, 70)):
            assert cache.scripts(branch, start, stop) == branch.scripts(start, stop)


def test_nothing_is_derived_twice_across_restarts(tmp_path: Path) -> None:
    counted = Counted()
    for stop in (20, 40, 40, CHUNK + 30, CHUNK + 31, 2 * CHUNK):
        cache = ScriptCache(tmp_path / "scripts.db")
        assert cache.scripts(of(counted), 0, stop) == numbers(0, stop)
        cache.close()
    assert counted.derived == list(range(2 * CHUNK))


@settings(deadline=None, max_examples=40)
@given(st.lists(st.tuples(st.integers(0, 3 * CHUNK), st.integers(0, CHUNK)), max_size=6))
def test_any_ranges_in_any_order_are_right(ranges: list[tuple[int, int]]) -> None:
    cache = ScriptCache(Path(":memory:"))
    for start, count in ranges:
        assert cache.scripts(of(Counted()), start, start + count) == numbers(start, start + count)
    cache.close()


def test_descriptors_do_not_mix(cache: ScriptCache) -> None:
    assert cache.scripts(of(Counted("one")), 0, 3) == numbers(0, 3)
    other = Counted("other")
    cache.scripts(of(other), 0, 3)
    assert other.derived == [0, 1, 2]


DAMAGE = [
    "update scripts set data = zeroblob(length(data))",
    "update scripts set width = 11",
    "update scripts set width = 0",
    "update scripts set chunk = 1 where chunk = 0",
    "update scripts set digest = x''",
    "drop table scripts",
]


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_row_is_derived_anew(tmp_path: Path, damage: str) -> None:
    path = tmp_path / "scripts.db"
    before = ScriptCache(path)
    before.scripts(of(Counted()), 0, 50)
    before.close()
    with sqlite3.connect(path) as database:
        database.execute(damage)
    database.close()
    after, counted = ScriptCache(path), Counted()
    assert after.scripts(of(counted), 0, 50) == numbers(0, 50)
    assert after.scripts(of(counted), 0, 50) == numbers(0, 50)
    assert counted.derived == list(range(50))
    after.close()


@pytest.mark.parametrize("name", ["text", "folder", "missing/scripts.db"])
def test_where_the_file_cant_be_used_scripts_are_kept_until_the_end(tmp_path: Path, name: str) -> None:
    (tmp_path / "text").write_text("this is no database " * 100)
    (tmp_path / "folder").mkdir()
    cache, counted = ScriptCache(tmp_path / name), Counted()
    assert cache.scripts(of(counted), 0, 5) == cache.scripts(of(counted), 0, 5) == numbers(0, 5)
    assert counted.derived == [0, 1, 2, 3, 4]
    cache.close()
    assert (tmp_path / "text").read_text().startswith("this is no database")


def test_a_file_that_another_process_holds_is_no_error(tmp_path: Path) -> None:
    cache = ScriptCache(tmp_path / "scripts.db", patience=0.01)
    holder = sqlite3.connect(tmp_path / "scripts.db", isolation_level=None)
    holder.execute("begin exclusive")
    assert cache.scripts(of(Counted()), 0, 5) == numbers(0, 5)
    holder.close()
    cache.close()


class Slow(Counted):
    """Takes so long that others catch up with it."""

    def __init__(self) -> None:
        super().__init__("slow")
        self.begun = threading.Event()

    def scripts(self, start: int, stop: int) -> list[bytes]:
        self.begun.set()
        time.sleep(0.2)
        return super().scripts(start, stop)


def test_threads_that_ask_at_once_derive_everything_once(cache: ScriptCache) -> None:
    slow = Slow()
    with ThreadPoolExecutor(3) as threads:
        for scripts in threads.map(lambda _: cache.scripts(of(slow), 0, CHUNK + 5), range(3)):
            assert scripts == numbers(0, CHUNK + 5)
    assert slow.derived == list(range(CHUNK + 5))


def test_what_is_being_derived_is_kept_when_the_cache_is_closed_meanwhile(tmp_path: Path) -> None:
    cache, slow = ScriptCache(tmp_path / "scripts.db"), Slow()
    with ThreadPoolExecutor(1) as threads:
        asked = threads.submit(cache.scripts, of(slow), 0, 2 * CHUNK)
        assert slow.begun.wait(10)
        cache.close()
        assert asked.result() == numbers(0, 2 * CHUNK)
    after, again = ScriptCache(tmp_path / "scripts.db"), Counted("slow")
    assert after.scripts(of(again), 0, CHUNK) == numbers(0, CHUNK)
    assert not again.derived
    after.close()
