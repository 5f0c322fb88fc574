"""What a store must do with what parts of the daemon remember, on every database."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from daemon.store import GateRow, Memories, MemoryRow
from daemon.store.repository import SqlStore, open_store
from tests.delivery_cases import NOON, MemoryMemories
from tests.store_databases import Database
from tests.store_sql_cases import ON_ONE_STORE

SECOND = timedelta(seconds=1)
KINDS = st.sampled_from(["movement", "window"])
ROWS = st.none() | st.builds(
    lambda seconds, body: MemoryRow(NOON + seconds * SECOND, body),
    st.integers(0, 5),
    st.text(st.characters(codec="ascii", exclude_characters="\0"), max_size=9),
)
CHANGES = st.dictionaries(KINDS, st.dictionaries(st.sampled_from("abcdef"), ROWS, max_size=4), max_size=2)
OPERATIONS = st.one_of(
    st.tuples(st.just("keep"), CHANGES),
    st.tuples(st.just("drop"), KINDS, st.none() | st.integers(0, 6), st.none() | st.integers(0, 4)),
)


class MemoryCases:
    """Inherited by a class of tests in a module with the fixtures `database` and `store`, the store on it."""

    @ON_ONE_STORE
    @given(operations=st.lists(OPERATIONS, max_size=10))
    async def test_the_real_memories_do_what_those_in_dicts_do(
        self, store: SqlStore, operations: list[tuple[Any, ...]]
    ) -> None:
        for kind in ("movement", "window"):
            await store.memories.drop(kind, beyond=0)
        oracle = MemoryMemories()
        for operation in operations:
            assert await _perform(store.memories, operation) == await _perform(oracle, operation)
            for kind in ("movement", "window"):
                for since in (None, NOON + 3 * SECOND):
                    found = await store.memories.load(kind, since=since)
                    assert sorted(found, key=repr) == sorted(await oracle.load(kind, since=since), key=repr)
                    assert [row.at for _, row in found] == sorted((row.at for _, row in found), reverse=True)

    async def test_rows_come_page_by_page_the_newest_first(self, store: SqlStore) -> None:
        rows: dict[str, MemoryRow | None] = {str(n): MemoryRow(NOON + n * SECOND, f"body {n}") for n in range(7)}
        await store.memories.keep({"movement": rows})
        pages = [await store.memories.load("movement", skip=skip, limit=3) for skip in (0, 3, 6, 9)]
        assert [[key for key, _ in page] for page in pages] == [["6", "5", "4"], ["3", "2", "1"], ["0"], []]

    async def test_what_a_gate_stands_for_stays_until_it_is_replaced_or_forgotten(self, store: SqlStore) -> None:
        rows = [GateRow("a", "closed", "AAAA" * 1_000_000), GateRow("b", "closed", "BBBB"), GateRow("c", "open")]
        await store.gates.keep(rows, entries=[])
        assert list(await store.gates.all()) == rows
        await store.gates.keep([GateRow("a", "closed too"), GateRow("b", "open", "")], entries=[])
        found = await store.gates.all()
        assert found == (GateRow("a", "closed too", "AAAA" * 1_000_000), GateRow("b", "open"), GateRow("c", "open"))
        await store.gates.keep([GateRow("a", "closed", "CCCC")], entries=[])
        assert (await store.gates.all())[0] == GateRow("a", "closed", "CCCC")

    async def test_many_thousand_rows_are_one_operation(self, store: SqlStore) -> None:
        rows: dict[str, MemoryRow | None] = {f"0x{n:064x}": MemoryRow(NOON, "x" * 500) for n in range(2000)}
        await store.memories.keep({"movement": rows})
        await store.memories.keep({"movement": dict.fromkeys(rows)})
        assert await store.memories.load("movement") == ()

    async def test_what_is_remembered_is_there_after_opening_again(self, database: Database) -> None:
        row = MemoryRow(NOON, '{"a": 1}')
        async with open_store(database.url) as store:
            await store.memories.keep({"movement": {"m": row}, "window": {"w": row}})
        async with open_store(database.url) as store:
            assert await store.memories.load("movement") == (("m", row),)
            assert await store.memories.load("window") == (("w", row),)


async def _perform(memories: Memories, operation: tuple[Any, ...]) -> int:
    match operation:
        case ("keep", changes):
            await memories.keep(changes)
            return 0
        case (_, kind, seconds, beyond):
            before = None if seconds is None else NOON + seconds * SECOND
            return await memories.drop(kind, before=before, beyond=beyond)
    raise AssertionError(operation)
