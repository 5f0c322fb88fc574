"""What is kept of a book: the same after a restart as before it, at every step, and used only where it fits."""

from __future__ import annotations

import random
import shutil
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from connectors.bitcoin.accounts import Expansion
from connectors.bitcoin.coins import DEPTH, Coin, CoinSet
from connectors.bitcoin.state import StateFile
from connectors.errors import NodeError, Unavailable
from tests.unit.bitcoin.chain import STRANGER, ChainSource, MemoryChain
from tests.unit.bitcoin.keeping import Running, of, resumed
from tests.unit.bitcoin.wallets import (
    ALICE,
    BOB,
    GAP,
    MAINNET,
    NAMES,
    PEOPLE,
    RECEIVE,
    accounts,
    expected,
    spend_of_alice,
    values_at,
)

# ── what is kept ────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_what_is_resumed_is_what_was_kept_at_every_step(
    chain: MemoryChain, source: ChainSource, path: Path
) -> None:
    """Coins, balances, the block, what takes blocks back, and how far the wallet was derived, used and overpaid."""
    chance, longest = random.Random(1), 0
    running = Running(path, source, accounts(expansion=Expansion(MAINNET, lookout=10)))
    with running as book:
        for step in range(60):
            if step % 7 == 3:
                chain.drop(chance.randint(1, 4))
            if step % 9 == 5:
                chain.pay((RECEIVE[min(step // 3, 40)], 1))
            spend_of_alice(chain, chance.choice([ALICE, BOB, RECEIVE[0]]))
            await book.at(chain.tip.hash)
            kept = resumed(path, watched=accounts(expansion=Expansion(MAINNET, lookout=10)))
            assert kept is not None
            assert kept == of(running.latest.coins, running.watched)
            longest = max(longest, len(kept.history))
    assert longest > 3


async def test_more_than_can_be_undone_is_not_kept(path: Path) -> None:
    chain = MemoryChain()
    watched = accounts(*PEOPLE)
    running = Running(path, ChainSource(chain), watched)
    with running as book:
        await book.at(chain.tip.hash)
        for _ in range(DEPTH + 20):
            spend_of_alice(chain)
        await book.at(chain.tip.hash)
        assert resumed(path, watched=accounts(*PEOPLE)) == of(running.latest.coins, watched)
    with sqlite3.connect(path) as database:
        assert database.execute("select count(*) from undo").fetchone() == (DEPTH,)
    database.close()


async def test_two_books_in_a_file_know_nothing_of_each_other(chain: MemoryChain, path: Path) -> None:
    one, other = ChainSource(chain, name="one"), ChainSource(chain, name="other")
    with Running(path, one) as first:
        await first.at(chain.tip.hash)
        with Running(path, other) as second:
            await second.at(chain.tip.hash)
            spend_of_alice(chain)
            await second.at(chain.tip.hash)
            spend_of_alice(chain)
            await second.at(chain.tip.hash)
        here, there = resumed(path, name="one"), resumed(path, name="other")
    assert here is not None
    assert there is not None
    assert (here.units, there.units) == (tuple(expected(chain, 1)), tuple(expected(chain)))


async def test_a_book_with_a_refused_script_leaves_nothing_behind(
    chain: MemoryChain, source: ChainSource, path: Path
) -> None:
    """It does not know all of its coins; when it does again, it is kept again."""
    with Running(path, source) as book:
        await book.at(chain.tip.hash)
        assert resumed(path) is not None
    source.refused = {RECEIVE[4]: NodeError("memory: history too large", code=400)}
    with Running(path, source) as book:
        chain.pay((RECEIVE[2], 5))
        await book.at(chain.tip.hash)
        assert resumed(path) is None
        source.refused = {}
        source.pruned_below = chain.pay((BOB, 5)).height + 1
        assert await values_at(book, chain.tip) == expected(chain)
        assert resumed(path) is not None


# ── restarts ────────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_a_restart_on_a_chain_that_still_has_the_tip_needs_no_scan(
    chain: MemoryChain, source: ChainSource, path: Path
) -> None:
    for _ in range(5):
        with Running(path, source) as book:
            spend_of_alice(chain)
            spend_of_alice(chain)
            assert await values_at(book, chain.tip) == expected(chain)
    assert source.calls["coins"] == 2  # the second for the addresses behind the wallet's first


async def test_a_restart_after_a_reorganisation_takes_back_what_was_kept(
    chain: MemoryChain, source: ChainSource, path: Path
) -> None:
    with Running(path, source) as book:
        await book.at(chain.tip.hash)
        for _ in range(50):
            spend_of_alice(chain)
        await book.at(chain.tip.hash)
    chain.drop(50)
    for _ in range(51):
        chain.pay((BOB, 5))
    scans = source.calls["coins"]
    with Running(path, source) as book:
        assert await values_at(book, chain.tip) == expected(chain)
    assert source.calls["coins"] == scans


@pytest.mark.parametrize("change", ["deep reorganisation", "other chain", "pruned"])
async def test_a_restart_on_a_chain_without_the_tip_finds_coins_anew(
    change: str, chain: MemoryChain, source: ChainSource, path: Path
) -> None:
    """What was kept of another network is of another chain: no two share a block that is kept."""
    with Running(path, source) as book:
        await book.at(chain.tip.hash)
    if change == "other chain":
        source.chain = chain = MemoryChain()
        for _ in range(4):
            chain.pay((ALICE, 3), (STRANGER, 4))
    elif change == "pruned":
        spend_of_alice(chain)
        source.pruned_below = spend_of_alice(chain).height
    else:
        chain.drop(1)
        chain.pay((BOB, 5))
        chain.pay((BOB, 5))
    scans = source.calls["coins"]
    with Running(path, source) as book:
        assert await values_at(book, chain.tip) == expected(chain)
    assert source.calls["coins"] > scans


@pytest.mark.parametrize(
    "watched",
    [
        lambda: accounts(*PEOPLE),
        lambda: accounts(*reversed(NAMES)),
        lambda: accounts(gap=GAP + 1),
        lambda: accounts(gap=GAP - 1),
        lambda: accounts(expansion=Expansion(MAINNET, step=10)),
        lambda: accounts(expansion=Expansion(MAINNET, lookout=10)),
    ],
    ids=["fewer", "another order", "a larger gap limit", "a smaller gap limit", "another step", "another lookout"],
)
async def test_what_was_kept_of_other_accounts_or_limits_is_not_taken_up(
    watched: object, chain: MemoryChain, source: ChainSource, path: Path
) -> None:
    with Running(path, source) as book:
        await book.at(chain.tip.hash)
    assert callable(watched)
    other = watched()
    with capture_logs() as lines:
        assert resumed(path, watched=other) is None
    assert [line["event"] for line in lines] == ["kept coins are of other accounts or gap limits"]
    assert all(not branch.derived for branch in other.branches)
    with Running(path, source, other) as book:
        value = dict(zip(NAMES, expected(chain), strict=True))
        assert await values_at(book, chain.tip) == [value[name] for name in other.names]


async def test_a_smaller_gap_limit_counts_no_more_than_it_would_have_from_the_start(
    chain: MemoryChain, source: ChainSource, path: Path
) -> None:
    chain.pay((RECEIVE[2], 5), (RECEIVE[4], 11))
    with Running(path, source) as book:
        assert (await values_at(book, chain.tip))[2] == 7 + 5 + 11
    with Running(path, source, accounts(gap=1)) as book:
        assert (await values_at(book, chain.tip))[2] == 7


async def test_a_failed_scan_does_not_take_up_what_was_kept_a_second_time(
    chain: MemoryChain, source: ChainSource, path: Path
) -> None:
    """The wallet was followed further meanwhile, so that coins would be missing in what was kept."""
    with Running(path, source) as book:
        await book.at(chain.tip.hash)
    chain.drop(1)
    chain.pay((ALICE, 70), (RECEIVE[2], 7))
    chain.pay((RECEIVE[4], 100))

    async def away(what: str) -> None:
        if what == "coins" and source.calls["coins"] >= scans + 2:
            raise Unavailable("memory: away")

    scans, source.before = source.calls["coins"], away
    with Running(path, source) as book:
        with pytest.raises(Unavailable):
            await book.at(chain.tip.hash)
        source.before = ChainSource(chain).before
        assert await values_at(book, chain.tip) == expected(chain)


# ── crashes ─────────────────────────────────────────────────────────────────────────────────────────────────────────


class Copied(CoinSet):
    """Has the file copied, as a crash would leave it, after so many of its coins were read."""

    def __init__(self, scripts: dict[bytes, int], *, path: Path, to: Path, after: int) -> None:
        super().__init__(scripts)
        self._path, self._to, self._after = path, to, after

    def coins(self) -> Iterator[tuple[bytes, Coin]]:
        for number, one in enumerate(super().coins()):
            if number == self._after:
                shutil.copytree(self._path.parent, self._to)
            yield one


@pytest.mark.parametrize("after", [0, 1, 9_999])
def test_a_crash_within_a_transaction_leaves_what_was_there_before(after: int, tmp_path: Path) -> None:
    """So many coins are written that parts of the unfinished transaction are in the file already."""
    path, crashed = tmp_path / "there" / "state", tmp_path / "crashed"
    path.parent.mkdir()
    watched = accounts(*PEOPLE)
    watched.extend()
    state = StateFile(path)
    shelf = state.shelf("memory", accounts=watched)
    first, second = CoinSet(watched.scripts), Copied(watched.scripts, path=path, to=crashed, after=after)
    tip = MemoryChain().tip.tip
    first.load(tip, [(bytes(36), Coin(ALICE, 5, 1, coinbase=False))])
    second.load(tip, ((at.to_bytes(36, "big"), Coin(BOB, 1, 1, coinbase=False)) for at in range(10_000)))
    shelf.loaded(first)
    shelf.loaded(second)
    state.close()
    before = resumed(crashed / "state", watched=accounts(*PEOPLE))
    assert before is not None
    assert before.units == (5, 0)
    after_all = resumed(path, watched=accounts(*PEOPLE))
    assert after_all is not None
    assert after_all.units == (0, 10_000)


async def test_books_go_on_while_another_process_holds_the_file(
    chain: MemoryChain, source: ChainSource, path: Path
) -> None:
    """And the file is neither taken from that process nor damaged."""
    with Running(path, source) as book:
        await book.at(chain.tip.hash)
    other = sqlite3.connect(path, timeout=0)
    other.execute("begin immediate")
    with capture_logs() as lines, Running(path, source) as book:
        spend_of_alice(chain)
        values = await values_at(book, chain.tip)
    other.rollback()
    other.close()
    assert values == expected(chain)
    assert [line["event"] for line in lines if line["log_level"] == "warning"] == ["coins are not kept any more"]
    kept = resumed(path)
    assert kept is not None
    assert kept.units == tuple(expected(chain, 1))
