"""A payment beyond the gap limit, in a source's book: an explanation stands in place of the value until it counts."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Collection, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Protocol

import pytest

from connectors.base import Address
from connectors.bitcoin.accounts import Accounts, Expansion
from connectors.bitcoin.book import BlockBook, Book
from connectors.bitcoin.descriptors import canonical, parse
from connectors.bitcoin.forms import BITCOIN
from connectors.bitcoin.networks import NETWORKS
from connectors.bitcoin.snapshot_book import SnapshotBook
from connectors.bitcoin.sources.base import BlockSource, Change, Coin, Doubt, Pending, Snapshot, parse_header
from connectors.bitcoin.state import StateFile
from connectors.config import EndpointConfig
from connectors.errors import Reason, Unavailable
from connectors.quorum import Flaw, Header
from connectors.transport import Timing, Transport
from tests.unit.bitcoin.building import BuiltBlock, Tx, coinbase, pay, script
from tests.unit.bitcoin.published import BIP_84

NETWORK = NETWORKS["bitcoin"]
WALLET = canonical(f"wpkh({BIP_84.plain}/0/*)", network=NETWORK)
SCRIPTS = parse(WALLET, network=NETWORK).scripts(0, 40)
STRANGER = script(1)
GAP, LOOKOUT = 3, 10


def explained(index: int, *, last: int, gap: int = GAP) -> Flaw:
    short = f"{WALLET[:10]}…{WALLET[WALLET.index('/0/*') :]}"
    return Flaw(
        Reason.MISCONFIGURED,
        f"descriptor {short}: index {index} was paid, {index - last} beyond the last used index {last}, "
        f"more than gap_limit {gap} allows for: set gap_limit to {index - last} or more for this wallet",
    )


@dataclass
class Chain:
    """A BlockSource in memory. With `remembers`, it can say that a script was paid once, as all but a node can."""

    remembers: bool = False
    asked: list[int] = field(default_factory=list)
    deaf: bool = False
    """Coins can't be had."""
    _blocks: list[BuiltBlock] = field(default_factory=list)

    def __post_init__(self) -> None:
        endpoint = EndpointConfig.model_validate({"url": "http://127.0.0.1:9", "name": "chain"})
        self.transport = Transport(endpoint, chain="btc", timeout=timedelta(seconds=1), timing=Timing())
        self.mine()

    # ── what happens ────────────────────────────────────────────────────────────────────────────────────────────────

    def mine(self, *txs: Tx) -> str:
        height = len(self._blocks)
        parent = self._blocks[-1].hash() if self._blocks else bytes(32)
        self._blocks.append(BuiltBlock([coinbase(height, (STRANGER, 50)), *txs], parent=parent))
        return self.tip.hash

    def paid(self, *indices: int) -> str:
        """A block in which these indices of the wallet get a coin of 100 units more than their number."""
        outputs = [(SCRIPTS[index], 100 + index) for index in indices]
        return self.mine(Tx([(len(self._blocks).to_bytes(36, "big"), b"")], outputs))

    def emptied(self, index: int) -> str:
        coin = next(coin for coin in self._coins() if coin.script == SCRIPTS[index])
        return self.mine(pay(coin.txid + coin.vout.to_bytes(4, "little"), (STRANGER, coin.value)))

    @property
    def tip(self) -> Header:
        return self._header(len(self._blocks) - 1)

    def _header(self, height: int) -> Header:
        return parse_header(self._blocks[height].raw(), height=height)

    def _outputs(self) -> Iterator[Coin]:
        for height, block in enumerate(self._blocks):
            for tx in block.txs:
                for vout, (code, value) in enumerate(tx.outputs):
                    yield Coin(tx.txid(), vout, value, code, height)

    def _coins(self) -> Iterator[Coin]:
        spent = {outpoint for block in self._blocks for tx in block.txs for outpoint, _ in tx.inputs}
        return (one for one in self._outputs() if one.txid + one.vout.to_bytes(4, "little") not in spent)

    # ── what is asked ───────────────────────────────────────────────────────────────────────────────────────────────

    async def head(self) -> Header:
        return self.tip

    async def header_at(self, height: int) -> Header | None:
        return self._header(height) if 0 <= height < len(self._blocks) else None

    async def headers_between(self, low: int, high: int) -> Sequence[Header]:
        return [self._header(height) for height in range(low + 1, high)]

    async def block(self, block: str) -> bytes:
        return next(one.raw() for one in self._blocks if one.hash()[::-1].hex() == block)

    async def coins(self, scripts: Collection[bytes]) -> Sequence[Snapshot]:
        self.asked.append(len(scripts))
        if self.deaf:
            raise Unavailable("no coins today")
        coins = tuple(coin for coin in self._coins() if coin.script in scripts)
        used = {one.script for one in self._outputs()} & set(scripts) if self.remembers else ()
        return [Snapshot(self.tip, tuple(scripts), coins, used=used)]

    async def pending(self, scripts: Collection[bytes]) -> Pending:
        return Pending({})

    async def transactions(self, txids: Collection[bytes]) -> Mapping[bytes, bytes]:
        return {}

    async def fees(self, txids: Collection[bytes]) -> Mapping[bytes, int]:
        return {}

    async def changes(self, scripts: Collection[bytes]) -> AsyncGenerator[Change, None]:
        yield Doubt("nothing ever changes here")


def accounts(*, gap: int = GAP, step: int = 1) -> Accounts:
    expansion = Expansion(NETWORK, step=step, lookout=LOOKOUT)
    return Accounts([WALLET], expansion=expansion, gap_limits={WALLET: gap})


def by_blocks(chain: BlockSource, *, gap: int = GAP, step: int = 1) -> Book:
    return BlockBook(chain, accounts=accounts(gap=gap, step=step), form=BITCOIN, verify=True)


def by_snapshots(chain: BlockSource, *, gap: int = GAP, step: int = 1) -> Book:
    return SnapshotBook(chain, accounts=accounts(gap=gap, step=step))


class BookOf(Protocol):
    def __call__(self, chain: BlockSource, *, gap: int = GAP, step: int = 1) -> Book: ...


BOOKS = pytest.mark.parametrize("book_of", [by_blocks, by_snapshots])


@contextmanager
def kept(path: Path, chain: Chain, *, gap: int = GAP) -> Iterator[Book]:
    """A book with a file, until the process ends."""
    with closing(StateFile(path)) as file:
        watched = accounts(gap=gap)
        shelf = file.shelf("chain", accounts=watched)
        yield BlockBook(chain, accounts=watched, form=BITCOIN, verify=True, listeners=[shelf], resume=shelf.resume)


@BOOKS
async def test_what_was_paid_beyond_before_the_start_is_explained(book_of: BookOf) -> None:
    chain = Chain()
    book = book_of(chain)
    assert await book.at(chain.paid(0, 2, 7)) == [explained(7, last=2)]


@BOOKS
async def test_what_is_paid_beyond_while_it_runs_is_explained(book_of: BookOf) -> None:
    chain = Chain()
    book = book_of(chain)
    assert await book.at(chain.paid(0, 2)) == [202]
    assert await book.at(chain.paid(7)) == [explained(7, last=2)]
    assert await book.at(chain.mine()) == [explained(7, last=2)]


@BOOKS
async def test_leaps_within_the_gap_limit_are_all_counted(book_of: BookOf) -> None:
    chain = Chain()
    book = book_of(chain)
    assert await book.at(chain.paid(*range(2, 20, 3))) == [6 * 100 + sum(range(2, 20, 3))]
    assert await book.at(chain.paid(*range(20, 35, 3))) == [11 * 100 + sum(range(2, 35, 3))]


@BOOKS
async def test_payments_in_one_block_reach_on_whatever_their_order(book_of: BookOf) -> None:
    chain = Chain()
    book = book_of(chain)
    assert await book.at(chain.paid(0)) == [100]
    assert await book.at(chain.paid(9, 6, 3)) == [418]


@BOOKS
async def test_payments_in_between_end_the_explanation(book_of: BookOf) -> None:
    chain = Chain()
    book = book_of(chain)
    assert await book.at(chain.paid(0, 7)) == [explained(7, last=0)]
    assert await book.at(chain.paid(3)) == [explained(7, last=3)]
    assert await book.at(chain.paid(5)) == [415]


@BOOKS
async def test_the_gap_limit_that_is_named_counts_it(book_of: BookOf) -> None:
    chain = Chain()
    block = chain.paid(0, 2, 7)
    assert await book_of(chain, gap=4).at(block) == [explained(7, last=2, gap=4)]
    assert await book_of(chain, gap=5).at(block) == [309]


@BOOKS
async def test_what_is_counted_in_large_steps_is_explained_behind_them(book_of: BookOf) -> None:
    chain = Chain()
    book = book_of(chain, step=8)
    assert await book.at(chain.paid(0, 7)) == [207]
    assert await book.at(chain.paid(18)) == [explained(18, last=7)]


async def test_what_is_emptied_stays_explained_and_is_never_a_number() -> None:
    chain = Chain()
    book = by_blocks(chain)
    assert await book.at(chain.paid(0, 7)) == [explained(7, last=0)]
    assert await book.at(chain.emptied(7)) == [explained(7, last=0)]


async def test_a_source_that_remembers_explains_what_was_emptied_before_the_start() -> None:
    chain = Chain(remembers=True)
    chain.paid(0, 7)
    assert await by_blocks(chain).at(chain.emptied(7)) == [explained(7, last=0)]


async def test_the_explanation_outlives_a_restart_also_when_the_money_is_gone(tmp_path: Path) -> None:
    chain = Chain()
    with kept(tmp_path / "state", chain) as book:
        assert await book.at(chain.paid(0)) == [100]
        await book.at(chain.paid(7))
    with kept(tmp_path / "state", chain) as book:
        assert await book.at(chain.tip.hash) == [explained(7, last=0)]
        await book.at(chain.emptied(7))
    with kept(tmp_path / "state", chain) as book:
        assert await book.at(chain.mine()) == [explained(7, last=0)]
    assert len(chain.asked) == 2  # at the start, and when index 0 had moved the lookout on


async def test_what_is_paid_while_it_does_not_run_is_explained_after_the_restart(tmp_path: Path) -> None:
    chain = Chain()
    with kept(tmp_path / "state", chain) as book:
        assert await book.at(chain.paid(0)) == [100]
    block = chain.paid(7)
    with kept(tmp_path / "state", chain) as book:
        assert await book.at(block) == [explained(7, last=0)]


async def test_a_restart_with_a_raised_gap_limit_counts_it(tmp_path: Path) -> None:
    chain = Chain()
    with kept(tmp_path / "state", chain) as book:
        assert await book.at(chain.paid(0, 7)) == [explained(7, last=0)]
    chain.paid(12)
    with kept(tmp_path / "state", chain, gap=7) as book:
        assert await book.at(chain.tip.hash) == [319]


async def test_coins_that_could_not_be_had_when_the_window_moved_are_asked_for_again() -> None:
    """Otherwise what newly counts would be missing from the value until the next block."""
    chain = Chain()
    book = by_blocks(chain)
    assert await book.at(chain.paid(0)) == [100]
    block = chain.paid(2)
    chain.deaf = True
    with pytest.raises(Unavailable):
        await book.at(block)
    chain.deaf = False
    asked = len(chain.asked)
    assert await book.at(block) == [202]
    assert len(chain.asked) == asked + 1


async def test_a_plain_address_has_no_lookout() -> None:
    chain = Chain()
    address = Address(BIP_84.addresses[0])
    watched = Accounts([address], expansion=Expansion(NETWORK, lookout=LOOKOUT))
    book = BlockBook(chain, accounts=watched, form=BITCOIN, verify=True)
    assert await book.at(chain.paid(0, 1)) == [100]
    assert chain.asked == [1]
