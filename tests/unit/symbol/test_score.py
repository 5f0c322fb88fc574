"""Scores: what a block adds, and what is believed when what was seen contradicts what was reckoned."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.symbol.score import REMEMBERED, Scores, gain


@dataclass(frozen=True, slots=True)
class Plain:
    hash: str
    timestamp: int
    difficulty: int


A, B, C = Plain("a", 1_000, 500), Plain("b", 31_999, 600), Plain("c", 40_000, 700)


def test_a_block_adds_its_difficulty_less_the_whole_seconds_since_its_parent() -> None:
    assert gain(B, parent=A) == 600 - 30
    assert gain(C, parent=B) == 700 - 8


@pytest.mark.parametrize("timestamp", [31_999, 31_998, 0])
def test_a_block_that_is_not_later_than_its_parent_adds_nothing(timestamp: int) -> None:
    assert gain(Plain("x", timestamp, 900), parent=B) == 0


def test_a_score_is_reckoned_from_a_believed_one_over_all_blocks_between() -> None:
    scores = Scores()
    scores.believe(A, score=10_000)
    assert set(scores.reckon([A, B, C])) == {10_000 + 570 + 692}
    assert set(scores.reckon([A])) == {10_000}


def test_doubt_leaves_each_possibility_open_until_one_is_believed() -> None:
    scores = Scores()
    scores.doubt(B, scores=(1, 2))
    assert scores.in_doubt(B)
    assert set(scores.reckon([B, C])) == {693, 694}
    scores.believe(B, score=2)
    assert not scores.in_doubt(B)
    assert set(scores.reckon([B])) == {2}


def test_doubt_between_a_score_and_itself_is_none() -> None:
    scores = Scores()
    scores.doubt(B, scores=(1, 1))
    assert not scores.in_doubt(B)


def test_nothing_is_known_of_a_block_that_was_never_seen() -> None:
    scores = Scores()
    assert not scores
    scores.believe(A, score=1)
    assert scores
    assert ("a" in scores, "b" in scores, scores.in_doubt(B)) == (True, False, False)


@given(st.integers(REMEMBERED, REMEMBERED + 50))
def test_only_the_newest_blocks_are_kept(blocks: int) -> None:
    scores = Scores()
    for place in range(blocks):
        scores.believe(Plain(str(place), place, 1), score=place)
    assert [place for place in range(blocks) if str(place) in scores] == list(range(blocks - REMEMBERED, blocks))
