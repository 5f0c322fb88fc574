"""A connection to an MQTT broker, version 5: made in time, left cleanly, its troubles told in words without secrets.

By aiomqtt, which neither connects again by itself nor tells what a broker does not take: its `publish` looks at no
reason code (MQTT 5.0, section 3.4.2.1), so that a message that the rights forbid would count as delivered.
"""

from __future__ import annotations

import asyncio
import ipaddress
import ssl
from contextlib import suppress
from dataclasses import dataclass, field

import paho.mqtt.client as mqtt
from aiomqtt import Client, Message, MqttError, ProtocolVersion, Will
from aiomqtt.exceptions import MqttConnectError
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode
from paho.mqtt.subscribeoptions import SubscribeOptions

from daemon.errors import DaemonError

PORT, TLS_PORT = 1883, 8883
MOST_BYTES = 1024 * 1024
"""Of a message that comes in."""

KEEPALIVE = 15
"""Seconds; a broker that says nothing for half as long again is gone."""

REFUSED = 128
"""Reason codes from here on are refusals (MQTT 5.0, section 2.4)."""

NOT_FOR_US = frozenset((132, 133, 134, 135, 138, 140))
"""Refusals that asking again can't help: protocol, client identifier, user, access, ban, method (section 3.2.2.2)."""


def is_loopback(host: str) -> bool:
    """Whether it is this machine; a host name other than localhost may resolve to anything."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


class BrokerError(DaemonError):
    """A broker is away, or `refused` us. The text is one line that begins with its host and port."""

    def __init__(self, broker: Broker, words: str, *, refused: bool = False) -> None:
        super().__init__(f"{broker.name}: {words}")
        self.refused = refused


@dataclass(frozen=True, slots=True)
class Broker:
    """Where one listens and as whom we come. `timeout` in seconds is the deadline of each exchange."""

    host: str
    port: int
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    tls: ssl.SSLContext | None = field(default=None, repr=False)
    timeout: float = 5.0

    @property
    def name(self) -> str:
        return f"{self.host}:{self.port}"


class Connection(Client):
    """One connection to a broker; made by `connected`, ended by `left`.

    `absent`: for so many seconds the broker is asked to keep what it could not deliver to the one with this
    `identifier`; 0 to begin anew.
    """

    def __init__(
        self,
        broker: Broker,
        *,
        will: Will | None = None,
        keepalive: int = KEEPALIVE,
        identifier: str | None = None,
        absent: int = 0,
        queue: type[asyncio.Queue[Message]] | None = None,
        queued: int = 0,
    ) -> None:
        limits = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
        limits.MaximumPacketSize = MOST_BYTES
        if absent:
            limits.SessionExpiryInterval = absent
        super().__init__(
            broker.host,
            broker.port,
            username=broker.username,
            password=broker.password,
            protocol=ProtocolVersion.V5,
            clean_start=not absent,
            keepalive=keepalive,
            identifier=identifier,
            timeout=broker.timeout,
            properties=limits,
            will=will,
            queue_type=queue,
            max_queued_incoming_messages=queued,
            tls_context=broker.tls,
        )
        self._client.connect_timeout = broker.timeout
        self._broker = broker
        self._answers: dict[int, asyncio.Future[ReasonCode]] = {}

    async def tell(self, topic: str, payload: bytes, *, retain: bool = True, lives: int | None = None) -> str | None:
        """Publishes with QoS 1 and waits for the broker's word: None when it has taken it, else why it does not.

        The broker forgets the message after `lives` seconds. BrokerError when it gives no answer.
        """
        limits = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]
        if lives is not None:
            limits.MessageExpiryInterval = lives
        info = self._client.publish(topic, payload, qos=1, retain=retain, properties=limits)
        if info.rc != mqtt.MQTT_ERR_SUCCESS:
            raise BrokerError(self._broker, "the connection broke")
        answer = self._answers[info.mid] = asyncio.get_running_loop().create_future()
        try:
            async with asyncio.timeout(self.timeout):
                await asyncio.wait((answer, self._disconnected), return_when=asyncio.FIRST_COMPLETED)
        except TimeoutError:
            raise BrokerError(self._broker, f"takes nothing within {self.timeout:g} s") from None
        finally:
            del self._answers[info.mid]
        if not answer.done():
            raise BrokerError(self._broker, "the connection broke")
        return str(answer.result()) if code(answer.result()) >= REFUSED else None

    async def hears(self, *topics: str) -> bool:
        """Subscribes to topics, without what we publish there ourselves; False when the broker refuses one of them."""
        options = SubscribeOptions(qos=1, noLocal=True)
        try:
            codes = await self.subscribe([(topic, options) for topic in topics])
        except MqttError:
            raise BrokerError(self._broker, "does not take the subscription") from None
        return all(code(one) < REFUSED for one in codes)

    async def heard(self) -> Message:
        """The next message of a subscription. BrokerError when the connection breaks."""
        try:
            return await anext(self.messages)
        except MqttError:
            raise BrokerError(self._broker, "the connection broke") from None

    def abandon(self) -> None:
        """Lets go of the socket, if one is left: of an answer that never came aiomqtt keeps it open."""
        self._client._sock_close()  # there is no public way

    def _on_publish(
        self, client: mqtt.Client, userdata: object, mid: int, reason_code: ReasonCode, properties: Properties
    ) -> None:
        super()._on_publish(client, userdata, mid, reason_code, properties)
        answer = self._answers.get(mid)
        if answer is not None and not answer.done():
            answer.set_result(reason_code)


async def connected(connection: Connection, broker: Broker) -> None:
    """Connects. BrokerError when that fails.

    It goes on in a thread that can't be cancelled: who is cancelled waits for its end, and leaves.
    """
    entering = asyncio.ensure_future(connection.__aenter__())
    try:
        await asyncio.shield(entering)
    except asyncio.CancelledError:
        await asyncio.wait((entering,))
        if entering.exception() is None:
            await left(connection)
        connection.abandon()
        raise
    except MqttConnectError as error:
        connection.abandon()
        if code(error.rc) in NOT_FOR_US:
            raise BrokerError(broker, f"refuses us ({error.rc})", refused=True) from None
        raise BrokerError(broker, f"refuses the connection ({error.rc})") from None
    except MqttError as error:
        connection.abandon()
        why = " (its certificate is not good)" if "CERTIFICATE_VERIFY_FAILED" in str(error) else ""
        raise BrokerError(broker, f"can't be reached{why}") from None


async def left(connection: Connection) -> None:
    """Disconnects. A connection that can't be ended well is broken, and so ended."""
    with suppress(MqttError):
        await connection.__aexit__(None, None, None)
    connection.abandon()


def code(given: int | ReasonCode | None) -> int:
    return int(given.value) if isinstance(given, ReasonCode) else given or 0
