"""A funded chain, a source that tells of it, and a book of two people and a wallet on that source."""

from pathlib import Path

import pytest

from connectors.bitcoin.book import BlockBook
from tests.unit.bitcoin.chain import ChainSource, MemoryChain
from tests.unit.bitcoin.wallets import book_on, funded


@pytest.fixture
def chain() -> MemoryChain:
    return funded()


@pytest.fixture
def source(chain: MemoryChain) -> ChainSource:
    return ChainSource(chain)


@pytest.fixture
def book(source: ChainSource) -> BlockBook:
    return book_on(source)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where a book is kept."""
    return tmp_path / "state"
