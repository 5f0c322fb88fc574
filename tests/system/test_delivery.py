"""Law 5 on the real process: killed at any moment, with Alertmanager or the disk gone, no page is lost or doubled."""

import asyncio
import sqlite3
from pathlib import Path

import pytest

from tests.integration.alertmanager import running_alertmanager
from tests.integration.anvil import AnvilNode
from tests.system.daemon import gauges, running_daemon, until
from tests.system.exchange import COLD, HOT, config, fund, move
from tests.system.test_one_page import active

pytestmark = [pytest.mark.real, pytest.mark.timeout(240)]

DELAYS = (0.0, 0.02, 0.05, 0.08, 0.12, 0.2, 0.35)
"""Seconds between the block and the kill: before it is read, while it is judged, stored, sent, and after."""


@pytest.mark.timeout(600)  # fourteen lives
async def test_killed_at_any_moment_between_block_and_delivery_the_page_still_comes_once(tmp_path: Path) -> None:
    async with AnvilNode() as anvil, running_alertmanager(tmp_path) as alertmanager:
        whole = config(anvil.url, alertmanager={"endpoints": [alertmanager.url]})
        for delay in DELAYS:
            await fund(anvil, hot=10_000, cold=990_000)
            alertmanager.told.clear()
            async with running_daemon(tmp_path, whole) as daemon:
                await daemon.becomes("/api/v1/status", lambda body: body.get("verdict") == "ok")
                await daemon.becomes("/api/v1/findings", lambda body: not body)
                await move(anvil, COLD, HOT, thousandths=90_000)
                await asyncio.sleep(delay)
                await daemon.stop(kill=True)
            async with running_daemon(tmp_path, whole) as daemon:
                await until(lambda: alertmanager.heard("firing", subject="all"), what=daemon.log)
                assert len(await active(alertmanager)) == 1
                await daemon.becomes("/api/v1/findings", lambda body: len(body) == 1)
                await move(anvil, HOT, COLD, thousandths=90_000)
                await until(lambda: alertmanager.heard("resolved", subject="all"), what=daemon.log)
            assert len(alertmanager.heard("firing", subject="all")) == 1, f"killed after {delay} s"
            assert len(alertmanager.heard("resolved", subject="all")) == 1, f"killed after {delay} s"


async def test_what_happened_while_alertmanager_was_down_arrives_in_order_when_it_returns(tmp_path: Path) -> None:
    async with AnvilNode() as anvil, running_alertmanager(tmp_path) as alertmanager:
        await fund(anvil, hot=10_000, cold=990_000)
        rules = [
            {"kind": "hot_share", "name": "hot-share", "limit": 0.05, "clear_after": "0s"},
            {"kind": "wallet_band", "name": "ceiling", "wallets": ["eth-hot-1"], "asset": "ETH", "ceiling": 200},
        ]
        whole = config(anvil.url, alertmanager={"endpoints": [alertmanager.url], "resend": "1s"}, policies=rules)
        async with running_daemon(tmp_path, whole) as daemon:
            await daemon.becomes("/api/v1/status", lambda body: body.get("verdict") == "ok")
            await alertmanager.kill()
            for source, target, verdict in ((COLD, HOT, "breach"), (HOT, COLD, "ok")):
                await move(anvil, source, target, thousandths=90_000)
                await daemon.becomes("/api/v1/status", lambda body, v=verdict: body["verdict"] == v)  # type: ignore[misc]
            await daemon.becomes("/api/v1/findings", lambda body: body == [])
            await move(anvil, COLD, HOT, thousandths=300_000)
            await daemon.becomes("/api/v1/findings", lambda body: len(body) == 2)
            assert sum(gauges(await daemon.metrics(), "pyrometer_notifications_pending").values()) == 4

            await daemon.stop(kill=True)
            async with running_daemon(tmp_path, whole) as again:
                await alertmanager.start()
                await until(lambda: alertmanager.heard("firing", subject="eth-hot-1"), what=again.log)
                await until(lambda: alertmanager.heard("firing", subject="all"))
                assert [a["labels"]["subject"] for a in await active(alertmanager)] == ["all"]
                pending = gauges(await again.metrics(), "pyrometer_notifications_pending")
                assert set(pending.values()) == {0}
                await until(lambda: len(_settled(tmp_path)) == 4)
                assert _settled(tmp_path) == sorted(_settled(tmp_path))


def _settled(folder: Path) -> list[tuple[int]]:
    """Sequence numbers of delivered notifications, in the order of their delivery."""
    with sqlite3.connect(folder / "pyrometer.db") as connection:
        query = "select seq from pyrometer_notifications where settled is not null order by settled, seq"
        return connection.execute(query).fetchall()


async def test_a_locked_database_is_said_judging_goes_on_people_are_paged_and_nothing_is_lost(tmp_path: Path) -> None:
    async with AnvilNode() as anvil, running_alertmanager(tmp_path) as alertmanager:
        await fund(anvil, hot=10_000, cold=990_000)
        whole = config(anvil.url, alertmanager={"endpoints": [alertmanager.url]})
        async with running_daemon(tmp_path, whole) as daemon:
            await daemon.becomes("/api/v1/status", lambda body: body.get("verdict") == "ok")
            with sqlite3.connect(tmp_path / "pyrometer.db", isolation_level=None) as lock:
                lock.execute("begin exclusive")
                await move(anvil, COLD, HOT, thousandths=90_000)
                await until(lambda: alertmanager.heard("firing", subject="all"))
                body = await daemon.becomes("/readyz", lambda body: body["reasons"])
                assert "locked" in body["reasons"][0]
                assert (await daemon.metrics())["pyrometer_store_up"] == 0
                await daemon.logged("store down: everything is kept in memory")
                await move(anvil, COLD, HOT, thousandths=1_000)
                await daemon.becomes(
                    "/api/v1/wallets/eth-hot-1",
                    lambda body: body["holdings"]["ETH"]["amount"] == "101",
                )
                lock.execute("rollback")
            await daemon.becomes("/readyz", lambda body: not body["reasons"])
            await daemon.stop()
        with sqlite3.connect(tmp_path / "pyrometer.db") as connection:
            states = connection.execute("select state from pyrometer_findings").fetchall()
            settled = connection.execute("select count(settled), count(*) from pyrometer_notifications").fetchall()
        assert states == [("firing",)]
        assert settled == [(1, 1)]


async def test_a_store_that_is_out_of_reach_at_the_start_keeps_nobody_from_judging(tmp_path: Path) -> None:
    async with AnvilNode() as anvil, running_alertmanager(tmp_path) as alertmanager:
        await fund(anvil, hot=100_000, cold=900_000)
        whole = config(anvil.url, alertmanager={"endpoints": [alertmanager.url]})
        async with running_daemon(tmp_path, whole) as daemon:
            (first,) = await daemon.becomes("/api/v1/findings", _of_share)
            await daemon.stop(kill=True)
        _out_of_reach(tmp_path)
        async with running_daemon(tmp_path, whole) as daemon:
            (begun,) = await daemon.becomes("/api/v1/findings", _of_share)
            assert begun["id"] != first["id"]
            assert "unable to open" in (await daemon.get("/readyz"))["reasons"][0]
            _back(tmp_path)
            (adopted,) = await daemon.becomes(
                "/api/v1/findings", lambda body: [i for i in _of_share(body) if i["id"] == first["id"]]
            )
            assert adopted["since"] == first["since"]
            assert len(await active(alertmanager)) == 1


def _out_of_reach(folder: Path) -> None:
    """Puts a folder where the database was."""
    (folder / "pyrometer.db").rename(folder / "aside")
    (folder / "pyrometer.db").mkdir()


def _back(folder: Path) -> None:
    (folder / "pyrometer.db").rmdir()
    (folder / "aside").rename(folder / "pyrometer.db")


def _of_share(body: list[dict[str, object]]) -> list[dict[str, object]]:
    return [item for item in body if item["alert"] == "PyrometerHotShareHigh" and item["state"] == "firing"]


async def test_a_receiver_that_left_the_configuration_is_owed_nothing(tmp_path: Path) -> None:
    async with AnvilNode() as anvil:
        await fund(anvil, hot=100_000, cold=900_000)
        gone = config(anvil.url, alertmanager={"endpoints": ["http://127.0.0.1:9"]})
        async with running_daemon(tmp_path, gone) as daemon:
            await daemon.becomes("/api/v1/findings", _of_share)
            await daemon.becomes("/api/v1/status", lambda body: body["receivers"]["alertmanager/127.0.0.1:9"])
            await daemon.stop()
        async with running_daemon(tmp_path, config(anvil.url)) as daemon:
            await daemon.logged("a receiver is not configured any more, what it was owed is dropped")
            assert await daemon.becomes("/api/v1/findings", _of_share)
