"""Another program that subscribes: what a broker keeps and sends, with the properties of MQTT 5, as it arrives."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from aiomqtt import Client, ProtocolVersion

from tests.integration.mosquitto import PASSWORD, USER, BrokerProcess, Mosquitto

PATIENCE = 60.0


@dataclass(frozen=True)
class Heard:
    """One message. `kept` says that it was there before we came; `lives` how many seconds the broker still keeps it."""

    topic: str
    payload: bytes
    kept: bool
    qos: int
    lives: int | None
    at: float

    @property
    def body(self) -> dict[str, Any]:
        found = json.loads(self.payload)
        assert isinstance(found, dict)
        return found


class Subscriber:
    """All that came so far, under one prefix."""

    def __init__(self) -> None:
        self.heard: list[Heard] = []

    def of(self, topic: str) -> list[Heard]:
        """The messages of one topic, below the prefix; of several, where it ends with a slash."""
        return [
            one for one in self.heard if one.topic == topic or (topic.endswith("/") and one.topic.startswith(topic))
        ]

    @property
    def holds(self) -> dict[str, bytes]:
        """What a subscriber takes for the state of things: the newest of each topic that was not cleared."""
        newest = {one.topic: one.payload for one in self.heard}
        return {topic: payload for topic, payload in newest.items() if payload}

    async def until(self, true: Callable[[], object], *, seconds: float = PATIENCE) -> None:
        """Waits for a condition on what was heard."""
        try:
            async with asyncio.timeout(seconds):
                while not true():  # noqa: ASYNC110 - messages come from another task
                    await asyncio.sleep(0.005)
        except TimeoutError:
            raise AssertionError(f"it did not happen within {seconds} s; heard {self.heard[-20:]}") from None


@asynccontextmanager
async def subscribed(
    broker: BrokerProcess, *, prefix: str = "pyrometer", username: str = USER, password: str = PASSWORD
) -> AsyncIterator[Subscriber]:
    """Connected, with everything that the broker keeps on its way."""
    subscriber = Subscriber()
    client = Client("127.0.0.1", broker.port, username=username, password=password, protocol=ProtocolVersion.V5)
    async with client:
        await client.subscribe(f"{prefix}/#", qos=1)
        task = asyncio.create_task(_hear(client, subscriber, prefix=prefix))
        try:
            yield subscriber
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


async def kept(broker: Mosquitto, *, prefix: str = "pyrometer") -> dict[str, Heard]:
    """What somebody finds who comes now. A message of our own, which comes after all that is kept, ends the wait."""
    async with subscribed(broker, prefix=prefix) as subscriber:
        await broker.publish(b"x", topic=f"{prefix}/end", retain=False)
        await subscriber.until(lambda: subscriber.of("end"))
        return {one.topic: one for one in subscriber.heard if one.kept and one.payload}


async def _hear(client: Client, subscriber: Subscriber, *, prefix: str) -> None:
    loop = asyncio.get_running_loop()
    async for message in client.messages:
        lives = getattr(message.properties, "MessageExpiryInterval", None)
        payload = message.payload if isinstance(message.payload, bytes) else b""
        topic = message.topic.value.removeprefix(f"{prefix}/")
        subscriber.heard.append(Heard(topic, payload, message.retain, message.qos, lives, loop.time()))
