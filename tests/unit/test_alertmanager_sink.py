"""The sink against a receiver that answers as a test says: order, refusals, outages."""

import asyncio
import base64
from collections.abc import AsyncIterator
from datetime import timedelta

import aiohttp
import pytest
from aiohttp import web
from structlog.testing import capture_logs

from daemon.emit.alert import Origin
from daemon.emit.alertmanager import BATCH, AlertmanagerSink, Endpoint
from daemon.errors import ConfigError
from daemon.model import Finding
from daemon.outbox import Outbox
from daemon.store import Tally
from tests.delivery_cases import NOON, HandClock, MemoryStore, firing, resolved, told
from tests.integration.alertmanager import serving
from tests.unit.alertmanager_bench import Bench, benched


@pytest.fixture
async def bench() -> AsyncIterator[Bench]:
    async with benched() as bench:
        yield bench


def problem(bench: Bench) -> str | None:
    return bench.sink.problem


def subject(number: int) -> Finding:
    return firing(f"f{number:03}", subject=f"s{number:03}")


# Events.


async def test_a_firing_event_is_posted_and_marked(bench: Bench) -> None:
    await bench.record(firing("f1"))
    await bench.deliver()
    [[alert]] = bench.receiver.posts
    assert alert["startsAt"] == "2026-11-23T12:00:00.000000Z"
    assert alert["endsAt"] == "2026-11-23T12:05:00.000000Z"
    assert bench.store.settled.keys() == {told(firing("f1"), sink=bench.sink.name).id}
    assert bench.sink.counts == {"delivered": 1, "failed": 0, "refused": 0}


async def test_an_end_is_posted_with_the_time_of_the_resolution(bench: Bench) -> None:
    await bench.record(firing("f1"))
    await bench.deliver()
    bench.clock.forward(90)
    await bench.record(resolved(firing("f1"), at=NOON + timedelta(seconds=80)))
    await bench.deliver()
    assert [post[0]["endsAt"] for post in bench.receiver.posts][-1] == "2026-11-23T12:01:20.000000Z"
    assert not bench.receiver.fires("all")


async def test_an_end_never_lies_before_the_start(bench: Bench) -> None:
    """Alertmanager refuses such an alert; a clock that was set back must not leave one firing."""
    await bench.record(resolved(firing("f1"), at=NOON - timedelta(hours=1)))
    await bench.deliver()
    [[alert]] = bench.receiver.posts
    assert alert["endsAt"] == alert["startsAt"]


async def test_consecutive_events_of_different_alerts_share_a_request(bench: Bench) -> None:
    await bench.record(subject(1), subject(2), subject(3))
    await bench.deliver()
    assert bench.receiver.subjects() == [["s001", "s002", "s003"]]


async def test_two_events_of_one_alert_are_never_in_one_request(bench: Bench) -> None:
    """Also when they belong to two findings: to Alertmanager, equal labels are one alert."""
    first, second = firing("f1"), firing("f2", since=NOON + timedelta(hours=1))
    await bench.record(first)
    await bench.record(subject(1))
    await bench.record(resolved(first, at=NOON + timedelta(minutes=1)))
    await bench.record(second)
    await bench.drain()
    assert bench.receiver.subjects() == [["all", "s001"], ["all"], ["all"]]
    assert [post[0]["endsAt"][:16] for post in bench.receiver.posts] == [
        "2026-11-23T12:05",
        "2026-11-23T12:01",
        "2026-11-23T12:05",
    ]


async def test_a_request_is_of_limited_size(bench: Bench) -> None:
    await bench.record(*(subject(n) for n in range(BATCH + 1)))
    await bench.drain()
    assert [len(post) for post in bench.receiver.subjects()] == [BATCH, 1]


async def test_events_come_in_the_order_recorded(bench: Bench) -> None:
    findings = [subject(n) for n in (5, 3, 9, 1)]
    for finding in findings:
        await bench.record(finding)
    await bench.drain()
    assert bench.receiver.spoken() == ["s005", "s003", "s009", "s001"]


async def test_a_worker_waits_until_something_is_queued() -> None:
    """It wakes at once, not at its next look."""

    async def for_ever(_: float) -> None:
        await asyncio.Event().wait()

    async with benched(sleep=for_ever) as bench:
        step = asyncio.create_task(bench.deliver())
        await asyncio.sleep(0.01)
        assert not step.done()
        await bench.record(firing("f1"))
        await asyncio.wait_for(step, 5)
        assert bench.receiver.subjects() == [["all"]]


async def test_credentials_of_the_url_are_sent_as_basic_auth(bench: Bench) -> None:
    await bench.record(firing("f1"))
    await bench.deliver()
    assert bench.receiver.headers == ["Basic " + base64.b64encode(b"user:p@ss").decode()]


# Outages.


@pytest.mark.parametrize("status", [301, 401, 403, 404, 408, 429, 500, 502, 503])
async def test_a_receiver_that_is_unwell_is_asked_again(bench: Bench, status: int) -> None:
    bench.receiver.answers = [status, status]
    await bench.record(firing("f1"))
    await bench.deliver()
    assert bench.outbox.pending(bench.sink.name) == 1
    assert bench.sink.problem == (f'{bench.sink.name}: HTTP {status}, for PyrometerHotShareHigh: "answer {status}"')
    await bench.deliver(steps=2)
    assert bench.outbox.pending(bench.sink.name) == 0
    assert problem(bench) is None
    assert bench.sink.counts == {"delivered": 1, "failed": 2, "refused": 0}


async def test_the_delay_doubles_up_to_a_cap_and_starts_anew_after_success(bench: Bench) -> None:
    bench.receiver.answers = [500] * 9
    await bench.record(firing("f1"))
    await bench.deliver(steps=10)
    assert bench.clock.slept == [0.5, 1, 2, 4, 8, 16, 30, 30, 30]
    bench.receiver.answers = [500]
    await bench.record(resolved(firing("f1"), at=NOON))
    await bench.deliver()
    assert bench.clock.slept[-1] == 0.5


async def test_the_delay_is_any_part_of_that() -> None:
    async with benched(random=lambda: 0.25) as bench:
        bench.receiver.answers = [500, 500]
        await bench.record(firing("f1"))
        await bench.deliver(steps=2)
        assert bench.clock.slept == [0.125, 0.25]


async def test_a_receiver_that_does_not_answer_is_given_up_after_the_timeout() -> None:
    async with benched(timeout=timedelta(milliseconds=50)) as bench:
        stuck = bench.receiver.hold()
        await bench.record(firing("f1"))
        await bench.deliver()
        assert bench.sink.problem == f"{bench.sink.name}: no answer within 0.05 s, for PyrometerHotShareHigh"
        stuck.set()
        await bench.deliver()
        assert bench.outbox.pending(bench.sink.name) == 0


async def test_a_receiver_that_is_not_there_is_said_in_our_words() -> None:
    clock = HandClock()
    async with serving(web.Application()) as port:
        pass
    endpoint = Endpoint.parse(f"http://user:hunter2@127.0.0.1:{port}")
    outbox = Outbox(MemoryStore(), sinks=[endpoint.name], clock=clock)
    async with aiohttp.ClientSession() as session:
        sink = AlertmanagerSink(
            endpoint,
            outbox=outbox,
            session=session,
            origin=Origin(entity="x"),
            clock=clock,
            sleep=clock.sleep,
            random=lambda: 1.0,
        )
        await outbox.record([], [told(firing("f1"), sink=sink.name)])
        with capture_logs() as lines:
            await sink.deliver()
            await sink.deliver()
    assert (
        sink.problem == f"alertmanager/127.0.0.1:{port}: can't connect: Connection refused, for PyrometerHotShareHigh"
    )
    assert len(lines) == 1
    assert "hunter2" not in str(lines)


async def test_an_outage_is_logged_when_it_begins_and_when_it_ends(bench: Bench) -> None:
    bench.receiver.answers = [500] * 3
    await bench.record(firing("f1"))
    with capture_logs() as lines:
        await bench.deliver(steps=4)
    assert [(line["log_level"], line["event"]) for line in lines] == [
        ("warning", "receiver down"),
        ("info", "receiver up"),
    ]


async def test_a_step_that_is_cut_off_is_repeated(bench: Bench) -> None:
    """The supervisor's deadline, or the end of the daemon: what was not answered stays queued."""
    stuck = bench.receiver.hold()
    await bench.record(firing("f1"))
    step = asyncio.create_task(bench.deliver())
    await asyncio.sleep(0.02)
    step.cancel()
    await asyncio.wait([step])
    stuck.set()
    assert bench.outbox.pending(bench.sink.name) == 1
    await bench.deliver()
    assert bench.outbox.pending(bench.sink.name) == 0


# Refusals.


async def test_an_alert_that_is_refused_does_not_keep_the_others_back(bench: Bench) -> None:
    bench.receiver.poison = {"s002"}
    await bench.record(subject(1), subject(2), subject(3))
    await bench.drain()
    assert bench.receiver.subjects() == [["s001"], [], ["s003"]]
    assert bench.outbox.pending(bench.sink.name) == 0
    assert bench.sink.counts == {"delivered": 2, "failed": 0, "refused": 1}


async def test_a_refused_notification_is_logged_and_kept_with_its_reason(bench: Bench) -> None:
    bench.receiver.poison = {"s001"}
    with capture_logs() as lines:
        await bench.record(subject(1))
        await bench.drain()
    [line] = [line for line in lines if line["log_level"] == "error"]
    assert (line["event"], line["finding"]) == ("alert refused", "f001")
    assert await bench.store.tallies() == {bench.sink.name: Tally(refused=1)}
    [outcome] = bench.store.settled.values()
    assert outcome.refusal == 'HTTP 400: "answer 400"'


async def test_after_a_refusal_alerts_share_requests_again(bench: Bench) -> None:
    bench.receiver.poison = {"s001"}
    await bench.record(subject(1), subject(2))
    await bench.drain()
    await bench.record(subject(3), subject(4))
    await bench.drain()
    assert bench.receiver.subjects()[-1] == ["s003", "s004"]


@pytest.mark.parametrize("status", [400, 413, 422])
async def test_a_receiver_that_refuses_everything_costs_no_alert(bench: Bench, status: int) -> None:
    """A proxy or a TLS port that answers 400 to all: then it is the receiver that is wrong, not the alert."""
    bench.receiver.answers = [status] * 100
    await bench.record(subject(1), subject(2))
    await bench.deliver(steps=4)
    bench.receiver.answers.clear()
    assert bench.outbox.pending(bench.sink.name) == 2
    assert bench.sink.counts["refused"] == 0
    assert bench.sink.problem is not None
    await bench.drain()
    assert sorted(bench.receiver.spoken()) == ["s001", "s002"]


async def test_a_refused_alert_does_not_keep_back_the_reminders_of_the_others(bench: Bench) -> None:
    bench.receiver.poison = {"s001"}
    bench.offer(subject(1), subject(2), subject(3))
    with capture_logs() as lines:
        for _ in range(3):
            await bench.drain()
            bench.clock.forward(60)
    assert bench.receiver.spoken() == ["s002", "s003"] * 3
    assert [line["event"] for line in lines] == ["alert refused"]


async def test_what_was_refused_by_a_passing_fault_is_mended_by_a_reminder(bench: Bench) -> None:
    """One bad proxy of two: it refused the alert, and the other one took the empty request."""
    bench.receiver.answers = [400, 200]
    await bench.record(subject(1))
    await bench.drain()
    assert bench.sink.counts["refused"] == 1
    bench.offer(subject(1))
    await bench.drain()
    assert bench.receiver.fires("s001")


# Endpoints.


@pytest.mark.parametrize(
    ("text", "name", "url"),
    [
        ("http://127.0.0.1:9093", "alertmanager/127.0.0.1:9093", "http://127.0.0.1:9093"),
        ("https://am.example/", "alertmanager/am.example", "https://am.example"),
        ("http://u:p@am.example:9093/am/?x=1", "alertmanager/am.example:9093/am", "http://am.example:9093/am"),
        ("http://[::1]:9093", "alertmanager/[::1]:9093", "http://[::1]:9093"),
    ],
)
def test_an_endpoint_has_a_name_that_may_be_shown(text: str, name: str, url: str) -> None:
    endpoint = Endpoint.parse(text)
    assert (endpoint.name, endpoint.url) == (name, url)


def test_an_endpoint_may_be_given_a_name() -> None:
    assert Endpoint.parse("http://am.example:9093", name="tokyo-1").name == "tokyo-1"


def test_an_endpoint_does_not_print_its_credentials() -> None:
    endpoint = Endpoint.parse("http://user:hunter2@am.example:9093")
    assert "hunter2" not in repr(endpoint)
    assert base64.b64encode(b"user:hunter2").decode() not in repr(endpoint)
    assert endpoint.headers["Authorization"] == "Basic " + base64.b64encode(b"user:hunter2").decode()


@pytest.mark.parametrize(
    "text",
    [
        "",
        "am.example:9093",
        "ftp://am.example",
        "http://",
        "http://user:hunter2@am.example:99999",
        "http://user:hunter2@[::1",
        "http://a%3Ab:hunter2@am.example",
    ],
)
def test_what_is_no_endpoint_is_a_configuration_error_that_does_not_repeat_it(text: str) -> None:
    with pytest.raises(ConfigError, match="expected http") as caught:
        Endpoint.parse(text)
    assert "hunter2" not in str(caught.value)
    assert caught.value.__cause__ is None
