"""The pipe over a restart: what findings rest on goes before them, and nothing is over before it is known."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta

import pytest

from connectors.base import Movement, Stage
from daemon.exposure import Ages
from daemon.feeds.book import FeedBook
from daemon.ledger import Ledger
from daemon.model import Judgement, Report, State, Tier
from daemon.pipeline import Pipeline
from daemon.policy.blind import Blind
from daemon.policy.cold_moved import ColdMoved
from daemon.policy.rule import Rule
from daemon.setup import Setup
from tests.build import ETH, at, complete, inventory, movement, priced, tip, wallet
from tests.unit.test_pipeline import Bench, Journal, read

INVENTORY = inventory(wallet("hot", Tier.HOT, 1), wallet("cold", Tier.COLD, 2))
RULE = ColdMoved.model_validate({"kind": "cold_moved", "clear_after": "0s", "keep": "1h"})
OUT = movement("0xout", {2: -5}, destinations=[("thief", 5)])
Rows = dict[str, dict[str, str]]
Policies = tuple[tuple[str, Rule], ...]


class Writer:
    """Says in the order of things when it was asked to write."""

    problem: str | None = None

    def __init__(self, order: list[str], *, breaks: bool = False) -> None:
        self._order = order
        self._breaks = breaks

    async def write(self) -> None:
        self._order.append("write")
        if self._breaks:
            raise TimeoutError


async def test_what_findings_rest_on_is_written_before_them_and_only_then() -> None:
    bench = Bench()
    bench.pipeline.writing = Writer(bench.order)
    await bench.see(read(1, 6, 94), seconds=1)
    assert bench.order == ["write", "record", "offer", "offer"]
    await bench.see(read(2, 7, 93), seconds=2)
    assert bench.order.count("write") == 1


async def test_why_it_would_not_survive_a_crash_is_a_problem_of_the_picture() -> None:
    bench = Bench()
    writer = Writer(bench.order)
    writer.problem = "3 rows are in memory alone: disk full"
    bench.pipeline.writing = writer
    report = await bench.see(read(1, 4, 96), seconds=1)
    assert "store: 3 rows are in memory alone: disk full" in report.problems


async def test_a_write_that_breaks_costs_nobody_the_finding() -> None:
    bench = Bench()
    bench.pipeline.writing = Writer(bench.order, breaks=True)
    with pytest.raises(TimeoutError):
        await bench.see(read(1, 6, 94), seconds=1)
    assert bench.order == ["write", "record"]


class Run:
    """One life of a daemon that tells movements."""

    def __init__(self, *, began: float = 0, remembers: bool = True, more: Policies = ()) -> None:
        setup = Setup(
            entity="Example Exchange KK",
            currency="JPY",
            inventory=INVENTORY,
            policies=(("cold-moved", RULE), *more),
            feeds=priced(ETH="500000"),
            growth=NO_GROWTH,
            ages={"ethereum": Ages(timedelta(days=9), timedelta(days=9), "batch")},
            began=at(began),
            telling=frozenset({"ethereum"}),
        )
        self.journal = Journal([])
        self.pipeline = Pipeline(setup, Ledger(INVENTORY), FeedBook(setup.feeds), (), self.journal, ("am",), ())
        self.pipeline.remembers = remembers

    async def see(self, height: int, *movements: Movement, seconds: float) -> Report:
        update = complete(height, {(1, ETH): 10, (2, ETH): 90})
        update = replace(update, movements=movements, seen=at(seconds))
        self.pipeline.ledger.apply(update)
        return await self.pipeline.cycle(at(seconds))

    def rows(self) -> Rows:
        found: Rows = {}
        for one in self.pipeline.remembering():
            changed = {key: text for key, text in one.changed().items() if text is not None}
            found[one.kind] = changed
        return found

    async def after(self, rows: Mapping[str, Mapping[str, str]], *, seconds: float) -> "Run":
        """The next life, which knows what this one has left."""
        other = Run(began=seconds)
        await other.pipeline.adopt(self.pipeline.findings, now=at(seconds))
        assert other.pipeline.recall(rows) == []
        return other


NO_GROWTH = Bench().setup.growth


async def test_a_payment_of_an_earlier_run_is_still_the_same_finding_until_its_time() -> None:
    first = Run()
    await first.see(1, replace(OUT, stage=Stage.MINED, tip=tip(1)), seconds=1)
    (before,) = first.pipeline.findings
    again = await first.after(first.rows(), seconds=100)
    report = await again.see(5, seconds=101)
    assert [(one.id, one.verdict.judgement) for one in report.findings] == [(before.id, Judgement.BREACH)]
    assert again.journal.notifications == []
    report = await again.see(6, seconds=3602)
    assert report.findings == ()


async def test_a_payment_that_nobody_tells_of_any_more_ends_after_keep_and_not_before() -> None:
    first = Run()
    await first.see(1, OUT, seconds=1)
    again = await first.after(first.rows(), seconds=100)
    for minute in range(2, 12 + 60):
        report = await again.see(minute, seconds=60 * minute)
        assert [one.state for one in report.findings] == [State.FIRING]
    assert "unknown since" in report.findings[0].verdict.summary
    report = await again.see(72, seconds=60 * 72)
    assert report.findings == ()
    assert [item.event.value for item in again.journal.notifications] == ["resolved"]


async def test_until_what_an_earlier_run_left_is_known_nothing_is_over() -> None:
    first = Run()
    await first.see(1, replace(OUT, stage=Stage.MINED, tip=tip(1)), seconds=1)
    again = Run(began=100, remembers=False)
    await again.pipeline.adopt(first.pipeline.findings, now=at(100))
    report = await again.see(5, seconds=9000)
    assert [one.state for one in report.findings] == [State.FIRING]
    again.pipeline.recall(first.rows())
    report = await again.see(6, seconds=9001)
    assert report.findings == ()


async def test_until_what_an_earlier_run_left_is_known_nothing_is_well_and_somebody_is_told_that_nobody_knows() -> None:
    blind = Blind.model_validate({"kind": "blind", "hold": "2m", "clear_after": "0s"})
    run = Run(began=0, remembers=False, more=(("blind", blind),))
    report = await run.see(1, seconds=1)
    cold = next(one for one in report.verdicts if one.policy == "cold-moved")
    assert (cold.judgement, cold.causes, cold.cleared) == (Judgement.UNKNOWN, ("store",), False)
    await run.see(2, seconds=130)
    told = [(one.finding.verdict.subject, one.event.value) for one in run.journal.notifications]
    assert told == [("store", "firing")]
    run.pipeline.recall({})
    report = await run.see(3, seconds=131)
    assert {one.judgement for one in report.verdicts} == {Judgement.OK}
    assert [one.event.value for one in run.journal.notifications] == ["firing", "resolved"]


async def test_what_is_wrong_is_wrong_without_what_an_earlier_run_left() -> None:
    run = Run(began=0, remembers=False)
    report = await run.see(1, OUT, seconds=1)
    assert [one.verdict.judgement for one in report.findings] == [Judgement.BREACH]


async def test_what_can_not_be_read_is_said_and_the_rest_is_known() -> None:
    first = Run()
    await first.see(1, OUT, seconds=1)
    rows = first.rows()
    rows["branch"] = {"ethereum": "damaged"}
    again = Run(began=100)
    (wrong,) = again.pipeline.recall(rows)
    assert wrong.startswith("branch: ")
    assert len(list(again.pipeline.ledger.movements.recent())) == 1
