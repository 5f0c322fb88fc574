"""The books of a chain's sources: what is read out of them, how long they live, and how a sweep puts them right."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path

import pytest

from connectors.base import Drift, Token, Watch
from connectors.bitcoin.config import BitcoinConfig
from connectors.bitcoin.reader import Books, Kept
from connectors.bitcoin.sources.base import Coin, Source
from connectors.errors import NodeError, Reason, Unavailable
from connectors.follow import Keys, UnknownBlock
from connectors.quorum import Flaw, Value
from tests.unit.bitcoin.chain import ChainSource, CoinSource, HistoryChain, MemoryChain
from tests.unit.bitcoin.wallets import ALICE, BOB, GAP, NAMES, PEOPLE, RECEIVE, WALLET, expected, spend_of_alice

COIN = Token("btc", None, 8)
WATCH = Watch("btc", NAMES, (COIN,), {WALLET: GAP})
ELSEWHERE = b"\x07" * 32


def config(state: Path | None = None) -> BitcoinConfig:
    servers = ["https://one.example/api"]
    return BitcoinConfig.model_validate({"kind": "bitcoin", "network": "bitcoin", "esplora": servers, "state": state})


@asynccontextmanager
async def opened(state: Path | None = None) -> AsyncIterator[Books]:
    async with AsyncExitStack() as stack:
        yield Books(config(state), stack=stack)


@pytest.fixture
async def books() -> AsyncIterator[Books]:
    async with opened() as books:
        yield books


async def read(books: Books, source: CoinSource, *, watch: Watch = WATCH) -> list[Value]:
    """At the newest block."""
    return await books.read(source, keys=Keys.all_of(watch), block=source.chain.tip.hash)


async def kept(books: Books, source: CoinSource, *, watch: Watch = WATCH) -> Kept:
    """The book of the source, once it has read the newest block."""
    await read(books, source, watch=watch)
    (only,) = books.of(watch)
    return only


# ── reading ─────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("kind", [CoinSource, ChainSource, HistoryChain])
async def test_every_kind_of_source_is_read(kind: type[CoinSource], chain: MemoryChain, books: Books) -> None:
    source = kind(chain)
    for _ in range(3):
        assert await read(books, source) == expected(chain)
        spend_of_alice(chain)


async def test_single_keys_are_read_in_the_order_asked_for(chain: MemoryChain, books: Books) -> None:
    keys = Keys(WATCH, [2, 0])
    assert await books.read(ChainSource(chain), keys=keys, block=chain.tip.hash) == [7, 70]


async def test_gap_limits_are_those_of_the_watch(chain: MemoryChain, books: Books) -> None:
    chain.pay((RECEIVE[GAP + 1], 5))
    _, _, beyond = await read(books, ChainSource(chain))
    assert isinstance(beyond, Flaw)
    wider = Watch("btc", NAMES, (COIN,), {WALLET: GAP + 1})
    assert await read(books, ChainSource(chain), watch=wider) == expected(chain)


async def test_a_contract_is_a_flaw_of_its_own_and_the_coin_beside_it_is_read(chain: MemoryChain, books: Books) -> None:
    watch = Watch("btc", PEOPLE, (COIN, Token("btc", "31", 8)))
    missing = Flaw(Reason.NO_CONTRACT, "there is no contract 31: this chain has none")
    assert await read(books, ChainSource(chain), watch=watch) == [70, missing, 0, missing]


async def test_a_contract_alone_is_not_taken_for_the_coin(chain: MemoryChain, books: Books) -> None:
    watch = Watch("btc", PEOPLE, (Token("btc", "31", 8),))
    for value in await read(books, ChainSource(chain), watch=watch):
        assert isinstance(value, Flaw)


async def test_a_book_is_begun_once_for_its_accounts_and_anew_for_others(chain: MemoryChain, books: Books) -> None:
    source = ChainSource(chain)
    await read(books, source)
    scans = source.calls["coins"]
    spend_of_alice(chain)
    await read(books, source)
    assert source.calls["coins"] == scans
    other = Watch("btc", PEOPLE, (COIN,))
    assert await read(books, source, watch=other) == expected(chain)[:2]
    assert source.calls["coins"] > scans
    assert (list(books.of(WATCH)), len(list(books.of(other)))) == ([], 1)


async def test_sources_have_books_of_their_own(chain: MemoryChain, books: Books) -> None:
    one, other = ChainSource(chain, name="one"), ChainSource(chain, name="other", told=lambda coin: None)
    assert await read(books, one) == expected(chain)
    assert await read(books, other) == [0, 0, 0]
    assert [kept.source.transport.provider for kept in books.of(WATCH)] == ["one", "other"]


async def test_a_book_that_knows_a_part_of_its_coins_is_not_used(chain: MemoryChain, books: Books) -> None:
    source = ChainSource(chain)
    source.before = failing("coins")
    with pytest.raises(Unavailable):
        await read(books, source)
    assert list(books.of(WATCH)) == []


async def test_the_script_to_ask_about_is_one_of_the_first_account(books: Books) -> None:
    assert list(books.first_script(Watch("btc", (WALLET, *PEOPLE), (COIN,)))) == [RECEIVE[0]]
    assert list(books.first_script(Watch("btc", PEOPLE, (COIN,)))) == [ALICE]


async def test_coins_outlive_a_restart_where_there_is_a_state_file(chain: MemoryChain, tmp_path: Path) -> None:
    source = ChainSource(chain)
    async with opened(tmp_path / "state") as books:
        await read(books, source)
    scans = source.calls["coins"]
    spend_of_alice(chain)
    async with opened(tmp_path / "state") as books:
        assert await read(books, source) == expected(chain)
    assert source.calls["coins"] == scans
    async with opened() as books:
        await read(books, source)
    assert source.calls["coins"] > scans


# ── a question that is given up ─────────────────────────────────────────────────────────────────────────────────────


def failing(question: str) -> Callable[[str], Awaitable[None]]:
    async def fail(what: str) -> None:
        if what == question:
            raise Unavailable("memory: away")

    return fail


class Slow:
    """Holds the answers to one question back until it is let go."""

    def __init__(self, question: str) -> None:
        self.reached, self.go = asyncio.Event(), asyncio.Event()
        self._question = question

    async def __call__(self, what: str) -> None:
        if what == self._question:
            self.reached.set()
            await self.go.wait()


async def asked(books: Books, source: Source, *, block: str) -> asyncio.Task[list[Value]]:
    return asyncio.create_task(books.read(source, keys=Keys.all_of(WATCH), block=block))


async def test_a_scan_goes_on_when_nobody_waits_for_it_any_more(chain: MemoryChain, books: Books) -> None:
    slow = Slow("coins")
    source = ChainSource(chain, before=slow)
    first = await asked(books, source, block=chain.tip.hash)
    await slow.reached.wait()
    first.cancel()
    with suppress(asyncio.CancelledError):
        await first
    second = await asked(books, source, block=chain.tip.hash)
    await asyncio.sleep(0)
    slow.go.set()
    assert await second == expected(chain)
    assert source.calls["coins"] == 2  # one for the addresses behind the wallet's first


async def test_who_asks_for_another_block_meanwhile_is_told_what_is_held_there(
    chain: MemoryChain, books: Books
) -> None:
    slow = Slow("coins")
    source = ChainSource(chain, before=slow)
    one = await asked(books, source, block=chain.tip.hash)
    await slow.reached.wait()
    spend_of_alice(chain)
    other = await asked(books, source, block=chain.tip.hash)
    await asyncio.sleep(0)
    slow.go.set()
    assert await other == expected(chain)
    with pytest.raises(UnknownBlock):
        await one


async def test_who_asks_for_another_block_meanwhile_is_answered_after_it(chain: MemoryChain, books: Books) -> None:
    """What comes of the question before is not theirs: also when that block is gone by then."""
    slow = Slow("coins")
    source = ChainSource(chain, before=slow)
    gone = await asked(books, source, block=chain.tip.hash)
    await slow.reached.wait()
    chain.drop(1)
    chain.pay((BOB, 3))
    other = await asked(books, source, block=chain.tip.hash)
    slow.go.set()
    assert await other == expected(chain)
    with pytest.raises(UnknownBlock):
        await gone


async def test_a_failure_is_told_to_whom_it_belongs_and_the_next_asks_anew(chain: MemoryChain, books: Books) -> None:
    source = ChainSource(chain, before=failing("coins"))
    with pytest.raises(Unavailable):
        await read(books, source)
    source.before = ChainSource(chain).before
    assert await read(books, source) == expected(chain)


async def test_what_is_under_way_ends_with_the_connector(chain: MemoryChain) -> None:
    slow = Slow("coins")
    before = asyncio.all_tasks()
    async with opened() as books:
        question = await asked(books, ChainSource(chain, before=slow), block=chain.tip.hash)
        await slow.reached.wait()
        question.cancel()
        with suppress(asyncio.CancelledError):
            await question
        assert asyncio.all_tasks() - before
    assert not asyncio.all_tasks() - before


# ── what blocks moved ───────────────────────────────────────────────────────────────────────────────────────────────


async def test_the_way_of_the_source_that_knows_most_comes_first(chain: MemoryChain, books: Books) -> None:
    early, late = ChainSource(chain, name="early"), ChainSource(chain, name="late")
    start = chain.tip
    await read(books, early)
    spend_of_alice(chain)
    await read(books, late)
    spend_of_alice(chain)
    for source in (late, early):
        await read(books, source)
    await read(books, CoinSource(chain, name="without blocks"))
    ways = books.ways(WATCH, tip=chain.tip.tip, above=start.height)
    assert [(way.whole, len(way.traced)) for way in ways] == [(True, 2), (False, 1)]


# ── sweeps ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def lacking(*codes: bytes) -> Callable[[Coin], Coin | None]:
    return lambda coin: None if coin.script in codes else coin


def misplacing(code: bytes) -> Callable[[Coin], Coin | None]:
    return lambda coin: coin._replace(txid=ELSEWHERE) if coin.script == code else coin


def rightly(coin: Coin) -> Coin | None:
    return coin


async def test_a_sweep_of_what_was_followed_rightly_finds_nothing_and_changes_nothing(
    chain: MemoryChain, books: Books
) -> None:
    source = ChainSource(chain)
    for _ in range(3):
        spend_of_alice(chain)
        one = await kept(books, source)
        found = one.book.found
        assert await books.sweep(one) == ()
        assert one.book.found == found


async def test_what_a_sweep_finds_different_is_drift_by_account_and_right_from_then_on(
    chain: MemoryChain, books: Books
) -> None:
    source = ChainSource(chain, told=lacking(ALICE, RECEIVE[0]))
    one = await kept(books, source)
    source.told = rightly
    alice, _, wallet = NAMES
    assert await books.sweep(one) == (Drift(alice, COIN, 0, 70), Drift(wallet, COIN, 0, 7))
    assert await read(books, source) == expected(chain)
    assert await books.sweep(one) == ()
    spend_of_alice(chain)
    assert await read(books, source) == expected(chain)


async def test_coins_that_never_were_are_drift_too(chain: MemoryChain, books: Books) -> None:
    source = ChainSource(chain, told=lambda coin: coin._replace(value=coin.value * 2))
    one = await kept(books, source)
    source.told = rightly
    assert await books.sweep(one) == (Drift(NAMES[0], COIN, 140, 70), Drift(NAMES[2], COIN, 14, 7))
    assert await read(books, source) == expected(chain)


async def test_a_coin_in_another_place_is_no_drift_and_put_right(chain: MemoryChain, books: Books) -> None:
    """Its spend would go unnoticed."""
    source = ChainSource(chain, told=misplacing(ALICE))
    one = await kept(books, source)
    source.told = rightly
    assert await books.sweep(one) == ()
    spend_of_alice(chain)
    assert await read(books, source) == expected(chain)


async def test_what_is_put_right_outlives_a_restart(chain: MemoryChain, tmp_path: Path) -> None:
    source = ChainSource(chain, told=lacking(ALICE))
    async with opened(tmp_path / "state") as books:
        one = await kept(books, source)
        source.told = rightly
        assert await books.sweep(one)
    scans = source.calls["coins"]
    async with opened(tmp_path / "state") as books:
        assert await read(books, source) == expected(chain)
    assert source.calls["coins"] == scans


@pytest.mark.parametrize("question", ["coins", "head", "header_at"])
async def test_both_sides_of_a_comparison_are_as_of_one_block(question: str, chain: MemoryChain, books: Books) -> None:
    """Though a block comes with every question, and one is undone."""
    source = ChainSource(chain)
    one = await kept(books, source)
    chain.pay((ALICE, 19))
    await read(books, source)
    coming = iter(range(4))

    async def moving(what: str) -> None:
        if what == question and next(coming, None) is not None:
            chain.pay((ALICE, 11), (BOB, 5))

    for _ in range(3):
        chain.drop(1)
        chain.pay((ALICE, 13))
        chain.pay((ALICE, 17))
        source.before = moving
        assert await books.sweep(one) == ()
        source.before = ChainSource(chain).before
        assert await read(books, source) == expected(chain)


@pytest.mark.parametrize("code", [ALICE, BOB], ids=["with coins", "without"])
async def test_a_script_that_was_refused_and_is_told_now_is_no_drift_and_read_from_then_on(
    code: bytes, chain: MemoryChain, books: Books
) -> None:
    source = ChainSource(chain, refused={code: NodeError("memory: history too large", code=1)})
    one = await kept(books, source)
    assert Flaw(Reason.NODE_ERROR, "memory: history too large") in await read(books, source)
    source.refused = {}
    assert await books.sweep(one) == ()
    assert await read(books, source) == expected(chain)


async def test_a_script_that_is_refused_now_is_no_drift_and_stays_as_it_was_followed(
    chain: MemoryChain, books: Books
) -> None:
    source = ChainSource(chain)
    one = await kept(books, source)
    source.refused = {ALICE: NodeError("memory: history too large", code=1)}
    assert await books.sweep(one) == ()
    assert await read(books, source) == expected(chain)


@pytest.mark.parametrize("question", ["coins", "head", "block"])
async def test_a_sweep_that_fails_leaves_everything_as_it_was(question: str, chain: MemoryChain, books: Books) -> None:
    """And the next finds what it would have found."""
    source = ChainSource(chain, told=lacking(ALICE))
    one = await kept(books, source)
    chain.pay((BOB, 5))
    source.told, source.before = rightly, failing(question)
    with pytest.raises(Unavailable):
        await books.sweep(one)
    source.before = ChainSource(chain).before
    assert (await read(books, source))[0] == 0
    assert await books.sweep(one) == (Drift(NAMES[0], COIN, 0, 70),)


async def test_where_everything_is_asked_for_anew_at_each_block_there_is_nothing_to_sweep(
    chain: MemoryChain, books: Books
) -> None:
    source = HistoryChain(chain)
    one = await kept(books, source)
    asked_before = source.calls.total()
    assert await books.sweep(one) is None
    assert source.calls.total() == asked_before


async def test_a_sweep_watches_as_far_as_the_wallet_was_followed(chain: MemoryChain, books: Books) -> None:
    """Also where what led there was spent since, and the source can't say that it was used."""
    source = ChainSource(chain, tells_used=False)
    for index in (2, 4, 6):
        chain.pay((RECEIVE[index], 5))
        await read(books, source)
    one = await kept(books, source)
    source.told = lacking(*RECEIVE[:6])
    swept = await books.sweep(one)
    assert swept == (Drift(WALLET, COIN, 7 + 15, 5),)
