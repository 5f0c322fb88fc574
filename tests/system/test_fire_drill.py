"""The fire drill of docs/fire-drill.md, by its very commands, on a real Alertmanager and a real broker."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from tests.integration.alertmanager import running_alertmanager
from tests.integration.mosquitto import Mosquitto
from tests.integration.subscriber import subscribed
from tests.system.daemon import until
from tests.system.written import require, shell, written

pytestmark = [pytest.mark.real, pytest.mark.timeout(600)]


async def test_the_fire_drill_rings_a_real_alertmanager_and_broker_and_nobody_can_mistake_it(tmp_path: Path) -> None:
    """By the written commands, but as fast as can be."""
    require("amtool")
    broker = Mosquitto(tmp_path)
    broker.start()
    try:
        async with (
            running_alertmanager(tmp_path) as alertmanager,
            subscribed(broker, prefix="pyrometer-drill") as subscriber,
            subscribed(broker) as real,
            shell(tmp_path, variables={"ALERTMANAGER": alertmanager.url, "BROKER": broker.url}) as it,
        ):
            steps = written("fire-drill.md", under="## The drill")
            assert "--speed 60 " in steps[0].command
            quick = replace(steps[0], command=steps[0].command.replace("--speed 60 ", ""))
            await it.follow([quick, *steps[1:]])
            for subject in ("all", "XEM"):
                await until(lambda subject=subject: alertmanager.heard("firing", subject=subject))  # type: ignore[misc]
            told = [alert for message in alertmanager.told for alert in message["alerts"]]
            named = {alert["labels"]["alertname"] for alert in told}
            assert {"PyrometerHotShareHigh", "PyrometerUnmatchedOutflow", "PyrometerDrain"} <= named
            assert {alert["labels"]["drill"] for alert in told} == {"coincheck"}
            assert {alert["labels"]["entity"] for alert in told} == {"Coincheck"}
            assert all(alert["annotations"]["summary"].startswith("DRILL: ") for alert in told)
            gate = json.loads(subscriber.holds["gate/xem-hot"])
            assert (gate["gate"], gate["entity"].startswith("DRILL")) == ("closed", True)
            assert real.heard == []
    finally:
        broker.stop()
