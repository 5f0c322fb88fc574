"""Readings held back until their block is deep enough or final: a node tells accounts as they are now, and no older."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from connectors.base import Address, Failure, Held, Movement, Stage, Tip, Token, Unread, Update
from connectors.errors import Reason

Key = tuple[Address, Token]

Deepest = Callable[[Tip], int]
"""The height of the newest block that readings may be told of, when this is the newest block that was read."""


class HeldBack:
    """Takes the updates of the newest blocks, gives those of older ones; one instance a consumer.

    Until a first block is deep enough the chain is a failure, for the reason `starting`; and again when a block that
    was told is undone, until one of the new branch is deep enough. Movements that don't wait for depth wait for the end
    of a failure: nobody takes any from one.
    """

    def __init__(self, deepest: Deepest) -> None:
        self._deepest = deepest
        self._waiting: list[Update] = []
        self._values: dict[Key, Held | Unread] = {}
        self._told: Tip | None = None
        self._stands = False
        """Whether the block that was told last is still in the branch."""
        self._owes_all = True
        self._undone = 0
        self._at_once: list[Movement] = []
        self._late: tuple[Movement, ...] = ()
        """Movements of blocks that stand, told late with a block that does not stand any more."""
        self._owed = False

    def pass_on(self, update: Update) -> Update:
        """What may be told now. A failure is told at once; after it everything is told again."""
        if update.failure or update.tip is None:
            self._owes_all = True
            return update
        if update.reorg_depth and update.previous is not None:
            self._undo(update.previous.height - update.reorg_depth)
        self._take(update)
        deepest = self._deepest(update.tip)
        ready = [one for one in self._waiting if one.tip and one.tip.height <= deepest]
        del self._waiting[: len(ready)]
        self._at_once += (movement for movement in update.movements if movement.stage is not Stage.MINED)
        if not ready and not self._stands:
            self._owes_all = True
            text = f"block {update.tip.height} is read, told are blocks up to {deepest}: none of these is read yet"
            return Update(update.chain, update.seen, failure=Failure(Reason.STARTING, text))
        told = self._merged(update, ready=ready)
        at_once, self._at_once = self._at_once, []
        return replace(told, movements=(*at_once, *told.movements))

    def _undo(self, ancestor: int) -> None:
        gone = [one for one in self._waiting if one.tip and one.tip.height > ancestor]
        told = (movement for one in gone for movement in one.movements)
        self._late += tuple(movement for movement in told if movement.tip and movement.tip.height <= ancestor)
        self._waiting = [one for one in self._waiting if one.tip and one.tip.height <= ancestor]
        if self._told is not None and self._told.height > ancestor:
            self._undone = max(self._undone, self._told.height - ancestor)
            self._stands = False
            self._values.clear()

    def _take(self, update: Update) -> None:
        """Queues the update, unless it only says that nothing has changed at a block that is known."""
        mined = (movement for movement in update.movements if movement.stage is Stage.MINED)
        movements, self._late = (*self._late, *mined), ()
        known = self._waiting[-1].tip if self._waiting else self._told
        says_something = update.complete or update.held or update.unread or update.controls or movements
        if says_something or update.tip != known:
            self._waiting.append(replace(update, movements=movements))

    def _merged(self, newest: Update, *, ready: list[Update]) -> Update:
        changed: dict[Key, Held | Unread] = {}
        complete = self._owes_all
        for one in ready:
            if one.complete:
                complete = True
                self._values.clear()
                changed.clear()
            values: tuple[Held | Unread, ...] = (*one.held, *one.unread)
            changed |= {(value.account, value.token): value for value in values}
            self._values |= changed
        previous, self._told = self._told, ready[-1].tip if ready else self._told
        depth, self._undone = self._undone, 0
        self._owes_all, self._stands = False, True
        self._owed = ready[-1].owed if ready else self._owed
        told = (self._values if complete else changed).values()
        return Update(
            newest.chain,
            newest.seen,
            tip=self._told,
            previous=previous,
            held=tuple(value for value in told if isinstance(value, Held)),
            unread=tuple(value for value in told if isinstance(value, Unread)),
            disagreements=tuple(dispute for one in ready for dispute in one.disagreements),
            complete=complete,
            reorg_depth=depth,
            movements=tuple(movement for one in ready for movement in one.movements),
            controls=tuple(control for one in ready for control in one.controls),
            owed=self._owed,
        )
