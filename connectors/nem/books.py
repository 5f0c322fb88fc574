"""The books of a chain's nodes: they answer what is asked at an agreed block, and what stands beside the balances."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from connectors.base import Control, Disagreement, Drift, Tip, Token, Watch
from connectors.follow import Keys
from connectors.nem.book import Book, Rules
from connectors.nem.node import NisNode
from connectors.quorum import Value


@dataclass(frozen=True, slots=True)
class _Kept:
    """A book, and the watch that it was begun for."""

    watch: Watch
    book: Book


class Books:
    """A book for each node, begun when it is first asked, and anew for another watch."""

    def __init__(self, *, rules: Rules) -> None:
        self._rules = rules
        self._kept: dict[str, _Kept] = {}

    async def read(self, node: NisNode, *, keys: Keys, block: str) -> list[Value]:
        """The units of each key at the block; see ReadAt."""
        await node.identify()
        states = await self._book(node, watch=keys.watch).at(block)
        if keys.whole:
            return [value for state in states for value in state.values]
        places = (divmod(index, len(keys.watch.tokens)) for index in keys.indices)
        return [states[account].values[token] for account, token in places]

    def controls(self, watch: Watch, *, tip: Tip, need: int) -> Controls:
        """What the nodes that have been read at the tip say of who controls what, as far as `need` of them agree."""
        told: dict[str, list[Control | None]] = {}
        for name, kept in self._kept.items():
            states = kept.book.known(tip.hash) if kept.watch == watch else None
            if states is not None:
                told[name] = [state.control for state in states]
        columns = list(told.values())
        if len(columns) < need:
            return Controls([None] * len(watch.accounts))
        if all(column == columns[0] for column in columns[1:]):
            return Controls(columns[0])
        return _settled(told, watch=watch, tip=tip, need=need)

    def take_drift(self, watch: Watch) -> tuple[Drift, ...] | None:
        """What sweeps have found since this was asked, each account once; None where none has ended."""
        taken = [kept.book.take_drift() for kept in self._kept.values() if kept.watch == watch]
        found = [drift for drift in taken if drift is not None]
        return tuple(dict.fromkeys(one for drift in found for one in drift)) if found else None

    def _book(self, node: NisNode, *, watch: Watch) -> Book:
        name = node.transport.provider
        kept = self._kept.get(name)
        if kept is None or kept.watch != watch:
            kept = self._kept[name] = _Kept(watch, Book(node, watch=watch, rules=self._rules))
        return kept.book


@dataclass(frozen=True, slots=True)
class Controls:
    """Of each account of the watch, None where it is not known; and what nodes contradict each other in."""

    known: Sequence[Control | None]
    disputes: tuple[Disagreement, ...] = ()


def _settled(told: Mapping[str, Sequence[Control | None]], *, watch: Watch, tip: Tip, need: int) -> Controls:
    known: list[Control | None] = []
    disputes: list[Disagreement] = []
    for number, account in enumerate(watch.accounts):
        said = {name: column[number] for name, column in told.items()}
        controls = [control for control in said.values() if control is not None]
        votes = Counter(controls).most_common(2)
        clear = votes and votes[0][1] >= need and (len(votes) == 1 or votes[1][1] < need)
        known.append(votes[0][0] if clear else None)
        if len(votes) > 1:
            words = tuple((name, _words(control)) for name, control in said.items())
            disputes.append(Disagreement(account, Token(watch.chain, None, 6), tip, words))
    return Controls(known, tuple(disputes))


def _words(control: Control | None) -> str:
    if control is None:
        return "no control"
    return " ".join((control.kind, *(f"{name}={value}" for name, value in control.facts)))
