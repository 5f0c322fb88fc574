"""The pipe: what the chains said → classify → exposure → policy → findings → emit, in this order and on this screen."""

import asyncio
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from datetime import datetime
from decimal import Decimal
from itertools import chain as concatenated
from typing import Protocol

from daemon.classify import classify
from daemon.coverage import Covers
from daemon.detection.case import Cases
from daemon.detection.detection import Around, Detection
from daemon.exposure import Ages, Exposures, Valuation, chain_state
from daemon.feeds.averages import Averages
from daemon.feeds.book import FeedBook
from daemon.feeds.plan import Plan
from daemon.feeds.values import Feeds
from daemon.findings import Advance, adopt, advance
from daemon.gate.state import GateState
from daemon.groups import Groups
from daemon.ledger import Ledger
from daemon.model import ChainState, Check, Finding, Inventory, Notification, Report, Wallet
from daemon.movements import cold_payments, shortlist
from daemon.outbox import addressed
from daemon.policy import judged
from daemon.policy.drain import windows_of
from daemon.policy.memory import Memory
from daemon.policy.reserve import reserves
from daemon.policy.rule import Picture, Rule, few
from daemon.policy.standing import Standing, restored
from daemon.wallet_states import WalletStates
from daemon.windows import Windows


class Sink(Protocol):
    """Receives every report. Never raises and never waits: what takes time is a worker of the sink's own."""

    def offer(self, report: Report) -> None: ...


class Recorder(Protocol):
    """Makes findings and their notifications durable before anybody is told. Keeps them when the store does not."""

    @property
    def problem(self) -> str | None: ...

    async def record(self, findings: Sequence[Finding], notifications: Sequence[Notification]) -> None: ...


class Gating(Protocol):
    """Says of each wallet whether its signers may go on, and makes that durable. Never raises what the store raises."""

    def judge(
        self,
        findings: Iterable[Finding],
        *,
        rules: Mapping[str, Rule],
        wallets: Mapping[str, Wallet],
        chains: Mapping[str, ChainState],
        now: datetime,
    ) -> Mapping[str, GateState]: ...

    async def keep(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Setup:
    """What one configuration means; a reload swaps it whole.

    `growth` is how much unread accounts may have grown; `began` when this configuration came into force; `telling` the
    chains whose connectors tell movements, `controlling` those whose connectors tell who controls accounts.
    """

    entity: str
    currency: str
    inventory: Inventory
    policies: tuple[tuple[str, Rule], ...]
    feeds: Plan
    growth: Decimal
    ages: Mapping[str, Ages]
    began: datetime
    telling: frozenset[str] = frozenset()
    controlling: frozenset[str] = frozenset()


@dataclass(slots=True)
class Pipeline:
    """Judges what the ledger holds. `findings` are the open ones; `receivers` name the queues that hear of events.

    `averages` are counted where a rule values by them; without `gates` nobody says whether signers may go on.
    """

    setup: Setup
    ledger: Ledger
    feeds: FeedBook
    findings: tuple[Finding, ...]
    recorder: Recorder
    receivers: tuple[str, ...]
    sinks: Sequence[Sink]
    averages: Averages | None = None
    gates: Gating | None = None
    standing: Standing = field(default_factory=dict, init=False)
    """The verdicts of rules with a schedule that stand until their next time."""
    _detection: Detection | None = field(default=None, init=False, repr=False)
    _detected_for: Setup | None = field(default=None, init=False, repr=False)
    _windows: Windows = field(default_factory=Windows, init=False, repr=False)
    _groups: Groups = field(default_factory=Groups, init=False, repr=False)
    _exposures: Exposures = field(default_factory=Exposures, init=False, repr=False)
    _covers: Covers = field(default_factory=Covers, init=False, repr=False)
    _states: WalletStates = field(default_factory=WalletStates, init=False, repr=False)
    _memory: Memory = field(default_factory=Memory, init=False, repr=False)
    _turn: asyncio.Lock = field(default_factory=asyncio.Lock, init=False, repr=False)

    async def cycle(self, now: datetime) -> Report:
        """One pass: a judgement, made durable, then handed to every sink, also behind one that breaks its promise."""
        async with self._turn:
            step, report, standing = self._judge(now)
            changed = step.changed(self.findings)
            if changed or step.events:
                await self.recorder.record(changed, addressed(step.events, sinks=self.receivers, at=now))
            self.findings, self.standing = step.open, standing
            if self.gates is not None:
                await self.gates.keep()
        with ExitStack() as offers:  # calls all of them, then raises what one of them raised
            for sink in reversed(self.sinks):
                offers.callback(sink.offer, report)
        return report

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

    def _cases(self, now: datetime) -> Mapping[str, Cases]:
        """What payments stand against wallets; detectors are made anew where the configuration has changed."""
        setup, movements = self.setup, self.ledger.movements
        if self._detection is not None and self._detected_for is setup:
            self._detection.take(movements.drained())
            return self._detection.look(now)
        made = Detection(Around(setup.inventory), policies=setup.policies)
        movements.drained()  # is among the recent ones
        recent = list(movements.recent())[::-1]
        if self._detection is None:
            made.take(recent)
        else:
            made.taking_over(self._detection, recent=recent)
        self._detection, self._detected_for = made, setup
        return made.look(now)

    def _judge(self, now: datetime) -> tuple[Advance, Report, Standing]:
        setup, ledger = self.setup, self.ledger
        totals = ledger.totals()
        chains = {
            name: chain_state(name, book=book, ages=setup.ages[name], began=setup.began, now=now)
            for name, book in ledger.books.items()
        }
        tiers = classify(setup.inventory.wallets)
        feeds = self._look(now)
        valuation = Valuation(setup.inventory, feeds.prices, chains, setup.growth, feeds.unpriced)
        wallets = self._states.of(totals, tiers=tiers, valuation=valuation)
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
            ),
            cold_payments=cold_payments(ledger.movements, inventory=setup.inventory, tiers=tiers),
            telling=dict.fromkeys(setup.telling & chains.keys(), setup.began),
            assets=setup.inventory.assets,
            controls={
                name: ledger.controls.of(name) for name, one in wallets.items() if one.wallet.chain in setup.controlling
            },
            cases=self._cases(now),
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
            problems=tuple(problems(chains, feeds=feeds, store=self.recorder.problem)),
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
