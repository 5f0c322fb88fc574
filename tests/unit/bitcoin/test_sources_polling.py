"""Polling for new blocks: what is told, and how long it rests after failures."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import aclosing
from datetime import UTC, datetime, timedelta

import pytest

from connectors.bitcoin.sources.base import Doubt, NewBlock
from connectors.bitcoin.sources.polling import LONGEST_PAUSE, pause, polled
from connectors.errors import Unavailable
from connectors.quorum import Header
from connectors.standing import Standing
from tests.unit.bitcoin.test_sources_base import standing
from tests.unit.connectors.server import FakeTime

SECOND = timedelta(seconds=1)


class Heads:
    """A witness whose head is the next of these, the last from then on; None is an outage."""

    def __init__(self, *heads: str | None) -> None:
        self.transport: Standing = standing()
        self._heads = list(heads)

    async def head(self) -> Header:
        head = self._heads.pop(0) if len(self._heads) > 1 else self._heads[0]
        if head is None:
            raise Unavailable("away")
        return Header(1, head, "00", datetime.now(UTC))

    async def header_at(self, height: int) -> Header | None:
        return None

    async def headers_between(self, low: int, high: int) -> Sequence[Header]:
        return []


async def test_only_another_head_is_a_new_block() -> None:
    time = FakeTime()
    async with aclosing(polled(Heads("a", "a", "a", "b"), every=SECOND, timing=time.timing())) as changes:
        told = [await anext(changes) for _ in range(3)]
    assert told == [Doubt("nothing was looked at yet"), NewBlock(), NewBlock()]
    assert time.slept == [1, 1, 1]


async def test_an_outage_is_one_doubt_and_its_end_another() -> None:
    time = FakeTime()
    source = Heads("a", None, None, None, "a", "b")
    async with aclosing(polled(source, every=SECOND, timing=time.timing())) as changes:
        told = [await anext(changes) for _ in range(5)]
    assert told[1:] == [NewBlock(), Doubt("away"), Doubt("the source is back"), NewBlock()]


@pytest.mark.parametrize(("failures", "seconds"), [(0, 1), (1, 1.5), (3, 6), (100, LONGEST_PAUSE * 0.75)])
def test_pauses_grow_with_failures_up_to_a_minute(failures: int, seconds: float) -> None:
    assert pause(failures, every=SECOND, timing=FakeTime(chance=0.5).timing()) == seconds
