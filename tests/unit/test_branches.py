"""Which blocks were undone while nobody watched, as far as nodes tell."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.base import Tip, Update
from connectors.errors import Unavailable
from daemon.branches import MOST, Branches, continued
from tests.build import complete, tip


def taken(*tips: Tip) -> Branches:
    branches = Branches()
    for one in tips:
        branches.take(replace(complete(1, {}), tip=one))
    return branches


class Chain:
    """A node's branch, by height."""

    def __init__(self, *tips: Tip) -> None:
        self.hashes = {one.height: one.hash for one in tips}
        self.asked: list[int] = []

    async def hash_at(self, height: int) -> str | None:
        self.asked.append(height)
        return self.hashes.get(height)


def first(here: Tip) -> Update:
    return replace(complete(1, {}), tip=here)


async def test_where_the_newest_block_stands_nothing_is_undone_and_one_question_tells() -> None:
    known = [tip(height) for height in range(1, 50)]
    chain = Chain(*known, tip(60))
    update = first(tip(60))
    assert await continued(update, known=known, hash_at=chain.hash_at) == update
    assert chain.asked == [49]


@given(st.lists(st.integers(1, 60), min_size=1, unique=True), st.integers(0, 61), st.integers(0, 5))
async def test_the_newest_block_that_stands_is_found_wherever_the_branches_part(
    heights: list[int], fork: int, beyond: int
) -> None:
    known = [tip(height) for height in sorted(heights)]
    top = max(heights) + beyond
    chain = Chain(*(tip(height, branch="a" if height <= fork else "b") for height in range(top + 1)))
    here = tip(top, branch="a" if top <= fork else "b")
    update = await continued(first(here), known=known, hash_at=chain.hash_at)
    undone = [one.height for one in known if one.height > fork]
    if not undone:
        assert (update.reorg_depth, update.previous) == (0, None)
        return
    assert update.previous == known[-1]
    ancestor = known[-1].height - update.reorg_depth
    standing = [one.height for one in known if one.height <= fork]
    assert ancestor == (standing[-1] if standing else known[0].height - 1)


async def test_blocks_above_a_node_that_is_behind_are_not_called_undone() -> None:
    known = [tip(1), tip(2), tip(3)]
    update = first(tip(2))
    assert await continued(update, known=known, hash_at=Chain(*known).hash_at) == update


async def test_a_node_that_does_not_have_a_block_below_its_newest_says_nothing() -> None:
    with pytest.raises(Unavailable, match="block 3"):
        await continued(first(tip(9)), known=[tip(3)], hash_at=Chain().hash_at)


def test_the_newest_blocks_outlive_a_restart_and_no_more_than_so_many() -> None:
    branches = taken(*(tip(height) for height in range(MOST + 10)))
    rows = branches.changed()
    assert branches.changed() == {}
    other = Branches()
    other.restore({key: text for key, text in rows.items() if text is not None})
    assert other.known("ethereum") == tuple(tip(height) for height in range(10, MOST + 10))


def test_what_is_undone_is_forgotten() -> None:
    branches = taken(tip(1), tip(2), tip(3), tip(4))
    branches.take(replace(first(tip(4, branch="b")), previous=tip(4), reorg_depth=2))
    assert branches.known("ethereum") == (tip(1), tip(2), tip(4, branch="b"))


@pytest.mark.parametrize("text", ["{}x", "[1]", '[["a", "b", "c"]]', "null"])
def test_a_row_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"no blocks"):
        Branches().restore({"ethereum": text})


def owing(*tips: Tip) -> list[Update]:
    return [replace(first(one), owed=True) for one in tips]


def test_a_connector_goes_on_after_the_newest_block_of_which_all_is_told() -> None:
    branches = taken(tip(1), tip(2))
    assert branches.told("ethereum") == branches.known("ethereum") == (tip(1), tip(2))
    for update in owing(tip(5), tip(6)):
        branches.take(update)
    assert branches.known("ethereum") == (tip(1), tip(2), tip(5), tip(6))
    assert branches.told("ethereum") == (tip(1), tip(2))
    branches.take(first(tip(6)))  # the same block, of which the rest is told now
    assert branches.told("ethereum") == branches.known("ethereum")


def test_what_was_not_told_before_a_crash_is_not_taken_for_told_after_it() -> None:
    branches = taken(tip(1), tip(2))
    branches.changed()
    for update in owing(tip(5)):
        branches.take(update)
    rows = {key: text for key, text in branches.changed().items() if text is not None}
    other = Branches()
    other.restore(rows)
    assert (other.known("ethereum"), other.told("ethereum")) == ((tip(1), tip(2), tip(5)), (tip(1), tip(2)))
    branches.take(first(tip(5)))
    again = Branches()
    again.restore({key: text for key, text in branches.changed().items() if text is not None})
    assert again.told("ethereum") == (tip(1), tip(2), tip(5))


def test_a_reorganisation_while_blocks_are_owed_makes_none_of_the_new_branch_told() -> None:
    branches = taken(tip(1), tip(2), tip(3))
    branches.take(owing(tip(4))[0])
    branches.take(replace(owing(tip(4, branch="b"))[0], previous=tip(4), reorg_depth=2))
    assert branches.known("ethereum") == (tip(1), tip(2), tip(4, branch="b"))
    assert branches.told("ethereum") == (tip(1), tip(2))


def test_blocks_as_an_earlier_version_wrote_them_are_all_told() -> None:
    branches = Branches()
    branches.restore({"ethereum": '[[7,"a7","2026-01-01T00:00:00+00:00"]]'})
    assert [one.height for one in branches.told("ethereum")] == [7]
