"""What blocks moved, told from histories of scripts: the same as the blocks themselves tell, each once."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import pytest

from connectors.base import Movement, Tip, Token
from connectors.bitcoin.book import BlockBook
from connectors.bitcoin.forms import BITCOIN
from connectors.bitcoin.histories import Histories
from connectors.bitcoin.movements import Describer, MinedMovements, Traced
from connectors.bitcoin.snapshot_book import SnapshotBook
from connectors.errors import Unavailable
from connectors.follow import UnknownBlock
from connectors.quorum import Header
from tests.unit.bitcoin.building import Tx, pay
from tests.unit.bitcoin.chain import STRANGER, ChainSource, HistoryChain, MemoryChain
from tests.unit.bitcoin.wallets import ALICE, BOB, MAINNET, PEOPLE, accounts, spend_of_alice

COIN = Token("btc", None, 8)


class Scene:
    """A server of histories of Alice and Bob, the book on it, and what a consumer of its movements was told."""

    def __init__(self, chain: MemoryChain) -> None:
        self.chain = chain
        self.source = HistoryChain(chain)
        watched = accounts(*PEOPLE)
        self.book = SnapshotBook(self.source, accounts=watched)
        describer = Describer(watched, network=MAINNET, coin=COIN)
        self.histories = Histories(self.source, book=self.book, describer=describer, form=BITCOIN)
        self.previous: Header | None = None

    async def tell(self, *, upto: Header | None = None) -> Sequence[Traced]:
        """Reads the newest block, and tells what moved up to there, or up to an earlier block, since the last time."""
        await self.book.at(self.chain.tip.hash)
        tip = upto or self.chain.tip
        previous = self.previous.tip if self.previous is not None else None
        told = await self.histories.mined(previous=previous, tip=tip.tip, ancestor=self._ancestor())
        self.previous = tip
        return told

    async def names(self) -> list[str]:
        return [one.movement.transaction for one in await self.tell()]

    def _ancestor(self) -> int | None:
        """The height of the newest block of the branch that was told of, where that has left the branch."""
        if self.previous is None or self._holds(self.previous.tip):
            return None
        at = self.chain.known[self.previous.hash].header
        while not self._holds(at.tip):
            at = self.chain.known[at.parent].header
        return at.height

    def _holds(self, tip: Tip) -> bool:
        branch = self.chain.branch
        return tip.height < len(branch) and branch[tip.height].header.hash == tip.hash


@pytest.fixture
def it(chain: MemoryChain) -> Scene:
    return Scene(chain)


def newest(chain: MemoryChain, *, back: int = 1) -> str:
    """The last transaction of a block, as people write it."""
    return chain.branch[-back].txs[-1].txid[::-1].hex()


# ── as the blocks tell ──────────────────────────────────────────────────────────────────────────────────────────────


@dataclass
class Blocks:
    """The same from whole blocks: a book of the same accounts that applies them."""

    chain: MemoryChain

    def __post_init__(self) -> None:
        watched = accounts(*PEOPLE)
        self.mined = MinedMovements(Describer(watched, network=MAINNET, coin=COIN))
        self.book = BlockBook(
            ChainSource(self.chain), accounts=watched, form=BITCOIN, verify=True, listeners=[self.mined]
        )

    async def movements(self, *, above: int) -> list[Movement]:
        await self.book.at(self.chain.tip.hash)
        way = self.mined.up_to(self.chain.tip.tip, above=above)
        assert way.whole
        return [one.movement for one in way.traced]


def step(chain: MemoryChain, chance: random.Random) -> None:
    """Mines a block in which Alice, Bob and strangers pay each other, some with coins of the block itself."""
    unspent = {at: coin.value for at, coin in chain.ledger().coins.items()}
    txs: list[Tx] = []
    for number in range(chance.randint(0, 4)):
        chosen = chance.sample(sorted(unspent), k=min(len(unspent), chance.randint(1, 2)))
        worth = sum(unspent.pop(at) for at in chosen)
        codes = chance.choices([ALICE, BOB, STRANGER], k=chance.randint(1, 3))
        paid = [(code, worth // len(codes)) for code in codes]
        tx = Tx([(at, b"") for at in chosen], paid, [[b"signature"]] * len(chosen), locktime=number)
        unspent |= {tx.outpoint(at): value for at, (_, value) in enumerate(paid)}
        txs.append(tx)
    chain.mine(*txs)


@pytest.mark.parametrize("seed", range(10))
async def test_histories_tell_what_the_blocks_tell(seed: int, chain: MemoryChain, it: Scene) -> None:
    """Through reorganisations to shorter and longer branches, some of which hold the same transactions again."""
    chance, blocks = random.Random(seed), Blocks(chain)
    await blocks.book.at(chain.tip.hash)
    for _ in range(60):
        chain.pay((ALICE, 100), (STRANGER, 50))
    await blocks.book.at(chain.tip.hash)
    await it.tell()
    told = 0
    for _ in range(40):
        if chance.random() < 0.3:
            dropped = chain.drop(chance.randint(1, 4))
            for mined in dropped if chance.random() < 0.5 else ():
                chain.mine_again(mined)
        for _ in range(chance.randint(1, 3)):
            step(chain, chance)
        assert it.previous is not None
        ancestor = it._ancestor()
        right = await blocks.movements(above=it.previous.height if ancestor is None else ancestor)
        found = [one.movement for one in await it.tell()]
        assert Counter(found) == Counter(right)
        assert [one.tip.height for one in found if one.tip] == [one.tip.height for one in right if one.tip]
        told += len(found)
    assert told > 40


# ── each once ───────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_the_first_reading_tells_nothing_of_what_was_before(chain: MemoryChain, it: Scene) -> None:
    assert await it.names() == []
    spend_of_alice(chain)
    assert await it.names() == [newest(chain)]


async def test_what_was_told_is_not_told_again(chain: MemoryChain, it: Scene) -> None:
    await it.tell()
    spend_of_alice(chain)
    assert await it.names() == [newest(chain)]
    chain.mine()
    assert await it.names() == []


async def test_what_lies_above_the_block_that_is_read_is_told_with_its_own(chain: MemoryChain, it: Scene) -> None:
    """The server may be ahead."""
    await it.tell()
    first = spend_of_alice(chain)
    spend_of_alice(chain)
    told = [one.movement.transaction for one in await it.tell(upto=first)]
    assert told == [newest(chain, back=2)]
    chain.pay((ALICE, 5))
    assert await it.names() == [newest(chain, back=2), newest(chain)]


async def test_a_reorganisation_that_leaves_histories_as_they_were_is_told(chain: MemoryChain, it: Scene) -> None:
    """The same transactions at the same heights, in other blocks: no status has changed."""
    await it.tell()
    spend_of_alice(chain)
    before = await it.tell()
    (dropped,) = chain.drop(1)
    chain.mine_again(dropped)
    chain.mine()
    again = await it.tell()
    assert [one.movement.transaction for one in again] == [one.movement.transaction for one in before]
    assert [one.movement.tip for one in again] == [chain.branch[-2].header.tip]


async def test_after_a_reorganisation_another_spend_of_a_coin_that_no_reading_saw_is_described_whole(
    chain: MemoryChain, it: Scene
) -> None:
    await it.tell()
    chain.pay((ALICE, 1000))
    coin = chain.txs[chain.branch[-1].txs[0].txid].outpoint(0)
    chain.mine(pay(coin, (BOB, 900)))
    await it.tell()
    chain.drop(1)
    chain.mine(pay(coin, (STRANGER, 980)))
    (told,) = await it.tell()
    assert (told.movement.changes, told.movement.fee) == (((PEOPLE[0], -1000),), 20)


async def test_only_histories_that_changed_are_asked_for(chain: MemoryChain, it: Scene) -> None:
    await it.tell()
    chain.mine()
    await it.tell()
    assert it.source.calls["confirmed"] == 0
    chain.pay((BOB, 5))
    await it.tell()
    assert it.source.calls["confirmed"] == 1


async def test_after_a_reorganisation_histories_below_it_are_not_asked_for(chain: MemoryChain, it: Scene) -> None:
    await it.tell()
    chain.pay((BOB, 5))
    await it.tell()
    chain.mine()
    chain.pay((ALICE, 5))
    await it.tell()
    asked = it.source.calls["confirmed"]
    chain.drop(1)
    chain.mine()
    chain.mine()
    await it.tell()
    assert it.source.calls["confirmed"] == asked + 1  # Alice's, whose status has changed


async def test_it_can_tell_of_no_block_that_the_book_has_not_read(chain: MemoryChain, it: Scene) -> None:
    """The book knows what has changed up to the last block that it was asked for."""
    await it.tell()
    assert it.histories.can_tell(chain.tip.tip)
    spend_of_alice(chain)
    assert not it.histories.can_tell(chain.tip.tip)
    with pytest.raises(UnknownBlock):
        await it.book.at(chain.branch[0].header.hash)
    assert not it.histories.can_tell(chain.tip.tip)
    await it.book.at(chain.tip.hash)
    assert it.histories.can_tell(chain.tip.tip)


# ── a source that fails ─────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("question", ["confirmed", "header_at", "transactions"])
async def test_what_could_not_be_told_is_owed(question: str, chain: MemoryChain, it: Scene) -> None:
    """And told with what came later."""
    await it.tell()

    async def away(what: str) -> None:
        if what == question:
            raise Unavailable("memory: away")

    calm, it.source.before = it.source.before, away
    names = []
    for _ in range(3):
        spend_of_alice(chain)
        names.append(newest(chain))
        with pytest.raises(Unavailable, match="away"):
            await it.tell()
        it.previous = chain.tip
    it.source.before = calm
    chain.mine()
    assert await it.names() == names
    chain.mine()
    assert await it.names() == []


async def test_a_transaction_that_a_reorganisation_took_meanwhile_is_told_when_it_is_mined_again(
    chain: MemoryChain, it: Scene
) -> None:
    await it.tell()
    asked = spend_of_alice(chain)
    dropped = chain.branch[-1]

    async def reorganised(what: str) -> None:
        if what == "transactions" and chain.branch[-1] is dropped:
            chain.drop(1)

    it.source.before = reorganised
    with pytest.raises(Unavailable, match="its blocks changed while their movements were read"):
        await it.tell(upto=asked)
    chain.mine()
    chain.mine_again(dropped)
    (told,) = await it.tell()
    assert told.movement.tip == chain.tip.tip


async def test_a_block_that_histories_name_and_the_source_lacks_is_no_movement(chain: MemoryChain, it: Scene) -> None:
    await it.tell()
    asked = spend_of_alice(chain)

    async def reorganised(what: str) -> None:
        if what == "header_at":
            chain.drop(1)

    it.source.before = reorganised
    with pytest.raises(Unavailable, match="lacks block 2, which its histories name"):
        await it.tell(upto=asked)


async def test_a_payment_is_described_whole(chain: MemoryChain, it: Scene) -> None:
    """Who pays whom, also with a coin that was made in the same stretch, and the fee."""
    await it.tell()
    chain.pay((ALICE, 1000))
    made = chain.txs[chain.branch[-1].txs[0].txid]
    chain.mine(pay(made.outpoint(0), (BOB, 600), (STRANGER, 300), (ALICE, 90)))
    *_, movement = (one.movement for one in await it.tell())
    alice, bob = PEOPLE
    assert (movement.changes, movement.change, movement.fee) == (((alice, -910), (bob, 600)), 90, 10)
    assert [party.units for party in movement.destinations] == [300]
    assert [party.name for party in movement.sources] == [alice]
