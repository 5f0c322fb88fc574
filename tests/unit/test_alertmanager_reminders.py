"""What the sink repeats of the newest report, and that no repetition ever undoes an event."""

from collections.abc import AsyncIterator
from datetime import datetime, timedelta

import pytest

from daemon.emit.alertmanager import BATCH
from daemon.model import Finding
from tests.delivery_cases import NOON, firing, pending, report, resolved
from tests.unit.alertmanager_bench import LIFE, RESEND, Bench, benched, is_watchdog


@pytest.fixture
async def bench() -> AsyncIterator[Bench]:
    async with benched() as bench:
        yield bench


def subject(number: int) -> Finding:
    return firing(f"f{number:03}", subject=f"s{number:03}")


async def test_nothing_is_repeated_before_the_first_report(bench: Bench) -> None:
    """After a restart the findings of the store may be long over; only a fresh judgement says what fires."""
    await bench.deliver(steps=200)
    assert bench.receiver.posts == []


async def test_what_fires_is_repeated_every_interval_with_a_new_end(bench: Bench) -> None:
    await bench.record(firing("f1"))
    bench.offer(firing("f1"))
    await bench.drain()
    for _ in range(3):
        bench.clock.forward(60)
        bench.offer(firing("f1"))
        await bench.drain()
    sent = [alert for post in bench.receiver.posts for alert in post if not is_watchdog(alert)]
    assert len(sent) == 5
    assert len({str(alert["labels"]) for alert in sent}) == 1
    assert {alert["startsAt"] for alert in sent} == {"2026-11-23T12:00:00.000000Z"}
    ends = [datetime.fromisoformat(alert["endsAt"]) for alert in sent]
    assert ends == sorted(ends)
    assert ends[-1] > bench.clock.now + LIFE - RESEND


async def test_an_alert_never_ends_between_two_reminders(bench: Bench) -> None:
    await bench.record(firing("f1"))
    for _ in range(600):
        bench.offer(firing("f1"))
        await bench.deliver()
        assert bench.receiver.fires("all")
    assert bench.clock.now > NOON + LIFE


async def test_pending_findings_are_not_reminded_of(bench: Bench) -> None:
    bench.offer(pending("f1"))
    await bench.drain()
    assert bench.receiver.subjects() == [[]]


async def test_the_watchdog_fires_as_long_as_somebody_judges(bench: Bench) -> None:
    bench.offer()
    await bench.drain()
    [[dog]] = bench.receiver.posts
    assert dog["labels"]["alertname"] == "PyrometerWatchdog"
    assert bench.receiver.fires("daemon")


async def test_the_watchdog_falls_silent_when_the_picture_is_not_renewed_but_what_fires_goes_on(bench: Bench) -> None:
    bench.offer(firing("f1"))
    for _ in range(int(LIFE / RESEND) * 2 + 2):
        await bench.drain()
        bench.clock.forward(60)
    assert not bench.receiver.fires("daemon")
    assert bench.receiver.fires("all")


async def test_reminders_wait_for_the_events(bench: Bench) -> None:
    bench.offer(firing("f1"))
    await bench.record(subject(1))
    await bench.deliver()
    assert bench.receiver.subjects() == [["s001"]]
    await bench.deliver()
    assert bench.receiver.subjects() == [["s001"], ["all"]]


async def test_many_reminders_go_out_in_parts_and_events_in_between(bench: Bench) -> None:
    bench.offer(*(subject(n) for n in range(2 * BATCH)))
    await bench.deliver()
    await bench.record(firing("new"))
    await bench.drain()
    assert [len(post) for post in bench.receiver.subjects()] == [BATCH, 1, BATCH, 0]
    assert len(set(bench.receiver.spoken())) == 2 * BATCH + 1


async def test_a_clock_that_is_set_back_delays_no_reminder(bench: Bench) -> None:
    bench.offer(firing("f1"))
    await bench.drain()
    bench.clock.forward(-7200)
    bench.receiver.posts.clear()
    await bench.drain()
    assert bench.receiver.subjects() == [["all"]]


async def test_what_fires_after_the_clock_was_set_back_is_reminded_of(bench: Bench) -> None:
    bench.offer()
    await bench.drain()
    bench.clock.forward(-7200)
    bench.offer(firing("f1"))
    await bench.drain()
    assert bench.receiver.fires("all")


async def test_a_reminder_that_fails_is_tried_again(bench: Bench) -> None:
    bench.receiver.answers = [503]
    bench.offer(firing("f1"))
    await bench.deliver(steps=2)
    assert bench.receiver.subjects() == [["all"]]


# Races between the report and the queue.


async def test_an_end_that_is_sent_before_the_next_report_is_not_undone_by_the_old_one(bench: Bench) -> None:
    await bench.record(firing("f1"))
    bench.offer(firing("f1"))
    await bench.drain()
    bench.clock.forward(60)
    await bench.record(resolved(firing("f1"), at=bench.clock.now))
    await bench.drain()  # a reminder was due, and the newest report still says that it fires
    assert not bench.receiver.fires("all")
    bench.clock.forward(60)
    await bench.drain()
    assert not bench.receiver.fires("all")


async def test_an_end_that_is_recorded_while_a_reminder_is_under_way_comes_after_it(bench: Bench) -> None:
    bench.offer(firing("f1"))
    bench.receiver.meanwhile = lambda: bench.record(resolved(firing("f1"), at=NOON))
    await bench.drain()
    assert bench.receiver.subjects()[:2] == [["all"], ["all"]]
    assert not bench.receiver.fires("all")


async def test_a_report_that_comes_late_does_not_replace_a_newer_one(bench: Bench) -> None:
    late = report(firing("f1"), at=NOON)
    bench.clock.forward(10)
    bench.offer()
    bench.sink.offer(late)
    await bench.drain()
    assert bench.receiver.subjects() == [[]]


async def test_a_late_report_from_before_an_end_does_not_undo_it(bench: Bench) -> None:
    late = report(firing("f1"), at=NOON + timedelta(seconds=5))
    bench.offer()
    await bench.record(firing("f1"))
    await bench.drain()
    bench.clock.forward(60)
    await bench.record(resolved(firing("f1"), at=bench.clock.now))
    await bench.drain()
    bench.sink.offer(late)
    bench.clock.forward(60)
    await bench.drain()
    assert not bench.receiver.fires("all")


async def test_a_reminder_given_up_on_that_arrives_after_the_end_is_put_right() -> None:
    """The receiver was slow, not dead: it takes the reminder after the end that we sent later."""
    async with benched(timeout=timedelta(milliseconds=50)) as bench:
        bench.offer(firing("f1"))
        slow = bench.receiver.hold()
        await bench.deliver()
        assert "no answer within" in str(bench.sink.problem)
        await bench.record(resolved(firing("f1"), at=NOON))
        await bench.deliver()
        bench.offer()
        bench.receiver.ends["all"] = bench.clock.now + LIFE  # what the slow request does
        slow.set()
        bench.clock.forward(60)
        await bench.drain()
        assert not bench.receiver.fires("all")


async def test_an_alert_that_comes_back_is_reminded_of_again(bench: Bench) -> None:
    first, second = firing("f1"), firing("f2", since=NOON + timedelta(seconds=70))
    await bench.record(first)
    await bench.record(resolved(first, at=NOON + timedelta(seconds=60)))
    await bench.drain()
    bench.clock.forward(70)
    await bench.record(second)
    bench.offer(second)
    await bench.drain()
    for _ in range(12):
        bench.clock.forward(60)
        bench.offer(second)
        await bench.drain()
        assert bench.receiver.fires("all")


async def test_the_end_of_an_earlier_finding_does_not_end_a_later_one_with_the_same_labels(bench: Bench) -> None:
    """The second begins before any report knows of it: repeating the first one's end would end it."""
    first, second = firing("f1"), firing("f2", since=NOON + timedelta(seconds=70))
    bench.offer(first)
    await bench.record(resolved(first, at=NOON + timedelta(seconds=60)))
    await bench.drain()
    bench.clock.forward(70)
    await bench.record(second)
    await bench.drain()
    bench.clock.forward(60)
    await bench.drain()
    assert bench.receiver.fires("all")


async def test_ends_are_not_repeated_for_ever(bench: Bench) -> None:
    await bench.record(resolved(firing("f1"), at=NOON))
    await bench.drain()
    for _ in range(8):
        bench.clock.forward(60)
        bench.offer()
        await bench.drain()
    assert bench.receiver.subjects()[-1] == []
    assert ["all"] in bench.receiver.subjects()[1:]
