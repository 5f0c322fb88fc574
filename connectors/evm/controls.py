"""Who controls the accounts of an EVM chain, at the block of the balances: which are read when, and what is new."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from itertools import islice

import structlog

from connectors.base import UNREAD, Address, Control, Disagreement, Tip, Token, Watch
from connectors.errors import ConnectorError, Reason, Unavailable
from connectors.evm.blocks import Side
from connectors.evm.causes import causes
from connectors.evm.control_facts import SINGLE, Question
from connectors.evm.control_reading import Found, read_controls
from connectors.evm.mined import Mined
from connectors.panel import ask, in_order, shortfall
from connectors.transport import Timing

log = structlog.get_logger()

MOST_CODED = 1000
"""Accounts with code that are read with each block; of more those that are touched, and the others by turns."""

MOST_DUE = 2000
"""Other accounts that are asked for their code with one update: at first and at sweeps all, else those touched."""


@dataclass(frozen=True, slots=True)
class Told:
    """What is new at a tip, and what nodes contradict each other in."""

    controls: tuple[Control, ...] = ()
    disputes: tuple[Disagreement, ...] = ()


class Controls:
    """Asks `agree` nodes, each of which may take as long as `patience` with one look.

    What can't be read is told as UNREAD, once, until it is read again.
    """

    def __init__(
        self,
        watch: Watch,
        *,
        sides: Sequence[Side],
        agree: int,
        sweep: timedelta,
        patience: timedelta,
        timing: Timing,
    ) -> None:
        self._watch = watch
        self._sides = sides
        self._agree = agree
        self._sweep = sweep.total_seconds()
        self._patience = patience.total_seconds()
        self._timing = timing
        self._due: dict[Address, None] = dict.fromkeys(watch.accounts)
        self._swept = timing.clock()
        self._coded: dict[Address, tuple[Question, ...]] = {}
        self._told: dict[Address, Control] = {}
        self._plain: set[Address] = set()
        self._read_at = ""

    def doubt(self) -> None:
        """Blocks were passed over, in which any account may have been touched."""
        self._due = {**self._due, **dict.fromkeys(self._watch.accounts)}

    async def at(self, tip: Tip, *, touched: Iterable[Address], blocks: Sequence[Mined], anew: bool) -> Told:
        """What is different from what was told; with `anew` all of those that have code are told again.

        `touched`: whose balance changed. `blocks`: those since the last look, as far as they are known.
        """
        self._mark(touched=touched, blocks=blocks)
        if anew:
            self._read_at = ""
        wanted = self._wanted(tip)
        if not wanted:
            return Told()
        found, disputes = await self._settled(wanted, tip=tip)
        self._read_at = tip.hash
        changed = [control for control in found.controls.values() if self._is_news(control, anew=anew)]
        named = await self._with_causes(changed, blocks=blocks)
        self._remember(found)
        return Told(tuple(named), disputes)

    # ── which ───────────────────────────────────────────────────────────────────────────────────────────────────────

    def _mark(self, *, touched: Iterable[Address], blocks: Iterable[Mined]) -> None:
        """What is to be read next; those touched before all others."""
        now = self._timing.clock()
        if now - self._swept >= self._sweep:
            self._swept = now
            self._due |= dict.fromkeys(self._watch.accounts)
        first = dict.fromkeys([*touched, *(account for block in blocks for account, _ in block.touched)])
        if first:
            self._due = {**first, **self._due}

    def _wanted(self, tip: Tip) -> Sequence[Address]:
        """Of accounts with code each once a block; the others while they are due."""
        wanted = dict.fromkeys(islice(self._due, MOST_DUE))
        if self._read_at != tip.hash:
            wanted |= dict.fromkeys(islice(self._coded, MOST_CODED))
        return [*wanted]

    # ── what ────────────────────────────────────────────────────────────────────────────────────────────────────────

    async def _settled(self, accounts: Sequence[Address], *, tip: Tip) -> tuple[Found, tuple[Disagreement, ...]]:
        async def question(side: Side) -> Found:
            try:
                async with asyncio.timeout(self._patience):
                    return await read_controls(side.node, accounts, block=tip.hash, known=self._coded)
            except TimeoutError:
                text = f"{side.transport.provider}: control not told within {self._patience:g}s"
                raise Unavailable(text, reason=Reason.TIMEOUT) from None

        well = [side for side in self._sides if side.node.transport.circuit.error is None]
        try:
            answers = await ask(well, question, need=self._agree, timing=self._timing, proof=True)
            if len(answers.given) < self._agree:
                raise shortfall(self._sides, failed=answers.failed, need=self._agree, given=len(answers.given))
        except ConnectorError as error:
            return _all_unread(accounts, error), ()
        return _vote(answers.given, accounts=accounts, need=self._agree, at=(self._watch.chain, tip))

    def _is_news(self, control: Control, *, anew: bool) -> bool:
        if control.kind == SINGLE:
            return control.account not in self._plain
        known = self._told.get(control.account)
        if known is not None and known.kind == control.kind == UNREAD:
            return anew
        return anew or known != control

    async def _with_causes(self, changed: Sequence[Control], *, blocks: Sequence[Mined]) -> Sequence[Control]:
        """With the transaction that seems to have brought it, of those that had been told as something else."""
        asked = [one.account for one in changed if one.kind != UNREAD and self._has_changed(one)]
        if not asked or not blocks:
            return changed
        side = next(iter(in_order(self._sides)), None)
        try:
            found = {} if side is None else await causes(side.node, asked, blocks=blocks)
        except ConnectorError:  # it is counted where it happened, and the change is told without
            return changed
        return [
            replace(one, transaction=found[one.account][0], tip=found[one.account][1]) if one.account in found else one
            for one in changed
        ]

    def _has_changed(self, control: Control) -> bool:
        before = self._told.get(control.account)
        return (before is not None and before.kind != UNREAD) or control.account in self._plain

    def _remember(self, found: Found) -> None:
        for account, control in found.controls.items():
            self._plain.discard(account)
            if control.kind == UNREAD:
                self._told[account] = control
                self._due[account] = None
                continue
            self._due.pop(account, None)
            self._coded.pop(account, None)  # and in again behind the others
            if control.kind == SINGLE:
                self._told.pop(account, None)
                self._plain.add(account)
            else:
                self._told[account] = control
                self._coded[account] = found.asked.get(account, ())


def _all_unread(accounts: Iterable[Address], error: ConnectorError) -> Found:
    facts = (("reason", str(error.reason)), ("detail", str(error)))
    return Found({account: Control(account, UNREAD, facts) for account in accounts}, {})


def _vote(
    given: Mapping[str, Found], *, accounts: Sequence[Address], need: int, at: tuple[str, Tip]
) -> tuple[Found, tuple[Disagreement, ...]]:
    """What at least `need` nodes tell alike while nothing else is told by as many; else UNREAD."""
    chain, tip = at
    controls: dict[Address, Control] = {}
    disputes: list[Disagreement] = []
    for account in accounts:
        said = {name: found.controls[account] for name, found in given.items()}
        told = Counter(control for control in said.values() if control.kind != UNREAD)
        winners = [control for control, votes in told.items() if votes >= need]
        if len(winners) == 1:
            controls[account] = winners[0]
        else:
            unread = next((control for control in said.values() if control.kind == UNREAD), None)
            controls[account] = unread or Control(account, UNREAD, (("reason", str(Reason.NO_QUORUM)),))
        if len(told) > 1:
            words = tuple((name, _words(control)) for name, control in said.items())
            disputes.append(Disagreement(account, Token(chain, None, 18), tip, words))
    asked = {account: way for found in given.values() for account, way in found.asked.items()}
    return Found(controls, asked), tuple(disputes)


def _words(control: Control) -> str:
    return " ".join((control.kind, *(f"{name}={value}" for name, value in control.facts)))
