"""Any interleaving of findings, reports, outages and crashes ends with the receiver knowing the truth."""

from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from daemon.errors import StoreError
from daemon.model import Finding, Notification, Report
from tests.delivery_cases import firing, report, resolved
from tests.unit.alertmanager_bench import Bench, benched

SUBJECTS = ("a", "b")
STEPS = st.one_of(
    st.tuples(st.sampled_from(["toggle"]), st.sampled_from(SUBJECTS)),
    st.tuples(st.sampled_from(["deliver"]), st.integers(1, 3)),
    st.tuples(st.sampled_from(["wait"]), st.sampled_from([1, 45, 61, 301])),
    st.tuples(st.sampled_from(["outage"]), st.integers(1, 3)),
    st.tuples(st.sampled_from(["store fails"]), st.lists(st.sampled_from(["", "before", "after"]), max_size=3)),
    st.tuples(st.sampled_from(["report", "round", "keep for later", "late report", "crash"]), st.just(0)),
)


@dataclass
class World:
    """The truth beside the bench: what is open, and what was recorded last of each subject."""

    bench: Bench
    open: dict[str, Finding] = field(default_factory=dict)
    last: dict[str, Notification] = field(default_factory=dict)
    kept: list[Report] = field(default_factory=list)
    lives: int = 0

    async def do(self, what: str, how: Any) -> None:  # noqa: ANN401 - as drawn
        bench = self.bench
        match what:
            case "toggle":
                await self.toggle(how)
            case "deliver":
                await bench.deliver(steps=how)
            case "wait":
                bench.clock.forward(how)
            case "outage":
                bench.receiver.answers = [503] * how
            case "store fails":
                bench.store.faults = how
            case "report":
                self.offer(report(*self.open.values(), at=bench.clock.now))
            case "round":
                bench.clock.forward(61)
                await bench.drain()
            case "keep for later":
                self.kept.append(report(*self.open.values(), at=bench.clock.now))
            case "late report" if self.kept:
                self.offer(self.kept.pop(0))
            case "crash":
                await self.crash()

    def offer(self, it: Report) -> None:
        self.bench.sink.offer(it)

    async def toggle(self, subject: str) -> None:
        """A finding begins, or the one that is open ends."""
        now = self.bench.clock.now
        if subject in self.open:
            finding = resolved(self.open.pop(subject), at=now)
        else:
            self.lives += 1
            finding = self.open[subject] = firing(f"f{self.lives}", subject=subject, since=now)
        await self.bench.record(finding)
        self.bench.clock.forward(1)

    async def crash(self) -> None:
        """What only memory knew is lost, so the store is made whole first; a crash without that is another test's."""
        self.bench.store.faults = []
        await self.bench.outbox.flush()
        self.kept.clear()
        self.bench.restart()
        with suppress(StoreError):
            await self.bench.outbox.restore()

    async def check(self) -> None:
        """An end that was taken stays one."""
        waiting = {item.finding.verdict.subject for item in self.bench.outbox.queued(self.bench.sink.name, limit=999)}
        for subject in set(SUBJECTS) - set(self.open) - waiting:
            assert not self.bench.receiver.fires(subject)


@settings(max_examples=150, deadline=None)
@given(steps=st.lists(STEPS, min_size=8, max_size=40))
async def test_the_receiver_ends_up_with_the_truth_and_an_end_stays_an_end(steps: list[tuple[str, Any]]) -> None:
    async with benched() as bench:
        world = World(bench)
        for what, how in steps:
            await world.do(what, how)
            await world.check()
        bench.receiver.answers, bench.store.faults = [], []
        world.offer(report(*world.open.values(), at=bench.clock.now))
        await bench.drain()
        bench.clock.forward(61)
        await bench.drain()
        assert {name for name in SUBJECTS if bench.receiver.fires(name)} == world.open.keys()
