"""Derived scripts kept across restarts, in a SQLite file of their own: a million of them load in a second."""

from __future__ import annotations

import sqlite3
import threading
from contextlib import suppress
from hashlib import sha256
from pathlib import Path

from connectors.bitcoin.descriptors import Descriptor

CHUNK = 1000
"""Scripts in a row of the table."""

SCHEMA = """
create table if not exists scripts (
  descriptor text not null, chunk integer not null, width integer not null, data blob not null, digest blob not null,
  primary key (descriptor, chunk)) strict, without rowid
"""


class ScriptCache:
    """Scripts by descriptor and index. `close` it in the end.

    Each source of a chain asks from a thread of its own. One has its turn, and the others find what it has derived.
    What it holds can be derived again, so nothing that is wrong with the file is an error: a row whose digest does not
    fit is derived anew, and where the file can't be used at all, scripts are kept until the process ends.
    """

    def __init__(self, path: Path, *, patience: float = 1.0) -> None:
        """`patience`: seconds to wait for another process that holds the file."""
        self._turn = threading.Lock()
        self._closing = False
        try:
            self._database = _opened(path, patience=patience)
        except sqlite3.Error:
            self._database = _opened(":memory:", patience=patience)

    def close(self) -> None:
        """Waits at most for the one row that a thread may be deriving; what it needs beyond that is not kept."""
        self._closing = True
        with self._turn:
            self._database.close()

    def scripts(self, descriptor: Descriptor, start: int, stop: int) -> list[bytes]:
        """`Descriptor.scripts` of a ranged descriptor without multipath, derived at most once."""
        found: list[bytes] = []
        with self._turn, suppress(sqlite3.Error), self._database:
            for chunk in range(start // CHUNK, -(-stop // CHUNK)):
                if self._closing:
                    break
                found += self._chunk(descriptor, chunk, upto=min(stop - chunk * CHUNK, CHUNK))
        missing = descriptor.scripts(start // CHUNK * CHUNK + len(found), stop)
        return (found + missing)[start % CHUNK :]

    def _chunk(self, descriptor: Descriptor, chunk: int, *, upto: int) -> list[bytes]:
        """The first `upto` scripts of a chunk; the file then holds at least those."""
        known = self._load(descriptor, chunk)
        if len(known) < upto:
            known += descriptor.scripts(chunk * CHUNK + len(known), chunk * CHUNK + upto)
            data = b"".join(known)
            width = len(known[0])
            row = (descriptor.canonical, chunk, width, data, _digest(descriptor.canonical, chunk, width, data))
            self._database.execute("insert or replace into scripts values (?, ?, ?, ?, ?)", row)
        return known[:upto]

    def _load(self, descriptor: Descriptor, chunk: int) -> list[bytes]:
        query = "select width, data, digest from scripts where descriptor = ? and chunk = ?"
        row = self._database.execute(query, (descriptor.canonical, chunk)).fetchone()
        if row is None:
            return []
        width, data, digest = row
        if digest != _digest(descriptor.canonical, chunk, width, data):
            return []
        return [data[place : place + width] for place in range(0, len(data), width)]


def _opened(path: Path | str, *, patience: float) -> sqlite3.Connection:
    database = sqlite3.connect(path, timeout=patience, check_same_thread=False)
    try:
        database.execute(SCHEMA)
    except sqlite3.Error:
        database.close()
        raise
    return database


def _digest(*parts: object) -> bytes:
    """Of a row: what it holds and where it belongs."""
    return sha256(b" ".join(part if isinstance(part, bytes) else str(part).encode() for part in parts)).digest()
