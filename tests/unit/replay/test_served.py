"""What all played chains have: nodes that open and close together, doors that count, and blocks in their order."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Self

import pytest

from daemon.replay.faults import Answering, Door
from daemon.replay.played import Opening, check_time
from daemon.replay.served import Served
from daemon.replay.simulation import Simulation

START = datetime(2018, 1, 26, tzinfo=UTC)


class Lamp:
    """A node that is lit while entered; a broken one can't be entered."""

    def __init__(self, door: Door, *, url: str, broken: bool = False) -> None:
        self.door = door
        self.url = url
        self.lit = False
        self._broken = broken

    async def __aenter__(self) -> Self:
        if self._broken:
            raise OSError("no port is free")
        self.lit = True
        return self

    async def __aexit__(self, *_: object) -> None:
        self.lit = False


def served(nodes: int, *, broken: int | None = None) -> Served[Lamp]:
    def lamps(doors: Sequence[Door]) -> Sequence[Lamp]:
        return [Lamp(door, url=f"lamp:{place}", broken=place == broken) for place, door in enumerate(doors)]

    return Served(Opening({}, (), START, nodes=nodes, simulation=Simulation(START), seed=1), made=lamps)


async def test_nodes_serve_while_it_is_entered() -> None:
    chain = served(3)
    async with chain as same:
        assert same is chain
        assert [lamp.lit for lamp in chain.nodes] == [True] * 3
    assert [lamp.lit for lamp in chain.nodes] == [False] * 3


async def test_where_one_node_cannot_be_opened_none_is_left_open() -> None:
    chain = served(3, broken=2)
    with pytest.raises(OSError, match="no port"):
        await chain.__aenter__()
    assert [lamp.lit for lamp in chain.nodes] == [False] * 3


async def test_each_node_has_its_own_faults_and_all_requests_are_counted_together() -> None:
    chain = served(2)
    chain.faults[1].failing = 1.0
    told = [await lamp.door.enter() for lamp in (*chain.nodes, chain.nodes[0])]
    assert told == [Answering.WELL, Answering.FAILING, Answering.WELL]
    assert chain.requests == 3


@pytest.mark.parametrize(("nodes", "majority"), [(1, 1), (2, 2), (3, 2), (4, 3), (5, 3)])
def test_its_nodes_have_names_and_more_than_half_of_them_are_a_majority(nodes: int, majority: int) -> None:
    chain = served(nodes)
    assert chain.majority == majority
    assert chain.endpoints() == [{"url": f"lamp:{place}", "name": f"node-{place + 1}"} for place in range(nodes)]


@pytest.mark.parametrize("apart", [timedelta.resolution, timedelta(milliseconds=1)])
def test_a_block_comes_at_least_so_long_after_its_parent(apart: timedelta) -> None:
    check_time(START + apart, parent=START, apart=apart)
    with pytest.raises(ValueError, match="comes after its parent"):
        check_time(START + apart - timedelta.resolution, parent=START, apart=apart)
