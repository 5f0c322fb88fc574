"""The spine, end to end: a breach on a real chain is one page at a real Alertmanager, and its end is heard too."""

import time
from pathlib import Path
from typing import Any

import pytest

from tests.integration.alertmanager import Alertmanager, running_alertmanager
from tests.integration.anvil import AnvilNode
from tests.system.daemon import Daemon, running_daemon, until
from tests.system.exchange import COLD, HOT, config, fund, move

pytestmark = [pytest.mark.real, pytest.mark.timeout(300)]

LABELS = {
    "alertname": "PyrometerHotShareHigh",
    "policy": "hot-share",
    "subject": "all",
    "severity": "critical",
    "entity": "Example Exchange KK",
}


async def wait_for_verdict(daemon: Daemon, verdict: str) -> None:
    await daemon.becomes("/api/v1/status", lambda body: body.get("verdict") == verdict)


async def becomes_finding(daemon: Daemon, state: str) -> dict[str, Any]:
    """The finding on the hot share, once it is in that state."""

    def of_share(body: list[dict[str, Any]]) -> list[dict[str, Any]]:
        return [item for item in body if item["alert"] == LABELS["alertname"] and item["state"] == state]

    return of_share(await daemon.becomes("/api/v1/findings", of_share))[0]


async def active(alertmanager: Alertmanager) -> list[dict[str, Any]]:
    return [alert for alert in await alertmanager.alerts() if alert["labels"]["alertname"] == LABELS["alertname"]]


async def test_from_4_9_to_5_1_percent_is_one_alert_within_two_seconds_and_back_is_resolved(tmp_path: Path) -> None:
    async with AnvilNode() as anvil, running_alertmanager(tmp_path) as alertmanager:
        await fund(anvil, hot=49_000, cold=951_000)
        whole = config(anvil.url, alertmanager={"endpoints": [alertmanager.url], "resend": "500ms"})
        async with running_daemon(tmp_path, whole) as daemon:
            await wait_for_verdict(daemon, "ok")
            assert await active(alertmanager) == []

            mined = time.monotonic()
            await move(anvil, COLD, HOT, thousandths=2_000)
            while not (alerts := await active(alertmanager)):
                assert time.monotonic() - mined < 2, "the alert took more than two seconds from the block"
            (alert,) = alerts
            assert alert["labels"] == LABELS
            assert alert["annotations"]["value"] == "0.051"
            assert alert["annotations"]["limit"] == "0.05"
            assert alert["annotations"]["amount_to_move"] == "2 ETH from eth-hot-1 to tier cold"
            height, block = await anvil.head()
            assert block in alert["annotations"]["blocks"]
            assert str(height) in alert["annotations"]["blocks"]

            await until(lambda: alertmanager.heard("firing", subject="all"))
            await _sent_again(alertmanager, times=3)
            again = await active(alertmanager)
            assert [(a["labels"], a["startsAt"], a["fingerprint"]) for a in again] == [
                (LABELS, alert["startsAt"], alert["fingerprint"])
            ]

            await move(anvil, HOT, COLD, thousandths=2_000)
            await until(lambda: alertmanager.heard("resolved", subject="all"))
            assert await active(alertmanager) == []
            assert len(alertmanager.heard("firing", subject="all")) == 1


async def _sent_again(alertmanager: Alertmanager, *, times: int) -> None:
    """Waits until Alertmanager has received the alert anew so often."""
    seen: set[str] = set()
    deadline = time.monotonic() + 15
    while len(seen) <= times:
        assert time.monotonic() < deadline, f"it was not sent again; received at {seen}"
        seen |= {alert["updatedAt"] for alert in await active(alertmanager)}


async def test_flapping_around_the_limit_pages_once(tmp_path: Path) -> None:
    async with AnvilNode() as anvil, running_alertmanager(tmp_path) as alertmanager:
        await fund(anvil, hot=49_900, cold=950_100)
        rule = {"kind": "hot_share", "name": "hot-share", "limit": 0.05, "clear_after": "2s"}
        whole = config(anvil.url, alertmanager={"endpoints": [alertmanager.url]}, policies=[rule])
        async with running_daemon(tmp_path, whole) as daemon:
            await wait_for_verdict(daemon, "ok")
            for _ in range(4):
                await move(anvil, COLD, HOT, thousandths=3_000)
                await wait_for_verdict(daemon, "breach")
                await move(anvil, HOT, COLD, thousandths=3_000)
                await wait_for_verdict(daemon, "ok")
            await until(lambda: alertmanager.heard("firing", subject="all"))
            assert not alertmanager.heard("resolved", subject="all")
            findings = await daemon.get("/api/v1/findings")
            assert len([item for item in findings if item["alert"] == LABELS["alertname"]]) == 1
            pages = [message for message in alertmanager.told if message["status"] == "firing"]
            assert len([page for page in pages if page["groupLabels"]["subject"] == "all"]) == 1


async def test_the_hold_time_delays_the_page_and_survives_a_restart(tmp_path: Path) -> None:
    async with AnvilNode() as anvil, running_alertmanager(tmp_path) as alertmanager:
        await fund(anvil, hot=60_000, cold=940_000)
        rule = {"kind": "hot_share", "name": "hot-share", "limit": 0.05, "hold": "4s"}
        whole = config(anvil.url, alertmanager={"endpoints": [alertmanager.url]}, policies=[rule])
        async with running_daemon(tmp_path, whole) as daemon:
            pending = await becomes_finding(daemon, "pending")
            await daemon.stop(kill=True)
        async with running_daemon(tmp_path, whole) as daemon:
            firing = await becomes_finding(daemon, "firing")
            assert (firing["id"], firing["since"]) == (pending["id"], pending["since"])
            await until(lambda: alertmanager.heard("firing", subject="all"))


async def test_the_watchdog_always_fires(tmp_path: Path) -> None:
    async with AnvilNode() as anvil, running_alertmanager(tmp_path) as alertmanager:
        await fund(anvil, hot=10_000, cold=990_000)
        whole = config(anvil.url, alertmanager={"endpoints": [alertmanager.url], "resend": "500ms"})
        async with running_daemon(tmp_path, whole):
            await until(lambda: alertmanager.heard("firing", subject="daemon"))
