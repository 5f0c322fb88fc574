"""Approved withdrawals as sources write them down, row by row, not checked yet."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from operator import itemgetter

from daemon.document import shown
from daemon.feeds.rows import dated
from daemon.feeds.source import FeedError, bad

COLUMNS = ("id", "asset", "amount", "destination", "at", "chain", "fee", "tag")
NEEDED = COLUMNS[:5]
KNOWN = frozenset(COLUMNS)
WANTED = "id, asset, amount, destination and at, and perhaps chain, fee and tag"
DOCUMENT = frozenset(("at", "approvals"))

MOST_ENTRIES = 200_000
"""Of one answer."""

Entry = tuple[object, ...]
"""What one row holds, in the order of COLUMNS; None for what it leaves out."""


@dataclass(frozen=True, slots=True)
class Batch:
    """One answer. `complete`: all that the source has, else what is new. `at`: as of when, by the source's own word.

    One that was `kept` by somebody for whoever comes later is as old as it says itself, or else nobody knows.
    """

    entries: Sequence[Entry]
    complete: bool
    at: datetime | None = None
    kept: bool = False


def of_table(columns: Sequence[str], rows: Sequence[Sequence[object]]) -> list[Entry]:
    """Rows that have these columns. FeedError for other columns than COLUMNS."""
    if len(set(columns)) < len(columns) or not set(NEEDED) <= set(columns) <= KNOWN:
        raise bad(f"expected the columns {WANTED}")
    _few_enough(rows)
    places = [columns.index(name) if name in columns else len(columns) for name in COLUMNS]
    pick = itemgetter(*places)
    return [pick((*row, None)) for row in rows]


def of_list(value: object) -> list[Entry]:
    """Mappings with the names of COLUMNS as keys. FeedError for anything else."""
    if not isinstance(value, Sequence) or isinstance(value, str):
        raise bad("expected a list of approvals")
    _few_enough(value)
    return [_of_mapping(item, place=place) for place, item in enumerate(value, start=1)]


def of_document(value: object, *, complete: bool) -> Batch:
    """A list of approvals, `{at: ..., approvals: [...]}`, or one approval alone. FeedError for anything else."""
    if isinstance(value, Mapping) and "approvals" in value:
        if not value.keys() <= DOCUMENT:
            raise bad("expected at and approvals, and nothing else")
        at = dated(value["at"]) if "at" in value else None
        return Batch(of_list(value["approvals"]), complete, at)
    return Batch(of_list([value] if isinstance(value, Mapping) else value), complete)


def _of_mapping(item: object, *, place: int) -> Entry:
    if not isinstance(item, Mapping):
        raise bad(f"entry {place}: expected a mapping with {WANTED}")
    if not item.keys() <= KNOWN:
        unknown = next(key for key in item if key not in KNOWN)
        raise bad(f"entry {place}: expected {WANTED}; found {shown(str(unknown))}")
    return tuple(map(item.get, COLUMNS))


def _few_enough(rows: Sequence[object]) -> None:
    if len(rows) > MOST_ENTRIES:
        raise too_many()


def too_many() -> FeedError:
    """More than MOST_ENTRIES."""
    return bad(f"more than {MOST_ENTRIES:,} approvals")
