"""Any order of recording, sending, store failures and crashes: nothing is lost, doubled or out of order."""

import asyncio
from contextlib import suppress
from dataclasses import replace

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from daemon.errors import StoreError
from daemon.model import Finding, Notification, State
from daemon.outbox import Outbox
from daemon.store import Tally
from tests.delivery_cases import NOON, HandClock, MemoryStore, firing, pending, resolved, told

SINKS = ("a", "b")
FAULTS = st.lists(st.sampled_from(["", "before", "after"]), max_size=3)


class OutboxMachine(RuleBasedStateMachine):
    """Beside the outbox runs a model in plain lists: what was recorded, and what each sink was sent, since when."""

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.Runner()
        self.store = MemoryStore()
        self.clock = HandClock()
        self.count = 0
        self.open: dict[str, Finding] = {}
        self.recorded: dict[str, list[Notification]] = {sink: [] for sink in SINKS}
        self.sent: dict[str, list[str]] = {sink: [] for sink in SINKS}
        self.this_life: list[Notification] = []

    @initialize()
    def begin(self) -> None:
        self.box = Outbox(self.store, sinks=SINKS, clock=self.clock)

    def teardown(self) -> None:
        self.loop.close()

    @rule(faults=FAULTS)
    def a_finding_begins(self, faults: list[str]) -> None:
        self.count += 1
        self._record(pending(f"f{self.count}"), faults=faults)

    @precondition(lambda self: self.open)
    @rule(data=st.data(), faults=FAULTS)
    def a_finding_moves_on(self, data: st.DataObject, faults: list[str]) -> None:
        finding = self.open[data.draw(st.sampled_from(sorted(self.open)))]
        if finding.state is State.PENDING and data.draw(st.booleans()):
            self._record(replace(firing(finding.id), since=finding.since), faults=faults)
        else:
            self._record(resolved(finding, at=NOON), faults=faults)

    @precondition(lambda self: self.this_life)
    @rule(data=st.data(), faults=FAULTS)
    def a_judgement_that_was_cut_off_records_the_same_again(self, data: st.DataObject, faults: list[str]) -> None:
        item = self.this_life[data.draw(st.integers(0, len(self.this_life) - 1))]
        self.store.faults = faults
        self.loop.run(self.box.record([], [item]))

    @rule(sink=st.sampled_from(SINKS), many=st.integers(1, 4), faults=FAULTS, refuse=st.booleans())
    def a_sink_sends(self, sink: str, many: int, faults: list[str], refuse: bool) -> None:
        batch = self.box.queued(sink, limit=many)
        self.sent[sink] += [item.id for item in batch]
        self.store.faults = faults
        if refuse and len(batch) == 1:
            self.loop.run(self.box.refused(batch[0], reason="HTTP 400"))
        else:
            self.loop.run(self.box.delivered(batch))

    @rule(faults=FAULTS)
    def the_store_is_tried_again(self, faults: list[str]) -> None:
        self.store.faults = faults
        self.loop.run(self.box.flush())

    @rule(faults=FAULTS)
    def restoring_again_changes_nothing(self, faults: list[str]) -> None:
        before = {sink: self.box.queued(sink, limit=10**6) for sink in SINKS}
        self.store.faults = [fault for fault in faults if fault != "after"]
        with suppress(StoreError):
            self.loop.run(self.box.restore())
        assert {sink: self.box.queued(sink, limit=10**6) for sink in SINKS} == before

    @precondition(lambda self: self.box.problem is None)
    @rule()
    def we_crash_with_all_saved(self) -> None:
        """What was queued is queued again, in the same order, and the open findings are back."""
        queues = {sink: self.box.queued(sink, limit=10**6) for sink in SINKS}
        self._start_anew()
        findings = self.loop.run(self.box.restore())
        assert {finding.id: finding for finding in findings} == self.open
        assert {sink: self.box.queued(sink, limit=10**6) for sink in SINKS} == queues

    @precondition(lambda self: self.box.problem is not None)
    @rule()
    def we_crash_between_sending_and_marking(self) -> None:
        """What the store knows as waiting comes back: perhaps sent before, never lost."""
        self.store.faults = []
        waiting = {sink: self.loop.run(self.store.undelivered(sink)) for sink in SINKS}
        self._start_anew()
        self.open = {finding.id: finding for finding in self.loop.run(self.box.restore())}
        for sink in SINKS:
            assert self.box.queued(sink, limit=10**6) == waiting[sink]
            known = {item.id for item in self.store.rows}
            again = {item.id for item in waiting[sink]}
            self.recorded[sink] = [item for item in self.recorded[sink] if item.id in known]
            self.sent[sink] = [key for key in self.sent[sink] if key in known - again]

    @invariant()
    def the_queue_is_what_was_recorded_less_what_was_sent(self) -> None:
        for sink in SINKS:
            left = [item for item in self.recorded[sink] if item.id not in self.sent[sink]]
            assert list(self.box.queued(sink, limit=10**6)) == left
            assert self.box.pending(sink) == len(left)

    @invariant()
    def nothing_is_sent_twice_in_one_life(self) -> None:
        for sink in SINKS:
            assert len(set(self.sent[sink])) == len(self.sent[sink])

    @invariant()
    def without_a_problem_the_store_knows_it_all(self) -> None:
        if self.box.problem is None:
            assert self.box.unsaved == 0
            assert {key: it for key, it in self.store.kept.items() if it.state is not State.RESOLVED} == self.open
            self.store.faults = []
            tallies = self.loop.run(self.store.tallies())
            for sink in SINKS:
                assert tallies.get(sink, Tally()).waiting == self.box.pending(sink)

    def _start_anew(self) -> None:
        self.box = Outbox(self.store, sinks=SINKS, clock=self.clock)
        self.store.faults = []
        self.this_life = []

    def _record(self, finding: Finding, *, faults: list[str]) -> None:
        self.open[finding.id] = finding
        if finding.state is State.RESOLVED:
            del self.open[finding.id]
        items = []
        if finding.fired is not None:
            items = [told(finding, sink=sink) for sink in SINKS]
        for item in items:
            self.recorded[item.sink].append(item)
            self.this_life.append(item)
        self.store.faults = faults
        self.loop.run(self.box.record([finding], items))


OutboxMachine.TestCase.settings = settings(max_examples=150, stateful_step_count=30, deadline=None)
test_nothing_is_lost_doubled_or_out_of_order = OutboxMachine.TestCase
