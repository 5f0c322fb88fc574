"""From readings to updates: a naive consumer that applies them always ends up with what the chain really holds."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from connectors.base import Address, Held, Token, Unread, Update, Watch
from connectors.errors import Reason, Unavailable
from connectors.follow import Follower, Reader
from connectors.heads import Heads
from connectors.quorum import Flaw
from connectors.transport import Timing
from tests.unit.connectors.chain import START, Chain, FakeNode, read_at, units

A = Chain(100)
DOWN = Unavailable("down")
COIN, COPPER = Token("eth", None, 18), Token("eth", "0xc0", 6)
ACCOUNTS = tuple(Address(f"acc{i}") for i in range(3))
WATCH = Watch("eth", ACCOUNTS, (COIN, COPPER))
PAIRS = [(account, token) for account in ACCOUNTS for token in WATCH.tokens]
ERROR = Flaw(Reason.NODE_ERROR, "refused")


@dataclass
class Scene:
    """Nodes that hold `A` at first, and a follower above them."""

    agree: int = 1
    count: int = 1
    time: float = 0.0
    nodes: list[FakeNode] = field(default_factory=list)

    def __post_init__(self) -> None:
        timing = Timing(clock=lambda: self.time, rng=lambda: 1.0)
        self.nodes = [FakeNode(name, timing, A) for name in "xyz"[: self.count]]
        heads = Heads(self.nodes, agree=self.agree, timing=timing, now=self.now)
        reader = Reader(self.nodes, heads=heads, read_at=read_at, agree=self.agree, timing=timing)
        self.follower = Follower(reader, watch=WATCH, now=self.now)

    def now(self) -> datetime:
        return START + timedelta(seconds=self.time)

    async def poll(self, *, seconds: float = 1) -> Update:
        self.time += seconds
        return await self.follower.next()

    def move(self, chain: Chain) -> None:
        for node in self.nodes:
            node.chain = chain


def truth(block: str) -> dict[tuple[Address, Token], int]:
    return {pair: units(index, block=block) for index, pair in enumerate(PAIRS)}


def held(update: Update) -> dict[tuple[Address, Token], int]:
    return {(one.account, one.token): one.units for one in update.held}


async def test_the_first_update_is_complete() -> None:
    scene = Scene()
    update = await scene.poll()
    assert update.complete
    assert (update.tip, update.previous, update.seen) == (A.head.tip, None, scene.now())
    assert held(update) == truth("a100")


async def test_an_unchanged_head_says_only_that_it_was_looked_at() -> None:
    scene = Scene()
    await scene.poll()
    assert await scene.poll() == Update("eth", scene.now(), tip=A.head.tip, previous=A.head.tip)
    assert scene.nodes[0].readings == 1


async def test_a_new_head_brings_only_what_changed() -> None:
    scene = Scene()
    await scene.poll()
    scene.move(A.grown(2))
    update = await scene.poll()
    assert (update.complete, update.previous, update.tip) == (False, A.head.tip, A.grown(2).head.tip)
    assert held(update) == {pair: value for pair, value in truth("a102").items() if value != truth("a100")[pair]}
    assert len(update.held) == 3


async def test_an_account_that_fails_is_unread_alone_and_comes_back() -> None:
    scene = Scene()
    scene.nodes[0].scripted[1] = ERROR
    update = await scene.poll()
    assert update.unread == (Unread(ACCOUNTS[0], COPPER, Reason.NODE_ERROR, "refused"),)
    assert len(update.held) == 5
    scene.nodes[0].scripted.clear()
    scene.move(A.grown())
    assert Held(ACCOUNTS[0], COPPER, 1001) in (await scene.poll()).held


async def test_an_account_that_begins_to_fail_is_told_once() -> None:
    scene = Scene()
    await scene.poll()
    scene.nodes[0].scripted[1] = ERROR
    scene.move(A.grown())
    assert [one.account for one in (await scene.poll()).unread] == [ACCOUNTS[0]]
    scene.nodes[0].scripted[1] = Flaw(Reason.NODE_ERROR, "refused in other words")
    scene.move(A.grown(2))
    assert (await scene.poll()).unread == ()
    scene.nodes[0].scripted[1] = Flaw(Reason.BAD_ANSWER, "nonsense")
    scene.move(A.grown(3))
    assert [one.reason for one in (await scene.poll()).unread] == [Reason.BAD_ANSWER]


async def test_an_account_that_failed_gets_a_second_look_at_the_same_block() -> None:
    scene = Scene()
    scene.nodes[0].scripted[1] = ERROR
    await scene.poll()
    scene.nodes[0].scripted.clear()
    update = await scene.poll()
    assert (update.tip, update.previous, update.complete) == (A.head.tip, A.head.tip, False)
    assert update.held == (Held(ACCOUNTS[0], COPPER, 1001),)


async def test_a_second_look_that_fails_takes_nothing_away() -> None:
    scene = Scene()
    scene.nodes[0].scripted[1] = ERROR
    await scene.poll()
    scene.nodes[0].read_error = DOWN
    update = await scene.poll()
    assert (update.failure, update.held, update.unread) == (None, (), ())


async def test_a_failed_poll_is_a_failure_without_a_number_and_then_all_is_read_again() -> None:
    scene = Scene()
    await scene.poll()
    scene.nodes[0].error = DOWN
    update = await scene.poll()
    assert update.failure is not None
    assert (update.failure.reason, update.tip, update.held, update.complete) == (Reason.UNAVAILABLE, None, (), False)
    scene.nodes[0].error = None
    update = await scene.poll()
    assert (update.complete, update.previous, held(update)) == (True, A.head.tip, truth("a100"))


async def test_a_node_that_knows_its_head_but_fails_to_read_is_a_failure() -> None:
    scene = Scene()
    scene.nodes[0].read_error = Unavailable("x: every balance failed", reason=Reason.NODE_ERROR)
    update = await scene.poll()
    assert update.failure is not None
    assert (update.failure.reason, update.failure.detail) == (Reason.NODE_ERROR, "x: every balance failed")


async def test_a_reorg_is_complete_and_says_how_deep() -> None:
    scene = Scene()
    for height in (98, 99, 100):
        scene.move(Chain(height))
        await scene.poll()
    scene.move(A.forked(at=99, name="b", top=101))
    update = await scene.poll()
    assert (update.complete, update.reorg_depth) == (True, 2)
    assert update.previous == A.head.tip
    assert held(update) == truth("b101")
    scene.move(A.forked(at=99, name="b", top=102))
    assert (await scene.poll()).reorg_depth == 0


async def test_a_restarted_development_chain_is_read_anew() -> None:
    scene = Scene()
    await scene.poll()
    scene.move(Chain(2, ((0, "n"),)))
    update = await scene.poll()
    assert (update.complete, update.reorg_depth, held(update)) == (True, 101, truth("n2"))


async def test_a_block_that_is_gone_before_it_is_read_is_not_half_told() -> None:
    scene = Scene()
    scene.nodes[0].lost.add("a100")
    update = await scene.poll()
    assert update.failure is not None
    assert "gone 3 times" in update.failure.detail
    scene.move(A.grown())
    assert held(await scene.poll()) == truth("a101")


async def test_when_the_preferred_node_dies_between_head_and_reading_the_next_one_reads() -> None:
    scene = Scene(count=2)
    scene.nodes[0].read_error = DOWN
    assert held(await scene.poll()) == truth("a100")


async def test_one_forger_of_three_is_outvoted_and_shown_at_every_update_of_that_tip() -> None:
    scene = Scene(agree=2, count=3)
    scene.nodes[1].scripted[3] = 666
    first = await scene.poll()
    assert held(first) == truth("a100")
    assert [one.answers for one in first.disagreements] == [(("x", "1003"), ("y", "666"), ("z", "1003"))]
    assert (first.disagreements[0].account, first.disagreements[0].token) == (ACCOUNTS[1], COPPER)
    assert (await scene.poll()).disagreements == first.disagreements
    assert [node.transport.stats().disagreements for node in scene.nodes] == [0, 1, 0]
    scene.nodes[1].scripted.clear()
    scene.move(A.grown())
    assert (await scene.poll()).disagreements == ()


async def test_a_settled_dispute_is_still_shown_after_a_second_look_at_another_account() -> None:
    scene = Scene(agree=2, count=3)
    scene.nodes[1].scripted[3] = 666
    scene.nodes[0].scripted[1] = scene.nodes[1].scripted[1] = ERROR
    first = await scene.poll()
    assert len(first.disagreements) == 1
    scene.nodes[0].scripted.clear()
    second = await scene.poll()
    assert second.held == (Held(ACCOUNTS[0], COPPER, 1001),)
    assert second.disagreements == first.disagreements


async def test_one_forger_of_two_makes_the_account_unread_until_they_agree_again() -> None:
    scene = Scene(agree=2, count=2)
    scene.nodes[1].scripted[3] = 666
    update = await scene.poll()
    assert [(one.account, one.reason) for one in update.unread] == [(ACCOUNTS[1], Reason.DISAGREEMENT)]
    assert len(update.held) == 5
    assert len((await scene.poll()).disagreements) == 1
    scene.nodes[1].scripted.clear()
    update = await scene.poll()
    assert (update.held, update.disagreements) == ((Held(ACCOUNTS[1], COPPER, 1003),), ())


async def test_fewer_nodes_than_must_agree_are_no_quorum() -> None:
    scene = Scene(agree=2, count=3)
    scene.nodes[0].read_error = scene.nodes[1].read_error = DOWN
    update = await scene.poll()
    assert update.failure is not None
    assert update.failure.reason is Reason.NO_QUORUM


async def test_a_dead_node_of_three_changes_nothing() -> None:
    scene = Scene(agree=2, count=3)
    scene.nodes[0].error = DOWN
    for top in (100, 101, 102):
        scene.move(Chain(top))
        update = await scene.poll()
        assert (update.tip, update.failure) == (Chain(top).head.tip, None)


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["grow", "stay", "reorg", "outage", "refuse", "lag", "restart"]),
        st.integers(1, 5),
    ),
    max_size=12,
)


@settings(deadline=None)
@given(steps=STEPS)
async def test_applying_the_updates_always_gives_what_the_chain_holds(steps: list[tuple[str, int]]) -> None:
    """The oracle is the chain itself: after each good update every known number is the one at that update's tip."""
    scene = Scene()
    known: dict[tuple[Address, Token], int] = {}
    unread: set[tuple[Address, Token]] = set()
    chain, forks = A, 0
    for kind, size in [("grow", 1), *steps]:
        node = scene.nodes[0]
        node.error = DOWN if kind == "outage" else None
        node.scripted = {size: ERROR} if kind == "refuse" else {}
        if kind in ("grow", "refuse"):
            chain = chain.grown(size)
        elif kind == "reorg":
            forks += 1
            chain = chain.forked(at=chain.top - size + 1, name=chr(ord("b") + forks), top=chain.top)
        elif kind == "restart":
            forks += 1
            chain = Chain(size + 100, ((0, chr(ord("b") + forks)),))
        node.chain = Chain(chain.top - 2, chain.forks) if kind == "lag" else chain
        update = await scene.poll()
        if update.failure is not None:
            known, unread = {}, set()
            continue
        if update.complete:
            known, unread = {}, set()
        known.update(held(update))
        unread = (unread | {(one.account, one.token) for one in update.unread}) - held(update).keys()
        known = {pair: value for pair, value in known.items() if pair not in unread}
        assert update.tip is not None
        assert {**truth(update.tip.hash), **known} == truth(update.tip.hash)
        assert known.keys() | unread == set(PAIRS)
        if kind != "lag":
            assert update.tip.hash == chain.hash_at(chain.top)
