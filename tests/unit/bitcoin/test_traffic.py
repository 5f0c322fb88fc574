"""The stage of each transaction: what is told when mempools, blocks and reorganisations come in any order."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import NamedTuple

from hypothesis import given, settings
from hypothesis import strategies as st

from connectors.base import Movement, Stage, Tip, Token
from connectors.bitcoin.accounts import Accounts, Expansion
from connectors.bitcoin.mempool import Mempool
from connectors.bitcoin.movements import Describer, Traced
from connectors.bitcoin.networks import NETWORKS
from connectors.bitcoin.traffic import REMEMBERED, Traffic

COIN = Token("btc", None, 8)
REGTEST = NETWORKS["regtest"]


def name(number: int) -> str:
    return f"{number:064x}"


def txid(number: int) -> bytes:
    return bytes.fromhex(name(number))[::-1]


def traced(number: int, *, spends: int | None = None, tip: Tip | None = None, fee: int | None = 1) -> Traced:
    """Transaction `number`, which spends coin `spends`: its own if nothing is said."""
    movement = Movement(
        transaction=name(number),
        token=COIN,
        stage=Stage.PENDING if tip is None else Stage.MINED,
        tip=tip,
        changes=(),
        change=0,
        destinations=(),
        sources=(),
        fee=fee,
        size=100,
    )
    return Traced(movement, (bytes([number if spends is None else spends]) * 36,))


def block(height: int, branch: str = "a") -> Tip:
    return Tip(height, f"{branch}{height}", datetime(2026, 1, 1, tzinfo=UTC))


def mempool() -> Mempool:
    accounts = Accounts((), expansion=Expansion(REGTEST))
    return Mempool(Describer(accounts, network=REGTEST, coin=COIN), coin_at=lambda _: None)


def listed(pool: Mempool, *held: Traced, height: int) -> None:
    """A whole listing at the source."""
    pool.pending.clear()
    number = pool.begin()
    pool.pending |= {bytes.fromhex(one.movement.transaction)[::-1]: one for one in held}
    pool.settle(pool.pending.keys(), number=number, height=height)
    pool.failing = False


class View:
    """A Traffic, and what it told last of each transaction."""

    def __init__(self, *pools: Mempool) -> None:
        self.traffic = Traffic(pools)
        self.stages: dict[int, Stage] = {}
        self.told: list[Movement] = []

    def tell(self, tip: Tip | None, *mined: Traced, ancestor: int | None = None) -> list[tuple[int, Stage]]:
        self.told = list(self.traffic.tell(tip, ancestor=ancestor, mined=mined))
        news = [(int(one.transaction, 16), one.stage) for one in self.told]
        self.stages |= dict(news)
        return news


def test_a_sighting_is_told_once() -> None:
    pool = mempool()
    view = View(pool)
    listed(pool, traced(1), height=5)
    assert view.tell(block(5)) == [(1, Stage.PENDING)]
    assert view.tell(block(5)) == []


def test_a_sighting_is_told_also_while_the_chain_cannot_be_read() -> None:
    pool = mempool()
    view = View(pool)
    listed(pool, traced(1), height=5)
    assert view.tell(None) == [(1, Stage.PENDING)]


def test_a_fee_that_becomes_known_is_told() -> None:
    pool = mempool()
    view = View(pool)
    listed(pool, traced(1, fee=None), height=5)
    view.tell(block(5))
    listed(pool, traced(1, fee=7), height=5)
    assert view.tell(block(5)) == [(1, Stage.PENDING)]
    assert view.told[0].fee == 7


def test_of_two_sources_the_one_that_knows_the_fee_is_believed() -> None:
    pools = mempool(), mempool()
    view = View(*pools)
    listed(pools[0], traced(1, fee=None), height=5)
    listed(pools[1], traced(1, fee=7), height=5)
    view.tell(block(5))
    assert [one.fee for one in view.told] == [7]


def test_what_left_the_mempool_for_a_block_that_is_not_read_yet_is_not_evicted() -> None:
    pool = mempool()
    view = View(pool)
    listed(pool, traced(1), height=5)
    view.tell(block(5))
    listed(pool, height=6)
    assert view.tell(block(5)) == []
    listed(pool, height=6)
    assert view.tell(block(5)) == []
    assert view.tell(block(6), traced(1, tip=block(6))) == [(1, Stage.MINED)]


def test_what_is_in_no_mempool_and_in_no_block_is_evicted_after_another_listing() -> None:
    pool = mempool()
    view = View(pool)
    listed(pool, traced(1), height=5)
    view.tell(block(5))
    listed(pool, height=5)
    assert view.tell(block(5)) == []
    assert view.traffic.lost
    listed(pool, height=5)
    assert view.tell(block(5)) == [(1, Stage.EVICTED)]
    assert not view.traffic.lost


def test_what_is_gone_is_evicted_also_where_blocks_are_read_late() -> None:
    """The newest block is then always above the one that is read, however often the source is listed."""
    pool = mempool()
    view = View(pool)
    listed(pool, traced(1), height=7)
    view.tell(block(5))
    listed(pool, height=7)
    view.tell(block(5))
    for height in (6, 7):
        listed(pool, height=height + 1)
        assert view.tell(block(height - 1)) == []
    listed(pool, height=9)
    assert view.tell(block(7)) == [(1, Stage.EVICTED)]


def test_a_source_that_is_away_takes_nothing_back() -> None:
    pools = mempool(), mempool()
    view = View(*pools)
    listed(pools[0], traced(1), height=5)
    listed(pools[1], height=5)
    view.tell(block(5))
    pools[0].failing = True
    for height in range(6, 10):
        listed(pools[1], height=height)
        assert view.tell(block(height)) == []


def test_a_source_that_is_away_reports_nothing_new_either() -> None:
    """What its last listing held may be gone for long."""
    pool = mempool()
    view = View(pool)
    listed(pool, traced(1), height=5)
    pool.failing = True
    assert view.tell(block(5)) == []


def test_nothing_is_evicted_before_every_source_that_answers_was_asked() -> None:
    pools = mempool(), mempool()
    view = View(*pools)
    listed(pools[0], traced(1), height=5)
    listed(pools[1], height=5)
    view.tell(block(5))
    listed(pools[0], height=5)
    view.tell(block(5))
    listed(pools[0], height=5)
    assert view.tell(block(5)) == []
    listed(pools[1], height=5)
    assert view.tell(block(5)) == [(1, Stage.EVICTED)]


def test_a_rival_in_the_mempool_replaces() -> None:
    pool = mempool()
    view = View(pool)
    listed(pool, traced(1, spends=9), height=5)
    view.tell(block(5))
    listed(pool, traced(2, spends=9), height=5)
    assert view.tell(block(5)) == [(2, Stage.PENDING), (1, Stage.REPLACED)]
    assert view.told[1].replaced_by == name(2)


def test_a_rival_that_pays_nobody_we_know_replaces_too() -> None:
    pool = mempool()
    view = View(pool)
    listed(pool, traced(1), height=5)
    view.tell(block(5))
    listed(pool, height=5)
    pool.rivals[txid(1)] = txid(7)
    view.tell(block(5))
    assert [(one.stage, one.replaced_by) for one in view.told] == [(Stage.REPLACED, name(7))]


def test_a_mined_rival_replaces_what_a_source_still_lists() -> None:
    pool = mempool()
    view = View(pool)
    listed(pool, traced(1, spends=9), height=5)
    view.tell(block(5))
    news = view.tell(block(6), traced(2, spends=9, tip=block(6)))
    assert news == [(2, Stage.MINED), (1, Stage.REPLACED)]
    assert view.tell(block(6)) == []


def test_what_a_reorganisation_undoes_is_pending_where_it_is_listed_again() -> None:
    pool = mempool()
    view = View(pool)
    view.tell(block(5), traced(1, tip=block(5)))
    listed(pool, traced(1), height=6)
    assert view.tell(block(6, "b"), ancestor=4) == [(1, Stage.PENDING)]


def test_what_a_reorganisation_undoes_is_not_evicted_by_a_listing_from_before() -> None:
    pool = mempool()
    view = View(pool)
    listed(pool, height=5)
    view.tell(block(5), traced(1, tip=block(5)))
    assert view.tell(block(6, "b"), ancestor=4) == []
    listed(pool, height=6)
    assert view.tell(block(6, "b")) == [(1, Stage.EVICTED)]


def test_what_a_reorganisation_undoes_stands_in_nobodys_way() -> None:
    pool = mempool()
    view = View(pool)
    view.tell(block(5), traced(1, spends=9, tip=block(5)))
    listed(pool, traced(2, spends=9), height=6)
    assert view.tell(block(6, "b"), ancestor=4) == [(2, Stage.PENDING), (1, Stage.REPLACED)]


def test_what_both_branches_hold_is_told_with_its_new_block() -> None:
    view = View(mempool())
    view.tell(block(5), traced(1, tip=block(5)))
    assert view.tell(block(6, "b"), traced(1, tip=block(6, "b")), ancestor=4) == [(1, Stage.MINED)]
    assert view.told[0].tip == block(6, "b")


def test_coinbases_are_no_rivals_of_each_other() -> None:
    """All spend the same nothing; a describer leaves that out."""
    pool = mempool()
    view = View(pool)
    reward = replace(traced(1, tip=block(5)), inputs=())
    view.tell(block(5), reward)
    assert view.tell(block(6, "b"), replace(traced(2, tip=block(6, "b")), inputs=()), ancestor=4) == [(2, Stage.MINED)]
    listed(pool, height=6)
    assert view.tell(block(6, "b")) == [(1, Stage.EVICTED)]


def test_what_ended_long_ago_is_forgotten() -> None:
    view = View(mempool())
    view.tell(block(5), traced(1, tip=block(5)))
    view.tell(block(5 + REMEMBERED))
    assert view.tell(block(5 + REMEMBERED), traced(1, tip=block(5))) == []
    view.tell(block(6 + REMEMBERED))
    assert view.tell(block(6 + REMEMBERED), traced(1, tip=block(5))) == [(1, Stage.MINED)]


# ── any order of anything ───────────────────────────────────────────────────────────────────────────────────────────

TRANSACTIONS, COINS, POOLS = 8, 4, 2


def spent_by(number: int) -> int:
    """Transactions 0 and 4 spend one coin, 1 and 5 another, and so on."""
    return number % COINS


class Step(NamedTuple):
    """`what` happens to transaction `number` at source `pool`, or to so many blocks."""

    what: str
    number: int
    pool: int
    quiet: bool


STEPS = st.lists(
    st.builds(
        Step,
        st.sampled_from(["enter", "evict", "mine", "reorganise", "fail"]),
        st.integers(0, TRANSACTIONS - 1),
        st.integers(0, POOLS - 1),
        st.booleans(),
    ),
    max_size=30,
)


class World:
    """A chain and the mempools of two sources, as they really are."""

    def __init__(self) -> None:
        self.blocks: list[tuple[Tip, set[int]]] = [(block(0), set())]
        self.pools: list[set[int]] = [set() for _ in range(POOLS)]
        self._branches = 0

    @property
    def tip(self) -> Tip:
        return self.blocks[-1][0]

    @property
    def mined(self) -> dict[int, Tip]:
        return {number: tip for tip, numbers in self.blocks for number in numbers}

    def enter(self, number: int, pool: int) -> None:
        """As a node does: in place of what it conflicts with, unless the chain has spent the coin."""
        if spent_by(number) not in {spent_by(one) for one in self.mined}:
            self.pools[pool] -= {one for one in self.pools[pool] if spent_by(one) == spent_by(number)}
            self.pools[pool].add(number)

    def mine(self, numbers: set[int], *, branch: str) -> None:
        self.blocks.append((block(self.tip.height + 1, branch), numbers))
        spent = {spent_by(number) for number in numbers}
        self.pools = [{one for one in pool if spent_by(one) not in spent} for pool in self.pools]

    def reorganise(self, depth: int, *, keep: bool) -> int:
        """The height of the last block that stays. What was undone comes back into the first mempool, or does not."""
        depth = min(depth, len(self.blocks) - 1)
        undone = [number for _, numbers in self.blocks[len(self.blocks) - depth :] for number in sorted(numbers)]
        del self.blocks[len(self.blocks) - depth :]
        self._branches += 1
        ancestor = self.tip.height
        for number in undone if keep else ():
            self.enter(number, 0)
        for _ in range(depth + 1):
            self.mine(set(), branch=f"r{self._branches}-")
        return ancestor

    def stage(self, number: int) -> Stage:
        """As it must be told in the end, of what is not in any mempool or block only that it is gone."""
        if number in self.mined:
            return Stage.MINED
        return Stage.PENDING if any(number in pool for pool in self.pools) else Stage.EVICTED


@settings(max_examples=400)
@given(STEPS)
def test_once_everything_was_listed_and_read_each_stage_is_the_true_one(steps: list[Step]) -> None:
    """And on the way nothing is called gone that is in a mempool that can be asked, or in a block."""
    world, pools = World(), [mempool() for _ in range(POOLS)]
    view = View(*pools)
    read, ancestor = world.tip, None

    def listing(number: int) -> None:
        held = (traced(one, spends=spent_by(one)) for one in sorted(world.pools[number]))
        listed(pools[number], *held, height=world.tip.height)

    def reading() -> None:
        nonlocal read, ancestor
        above = read.height if ancestor is None else ancestor
        mined = [
            traced(one, spends=spent_by(one), tip=tip)
            for tip, numbers in world.blocks
            for one in sorted(numbers)
            if tip.height > above
        ]
        view.tell(world.tip, *mined, ancestor=ancestor)
        read, ancestor = world.tip, None

    for what, number, pool, quiet in steps:
        if what == "enter":
            world.enter(number, pool)
        elif what == "evict":
            world.pools[pool].discard(number)
        elif what == "mine":
            spending = {spent_by(one): one for one in sorted(world.pools[pool]) if one <= number}
            world.mine(set(spending.values()), branch="a")
        elif what == "reorganise":
            lowest = world.reorganise(1 + number % 3, keep=quiet)
            ancestor = min(lowest, read.height if ancestor is None else ancestor)
        else:
            pools[pool].failing = True
        if not quiet:
            listing(pool)
            reading()
            gone = [one for one, stage in view.stages.items() if stage is Stage.EVICTED and one in world.pools[pool]]
            assert not gone

    for _ in range(3):
        for number in range(POOLS):
            listing(number)
        reading()
    for number, stage in view.stages.items():
        true = world.stage(number)
        if true is Stage.EVICTED:
            assert stage in (Stage.REPLACED, Stage.EVICTED)  # a rival of what was evicted before changes nothing
        else:
            assert stage is true
    assert all(number in view.stages for number in (*world.mined, *(one for pool in world.pools for one in pool)))
