"""The MQTT signer of docs/gate.md on a real Mosquitto: it signs on an open gate that is fresh, and on nothing else."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from aiomqtt import Client, ProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from tests.integration.mosquitto import PASSWORD, USER, Mosquitto
from tests.signers import over_mqtt
from tests.system.daemon import until

pytestmark = [pytest.mark.real, pytest.mark.timeout(120)]

OPEN = {"wallet": "eth-hot-1", "gate": "open"}
ONLINE, OFFLINE = (b"online", 60), (b"offline", None)


@pytest.fixture
async def broker(tmp_path: Path) -> AsyncIterator[Mosquitto]:
    found = Mosquitto(tmp_path)
    found.start()
    try:
        yield found
    finally:
        found.stop()


@contextmanager
def signing(broker: Mosquitto) -> Iterator[Any]:
    gates = over_mqtt()("127.0.0.1", broker.port, user=USER, password=PASSWORD)
    try:
        yield gates
    finally:
        gates.client.disconnect()
        gates.client.loop_stop()


async def say(
    broker: Mosquitto, said: object, *, seconds: int | None = 60, status: tuple[bytes, int | None] | None = ONLINE
) -> None:
    """As the daemon tells a gate and its own status: retained, forgotten by the broker after so many seconds."""
    body = said if isinstance(said, bytes) else json.dumps(said).encode()
    async with Client(
        "127.0.0.1", broker.port, username=USER, password=PASSWORD, protocol=ProtocolVersion.V5
    ) as client:
        await client.publish("pyrometer/gate/eth-hot-1", body, qos=1, retain=True, properties=lasting(seconds))
        if status is not None:
            word, lives = status
            await client.publish("pyrometer/status", word, qos=1, retain=True, properties=lasting(lives))


def lasting(seconds: int | None) -> Properties:
    properties = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]
    if seconds is not None:
        properties.MessageExpiryInterval = seconds
    return properties


async def becomes(gates: Any, expected: bool) -> None:  # noqa: ANN401 - it is untyped, and this reads well
    await until(lambda: gates.may_sign("eth-hot-1") is expected)


async def test_it_signs_on_an_open_gate_whether_it_hears_of_it_before_or_after(broker: Mosquitto) -> None:
    with signing(broker) as gates:
        assert not gates.may_sign("eth-hot-1")
        await say(broker, OPEN)
        await becomes(gates, True)
        assert not gates.may_sign("eth-hot-2")
    with signing(broker) as gates:
        await becomes(gates, True)


@pytest.mark.parametrize(
    "said",
    [
        {"wallet": "eth-hot-1", "gate": "closed"},
        {"wallet": "eth-hot-2", "gate": "open"},
        {"gate": "open"},
        ["open"],
        b"open",
        b"",
        b"\xff\xfe",
    ],
)
async def test_whatever_else_it_hears_ends_its_leave_to_sign(broker: Mosquitto, said: object) -> None:
    with signing(broker) as gates:
        await say(broker, OPEN)
        await becomes(gates, True)
        await say(broker, said)
        await becomes(gates, False)


async def test_an_open_gate_that_never_expires_is_none(broker: Mosquitto) -> None:
    with signing(broker) as gates:
        await say(broker, OPEN)
        await becomes(gates, True)
        await say(broker, OPEN, seconds=None)
        await becomes(gates, False)


async def test_a_daemon_that_is_gone_ends_its_leave_at_once(broker: Mosquitto) -> None:
    """The last will says so, long before its gates expire (docs/mqtt.md, For signers, 3)."""
    with signing(broker) as gates:
        await say(broker, OPEN)
        await becomes(gates, True)
        await say(broker, OPEN, status=OFFLINE)
        await becomes(gates, False)
    with signing(broker) as gates:
        await until(lambda: "gate/eth-hot-1" in gates.said)
        assert not gates.may_sign("eth-hot-1")


@pytest.mark.parametrize("status", [None, (b"online", None), (b"", None), (b"fine", 60)])
async def test_an_open_gate_of_a_daemon_that_does_not_say_that_it_is_there_is_none(
    broker: Mosquitto, status: tuple[bytes, int | None] | None
) -> None:
    with signing(broker) as gates:
        await say(broker, OPEN, status=status)
        await until(lambda: "gate/eth-hot-1" in gates.said)
        assert not gates.may_sign("eth-hot-1")
        await say(broker, OPEN)
        await becomes(gates, True)


async def test_nobody_says_any_more_that_it_is_open(broker: Mosquitto) -> None:
    """As after `kill -9` of the daemon: what was heard expires, and the broker has forgotten it too."""
    with signing(broker) as gates:
        await say(broker, OPEN, seconds=8)
        await becomes(gates, True)
        await becomes(gates, False)
    with signing(broker) as gates:
        await until(gates.client.is_connected)
        await asyncio.sleep(0.5)
        assert not gates.may_sign("eth-hot-1")


async def test_a_broker_that_dies_leaves_nothing_to_sign_on(broker: Mosquitto) -> None:
    with signing(broker) as gates:
        await say(broker, OPEN)
        await becomes(gates, True)
        broker.stop()
        await becomes(gates, False)
