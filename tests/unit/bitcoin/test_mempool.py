"""One source's mempool: what counts as pending, in which words, and what is gone."""

from __future__ import annotations

from dataclasses import dataclass, field

from hypothesis import given, settings
from hypothesis import strategies as st

from connectors.base import Address, Stage, Token
from connectors.bitcoin import mempool as module
from connectors.bitcoin.accounts import Accounts, Expansion
from connectors.bitcoin.address import address_of
from connectors.bitcoin.coins import Coin
from connectors.bitcoin.mempool import Mempool
from connectors.bitcoin.movements import Describer
from connectors.bitcoin.networks import NETWORKS
from connectors.bitcoin.transaction import Transaction, read_transaction
from tests.unit.bitcoin.building import Tx, coinbase, pay, script

REGTEST = NETWORKS["regtest"]
OURS, COLD, STRANGER = script(1), script(2), script(99)
WATCHED = (OURS, COLD)


def address(of: bytes) -> Address:
    found = address_of(of, network=REGTEST)
    assert found is not None
    return found


def place(number: int) -> bytes:
    """An outpoint."""
    return bytes([number]) * 32 + bytes(4)


def read(tx: Tx) -> Transaction:
    transaction = read_transaction(tx.raw(), form=REGTEST.block)
    assert transaction is not None
    return transaction


@dataclass
class Scene:
    """A mempool over coins that a test puts there."""

    coins: dict[bytes, Coin] = field(default_factory=dict)

    def __post_init__(self) -> None:
        accounts = Accounts([address(one) for one in WATCHED], expansion=Expansion(REGTEST))
        accounts.extend()
        describer = Describer(accounts, network=REGTEST, coin=Token("btc", None, 8))
        self.pool = Mempool(describer, coin_at=self.coins.get)

    def coin(self, number: int, value: int, of: bytes = COLD) -> bytes:
        self.coins[place(number)] = Coin(of, value, 1, coinbase=False)
        return place(number)

    def offer(self, tx: Tx, *, fee: int | None = None) -> bool:
        return self.pool.offer(read(tx), fee=fee)

    def list(self, *txs: Tx, height: int = 5) -> None:
        """A whole listing of the source, which holds exactly these."""
        number = self.pool.begin()
        for tx in txs:
            if tx.txid() not in self.pool.examined:
                self.offer(tx)
        self.pool.settle([tx.txid() for tx in txs], number=number, height=height)

    def changes(self, tx: Tx) -> dict[Address, int]:
        return dict(self.pool.pending[tx.txid()].movement.changes)


def test_a_spend_of_a_watched_coin_is_pending_with_what_it_takes() -> None:
    scene = Scene()
    spend = pay(scene.coin(1, 100), (STRANGER, 70), (COLD, 20))
    assert scene.offer(spend)
    movement = scene.pool.pending[spend.txid()].movement
    assert (movement.stage, movement.fee, movement.change) == (Stage.PENDING, 10, 20)
    assert movement.changes == ((address(COLD), -80),)


def test_what_touches_nothing_is_examined_and_not_pending() -> None:
    scene = Scene()
    tx = pay(place(1), (STRANGER, 5))
    assert not scene.offer(tx)
    assert (scene.pool.pending, scene.pool.examined) == ({}, {tx.txid()})


def test_a_spend_of_what_is_itself_pending_touches_us() -> None:
    scene = Scene()
    first = pay(place(1), (OURS, 50))
    second = pay(first.outpoint(0), (STRANGER, 45))
    assert scene.offer(first)
    assert scene.offer(second)
    assert scene.changes(second) == {address(OURS): -50}


def test_what_spends_the_same_coin_takes_the_place_of_what_did() -> None:
    scene = Scene()
    coin = scene.coin(1, 100)
    old, new = pay(coin, (STRANGER, 90)), pay(coin, (STRANGER, 80))
    scene.offer(old)
    scene.offer(new)
    assert list(scene.pool.pending) == [new.txid()]
    assert old.txid() not in scene.pool.examined


def test_a_stranger_that_takes_the_payers_coin_is_remembered_as_the_rival() -> None:
    scene = Scene()
    deposit, double = pay(place(1), (OURS, 50)), pay(place(1), (STRANGER, 40))
    scene.offer(deposit)
    assert not scene.offer(double)
    assert scene.pool.pending == {}
    assert scene.pool.rivals == {deposit.txid(): double.txid()}


def test_a_rival_of_what_has_left_is_none() -> None:
    scene = Scene()
    deposit, double = pay(place(1), (OURS, 50)), pay(place(1), (STRANGER, 40))
    scene.list(deposit)
    scene.list()
    scene.offer(double)
    assert scene.pool.rivals == {}


def test_only_so_many_rivals_are_remembered() -> None:
    scene = Scene()
    for number in range(module.MOST_RIVALS + 5):
        coin = number.to_bytes(32, "big") + bytes(4)
        scene.pool.rivals[coin] = coin
    scene.offer(pay(place(1), (OURS, 50)))
    scene.offer(pay(place(1), (STRANGER, 40)))
    assert len(scene.pool.rivals) == module.MOST_RIVALS
    assert pay(place(1), (OURS, 50)).txid() in scene.pool.rivals


def test_the_reward_of_a_block_is_no_pending_transaction_and_replaces_no_other() -> None:
    """Notices tell the transactions of a new block, too; all rewards spend the same nothing."""
    scene = Scene()
    for height in (1, 2):
        assert not scene.offer(coinbase(height, (OURS, 50)))
    assert (scene.pool.pending, scene.pool.rivals, scene.pool.examined) == ({}, {}, set())


def test_a_fee_that_is_known_is_not_forgotten_when_the_transaction_is_told_again() -> None:
    scene = Scene()
    deposit = pay(place(1), (OURS, 50))
    scene.offer(deposit)
    scene.pool.price({deposit.txid(): 7, pay(place(2)).txid(): 3})
    scene.offer(deposit)
    assert scene.pool.pending[deposit.txid()].movement.fee == 7


def test_a_price_does_not_change_what_is_known_from_the_coins() -> None:
    scene = Scene()
    spend = pay(scene.coin(1, 100), (STRANGER, 70))
    scene.offer(spend)
    scene.pool.price({spend.txid(): 7})
    assert scene.pool.pending[spend.txid()].movement.fee == 30


def test_a_listing_takes_away_what_it_lacks_and_what_was_examined_for_it() -> None:
    scene = Scene()
    stays, goes, other = pay(place(1), (OURS, 1)), pay(place(2), (OURS, 2)), pay(place(3), (STRANGER, 3))
    scene.list(stays, goes, other)
    scene.list(stays, height=6)
    assert list(scene.pool.pending) == [stays.txid()]
    assert scene.pool.examined == {stays.txid()}
    assert (scene.pool.settled, scene.pool.begun, scene.pool.height) == (2, 2, 6)


def test_a_listing_of_scripts_takes_away_only_what_touches_them() -> None:
    scene = Scene()
    spends, pays = pay(scene.coin(1, 100, COLD), (STRANGER, 90)), pay(place(2), (OURS, 2))
    scene.offer(spends)
    scene.offer(pays)
    scene.pool.settle_scripts({STRANGER}, listed=())
    assert len(scene.pool.pending) == 2
    scene.pool.settle_scripts({COLD}, listed=())
    assert list(scene.pool.pending) == [pays.txid()]
    scene.pool.settle_scripts({OURS}, listed={pays.txid()})
    assert list(scene.pool.pending) == [pays.txid()]
    scene.pool.settle_scripts({OURS}, listed=())
    assert scene.pool.pending == {}


def test_what_has_left_for_a_block_that_is_not_read_yet_can_still_be_spent() -> None:
    """Its coins are in no book for as long."""
    scene = Scene()
    first = pay(place(1), (COLD, 50))
    scene.list(first)
    scene.list()
    theft = pay(first.outpoint(0), (STRANGER, 45))
    scene.list(theft)
    assert scene.changes(theft) == {address(COLD): -50}


def test_only_so_many_coins_of_what_has_left_are_remembered() -> None:
    scene = Scene()
    payout = Tx([(place(1), b"")], [(OURS, 1)] * (module.MOST_LEFT + 5))
    scene.list(payout)
    scene.list()
    assert not scene.offer(pay(payout.outpoint(0), (STRANGER, 1)))
    assert scene.offer(pay(payout.outpoint(module.MOST_LEFT + 4), (STRANGER, 1)))


def test_a_spend_of_two_coins_is_told_whole_once_both_are_known() -> None:
    scene = Scene()
    old = scene.coin(1, 100)
    spend = Tx([(old, b""), (place(2), b"")], [(STRANGER, 140)])
    scene.list(spend)
    assert scene.changes(spend) == {address(COLD): -100}
    scene.coin(2, 50)
    scene.list(spend)
    assert scene.changes(spend) == {address(COLD): -150}
    assert scene.pool.pending[spend.txid()].movement.fee == 10


def test_what_is_known_whole_is_not_looked_at_again() -> None:
    scene = Scene()
    spend = Tx([(scene.coin(1, 100), b""), (place(2), b"")], [(STRANGER, 140)])
    scene.list(spend)
    scene.pool.begin()
    assert scene.pool.examined == {spend.txid()}


# ── any order of anything ───────────────────────────────────────────────────────────────────────────────────────────

COINS = [place(number) for number in range(1, 5)]
"""The first two are ours."""


def _family() -> list[Tx]:
    """Transactions that spend each other and conflict with each other in many ways."""
    first = [pay(coin, (out, 50), (STRANGER, number)) for number, coin in enumerate(COINS) for out in (OURS, STRANGER)]
    second = [pay(parent.outpoint(0), (out, 40)) for parent in first[:6] for out in (COLD, STRANGER)]
    both = [
        Tx([(COINS[0], b""), (COINS[2], b"")], [(STRANGER, 60)]),
        Tx([(COINS[3], b""), (COINS[2], b"")], [(COLD, 9)]),
    ]
    return [*first, *second, *both]


FAMILY = _family()


class Naive:
    """What is in the mempool, looked through anew for every question."""

    def __init__(self) -> None:
        self.held: list[Tx] = []

    def enter(self, tx: Tx) -> None:
        spent = {outpoint for outpoint, _ in tx.inputs}
        self.held = [one for one in self.held if one is tx or spent.isdisjoint(place for place, _ in one.inputs)]
        if tx not in self.held:
            self.held.append(tx)

    def coin(self, outpoint: bytes) -> tuple[bytes, int] | None:
        if outpoint in COINS[:2]:
            return COLD, 100
        for tx in FAMILY:  # a coin is where it was made, whatever became of its maker
            for number, (paid, value) in enumerate(tx.outputs):
                if tx.outpoint(number) == outpoint and paid in WATCHED:
                    return paid, value
        return None

    def changes(self) -> dict[bytes, dict[Address, int]]:
        found: dict[bytes, dict[Address, int]] = {}
        for tx in self.held:
            net: dict[Address, int] = {}
            moves = [(coin[0], -coin[1]) for outpoint, _ in tx.inputs if (coin := self.coin(outpoint))]
            for paid, units in [*moves, *((paid, value) for paid, value in tx.outputs if paid in WATCHED)]:
                net[address(paid)] = net.get(address(paid), 0) + units
            if net:
                found[tx.txid()] = net
        return found


@settings(max_examples=300)
@given(
    st.lists(st.tuples(st.sampled_from(["enter", "leave", "list"]), st.integers(0, len(FAMILY) - 1)), max_size=40),
)
def test_pending_is_what_the_mempool_holds_that_touches_us(steps: list[tuple[str, int]]) -> None:
    """Parents enter before their children, as at every node; what conflicts leaves; all in words from all coins."""
    scene, naive = Scene(), Naive()
    for number in (1, 2):
        scene.coin(number, 100)
    seen: set[bytes] = set()
    for what, number in steps:
        tx = FAMILY[number]
        if what == "enter":
            parents = [one for one in FAMILY if any(outpoint[:32] == one.txid() for outpoint, _ in tx.inputs)]
            if all(parent.txid() in seen for parent in parents):
                seen.add(tx.txid())
                naive.enter(tx)
                scene.offer(tx)
        elif what == "leave":
            naive.held = [one for one in naive.held if one is not tx]
            scene.list(*naive.held)
        else:
            scene.list(*naive.held)
        found = {txid: dict(one.movement.changes) for txid, one in scene.pool.pending.items()}
        assert found == naive.changes()
