"""Bitcoin Core's ZMQ notices: what was published, and whether something was lost on the way.

Source: Bitcoin Core, doc/zmq.md. Messages are (topic, body, sequence number as little-endian uint32); numbers count per
topic. Publishing is one way and unacknowledged: notices are hints to look, never proof.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from datetime import timedelta

import zmq
import zmq.asyncio
from zmq.utils.monitor import recv_monitor_message

from connectors.bitcoin.sources.base import Change, Doubt, NewBlock, NewTransaction

TOPICS = (b"hashblock", b"rawtx")
LARGEST = 8 * 1024 * 1024
"""Bytes of a message past which the connection is closed; a transaction has at most a block's size."""

QUEUED = 10_000
"""Messages that wait for us at most; what comes beyond is dropped, and the sequence numbers tell."""

HEARTBEAT = 10_000
"""Milliseconds: a publisher that does not answer a ZMTP ping for as long is taken for gone."""

SETTLING = 0.2
"""Seconds until a publisher surely knows what we subscribed to: before, it sends us nothing, and no number tells."""

LOST = zmq.EVENT_DISCONNECTED | zmq.EVENT_CLOSED
WRAP = 2**32

Message = Sequence[bytes]


class Sequences:
    """Follows the numbers of each topic."""

    def __init__(self) -> None:
        self._next: dict[bytes, int] = {}

    def read(self, message: Message) -> tuple[Change, ...]:
        """What a message says: first a Doubt where messages are missing before it, then its own notice."""
        if len(message) != 3 or len(message[2]) != 4 or message[0] not in TOPICS:
            return (Doubt("the publisher sent something that is no notice"),)
        topic, body, number = message[0], message[1], int.from_bytes(message[2], "little")
        expected = self._next.get(topic, number)
        self._next[topic] = (number + 1) % WRAP
        notice: Change = NewBlock() if topic == b"hashblock" else NewTransaction(body)
        if number == expected:
            return (notice,)
        return Doubt(f"{topic.decode()} {number} came where {expected} was due"), notice

    def forget(self) -> None:
        """The next number of each topic is right, whatever it is."""
        self._next.clear()


async def notices(address: str, *, patience: timedelta) -> AsyncGenerator[Change, None]:
    """What is published at `address` (tcp://host:port or ipc://path), without end.

    Connects again by itself. A Doubt comes first, whenever the connection is made or lost, where numbers are missing,
    and when nothing came for as long as `patience` (nothing tells silence from a publisher that was configured away).
    """
    context = zmq.asyncio.Context()
    socket = _subscribed(context)
    monitor = socket.get_monitor_socket(zmq.EVENT_HANDSHAKE_SUCCEEDED | LOST)
    sequences = Sequences()
    try:
        socket.connect(address)
        yield Doubt("nothing was heard yet")
        while True:
            changes = await _next(socket, monitor, sequences=sequences, patience=patience)
            for change in changes:
                yield change
    finally:
        socket.disable_monitor()
        context.destroy(linger=0)


def _subscribed(context: zmq.asyncio.Context) -> zmq.asyncio.Socket:
    socket = context.socket(zmq.SUB)
    socket.setsockopt(zmq.RCVHWM, QUEUED)
    socket.setsockopt(zmq.MAXMSGSIZE, LARGEST)
    socket.setsockopt(zmq.HEARTBEAT_IVL, HEARTBEAT)
    socket.setsockopt(zmq.HEARTBEAT_TIMEOUT, HEARTBEAT)
    socket.setsockopt(zmq.RECONNECT_IVL, 100)
    socket.setsockopt(zmq.RECONNECT_IVL_MAX, 10_000)
    for topic in TOPICS:
        socket.setsockopt(zmq.SUBSCRIBE, topic)
    return socket


async def _next(
    socket: zmq.asyncio.Socket, monitor: zmq.asyncio.Socket, *, sequences: Sequences, patience: timedelta
) -> tuple[Change, ...]:
    poller = zmq.asyncio.Poller()
    poller.register(socket, zmq.POLLIN)
    poller.register(monitor, zmq.POLLIN)
    ready = dict(await poller.poll(int(patience.total_seconds() * 1000)))
    await asyncio.sleep(0)  # a publisher that floods must not keep the loop to itself
    if monitor in ready:
        event = await recv_monitor_message(monitor)
        sequences.forget()
        if event["event"] != zmq.EVENT_HANDSHAKE_SUCCEEDED:
            return (Doubt("the connection to the publisher was lost"),)
        await asyncio.sleep(SETTLING)
        return (Doubt("connected to the publisher"),)
    if socket in ready:
        return sequences.read(await socket.recv_multipart())
    return (Doubt(f"nothing was heard for {patience.total_seconds():g}s"),)
