"""The audit log recomputed: whatever is changed in it afterwards is found, and where."""

import json
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from datetime import timedelta

import pytest

from daemon.auditing import Broken, Differs, as_json, told, verify
from daemon.store import AuditRecord, Entry
from daemon.store.audit import GENESIS, canonical, digest
from tests.delivery_cases import NOON, MemoryAudit

HOUR = timedelta(hours=1)


async def log(count: int) -> list[AuditRecord]:
    audit = MemoryAudit()
    for number in range(count):
        await audit.append(Entry(NOON + number * HOUR, f"who-{number}", "reload", "because", {"sha256": "ab", "n": 1}))
    return audit.rows


async def each(rows: Sequence[AuditRecord]) -> AsyncIterator[AuditRecord]:
    for row in rows:
        yield row


async def broken(rows: Sequence[AuditRecord]) -> Broken:
    found = (await verify(each(rows))).broken
    assert found is not None
    return found


async def test_a_log_as_it_was_written_holds_and_names_its_head() -> None:
    rows = await log(3)
    found = await verify(each(rows))
    assert (found.holds, found.records, found.head) == (True, 3, rows[-1].sha256)
    assert told(found) == f"ok: 3 records hold; the last is {rows[-1].sha256}"


async def test_an_empty_log_holds_and_its_head_is_the_genesis() -> None:
    assert (await verify(each([]))).head == GENESIS == "0" * 64


def test_the_text_of_a_record_is_what_anybody_can_make_again() -> None:
    """Keys sorted, no spaces, ASCII, UTC to the microsecond: the hash is a constant of this format."""
    entry = Entry(NOON, "kana", "announce", "日本", {"b": [1, "x"], "a": None})
    text = canonical(entry, number=1, previous=GENESIS)
    assert text == (
        '{"at":"2026-11-23T12:00:00.000000+00:00","body":{"a":null,"b":[1,"x"]},"number":1,"previous":"'
        + "0" * 64
        + '",'
        '"what":"announce","who":"kana","why":"\\u65e5\\u672c"}'
    )
    assert digest(text) == "e05a62e8fe73e0ddbd9c3a26cc6b933d24996ab5a0d482555abf589418d5c791"


def rewritten(record: AuditRecord, *, field: str) -> AuditRecord:
    """The text of a record with another value, and the old hash."""
    value = json.loads(record.text)
    value[field] = {"number": 99, "body": {}, "at": "2020-01-01T00:00:00.000000+00:00"}.get(field, "other")
    return replace(record, text=json.dumps(value, sort_keys=True, separators=(",", ":")))


@pytest.mark.parametrize("place", range(4))
@pytest.mark.parametrize("field", ["at", "body", "number", "previous", "what", "who", "why"])
async def test_every_field_of_every_record_is_vouched_for(place: int, field: str) -> None:
    rows = await log(4)
    rows[place] = rewritten(rows[place], field=field)
    assert await broken(rows) == Broken(place + 1, Differs.BODY, "its body does not have its hash")


@pytest.mark.parametrize("place", range(4))
@pytest.mark.parametrize(
    ("column", "value", "differs"),
    [
        ("number", 99, Differs.MISSING),
        ("at", NOON - HOUR, Differs.COLUMN),
        ("text", "{}", Differs.BODY),
        ("sha256", "ab" * 32, Differs.HASH),
        ("previous", "cd" * 32, Differs.ORDER),
    ],
)
async def test_every_column_of_every_record_is_vouched_for(
    place: int, column: str, value: object, differs: Differs
) -> None:
    rows = await log(4)
    rows[place] = replace(rows[place], **{column: value})  # type: ignore[arg-type]
    found = await broken(sorted(rows, key=lambda row: row.number))
    if (place, column) == (3, "sha256"):
        differs = Differs.BODY  # nothing follows that would say which of the two was changed
    assert (found.number, found.differs) == (place + 1, differs)


@pytest.mark.parametrize("place", range(3))
async def test_a_record_that_was_taken_out_is_missed(place: int) -> None:
    rows = await log(4)
    del rows[place]
    found = await broken(rows)
    assert (found.number, found.differs) == (place + 1, Differs.MISSING)
    assert f"{place + 1} is not there" in found.detail


@pytest.mark.parametrize("place", range(3))
async def test_two_records_in_each_others_place_are_found(place: int) -> None:
    rows = await log(4)
    one, two = rows[place : place + 2]
    rows[place : place + 2] = [replace(two, number=one.number), replace(one, number=two.number)]
    found = await broken(rows)
    assert (found.number, found.differs) == (place + 1, Differs.ORDER)


async def test_a_hash_that_was_made_anew_for_a_changed_record_betrays_itself_in_the_next() -> None:
    rows = await log(3)
    changed = rewritten(rows[1], field="who")
    rows[1] = replace(changed, sha256=digest(changed.text))
    found = await broken(rows)
    assert (found.number, found.differs) == (3, Differs.ORDER)


async def test_a_log_that_was_cut_off_is_known_by_a_hash_that_was_published() -> None:
    """The chain of what is left holds by itself: without the published hash nobody can tell."""
    rows = await log(4)
    assert (await verify(each(rows[:3]))).holds
    found = await verify(each(rows[:3]), holds=rows[3].sha256)
    assert (found.holds, found.known, found.broken) == (False, False, None)
    assert told(found).startswith("BROKEN: no record has the hash that was asked for; 3 records hold")
    assert (await verify(each(rows), holds=rows[1].sha256)).holds


async def test_the_first_broken_record_is_told_with_those_that_hold() -> None:
    rows = await log(4)
    rows[2] = rewritten(rows[2], field="who")
    found = await verify(each(rows))
    assert told(found) == "BROKEN at record 3: body: its body does not have its hash; 2 records before it hold"
    assert as_json(found) == {
        "holds": False,
        "records": 2,
        "head": rows[1].sha256,
        "known": None,
        "broken": {"number": 3, "differs": "body", "detail": "its body does not have its hash"},
    }
