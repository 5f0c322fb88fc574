"""What any real database must hold of the audit log and of announcements, from one daemon or from two."""

from __future__ import annotations

import asyncio
import json
from datetime import datetime, timedelta, timezone

import pytest

from daemon.auditing import Differs, verify
from daemon.errors import StoreError
from daemon.store import AnnouncementRow, AuditRecord, Entry
from daemon.store.audit import GENESIS
from daemon.store.repository import SqlStore, open_store
from tests.delivery_cases import NOON
from tests.store_databases import Database
from tests.store_sql_cases import patient

HOUR = timedelta(hours=1)


def entry(number: int = 0, *, who: str = "aya") -> Entry:
    return Entry(NOON + number * HOUR, who, "announce", "OPS-7", {"n": number})


def row(number: str = "a", *, body: str = "one", ends: datetime = NOON + HOUR) -> AnnouncementRow:
    return AnnouncementRow(number, ends, body)


async def records(store: SqlStore) -> list[AuditRecord]:
    return [record async for record in store.audit.records()]


class AuditCases:
    """Inherited by a class of tests in a module with the fixtures `database` and `store`, the store on it."""

    async def test_records_come_back_as_they_were_added_each_with_the_hash_of_the_one_before(
        self, store: SqlStore
    ) -> None:
        added = [await store.audit.append(entry(number)) for number in range(3)]
        assert await records(store) == added
        assert [one.number for one in added] == [1, 2, 3]
        assert [one.previous for one in added] == [GENESIS, added[0].sha256, added[1].sha256]
        assert [one async for one in store.audit.records(after=2)] == added[2:]
        assert (await verify(store.audit.records())).head == added[2].sha256

    async def test_whatever_people_write_comes_back_and_holds(self, store: SqlStore) -> None:
        """NUL and lone surrogates included, which databases refuse in a text."""
        said = "a\0b \ud800 日本 ' \\ \" \n"
        tokyo = datetime(2026, 11, 23, 21, 0, 0, 1, tzinfo=timezone(timedelta(hours=9)))
        await store.audit.append(Entry(tokyo, said, "x", said, {said: [said, None, True]}))
        (one,) = await records(store)
        told = json.loads(one.text)
        assert (told["who"], told["why"], told["body"]) == (said, said, {said: [said, None, True]})
        assert (told["at"], one.at) == ("2026-11-23T12:00:00.000001+00:00", tokyo)
        assert (await verify(store.audit.records())).holds

    async def test_a_body_that_is_no_json_is_refused_and_nothing_is_added(self, store: SqlStore) -> None:
        with pytest.raises(StoreError):
            await store.audit.append(Entry(NOON, "aya", "x", "", {"n": float("nan")}))
        assert await records(store) == []

    async def test_two_daemons_that_write_at_once_make_one_chain(self, database: Database) -> None:
        async with patient(database) as one, patient(database) as two:
            await one.findings()
            adds = (
                store.audit.append(entry(n, who=name)) for n in range(10) for store, name in ((one, "1"), (two, "2"))
            )
            await asyncio.gather(*adds)
            found = await verify(one.audit.records())
            assert (found.holds, found.records) == (True, 20)

    async def test_a_longer_log_is_read_whole(self, store: SqlStore, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("daemon.store.audit.AT_ONCE", 2)
        for number in range(5):
            await store.audit.append(entry(number))
        assert [one.number for one in await records(store)] == [1, 2, 3, 4, 5]

    @pytest.mark.parametrize(
        ("statement", "number", "differs"),
        [
            ("update pyrometer_audit set body = replace(body, 'aya', 'eve') where number = 2", 2, Differs.BODY),
            ("update pyrometer_audit set sha256 = 'x' where number = 2", 2, Differs.HASH),
            ("update pyrometer_audit set previous = 'x' where number = 2", 2, Differs.ORDER),
            ("update pyrometer_audit set number = 9 where number = 2", 2, Differs.MISSING),
            (
                "update pyrometer_audit set at = (select max(at) from pyrometer_audit) where number = 2",
                2,
                Differs.COLUMN,
            ),
            ("delete from pyrometer_audit where number = 1", 1, Differs.MISSING),
        ],
    )
    async def test_what_is_changed_behind_our_back_is_found(
        self, store: SqlStore, database: Database, statement: str, number: int, differs: Differs
    ) -> None:
        for count in range(3):
            await store.audit.append(entry(count))
        await database.run(statement)
        found = (await verify(store.audit.records())).broken
        assert found is not None
        assert (found.number, found.differs) == (number, differs)

    async def test_an_announcement_and_its_record_are_stored_together(self, store: SqlStore) -> None:
        assert await store.announcements.keep(row(), before=None, entry=entry(1))
        assert await store.announcements.keep(row(body="two"), before="one", entry=entry(2))
        assert await store.announcements.since(NOON) == (row(body="two"),)
        assert [json.loads(one.text)["body"]["n"] for one in await records(store)] == [1, 2]

    async def test_a_record_that_can_not_be_written_keeps_the_announcement_out(self, store: SqlStore) -> None:
        bad = Entry(NOON, "aya", "announce", "", {"n": float("nan")})
        with pytest.raises(StoreError):
            await store.announcements.keep(row(), before=None, entry=bad)
        assert await store.announcements.since(NOON) == ()
        assert await records(store) == []

    async def test_who_comes_second_changes_nothing_and_leaves_no_record(self, database: Database) -> None:
        async with patient(database) as one, patient(database) as two:
            await one.announcements.keep(row(), before=None, entry=entry())
            changes = (
                store.announcements.keep(row(body=name), before="one", entry=entry(1, who=name))
                for store, name in ((one, "first"), (two, "second"))
            )
            assert sorted(await asyncio.gather(*changes)) == [False, True]
            assert not await two.announcements.keep(row(body="new"), before=None, entry=entry())
            assert len(await records(one)) == 2

    async def test_announcements_outlive_the_daemon_and_go_when_they_are_old(self, database: Database) -> None:
        later = row("b", ends=NOON + 3 * HOUR)
        async with open_store(database.url) as store:
            await store.announcements.keep(later, before=None, entry=entry())
            await store.announcements.keep(row(), before=None, entry=entry())
        async with open_store(database.url) as store:
            assert await store.announcements.since(NOON) == (row(), later)
            assert await store.announcements.since(NOON + 2 * HOUR) == (later,)
            assert await store.announcements.drop(before=NOON + 2 * HOUR) == 1
            assert await store.announcements.since(NOON) == (later,)
            assert len(await records(store)) == 2
