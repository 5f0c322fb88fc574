"""Two people and a wallet, who are watched, and what they hold by a walk over all blocks."""

from __future__ import annotations

from connectors.base import Address
from connectors.bitcoin.accounts import Accounts, Expansion
from connectors.bitcoin.address import address_of
from connectors.bitcoin.book import BlockBook, Book
from connectors.bitcoin.descriptors import canonical, parse
from connectors.bitcoin.forms import BITCOIN
from connectors.bitcoin.networks import NETWORKS
from connectors.quorum import Header, Value
from tests.unit.bitcoin.building import pay, script
from tests.unit.bitcoin.chain import ChainSource, MemoryChain

MAINNET = NETWORKS["bitcoin"]
GAP = 3
# The account key of BIP-84's test vectors.
ZPUB = "zpub6rFR7y4Q2AijBEqTUquhVz398htDFrtymD9xYYfG1m4wAcvPhXNfE3EfH1r1ADqtfSdVCToUG868RvUUkgDKf31mGDtKsAYz2oz2AGutZYs"
WALLET = canonical(ZPUB, network=MAINNET)
RECEIVE = parse(WALLET, network=MAINNET).branches[0].scripts(0, 60)
ALICE, BOB = script(1), script(2)
EVERYTHING = ({ALICE}, {BOB}, set(RECEIVE))


def address(code: bytes) -> Address:
    found = address_of(code, network=MAINNET)
    assert found is not None
    return found


PEOPLE = (address(ALICE), address(BOB))
NAMES = (*PEOPLE, WALLET)


def accounts(*names: Address, gap: int = GAP, expansion: Expansion | None = None) -> Accounts:
    """Alice, Bob and the wallet, where no others are named."""
    return Accounts(names or NAMES, expansion=expansion or Expansion(MAINNET), gap_limits={WALLET: gap})


def book_on(source: ChainSource, *, watched: Accounts | None = None) -> BlockBook:
    """Of the three, where no others are given; it verifies what it reads."""
    return BlockBook(source, accounts=watched or accounts(), form=BITCOIN, verify=True)


def expected(chain: MemoryChain, height: int | None = None) -> list[Value]:
    """What the three hold as of a block, by a walk over all of them; nobody may be paid beyond the gap limit."""
    ledger = chain.ledger(height)
    return [ledger.of(scripts) for scripts in EVERYTHING]


async def values_at(book: Book, header: Header) -> list[Value]:
    return list(await book.at(header.hash))


def funded() -> MemoryChain:
    """A first block, then one that pays Alice 70 and the wallet's first address 7."""
    chain = MemoryChain()
    chain.pay((ALICE, 70), (RECEIVE[0], 7))
    return chain


def spend_of_alice(chain: MemoryChain, to: bytes = BOB) -> Header:
    """Mines a block in which Alice's oldest coin goes to somebody, with change; without a coin she gets one."""
    spent = next(((at, coin) for at, coin in chain.ledger().coins.items() if coin.script == ALICE), None)
    if spent is None:
        return chain.pay((ALICE, 100))
    outpoint, coin = spent
    return chain.mine(pay(outpoint, (to, coin.value // 2), (ALICE, coin.value // 4)))
