"""Which stage each transaction has come to, out of the mempools of all sources and the blocks that were read."""

from __future__ import annotations

from collections.abc import Container, Iterable, Sequence
from dataclasses import dataclass, replace

from connectors.base import Movement, Stage, Tip
from connectors.bitcoin.mempool import Mempool
from connectors.bitcoin.movements import Traced

REMEMBERED = 144
"""Blocks after which nothing is expected to change any more: about a day of Bitcoin, as deep as a book can go back."""


@dataclass(slots=True)
class Lost:
    """A transaction whose fate is open. `marks`: how many listings each mempool had begun when it was missed.

    `height` is the newest block's when all mempools had been listed since: with that block read, its fate is known.
    """

    marks: tuple[int, ...]
    height: int | None = None


class Traffic:
    """One consumer's view: knows which stage was told, so that only changes are told. Pure of effects.

    - In a block of the branch that is read: mined, whatever mempools say.
    - In any mempool: pending. One source's word is enough to be warned, and a source that is away takes nothing back.
    - In neither: replaced, when another transaction that is mined or pending spends one of the same coins; evicted,
      once every source that can be asked was asked anew and the blocks that it might have entered are read.
    """

    def __init__(self, mempools: Sequence[Mempool]) -> None:
        self.lost: dict[str, Lost] = {}
        """Transactions whose fate is open: mempools should be listed anew."""
        self._mempools = mempools
        self._told: dict[str, Traced] = {}
        self._pending: set[str] = set()
        """Transactions that were told to be pending, and those whose block was undone."""
        self._closed: dict[str, int] = {}
        """Replaced and evicted transactions, and the height at which they were told."""
        self._miners: dict[bytes, str] = {}
        """Outpoint → mined transaction that spends it."""
        self._pruned = 0

    def tell(self, tip: Tip | None, *, ancestor: int | None, mined: Sequence[Traced]) -> tuple[Movement, ...]:
        """What came to another stage, now that the chain is read as of `tip`; None when it can't be read at all.

        `mined` is what the blocks up to `tip` moved since the last call. `ancestor` is the height above which blocks
        were undone since, None where none was.
        """
        news: dict[str, Movement] = {}
        if ancestor is not None:
            self._undo(above=ancestor, mined=mined)
        for traced in mined:
            self._note(traced, news=news)
        listed = self._listed()
        for name, traced in listed.items():
            if not self._is_mined(name) and self._miner_of(traced) is None:
                self._note(traced, news=news)
        for name in [name for name in self._pending if self._is_missing(name, listed=listed)]:
            self._decide(name, listed=listed, tip=tip, news=news)
        if tip is not None and tip.height != self._pruned:
            self._prune(tip.height)
        return tuple(news.values())

    def _undo(self, *, above: int, mined: Iterable[Traced]) -> None:
        """The fate of transactions in undone blocks, which no block of the new branch holds, is open again."""
        again = {traced.movement.transaction for traced in mined}
        for name, traced in self._told.items():
            tip = traced.movement.tip
            if tip is not None and tip.height > above and name not in again:
                self._forget_miner(traced)
                self._pending.add(name)
                self.lost[name] = self._missed()

    def _note(self, traced: Traced, *, news: dict[str, Movement]) -> None:
        """Takes the stage of a transaction for told, and tells it where it is another than before."""
        name = traced.movement.transaction
        known = self._told.get(name)
        self.lost.pop(name, None)
        self._closed.pop(name, None)
        self._pending.discard(name)
        if traced.movement.stage is Stage.PENDING:
            self._pending.add(name)
        if known is not None and known.movement == traced.movement:
            return
        self._told[name] = traced
        news[name] = traced.movement
        if traced.movement.stage is Stage.MINED:
            self._miners |= dict.fromkeys(traced.inputs, name)

    def _listed(self) -> dict[str, Traced]:
        """What any mempool holds, in the words of the first that knows the fee.

        Of a source that can't be asked, only what it was already believed: the rest may be long gone.
        """
        found: dict[str, Traced] = {}
        for mempool in self._mempools:
            for traced in mempool.pending.values():
                name = traced.movement.transaction
                better = name not in found or (found[name].movement.fee is None and traced.movement.fee is not None)
                if better and (not mempool.failing or name in self._pending):
                    found[name] = traced
        return found

    def _is_missing(self, name: str, *, listed: Container[str]) -> bool:
        """Whether it is in no mempool that can be right: one that spends what a mined transaction spends is wrong."""
        return name not in listed or self._miner_of(self._told[name]) is not None

    def _decide(self, name: str, *, listed: dict[str, Traced], tip: Tip | None, news: dict[str, Movement]) -> None:
        traced = self._told[name]
        rival = self._miner_of(traced) or self._rival(traced, listed=listed)
        if rival is not None:
            self._close(_at_stage(traced, Stage.REPLACED, by=rival), tip=tip, news=news)
        elif tip is not None and self._surely_gone(self.lost.setdefault(name, self._missed()), tip=tip):
            self._close(_at_stage(traced, Stage.EVICTED), tip=tip, news=news)

    def _close(self, traced: Traced, *, tip: Tip | None, news: dict[str, Movement]) -> None:
        self._note(traced, news=news)
        self._closed[traced.movement.transaction] = 0 if tip is None else tip.height

    def _surely_gone(self, lost: Lost, *, tip: Tip) -> bool:
        """Whether every mempool that can be listed was listed since, and `tip` is as high as any of them then was."""
        if lost.height is None:
            marked = dict(zip(self._mempools, lost.marks, strict=False))
            fresh = [mempool for mempool in self._mempools if mempool.settled > marked.get(mempool, 0)]
            if not fresh or any(mempool not in fresh and not mempool.failing for mempool in self._mempools):
                return False
            lost.height = max(mempool.height for mempool in fresh)
        return lost.height <= tip.height

    def _missed(self) -> Lost:
        return Lost(tuple(mempool.begun for mempool in self._mempools))

    def _is_mined(self, name: str) -> bool:
        return name in self._told and name not in self._pending and name not in self._closed

    def _miner_of(self, traced: Traced) -> str | None:
        """The mined transaction that spends one of its coins; its own name is no answer."""
        miners = (self._miners.get(outpoint) for outpoint in traced.inputs)
        return next((name for name in miners if name not in (None, traced.movement.transaction)), None)

    def _rival(self, traced: Traced, *, listed: dict[str, Traced]) -> str | None:
        """The pending transaction that spends one of its coins."""
        spent = set(traced.inputs)
        name = traced.movement.transaction
        for other, rival in listed.items():
            if other != name and not spent.isdisjoint(rival.inputs):
                return other
        txid = bytes.fromhex(name)[::-1]
        strangers = (mempool.rivals[txid][::-1].hex() for mempool in self._mempools if txid in mempool.rivals)
        return next(strangers, None)

    def _forget_miner(self, traced: Traced) -> None:
        for outpoint in traced.inputs:
            if self._miners.get(outpoint) == traced.movement.transaction:
                del self._miners[outpoint]

    def _prune(self, height: int) -> None:
        """Forgets what was told to have ended long before this height."""
        self._pruned = height
        ended = {name: traced.movement.tip.height for name, traced in self._told.items() if traced.movement.tip}
        for name in [name for name, at in (ended | self._closed).items() if at < height - REMEMBERED]:
            self._forget_miner(self._told.pop(name))
            self._closed.pop(name, None)
            self._pending.discard(name)
            self.lost.pop(name, None)


def _at_stage(traced: Traced, stage: Stage, *, by: str | None = None) -> Traced:
    return replace(traced, movement=replace(traced.movement, stage=stage, tip=None, replaced_by=by))
