"""The agreed head of one chain, poll after poll: asks the nodes, remembers the branch, notices reorgs and laggards."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Generic, Protocol, TypeVar

from connectors.errors import BadAnswer, ConnectorError, Reason, Unavailable
from connectors.panel import Answers, Member, ask, shortfall
from connectors.quorum import Candidate, Course, Header, HeadVerdict, Record, View, agree_on_head, common_ancestor
from connectors.transport import Timing

NEAR = 3
"""Blocks that a node may be behind without being in trouble: the machines behind one URL are never quite in step."""

LONGEST_GAP = 64
"""Blocks below a new head, as far as they are not known, that are fetched so that a later reorg can be placed."""


class Witness(Member, Protocol):
    """A node that can be asked for blocks. All three raise ConnectorError."""

    async def head(self) -> Header:
        """The newest block that we would read at."""
        ...

    async def header_at(self, height: int) -> Header | None:
        """The block that the node holds as canonical at this height, None where it has none."""
        ...

    async def headers_between(self, low: int, high: int) -> Sequence[Header]:
        """The canonical blocks above `low` and below `high`."""
        ...


W = TypeVar("W", bound=Witness)


@dataclass(frozen=True, slots=True)
class Sighting(Generic[W]):
    """The agreed block, when a node reported it, and whom to ask about it: its holders first.

    When the nodes are briefly behind what we know already, it is the known block with the old `seen`.
    """

    header: Header
    seen: datetime
    nodes: tuple[W, ...]


@dataclass(frozen=True, slots=True)
class _Look:
    """A node's head, and when it told us."""

    header: Header
    seen: datetime


@dataclass(frozen=True, slots=True)
class _Poll:
    """What the nodes said in one poll, and what it comes to."""

    looks: Answers[_Look]
    views: dict[str, View]
    verdict: HeadVerdict


class Heads(Generic[W]):
    """Follows the head that `agree` of the nodes hold. One instance a chain, so that it never goes back by itself."""

    def __init__(self, nodes: Sequence[W], *, agree: int, timing: Timing, now: Callable[[], datetime]) -> None:
        self.reorgs: list[int] = []
        """The height of the common ancestor of each reorg so far."""
        self._nodes = {node.transport.provider: node for node in nodes}
        self._agree = agree
        self._timing = timing
        self._now = now
        self._record = Record()
        self._seen: datetime | None = None
        self._lock = asyncio.Lock()

    async def advance(self) -> Sighting[W]:
        """The head as agreed now. Raises ConnectorError when there is none, or only one far behind what we know."""
        async with self._lock:
            poll = await self._judge(await self._first_looks())
            if poll.verdict.course in (Course.BEHIND, Course.SPLIT):
                poll = await self._judge(await self._more_looks(poll.looks))
            return await self._accept(poll)

    async def _look(self, node: W) -> _Look:
        header = await node.head()
        return _Look(header, self._now())

    async def _first_looks(self) -> Answers[_Look]:
        nodes, need = tuple(self._nodes.values()), self._agree
        answers = await ask(nodes, self._look, need=need, timing=self._timing)
        if len(answers.given) < need:
            raise shortfall(nodes, failed=answers.failed, need=need, given=len(answers.given))
        return answers

    async def _more_looks(self, looks: Answers[_Look]) -> Answers[_Look]:
        """Asks the nodes that were not needed at first: one of them may know better."""
        asked = looks.given.keys() | looks.failed.keys()
        rest = [node for name, node in self._nodes.items() if name not in asked and node.transport.circuit.ready]
        if not rest:
            return looks
        more = await ask(rest, self._look, need=len(rest), timing=self._timing)
        return Answers({**looks.given, **more.given}, {**looks.failed, **more.failed})

    async def _judge(self, looks: Answers[_Look]) -> _Poll:
        views = {
            name: View(look.header, ask=partial(_hash_at, self._nodes[name])) for name, look in looks.given.items()
        }
        return _Poll(looks, views, await agree_on_head(views, need=self._agree, record=self._record))

    async def _accept(self, poll: _Poll) -> Sighting[W]:
        block, course, tip = poll.verdict.block, poll.verdict.course, self._record.tip
        if block is None or course is Course.SPLIT:
            said = ", ".join(f"{name}: {view.head.height} {view.head.hash}" for name, view in poll.views.items())
            raise Unavailable(f"the nodes are on different branches: {said}", reason=Reason.NO_QUORUM)
        if course is Course.BEHIND and tip is not None:
            return self._behind(block, tip=tip, poll=poll)
        if tip is None or block.hash != tip.hash:
            tip = await self._header(block, poll=poll)
            if course is Course.REORG:
                ancestor = await common_ancestor(poll.views[block.holders[0]], record=self._record)
                self._record.rewind(ancestor)
                self.reorgs.append(ancestor)
            await self._extend(tip, holder=self._nodes[block.holders[0]])
        self._seen = min(poll.looks.given[name].seen for name in block.holders)
        return Sighting(tip, self._seen, self._whom_to_ask(block, poll=poll))

    def _behind(self, block: Candidate, *, tip: Header, poll: _Poll) -> Sighting[W]:
        lag = tip.height - block.height
        if lag <= NEAR and self._seen is not None:
            return Sighting(tip, self._seen, self._whom_to_ask(block, poll=poll))
        text = f"{', '.join(block.holders)}: {lag} blocks behind block {tip.height}, which was read before"
        error = Unavailable(text, reason=Reason.UNAVAILABLE if self._agree == 1 else Reason.NO_QUORUM)
        for name in block.holders if self._agree == 1 else ():
            self._nodes[name].transport.circuit.failed(error)
        raise error

    async def _header(self, block: Candidate, *, poll: _Poll) -> Header:
        for name in block.holders:
            if poll.views[name].head.hash == block.hash:
                return poll.views[name].head
        node = self._nodes[block.holders[0]]
        header = await node.header_at(block.height)
        if header is None or header.hash != block.hash:
            raise node.transport.blame(BadAnswer(f"{block.holders[0]}: changed its block {block.height} meanwhile"))
        return header

    async def _extend(self, tip: Header, *, holder: W) -> None:
        record = self._record
        start = max([height for height in record.heights() if height < tip.height], default=-1)
        start = max(start, tip.height - LONGEST_GAP)
        between: Sequence[Header] = ()
        try:
            if record.genesis is None:
                record.genesis = await _hash_at(holder, 0)
            if tip.height - start > 1:
                between = await holder.headers_between(start, tip.height)
        except ConnectorError:
            pass  # only makes the depth of a later reorg less exact; the node's failure is counted where it happened
        record.extend(tip, between=between)

    def _whom_to_ask(self, block: Candidate, *, poll: _Poll) -> tuple[W, ...]:
        """Holders first, then those that will know the block in a moment; then, to fail over to, all the others."""
        names = list(block.holders)
        for name, view in poll.views.items():
            if name not in names and block.height - NEAR <= view.head.height < block.height:
                names.append(name)
        if self._agree == 1:
            names += [name for name in self._nodes if name not in names]
        return tuple(self._nodes[name] for name in names)


async def _hash_at(node: Witness, height: int) -> str | None:
    header = await node.header_at(height)
    return None if header is None else header.hash
