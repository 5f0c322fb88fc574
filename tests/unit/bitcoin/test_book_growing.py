"""Wallets that grow, coins that come in parts, and readings that are cut short: the book stays whole."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from connectors.bitcoin.accounts import Expansion
from connectors.bitcoin.block import BlockEvents
from connectors.bitcoin.book import BlockBook, Book
from connectors.bitcoin.coins import Changes, CoinSet, Undo
from connectors.bitcoin.coins import Coin as Kept
from connectors.bitcoin.descriptors import Descriptor
from connectors.bitcoin.forms import BITCOIN
from connectors.bitcoin.script_cache import ScriptCache
from connectors.bitcoin.snapshot_book import SnapshotBook
from connectors.errors import NodeError, Reason, Unavailable
from connectors.follow import UnknownBlock
from connectors.quorum import Flaw
from tests.integration.regtest import eventually
from tests.unit.bitcoin.building import pay
from tests.unit.bitcoin.chain import ChainSource, CoinSource, MemoryChain
from tests.unit.bitcoin.wallets import (
    ALICE,
    BOB,
    GAP,
    MAINNET,
    PEOPLE,
    RECEIVE,
    WALLET,
    accounts,
    address,
    book_on,
    expected,
    spend_of_alice,
    values_at,
)

# ── gap limits ─────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_the_gap_limit_extends_in_the_middle_of_a_walk(
    chain: MemoryChain, source: ChainSource, book: BlockBook
) -> None:
    """In leaps as wide as it allows, several of them between two readings, with coins that come and go."""
    await book.at(chain.tip.hash)
    for last in range(3, 30, 3):
        chain.pay((RECEIVE[last], last), (RECEIVE[last - 1], 1))
    coin = next(at for at, coin in chain.ledger().coins.items() if coin.script == RECEIVE[12])
    chain.mine(pay(coin, (BOB, 2)))
    assert await values_at(book, chain.tip) == expected(chain)


async def test_addresses_that_one_block_leaps_to_are_found(
    chain: MemoryChain, source: ChainSource, book: BlockBook
) -> None:
    await book.at(chain.tip.hash)
    chain.pay(*((RECEIVE[last], last) for last in range(3, 31, 3)))
    assert await values_at(book, chain.tip) == expected(chain)


async def test_an_address_beyond_the_gap_limit_is_not_seen(
    chain: MemoryChain, source: ChainSource, book: BlockBook
) -> None:
    chain.pay((RECEIVE[GAP + 1], 1000))
    assert (await values_at(book, chain.tip))[2] == 7


async def test_until_the_coins_of_new_addresses_are_found_there_is_no_number(
    chain: MemoryChain, source: ChainSource, book: BlockBook
) -> None:
    """Also at the very block that the book has come to: the coins paid there to the new addresses are missing."""
    await book.at(chain.tip.hash)
    chain.pay((RECEIVE[2], 11), (RECEIVE[4], 13))

    async def away(what: str) -> None:
        if what == "coins":
            raise Unavailable("memory: away")

    source.before = away
    for _ in range(3):
        with pytest.raises(Unavailable):
            await book.at(chain.tip.hash)
    source.before = ChainSource(chain).before
    assert await values_at(book, chain.tip) == expected(chain)


async def test_a_block_that_comes_while_new_addresses_are_looked_up_is_caught_up_with(
    chain: MemoryChain, source: ChainSource, book: BlockBook
) -> None:
    await book.at(chain.tip.hash)
    chain.pay((RECEIVE[2], 11), (RECEIVE[4], 13))
    asked = chain.tip.hash

    async def another(what: str) -> None:
        if what == "coins":
            source.before = ChainSource(chain).before
            chain.pay((RECEIVE[5], 17), (ALICE, 1))

    source.before = another
    with pytest.raises(UnknownBlock, match="its coins are known as of block 3"):
        await book.at(asked)
    assert await values_at(book, chain.tip) == expected(chain)


async def test_a_wallet_that_grows_into_a_watched_address_is_at_fault_from_then_on(chain: MemoryChain) -> None:
    """That address is the only one that the gap limit newly asks for."""
    source = ChainSource(chain)
    book = book_on(source, watched=accounts(address(RECEIVE[4]), WALLET))
    await book.at(chain.tip.hash)
    chain.pay((RECEIVE[1], 2))
    taken, wallet = await book.at(chain.tip.hash)
    assert taken == 0
    assert isinstance(wallet, Flaw)
    assert wallet.reason is Reason.MISCONFIGURED


# ── parts ──────────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_parts_of_different_blocks_are_brought_to_one(chain: MemoryChain, source: ChainSource) -> None:
    """Alice pays Bob while one of them was read and the other not yet, and again."""
    source.parts = 8

    async def pay_along(what: str) -> None:
        if what == "coins" and source.calls["coins"] in (2, 3, 7):
            spend_of_alice(chain)

    source.before = pay_along
    book = book_on(source)
    with pytest.raises(UnknownBlock, match="its coins are known as of block 4"):
        await book.at(chain.tip.hash)
    source.before = ChainSource(chain).before
    assert await values_at(book, chain.tip) == expected(chain)


async def test_parts_of_two_branches_are_no_reading(chain: MemoryChain, source: ChainSource) -> None:
    source.parts = 2
    spend_of_alice(chain)

    async def reorganise(what: str) -> None:
        if what == "coins" and source.calls["coins"] == 2:
            chain.drop(1)
            for _ in range(2):
                chain.pay((BOB, 9))

    source.before = reorganise
    book = book_on(source)
    with pytest.raises(UnknownBlock, match="its chain changed while coins were looked for"):
        await book.at(chain.tip.hash)
    assert await values_at(book, chain.tip) == expected(chain)


# ── cancellation ───────────────────────────────────────────────────────────────────────────────────────────────────


@dataclass
class Interruption:
    """Cancels whoever asks the `at`-th question."""

    at: int
    asked: int = 0

    async def __call__(self, what: str) -> None:
        self.asked += 1
        if self.asked == self.at:
            task = asyncio.current_task()
            assert task is not None
            task.cancel()
            await asyncio.sleep(0)


async def interrupted_walk(at: int) -> tuple[bool, BlockBook, ChainSource]:
    """A walk back, forward and over the gap limit; whether the `at`-th question interrupted it."""
    chain = MemoryChain()
    chain.pay((ALICE, 1000), (RECEIVE[0], 7))
    source = ChainSource(chain, parts=2)
    book = book_on(source)
    for _ in range(3):
        spend_of_alice(chain)
    await book.at(chain.tip.hash)
    spend_of_alice(chain)
    spend_of_alice(chain)
    await book.at(chain.tip.hash)
    chain.drop(2)
    for last in (3, 6, 9):
        chain.pay((RECEIVE[last], last), (BOB, 1))
    source.before = interruption = Interruption(at)
    try:
        await asyncio.create_task(book.at(chain.tip.hash))
    except asyncio.CancelledError:
        return True, book, source
    return interruption.asked >= at, book, source


@pytest.mark.parametrize("at", range(1, 13))
async def test_a_walk_cancelled_at_any_question_leaves_a_whole_book(at: int) -> None:
    """There are eleven."""
    interrupted, book, source = await interrupted_walk(at)
    assert interrupted == (at <= 11)
    assert await values_at(book, source.chain.tip) == expected(source.chain)


async def test_a_first_scan_that_is_cancelled_is_begun_again(chain: MemoryChain, source: ChainSource) -> None:
    for at in range(1, 3):
        source.before = Interruption(at)
        book = book_on(source)
        with pytest.raises(asyncio.CancelledError):
            await asyncio.create_task(book.at(chain.tip.hash))
        assert await values_at(book, chain.tip) == expected(chain)


class HeldUp(ScriptCache):
    """Derives scripts only when it is let, and knows how many threads ever were at it at once."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.go_on = threading.Event()
        self.begun = threading.Event()
        self.go_on.set()
        self.deriving = 0
        self.most_at_once = 0

    def scripts(self, descriptor: Descriptor, start: int, stop: int) -> list[bytes]:
        self.deriving += 1
        self.most_at_once = max(self.most_at_once, self.deriving)
        self.begun.set()
        assert self.go_on.wait(10)
        self.deriving -= 1
        return super().scripts(descriptor, start, stop)


@pytest.fixture
def cache(tmp_path: Path) -> Iterator[HeldUp]:
    cache = HeldUp(tmp_path / "scripts")
    yield cache
    cache.close()


@pytest.mark.parametrize("when", ["while the thread runs", "after it has ended"])
@pytest.mark.parametrize("kind", [ChainSource, CoinSource])
async def test_scripts_that_are_derived_while_a_reading_is_cancelled_are_looked_up_by_the_next(
    kind: type[CoinSource], when: str, chain: MemoryChain, cache: HeldUp
) -> None:
    """A thread can't be stopped, and what it found must not be lost."""
    source, watched = kind(chain), accounts(expansion=Expansion(MAINNET, cache=cache))
    book: Book = SnapshotBook(source, accounts=watched)
    if isinstance(source, ChainSource):
        book = book_on(source, watched=watched)
    await book.at(chain.tip.hash)
    chain.pay((RECEIVE[2], 11), (RECEIVE[4], 13))
    cache.go_on.clear()
    cache.begun.clear()
    reading = asyncio.create_task(values_at(book, chain.tip))
    assert await asyncio.to_thread(cache.begun.wait, 10)
    reading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reading
    if when == "after it has ended":
        cache.go_on.set()

        async def derived() -> bool:
            return watched.branches[0].watched >= 3 + GAP

        await eventually(derived)
    again = asyncio.create_task(values_at(book, chain.tip))
    await asyncio.sleep(0.01)
    cache.go_on.set()
    assert await again == expected(chain)
    assert cache.most_at_once == 1


# ── who listens ───────────────────────────────────────────────────────────────────────────────────────────────────────


@dataclass
class Copyist:
    """A Listener that keeps a copy of a book's coins by what it is told alone, and compares it at every step."""

    coins: dict[bytes, bytes] | None = None
    told: list[str] = field(default_factory=list)

    def loaded(self, coins: CoinSet) -> None:
        self.told.append("loaded")
        self.coins = self._packed(coins)

    def applied(self, coins: CoinSet, *, events: BlockEvents, changes: Changes) -> None:
        self.told.append("applied")
        assert self.coins is not None
        for one in events.created:
            self.coins[one.outpoint] = Kept(one.script, one.value, changes.tip.height, one.coinbase).pack()
        for outpoint in changes.spent:
            del self.coins[outpoint]
        assert self.coins == self._packed(coins)

    def undone(self, coins: CoinSet, *, undo: Undo) -> None:
        self.told.append("undone")
        assert self.coins is not None
        for outpoint, packed in undo.coins.items():
            self.coins.pop(outpoint, None)
            if packed is not None:
                self.coins[outpoint] = packed
        assert self.coins == self._packed(coins)

    def forgotten(self) -> None:
        self.told.append("forgotten")
        self.coins = None

    def _packed(self, coins: CoinSet) -> dict[bytes, bytes]:
        return {outpoint: coin.pack() for outpoint, coin in coins.coins()}


async def test_who_listens_is_told_every_step_and_none_of_a_scan(chain: MemoryChain, source: ChainSource) -> None:
    """While coins are found the book knows only a part of them, and its steps on the way are nobody's business."""
    copyist = Copyist()
    source.parts = 4

    async def pay_along(what: str) -> None:
        if what == "coins" and source.calls["coins"] % 4 == 3:
            chain.pay((ALICE, 5), (BOB, 6))

    source.before = pay_along
    watched = accounts(*PEOPLE, address(RECEIVE[0]), address(RECEIVE[1]))
    book = BlockBook(source, accounts=watched, form=BITCOIN, verify=True, listeners=[copyist])
    with pytest.raises(UnknownBlock):
        await book.at(chain.tip.hash)
    assert copyist.told == ["loaded"]
    chain.pay((ALICE, 5), (BOB, 6))
    spend_of_alice(chain)
    await book.at(chain.tip.hash)
    chain.drop(1)
    spend_of_alice(chain)
    await book.at(chain.tip.hash)
    assert copyist.told == ["loaded", "applied", "applied", "undone", "applied"]
    spend_of_alice(chain)
    source.pruned_below = chain.tip.height + 1
    with pytest.raises(UnknownBlock):
        await book.at(chain.tip.hash)
    assert copyist.told[5:] == ["loaded"]


async def test_a_book_with_refused_scripts_is_to_be_forgotten(chain: MemoryChain, source: ChainSource) -> None:
    copyist = Copyist()
    source.refused = {BOB: NodeError("memory: history too large", code=400)}
    book = BlockBook(source, accounts=accounts(*PEOPLE), form=BITCOIN, verify=True, listeners=[copyist])
    await book.at(chain.tip.hash)
    assert copyist.told == ["forgotten"]
