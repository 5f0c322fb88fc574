"""The broker of deploy/compose.yaml: a real Mosquitto on the shipped configuration, rights and secrets."""

from __future__ import annotations

import asyncio
import getpass
import json
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from connectors.transport import REAL
from daemon.broker import Broker, BrokerError, Connection, connected, left
from daemon.emit.mqtt import trouble_with
from daemon.feeds.liabilities import MqttLiabilities
from daemon.feeds.mqtt import opened_mqtt
from daemon.feeds.rows import AMOUNTS
from tests.integration.mosquitto import Mosquitto
from tests.real import ROOT

pytestmark = [pytest.mark.real, pytest.mark.timeout(120)]

SHIPPED = ROOT / "deploy" / "mosquitto"
PATIENCE = 30.0
USERS = {"pyrometer": "mqtt", "signer": "mqtt_signer", "books": "mqtt_books", "reader": "mqtt_reader"}


class Shipped(Mosquitto):
    """The shipped files, with the paths and the port of this machine in the place of the container's."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.secrets = folder / "secrets"
        subprocess.run([ROOT / "deploy/secrets/make-secrets", self.secrets], check=True, capture_output=True)
        (folder / "data").mkdir()
        text = (SHIPPED / "mosquitto.conf").read_text()
        for there, here in (
            ("listener 1883\n", f"listener {self.port} 127.0.0.1\n"),
            ("/run/secrets/", f"{self.secrets}/"),
            ("/mosquitto/config/", f"{SHIPPED}/"),
            ("/mosquitto/data/", f"{folder}/data/"),
        ):
            assert there in text
            text = text.replace(there, here)
        (folder / "mosquitto.conf").write_text(f"{text}user {getpass.getuser()}\n")

    def password(self, user: str) -> str:
        return (self.secrets / f"{USERS[user]}_password").read_text().strip()

    def seen_by(self, user: str, *, password: str | None = None) -> Broker:
        return Broker("127.0.0.1", self.port, user, self.password(user) if password is None else password)


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shipped]:
    server = Shipped(tmp_path_factory.mktemp("shipped"))
    server.start()
    yield server
    server.stop()


@asynccontextmanager
async def coming_as(broker: Broker) -> AsyncIterator[Connection]:
    connection = Connection(broker)
    await connected(connection, broker)
    try:
        yield connection
    finally:
        await left(connection)


STATES = ("status", "exposure", "asset/ETH", "wallet/w", "finding/f", "gate/w")
ALL = (*STATES, "feed/liabilities", "feed/approvals", "new/x")


@pytest.mark.parametrize(
    ("user", "may"),
    [
        ("pyrometer", set(STATES)),
        ("signer", set()),
        ("books", {"feed/liabilities", "feed/approvals"}),
        ("reader", set()),
    ],
)
async def test_each_user_may_write_this_and_nothing_else(broker: Shipped, user: str, may: set[str]) -> None:
    async with coming_as(broker.seen_by(user)) as connection:
        taken = {topic for topic in ALL if await connection.tell(f"pyrometer/{topic}", b"{}", retain=False) is None}
    assert taken == may


@pytest.mark.parametrize(
    ("user", "hears"),
    [
        ("signer", {"status", "gate/w"}),
        ("reader", set(STATES)),
        ("books", set()),
        ("pyrometer", {"finding/f", "gate/w", "feed/liabilities", "feed/approvals"}),
    ],
)
async def test_each_user_hears_this_and_nothing_else(broker: Shipped, user: str, hears: set[str]) -> None:
    async with coming_as(broker.seen_by("pyrometer")) as daemon, coming_as(broker.seen_by("books")) as books:
        for topic in ALL:
            await (books if topic.startswith("feed/") else daemon).tell(f"pyrometer/{topic}", b"1")
    async with coming_as(broker.seen_by(user)) as connection:
        await connection.subscribe("#", qos=1)
        # What is retained has come before the answer to whatever is asked after the subscription.
        await connection.tell("pyrometer/new/x", b"", retain=False)
        heard = [connection._queue.get_nowait() for _ in range(connection._queue.qsize())]
    assert {str(message.topic) for message in heard} == {f"pyrometer/{topic}" for topic in hears}


async def test_what_holds_outlives_a_restart_of_the_broker(tmp_path: Path) -> None:
    server = Shipped(tmp_path)
    server.start()
    try:
        async with coming_as(server.seen_by("pyrometer")) as daemon:
            await daemon.tell("pyrometer/finding/f", b"firing")
        server.stop(kill=False)
        server.start()
        async with coming_as(server.seen_by("reader")) as reader, asyncio.timeout(PATIENCE):
            await reader.subscribe("pyrometer/#", qos=1)
            assert (await reader.heard()).payload == b"firing"
    finally:
        server.stop()


@pytest.mark.parametrize(("user", "password"), [("pyrometer", ""), ("signer", "guessed"), ("root", "x"), (None, None)])
async def test_nobody_comes_in_without_a_password(broker: Shipped, user: str | None, password: str | None) -> None:
    with pytest.raises(BrokerError, match="refuses us"):
        async with coming_as(Broker("127.0.0.1", broker.port, user, password)):
            pass


async def test_the_daemons_own_check_of_the_broker_finds_nothing_wrong(broker: Shipped) -> None:
    assert await trouble_with(broker.seen_by("pyrometer"), prefix="pyrometer") is None


async def test_what_the_books_say_comes_to_the_daemon_as_it_is_configured(broker: Shipped) -> None:
    said = {"at": "2026-11-23T09:00:00Z", "amounts": {"ETH": "1.5"}}
    async with coming_as(broker.seen_by("books")) as books:
        assert await books.tell("pyrometer/feed/liabilities", json.dumps(said).encode()) is None
    config = MqttLiabilities.model_validate(
        {"kind": "mqtt", "url": f"mqtt://pyrometer@127.0.0.1:{broker.port}", "password": broker.password("pyrometer")}
    )
    async with opened_mqtt(config, folder=Path(), columns=AMOUNTS, timing=REAL) as reader, asyncio.timeout(PATIENCE):
        assert [(row.name, row.number) for row in (await reader.read()).rows] == [("ETH", "1.5")]
