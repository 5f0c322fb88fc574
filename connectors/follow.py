"""From readings at agreed blocks to updates: first everything, then what changed, everything again after any doubt."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Generic, Protocol, TypeVar

from connectors.base import Address, Disagreement, Failure, Held, Tip, Token, Unread, Update, Watch
from connectors.errors import ConnectorError, NodeError, Unavailable
from connectors.heads import Heads, Sighting, W, Witness
from connectors.panel import ask, shortfall
from connectors.quorum import STATEMENTS, Flaw, Value, agree_on_values
from connectors.transport import Timing

TRIES = 3
"""How often a new head is taken up when the block is gone before it is read, in one poll."""

MOST_SECOND_LOOKS = 200
"""Single balances that failed are read again at the same block with each poll, up to this many."""


class UnknownBlock(NodeError):
    """The node does not have the block: not yet, or not any more."""


@dataclass(frozen=True, slots=True)
class Keys:
    """What is read: pairs of account and token, by their index in the watch, account by account."""

    watch: Watch
    indices: Sequence[int]

    @classmethod
    def all_of(cls, watch: Watch) -> Keys:
        return cls(watch, range(len(watch.accounts) * len(watch.tokens)))

    @property
    def whole(self) -> bool:
        return len(self.indices) == len(self.watch.accounts) * len(self.watch.tokens)

    def pair(self, index: int) -> tuple[Address, Token]:
        account, token = divmod(index, len(self.watch.tokens))
        return self.watch.accounts[account], self.watch.tokens[token]


W_contra = TypeVar("W_contra", bound=Witness, contravariant=True)


class ReadAt(Protocol[W_contra]):
    """Reads keys from one node at the block with this hash.

    Raises UnknownBlock when the node lacks the block, another ConnectorError when the node can't be read.
    """

    async def __call__(self, node: W_contra, *, keys: Keys, block: str) -> list[Value]: ...


@dataclass(frozen=True, slots=True)
class _Reading:
    """Everything watched at one tip: values by index of the key, and what nodes contradict each other in."""

    tip: Tip
    values: list[Value]
    disputes: Mapping[int, Disagreement]


class Reader(Generic[W]):
    """Reads a watch at the agreed head, for any chain that can be asked at a block hash."""

    def __init__(self, nodes: Sequence[W], *, heads: Heads[W], read_at: ReadAt[W], agree: int, timing: Timing) -> None:
        self.heads = heads
        self._nodes = {node.transport.provider: node for node in nodes}
        self._read_at = read_at
        self._agree = agree
        self._timing = timing

    async def read(self, sighting: Sighting[W], *, keys: Keys) -> _Reading:
        """The keys' values as agreed at the sighted block. Raises ConnectorError, UnknownBlock if the block is gone."""
        block = sighting.header.hash

        async def question(node: W) -> list[Value]:
            return await self._read_at(node, keys=keys, block=block)

        answers = await ask(sighting.nodes, question, need=self._agree, timing=self._timing, proof=True)
        if len(answers.given) < self._agree:
            gone = next((error for error in answers.failed.values() if isinstance(error, UnknownBlock)), None)
            if gone is not None:
                raise gone
            raise shortfall(self._nodes.values(), failed=answers.failed, need=self._agree, given=len(answers.given))
        agreed = agree_on_values(answers.given, need=self._agree)
        disputes: dict[int, Disagreement] = {}
        for place, said in agreed.disputes.items():
            account, token = keys.pair(keys.indices[place])
            disputes[keys.indices[place]] = Disagreement(account, token, sighting.header.tip, said)
        for name in agreed.dissenters:
            self._nodes[name].transport.disagreed()
        return _Reading(sighting.header.tip, list(agreed.values), disputes)


class Follower(Generic[W]):
    """One consumer's view of a chain: knows what it has been told, so that it is told only what changed."""

    def __init__(self, reader: Reader[W], *, watch: Watch, now: Callable[[], datetime]) -> None:
        self._reader = reader
        self._heads = reader.heads
        self._watch = watch
        self._now = now
        self._known: _Reading | None = None
        self._previous: Tip | None = None
        self._reorgs_told = len(self._heads.reorgs)

    async def next(self) -> Update:
        """One poll. Never raises ConnectorError: then the update is a failure, and the next good one is complete."""
        try:
            return await self._poll()
        except ConnectorError as error:
            self.forget()
            return Update(self._watch.chain, self._now(), failure=Failure(error.reason, str(error)))

    def forget(self) -> None:
        """What was told may be wrong: the next good update is complete."""
        self._known = None

    async def _poll(self) -> Update:
        for _ in range(TRIES):
            sighting = await self._heads.advance()
            try:
                if self._known is not None and self._known.tip.hash == sighting.header.hash:
                    return await self._still(sighting, known=self._known)
                reading = await self._reader.read(sighting, keys=Keys.all_of(self._watch))
            except UnknownBlock as error:
                gone = error
                continue
            return self._told(sighting, reading)
        raise Unavailable(f"the block was gone {TRIES} times before it was read: {gone}")

    async def _still(self, sighting: Sighting[W], *, known: _Reading) -> Update:
        """The head has not moved: single balances that could not be read get a second look at the same block."""
        reading = known
        doubtful = [index for index, value in enumerate(known.values) if _may_be_read_again(value)]
        if 0 < len(doubtful) <= MOST_SECOND_LOOKS:
            try:
                second = await self._reader.read(sighting, keys=Keys(self._watch, doubtful))
            except ConnectorError:
                pass  # takes nothing away from what was read at this block before
            else:
                reading = _with_second_look(known, second, indices=doubtful)
        return self._told(sighting, reading)

    def _told(self, sighting: Sighting[W], reading: _Reading) -> Update:
        """The update that brings the consumer from what it knows to the reading."""
        known, previous = self._known, self._previous
        depth = self._depth()
        complete = known is None or depth > 0
        keys = Keys.all_of(self._watch)
        told = range(len(reading.values)) if known is None or complete else _changed(known.values, reading.values)
        held, unread = _sorted_out(told, values=reading.values, keys=keys)
        self._known, self._previous = reading, reading.tip
        return Update(
            self._watch.chain,
            sighting.seen,
            tip=reading.tip,
            previous=previous,
            held=held,
            unread=unread,
            disagreements=tuple(reading.disputes.values()),
            complete=complete,
            reorg_depth=depth,
        )

    def _depth(self) -> int:
        """How many blocks of the branch that ended in the previous tip were undone since it was told."""
        ancestors = self._heads.reorgs[self._reorgs_told :]
        self._reorgs_told = len(self._heads.reorgs)
        if self._previous is None or not ancestors:
            return 0
        return max(0, self._previous.height - min(ancestors))


def _sorted_out(
    indices: Iterable[int], *, values: Sequence[Value], keys: Keys
) -> tuple[tuple[Held, ...], tuple[Unread, ...]]:
    held: list[Held] = []
    unread: list[Unread] = []
    for index in indices:
        account, token = keys.pair(index)
        value = values[index]
        if isinstance(value, Flaw):
            unread.append(Unread(account, token, value.reason, value.detail))
        else:
            held.append(Held(account, token, value))
    return tuple(held), tuple(unread)


def _changed(before: Sequence[Value], after: Sequence[Value]) -> list[int]:
    """Indices whose value differs; a flaw with the same reason and other words is no change."""
    return [
        index
        for index, (old, new) in enumerate(zip(before, after, strict=True))
        if old != new and not (isinstance(old, Flaw) and isinstance(new, Flaw) and old.reason == new.reason)
    ]


def _may_be_read_again(value: Value) -> bool:
    return isinstance(value, Flaw) and value.reason not in STATEMENTS


def _with_second_look(first: _Reading, second: _Reading, *, indices: Sequence[int]) -> _Reading:
    values = list(first.values)
    for index, value in zip(indices, second.values, strict=True):
        values[index] = value
    kept = {index: dispute for index, dispute in first.disputes.items() if index not in set(indices)}
    return replace(first, values=values, disputes={**kept, **second.disputes})
