"""Sources that publish to an MQTT broker."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import unquote, urlsplit
from uuid import uuid4

from aiomqtt import Message
from pydantic import AfterValidator, Field, PlainSerializer, SecretStr, field_validator, model_validator

from connectors import strictjson
from connectors.config import masked
from connectors.transport import Timing
from daemon.broker import PORT, TLS_PORT, Broker, BrokerError, Connection, connected, left
from daemon.emit.config import Password
from daemon.feeds.rows import Columns, payload
from daemon.feeds.source import FeedError, Raw, SourceConfig, bad
from daemon.feeds.values import FeedReason

PORTS = {"mqtt": PORT, "mqtts": TLS_PORT}
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
    password: Password | None = Field(None, description="of the user that the URL names; never shown")
    password_file: Path | None = Field(None, description="instead of `password`: a file that holds it, beside this one")
    certificate: Path | None = Field(
        None, description="with mqtts://: a file with the authorities that are good; default: the known ones"
    )
    topic: str = Field(
        "pyrometer/feed/liabilities",
        min_length=1,
        max_length=LONGEST_TOPIC,
        description="where the messages come; no wildcards",
    )

    @model_validator(mode="after")
    def _somebodys_password(self) -> MqttSource:
        parts = urlsplit(self.url.get_secret_value())
        if self.password is not None and (not parts.username or parts.password is not None):
            raise ValueError("password needs a url such as mqtt://user@host, with a user and without a password")
        return self

    @field_validator("topic")
    @classmethod
    def _is_one_topic(cls, value: str) -> str:
        if not value.isprintable() or any(mark in value for mark in "+#"):
            raise ValueError("expected one topic, without the wildcards + and #")
        return value

    def broker(self, folder: Path) -> Broker:
        """Where it listens, and as whom we come; paths count from `folder`. FeedError for a bad certificate."""
        parts = urlsplit(self.url.get_secret_value())
        written = None if parts.password is None else unquote(parts.password)
        return Broker(
            str(parts.hostname),
            parts.port or PORTS[parts.scheme],
            None if parts.username is None else unquote(parts.username),
            written if self.password is None else self.password.get_secret_value(),
            _tls(self, folder=folder) if parts.scheme == "mqtts" else None,
            self.timeout.total_seconds(),
        )


MOST_WAITING = 1_000
"""Messages of which every one counts, and that nobody has taken yet; of at most `broker.MOST_BYTES` each."""

ABSENT = 600
"""Seconds for which the broker is asked to keep them while we are away."""


class _Newest(asyncio.Queue[Message]):
    """Holds one message: a newer one takes the place of one that nobody has taken yet."""

    def put_nowait(self, item: Message) -> None:
        if self.full():
            self.get_nowait()
        super().put_nowait(item)


class MqttReader:
    """One topic, of which the newest message holds.

    What is retained comes at once, so that nothing is missed that still holds; how old that is it must say itself, or
    each new connection would make it new.
    """

    pushed = True

    def __init__(self, topic: Topic, *, columns: Columns) -> None:
        self._topic = topic
        self._columns = columns

    async def read(self) -> Raw:
        message = await self._topic.next()
        raw = payload(json_of(message), columns=self._columns)
        if message.retain and raw.at is None:
            raise undated()
        return raw


def undated() -> FeedError:
    """Of a message that the broker has kept for nobody knows how long."""
    return FeedError(FeedReason.STALE, "the message is retained and says not as of when it is, so put `at` into it")


class Topic:
    """The messages of one topic. A lost connection is one FeedError; the next question connects again.

    With `every_one` no message takes the place of another: MOST_WAITING wait, and the broker keeps what comes while we
    are away for ABSENT seconds, as far as it does. What is dropped all the same is told.
    """

    def __init__(self, config: MqttSource, *, broker: Broker, timing: Timing, every_one: bool) -> None:
        self._config = config
        self._broker = broker
        self._timing = timing
        self._every_one = every_one
        self._identifier = f"pyrometer-{uuid4().hex}"
        self._client: Connection | None = None
        self._dropped = 0

    async def next(self) -> Message:
        """The next message. FeedError."""
        if self._dropped:
            dropped, self._dropped = self._dropped, 0
            words = f"{self._broker.name}: {dropped} messages came faster than they could be read, and are lost"
            raise FeedError(FeedReason.UNAVAILABLE, words)
        if self._client is None:
            self._client = await self._connected()
        try:
            return await self._client.heard()
        except BrokerError as error:
            await self.close()
            raise _told(error) from None

    async def close(self) -> None:
        client, self._client = self._client, None
        if client is not None:
            await left(client)

    async def _connected(self) -> Connection:
        client = self._new_client()
        with self._timing.away():
            try:
                await connected(client, self._broker)
            except BrokerError as error:
                raise _told(error) from None
            try:
                welcome = await client.hears(self._config.topic)
            except BrokerError as error:
                await left(client)
                raise _told(error) from None
            except asyncio.CancelledError:
                await left(client)
                raise
        if not welcome:
            await left(client)
            raise FeedError(FeedReason.MISCONFIGURED, f"{self._broker.name}: refuses the subscription")
        return client

    def _new_client(self) -> Connection:
        if not self._every_one:
            return Connection(self._broker, queue=_Newest, queued=1)
        return Connection(
            self._broker, identifier=self._identifier, absent=ABSENT, queue=self._queue(), queued=MOST_WAITING
        )

    def _queue(self) -> type[asyncio.Queue[Message]]:
        """Where messages wait; what finds no room is counted."""
        topic = self

        class Waiting(asyncio.Queue[Message]):
            def put_nowait(self, item: Message) -> None:
                if self.full():
                    topic._dropped += 1
                else:
                    super().put_nowait(item)

        return Waiting


def _told(error: BrokerError) -> FeedError:
    return FeedError(FeedReason.MISCONFIGURED if error.refused else FeedReason.UNAVAILABLE, str(error))


def json_of(message: Message) -> object:
    """What it says. FeedError."""
    body: object = message.payload
    try:
        return strictjson.loads(bytes(body) if isinstance(body, bytes | bytearray) else b"", decimals=True, unique=True)
    except ValueError:
        raise bad("the message is no JSON, or says a name twice") from None


@asynccontextmanager
async def opened_mqtt(
    config: MqttSource, *, folder: Path, columns: Columns, timing: Timing
) -> AsyncIterator[MqttReader]:
    """The reader of a topic; asks nothing yet. FeedError when the certificate can't be used."""
    async with opened_topic(config, folder=folder, timing=timing) as topic:
        yield MqttReader(topic, columns=columns)


@asynccontextmanager
async def opened_topic(
    config: MqttSource, *, folder: Path, timing: Timing, every_one: bool = False
) -> AsyncIterator[Topic]:
    """A topic; asks nothing yet. FeedError when the certificate can't be used."""
    topic = Topic(config, broker=config.broker(folder), timing=timing, every_one=every_one)
    try:
        yield topic
    finally:
        await topic.close()


def _tls(config: MqttSource, *, folder: Path) -> ssl.SSLContext:
    certificate = None if config.certificate is None else folder / config.certificate
    try:
        return ssl.create_default_context(cafile=certificate)
    except (OSError, ssl.SSLError):
        raise FeedError(FeedReason.MISCONFIGURED, "the certificate file can't be read as PEM") from None
