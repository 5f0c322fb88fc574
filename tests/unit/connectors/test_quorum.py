"""What several nodes together say: tables for each situation, and properties that hold for all of them."""

from collections.abc import Mapping
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.errors import Reason, Unavailable
from connectors.quorum import (
    REMEMBERED,
    Course,
    Flaw,
    HeadVerdict,
    Record,
    Value,
    View,
    agree_on_head,
    agree_on_values,
    common_ancestor,
)
from tests.unit.connectors.chain import Chain

A = Chain(100)


def view(chain: Chain) -> View:
    async def ask(height: int) -> str | None:
        return chain.hash_at(height)

    return View(chain.head, ask=ask)


def recorded(chain: Chain, *, back: int = 20) -> Record:
    """The record of a daemon that has followed this chain for a while."""
    record = Record()
    record.genesis = chain.hash_at(0)
    for top in range(max(0, chain.top - back), chain.top + 1):
        record.extend(Chain(top, chain.forks).head)
    return record


async def judge(chains: Mapping[str, Chain], *, need: int, record: Record | None = None) -> HeadVerdict:
    views = {name: view(chain) for name, chain in chains.items()}
    return await agree_on_head(views, need=need, record=record or Record())


async def course(chains: Mapping[str, Chain], *, need: int, record: Record) -> tuple[Course, str | None]:
    verdict = await judge(chains, need=need, record=record)
    return verdict.course, verdict.block.hash if verdict.block else None


# ── the head: situations ────────────────────────────────────────────────────────────────────────────────────────────

ROGUE = Chain(5000, ((0, "a"), (90, "r")))
OTHER = A.forked(at=98, name="b", top=103)
NEW_GENESIS = Chain(5, ((0, "n"),))

START: dict[str, tuple[dict[str, Chain], int, str | None]] = {
    "one node": ({"x": A}, 1, "a100"),
    "all the same": ({"x": A, "y": A, "z": A}, 2, "a100"),
    "the highest that two have": ({"x": A, "y": Chain(99), "z": Chain(98)}, 2, "a99"),
    "a rogue far ahead moves nothing": ({"x": A, "y": A, "z": ROGUE}, 2, "a100"),
    "a rogue far ahead and nobody level": ({"x": A, "y": Chain(97), "z": ROGUE}, 2, "a97"),
    "a stale node moves nothing": ({"x": A, "y": A, "z": Chain(3)}, 2, "a100"),
    "two branches agree on their root": ({"x": A, "y": OTHER}, 2, "a97"),
    "a fork deeper than is looked for": ({"x": Chain(900), "y": Chain(900, ((0, "a"), (5, "y")))}, 2, None),
    "different chains": ({"x": A, "y": Chain(100, ((0, "n"),))}, 2, None),
    "all three must hold it": ({"x": A, "y": OTHER, "z": A}, 3, "a97"),
}


@pytest.mark.parametrize("case", START)
async def test_the_first_agreed_head_is_the_highest_that_enough_nodes_hold(case: str) -> None:
    chains, need, expected = START[case]
    verdict = await judge(chains, need=need)
    assert (verdict.block.hash if verdict.block else None) == expected
    assert verdict.course is (Course.SPLIT if expected is None else Course.AHEAD)


LATER: dict[str, tuple[dict[str, Chain], int, tuple[Course, str | None]]] = {
    "unchanged": ({"x": A}, 1, (Course.AHEAD, "a100")),
    "one block more": ({"x": A.grown()}, 1, (Course.AHEAD, "a101")),
    "many blocks more": ({"x": A.grown(700)}, 1, (Course.AHEAD, "a800")),
    "a fallback 50 behind": ({"x": Chain(50)}, 1, (Course.BEHIND, "a50")),
    "a fallback 15 behind": ({"x": Chain(85)}, 1, (Course.BEHIND, "a85")),
    "only one of two left at our tip": ({"x": A, "y": Chain(50)}, 2, (Course.BEHIND, "a50")),
    "a longer branch": ({"x": OTHER}, 1, (Course.REORG, "b103")),
    "a branch of the same length": ({"x": A.forked(at=98, name="b", top=100)}, 1, (Course.REORG, "b100")),
    "a shorter branch that nobody contradicts": ({"x": A.forked(at=95, name="b", top=97)}, 1, (Course.REORG, "b97")),
    "a shorter branch while one holds our tip": (
        {"x": A.forked(at=95, name="b", top=97), "y": A.forked(at=95, name="b", top=97), "z": A},
        2,
        (Course.SPLIT, "b97"),
    ),
    "a longer branch while too few hold our tip": (
        {"x": OTHER, "y": OTHER, "z": A},
        2,
        (Course.REORG, "b103"),
    ),
    "a longer branch while enough hold our tip": (
        {"v": OTHER, "w": OTHER, "x": A, "y": A.grown(), "z": A.grown()},
        2,
        (Course.AHEAD, "a101"),
    ),
    "one rogue on a longer branch": ({"x": OTHER, "y": A, "z": A.grown()}, 2, (Course.AHEAD, "a100")),
    "one rogue and a dead node": ({"x": OTHER, "y": A}, 2, (Course.BEHIND, "a97")),
    "restarted from another genesis": ({"x": NEW_GENESIS}, 1, (Course.REORG, "n5")),
    "restarted from another genesis, two of two": (
        {"x": NEW_GENESIS, "y": NEW_GENESIS},
        2,
        (Course.REORG, "n5"),
    ),
    "restarted from another genesis, but one holds our tip": (
        {"x": NEW_GENESIS, "y": NEW_GENESIS, "z": A},
        2,
        (Course.SPLIT, "n5"),
    ),
    "restarted from another genesis and already longer": (
        {"x": Chain(300, ((0, "n"),))},
        1,
        (Course.REORG, "n300"),
    ),
    "restarted from the same genesis can't be told from lagging": ({"x": Chain(5)}, 1, (Course.BEHIND, "a5")),
}


@pytest.mark.parametrize("case", LATER)
async def test_the_agreed_head_moves_only_as_it_should(case: str) -> None:
    chains, need, expected = LATER[case]
    assert await course(chains, need=need, record=recorded(A)) == expected


async def test_without_a_known_genesis_a_low_block_that_can_not_be_placed_counts_as_lagging() -> None:
    record = recorded(A)
    record.genesis = None
    assert (await course({"x": NEW_GENESIS}, need=1, record=record))[0] is Course.BEHIND


async def test_equal_heads_cost_no_further_question() -> None:
    async def never(height: int) -> str | None:
        raise AssertionError(f"asked for {height}")

    views = {name: View(A.grown().head, ask=never) for name in "xyz"}
    assert (await agree_on_head(views, need=2, record=recorded(A))).course is Course.AHEAD


async def test_a_node_that_fails_to_tell_a_hash_holds_nothing_there() -> None:
    async def fails(height: int) -> str | None:
        raise Unavailable("gone")

    views = {"x": View(A.grown(5).head, ask=fails), "y": view(A), "z": view(A)}
    verdict = await agree_on_head(views, need=2, record=Record())
    assert verdict.block is not None
    assert (verdict.block.hash, verdict.block.holders) == ("a100", ("y", "z"))


@pytest.mark.parametrize(
    ("chain", "expected"),
    [(A, 100), (OTHER, 97), (A.forked(at=80, name="b", top=100), 0), (NEW_GENESIS, -1), (Chain(50), 0)],
)
async def test_the_common_ancestor_is_the_highest_recorded_block_that_is_still_there(
    chain: Chain, expected: int
) -> None:
    assert await common_ancestor(view(chain), record=recorded(A, back=10)) == expected


def test_a_record_keeps_so_many_blocks_and_the_genesis() -> None:
    record = recorded(Chain(1000), back=900)
    assert record.heights() == [0, *range(1001 - REMEMBERED, 1001)]
    assert record.hash_at(0) == "a0"


def test_a_rewound_record_forgets_what_was_undone() -> None:
    record = recorded(A)
    record.rewind(90)
    assert (record.hash_at(90), record.hash_at(91), record.hash_at(0)) == ("a90", None, "a0")
    record.rewind(-1)
    assert record.heights() == []


# ── the head: properties ────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class Scene:
    """`need` honest nodes or more, each somewhat behind the honest chain, and fewer than `need` rogues."""

    need: int
    lags: tuple[int, ...]
    rogues: tuple[Chain, ...]

    def chains(self, top: int) -> dict[str, Chain]:
        honest = {f"honest{i}": Chain(max(0, top - lag)) for i, lag in enumerate(self.lags)}
        return honest | {f"rogue{i}": chain for i, chain in enumerate(self.rogues)}


@st.composite
def scenes(draw: st.DrawFn) -> Scene:
    need = draw(st.integers(2, 4))
    lags = draw(st.lists(st.integers(0, 60), min_size=need, max_size=5))
    rogues = []
    for i in range(draw(st.integers(0, need - 1))):
        fork = draw(st.integers(0, 200))
        name = draw(st.sampled_from(["r", f"r{i}x"]))
        rogues.append(Chain(max(0, draw(st.integers(0, 400))), ((0, "a"), (fork, name)) if fork else ((0, name),)))
    return Scene(need, tuple(lags), tuple(rogues))


@given(scene=scenes(), top=st.integers(60, 200))
async def test_enough_honest_nodes_always_win(scene: Scene, top: int) -> None:
    verdict = await judge(scene.chains(top), need=scene.need)
    assert verdict.block is not None
    honest = sorted((max(0, top - lag) for lag in scene.lags), reverse=True)
    assert verdict.block.hash == f"a{verdict.block.height}"
    assert honest[scene.need - 1] <= verdict.block.height <= honest[0]


@given(scenes_=st.lists(scenes(), min_size=1, max_size=8), data=st.data())
async def test_the_head_never_goes_back_and_never_reorganises_when_the_honest_chain_does_not(
    scenes_: list[Scene], data: st.DataObject
) -> None:
    record, top, need = Record(), 100, scenes_[0].need
    for scene in scenes_:
        top += data.draw(st.integers(0, 70))
        chains = scene.chains(top)
        rogues = [name for name in chains if name.startswith("rogue")][: need - 1]
        reached = data.draw(st.sets(st.sampled_from(sorted(chains)), min_size=1))
        seen = {name: chain for name, chain in chains.items() if name in reached and (name[0] == "h" or name in rogues)}
        verdict = await judge(seen, need=need, record=record)
        assert verdict.course is not Course.REORG
        if verdict.course is Course.AHEAD and verdict.block is not None:
            assert record.tip is None or verdict.block.height >= record.tip.height
            assert verdict.block.hash == f"a{verdict.block.height}"
            record.extend(Chain(verdict.block.height).head)


@given(fork=st.integers(60, 100), growth=st.integers(1, 30), dead=st.booleans())
async def test_a_real_reorg_is_followed_by_everybody(fork: int, growth: int, dead: bool) -> None:
    after = A.forked(at=fork, name="b", top=100 + growth)
    chains = {"x": after, "y": after} | ({} if dead else {"z": A})
    record = recorded(A, back=60)
    assert await course(chains, need=2, record=record) == (Course.REORG, f"b{100 + growth}")
    assert await common_ancestor(view(after), record=record) == fork - 1


# ── the values ──────────────────────────────────────────────────────────────────────────────────────────────────────

ERROR = Flaw(Reason.NODE_ERROR, "x: refused")
GONE = Flaw(Reason.NO_CONTRACT, "nothing there")
WRONG = Flaw(Reason.MISCONFIGURED, "18, not 6")
BAD = Flaw(Reason.BAD_ANSWER, "y: nonsense")

VALUES: dict[str, tuple[dict[str, Value], int, int | Reason, bool]] = {
    "one of one": ({"x": 5}, 1, 5, False),
    "one of one, refused": ({"x": ERROR}, 1, Reason.NODE_ERROR, False),
    "all agree": ({"x": 5, "y": 5, "z": 5}, 2, 5, False),
    "zero is a value": ({"x": 0, "y": 0}, 2, 0, False),
    "one forges, the majority settles it": ({"x": 5, "y": 6, "z": 5}, 2, 5, True),
    "one of two forges": ({"x": 5, "y": 6}, 2, Reason.DISAGREEMENT, True),
    "two against two": ({"v": 5, "x": 5, "y": 6, "z": 6}, 2, Reason.DISAGREEMENT, True),
    "three values": ({"x": 5, "y": 6, "z": 7}, 2, Reason.DISAGREEMENT, True),
    "one refuses, enough are left": ({"x": 5, "y": ERROR, "z": 5}, 2, 5, False),
    "one refuses, too few are left": ({"x": 5, "y": ERROR}, 2, Reason.NO_QUORUM, False),
    "both refuse": ({"x": ERROR, "y": Flaw(Reason.NODE_ERROR, "other words")}, 2, Reason.NODE_ERROR, False),
    "they fail in different ways": ({"x": ERROR, "y": BAD}, 2, Reason.NO_QUORUM, False),
    "one refuses, the others differ": ({"x": 5, "y": ERROR, "z": 6}, 2, Reason.DISAGREEMENT, True),
    "both find no contract": ({"x": GONE, "y": Flaw(Reason.NO_CONTRACT, "other words")}, 2, Reason.NO_CONTRACT, False),
    "one finds no contract": ({"x": 5, "y": 5, "z": GONE}, 2, 5, True),
    "one finds other decimals": ({"x": WRONG, "y": WRONG, "z": 5}, 2, Reason.MISCONFIGURED, True),
}


@pytest.mark.parametrize("case", VALUES)
def test_a_value_counts_when_enough_nodes_gave_it_and_no_other(case: str) -> None:
    said, need, expected, disputed = VALUES[case]
    agreed = agree_on_values({name: [7, value] for name, value in said.items()}, need=need)
    value = agreed.values[1]
    assert (value.reason if isinstance(value, Flaw) else value) == expected
    assert agreed.values[0] == 7
    assert set(agreed.disputes) == ({1} if disputed else set())


def test_the_evidence_of_a_dispute_holds_what_every_node_said() -> None:
    agreed = agree_on_values({"x": [5], "y": [6], "z": [ERROR], "w": [5]}, need=2)
    assert agreed.disputes == {0: (("x", "5"), ("y", "6"), ("z", "node_error"), ("w", "5"))}
    assert agreed.dissenters == {"y"}


def test_where_nothing_is_accepted_all_who_said_something_dissent() -> None:
    agreed = agree_on_values({"x": [5], "y": [6], "z": [ERROR]}, need=2)
    assert agreed.dissenters == {"x", "y"}
    assert agreed.values == [Flaw(Reason.DISAGREEMENT, "x: 5; y: 6; z: node_error")]


def test_one_dispute_leaves_the_other_keys_as_they_are() -> None:
    agreed = agree_on_values({"x": [1, 2, 3], "y": [1, 9, 3]}, need=2)
    assert (agreed.values[0], agreed.values[2]) == (1, 3)


@given(
    truth=st.lists(st.integers(0, 2**256 - 1), min_size=1, max_size=6),
    need=st.integers(1, 4),
    extra=st.integers(0, 2),
    data=st.data(),
)
def test_fewer_forgers_than_needed_never_get_a_value_accepted_and_enough_honest_nodes_always_do(
    truth: list[int], need: int, extra: int, data: st.DataObject
) -> None:
    forgers = data.draw(st.integers(0, need - 1))
    honest = data.draw(st.integers(max(1, need - forgers), need + extra))
    lie = st.lists(st.integers(0, 2**256 - 1) | st.just(ERROR), min_size=len(truth), max_size=len(truth))
    answers: dict[str, list[Value]] = {f"forger{i}": list(data.draw(lie)) for i in range(forgers)}
    answers |= {f"honest{i}": list(truth) for i in range(honest)}
    agreed = agree_on_values(answers, need=need)
    for index, value in enumerate(agreed.values):
        assert isinstance(value, Flaw) or value == truth[index]
        if honest >= need:
            assert value == truth[index]
