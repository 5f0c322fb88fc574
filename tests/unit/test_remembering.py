"""What detection knows is written before findings, comes back after a restart, and outlasts a store that is away."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

import pytest

from daemon import remembering
from daemon.detection.detector import Remembers
from daemon.errors import StoreError
from daemon.movements import KEPT
from daemon.remembering import MOST_AT_ONCE, MOST_WAITING, MemoryKeeper
from daemon.store import MemoryRow
from tests.delivery_cases import NOON, MemoryMemories


class Notes:
    """Something that is remembered."""

    def __init__(self, kind: str = "notes") -> None:
        self.kind = kind
        self.news: dict[str, str | None] = {}
        self.restored: dict[str, str] | None = None
        self.broken = False

    def changed(self) -> dict[str, str | None]:
        news, self.news = self.news, {}
        return news

    def restore(self, rows: dict[str, str]) -> None:
        if self.broken:
            raise ValueError("damaged")
        self.restored = rows


class Recalling:
    """Holds what is remembered, as the pipeline does."""

    def __init__(self, *notes: Notes) -> None:
        self.notes = notes
        self.remembers = True

    def remembering(self) -> Sequence[Remembers]:
        return self.notes

    def recall(self, rows: Mapping[str, Mapping[str, str]]) -> list[str]:
        self.remembers = True
        wrong = []
        for one in self.notes:
            try:
                one.restore(dict(rows[one.kind]))
            except ValueError as error:
                wrong.append(f"{one.kind}: {error}")
        return wrong


class Time:
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.now = NOON

    def __call__(self) -> datetime:
        return self.now


class Keeping:
    """A keeper with what it keeps."""

    def __init__(self, store: MemoryMemories | None, *notes: Notes) -> None:
        self.notes = notes or (Notes(),)
        self.clock = Time()
        self.recalling = Recalling(*self.notes)
        self.keeper = MemoryKeeper(store, self.recalling, clock=self.clock)


async def begun(store: MemoryMemories, *notes: Notes) -> Keeping:
    keeping = Keeping(store, *notes)
    await keeping.keeper.restore()
    return keeping


def rows(store: MemoryMemories, kind: str = "notes") -> dict[str, str]:
    return {key: row.body for key, row in store.kinds.get(kind, {}).items()}


async def test_what_has_changed_is_written_and_comes_back() -> None:
    store = MemoryMemories()
    first = await begun(store)
    first.notes[0].news = {"a": "1", "b": "2"}
    await first.keeper.write()
    first.notes[0].news = {"a": None, "b": "3"}
    await first.keeper.flush()
    again = await begun(store)
    assert again.notes[0].restored == {"b": "3"}


async def test_all_kinds_are_written_in_one_transaction() -> None:
    store = MemoryMemories()
    keeping = await begun(store, Notes("x"), Notes("y"))
    for one in keeping.notes:
        one.news = {"a": one.kind}
    await keeping.keeper.write()
    assert (rows(store, "x"), rows(store, "y"), store.writes) == ({"a": "x"}, {"a": "y"}, 1)
    await keeping.keeper.write()
    assert store.writes == 1


async def test_until_the_earlier_run_is_known_nothing_takes_its_place() -> None:
    store = MemoryMemories(kinds={"notes": {"a": MemoryRow(NOON, "old")}}, fails=True)
    keeping = Keeping(store)
    assert not keeping.recalling.remembers
    with pytest.raises(StoreError):
        await keeping.keeper.restore()
    assert keeping.keeper.problem is not None
    keeping.notes[0].news = {"a": "new"}
    store.fails = False
    await keeping.keeper.write()
    assert rows(store) == {"a": "old"}
    await keeping.keeper.restore()
    assert (keeping.notes[0].restored, keeping.recalling.remembers) == ({"a": "old"}, True)
    await keeping.keeper.write()
    assert rows(store) == {"a": "new"}
    assert not keeping.keeper.problem


async def test_what_the_store_does_not_take_is_kept_and_the_newest_wins() -> None:
    store = MemoryMemories()
    keeping = await begun(store)
    store.fails = True
    keeping.notes[0].news = {"a": "1", "b": "1"}
    await keeping.keeper.write()
    assert keeping.keeper.problem == "2 rows are in memory alone: store memory: told to fail"
    keeping.notes[0].news = {"a": "2"}
    await keeping.keeper.flush()
    store.fails = False
    await keeping.keeper.flush()
    assert rows(store) == {"a": "2", "b": "1"}
    assert not keeping.keeper.problem


async def test_a_store_that_has_just_failed_does_not_hold_up_the_next_finding() -> None:
    store = MemoryMemories()
    keeping = await begun(store)
    store.fails = True
    keeping.notes[0].news = {"a": "1"}
    await keeping.keeper.write()
    store.fails = False
    await keeping.keeper.write()
    assert rows(store) == {}
    await keeping.keeper.flush()
    assert rows(store) == {"a": "1"}


async def test_a_write_is_bounded_and_so_is_what_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    assert (MOST_AT_ONCE, MOST_WAITING) == (2000, 50_000)
    monkeypatch.setattr(remembering, "MOST_AT_ONCE", 10)
    monkeypatch.setattr(remembering, "MOST_WAITING", 35)
    store = MemoryMemories()
    keeping = await begun(store)
    keeping.notes[0].news = {str(n): "x" for n in range(50)}
    await keeping.keeper.write()
    assert (set(rows(store)), store.writes) == ({str(n) for n in range(15, 50)}, 4)


async def test_what_can_not_be_read_is_begun_anew_and_costs_nothing_else() -> None:
    store = MemoryMemories(kinds={kind: {"a": MemoryRow(NOON, kind)} for kind in ("x", "y")})
    bad, good = Notes("x"), Notes("y")
    bad.broken = True
    keeping = await begun(store, bad, good)
    assert (good.restored, keeping.recalling.remembers) == ({"a": "y"}, True)


async def test_windows_are_asked_for_every_few_seconds_and_at_the_end() -> None:
    store = MemoryMemories()
    keeping = await begun(store, Notes("window"))
    for seconds, text, found in ((0, "1", "1"), (1, "2", "1"), (4.9, "3", "1"), (5, "4", "4"), (6, "5", "4")):
        keeping.clock.now = NOON + timedelta(seconds=seconds)
        keeping.notes[0].news = {"a": text}
        await keeping.keeper.write()
        assert rows(store, "window") == {"a": found}
    await keeping.keeper.flush()
    assert rows(store, "window") == {"a": "5"}


async def test_also_when_the_clock_is_set_back() -> None:
    store = MemoryMemories()
    keeping = await begun(store, Notes("window"))
    for seconds in (0, -3600):
        keeping.clock.now = NOON + timedelta(seconds=seconds)
        keeping.notes[0].news = {"a": str(seconds)}
        await keeping.keeper.write()
        assert rows(store, "window") == {"a": str(seconds)}


async def test_of_payments_only_so_many_and_so_old_ones_come_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remembering, "MOST", {"paid": 3})
    monkeypatch.setattr(remembering, "PAGE", 2)
    old = {"old": MemoryRow(NOON - KEPT - timedelta(seconds=1), "old")}
    store = MemoryMemories(kinds={"paid": old | {str(n): MemoryRow(NOON, str(n)) for n in range(2)}})
    keeping = await begun(store, Notes("paid"))
    assert keeping.notes[0].restored == {"0": "0", "1": "1"}
    await keeping.keeper.prune()
    assert rows(store, "paid") == {"0": "0", "1": "1"}


async def test_without_a_store_it_does_nothing() -> None:
    keeping = Keeping(None)
    assert keeping.recalling.remembers
    keeping.notes[0].news = {"a": "1"}
    await keeping.keeper.restore()
    await keeping.keeper.write()
    await keeping.keeper.flush()
    await keeping.keeper.prune()
    assert (keeping.notes[0].news, keeping.keeper.problem) == ({"a": "1"}, None)
