"""The broker of a drill: out of the URL of the command line, and never where a daemon publishes."""

from __future__ import annotations

import asyncio
import ssl
from contextlib import suppress
from urllib.parse import SplitResult, unquote, urlsplit

from daemon.broker import PORT, TLS_PORT, Broker, BrokerError, Connection, connected, left
from daemon.emit.config import is_prefix
from daemon.emit.mqtt import MqttSink
from daemon.emit.topics import ONLINE, STATUS
from daemon.errors import ConfigError

PREFIX = "pyrometer-drill"
"""Another than a daemon's, so that nobody takes a drill for a theft unless they want to."""

EXPIRY_SECONDS = 30.0
LOOK_SECONDS = 1.0
"""How long what a broker keeps may take to come once we have subscribed."""


async def broadcaster(url: str, *, drill: str) -> MqttSink:
    """A sink for `mqtt(s)://[user:password@]host[:port][/prefix]`.

    ConfigError for a URL that is none, a broker that can't be asked, and where a daemon publishes under that prefix: a
    drill would open its gates and take back its findings.
    """
    broker, prefix = parsed(url)
    try:
        online = await _is_online(broker, prefix=prefix)
    except BrokerError as error:
        raise ConfigError("--mqtt", str(error)) from error
    if online:
        raise ConfigError("--mqtt", f"a daemon publishes under {prefix} at {broker.name}; expected another prefix")
    monotonic = asyncio.get_running_loop().time
    return MqttSink(
        broker, prefix=prefix, expiry=EXPIRY_SECONDS, settled=lambda: True, monotonic=monotonic, drill=drill
    )


def parsed(url: str) -> tuple[Broker, str]:
    """The broker and the prefix; ConfigError, which does not repeat the text: it may hold a password."""
    try:
        parts = urlsplit(url)
        prefix = parts.path.strip("/") or PREFIX
        good = parts.scheme in ("mqtt", "mqtts") and bool(parts.hostname) and parts.port != 0 and is_prefix(prefix)
    except ValueError:  # no such port or IPv6 address
        good = False
    if not good or parts.query or parts.fragment or url.count("@") > 1:
        raise ConfigError("--mqtt", "expected mqtt://[user:password@]host[:port][/prefix], or mqtts:// for TLS")
    return _broker(parts), prefix


def _broker(parts: SplitResult) -> Broker:
    secure = parts.scheme == "mqtts"
    return Broker(
        str(parts.hostname),
        parts.port or (TLS_PORT if secure else PORT),
        None if parts.username is None else unquote(parts.username),
        None if parts.password is None else unquote(parts.password),
        ssl.create_default_context() if secure else None,
    )


async def _is_online(broker: Broker, *, prefix: str) -> bool:
    line = Connection(broker)
    await connected(line, broker)
    try:
        await line.hears(f"{prefix}/{STATUS}")
        with suppress(TimeoutError):
            async with asyncio.timeout(LOOK_SECONDS):
                return (await line.heard()).payload == ONLINE
        return False
    finally:
        await left(line)
