"""What every played chain has: several small nodes before its one ledger, each with faults and a door of its own."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from typing import Generic, Protocol, Self, TypeVar

from daemon.replay.faults import Door, Faults
from daemon.replay.played import Opening


class PlayedNode(AbstractAsyncContextManager[object, None], Protocol):
    """Serves while entered."""

    @property
    def url(self) -> str: ...


N = TypeVar("N", bound=PlayedNode)


class Served(Generic[N]):
    """The nodes serve while it is entered. `made` makes them, one for each door."""

    def __init__(self, opening: Opening, *, made: Callable[[Sequence[Door]], Sequence[N]]) -> None:
        self.faults: Sequence[Faults] = [Faults() for _ in range(opening.nodes)]
        self._doors = [
            Door(faults, simulation=opening.simulation, seed=opening.seed + place)
            for place, faults in enumerate(self.faults)
        ]
        self.nodes = made(self._doors)
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        async with AsyncExitStack() as stack:
            for node in self.nodes:
                await stack.enter_async_context(node)
            self._stack = stack.pop_all()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()

    @property
    def requests(self) -> int:
        """That all nodes have answered so far."""
        return sum(door.requests for door in self._doors)

    @property
    def majority(self) -> int:
        """Of the nodes: what a configuration should ask to agree."""
        return len(self.nodes) // 2 + 1

    def endpoints(self) -> list[dict[str, str]]:
        """As a configuration tells them: `node-1` and so on."""
        return [{"url": node.url, "name": f"node-{number}"} for number, node in enumerate(self.nodes, start=1)]
