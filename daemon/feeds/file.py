"""Sources that are files, YAML or CSV, which something else writes."""

from __future__ import annotations

import asyncio
import csv
import io
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Literal

from pydantic import Field, field_validator

from connectors.transport import Timing
from daemon.document import MOST_BYTES, first_bytes, read, reason
from daemon.errors import ConfigError
from daemon.feeds.rows import Columns, payload, table
from daemon.feeds.source import FeedError, Raw, SourceConfig, bad
from daemon.feeds.values import FeedReason

SUFFIXES = (".yaml", ".yml", ".csv")


class FileSource(SourceConfig):
    """A file that is read again when it has changed."""

    kind: Literal["file"]
    path: Path = Field(description="the file, .yaml, .yml or .csv, beside this one")

    @field_validator("path")
    @classmethod
    def _has_a_form(cls, value: Path) -> Path:
        if value.suffix not in SUFFIXES:
            raise ValueError("expected a file whose name ends in .yaml, .yml or .csv")
        return value


class FileReader:
    """One file, looked at each time and read when it is another than before."""

    pushed = False

    def __init__(self, path: Path, *, columns: Columns, timeout: timedelta, timing: Timing) -> None:
        self._path = path
        self._columns = columns
        self._timeout = timeout.total_seconds()
        self._timing = timing
        self._state: tuple[int, ...] | None = None
        self._raw: Raw | None = None

    async def read(self) -> Raw:
        try:
            with self._timing.away():
                async with asyncio.timeout(self._timeout):
                    return await asyncio.to_thread(self._read)
        except TimeoutError:
            raise FeedError(FeedReason.TIMEOUT, f"the file could not be read within {self._timeout:g}s") from None

    def _read(self) -> Raw:
        try:
            state = _state(self._path)
            if self._raw is None or state != self._state:
                self._raw, self._state = None, None
                raw = self._parsed(first_bytes(self._path))
                if _state(self._path) != state:
                    raise bad("the file changed while it was read; put a new one in its place by renaming it")
                written = datetime.fromtimestamp(state[0] / 1e9, tz=UTC)
                self._raw, self._state = (raw if raw.at is not None else replace(raw, at=written)), state
        except OSError as error:
            raise FeedError(FeedReason.UNAVAILABLE, f"the file can't be read: {reason(error)}") from None
        return self._raw

    def _parsed(self, body: bytes) -> Raw:
        if len(body) > MOST_BYTES:
            raise bad("the file is larger than 1 MiB")
        if not body.endswith(b"\n"):
            raise bad("the file does not end with a line end, as if it were half written")
        if self._path.suffix != ".csv":
            return _yaml(self._path, columns=self._columns)
        try:
            return _csv(body.decode("utf-8-sig"), columns=self._columns)
        except UnicodeDecodeError:
            raise bad("the file is not UTF-8") from None


def _state(path: Path) -> tuple[int, ...]:
    """What changes with the file: when it was written, how long it is, and which file has the name."""
    found = path.stat()
    return found.st_mtime_ns, found.st_size, found.st_ino


def _yaml(path: Path, *, columns: Columns) -> Raw:
    try:
        return payload(read(path).value, columns=columns)
    except ConfigError as error:
        raise bad(error.message) from None


def _csv(text: str, *, columns: Columns) -> Raw:
    try:
        lines = list(csv.reader(io.StringIO(text, newline=""), strict=True))
    except csv.Error:
        raise bad("the file is no CSV") from None
    if not lines:
        raise bad("the file is empty")
    head, *rows = [[cell.strip() for cell in line] for line in lines]
    for place, row in enumerate(rows, start=2):
        if len(row) != len(head):
            raise bad(f"line {place} has {len(row)} fields, expected {len(head)}")
    return table(head, rows, measures=columns)
