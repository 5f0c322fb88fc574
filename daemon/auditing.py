"""The audit log recomputed: whether every record is there, in its place, and says what it said when it was written."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from daemon.errors import Fatal, StoreError
from daemon.reload import Loaded
from daemon.store import AuditRecord
from daemon.store.audit import GENESIS, digest, moment
from daemon.store.repository import open_store

READ_SECONDS = 60.0
"""Deadline of one operation: nobody's judging waits for this."""


class Differs(StrEnum):
    """What of a record is not as it was written."""

    MISSING = "missing number"
    ORDER = "order"
    BODY = "body"
    HASH = "hash"
    COLUMN = "column"


@dataclass(frozen=True, slots=True)
class Broken:
    """The first record that is not what it was, or is not there."""

    number: int
    differs: Differs
    detail: str


@dataclass(frozen=True, slots=True)
class Verified:
    """How many `records` hold, from the first on, the hash of the last of them, and what comes after, if it is broken.

    `known` says whether the hash that was asked for is among theirs; None when none was asked for.
    """

    records: int
    head: str
    broken: Broken | None = None
    known: bool | None = None

    @property
    def holds(self) -> bool:
        return self.broken is None and self.known is not False


async def verify(records: AsyncIterator[AuditRecord], *, holds: str | None = None) -> Verified:
    """Recomputes the chain; `holds` is the hash of a record that must be a part of it, published earlier."""
    head, count = GENESIS, 0
    known = None if holds is None else False
    async for record in records:
        broken = _broken(record, number=count + 1, head=head)
        if broken is not None and broken.differs is Differs.BODY:
            after = await anext(records, None)
            if after is not None and after.previous == digest(record.text):
                broken = Broken(record.number, Differs.HASH, "its hash is not that of its body, by which the next goes")
        if broken is not None:
            return Verified(count, head, broken, known)
        head, count = record.sha256, count + 1
        known = known or head == holds if holds is not None else None
    return Verified(count, head, None, known)


def _broken(record: AuditRecord, *, number: int, head: str) -> Broken | None:
    if record.number != number:
        found = f"{number} is not there" if record.number == number + 1 else f"{number} to {record.number - 1} are not"
        return Broken(number, Differs.MISSING, f"{found}; the next is {record.number}")
    if record.previous != head:
        return Broken(number, Differs.ORDER, "it does not follow the record before it: its previous hash is another")
    if digest(record.text) != record.sha256:
        return Broken(number, Differs.BODY, "its body does not have its hash")
    return _beside(record)


def _beside(record: AuditRecord) -> Broken | None:
    """What stands beside the text, in columns of its own, must be what stands in it."""
    try:
        told: Any = json.loads(record.text)
        said = (told["number"], told["previous"], told["at"])
    except (ValueError, KeyError, TypeError):
        return Broken(record.number, Differs.BODY, "its body is no record")
    columns = {"number": record.number, "previous": record.previous, "at": moment(record.at)}
    for (name, column), inside in zip(columns.items(), said, strict=True):
        if column != inside:
            return Broken(record.number, Differs.COLUMN, f"its {name} is {column} beside the body and {inside} in it")
    return None


async def audited(loaded: Loaded, *, holds: str | None) -> Verified:
    """The log of a configuration's store; Fatal when the store can't be read."""
    async with open_store(loaded.settings.store_url, deadline=READ_SECONDS) as store:
        try:
            return await verify(store.audit.records(), holds=holds)
        except StoreError as error:
            raise Fatal(str(error)) from error


def told(found: Verified) -> str:
    """One line for people."""
    counted = f"{found.records} record{'' if found.records == 1 else 's'}"
    if found.broken is not None:
        one = found.broken
        return f"BROKEN at record {one.number}: {one.differs}: {one.detail}; {counted} before it hold"
    if found.known is False:
        return f"BROKEN: no record has the hash that was asked for; {counted} hold, the last is {found.head}"
    return f"ok: {counted} hold; the last is {found.head}"


def as_json(found: Verified) -> dict[str, object]:
    broken = found.broken
    return {
        "holds": found.holds,
        "records": found.records,
        "head": found.head,
        "known": found.known,
        "broken": broken and {"number": broken.number, "differs": broken.differs.value, "detail": broken.detail},
    }
