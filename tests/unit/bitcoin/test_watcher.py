"""Keeping in step with a source's mempool: what is asked when, and what happens when the source fails or lies."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Collection, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from connectors.base import Address, Tip, Token
from connectors.bitcoin import watcher as module
from connectors.bitcoin.accounts import Accounts, Expansion
from connectors.bitcoin.address import address_of
from connectors.bitcoin.coins import Coin
from connectors.bitcoin.mempool import Mempool
from connectors.bitcoin.movements import Describer
from connectors.bitcoin.networks import NETWORKS
from connectors.bitcoin.sources.base import (
    Change,
    Doubt,
    NewBlock,
    NewTransaction,
    Pending,
    Snapshot,
    Source,
    Touched,
)
from connectors.bitcoin.watcher import PATIENCE, SELDOM, SHARE, Watcher
from connectors.circuit import Circuit
from connectors.errors import BadAnswer, ConnectorError, Reason, Unavailable
from connectors.quorum import Header, Value
from connectors.standing import Standing
from tests.unit.bitcoin.building import Tx, coinbase, pay, script
from tests.unit.connectors.server import FakeTime

REGTEST = NETWORKS["regtest"]
OURS, COLD, STRANGER, LATER = script(1), script(2), script(99), script(3)
EVERY = 5.0


def place(number: int) -> bytes:
    return number.to_bytes(32, "big") + bytes(4)


def address(of: bytes) -> Address:
    found = address_of(of, network=REGTEST)
    assert found is not None
    return found


def header(height: int, *, branch: str = "a") -> Header:
    return Header(height, f"{branch}{height}", f"{branch}{height - 1}", datetime(2026, 1, 1, tzinfo=UTC))


class Mempoolish(Source):
    """A source whose mempool a test fills; `notify` sends a notice where it sends any."""

    def __init__(self, time: FakeTime, *, notices: bool = False) -> None:
        circuit = Circuit("source", chain="btc", clock=lambda: time.now, rng=lambda: 0.5)
        self._standing = Standing("source", circuit=circuit, secrets=())
        self._time = time
        self._notices: asyncio.Queue[Change] | None = asyncio.Queue() if notices else None
        self.held: dict[bytes, bytes] = {}
        self.fees_told: dict[bytes, int] = {}
        self.complete = True
        self.failing: ConnectorError | None = None
        self.refusing_fees: ConnectorError | None = None
        self.took = 0.0
        self.asked: Counter[str] = Counter()
        self.listed: list[Collection[bytes]] = []
        self.fetched: list[bytes] = []
        self.newest = header(7)
        self.meanwhile: Callable[[], None] = lambda: None
        """What happens while the source answers with transactions."""

    @property
    def transport(self) -> Standing:
        return self._standing

    def hold(self, *txs: Tx) -> None:
        self.held |= {tx.txid(): tx.raw() for tx in txs}

    def notify(self, *changes: Change) -> None:
        assert self._notices is not None
        for change in changes:
            self._notices.put_nowait(change)

    async def head(self) -> Header:
        self._count("head")
        return self.newest

    async def header_at(self, height: int) -> Header | None:
        raise NotImplementedError

    async def headers_between(self, low: int, high: int) -> Sequence[Header]:
        raise NotImplementedError

    async def coins(self, scripts: Collection[bytes]) -> Sequence[Snapshot]:
        raise NotImplementedError

    async def pending(self, scripts: Collection[bytes]) -> Pending:
        self._count("pending")
        self.listed.append(scripts)
        listed = dict.fromkeys(self.held)
        self._time.now += self.took
        await asyncio.sleep(0)
        return Pending(listed, complete=self.complete)

    async def transactions(self, txids: Collection[bytes]) -> Mapping[bytes, bytes]:
        self._count("transactions")
        self.fetched += txids
        await asyncio.sleep(0)
        self.meanwhile()
        return {txid: self.held[txid] for txid in txids if txid in self.held}

    async def fees(self, txids: Collection[bytes]) -> Mapping[bytes, int]:
        self._count("fees")
        if self.refusing_fees is not None:
            raise self.refusing_fees
        return {txid: self.fees_told[txid] for txid in txids if txid in self.fees_told}

    def changes(self, scripts: Collection[bytes]) -> AsyncGenerator[Change, None] | None:
        return self._told(self._notices) if self._notices is not None else None

    async def _told(self, notices: asyncio.Queue[Change]) -> AsyncGenerator[Change, None]:
        while True:
            yield await notices.get()

    def _count(self, question: str) -> None:
        self.asked[question] += 1
        if self.failing is not None:
            raise self.failing


class Ledger:
    """A Book whose coins a test puts there."""

    def __init__(self) -> None:
        names = [address(OURS), address(COLD)]
        self.accounts = Accounts(names, expansion=Expansion(REGTEST))
        self.accounts.extend()
        self.found = 0
        self.whole = True
        self.tip: Tip | None = header(7).tip
        self.refused: Collection[bytes] = ()
        self.coins: dict[bytes, Coin] = {}

    def coin(self, outpoint: bytes) -> Coin | None:
        return self.coins.get(outpoint)

    async def at(self, block: str) -> Sequence[Value]:
        raise NotImplementedError

    def put(self, number: int, value: int = 100) -> bytes:
        self.coins[place(number)] = Coin(COLD, value, 1, coinbase=False)
        return place(number)


class Halting(FakeTime):
    """Time that stands still between two looks until a test lets it go on."""

    def __init__(self) -> None:
        super().__init__()
        self.pauses: list[float] = []
        self.resting = asyncio.Event()
        self._go = asyncio.Event()

    async def _sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)
        self.resting.set()
        try:
            await self._go.wait()
        finally:
            self._go.clear()
            self.resting.clear()
        self.now += seconds

    async def rests(self) -> None:
        """Until nothing is to be done before time goes on."""
        await _settled()
        async with asyncio.timeout(30):
            await self.resting.wait()
        await _settled()
        async with asyncio.timeout(30):
            await self.resting.wait()

    async def go_on(self) -> None:
        """Through one pause, to the next."""
        await self.rests()
        self._go.set()
        await _settled()
        await self.rests()


async def _settled() -> None:
    for _ in range(50):
        await asyncio.sleep(0)


@dataclass
class Scene:
    time: Halting
    source: Mempoolish
    book: Ledger
    watcher: Watcher
    news: asyncio.Event
    tasks: list[asyncio.Task[None]] = field(default_factory=list)

    @property
    def pending(self) -> list[bytes]:
        return list(self.watcher.mempool.pending)

    def read(self, height: int, *, branch: str = "a", coin: int | None = None) -> None:
        """The book comes to that block, which may make a coin of 100."""
        if coin is not None:
            self.book.put(coin)
        self.book.tip = header(height, branch=branch).tip
        self.watcher.catch_up()

    def change(self, tx: Tx) -> int:
        """What it moves of ours."""
        return sum(units for _, units in self.watcher.mempool.pending[tx.txid()].movement.changes)

    def fails(self) -> bool:
        return self.watcher.mempool.failing

    async def begin(self) -> None:
        self.tasks = [asyncio.create_task(self.watcher.listen()), asyncio.create_task(self.watcher.run())]
        await self.time.rests()

    async def notify(self, *changes: Change) -> None:
        self.source.notify(*changes)
        await _settled()
        await self.time.rests()


@asynccontextmanager
async def scene(*, notices: bool = False, begun: bool = True, depth: int = 0) -> AsyncIterator[Scene]:
    time, news, book = Halting(), asyncio.Event(), Ledger()
    source = Mempoolish(time, notices=notices)
    mempool = Mempool(
        Describer(book.accounts, network=REGTEST, coin=Token("btc", None, 8)),
        coin_at=book.coin,
    )
    watcher = Watcher(
        source,
        book=book,
        mempool=mempool,
        form=REGTEST.block,
        every=timedelta(seconds=EVERY),
        depth=depth,
        news=news,
        timing=time.timing(),
    )
    made = Scene(time, source, book, watcher, news)
    try:
        if begun:
            await made.begin()
        yield made
    finally:
        for task in made.tasks:
            task.cancel()
        for task in made.tasks:
            with suppress(asyncio.CancelledError):
                await task


# ── listing ─────────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_what_is_pending_already_is_found_by_the_first_listing() -> None:
    async with scene(begun=False) as it:
        theft = pay(it.book.put(1), (STRANGER, 90))
        it.source.hold(theft, pay(place(2), (STRANGER, 1)))
        await it.begin()
        assert it.pending == [theft.txid()]
        assert it.news.is_set()


async def test_each_transaction_is_fetched_once_however_often_it_is_listed() -> None:
    async with scene(begun=False) as it:
        it.source.hold(pay(it.book.put(1), (STRANGER, 90)), pay(place(2), (STRANGER, 1)))
        await it.begin()
        for _ in range(3):
            await it.time.go_on()
        assert it.source.asked["pending"] == 4
        assert len(it.source.fetched) == 2


async def test_news_is_told_only_where_something_changed() -> None:
    async with scene() as it:
        assert not it.news.is_set()
        it.source.hold(pay(place(2), (STRANGER, 1)))
        await it.time.go_on()
        assert not it.news.is_set()
        it.source.hold(pay(place(2), (OURS, 1)))
        await it.time.go_on()
        assert it.news.is_set()


async def test_what_the_listing_lacks_is_gone_as_of_the_newest_block() -> None:
    async with scene(depth=2) as it:
        it.source.hold(pay(place(2), (OURS, 1)))
        await it.time.go_on()
        it.news.clear()
        it.source.held.clear()
        await it.time.go_on()
        assert it.pending == []
        assert it.news.is_set()
        assert it.watcher.mempool.height == 9


async def test_a_listing_that_is_cut_takes_nothing_away() -> None:
    async with scene() as it:
        it.source.hold(pay(place(2), (OURS, 1)))
        await it.time.go_on()
        it.source.complete = False
        it.source.held.clear()
        settled = it.watcher.mempool.settled
        await it.time.go_on()
        assert len(it.pending) == 1
        assert it.watcher.mempool.settled == settled


async def test_a_child_that_is_listed_before_its_parent_is_found() -> None:
    """In a chain of any length, in the worst order, and told whole."""
    async with scene() as it:
        chain = [pay(it.book.put(1, 100), (COLD, 99))]
        for value in range(98, 60, -1):
            chain.append(pay(chain[-1].outpoint(0), (COLD, value)))
        it.source.hold(*reversed(chain))
        await it.time.go_on()
        assert set(it.pending) == {tx.txid() for tx in chain}
        told = {one.movement.changes for one in it.watcher.mempool.pending.values()}
        assert told == {((address(COLD), -1),)}


async def test_a_transaction_that_cannot_be_read_hides_no_other_and_is_held_against_the_source() -> None:
    async with scene() as it:
        good = pay(place(2), (OURS, 1))
        it.source.held = {b"\x01" * 32: b"\x02\x00", good.txid(): good.raw()}
        await it.time.go_on()
        await it.time.go_on()
        assert it.pending == [good.txid()]
        assert it.source.fetched.count(b"\x01" * 32) == 1
        assert it.source.transport.stats().errors == {Reason.BAD_ANSWER: 1}


async def test_a_transaction_that_is_listed_and_gone_when_it_is_fetched_is_looked_for_again() -> None:
    async with scene() as it:
        tx = pay(place(2), (OURS, 1))
        it.source.held = {tx.txid(): tx.raw()}
        it.source.meanwhile = it.source.held.clear
        await it.time.go_on()
        assert it.pending == []
        it.source.meanwhile = lambda: None
        it.source.hold(tx)
        await it.time.go_on()
        assert it.pending == [tx.txid()]


async def test_many_transactions_are_fetched_a_part_at_a_time() -> None:
    async with scene() as it:
        it.source.hold(*(pay(place(number), (STRANGER, 1)) for number in range(module.TOGETHER + 1)))
        await it.time.go_on()
        assert it.source.asked["transactions"] == 2


# ── the book ────────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_nothing_is_looked_at_while_the_book_lacks_coins_and_everything_after() -> None:
    async with scene() as it:
        it.book.whole = False
        await it.time.go_on()
        theft = pay(place(1), (STRANGER, 90))
        it.source.hold(theft)
        await it.time.go_on()
        assert it.fails()
        assert it.source.fetched == []
        it.book.put(1)
        it.book.whole = True
        await it.time.go_on()
        assert it.pending == [theft.txid()]
        assert not it.fails()


async def test_a_book_that_loses_its_coins_during_a_listing_makes_nothing_count_as_examined() -> None:
    async with scene() as it:
        theft = pay(place(1), (STRANGER, 90))
        it.source.hold(theft)

        def lose() -> None:
            it.book.whole = False

        it.source.meanwhile = lose
        await it.time.go_on()
        it.source.meanwhile = lambda: None
        it.book.put(1)
        it.book.whole = True
        await it.time.go_on()
        assert it.pending == [theft.txid()]


async def test_coins_that_are_found_later_make_everything_be_looked_at_again() -> None:
    async with scene() as it:
        theft = pay(place(1), (STRANGER, 90))
        it.source.hold(theft)
        await it.time.go_on()
        assert it.pending == []
        it.book.put(1)
        await it.time.go_on()
        assert it.pending == []
        it.book.found += 1
        await it.time.go_on()
        assert it.pending == [theft.txid()]
        await it.time.go_on()
        assert len(it.source.fetched) == 2


async def test_coins_that_are_found_during_a_listing_make_everything_be_looked_at_again() -> None:
    async with scene() as it:
        theft = pay(place(1), (STRANGER, 90))
        it.source.hold(theft, pay(place(2), (OURS, 1)))

        def find() -> None:
            it.source.meanwhile = lambda: None
            it.book.found += 1

        it.source.meanwhile = find
        await it.time.go_on()
        it.book.put(1)
        await it.time.go_on()
        assert theft.txid() in it.pending


async def test_scripts_that_are_watched_newly_make_everything_be_looked_at_again() -> None:
    async with scene() as it:
        deposit = pay(place(1), (LATER, 90))
        it.source.hold(deposit)
        await it.time.go_on()
        assert it.pending == []
        it.book.accounts.scripts[LATER] = 0
        await it.time.go_on()
        assert it.pending == [deposit.txid()]
        assert LATER in it.source.listed[-1]


# ── a source that fails ─────────────────────────────────────────────────────────────────────────────────────────────


async def test_a_spend_is_held_back_until_the_block_that_may_hold_its_coin_is_read() -> None:
    """It pays change to us too: without its coin it would look like a deposit."""
    async with scene(begun=False) as it:
        it.source.newest = header(8)
        theft = pay(place(1), (STRANGER, 90), (COLD, 5))
        it.source.hold(theft)
        await it.begin()
        assert it.pending == []
        assert it.news.is_set()  # whoever reads blocks should do so now
        it.read(8, coin=1)
        await it.time.rests()
        assert it.change(theft) == -95


async def test_a_noticed_spend_is_held_back_as_well() -> None:
    async with scene(notices=True) as it:
        it.source.newest = header(8)
        theft = pay(place(1), (STRANGER, 90), (COLD, 5))
        await it.notify(NewTransaction(theft.raw()))
        assert it.pending == []
        it.read(8, coin=1)
        await it.time.rests()
        assert it.change(theft) == -95


async def test_where_the_block_is_not_read_in_good_time_what_can_be_said_is_said_and_put_right_later() -> None:
    async with scene(notices=True) as it:
        it.source.newest = header(8)
        theft, hidden = pay(place(1), (STRANGER, 90), (COLD, 5)), pay(place(2), (STRANGER, 90))
        it.source.hold(theft, hidden)
        await it.notify(Touched(COLD))
        began = it.time.now
        await it.time.go_on()
        assert it.time.now - began == PATIENCE
        assert it.pending == [theft.txid()]
        assert it.change(theft) == 5
        it.book.put(2)
        it.read(8, coin=1)
        await it.time.rests()
        assert it.pending == [theft.txid(), hidden.txid()]
        assert it.change(theft) == -95


async def test_a_block_that_was_waited_for_in_vain_is_not_waited_for_again() -> None:
    async with scene(notices=True) as it:
        it.source.newest = header(8)
        await it.notify(NewTransaction(pay(place(1), (STRANGER, 90)).raw()))
        await it.time.go_on()
        theft = pay(it.book.put(2), (STRANGER, 90))
        await it.notify(NewTransaction(theft.raw()))
        assert it.pending == [theft.txid()]


async def test_a_spend_is_found_when_the_book_comes_to_the_other_branch() -> None:
    async with scene(notices=True) as it:
        it.source.newest = header(7, branch="b")
        theft = pay(place(1), (STRANGER, 90))
        it.source.hold(theft)
        await it.notify(Touched(COLD))
        await it.time.go_on()
        assert it.pending == []
        it.read(7, branch="b", coin=1)
        await it.time.rests()
        assert it.pending == [theft.txid()]


async def test_with_depth_what_touches_nothing_is_looked_at_once_more_when_the_newest_block_is_read() -> None:
    async with scene(depth=2) as it:
        stranger = pay(place(1), (STRANGER, 90))
        it.source.hold(stranger)
        await it.time.go_on()
        for height in range(8, 14):
            it.source.newest = header(height)
            it.read(height)
            await it.time.rests()
            assert len(it.source.fetched) == (1 if height < 9 else 2)


async def test_with_depth_a_spend_of_a_coin_that_is_not_read_yet_is_put_right_when_it_is() -> None:
    async with scene(depth=2, notices=True) as it:
        theft = pay(place(1), (STRANGER, 90), (COLD, 5))
        it.source.hold(theft)
        await it.notify(Touched(COLD))
        assert it.change(theft) == 5
        it.source.newest = header(8)
        it.read(8, coin=1)
        await it.time.rests()
        assert it.change(theft) == -95


async def test_a_book_that_is_abreast_has_nothing_looked_at_again() -> None:
    async with scene() as it:
        it.source.hold(pay(place(1), (STRANGER, 90)))
        await it.time.go_on()
        it.source.newest = header(8)
        it.read(8)
        await it.time.go_on()
        assert len(it.source.fetched) == 1


async def test_a_source_that_fails_takes_nothing_back_and_is_listed_anew_with_growing_pauses() -> None:
    async with scene() as it:
        it.source.hold(pay(place(2), (OURS, 1)))
        await it.time.go_on()
        it.source.failing = Unavailable("source: away")
        it.source.held.clear()
        for _ in range(5):
            await it.time.go_on()
        assert it.fails()
        assert len(it.pending) == 1
        assert it.time.pauses[-3:] == sorted(it.time.pauses[-3:])
        assert it.time.pauses[-1] > 4 * EVERY
        it.source.failing = None
        await it.time.go_on()
        assert it.pending == []
        assert not it.fails()
        assert it.time.pauses[-1] == EVERY


async def test_a_source_that_does_not_tell_fees_hides_no_transaction() -> None:
    async with scene() as it:
        deposit = pay(place(2), (OURS, 1))
        it.source.hold(deposit)
        it.source.refusing_fees = BadAnswer("source: nonsense")
        await it.time.go_on()
        assert it.pending == [deposit.txid()]
        assert not it.fails()
        it.source.refusing_fees = None
        it.source.fees_told = {deposit.txid(): 7}
        await it.time.go_on()
        assert it.watcher.mempool.pending[deposit.txid()].movement.fee == 7


async def test_a_fee_that_the_source_does_not_know_is_asked_for_once() -> None:
    async with scene() as it:
        it.source.hold(pay(place(2), (OURS, 1)))
        for _ in range(3):
            await it.time.go_on()
        assert it.source.asked["fees"] == 1


async def test_a_source_that_takes_long_is_given_a_rest_in_proportion() -> None:
    async with scene() as it:
        it.source.took = 10.0
        await it.time.go_on()
        assert it.time.pauses[-1] == SHARE * 10


async def test_the_wait_for_a_block_to_be_read_is_not_counted_against_the_source() -> None:
    """A source that answers at once is asked again at the usual time, however long we took over its newest block."""
    async with scene(begun=False) as it:
        it.source.newest = header(8)
        it.source.hold(pay(place(1), (STRANGER, 90)))
        await it.begin()
        await it.time.go_on()
        assert it.time.pauses[-1] == EVERY


# ── notices ─────────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_a_source_with_notices_is_listed_seldom() -> None:
    async with scene(notices=True) as it:
        assert it.time.pauses[-1] == SELDOM * EVERY
        await it.time.go_on()
        assert it.source.asked["pending"] == 2


async def test_a_noticed_transaction_is_pending_at_once_without_a_listing() -> None:
    async with scene(notices=True) as it:
        theft = pay(it.book.put(1), (STRANGER, 90))
        await it.notify(NewTransaction(theft.raw()))
        assert it.pending == [theft.txid()]
        assert it.news.is_set()
        assert it.source.asked["pending"] == 1


async def test_after_a_notice_is_rest_again() -> None:
    async with scene(notices=True) as it:
        await it.notify(NewBlock())
        pauses = len(it.time.pauses)
        await _settled()
        assert len(it.time.pauses) == pauses


async def test_noise_among_notices_hides_no_transaction() -> None:
    async with scene(notices=True) as it:
        theft = pay(it.book.put(1), (STRANGER, 90))
        reward = coinbase(5, (OURS, 50))
        await it.notify(*map(NewTransaction, (b"", b"\xff" * 100, reward.raw(), theft.raw(), theft.raw()[:-1])))
        assert it.pending == [theft.txid()]


async def test_a_child_whose_parents_notice_was_lost_is_found_by_the_next_listing() -> None:
    async with scene(notices=True) as it:
        parent = pay(place(1), (COLD, 90))
        child = pay(parent.outpoint(0), (STRANGER, 80))
        it.source.hold(parent, child)
        await it.notify(NewTransaction(child.raw()))
        assert it.pending == []
        await it.notify(Doubt("rawtx 7 came where 6 was due"))
        assert it.pending == [parent.txid(), child.txid()]


async def test_a_new_block_is_news_and_no_reason_to_list() -> None:
    async with scene(notices=True) as it:
        await it.notify(NewBlock())
        assert it.news.is_set()
        assert it.source.asked["pending"] == 1


async def test_a_doubt_lists_everything() -> None:
    async with scene(notices=True) as it:
        await it.notify(Doubt("lost"))
        assert it.source.asked["pending"] == 2


async def test_a_touched_script_alone_is_listed() -> None:
    async with scene(notices=True) as it:
        deposit, other = pay(place(2), (OURS, 1)), pay(place(3), (COLD, 1))
        it.source.hold(deposit, other)
        await it.notify(Doubt("begins"))
        del it.source.held[deposit.txid()], it.source.held[other.txid()]
        await it.notify(Touched(OURS))
        assert list(it.source.listed[-1]) == [OURS]
        assert it.pending == [other.txid()]


async def test_notices_that_come_during_a_look_are_looked_at_next() -> None:
    async with scene(notices=True) as it:
        first, second = pay(it.book.put(1), (STRANGER, 90)), pay(it.book.put(2), (STRANGER, 90))
        it.source.hold(first)

        def notice() -> None:
            it.source.meanwhile = lambda: None
            it.source.hold(second)
            it.source.notify(NewTransaction(second.raw()))

        it.source.meanwhile = notice
        await it.notify(Doubt("begins"))
        assert it.pending == [first.txid(), second.txid()]
        assert it.source.asked["pending"] == 2


async def test_a_flood_of_notices_ends_in_one_listing() -> None:
    """What waits is bounded; nothing of what the mempool holds is missed for it."""
    async with scene(notices=True) as it:
        theft = pay(it.book.put(1), (STRANGER, 90))
        it.source.hold(theft)
        raw = pay(place(9), (STRANGER, 1)).raw()
        flood = [NewTransaction(raw)] * (module.MOST_QUEUED + 10)
        for change in (*flood, NewTransaction(theft.raw())):
            it.watcher._take(change)
        assert len(it.watcher._due.raws) == module.MOST_QUEUED
        await _settled()
        await it.time.rests()
        assert it.pending == [theft.txid()]
        assert it.source.asked["pending"] == 2


async def test_to_list_anew_does_not_wait_for_the_pause() -> None:
    async with scene(notices=True) as it:
        it.watcher.list_anew()
        await _settled()
        await it.time.rests()
        assert it.source.asked["pending"] == 2


async def test_a_failure_loses_no_notice() -> None:
    async with scene(notices=True) as it:
        theft = pay(it.book.put(1), (STRANGER, 90))
        it.source.hold(theft)
        it.source.failing = Unavailable("source: away")
        await it.notify(Touched(COLD))
        assert it.pending == []
        it.source.failing = None
        await it.time.go_on()
        assert it.pending == [theft.txid()]


async def test_a_cancelled_watcher_leaves_no_task_behind() -> None:
    before = asyncio.all_tasks()
    async with scene(notices=True):
        assert len(asyncio.all_tasks() - before) > 2
    assert asyncio.all_tasks() == before
