"""What a source spoils, invents or refuses never becomes a number."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import pytest

from connectors.bitcoin.book import BlockBook
from connectors.bitcoin.forms import BITCOIN
from connectors.bitcoin.sources.base import Coin, Snapshot
from connectors.errors import BadAnswer, NodeError, Reason
from connectors.quorum import Flaw
from tests.unit.bitcoin.building import BuiltBlock, coinbase, pay
from tests.unit.bitcoin.chain import STRANGER, ChainSource, MemoryChain
from tests.unit.bitcoin.wallets import (
    ALICE,
    BOB,
    PEOPLE,
    RECEIVE,
    accounts,
    book_on,
    expected,
    spend_of_alice,
    values_at,
)

# ── hostile blocks and coins ───────────────────────────────────────────────────────────────────────────────────────


def with_more_for_bob(raw: bytes) -> bytes:
    """The same header over a transaction that pays Bob more."""
    at = raw.index(b"\x16" + BOB) - 8
    return raw[:at] + (10**6).to_bytes(8, "little") + raw[at + 8 :]


SPOILS: Mapping[str, Callable[[bytes], bytes]] = {
    "another merkle root": with_more_for_bob,
    "cut off": lambda raw: raw[:-10],
    "a header alone": lambda raw: raw[:80],
    "nothing": lambda raw: b"",
    "something behind": lambda raw: raw + b"\x00",
    "another block": lambda raw: BuiltBlock([coinbase(77)]).raw(),
    "no coinbase": lambda raw: raw[:80] + b"\x01" + pay(bytes(36), (BOB, 1)).raw(),
    "noise": lambda raw: raw[:80] + b"\xff" * 1000,
}


@pytest.mark.parametrize("spoil", SPOILS.values(), ids=SPOILS)
async def test_a_spoilt_block_is_blamed_and_its_coins_are_found_by_a_scan(
    spoil: Callable[[bytes], bytes], chain: MemoryChain, source: ChainSource
) -> None:
    book = book_on(source, watched=accounts(*PEOPLE))
    await book.at(chain.tip.hash)
    spend_of_alice(chain)
    source.spoil = spoil
    assert await values_at(book, chain.tip) == expected(chain)[:2]
    assert source.transport.stats().errors == {Reason.BAD_ANSWER: 1}
    assert source.calls["coins"] == 2


@pytest.mark.parametrize("spoil", SPOILS.values(), ids=SPOILS)
async def test_a_spoilt_block_that_no_scan_helps_over_is_an_error_and_no_number(
    spoil: Callable[[bytes], bytes], chain: MemoryChain
) -> None:
    """The source's coins end at the block before; when its blocks are good again, so is the book."""

    class Behind(ChainSource):
        def _snapshot(self, scripts: Sequence[bytes]) -> Snapshot:
            newest = self.chain.branch.pop()
            try:
                return super()._snapshot(scripts)
            finally:
                self.chain.branch.append(newest)

    chain.mine()
    source = Behind(chain)
    book = book_on(source, watched=accounts(*PEOPLE))
    await book.at(chain.tip.hash)
    spend_of_alice(chain)
    source.spoil = spoil
    for _ in range(2):
        with pytest.raises(BadAnswer, match=f"memory: block {chain.tip.hash}: "):
            await book.at(chain.tip.hash)
    source.spoil = bytes
    assert await values_at(book, chain.tip) == expected(chain)[:2]


async def test_a_block_without_its_merkle_root_is_believed_of_our_own_node(
    chain: MemoryChain, source: ChainSource
) -> None:
    book = BlockBook(source, accounts=accounts(*PEOPLE), form=BITCOIN, verify=False)
    await book.at(chain.tip.hash)
    spend_of_alice(chain)
    source.spoil = with_more_for_bob
    assert (await values_at(book, chain.tip))[1] == 10**6
    assert source.calls["coins"] == 1


class Hasty(ChainSource):
    """Tells the newest coins as those of the block before, as long as it is hasty."""

    hasty = True

    def _snapshot(self, scripts: Sequence[bytes]) -> Snapshot:
        told = super()._snapshot(scripts)
        return replace(told, header=self.chain.branch[-2].header) if self.hasty else told


async def test_a_block_that_contradicts_the_coins_is_a_bad_answer_and_no_number(chain: MemoryChain) -> None:
    """It creates coins that are there already, for they were told too early."""
    spend_of_alice(chain)
    source = Hasty(chain)
    book = book_on(source, watched=accounts(*PEOPLE))
    for _ in range(3):
        with pytest.raises(BadAnswer, match="creates a coin that is already there"):
            await book.at(chain.tip.hash)
    source.hasty = False
    assert await values_at(book, chain.tip) == expected(chain)[:2]


class Lying(ChainSource):
    """Tells `lie` of what it has found, as long as it has one."""

    lie: Callable[[Snapshot], Snapshot] | None = None

    def _snapshot(self, scripts: Sequence[bytes]) -> Snapshot:
        told = super()._snapshot(scripts)
        return self.lie(told) if self.lie is not None else told


OTHER_COIN = Coin(b"\x77" * 32, 0, 5, STRANGER, 1)
LIES: Mapping[str, tuple[Callable[[Snapshot], Snapshot], str]] = {
    "a script too few": (lambda told: replace(told, scripts=told.scripts[1:]), "other scripts"),  # type: ignore[index]
    "a script too many": (lambda told: replace(told, scripts=(*told.scripts, STRANGER)), "other scripts"),
    "a script twice": (lambda told: replace(told, scripts=(*told.scripts, *told.scripts)), "other scripts"),
    "a coin of nobody's": (lambda told: replace(told, coins=(*told.coins, OTHER_COIN)), "not watched"),
    "a coin twice": (lambda told: replace(told, coins=told.coins * 2), "twice"),
    "a coin too large": (
        lambda told: replace(told, coins=(told.coins[0]._replace(value=2**63), *told.coins[1:])),
        "no coin has",
    ),
}


@pytest.mark.parametrize(("lie", "why"), LIES.values(), ids=LIES)
async def test_coins_that_cannot_be_are_a_bad_answer_until_they_can(
    lie: Callable[[Snapshot], Snapshot], why: str, chain: MemoryChain
) -> None:
    source = Lying(chain)
    book = book_on(source)
    source.lie = lie
    for _ in range(2):
        with pytest.raises(BadAnswer, match=why):
            await book.at(chain.tip.hash)
    source.lie = None
    assert await values_at(book, chain.tip) == expected(chain)


async def test_a_lie_about_newly_watched_scripts_spoils_nothing_for_good(chain: MemoryChain) -> None:
    """The book asks for the wallet's next addresses and is told Alice's coin, which it has."""
    source = Lying(chain)
    book = book_on(source)
    await book.at(chain.tip.hash)
    alice = next(coin for coin in chain.ledger().coins.values() if coin.script == ALICE)
    chain.pay((RECEIVE[2], 11), (RECEIVE[4], 13))
    source.lie = lambda told: replace(told, coins=(alice, *told.coins)) if ALICE not in told.scripts else told
    for _ in range(2):
        with pytest.raises(BadAnswer, match="already known"):
            await book.at(chain.tip.hash)
    chain.pay((RECEIVE[5], 17))
    source.lie = None
    assert await values_at(book, chain.tip) == expected(chain)


# ── refused scripts ────────────────────────────────────────────────────────────────────────────────────────────────


async def test_a_refused_script_is_its_accounts_flaw_alone(
    chain: MemoryChain, source: ChainSource, book: BlockBook
) -> None:
    source.refused = {BOB: NodeError("memory: history too large", code=400)}
    flaw = Flaw(Reason.NODE_ERROR, "memory: history too large")
    assert await values_at(book, chain.tip) == [70, flaw, 7]
    spend_of_alice(chain)
    assert await values_at(book, chain.tip) == [expected(chain)[0], flaw, 7]


async def test_a_refused_script_of_a_wallet_makes_the_wallet_unknown_not_smaller(
    chain: MemoryChain, source: ChainSource, book: BlockBook
) -> None:
    source.refused = {RECEIVE[1]: NodeError("memory: history too large", code=400)}
    assert await values_at(book, chain.tip) == [70, 0, Flaw(Reason.NODE_ERROR, "memory: history too large")]
    chain.pay((RECEIVE[0], 3), (RECEIVE[2], 4))
    assert (await values_at(book, chain.tip))[2] == Flaw(Reason.NODE_ERROR, "memory: history too large")


async def test_a_script_that_is_refused_no_more_is_read_with_the_next_scan(
    chain: MemoryChain, source: ChainSource, book: BlockBook
) -> None:
    source.refused = {BOB: NodeError("memory: history too large", code=400)}
    await book.at(chain.tip.hash)
    source.refused = {}
    spend_of_alice(chain)
    source.pruned_below = chain.tip.height + 1
    assert await values_at(book, chain.tip) == expected(chain)
