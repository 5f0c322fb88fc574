"""The real process under a supervisor that speaks sd_notify: what it hears from the start to the end."""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path

import pytest

from tests.integration.anvil import AnvilNode
from tests.notified import Supervisor, supervising
from tests.system.daemon import Daemon, running_daemon, until
from tests.system.exchange import config, fund

pytestmark = [pytest.mark.real, pytest.mark.timeout(240)]

DEAD = "http://127.0.0.1:9"


def watched(monkeypatch: pytest.MonkeyPatch, supervisor: Supervisor, *, microseconds: int = 400_000) -> None:
    """As systemd starts a unit with `WatchdogSec=400ms`."""
    monkeypatch.setenv("NOTIFY_SOCKET", supervisor.name)
    monkeypatch.setenv("WATCHDOG_USEC", str(microseconds))


def pid(daemon: Daemon) -> int:
    assert daemon._process is not None
    return daemon._process.pid


async def pings(supervisor: Supervisor) -> None:
    """Returns when three more have come."""
    wanted = supervisor.told("WATCHDOG=1") + 3
    await until(lambda: supervisor.told("WATCHDOG=1") >= wanted, what=supervisor.heard)


async def test_ready_alive_reloading_and_stopping_are_told_in_this_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with supervising(tmp_path) as supervisor:
        watched(monkeypatch, supervisor)
        async with AnvilNode() as anvil:
            await fund(anvil, hot=10_000, cold=990_000)
            async with running_daemon(tmp_path, config(anvil.url)) as daemon:
                await until(lambda: supervisor.states == ["READY"], what=supervisor.heard)
                await pings(supervisor)
                await until(lambda: supervisor.status.startswith("judging 2 wallets on 1 chain: "))
                await daemon.becomes("/readyz", lambda body: body["status"] == "ready")
                await until(lambda: "not known" not in supervisor.status)

                daemon.hang_up()
                await daemon.logged("reloaded")
                reloaded = ["READY", "RELOADING", "READY"]
                await until(lambda: supervisor.states == reloaded, what=supervisor.heard)
                begun = next(one for one in supervisor.heard if "RELOADING" in one)
                assert int(begun["MONOTONIC_USEC"]) > 0
                await pings(supervisor)

                daemon.configure({**config(anvil.url), "walets": {}})
                daemon.hang_up()
                refused = [*reloaded, "RELOADING", "READY"]
                await until(lambda: supervisor.states == refused, what=supervisor.heard)
                await until(lambda: "the last reload was refused" in supervisor.status, what=supervisor.heard)

                assert await daemon.stop() == 0
                assert supervisor.states == [*refused, "STOPPING"]


async def test_it_is_ready_before_any_chain_was_read_silent_while_it_hangs_and_heard_when_it_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with supervising(tmp_path, abstract=True) as supervisor:
        watched(monkeypatch, supervisor)
        async with running_daemon(tmp_path, config(DEAD)) as daemon:
            await until(lambda: supervisor.states == ["READY"], what=supervisor.heard)
            await until(lambda: "not known: ethereum: " in supervisor.status, what=supervisor.heard)
            await pings(supervisor)
            os.kill(pid(daemon), signal.SIGSTOP)
            try:
                stat = Path(f"/proc/{pid(daemon)}/stat")
                await until(lambda: stat.read_text().rpartition(")")[2].split()[0] == "T")
                before = supervisor.told("WATCHDOG=1")
                await asyncio.sleep(1)
                assert supervisor.told("WATCHDOG=1") == before
            finally:
                os.kill(pid(daemon), signal.SIGCONT)
            await pings(supervisor)


async def test_a_supervisor_that_is_not_there_costs_one_line_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NOTIFY_SOCKET", f"{tmp_path}/nobody")
    monkeypatch.setenv("WATCHDOG_USEC", "400000")
    async with running_daemon(tmp_path, config(DEAD)) as daemon:
        await daemon.logged("systemd can't be told")
        await daemon.becomes("/healthz", lambda body: body["status"] == "alive")
        assert await daemon.stop() == 0
        assert [entry["event"] for entry in daemon.log].count("systemd can't be told") == 1
