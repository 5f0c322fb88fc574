"""A book of a source without blocks: read anew, at the block that the source itself is at, and at no other."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from connectors.bitcoin.snapshot_book import REMEMBERED, SnapshotBook
from connectors.errors import NodeError, Reason, Unavailable
from connectors.follow import UnknownBlock
from connectors.quorum import Flaw
from tests.unit.bitcoin.chain import CoinSource, MemoryChain
from tests.unit.bitcoin.wallets import (
    ALICE,
    BOB,
    PEOPLE,
    RECEIVE,
    WALLET,
    accounts,
    address,
    expected,
    spend_of_alice,
    values_at,
)


@pytest.fixture
def told(chain: MemoryChain) -> CoinSource:
    return CoinSource(chain)


@pytest.fixture
def snapshots(told: CoinSource) -> SnapshotBook:
    return SnapshotBook(told, accounts=accounts())


async def test_each_block_is_read_once(chain: MemoryChain, told: CoinSource) -> None:
    book = SnapshotBook(told, accounts=accounts(*PEOPLE))
    for scans in range(1, 4):
        spend_of_alice(chain)
        for _ in range(2):
            assert await values_at(book, chain.tip) == expected(chain)[:2]
        assert told.calls["coins"] == scans


async def test_reorganisations_are_read_as_they_come(chain: MemoryChain, snapshots: SnapshotBook) -> None:
    for depth in (1, 5, 200):
        for _ in range(depth):
            chain.pay((BOB, 3))
        await snapshots.at(chain.tip.hash)
        chain.drop(depth)
        chain.pay((ALICE, depth))
        assert await values_at(snapshots, chain.tip) == expected(chain)


async def test_an_earlier_block_is_remembered_or_unknown(chain: MemoryChain, snapshots: SnapshotBook) -> None:
    for _ in range(REMEMBERED + 2):
        spend_of_alice(chain)
        await snapshots.at(chain.tip.hash)
    for mined in chain.branch[-REMEMBERED:]:
        assert await values_at(snapshots, mined.header) == expected(chain, mined.header.height)
    with pytest.raises(UnknownBlock, match=f"tells coins as of block {chain.tip.hash}, not "):
        await snapshots.at(chain.branch[-REMEMBERED - 1].header.hash)


async def test_a_block_that_comes_while_reading_makes_the_asked_one_unknown(
    chain: MemoryChain, told: CoinSource, snapshots: SnapshotBook
) -> None:
    asked = chain.tip

    async def another(what: str) -> None:
        if told.calls["coins"] == 1:
            chain.pay((BOB, 3))

    told.before = another
    with pytest.raises(UnknownBlock):
        await snapshots.at(asked.hash)
    assert await values_at(snapshots, chain.tip) == expected(chain)


async def test_a_book_with_a_refused_script_goes_on_for_all_the_others(
    chain: MemoryChain, told: CoinSource, snapshots: SnapshotBook
) -> None:
    """It is whole as far as the source tells: its mempool is watched, without the script that would be refused."""
    told.refused = {RECEIVE[1]: NodeError("memory: history too large", code=1)}
    before = snapshots.whole
    await snapshots.at(chain.tip.hash)
    assert (before, snapshots.whole) == (False, True)
    assert list(snapshots.refused) == [RECEIVE[1]]
    told.refused = {}
    await snapshots.at(chain.tip.hash)
    assert list(snapshots.refused) == []


async def test_a_refused_script_is_a_flaw_and_asked_for_again(
    chain: MemoryChain, told: CoinSource, snapshots: SnapshotBook
) -> None:
    told.refused = {RECEIVE[1]: NodeError("memory: history too large", code=1)}
    assert await values_at(snapshots, chain.tip) == [70, 0, Flaw(Reason.NODE_ERROR, "memory: history too large")]
    told.refused = {}
    assert await values_at(snapshots, chain.tip) == expected(chain)


async def test_the_gap_limit_extends_until_nothing_new_is_used(chain: MemoryChain, snapshots: SnapshotBook) -> None:
    for last in range(3, 30, 3):
        chain.pay((RECEIVE[last], last))
    assert await values_at(snapshots, chain.tip) == expected(chain)


async def test_a_wallet_that_grows_into_a_watched_address_is_at_fault(chain: MemoryChain, told: CoinSource) -> None:
    book = SnapshotBook(told, accounts=accounts(address(RECEIVE[4]), WALLET))
    await book.at(chain.tip.hash)
    chain.pay((RECEIVE[1], 2))
    _, wallet = await book.at(chain.tip.hash)
    assert isinstance(wallet, Flaw)
    assert wallet.reason is Reason.MISCONFIGURED


@dataclass
class Away:
    """Fails the `at`-th time that it is asked."""

    at: int
    asked: int = 0

    async def __call__(self, what: str) -> None:
        self.asked += 1
        if self.asked == self.at:
            raise Unavailable("memory: away")


@pytest.mark.parametrize("at", range(1, 6))
async def test_a_source_that_goes_away_at_any_question_leaves_no_number_behind(
    at: int, chain: MemoryChain, told: CoinSource, snapshots: SnapshotBook
) -> None:
    for last in (3, 6):
        chain.pay((RECEIVE[last], last))
    told.before = away = Away(at)
    if at <= 4:
        with pytest.raises(Unavailable):
            await snapshots.at(chain.tip.hash)
    assert await values_at(snapshots, chain.tip) == expected(chain)
    assert away.asked >= 4
