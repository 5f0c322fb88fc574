"""The outbox: stored first, handed out in order, and nobody's page waits for a database."""

import asyncio
from dataclasses import dataclass, field

import pytest
from structlog.testing import capture_logs

from daemon.errors import StoreError
from daemon.model import Event
from daemon.outbox import Outbox, addressed
from daemon.store import Tally
from tests.delivery_cases import NOON, HandClock, MemoryStore, firing, pending, resolved, told


def outbox(store: MemoryStore, *, sinks: tuple[str, ...] = ("am",)) -> Outbox:
    return Outbox(store, sinks=sinks, clock=HandClock())


@dataclass
class SlowStore(MemoryStore):
    """Commits only when it is let."""

    asked: asyncio.Event = field(default_factory=asyncio.Event)
    let: asyncio.Event = field(default_factory=asyncio.Event)

    async def record(self, *args: object, **options: object) -> None:
        self.asked.set()
        await self.let.wait()
        await super().record(*args, **options)  # type: ignore[arg-type]


FIRST, SECOND = told(firing("f1")), told(firing("f2"))


def test_every_event_goes_to_every_sink_with_ids_that_stay() -> None:
    events = [(Event.FIRING, firing("f1")), (Event.RESOLVED, resolved(firing("f2"), at=NOON))]
    items = addressed(events, sinks=["a", "b"], at=NOON)
    assert [item.id for item in items] == ["f1:firing:a", "f1:firing:b", "f2:resolved:a", "f2:resolved:b"]
    assert items == addressed(iter(events), sinks=iter(["a", "b"]), at=NOON)


async def test_what_is_recorded_is_stored_and_then_queued() -> None:
    store = MemoryStore()
    box = outbox(store)
    await box.record([firing("f1")], [FIRST])
    assert await store.findings() == (firing("f1"),)
    assert await store.undelivered("am") == (FIRST,)
    assert box.queued("am", limit=10) == (FIRST,)
    assert (box.pending("am"), box.problem, box.unsaved) == (1, None, 0)


async def test_nothing_is_handed_out_before_the_store_was_asked() -> None:
    store = SlowStore()
    box = outbox(store)
    recording = asyncio.create_task(box.record([firing("f1")], [FIRST]))
    await store.asked.wait()
    assert box.queued("am", limit=10) == ()
    store.let.set()
    await recording
    assert box.queued("am", limit=10) == (FIRST,)


async def test_a_record_that_is_cancelled_is_queued_all_the_same() -> None:
    """Nobody knows whether the commit happened, and nothing else would queue it before the next start."""
    store = SlowStore()
    box = outbox(store)
    recording = asyncio.create_task(box.record([firing("f1")], [FIRST]))
    await store.asked.wait()
    recording.cancel()
    await asyncio.wait([recording])
    assert recording.cancelled()
    assert box.queued("am", limit=10) == (FIRST,)
    store.let.set()
    await box.flush()
    assert await store.undelivered("am") == (FIRST,)


async def test_the_queue_is_in_the_order_of_recording() -> None:
    box = outbox(MemoryStore())
    await box.record([], [SECOND])
    await box.record([], [FIRST])
    assert box.queued("am", limit=10) == (SECOND, FIRST)
    assert box.queued("am", limit=1) == (SECOND,)


async def test_what_is_delivered_leaves_the_queue_and_is_marked() -> None:
    store = MemoryStore()
    box = outbox(store)
    await box.record([], [FIRST, SECOND])
    await box.delivered([FIRST])
    assert box.queued("am", limit=10) == (SECOND,)
    assert await store.tallies() == {"am": Tally(waiting=1, delivered=1)}


async def test_what_is_refused_leaves_the_queue_and_stays_in_the_store_with_its_reason() -> None:
    store = MemoryStore()
    box = outbox(store)
    await box.record([], [FIRST])
    await box.refused(FIRST, reason="HTTP 400: no labels")
    assert box.pending("am") == 0
    assert store.settled[FIRST.id].refusal == "HTTP 400: no labels"


async def test_one_sink_does_not_wait_for_another() -> None:
    box = outbox(MemoryStore(), sinks=("a", "b"))
    ours, theirs = told(firing("f1"), sink="a"), told(firing("f1"), sink="b")
    await box.record([firing("f1")], [ours, theirs])
    await box.delivered([ours])
    assert (box.pending("a"), box.pending("b")) == (0, 1)


async def test_recording_the_same_again_queues_it_once() -> None:
    store = MemoryStore()
    box = outbox(store)
    for _ in range(2):
        await box.record([firing("f1")], [FIRST])
    assert box.queued("am", limit=10) == (FIRST,)
    await box.delivered([FIRST])
    await box.record([firing("f1")], [FIRST])
    assert box.queued("am", limit=10) == ()


async def test_a_store_that_is_down_keeps_nobody_from_being_paged() -> None:
    store = MemoryStore(faults=["before"])
    box = outbox(store)
    await box.record([firing("f1")], [FIRST])
    assert box.queued("am", limit=10) == (FIRST,)
    assert (box.pending("am"), box.unsaved) == (1, 2)
    assert box.problem == "2 changes are in memory alone: store memory: told to fail"


async def test_what_the_store_did_not_take_goes_there_with_the_next_record() -> None:
    store = MemoryStore(faults=["before"])
    box = outbox(store)
    await box.record([firing("f1")], [FIRST])
    await box.record([firing("f2")], [SECOND])
    assert await store.undelivered("am") == (FIRST, SECOND)
    assert await store.findings() == (firing("f1"), firing("f2"))
    assert (box.problem, box.unsaved) == (None, 0)
    assert store.calls == 4


async def test_or_with_a_flush() -> None:
    store = MemoryStore(faults=["before", "before"])
    box = outbox(store)
    await box.record([firing("f1")], [FIRST])
    await box.flush()
    assert box.unsaved == 2
    await box.flush()
    assert box.unsaved == 0
    assert await store.undelivered("am") == (FIRST,)


async def test_what_was_sent_from_memory_is_stored_as_sent() -> None:
    store = MemoryStore(faults=["before", "before"])
    box = outbox(store)
    await box.record([firing("f1")], [FIRST])
    await box.delivered([FIRST])
    assert box.pending("am") == 0
    assert box.problem is not None
    await box.flush()
    assert await store.tallies() == {"am": Tally(delivered=1)}
    assert await outbox(store).restore() == (firing("f1"),)


async def test_a_commit_whose_answer_was_lost_is_not_doubled() -> None:
    store = MemoryStore(faults=["after"])
    box = outbox(store)
    await box.record([firing("f1")], [FIRST])
    await box.record([], [])
    assert store.rows == [FIRST]
    assert box.queued("am", limit=10) == (FIRST,)
    assert box.problem is None


async def test_findings_in_memory_fold_to_the_newest() -> None:
    store = MemoryStore(faults=["before"] * 100)
    box = outbox(store)
    for _ in range(50):
        await box.record([pending("f1")], [])
    await box.record([firing("f1")], [])
    assert box.unsaved == 1
    store.faults.clear()
    await box.flush()
    assert await store.findings() == (firing("f1"),)


async def test_a_pending_finding_that_came_and_went_while_the_store_was_down_leaves_nothing() -> None:
    store = MemoryStore(faults=["before"])
    box = outbox(store)
    await box.record([pending("f1")], [])
    await box.record([resolved(pending("f1"), at=NOON)], [])
    assert store.kept == {}


async def test_a_newer_state_that_arrives_during_a_commit_is_not_forgotten() -> None:
    store = SlowStore()
    box = outbox(store)
    first = asyncio.create_task(box.record([pending("f1")], []))
    await store.asked.wait()
    second = asyncio.create_task(box.record([firing("f1")], [FIRST]))
    await asyncio.sleep(0)
    store.let.set()
    await asyncio.gather(first, second)
    assert await store.findings() == (firing("f1"),)
    assert box.unsaved == 0


async def test_nothing_new_does_not_bother_the_store() -> None:
    store = MemoryStore()
    box = outbox(store)
    await box.record([], [])
    await box.flush()
    assert store.calls == 0


async def test_a_new_life_takes_up_findings_and_queues() -> None:
    store = MemoryStore()
    before = outbox(store)
    await before.record([firing("f1"), firing("f2")], [FIRST, SECOND])
    await before.delivered([FIRST])
    after = outbox(store)
    assert await after.restore() == (firing("f1"), firing("f2"))
    assert after.queued("am", limit=10) == (SECOND,)
    await asyncio.wait_for(after.arrival("am"), 10)


async def test_a_long_queue_is_taken_up_whole() -> None:
    store = MemoryStore()
    items = [told(firing(f"f{n:04}")) for n in range(1234)]
    await store.record([], items)
    box = outbox(store)
    await box.restore()
    assert box.queued("am", limit=2000) == tuple(items)


async def test_a_store_that_can_not_tell_what_it_holds_is_a_store_error() -> None:
    box = outbox(MemoryStore(faults=["before"]))
    with pytest.raises(StoreError):
        await box.restore()


async def test_what_an_earlier_life_left_goes_before_what_this_one_has_recorded() -> None:
    """The store could not be read at the start, and can be later."""
    store = MemoryStore()
    await store.record([firing("f1")], [FIRST])
    store.faults = ["before"]
    box = outbox(store)
    with pytest.raises(StoreError):
        await box.restore()
    await box.record([firing("f2")], [SECOND])
    for _ in range(2):
        await box.restore()
        assert box.queued("am", limit=10) == (FIRST, SECOND)


async def test_restoring_does_not_bring_back_what_was_sent_but_not_yet_marked() -> None:
    store = MemoryStore()
    box = outbox(store)
    await box.record([firing("f1")], [FIRST])
    store.faults = ["before"]
    await box.delivered([FIRST])
    await box.restore()
    assert box.queued("am", limit=10) == ()


async def test_arrival_waits_until_something_is_queued() -> None:
    box = outbox(MemoryStore())
    waiting = asyncio.create_task(box.arrival("am"))
    await asyncio.sleep(0)
    assert not waiting.done()
    await box.record([], [FIRST])
    await asyncio.wait_for(waiting, 10)
    await box.delivered([FIRST])
    again = asyncio.create_task(box.arrival("am"))
    await asyncio.sleep(0)
    assert not again.done()
    again.cancel()


async def test_settling_twice_is_settling_once() -> None:
    store = MemoryStore()
    box = outbox(store)
    await box.record([], [FIRST])
    await box.refused(FIRST, reason="HTTP 400")
    await box.delivered([FIRST])
    assert await store.tallies() == {"am": Tally(refused=1)}


async def test_an_outage_of_the_store_is_logged_when_it_begins_and_when_it_ends() -> None:
    box = outbox(MemoryStore(faults=["before"] * 3))
    with capture_logs() as lines:
        for _ in range(5):
            await box.record([firing("f1")], [FIRST])
    assert [(line["log_level"], line["event"].partition(":")[0]) for line in lines] == [
        ("error", "store down"),
        ("info", "store up"),
    ]


async def test_a_bug_in_the_store_is_not_swallowed_and_still_costs_no_page() -> None:
    @dataclass
    class Broken(MemoryStore):
        async def record(self, *args: object, **options: object) -> None:
            raise RuntimeError("a bug")

    box = outbox(Broken())
    with pytest.raises(RuntimeError):
        await box.record([firing("f1")], [FIRST])
    assert box.queued("am", limit=10) == (FIRST,)


async def test_what_was_begun_before_the_store_could_tell_is_no_finding_of_an_earlier_life() -> None:
    store = MemoryStore(kept={"f1": firing("f1")}, faults=["before"])
    box = outbox(store)
    with pytest.raises(StoreError):
        await box.restore()
    await box.record([firing("f2")], [SECOND])
    assert await box.restore() == (firing("f1"),)


async def test_a_store_that_can_not_tell_what_an_earlier_life_left_is_a_problem_until_it_can() -> None:
    box = outbox(MemoryStore(faults=["before"]))
    with pytest.raises(StoreError):
        await box.restore()
    assert (box.restored, (box.problem or "").split(":")[0]) == (False, "what an earlier run left can't be read")
    await box.restore()
    assert (box.restored, box.problem) == (True, None)
