"""The nodes of one chain as a panel: who is asked, in which order, and when enough have answered."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Generic, Protocol, TypeVar

from connectors.errors import ConnectorError, Misconfigured, NodeError, Reason, Unavailable
from connectors.standing import Standing
from connectors.transport import Timing

SHORTEST_GRACE = 0.5
"""Seconds that stragglers get once enough have answered, or half as long as those took, if that is more: long enough
that a forger who is a bit slow is still heard."""


class Member(Protocol):
    """A node, whatever its protocol."""

    @property
    def transport(self) -> Standing: ...


M = TypeVar("M", bound=Member)
T = TypeVar("T")


@dataclass(slots=True)
class Answers(Generic[T]):
    """By provider, as ordered in the panel: what it said, or why not. Those never asked stand in neither."""

    given: dict[str, T] = field(default_factory=dict)
    failed: dict[str, ConnectorError] = field(default_factory=dict)


async def ask(
    members: Sequence[M], question: Callable[[M], Awaitable[T]], *, need: int, timing: Timing, proof: bool = False
) -> Answers[T]:
    """Asks until `need` have answered, in the order given, those that rest after a failure last.

    For one answer one is asked at a time, and beside one that failed lately the next. For more, all that are well are
    asked at once, and when enough have answered the stragglers get a short grace. Failures rest a node; with `proof` an
    answer makes it well again. A NodeError rests nobody: the node is well, it refused this question.
    """
    return await _Round(question, need=need, timing=timing, proof=proof).run(members)


class _Round(Generic[M, T]):
    """One question to a panel."""

    def __init__(self, question: Callable[[M], Awaitable[T]], *, need: int, timing: Timing, proof: bool) -> None:
        self._question = question
        self._need = need
        self._timing = timing
        self._proof = proof
        self._answers: Answers[T] = Answers()
        self._tasks: dict[asyncio.Task[T], M] = {}

    async def run(self, members: Sequence[M]) -> Answers[T]:
        started = self._timing.clock()
        queue = in_order(members)
        try:
            self._start(queue, count=self._first_asked(queue))
            while self._tasks and len(self._answers.given) < self._need:
                await self._collect(within=None)
                missing = self._need - len(self._answers.given) - len(self._tasks)
                self._start(queue, count=missing)
            if self._tasks:
                grace = max(SHORTEST_GRACE, (self._timing.clock() - started) / 2)
                await self._grace(grace)
        finally:
            await self._stop()
        given, failed = self._answers.given, self._answers.failed
        names = [member.transport.provider for member in members]
        return Answers(
            {name: given[name] for name in names if name in given},
            {name: failed[name] for name in names if name in failed},
        )

    def _first_asked(self, queue: list[M]) -> int:
        ready = [member.transport.circuit for member in queue if member.transport.circuit.ready]
        if self._need > 1:
            return max(len(ready), self._need)
        on_trial = next((place for place, circuit in enumerate(ready) if circuit.error is None), 0)
        return on_trial + 1

    def _start(self, queue: list[M], *, count: int) -> None:
        for member in queue[: max(0, count)]:
            task = asyncio.ensure_future(self._question(member))
            self._tasks[task] = member
        del queue[: max(0, count)]

    async def _collect(self, *, within: float | None) -> bool:
        """Takes in those that are done; False when none was in time."""
        done, _ = await asyncio.wait(self._tasks, timeout=within, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            self._take(task, member=self._tasks.pop(task))
        return bool(done)

    def _take(self, task: asyncio.Task[T], *, member: M) -> None:
        circuit, provider = member.transport.circuit, member.transport.provider
        try:
            self._answers.given[provider] = task.result()
            if self._proof:
                circuit.worked()
        except NodeError as error:
            self._answers.failed[provider] = error
        except ConnectorError as error:
            self._answers.failed[provider] = error
            circuit.failed(error)

    async def _grace(self, seconds: float) -> None:
        end = self._timing.clock() + seconds
        while self._tasks and await self._collect(within=max(0.0, end - self._timing.clock())):
            pass
        for member in self._tasks.values():
            transport = member.transport
            late = Unavailable(f"{transport.provider}: much slower than the others", reason=Reason.TIMEOUT)
            transport.circuit.failed(transport.blame(late))
            self._answers.failed[transport.provider] = late

    async def _stop(self) -> None:
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)
        for task in self._tasks:
            if not task.cancelled():
                task.exception()  # looked at, so that the loop does not complain of an error nobody took


def in_order(members: Sequence[M]) -> list[M]:
    """The well ones as given, then those that rest, the next to be tried first; those barred by a rate limit never."""
    well = [member for member in members if member.transport.circuit.ready]
    resting = [m for m in members if not m.transport.circuit.ready and not m.transport.circuit.barred]
    return well + sorted(resting, key=lambda member: member.transport.circuit.rests_until)


def shortfall(
    members: Iterable[Member], *, failed: Mapping[str, ConnectorError], need: int, given: int
) -> ConnectorError:
    """Why fewer than `need` answered, in one error: MISCONFIGURED where not enough nodes are left that could.

    With no answer at all the reason is the preferred node's, with some it is NO_QUORUM.
    """
    nodes = list(members)
    errors = [failed.get(node.transport.provider) or node.transport.circuit.error for node in nodes]
    known = [error for error in errors if error is not None]
    text = "; ".join(str(error) for error in known) or "no node answered"
    if len(nodes) - sum(isinstance(error, Misconfigured) for error in known) < need:
        return Misconfigured(text)
    if given:
        return Unavailable(f"{given} of {need} nodes answered; {text}", reason=Reason.NO_QUORUM)
    return Unavailable(text, reason=known[0].reason if known else Reason.UNAVAILABLE)
