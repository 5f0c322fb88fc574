"""Chains in memory, and nodes that hold them: the real witness protocol without a network."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from connectors.config import EndpointConfig
from connectors.errors import ConnectorError
from connectors.follow import Keys, UnknownBlock
from connectors.quorum import Flaw, Header, Value
from connectors.transport import Timing, Transport

START = datetime(2026, 1, 1, tzinfo=UTC)


def header(height: int, *, hash_: str, parent: str) -> Header:
    return Header(height, hash_, parent, START + timedelta(seconds=height))


@dataclass(frozen=True, slots=True)
class Chain:
    """A branch: block n is called by the newest fork at or below n, as in `b7`. `a` has no forks."""

    top: int
    forks: tuple[tuple[int, str], ...] = ((0, "a"),)

    def hash_at(self, height: int) -> str | None:
        if not 0 <= height <= self.top:
            return None
        return next(name for start, name in reversed(self.forks) if start <= height) + str(height)

    def header_at(self, height: int) -> Header | None:
        known = self.hash_at(height)
        if known is None:
            return None
        return header(height, hash_=known, parent=self.hash_at(height - 1) or "none")

    @property
    def head(self) -> Header:
        found = self.header_at(self.top)
        assert found is not None
        return found

    def grown(self, blocks: int = 1) -> Chain:
        return Chain(self.top + blocks, self.forks)

    def forked(self, *, at: int, name: str, top: int) -> Chain:
        """Another branch whose first own block is `at`."""
        kept = tuple(fork for fork in self.forks if fork[0] < at)
        return Chain(top, (*kept, (at, name)))


@dataclass
class FakeNode:
    """Holds a chain; tells balances by block hash, or what is scripted for an account index."""

    name: str
    timing: Timing
    chain: Chain
    error: ConnectorError | None = None
    read_error: ConnectorError | None = None
    delay: float = 0.0
    scripted: dict[int, Value] = field(default_factory=dict)
    lost: set[str] = field(default_factory=set)
    asked_heights: list[int] = field(default_factory=list)
    readings: int = 0

    def __post_init__(self) -> None:
        endpoint = EndpointConfig.model_validate({"url": "http://127.0.0.1:9", "name": self.name})
        self.transport = Transport(endpoint, chain="eth", timeout=timedelta(seconds=1), timing=self.timing)

    async def head(self) -> Header:
        await self._answer()
        return self.chain.head

    async def header_at(self, height: int) -> Header | None:
        await self._answer()
        self.asked_heights.append(height)
        return self.chain.header_at(height)

    async def headers_between(self, low: int, high: int) -> Sequence[Header]:
        await self._answer()
        return [found for height in range(low + 1, high) if (found := self.chain.header_at(height))]

    async def read(self, *, keys: Keys, block: str) -> list[Value]:
        await self._answer()
        self.readings += 1
        if self.read_error is not None:
            raise self.read_error
        if block in self.lost or block not in {self.chain.hash_at(height) for height in range(self.chain.top + 1)}:
            raise UnknownBlock(f"{self.name}: does not have block {block}", code=0)
        return [self.scripted.get(index, units(index, block=block)) for index in keys.indices]

    async def _answer(self) -> None:
        await asyncio.sleep(self.delay)
        if self.error is not None:
            raise self.error


def units(index: int, *, block: str) -> int:
    """What key `index` really holds at a block: the even ones change with every block, the odd ones never."""
    return 1000 + index + (0 if index % 2 else int("".join(filter(str.isdigit, block))))


async def read_at(node: FakeNode, *, keys: Keys, block: str) -> list[Value]:
    return await node.read(keys=keys, block=block)


def flaw(value: Value) -> Flaw:
    assert isinstance(value, Flaw)
    return value
