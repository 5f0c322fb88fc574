"""What systemd is told, on a real datagram socket: when, how often, and what happens when nobody listens."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import aiohttp
import pytest
from structlog.testing import capture_logs

from daemon.model import Finding, Notification
from daemon.store import Outcome
from daemon.systemd import LONGEST, Systemd
from tests.build import ETH, ETHER, complete
from tests.delivery_cases import MemoryStore, firing, report
from tests.notified import Supervisor, supervising
from tests.system.daemon import until
from tests.unit.test_app import BLIND_AT_ONCE, running
from tests.unit.test_metrics import report as judged_report


class Clock:
    """Seconds, by hand."""

    def __init__(self) -> None:
        self.time = 100.0

    def __call__(self) -> float:
        return self.time


def listening(supervisor: Supervisor, *, watchdog: float | None = None, clock: Clock | None = None) -> Systemd:
    subject = Systemd(supervisor.name, watchdog=watchdog, clock=clock or Clock())
    subject.listening.set()
    return subject


@pytest.mark.parametrize("abstract", [False, True])
def test_it_is_ready_with_the_first_pass_after_it_listens_and_says_so_once(tmp_path: Path, abstract: bool) -> None:
    with supervising(tmp_path, abstract=abstract) as supervisor:
        subject = Systemd(supervisor.name)
        subject.offer(report())
        assert supervisor.heard == []
        subject.listening.set()
        subject.offer(report())
        subject.offer(report())
        assert supervisor.states == ["READY"]


def test_a_picture_that_is_not_complete_is_no_reason_not_to_be_ready(tmp_path: Path) -> None:
    with supervising(tmp_path) as supervisor:
        listening(supervisor).offer(replace(report(), problems=("ethereum: unavailable: can't connect",)))
        assert supervisor.states == ["READY"]
        assert supervisor.status.endswith("; not known: ethereum: unavailable: can't connect")


def test_signs_of_life_come_with_passes_alone_four_times_in_the_time_of_the_watchdog(tmp_path: Path) -> None:
    with supervising(tmp_path) as supervisor:
        clock = Clock()
        subject = listening(supervisor, watchdog=20, clock=clock)
        for _ in range(40):
            subject.offer(report())
            clock.time += 1
        assert supervisor.told("WATCHDOG=1") == 8
        clock.time += 100
        assert supervisor.told("WATCHDOG=1") == 8


def test_without_a_watchdog_there_are_no_signs_of_life(tmp_path: Path) -> None:
    with supervising(tmp_path) as supervisor:
        subject = listening(supervisor)
        for _ in range(5):
            subject.offer(report())
        assert supervisor.told("WATCHDOG=1") == 0


@pytest.mark.parametrize(
    ("env", "pings"),
    [
        ({"WATCHDOG_USEC": "2000000"}, 1),
        ({"WATCHDOG_USEC": "2000000", "WATCHDOG_PID": str(os.getpid())}, 1),
        ({"WATCHDOG_USEC": "2000000", "WATCHDOG_PID": "1"}, 0),
        ({"WATCHDOG_USEC": "soon"}, 0),
        ({}, 0),
    ],
)
def test_the_watchdog_is_ours_when_the_environment_says_so(tmp_path: Path, env: dict[str, str], pings: int) -> None:
    with supervising(tmp_path) as supervisor:
        subject = Systemd.of({"NOTIFY_SOCKET": supervisor.name, **env})
        subject.listening.set()
        subject.offer(report())
        assert (supervisor.told("READY=1"), supervisor.told("WATCHDOG=1")) == (1, pings)


@pytest.mark.parametrize("env", [{}, {"NOTIFY_SOCKET": ""}])
async def test_without_a_socket_nothing_happens(env: dict[str, str]) -> None:
    subject = Systemd.of(env)
    subject.listening.set()
    stop = asyncio.Event()
    with capture_logs() as logs:
        async with subject.told_of(stop):
            subject.offer(report())
            with subject.reloading():
                pass
            stop.set()
            await asyncio.sleep(0)
    assert logs == []


def test_a_socket_that_nobody_listens_on_is_one_line_and_what_was_not_heard_is_told_later(tmp_path: Path) -> None:
    subject = Systemd(f"{tmp_path}/notify")
    subject.listening.set()
    with capture_logs() as logs:
        for _ in range(3):
            subject.offer(report())
        assert [entry["event"] for entry in logs] == ["systemd can't be told"]
        assert logs[0]["error"] == "No such file or directory"
        with supervising(tmp_path) as supervisor:
            subject.offer(report())
            assert supervisor.states == ["READY"]
            assert supervisor.status
        assert [entry["event"] for entry in logs] == ["systemd can't be told", "systemd is told again"]


@pytest.mark.parametrize("name", ["/" + "x" * 200, "vsock:2:1234", "@" + "x" * 200])
def test_a_socket_that_there_can_not_be_is_one_line_too(name: str) -> None:
    subject = Systemd(name)
    subject.listening.set()
    with capture_logs() as logs:
        subject.offer(report())
        subject.offer(report())
    assert [entry["event"] for entry in logs] == ["systemd can't be told"]


def test_a_supervisor_that_does_not_read_holds_up_nothing(tmp_path: Path) -> None:
    with supervising(tmp_path) as supervisor:
        clock = Clock()
        subject = listening(supervisor, watchdog=4, clock=clock)
        for _ in range(10_000):
            subject.offer(report())
            clock.time += 1
        assert 0 < supervisor.told("WATCHDOG=1") < 10_000
        subject.offer(report())
        assert supervisor.heard[-1]["WATCHDOG"] == "1"


def test_a_reload_begins_with_the_time_and_ends_with_ready(tmp_path: Path) -> None:
    with supervising(tmp_path) as supervisor:
        clock = Clock()
        subject = listening(supervisor, clock=clock)
        subject.offer(report())
        with subject.reloading():
            subject.offer(report())
            assert supervisor.states == ["READY", "RELOADING"]
        assert supervisor.states == ["READY", "RELOADING", "READY"]
        assert next(one["MONOTONIC_USEC"] for one in supervisor.heard if "RELOADING" in one) == "100000000"


def test_a_refused_reload_is_ready_again_and_the_status_says_it_until_one_succeeds(tmp_path: Path) -> None:
    with supervising(tmp_path) as supervisor:
        subject = listening(supervisor)
        subject.offer(report())
        with pytest.raises(ValueError, match="bad"), subject.reloading():
            raise ValueError("bad")
        subject.offer(report())
        assert supervisor.states == ["READY", "RELOADING", "READY"]
        assert supervisor.status.endswith("; the last reload was refused")
        with subject.reloading():
            pass
        subject.offer(report())
        assert "refused" not in supervisor.status


def test_a_reload_before_it_is_ready_does_not_make_it_ready(tmp_path: Path) -> None:
    with supervising(tmp_path) as supervisor:
        subject = listening(supervisor)
        with subject.reloading():
            pass
        assert supervisor.heard == []
        subject.offer(report())
        assert supervisor.states == ["READY"]


async def test_a_stop_is_told_at_once_and_nothing_after_it(tmp_path: Path) -> None:
    with supervising(tmp_path) as supervisor:
        subject, stop = listening(supervisor, watchdog=1), asyncio.Event()
        subject.offer(report())
        async with subject.told_of(stop):
            with subject.reloading():
                stop.set()
                await until(lambda: "STOPPING" in supervisor.states)
            subject.offer(report())
        assert supervisor.states == ["READY", "RELOADING", "STOPPING"]


async def test_an_end_without_a_stop_leaves_nothing_running(tmp_path: Path) -> None:
    with supervising(tmp_path) as supervisor:
        before = asyncio.all_tasks()
        async with listening(supervisor).told_of(asyncio.Event()):
            pass
        assert asyncio.all_tasks() == before
        assert supervisor.heard == []


async def test_the_status_counts_in_plain_words(tmp_path: Path) -> None:
    with supervising(tmp_path) as supervisor:
        subject = listening(supervisor)
        subject.offer(await judged_report(complete(1, {(1, ETH): 6 * ETHER, (2, ETH): 94 * ETHER})))
        assert supervisor.status.startswith("judging 2 wallets on 1 chain: ")
        subject.offer(report(firing()))
        assert supervisor.status == "judging 0 wallets on 0 chains: no rule; 1 finding firing"
        told = supervisor.heard.copy()
        subject.offer(report(firing()))
        assert supervisor.heard == told


def test_what_a_node_says_can_not_speak_in_our_name(tmp_path: Path) -> None:
    with supervising(tmp_path) as supervisor:
        subject = listening(supervisor)
        bad = "ethereum: unavailable: ha\nSTOPPING=1\r\x00\x85\u2028MAINPID=1 \ud800"
        subject.offer(replace(report(), problems=(bad, "bitcoin: " + "x" * 10_000)))
        assert supervisor.states == ["READY"]
        assert "ha STOPPING=1" in supervisor.status
        assert supervisor.status.endswith(" and 1 more")
        subject.offer(replace(report(), problems=("x" * 10_000,)))
        assert len(supervisor.status) == LONGEST


class Hanging(MemoryStore):
    """Answers nobody who brings it a finding until it is let go."""

    def __init__(self) -> None:
        super().__init__()
        self.hangs = asyncio.Event()
        self.go = asyncio.Event()

    async def record(
        self,
        findings: Sequence[Finding],
        notifications: Sequence[Notification],
        *,
        outcomes: Mapping[str, Outcome] | None = None,
    ) -> None:
        if findings:
            self.hangs.set()
            await self.go.wait()
        await super().record(findings, notifications, outcomes=outcomes)


async def test_a_judging_that_hangs_gives_no_sign_of_life_though_everything_else_goes_on(tmp_path: Path) -> None:
    store = Hanging()
    with supervising(tmp_path) as supervisor:
        subject = Systemd(supervisor.name, watchdog=0.08)
        async with running(tmp_path, store=store, sinks=[subject], policies=[BLIND_AT_ONCE]) as daemon:
            await daemon.served()
            subject.listening.set()
            await store.hangs.wait()
            before = supervisor.told("WATCHDOG=1")
            host, port = daemon.app.address
            async with aiohttp.ClientSession() as session:
                for _ in range(20):
                    async with session.get(f"http://{host}:{port}/healthz") as answer:
                        assert answer.status == 200
                    await asyncio.sleep(0.02)
            assert supervisor.told("WATCHDOG=1") == before
            store.go.set()
            await until(lambda: supervisor.told("WATCHDOG=1") > before)
