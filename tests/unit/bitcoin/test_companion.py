"""What is told beside balances: movements by whichever source can, and drift with the update that puts it right."""

from __future__ import annotations

import asyncio
import time as clock
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime

import pytest
from structlog.testing import capture_logs

from connectors.base import Drift, Stage, Token, Update, Watch
from connectors.bitcoin.companion import SOON, TRIES, accompany
from connectors.bitcoin.config import BitcoinConfig
from connectors.bitcoin.reader import Books
from connectors.bitcoin.sources.base import Coin, Pending
from connectors.errors import Unavailable
from connectors.follow import Follower, Reader
from connectors.heads import Heads
from connectors.polled import Companion
from tests.unit.bitcoin.building import Tx, pay
from tests.unit.bitcoin.chain import STRANGER, ChainSource, CoinSource, HistoryChain, MemoryChain
from tests.unit.bitcoin.wallets import ALICE, BOB, PEOPLE, funded, spend_of_alice
from tests.unit.connectors.stepped import SteppedTime, settled

COIN = Token("btc", None, 8)
WATCH = Watch("btc", PEOPLE, (COIN,))
RESCAN = 3600.0
POLL = 300.0
"""Seldom, so that an hour passes in few steps."""


@dataclass
class Scene:
    """A consumer of one chain: what its updates told, as PolledConnector would give them."""

    chain: MemoryChain
    sources: Sequence[CoinSource]
    time: SteppedTime
    follower: Follower[CoinSource]
    companion: Companion
    told: list[tuple[str, Stage]] = field(default_factory=list)

    async def update(self) -> Update:
        if self.companion.doubt:
            self.companion.doubt = False
            self.follower.forget()
        update = await self.companion.tell(await self.follower.next())
        self.told += [(one.transaction, one.stage) for one in update.movements]
        return update

    async def begin_both(self) -> None:
        """One source after the other is read, the first first."""
        first, _ = self.sources
        await self.update()
        well, first.before = first.before, away()
        self.chain.mine()
        await self.update()
        first.before = well
        names = {task.get_name() for task in asyncio.all_tasks()}
        assert names >= {f"mempool of {source.name}" for source in self.sources}

    async def listed(self) -> None:
        """Every mempool is looked at."""
        await self.time.passes(2 * POLL)

    async def swept(self, *, seconds: float = RESCAN) -> None:
        """Time passes until a sweep has been tried: a block may be read beside the loop meanwhile."""
        self.companion.news.clear()
        await self.time.passes(seconds)
        deadline = clock.monotonic() + 30
        while not self.companion.news.is_set():
            assert clock.monotonic() < deadline, "no sweep"
            await asyncio.sleep(0.001)
        await settled()


@asynccontextmanager
async def scene(*sources: CoinSource, rescan: float = RESCAN) -> AsyncIterator[Scene]:
    time, chain = SteppedTime(), sources[0].chain
    timing = time.timing()
    pace = {"poll": f"{POLL:.0f}s", "rescan": f"{rescan:.0f}s"}
    config = BitcoinConfig.model_validate(
        {"kind": "bitcoin", "network": "bitcoin", "esplora": ["https://one.example/api"], **pace}
    )
    heads = Heads(sources, agree=1, timing=timing, now=now)
    async with AsyncExitStack() as stack:
        books = Books(config, stack=stack)
        reader = Reader(sources, heads=heads, read_at=books.read, agree=1, timing=timing)
        follower = Follower(reader, watch=WATCH, now=now)
        companion = await stack.enter_async_context(accompany(books, config=config, timing=timing)(WATCH))
        yield Scene(chain, sources, time, follower, companion)


def now() -> datetime:
    return datetime(2026, 1, 1, tzinfo=UTC)


def name(tx: Tx) -> str:
    return tx.txid()[::-1].hex()


def newest(chain: MemoryChain, *, back: int = 1) -> str:
    """The last transaction of a block."""
    return chain.branch[-back].txs[-1].txid[::-1].hex()


def spend(chain: MemoryChain, *, left: int = 60) -> Tx:
    """A transaction, in no block, that takes Alice's oldest coin."""
    outpoint = next(at for at, coin in chain.ledger().coins.items() if coin.script == ALICE)
    return pay(outpoint, (STRANGER, left))


async def calm(what: str) -> None:
    """Answers at once."""


def away(*questions: str) -> Callable[[str], Awaitable[None]]:
    """To these questions, or to all where none is named."""

    async def refuse(what: str) -> None:
        if not questions or what in questions:
            raise Unavailable("memory: away")

    return refuse


# ── movements ───────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("kind", [ChainSource, HistoryChain])
async def test_what_blocks_move_is_told_once_with_their_update(kind: type[CoinSource], chain: MemoryChain) -> None:
    async with scene(kind(chain)) as it:
        assert (await it.update()).movements == ()
        spend_of_alice(chain)
        chain.pay((BOB, 5))
        for _ in range(3):
            await it.update()
        assert it.told == [(newest(chain, back=2), Stage.MINED), (newest(chain), Stage.MINED)]


@pytest.mark.parametrize("kind", [ChainSource, HistoryChain])
async def test_what_is_pending_is_news_and_then_mined(kind: type[CoinSource], chain: MemoryChain) -> None:
    async with scene(kind(chain)) as it:
        await it.update()
        tx = chain.send(spend(chain))
        await it.listed()
        assert it.companion.news.is_set()
        await it.update()
        chain.mine(tx)
        await it.update()
        assert it.told == [(name(tx), Stage.PENDING), (name(tx), Stage.MINED)]


async def test_what_two_sources_hold_is_told_once(chain: MemoryChain) -> None:
    one, other = ChainSource(chain, name="one"), HistoryChain(chain, name="other")
    async with scene(one, other) as it:
        await it.begin_both()
        tx = chain.send(spend(chain))
        await it.listed()
        await it.update()
        chain.mine(tx)
        await it.update()
        await it.update()
        assert it.told == [(name(tx), Stage.PENDING), (name(tx), Stage.MINED)]


async def test_what_leaves_every_mempool_is_looked_for_once_more_at_once_and_then_evicted(chain: MemoryChain) -> None:
    async with scene(ChainSource(chain)) as it:
        await it.update()
        tx = chain.send(spend(chain))
        await it.listed()
        await it.update()
        chain.pool.clear()
        await it.listed()
        lists = it.sources[0].calls["pending"]
        await it.update()
        await settled()
        assert it.sources[0].calls["pending"] == lists + 1
        await it.update()
        assert it.told == [(name(tx), Stage.PENDING), (name(tx), Stage.EVICTED)]


async def test_a_source_with_histories_tells_what_blocks_moved_while_the_one_with_blocks_is_away(
    chain: MemoryChain,
) -> None:
    blocks, histories = ChainSource(chain, name="blocks"), HistoryChain(chain, name="histories")
    async with scene(blocks, histories) as it:
        await it.begin_both()
        blocks.before = away()
        spend_of_alice(chain)
        await it.update()
        blocks.before = calm
        chain.pay((BOB, 5))
        await it.update()
        await it.update()
        assert it.told == [(newest(chain, back=2), Stage.MINED), (newest(chain), Stage.MINED)]


async def test_a_server_that_was_away_does_not_tell_that_nothing_moved(chain: MemoryChain) -> None:
    """It has read nothing, so that it knows of no change: the other server tells."""
    first, second = HistoryChain(chain, name="first"), HistoryChain(chain, name="second")
    async with scene(first, second) as it:
        await it.begin_both()
        first.before = away()
        spend_of_alice(chain)
        await it.update()
        first.before = calm
        await it.update()
        assert it.told == [(newest(chain), Stage.MINED)]


async def test_while_nobody_can_tell_what_blocks_moved_nothing_is_called_gone(chain: MemoryChain) -> None:
    """It is told when somebody can, with all that came meanwhile."""
    async with scene(source := HistoryChain(chain)) as it:
        await it.update()
        tx = chain.send(spend(chain))
        await it.listed()
        await it.update()
        source.before = away("confirmed")
        chain.mine(tx)
        with capture_logs() as lines:
            for _ in range(3):
                assert (await it.update()).failure is None
                await it.listed()
                chain.pay((BOB, 5))
        assert {line["event"] for line in lines} == {"movements can't be read"}
        assert it.told == [(name(tx), Stage.PENDING)]
        source.before = calm
        await it.update()
        assert it.told[1:] == [
            (name(tx), Stage.MINED),
            *((newest(chain, back=back), Stage.MINED) for back in (3, 2, 1)),
        ]


async def test_a_reorganisation_while_nobody_can_tell_is_told_afterwards(chain: MemoryChain) -> None:
    """What the undone block held is pending again where a mempool has it, and mined in its new block."""
    async with scene(source := HistoryChain(chain)) as it:
        await it.update()
        tx = chain.send(spend(chain))
        chain.mine(tx)
        await it.update()
        assert it.told == [(name(tx), Stage.MINED)]
        source.before = away("confirmed")
        chain.drop(1)
        chain.mine()
        chain.mine()
        await it.update()
        chain.mine()
        await it.update()
        source.before = calm
        chain.mine()
        await it.listed()
        await it.update()
        assert it.told[1:] == [(name(tx), Stage.PENDING)]
        chain.mine(tx)
        await it.update()
        assert it.told[2:] == [(name(tx), Stage.MINED)]


async def test_what_was_passed_over_when_coins_were_found_anew_is_not_waited_for(chain: MemoryChain) -> None:
    async with scene(source := ChainSource(chain)) as it:
        await it.update()
        chain.pay((BOB, 5))
        source.pruned_below = chain.pay((BOB, 6)).height + 1
        await it.update()
        assert it.told == []
        source.pruned_below = 0
        chain.pay((BOB, 7))
        await it.update()
        assert it.told == [(newest(chain), Stage.MINED)]


async def test_a_chain_that_can_not_be_read_still_tells_what_is_pending(chain: MemoryChain) -> None:
    async with scene(source := ChainSource(chain)) as it:
        await it.update()
        source.before = away("head")
        tx = chain.send(spend(chain))
        await it.time.passes(POLL + 1)
        update = await it.update()
        assert update.failure is not None
        assert it.told == []  # the newest block could not be asked for after the listing: it may be in there
        source.before = calm
        await it.time.passes(20 * POLL)
        source.before = away("header_at", "head")
        await it.update()
        assert it.told == [(name(tx), Stage.PENDING)]


# ── drift ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def rightly(coin: Coin) -> Coin | None:
    return coin


def lacking(code: bytes) -> Callable[[Coin], Coin | None]:
    return lambda coin: None if coin.script == code else coin


ALICES = Drift(PEOPLE[0], COIN, 0, 70)


async def test_a_sweep_that_finds_nothing_is_told_once_and_raises_no_doubt(chain: MemoryChain) -> None:
    async with scene(ChainSource(chain)) as it:
        assert (await it.update()).drift is None
        await it.swept()
        assert not it.companion.doubt
        assert [(await it.update()).drift for _ in range(3)] == [(), None, None]


async def test_drift_is_told_once_with_a_complete_update_that_is_right(chain: MemoryChain) -> None:
    async with scene(source := ChainSource(chain, told=lacking(ALICE))) as it:
        await it.update()
        source.told = rightly
        await it.swept()
        assert it.companion.doubt
        update = await it.update()
        assert (update.drift, update.complete, [one.units for one in update.held]) == ((ALICES,), True, [70, 0])
        assert [(await it.update()).drift for _ in range(2)] == [None, None]


async def test_drift_that_is_found_while_an_update_is_made_is_told_with_the_next(chain: MemoryChain) -> None:
    """The one under way may still hold what is wrong."""
    async with scene(source := ChainSource(chain, told=lacking(ALICE))) as it:
        await it.update()
        source.told = rightly
        under_way = await it.follower.next()
        await it.swept()
        assert (await it.companion.tell(under_way)).drift is None
        assert (await it.update()).drift == (ALICES,)


async def test_drift_waits_for_a_chain_that_can_be_read(chain: MemoryChain) -> None:
    async with scene(source := ChainSource(chain, told=lacking(ALICE))) as it:
        await it.update()
        source.told = rightly
        await it.swept()
        source.before = away()
        assert (await it.update()).drift is None
        source.before = calm
        update = await it.update()
        assert (update.drift, update.complete) == ((ALICES,), True)


async def test_every_source_is_swept_and_their_drift_is_told_together(chain: MemoryChain) -> None:
    one, other = (ChainSource(chain, name=name, told=lacking(ALICE)) for name in ("one", "other"))
    async with scene(one, other) as it:
        await it.begin_both()
        one.told = other.told = rightly
        await it.swept()
        assert (await it.update()).drift == (ALICES, ALICES)


async def test_of_servers_without_blocks_no_sweep_is_told(chain: MemoryChain) -> None:
    async with scene(HistoryChain(chain)) as it:
        await it.update()
        await it.swept()
        assert (await it.update()).drift is None


def long_pauses(it: Scene) -> list[float]:
    """Those of the sweeps: mempools rest less."""
    return [pause for pause in it.time.pauses if pause >= SOON]


async def test_a_sweep_that_fails_is_tried_again_soon_and_after_a_few_times_with_the_next(chain: MemoryChain) -> None:
    async with scene(source := ChainSource(chain)) as it:
        await it.update()
        source.before = away("coins")
        with capture_logs() as lines:
            await it.swept()
            for _ in range(TRIES - 1):
                await it.swept(seconds=SOON)
            await it.time.passes(SOON)
        assert [line["event"] for line in lines if line["event"] == "sweep failed"] == ["sweep failed"] * TRIES
        assert long_pauses(it) == [RESCAN, *[SOON] * TRIES, RESCAN]
        assert (await it.update()).drift is None


async def test_only_the_source_that_failed_is_swept_again(chain: MemoryChain) -> None:
    one, other = ChainSource(chain, name="one"), ChainSource(chain, name="other")
    async with scene(one, other) as it:
        await it.begin_both()
        other.before = away("coins")
        await it.swept()
        other.before = calm
        scans = one.calls["coins"], other.calls["coins"]
        await it.swept(seconds=SOON)
        assert (one.calls["coins"] - scans[0], other.calls["coins"] - scans[1]) == (0, 1)
        assert long_pauses(it) == [RESCAN, SOON, RESCAN]


async def test_where_sweeps_are_frequent_so_are_their_repetitions(chain: MemoryChain) -> None:
    async with scene(source := ChainSource(chain), rescan=60) as it:
        await it.update()
        source.before = away("coins")
        await it.swept(seconds=60)
        scans = source.calls["coins"]
        await it.swept(seconds=60)
        assert source.calls["coins"] == scans + 1


# ── what runs beside ────────────────────────────────────────────────────────────────────────────────────────────────


async def test_everything_that_runs_beside_ends_with_the_consumer(chain: MemoryChain) -> None:
    before = asyncio.all_tasks()
    async with scene(ChainSource(chain)) as it:
        await it.update()
        await settled()
        assert {task.get_name() for task in asyncio.all_tasks() - before} >= {"sweeps", "mempool of memory"}
    assert asyncio.all_tasks() == before


async def test_each_source_has_one_watcher_however_often_it_is_told(chain: MemoryChain) -> None:
    async with scene(ChainSource(chain)) as it:
        for _ in range(5):
            await it.update()
        names = [task.get_name() for task in asyncio.all_tasks()]
        assert names.count("mempool of memory") == 1


@dataclass
class Defective(ChainSource):
    """Answers with what no Source may raise."""

    async def pending(self, scripts: object) -> Pending:
        raise ZeroDivisionError("a defect")


async def test_a_defect_of_what_runs_beside_does_not_stay_hidden() -> None:
    async with scene(Defective(funded())) as it:
        await it.update()
        await settled()
        with pytest.raises(ZeroDivisionError, match="a defect"):
            await it.update()
