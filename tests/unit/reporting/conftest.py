"""One played store for all tests of the report: each gets a copy of its file."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from daemon.store.repository import SqlStore, open_store
from tests.kept import kept


async def _played(folder: Path) -> None:
    async with kept(folder):
        pass


@pytest.fixture(scope="session")
def two_days(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The database of two days; nobody writes it."""
    folder = tmp_path_factory.mktemp("two-days")
    with ThreadPoolExecutor(1) as thread:  # a loop of its own, beside that of the test that comes first
        thread.submit(lambda: asyncio.run(_played(folder))).result()
    return folder / "pyrometer.db"


@pytest.fixture
def database(two_days: Path, tmp_path: Path) -> Path:
    """A copy of the database, to be written."""
    for file in two_days.parent.glob(f"{two_days.name}*"):
        shutil.copy(file, tmp_path / file.name)
    return tmp_path / two_days.name


@pytest.fixture
async def store(database: Path) -> AsyncIterator[SqlStore]:
    async with open_store(f"sqlite+aiosqlite:///{database}") as store:
        yield store
