"""A book follows its source to exactly the block that is asked for: forward, back, or by finding everything anew."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from connectors.bitcoin.book import FARTHEST, BlockBook
from connectors.bitcoin.coins import DEPTH
from connectors.errors import Reason
from connectors.follow import UnknownBlock
from connectors.quorum import Header
from tests.unit.bitcoin.chain import ChainSource, MemoryChain
from tests.unit.bitcoin.wallets import (
    ALICE,
    BOB,
    PEOPLE,
    accounts,
    book_on,
    expected,
    spend_of_alice,
    values_at,
)

# ── following ──────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_coins_are_found_once_and_blocks_are_followed_from_there(
    chain: MemoryChain, source: ChainSource, book: BlockBook
) -> None:
    assert await values_at(book, chain.tip) == [70, 0, 7]
    for _ in range(3):
        spend_of_alice(chain)
        assert await values_at(book, chain.tip) == expected(chain)
    chain.mine()
    spend_of_alice(chain)
    assert await values_at(book, chain.tip) == expected(chain)
    assert (source.calls["coins"], source.calls["block"]) == (2, 5)  # the second for the wallet's next addresses


async def test_the_same_block_costs_nothing_the_second_time(
    chain: MemoryChain, source: ChainSource, book: BlockBook
) -> None:
    await book.at(chain.tip.hash)
    asked = source.calls.total()
    assert await values_at(book, chain.tip) == expected(chain)
    assert source.calls.total() == asked


async def test_two_who_ask_at_once_share_one_scan(chain: MemoryChain, source: ChainSource) -> None:
    book = book_on(source, watched=accounts(PEOPLE[0]))
    both = await asyncio.gather(book.at(chain.tip.hash), book.at(chain.tip.hash))
    assert [list(one) for one in both] == [[70], [70]]
    assert source.calls["coins"] == 1


async def test_what_was_told_stays_as_it_was_told(chain: MemoryChain, book: BlockBook) -> None:
    """The next block changes the book, not what somebody was given at an earlier one."""
    before = await book.at(chain.tip.hash)
    spend_of_alice(chain)
    await book.at(chain.tip.hash)
    assert list(before) == [70, 0, 7]


@pytest.mark.parametrize("depth", [1, 2, 50, DEPTH - 1, DEPTH])
async def test_a_reorganisation_within_the_undo_window_is_taken_back_block_by_block(depth: int) -> None:
    chain, source = MemoryChain(), None
    source = ChainSource(chain)
    book = book_on(source, watched=accounts(*PEOPLE))
    chain.pay((ALICE, 1000))
    await book.at(chain.tip.hash)
    for number in range(depth):
        spend_of_alice(chain) if number % 3 == 0 else chain.pay((ALICE, number), (BOB, 1))
    assert await values_at(book, chain.tip) == expected(chain)[:2]
    chain.drop(depth)
    for _ in range(depth + 1):
        chain.pay((BOB, 5))
    assert await values_at(book, chain.tip) == expected(chain)[:2] == [1000, 5 * (depth + 1)]
    assert source.calls["coins"] == 1


@pytest.mark.parametrize("depth", [DEPTH + 1, DEPTH + 60])
async def test_a_reorganisation_beyond_the_undo_window_finds_coins_anew(depth: int) -> None:
    chain = MemoryChain()
    source = ChainSource(chain)
    book = book_on(source, watched=accounts(*PEOPLE))
    chain.pay((ALICE, 1000))
    await book.at(chain.tip.hash)
    for number in range(depth):
        chain.pay((ALICE, number))
    assert await values_at(book, chain.tip) == expected(chain)[:2]
    chain.drop(depth)
    for _ in range(depth + 1):
        chain.pay((BOB, 5))
    assert await values_at(book, chain.tip) == expected(chain)[:2]
    assert source.calls["coins"] == 2


@pytest.mark.parametrize(("blocks", "scans"), [(FARTHEST, 1), (FARTHEST + 2, 2)])
async def test_a_book_too_far_behind_finds_coins_anew(blocks: int, scans: int) -> None:
    chain = MemoryChain()
    source = ChainSource(chain)
    book = book_on(source, watched=accounts(*PEOPLE))
    await book.at(chain.tip.hash)
    for _ in range(blocks):
        chain.pay((ALICE, 1))
    assert await values_at(book, chain.tip) == [blocks, 0]
    assert source.calls["coins"] == scans


# ── earlier blocks, other blocks, no blocks ────────────────────────────────────────────────────────────────────────


async def test_an_earlier_block_is_read_as_of_then(chain: MemoryChain, source: ChainSource) -> None:
    book = book_on(source, watched=accounts(*PEOPLE))
    await book.at(chain.tip.hash)
    for _ in range(5):
        spend_of_alice(chain)
        await book.at(chain.tip.hash)
    for mined in (chain.branch[-4], chain.branch[-2], chain.branch[1], chain.branch[-1]):
        header = mined.header
        assert await values_at(book, header) == expected(chain, header.height)[:2]
    assert source.calls["coins"] == 1


async def test_a_block_from_before_the_coins_were_found_is_unknown(chain: MemoryChain, book: BlockBook) -> None:
    spend_of_alice(chain)
    await book.at(chain.tip.hash)
    with pytest.raises(UnknownBlock, match=f"memory: does not have block .*: its coins are known as of block {2}"):
        await book.at(chain.branch[1].header.hash)
    assert await values_at(book, chain.tip) == expected(chain)


@pytest.mark.parametrize("asked", ["00" * 32, "dropped"])
async def test_a_block_that_the_source_does_not_hold_is_unknown(
    asked: str, chain: MemoryChain, source: ChainSource, book: BlockBook
) -> None:
    await book.at(chain.tip.hash)
    if asked == "dropped":
        asked = chain.mine().hash
        chain.drop(1)
        chain.mine()
    with pytest.raises(UnknownBlock, match="holds another branch, or is behind"):
        await book.at(asked)
    assert await values_at(book, chain.tip) == expected(chain)


async def test_a_chain_that_changes_while_headers_are_asked_for_is_an_unknown_block(
    chain: MemoryChain, source: ChainSource, book: BlockBook
) -> None:
    await book.at(chain.tip.hash)
    for _ in range(3):
        chain.mine()
    asked = chain.tip.hash

    async def reorganise(what: str) -> None:
        if what == "headers_between":
            chain.drop(3)
            for _ in range(4):
                chain.mine()

    source.before = reorganise
    with pytest.raises(UnknownBlock, match="its chain changes"):
        await book.at(asked)


async def test_a_header_at_another_height_than_after_its_parent_is_a_bad_answer(chain: MemoryChain) -> None:
    """The coins are then found anew, at a block that the source names with its height."""

    class Raised(ChainSource):
        async def head(self) -> Header:
            header = await super().head()
            return replace(header, height=header.height + 1)

    source = Raised(chain)
    book = book_on(source, watched=accounts(*PEOPLE))
    await book.at(chain.tip.hash)
    spend_of_alice(chain)
    assert await values_at(book, chain.tip) == expected(chain)[:2]
    assert source.transport.stats().errors == {Reason.BAD_ANSWER: 1}


async def test_pruned_blocks_are_gone_over_by_a_scan(chain: MemoryChain, source: ChainSource) -> None:
    book = book_on(source, watched=accounts(*PEOPLE))
    await book.at(chain.tip.hash)
    for _ in range(3):
        spend_of_alice(chain)
    source.pruned_below = chain.tip.height
    assert await values_at(book, chain.tip) == expected(chain)[:2]
    assert source.calls["coins"] == 2


async def test_a_block_that_goes_while_walking_leaves_the_book_at_the_block_before(
    chain: MemoryChain, source: ChainSource
) -> None:
    book = book_on(source, watched=accounts(*PEOPLE))
    await book.at(chain.tip.hash)
    headers = [spend_of_alice(chain) for _ in range(4)]
    source.gone = {headers[2].hash}
    with pytest.raises(UnknownBlock, match="has no block"):
        await book.at(chain.tip.hash)
    asked = source.calls.total()
    assert await values_at(book, headers[1]) == expected(chain, headers[1].height)[:2]
    assert source.calls.total() == asked
    source.gone.clear()
    assert await values_at(book, chain.tip) == expected(chain)[:2]
    assert source.calls["coins"] == 1
