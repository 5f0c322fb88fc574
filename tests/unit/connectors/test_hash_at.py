"""Which block stands at a height, by the word of as many nodes as must agree."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

import pytest

from connectors.base import Watch
from connectors.config import ReadingConfig
from connectors.errors import Unavailable
from connectors.polled import PolledConnector
from tests.unit.connectors.chain import START, Chain, FakeNode, read_at
from tests.unit.connectors.stepped import SteppedTime

A = Chain(100)
B = A.forked(at=90, name="b", top=101)
AWAY = Unavailable("away")


class Config(ReadingConfig):
    """Of nodes that are called by letters."""

    poll: timedelta = timedelta(seconds=5)

    @property
    def providers(self) -> tuple[str, ...]:
        return ("x", "y", "z")

    @property
    def reader(self) -> str:
        return "one by one"


async def examined(node: FakeNode, watch: Watch) -> str | None:
    return None


async def hash_at(height: int, *chains: Chain | Unavailable, agree: int = 1) -> str | None:
    timing = SteppedTime().timing()
    nodes: Sequence[FakeNode] = [
        FakeNode(name, timing, chain) if isinstance(chain, Chain) else FakeNode(name, timing, A, error=chain)
        for name, chain in zip("xyz", chains, strict=False)
    ]
    connector = PolledConnector(
        nodes,
        chain="eth",
        config=Config.model_validate({"agree": agree}),
        read_at=read_at,
        examine=examined,
        timing=timing,
        now=lambda: START,
    )
    return await connector.hash_at(height)


async def test_the_first_node_that_answers_tells() -> None:
    assert await hash_at(95, AWAY, B, A) == "b95"


async def test_none_where_no_node_has_one_so_high() -> None:
    assert await hash_at(102, A, B) is None


async def test_one_node_alone_can_not_undo_what_others_must_agree_on() -> None:
    assert await hash_at(95, B, A, A, agree=2) == "a95"
    with pytest.raises(Unavailable, match="too few nodes agree on block 95"):
        await hash_at(95, B, A, agree=2)


async def test_nobody_knows_while_all_are_away() -> None:
    with pytest.raises(Unavailable, match="away"):
        await hash_at(95, AWAY, AWAY)
