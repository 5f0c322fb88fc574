"""Sources that are files, YAML, JSON or CSV, which something else writes."""

from __future__ import annotations

import asyncio
import csv
import io
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Generic, Literal, TypeVar

from pydantic import Field, field_validator

from connectors import strictjson
from connectors.transport import Timing
from daemon.document import MOST_BYTES, first_bytes, read, reason
from daemon.errors import ConfigError
from daemon.feeds.rows import Columns, payload, table
from daemon.feeds.source import FeedError, Raw, SourceConfig, bad
from daemon.feeds.values import FeedReason

T = TypeVar("T")

SUFFIXES = (".yaml", ".yml", ".json", ".csv")


class FileSource(SourceConfig):
    """A file that is read again when it has changed."""

    kind: Literal["file"]
    path: Path = Field(description="the file, .yaml, .yml, .json or .csv, beside this one")

    @field_validator("path")
    @classmethod
    def _has_a_form(cls, value: Path) -> Path:
        if value.suffix not in SUFFIXES:
            raise ValueError("expected a file whose name ends in .yaml, .yml, .json or .csv")
        return value


class Watched(Generic[T]):
    """One file, looked at each time, and read when it is another than before. `parse` makes something of its bytes and
    of when it was written."""

    def __init__(
        self,
        path: Path,
        *,
        parse: Callable[[bytes, datetime], T],
        timeout: timedelta,
        timing: Timing,
        most: int = MOST_BYTES,
    ) -> None:
        self._path = path
        self._parse = parse
        self._timeout = timeout.total_seconds()
        self._timing = timing
        self._most = most
        self._newest: tuple[tuple[int, ...], T] | None = None

    async def read(self) -> T:
        """What stands in it; the same object as before while it has not changed. FeedError."""
        try:
            with self._timing.away():
                async with asyncio.timeout(self._timeout):
                    return await asyncio.to_thread(self._read)
        except TimeoutError:
            raise FeedError(FeedReason.TIMEOUT, f"the file could not be read within {self._timeout:g}s") from None

    def _read(self) -> T:
        try:
            state = _state(self._path)
            if self._newest is None or state != self._newest[0]:
                self._newest = None
                parsed = self._parsed(first_bytes(self._path, most=self._most), written=state[0])
                if _state(self._path) != state:
                    raise bad("the file changed while it was read; put a new one in its place by renaming it")
                self._newest = state, parsed
        except OSError as error:
            raise FeedError(FeedReason.UNAVAILABLE, f"the file can't be read: {reason(error)}") from None
        return self._newest[1]

    def _parsed(self, body: bytes, *, written: int) -> T:
        if len(body) > self._most:
            raise bad(f"the file is larger than {self._most >> 20} MiB")
        if not body.endswith(b"\n"):
            raise bad("the file does not end with a line end, as if it were half written")
        return self._parse(body, datetime.fromtimestamp(written / 1e9, tz=UTC))


class FileReader:
    """One file of numbers."""

    pushed = False

    def __init__(self, path: Path, *, columns: Columns, timeout: timedelta, timing: Timing) -> None:
        self._path = path
        self._columns = columns
        self._file = Watched(path, parse=self._raw, timeout=timeout, timing=timing)

    async def read(self) -> Raw:
        return await self._file.read()

    def _raw(self, body: bytes, written: datetime) -> Raw:
        if self._path.suffix == ".csv":
            raw = table(*csv_rows(body), measures=self._columns)
        else:
            raw = payload(value_in(self._path, body), columns=self._columns)
        return raw if raw.at is not None else replace(raw, at=written)


def _state(path: Path) -> tuple[int, ...]:
    """What changes with the file: when it was written, how long it is, and which file has the name."""
    found = path.stat()
    return found.st_mtime_ns, found.st_size, found.st_ino


def value_in(path: Path, body: bytes) -> object:
    """What stands in a file that is YAML or JSON. FeedError."""
    try:
        if path.suffix == ".json":
            return strictjson.loads(body, decimals=True, unique=True)
        return read(path).value
    except ConfigError as error:
        raise bad(error.message) from None
    except ValueError:
        raise bad("the file is no JSON, or says a name twice") from None


def csv_rows(body: bytes) -> tuple[list[str], list[list[str]]]:
    """The head and the lines of a file that is CSV, all of one length. FeedError."""
    try:
        lines = list(csv.reader(io.StringIO(body.decode("utf-8-sig"), newline=""), strict=True))
    except UnicodeDecodeError:
        raise bad("the file is not UTF-8") from None
    except csv.Error:
        raise bad("the file is no CSV") from None
    if not lines:
        raise bad("the file is empty")
    head, *rows = [[cell.strip() for cell in line] for line in lines]
    for place, row in enumerate(rows, start=2):
        if len(row) != len(head):
            raise bad(f"line {place} has {len(row)} fields, expected {len(head)}")
    return head, rows
