"""Sources that publish to an MQTT broker."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import unquote, urlsplit

from aiomqtt import Client, Message, MqttError, ProtocolVersion
from aiomqtt.exceptions import MqttConnectError
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode
from pydantic import AfterValidator, Field, PlainSerializer, SecretStr, field_validator

from connectors import strictjson
from connectors.config import masked
from connectors.transport import Timing
from daemon.feeds.rows import Columns, payload
from daemon.feeds.source import FeedError, Raw, SourceConfig, bad
from daemon.feeds.values import FeedReason

PORTS = {"mqtt": 1883, "mqtts": 8883}
LONGEST_TOPIC = 65_535


def _is_broker(value: SecretStr) -> SecretStr:
    text = value.get_secret_value()
    try:
        parts = urlsplit(text)
        good = parts.scheme in PORTS and bool(parts.hostname) and parts.port != 0
    except ValueError:  # its message repeats the part that may be a password
        good = False
    if not good or parts.path.strip("/") or parts.query or parts.fragment or text.count("@") > 1 or not _plain(text):
        raise ValueError("expected mqtt://user:password@host:port, or mqtts:// for TLS, with %40 for @ and %2F for /")
    return value


def _plain(text: str) -> bool:
    return text.isprintable() and not any(map(str.isspace, text))


BrokerUrl = Annotated[SecretStr, AfterValidator(_is_broker), PlainSerializer(masked, return_type=str, when_used="json")]
"""Where a broker listens; printed without user and password."""


class MqttSource(SourceConfig):
    """A topic whose newest message holds."""

    kind: Literal["mqtt"]
    url: BrokerUrl = Field(
        description="mqtt://user:password@host:port, or mqtts:// for TLS; only scheme and host are ever shown"
    )
    url_file: Path | None = Field(None, description="instead of `url`: a file that holds it, beside this one")
    certificate: Path | None = Field(
        None, description="with mqtts://: a file with the authorities that are good; default: the known ones"
    )
    topic: str = Field(
        "pyrometer/feed/liabilities",
        min_length=1,
        max_length=LONGEST_TOPIC,
        description="where the messages come; no wildcards",
    )

    @field_validator("topic")
    @classmethod
    def _is_one_topic(cls, value: str) -> str:
        if not value.isprintable() or any(mark in value for mark in "+#"):
            raise ValueError("expected one topic, without the wildcards + and #")
        return value


MOST_BYTES = 1024 * 1024
KEEPALIVE = 15
"""Seconds; a broker that says nothing for half as long again is gone."""

REFUSED = 128
"""Reason codes from here on are refusals (MQTT 5.0, section 2.4)."""

NOT_FOR_US = frozenset((132, 133, 134, 135, 138, 140))
"""Refusals that asking again can't help: protocol, client identifier, user, access, ban, method (section 3.2.2.2)."""


class _Newest(asyncio.Queue[Message]):
    """Holds one message: a newer one takes the place of one that nobody has taken yet."""

    def put_nowait(self, item: Message) -> None:
        if self.full():
            self.get_nowait()
        super().put_nowait(item)


class MqttReader:
    """One topic. A lost connection is one FeedError; the next `read` connects again.

    What is retained comes at once, so that nothing is missed that still holds; how old that is it must say itself, or
    each new connection would make it new.
    """

    pushed = True

    def __init__(self, config: MqttSource, *, columns: Columns, tls: ssl.SSLContext | None, timing: Timing) -> None:
        self._config = config
        self._columns = columns
        self._tls = tls
        self._timing = timing
        self._client: Client | None = None

    async def read(self) -> Raw:
        if self._client is None:
            self._client = await self._connected()
        try:
            message = await anext(self._client.messages)
        except MqttError:
            await self.close()
            raise self._unavailable("the connection broke") from None
        raw = payload(_json(message.payload), columns=self._columns)
        if message.retain and raw.at is None:
            raise FeedError(
                FeedReason.STALE, "the message is retained and says not as of when it is, so put `at` into it"
            )
        return raw

    async def close(self) -> None:
        client, self._client = self._client, None
        if client is not None:
            await _left(client)

    async def _connected(self) -> Client:
        client = self._new_client()
        with self._timing.away():
            await self._entered(client)
            try:
                codes = await client.subscribe(self._config.topic, qos=1)
            except MqttError:
                await _left(client)
                raise self._unavailable("does not take the subscription") from None
            except asyncio.CancelledError:
                await _left(client)
                raise
        if any(_code(code) >= REFUSED for code in codes):
            await _left(client)
            raise FeedError(FeedReason.MISCONFIGURED, f"{self._host}: refuses the subscription")
        return client

    async def _entered(self, client: Client) -> None:
        """Connecting goes on in a thread that can't be cancelled: who is cancelled waits for its end, and leaves."""
        entering = asyncio.ensure_future(client.__aenter__())
        try:
            await asyncio.shield(entering)
        except asyncio.CancelledError:
            await asyncio.wait((entering,))
            if entering.exception() is None:
                await _left(client)
            raise
        except MqttConnectError as error:
            if _code(error.rc) in NOT_FOR_US:
                raise FeedError(FeedReason.MISCONFIGURED, f"{self._host}: refuses us ({error.rc})") from None
            raise self._unavailable(f"refuses the connection ({error.rc})") from None
        except MqttError:
            raise self._unavailable("can't be reached") from None

    def _new_client(self) -> Client:
        parts = urlsplit(self._config.url.get_secret_value())
        limits = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
        limits.MaximumPacketSize = MOST_BYTES
        return Client(
            str(parts.hostname),
            parts.port or PORTS[parts.scheme],
            username=None if parts.username is None else unquote(parts.username),
            password=None if parts.password is None else unquote(parts.password),
            protocol=ProtocolVersion.V5,
            clean_start=True,
            keepalive=KEEPALIVE,
            timeout=self._config.timeout.total_seconds(),
            properties=limits,
            queue_type=_Newest,
            max_queued_incoming_messages=1,
            tls_context=self._tls,
        )

    @property
    def _host(self) -> str:
        parts = urlsplit(self._config.url.get_secret_value())
        return f"{parts.hostname}:{parts.port or PORTS[parts.scheme]}"

    def _unavailable(self, words: str) -> FeedError:
        return FeedError(FeedReason.UNAVAILABLE, f"{self._host}: {words}")


def _code(code: int | ReasonCode | None) -> int:
    return int(code.value) if isinstance(code, ReasonCode) else code or 0


async def _left(client: Client) -> None:
    """A connection that can't be ended well is broken, and so ended."""
    with suppress(MqttError):
        await client.__aexit__(None, None, None)


def _json(body: object) -> object:
    try:
        return strictjson.loads(bytes(body) if isinstance(body, bytes | bytearray) else b"", decimals=True, unique=True)
    except ValueError:
        raise bad("the message is no JSON, or says a name twice") from None


@asynccontextmanager
async def opened_mqtt(
    config: MqttSource, *, folder: Path, columns: Columns, timing: Timing
) -> AsyncIterator[MqttReader]:
    """The reader of a topic; asks nothing yet. FeedError when the certificate can't be used."""
    reader = MqttReader(config, columns=columns, tls=_tls(config, folder=folder), timing=timing)
    try:
        yield reader
    finally:
        await reader.close()


def _tls(config: MqttSource, *, folder: Path) -> ssl.SSLContext | None:
    if urlsplit(config.url.get_secret_value()).scheme != "mqtts":
        return None
    certificate = None if config.certificate is None else folder / config.certificate
    try:
        return ssl.create_default_context(cafile=certificate)
    except (OSError, ssl.SSLError):
        raise FeedError(FeedReason.MISCONFIGURED, "the certificate file can't be read as PEM") from None
