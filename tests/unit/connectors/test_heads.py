"""The agreed head poll after poll: fail-over, laggards, reorgs and what is said when there is no head."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta

import pytest

from connectors.errors import ConnectorError, Misconfigured, Reason, Unavailable
from connectors.heads import Heads, Sighting
from connectors.quorum import Header
from connectors.transport import Timing
from tests.unit.connectors.chain import START, Chain, FakeNode

A = Chain(100)
DOWN = Unavailable("down")


@dataclass
class Scene:
    """Nodes that all hold `A` at first, a clock of its own, and the heads above them."""

    agree: int = 1
    count: int = 3
    time: float = 0.0
    nodes: list[FakeNode] = field(default_factory=list)

    def __post_init__(self) -> None:
        timing = Timing(clock=lambda: self.time, rng=lambda: 1.0)
        self.nodes = [FakeNode(name, timing, A) for name in "xyz"[: self.count]]
        self.heads = Heads(self.nodes, agree=self.agree, timing=timing, now=self.now)

    def now(self) -> datetime:
        return START + timedelta(seconds=self.time)

    async def advance(self) -> Sighting[FakeNode]:
        self.time += 1
        return await self.heads.advance()

    async def head(self) -> str:
        return (await self.advance()).header.hash

    async def failure(self) -> ConnectorError:
        with pytest.raises(ConnectorError) as caught:
            await self.advance()
        return caught.value


async def test_a_sighting_says_when_a_node_reported_the_head_and_who_holds_it() -> None:
    scene = Scene(agree=2)
    scene.nodes[2].chain = Chain(98)
    sighting = await scene.advance()
    assert (sighting.header, sighting.seen) == (A.head, scene.now())
    assert [node.name for node in sighting.nodes] == ["x", "y", "z"]


async def test_a_node_far_behind_is_not_asked_for_values() -> None:
    scene = Scene(agree=2)
    scene.nodes[0].chain = Chain(50)
    assert [node.name for node in (await scene.advance()).nodes] == ["y", "z"]


async def test_with_one_to_agree_the_others_are_there_to_fail_over_to() -> None:
    assert [node.name for node in (await Scene(agree=1).advance()).nodes] == ["x", "y", "z"]


async def test_an_agreed_block_below_all_heads_is_fetched() -> None:
    scene = Scene(agree=2, count=2)
    scene.nodes[1].chain = A.forked(at=98, name="b", top=103)
    assert (await scene.advance()).header == Chain(97).head


async def test_a_fallback_far_behind_does_not_move_the_head_back_and_is_named() -> None:
    scene = Scene(count=2)
    assert await scene.head() == "a100"
    scene.nodes[0].error, scene.nodes[1].chain = DOWN, Chain(50)
    error = await scene.failure()
    assert error.reason is Reason.UNAVAILABLE
    assert str(error) == "y: 50 blocks behind block 100, which was read before"
    assert scene.nodes[1].transport.circuit.error is error
    scene.nodes[0].error, scene.nodes[0].chain = None, A.grown()
    assert await scene.head() == "a101"


async def test_a_preferred_node_that_lags_is_passed_over_for_the_next() -> None:
    scene = Scene(count=2)
    scene.nodes[1].chain = A.grown(50)
    scene.nodes[0].error = DOWN
    assert await scene.head() == "a150"
    scene.nodes[0].error = None
    scene.time += 5
    assert await scene.head() == "a150"


async def test_a_node_barely_behind_is_no_trouble_but_the_head_is_not_seen_anew() -> None:
    scene = Scene(count=1)
    first = await scene.advance()
    scene.nodes[0].chain = Chain(98)
    second = await scene.advance()
    assert (second.header, second.seen) == (first.header, first.seen)
    assert scene.nodes[0].transport.circuit.ready


async def test_a_rogue_far_ahead_a_laggard_and_a_dead_node_change_nothing() -> None:
    for error, chain in ((None, Chain(9000, ((0, "r"),))), (None, Chain(50)), (DOWN, A)):
        scene = Scene(agree=2)
        scene.nodes[0].error, scene.nodes[0].chain = error, chain
        for height in (100, 101, 102):
            scene.nodes[1].chain = scene.nodes[2].chain = Chain(height)
            assert await scene.head() == f"a{height}"
        assert scene.heads.reorgs == []


async def test_a_reorg_is_followed_and_its_ancestor_remembered() -> None:
    scene = Scene(count=1)
    for height in (97, 98, 99, 100):
        scene.nodes[0].chain = Chain(height)
        await scene.advance()
    scene.nodes[0].chain = A.forked(at=99, name="b", top=100)
    assert await scene.head() == "b100"
    assert scene.heads.reorgs == [98]


async def test_the_depth_of_a_reorg_is_exact_over_blocks_missed_between_polls() -> None:
    scene = Scene(count=1)
    await scene.advance()
    scene.nodes[0].chain = A.grown(30)
    await scene.advance()
    scene.nodes[0].chain = A.forked(at=113, name="b", top=131)
    await scene.advance()
    assert scene.heads.reorgs == [112]


async def test_after_a_reorg_to_a_lower_height_nothing_is_left_of_the_old_branch() -> None:
    scene = Scene(count=1)
    await scene.advance()
    branch = A.forked(at=95, name="b", top=97)
    for chain in (branch, branch.grown(4), branch.forked(at=100, name="c", top=102)):
        scene.nodes[0].chain = chain
        await scene.advance()
    assert scene.heads.reorgs == [94, 99]


async def test_a_reorg_soon_after_the_start_is_placed_by_the_blocks_fetched_then() -> None:
    scene = Scene(count=1)
    await scene.advance()
    scene.nodes[0].chain = A.forked(at=60, name="b", top=70)
    assert await scene.head() == "b70"
    assert scene.heads.reorgs == [59]


async def test_a_node_that_can_not_tell_older_blocks_is_followed_all_the_same() -> None:
    scene = Scene(count=1)

    async def fails(low: int, high: int) -> list[Header]:
        raise DOWN

    scene.nodes[0].headers_between = fails  # type: ignore[method-assign]
    assert await scene.head() == "a100"


async def test_a_chain_restarted_from_another_genesis_is_taken_up_when_nobody_holds_the_old_one() -> None:
    scene = Scene(agree=2)
    await scene.advance()
    for node in scene.nodes[:2]:
        node.chain = Chain(3, ((0, "n"),))
    assert (await scene.failure()).reason is Reason.NO_QUORUM
    scene.nodes[2].chain = Chain(3, ((0, "n"),))
    assert await scene.head() == "n3"
    assert scene.heads.reorgs == [-1]
    for node in scene.nodes:
        node.chain = node.chain.grown()
    assert await scene.head() == "n4"


async def test_nodes_that_share_no_block_are_no_quorum_and_shown() -> None:
    scene = Scene(agree=2, count=2)
    scene.nodes[1].chain = Chain(90, ((0, "n"),))
    error = await scene.failure()
    assert error.reason is Reason.NO_QUORUM
    assert str(error) == "the nodes are on different branches: x: 100 a100, y: 90 n90"


async def test_too_few_answers_are_no_quorum_and_none_is_the_nodes_own_reason() -> None:
    scene = Scene(agree=2, count=2)
    scene.nodes[0].error = Unavailable("slow", reason=Reason.TIMEOUT)
    assert (await scene.failure()).reason is Reason.NO_QUORUM
    scene.nodes[1].error = DOWN
    assert (await scene.failure()).reason is Reason.TIMEOUT


async def test_nodes_of_another_chain_leave_too_few_and_that_is_a_misconfiguration() -> None:
    scene = Scene(agree=2)
    for node in scene.nodes[:2]:
        node.error = Misconfigured(f"{node.name}: is on chain 5")
    error = await scene.failure()
    assert error.reason is Reason.MISCONFIGURED
    assert str(error) == "x: is on chain 5; y: is on chain 5"
