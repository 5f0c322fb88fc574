"""Histories tell what held at any block, as if every world had been kept."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from daemon.replay.history import Draft, History

BLOCKS = st.lists(st.dictionaries(st.sampled_from("abc"), st.integers(0, 3), max_size=3), max_size=12)


def written(blocks: list[dict[str, int]]) -> tuple[History[str, int], list[dict[str, int]]]:
    """The history, and whole copies of the world by height."""
    history, worlds = History[str, int](0), [dict[str, int]()]
    for height, changed in enumerate(blocks, start=1):
        history.put(changed, height=height)
        worlds.append({**worlds[-1], **changed})
    return history, worlds


@given(BLOCKS)
def test_every_block_is_told_as_it_was(blocks: list[dict[str, int]]) -> None:
    history, worlds = written(blocks)
    for height, world in enumerate(worlds):
        assert dict(history.as_of(height)) == {key: value for key, value in world.items() if value}
        assert len(history.as_of(height)) == len([value for value in world.values() if value])
        assert [history.at(key, height=height) for key in "abc"] == [world.get(key, 0) for key in "abc"]


@given(BLOCKS, st.integers(0, 12))
def test_undone_blocks_leave_no_trace(blocks: list[dict[str, int]], above: int) -> None:
    history, worlds = written(blocks)
    history.undo(above=above)
    kept, _ = written(blocks[:above])
    assert [history.at(key) for key in "abc"] == [kept.at(key) for key in "abc"]
    assert sorted(history) == sorted(kept)
    assert dict(history.as_of(len(worlds))) == dict(kept.as_of(len(worlds)))


def test_a_draft_changes_nothing_until_it_is_put() -> None:
    history = History[str, int](0)
    history.put({"a": 1}, height=1)
    draft = Draft(history)
    draft["a"] += 4
    assert (draft["a"], draft["b"], history.at("a")) == (5, 0, 1)
    history.put(draft.changed, height=2)
    assert (history.at("a"), history.at("a", height=1)) == (5, 1)


def test_a_history_keeps_changes_only_and_forgets_keys_of_which_nothing_is_left() -> None:
    history = History[str, int](0)
    history.put({"a": 1}, height=0)
    history.put({"a": 5, "b": 2}, height=3)
    history.put({"b": 4}, height=3)
    assert [history.at("a", height=height) for height in (0, 2, 3, 99)] == [1, 1, 5, 5]
    assert (history.at("b", height=2), history.at("b")) == (0, 4)
    history.undo(above=2)
    assert (history.at("a"), history.at("b"), list(history)) == (1, 0, ["a"])
