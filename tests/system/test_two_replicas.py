"""Two real daemons as deploy/kubernetes arranges them: one alert, and neither takes anything from the other."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.integration.alertmanager import Alertmanager, running_alertmanager
from tests.integration.anvil import AnvilNode
from tests.integration.mosquitto import PASSWORD, USER, Mosquitto
from tests.integration.postgres import Postgres, started
from tests.integration.subscriber import subscribed
from tests.manifests import FOLDER
from tests.system.daemon import Daemon
from tests.system.exchange import COLD, HOT, config, fund, move
from tests.system.test_one_page import LABELS, active, becomes_finding

pytestmark = [pytest.mark.real, pytest.mark.timeout(300)]

PAGE = (FOLDER.parent.parent / "docs" / "deployment-kubernetes.md").read_text()
STORE_PASSWORD = "p@ss/word"
REPLICAS = ("pyrometer-0", "pyrometer-1")


def block(language: str) -> str:
    """What the page says to type, of the only block in that language."""
    (found,) = re.findall(rf"```{language}\n(.*?)```", PAGE, re.S)
    return str(found)


@pytest.fixture
def postgres() -> Iterator[Postgres]:
    for server in started():
        statements = block("sql").replace("…", STORE_PASSWORD).split(";")
        server.execute(*(text.strip() for text in statements if text.strip()))
        yield server


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Mosquitto]:
    user, *rights = (line.strip() for line in block("text").strip().splitlines())
    assert user == "user pyrometer"
    # The subscriber of the test comes as the same user, and hears everything.
    server = Mosquitto(tmp_path, rights="\n".join([*rights, "topic read pyrometer/#"]) + "\n")
    server.start()
    yield server
    server.stop()


def stack(folder: Path, *, node: str, postgres: Postgres, broker: Mosquitto, alertmanager: Alertmanager) -> Any:  # noqa: ANN401
    """The upper half of the shipped file with the servers of this machine, without TLS, and an exchange of the test."""
    shipped = yaml.safe_load((FOLDER / "pyrometer.yaml").read_text())
    (folder / "store_password").write_text(f"{STORE_PASSWORD}\n")
    (folder / "mqtt_password").write_text(f"{PASSWORD}\n")
    mqtt = {key: value for key, value in shipped["mqtt"].items() if key != "tls"}
    here = {"host": "127.0.0.1", "port": broker.port, "username": USER, "password_file": "../mqtt_password"}
    return config(
        node,
        store=shipped["store"].replace("postgres.databases:5432", f"127.0.0.1:{postgres.port}"),
        store_password_file="../store_password",
        alertmanager={"endpoints": [alertmanager.url], "resend": "500ms"},
        mqtt={**mqtt, **here, "expiry": "3s", "timeout": "2s"},
    )


async def test_two_replicas_are_one_alert_and_two_of_everything_else(
    tmp_path: Path, postgres: Postgres, broker: Mosquitto, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with AnvilNode() as anvil, running_alertmanager(tmp_path) as alertmanager, subscribed(broker) as heard:
        await fund(anvil, hot=49_000, cold=951_000)
        whole = stack(tmp_path, node=anvil.url, postgres=postgres, broker=broker, alertmanager=alertmanager)
        daemons = {}
        for name in REPLICAS:
            (tmp_path / name).mkdir()
            daemons[name] = Daemon(tmp_path / name, whole)
        first, second = daemons.values()
        try:
            for name, daemon in daemons.items():
                monkeypatch.setenv("REPLICA", name)
                await daemon.start()
            for name, daemon in daemons.items():
                await daemon.becomes("/readyz", lambda body: body["status"] == "ready")
                await heard.until(lambda name=name: heard.holds.get(f"{name}/status") == b"online")  # type: ignore[misc]
                await heard.until(lambda name=name: f"{name}/gate/eth-hot-1" in heard.holds)  # type: ignore[misc]

            await move(anvil, COLD, HOT, thousandths=2_000)
            found = {name: await becomes_finding(daemon, "firing") for name, daemon in daemons.items()}
            for name, finding in found.items():
                topic = f"{name}/finding/{finding['id']}"
                await heard.until(lambda topic=topic: topic in heard.holds)  # type: ignore[misc]
            assert [alert["labels"] for alert in await active(alertmanager)] == [LABELS]

            await first.stop(kill=True)
            await heard.until(lambda: heard.holds["pyrometer-0/status"] == b"offline")
            await heard.until(lambda: len(heard.of("pyrometer-1/status")) > 3)  # it goes on saying so
            await asyncio.sleep(3)  # longer than an alert lives that nobody sends again
            assert [alert["labels"] for alert in await active(alertmanager)] == [LABELS]
            assert {one.payload for one in heard.of("pyrometer-1/status")} == {b"online"}

            monkeypatch.setenv("REPLICA", "pyrometer-0")
            await first.start()
            again = await becomes_finding(first, "firing")
            assert (again["id"], again["since"]) == (found["pyrometer-0"]["id"], found["pyrometer-0"]["since"])
            await heard.until(lambda: heard.holds["pyrometer-0/status"] == b"online")

            await move(anvil, HOT, COLD, thousandths=3_000)
            for daemon in daemons.values():
                await daemon.becomes("/api/v1/findings", lambda body: body == [])
            for name in REPLICAS:
                here = f"{name}/finding/"
                await heard.until(lambda here=here: not [one for one in heard.holds if one.startswith(here)])  # type: ignore[misc]
            assert await first.stop() == await second.stop() == 0
        finally:
            for daemon in daemons.values():
                await daemon.stop(kill=True)
        refused = [one for daemon in daemons.values() for one in daemon.log if one["event"] == "receiver refuses"]
        assert refused == []
