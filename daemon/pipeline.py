"""The pipe: what the chains said → classify → exposure → policy → findings → emit, in this order and on this screen."""

import asyncio
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, nullcontext
from dataclasses import dataclass, field, replace
from datetime import datetime
from itertools import chain as concatenated

from daemon.classify import Classifier, classify
from daemon.coverage import Covers
from daemon.detecting import Detecting
from daemon.detection.approval import Approved
from daemon.detection.detector import Remembers
from daemon.exposure import Exposures, Valuation, chain_state
from daemon.feeds.averages import Averages
from daemon.feeds.book import FeedBook, Heard
from daemon.feeds.plan import SourceKey
from daemon.feeds.values import Feeds
from daemon.findings import Advance, adopt, advance
from daemon.groups import Groups
from daemon.ledger import Ledger
from daemon.model import ChainState, Check, Finding, Report
from daemon.movements import cold_payments, shortlist
from daemon.outbox import addressed
from daemon.policy import judged
from daemon.policy.drain import windows_of
from daemon.policy.memory import Memory
from daemon.policy.reserve import reserves
from daemon.policy.rule import Picture, few
from daemon.policy.standing import Standing, restored
from daemon.ports import Gating, Nowhere, Recorder, Sink, Stopping, Writing
from daemon.setup import Setup
from daemon.wallet_states import WalletStates
from daemon.windows import Windows

Timed = Callable[[str], AbstractContextManager[object]]
"""Measures how long a stage of the pipe takes, by its name."""


def untimed(_stage: str) -> AbstractContextManager[object]:
    return nullcontext()


@dataclass(slots=True)
class Pipeline:
    """Judges what the ledger holds. `findings` are the open ones; `receivers` name the queues that hear of events.

    `averages` are counted where a rule values by them; `detecting` knows payments; without `gates` nobody says whether
    signers may go on; `timed` measures the stages `judge` and `emit`.
    """

    setup: Setup
    ledger: Ledger
    feeds: FeedBook
    findings: tuple[Finding, ...]
    recorder: Recorder
    receivers: tuple[str, ...]
    sinks: Sequence[Sink]
    averages: Averages | None = None
    detecting: Detecting = field(default_factory=Detecting)
    writing: Writing = field(default_factory=Nowhere)
    remembers: bool = True
    """Whether what an earlier run has left is known, or there is nowhere to look."""
    gates: Gating | None = None
    timed: Timed = untimed
    standing: Standing = field(default_factory=dict, init=False)
    """The verdicts of rules with a schedule that stand until their next time."""
    _windows: Windows = field(default_factory=Windows, init=False, repr=False)
    _groups: Groups = field(default_factory=Groups, init=False, repr=False)
    _exposures: Exposures = field(default_factory=Exposures, init=False, repr=False)
    _covers: Covers = field(default_factory=Covers, init=False, repr=False)
    _classifier: Classifier = field(default_factory=Classifier, init=False, repr=False)
    _states: WalletStates = field(default_factory=WalletStates, init=False, repr=False)
    _memory: Memory = field(default_factory=Memory, init=False, repr=False)
    _closed: set[str] = field(default_factory=set, init=False, repr=False)
    _turn: asyncio.Lock = field(default_factory=asyncio.Lock, init=False, repr=False)

    def hear(self, source: SourceKey, said: Heard, *, now: datetime) -> None:
        """What a source has just said: the book of the feeds ages it, and approvals go to who matches them."""
        for _ in self.hearing(source, said, now=now):
            pass

    def hearing(self, source: SourceKey, said: Heard, *, now: datetime) -> Iterator[None]:
        """As `hear`, with pauses in which anything else may be done: an answer may name 100,000 approvals."""
        self.feeds.take(source, said, now=now)
        if isinstance(said, Approved):
            yield from self.detecting.approvals.entering(said, now=now)

    async def cycle(self, now: datetime) -> Report:
        """One pass: a judgement, made durable, then handed to every sink, also behind one that breaks its promise.

        What findings rest on is written before them: were it the other way round, a crash between the two would leave a
        finding of a payment that nobody knows, and it would be over before its time. As it is the payment is known, and
        the finding begins with the next pass, before which nobody was told of it. Signers alone are stopped before all
        that: a store that hangs must keep no gate open.
        """
        async with self._turn:
            with self.timed("judge"):
                step, report, standing = self._judge(now)
            with self.timed("emit"):
                self._stop(report)
                await self._record(step, now=now)
                self.findings, self.standing = step.open, standing
                if self.gates is not None:
                    await self.gates.keep()
                self._offer(report)
        return report

    async def _record(self, step: Advance, *, now: datetime) -> None:
        changed = step.changed(self.findings)
        if changed or step.events:
            try:
                await self.writing.write()
            finally:  # also when it is cut off: nobody's page is lost by that
                await self.recorder.record(changed, addressed(step.events, sinks=self.receivers, at=now))

    def _offer(self, report: Report) -> None:
        with ExitStack() as offers:  # calls all of them, then raises what one of them raised
            for sink in reversed(self.sinks):
                offers.callback(sink.offer, report)

    def _stop(self, report: Report) -> None:
        """Tells who stops signers of gates that were open before this pass; a store that hangs would cost seconds."""
        closed = {name for name, gate in report.gates.items() if not gate.open}
        if not closed <= self._closed:
            for sink in self.sinks:
                if isinstance(sink, Stopping):
                    sink.stop(report)
        self._closed = closed

    async def adopt(self, stored: Sequence[Finding], *, checks: Sequence[Check] = (), now: datetime) -> None:
        """Goes on with the findings of an earlier run, and with what it judged on schedule, between two passes."""
        async with self._turn:
            step = adopt(self.findings, stored, now=now)
            await self.recorder.record(step.closed, ())
            self.findings, self.standing = step.open, restored(self.standing, checks)

    def _look(self, now: datetime) -> Feeds:
        """What the sources say, and the averages of what they said, where a rule values by them."""
        feeds = self.feeds.look(now)
        if self.averages is None:
            return feeds
        self.averages.count(feeds.prices, now=now)
        averaged = self.averages.trailing(self.setup.inventory.assets, now=now)
        return replace(feeds, trailing=averaged.prices, untrailed=averaged.missing)

    def remembering(self) -> tuple[Remembers, ...]:
        """All that outlives a restart, as it is now; what goes from one to another is entered there first."""
        movements = self.ledger.movements
        ledger = (movements.paid, movements.journal, self.ledger.branches, self.ledger.controls)
        return (*ledger, self._windows, *self.detecting.remembering())

    def recall(self, rows: Mapping[str, Mapping[str, str]]) -> list[str]:
        """What an earlier run has left, by kind; whoever learned something meanwhile joins it. Says what can't be read.

        Detectors begin anew: they are told all payments again.
        """
        self.remembers = True
        self.detecting.begin_anew()
        wrong: list[str] = []
        for one in self.remembering():
            try:
                one.restore(dict(rows.get(one.kind, {})))
            except (ValueError, TypeError, LookupError) as error:
                wrong.append(f"{one.kind}: {error}")
        return wrong

    def _judge(self, now: datetime) -> tuple[Advance, Report, Standing]:
        setup, ledger = self.setup, self.ledger
        totals = ledger.totals()
        chains = {
            name: chain_state(name, book=book, ages=setup.ages[name], began=setup.began, now=now)
            for name, book in ledger.books.items()
        }
        cases = self.detecting.cases(setup, ledger, now=now)
        observed = self._classifier.look(setup, profiles=self.detecting.profiles, controls=ledger.controls, now=now)
        tiers = classify(setup.inventory.wallets, observed=observed, judge_by=setup.classification.judge_by)
        feeds = self._look(now)
        valuation = Valuation(setup.inventory, feeds.prices, chains, setup.growth, feeds.unpriced)
        wallets = self._states.of(totals, tiers=tiers, valuation=valuation, observed=observed)
        groups = self._groups.of(totals, tiers=tiers, inventory=setup.inventory)
        exposure = self._exposures.of(groups, valuation=valuation, custody=feeds.custody)
        coverage = self._covers.of(exposure, liabilities=feeds.liabilities, owed=self.feeds.owed)
        disagreements = tuple(concatenated.from_iterable(book.disagreements for book in ledger.books.values()))
        picture = Picture(
            currency=setup.currency,
            chains=chains,
            wallets=wallets,
            exposure=exposure,
            feeds=feeds,
            coverage=coverage,
            disagreements=disagreements,
            sweeps=ledger.sweeps(),
            windows=self._windows.look(
                totals,
                groups=groups,
                inventory=setup.inventory,
                tiers=tiers,
                chains=chains,
                books=ledger.books,
                wanted=windows_of(rule for _, rule in setup.policies),
                now=now,
                departed=self.detecting.announced.departed,
            ),
            cold_payments=cold_payments(ledger.movements, inventory=setup.inventory, tiers=tiers),
            telling=dict.fromkeys(setup.telling & chains.keys(), setup.began),
            assets=setup.inventory.assets,
            controls={
                name: ledger.controls.of(name) for name, one in wallets.items() if one.wallet.chain in setup.controlling
            },
            cases=cases,
            explained=self.detecting.announced.explained,
            remembers=self.remembers,
            memory=self._memory.under(setup, *tiers.values()),
            at=now,
        )
        verdicts, standing = judged(setup.policies, picture, standing=self.standing)
        rules = dict(setup.policies)
        step = advance(self.findings, verdicts, rules=rules, now=now, chains=chains)
        known = setup.inventory.wallets
        gates = self.gates and self.gates.judge(step.open, rules=rules, wallets=known, chains=chains, now=now)
        report = Report(
            entity=setup.entity,
            currency=setup.currency,
            at=now,
            chains=chains,
            wallets=wallets,
            exposure=exposure,
            verdicts=verdicts,
            findings=step.open,
            feeds=feeds,
            coverage=replace(coverage, reserve=reserves(setup.policies, picture)),
            disagreements=disagreements,
            problems=tuple(problems(chains, feeds=feeds, store=self.recorder.problem or self.writing.problem)),
            movements=shortlist(ledger.movements, inventory=setup.inventory, tiers=tiers),
            gates=gates or {},
        )
        return step, report, standing


def problems(chains: Mapping[str, ChainState], *, feeds: Feeds, store: str | None) -> Iterator[str]:
    """Why this picture is not a complete and current one; each a line for people."""
    for name, state in chains.items():
        if state.reason is not None:
            yield f"{name}: {state.reason}: {state.detail}"
        elif state.unread:
            counts = ", ".join(f"{count} {reason}" for reason, count in state.unread.items())
            yield f"{name}: accounts unread: {counts}{f' ({state.detail})' if state.detail else ''}"
    for source in feeds.sources:
        if source.leaves:
            said = f"{source.reason}: {source.detail}" if source.reason else "says nothing current of them"
            yield f"{source.label}: {said} (unknown: {few(source.leaves)})"
    if store is not None:
        yield f"store: {store}"
