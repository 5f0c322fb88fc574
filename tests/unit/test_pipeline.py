"""The pipeline: a judgement is durable before anybody is told, and every sink gets the same report."""

import asyncio
from collections.abc import Sequence
from datetime import timedelta
from decimal import Decimal

import pytest

from connectors.base import Update
from daemon.errors import StoreError
from daemon.feeds.book import FeedBook
from daemon.gate.keeper import GateKeeper
from daemon.ledger import Ledger
from daemon.model import Finding, Judgement, Notification, Report, State, Tier
from daemon.pipeline import Pipeline
from daemon.policy.hot_share import HotShare
from daemon.policy.rule import Rule
from daemon.setup import Setup
from tests.build import AGES, ETH, NOON, at, complete, failed, inventory, priced, wallet

INVENTORY = inventory(wallet("hot", Tier.HOT, 1), wallet("cold", Tier.COLD, 2))


class Journal:
    """A recorder that keeps what it is given, in order, beside what the sinks receive."""

    def __init__(self, order: list[str]) -> None:
        self.problem: str | None = None
        self.breaks = False
        self.order = order
        self.findings: list[Finding] = []
        self.notifications: list[Notification] = []

    async def record(self, findings: Sequence[Finding], notifications: Sequence[Notification]) -> None:
        if self.breaks:
            raise StoreError("nobody caught this")
        self.order.append("record")
        self.findings += findings
        self.notifications += notifications


class Receiver:
    def __init__(self, order: list[str]) -> None:
        self.order = order
        self.reports: list[Report] = []

    def offer(self, report: Report) -> None:
        self.order.append("offer")
        self.reports.append(report)


class Bench:
    """A pipeline over one hot and one cold account, with a limit of 5 %."""

    def __init__(self, **keys: object) -> None:
        rule: Rule = HotShare.model_validate(
            {"kind": "hot_share", "limit": Decimal("0.05"), "clear_after": timedelta(0), **keys}
        )
        self.order: list[str] = []
        self.journal, self.sinks = Journal(self.order), (Receiver(self.order), Receiver(self.order))
        self.setup = Setup(
            entity="Example Exchange KK",
            currency="JPY",
            inventory=INVENTORY,
            policies=(("jp-psa/hot-share", rule),),
            feeds=priced(ETH="500000"),
            growth=Decimal(1),
            ages={"ethereum": AGES},
            began=NOON,
        )
        self.pipeline = Pipeline(
            self.setup, Ledger(INVENTORY), FeedBook(self.setup.feeds), (), self.journal, ("am-1", "am-2"), self.sinks
        )

    async def see(self, update: Update, *, seconds: float) -> Report:
        self.pipeline.ledger.apply(update)
        return await self.pipeline.cycle(at(seconds))


def read(height: int, hot: int, cold: int) -> Update:
    return complete(height, {(1, ETH): hot, (2, ETH): cold})


async def test_a_breach_is_recorded_for_every_receiver_before_any_sink_hears_of_it() -> None:
    bench = Bench()
    await bench.see(read(1, 6, 94), seconds=1)
    assert bench.order == ["record", "offer", "offer"]
    finding = bench.journal.findings[0]
    assert [item.id for item in bench.journal.notifications] == [
        f"{finding.id}:firing:am-1",
        f"{finding.id}:firing:am-2",
    ]


async def test_every_sink_gets_the_same_report() -> None:
    bench = Bench()
    report = await bench.see(read(1, 6, 94), seconds=1)
    assert all(sink.reports == [report] for sink in bench.sinks)
    assert [item.state for item in report.findings] == [State.FIRING]


async def test_what_does_not_change_is_not_recorded_again() -> None:
    bench = Bench()
    await bench.see(read(1, 6, 94), seconds=1)
    await bench.see(read(2, 7, 93), seconds=2)
    assert bench.order.count("record") == 1


async def test_a_resolve_is_recorded_too() -> None:
    bench = Bench()
    await bench.see(read(1, 6, 94), seconds=1)
    await bench.see(read(2, 1, 99), seconds=2)
    assert [item.event for item in bench.journal.notifications] == ["firing", "firing", "resolved", "resolved"]


async def test_an_event_that_was_not_recorded_is_derived_again_by_the_next_pass() -> None:
    bench = Bench()
    bench.journal.breaks = True
    with pytest.raises(StoreError):
        await bench.see(read(1, 6, 94), seconds=1)
    bench.journal.breaks = False
    await bench.pipeline.cycle(at(2))
    assert len(bench.journal.notifications) == 2


async def test_findings_of_an_earlier_run_go_on_where_they_were() -> None:
    bench = Bench()
    report = await bench.see(read(1, 6, 94), seconds=1)
    again = Bench()
    again.pipeline.findings = report.findings
    later = await again.see(read(2, 6, 94), seconds=60)
    assert [(item.id, item.since) for item in later.findings] == [(report.findings[0].id, at(1))]
    assert again.journal.notifications == []


async def test_before_the_first_reading_all_is_unknown_and_the_problem_is_named() -> None:
    bench = Bench()
    report = await bench.pipeline.cycle(at(0))
    assert [item.judgement for item in report.verdicts] == [Judgement.UNKNOWN]
    assert report.problems == ("ethereum: starting: no reading yet",)


async def test_problems_name_dead_chains_unread_accounts_and_a_store_that_fails() -> None:
    bench = Bench()
    bench.journal.problem = "database or disk is full"
    report = await bench.see(complete(1, {(1, ETH): 1}, unread=[(2, ETH)]), seconds=1)
    assert report.problems == ("ethereum: accounts unread: 1 node_error (refused)", "store: database or disk is full")
    report = await bench.see(failed(2), seconds=100)
    assert report.problems[0].startswith("ethereum: unavailable: node-1: connection refused")


async def test_a_healthy_picture_has_no_problem() -> None:
    report = await Bench().see(read(1, 1, 99), seconds=1)
    assert report.problems == ()


class Signer(Receiver):
    """A receiver that also stops signers."""

    def stop(self, report: Report) -> None:
        self.order.append("stop" if not report.gates["hot"].open else "go on")


async def test_signers_are_stopped_before_the_store_is_asked_and_once() -> None:
    bench = Bench(closes="all")
    bench.pipeline.sinks = (Signer(bench.order), Receiver(bench.order))
    bench.pipeline.gates = GateKeeper(None, clock=lambda: at(1))
    await bench.see(read(1, 4, 96), seconds=1)
    assert bench.order == ["offer", "offer"]
    await bench.see(read(2, 6, 94), seconds=2)
    assert bench.order[2:] == ["stop", "record", "offer", "offer"]
    await bench.see(read(3, 7, 93), seconds=3)
    assert bench.order.count("stop") == 1


class Broken:
    def offer(self, report: Report) -> None:
        raise ZeroDivisionError("a bug in a sink")


async def test_a_broken_sink_hides_nothing_from_the_others_and_is_noticed() -> None:
    bench = Bench()
    first, last = bench.sinks
    bench.pipeline.sinks = (first, Broken(), last)
    with pytest.raises(ZeroDivisionError):
        await bench.see(read(1, 6, 94), seconds=1)
    assert len(first.reports) == len(last.reports) == 1
    assert [item.state for item in bench.pipeline.findings] == [State.FIRING]


class SlowJournal(Journal):
    """Records only when it is let."""

    def __init__(self) -> None:
        super().__init__([])
        self.asked, self.let = asyncio.Event(), asyncio.Event()

    async def record(self, findings: Sequence[Finding], notifications: Sequence[Notification]) -> None:
        self.asked.set()
        await self.let.wait()
        await super().record(findings, notifications)


async def test_findings_that_the_store_tells_late_are_adopted_between_two_passes() -> None:
    """Neither may undo what the other did while it waited for the store."""
    bench = Bench()
    earlier = (await bench.see(read(1, 6, 94), seconds=1)).findings
    again, journal = Bench(), SlowJournal()
    again.pipeline.recorder = journal
    judging = asyncio.create_task(again.see(read(2, 6, 94), seconds=2))
    await journal.asked.wait()
    adopting = asyncio.create_task(again.pipeline.adopt(earlier, now=at(3)))
    journal.let.set()
    await asyncio.gather(judging, adopting)
    assert [item.id for item in again.pipeline.findings] == [earlier[0].id]
    assert [(item.state, item.why_resolved) for item in journal.findings] == [
        (State.FIRING, ""),
        (State.RESOLVED, "goes on as an earlier finding"),
    ]
