"""ZMQ notices: numbers that run on, skip, wrap and begin anew; real sockets on the loopback."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, asynccontextmanager
from datetime import timedelta

import pytest
import zmq
import zmq.asyncio

from connectors.bitcoin.sources.base import Change, Doubt, NewBlock, NewTransaction
from connectors.bitcoin.sources.zmq import Sequences, notices


def message(topic: bytes, number: int, *, body: bytes = b"\x00" * 32) -> list[bytes]:
    return [topic, body, number.to_bytes(4, "little")]


def test_notices_in_a_row_are_told_as_they_are() -> None:
    sequences = Sequences()
    assert sequences.read(message(b"hashblock", 7)) == (NewBlock(),)
    assert sequences.read(message(b"hashblock", 8)) == (NewBlock(),)
    assert sequences.read(message(b"rawtx", 3, body=b"raw")) == (NewTransaction(b"raw"),)


@pytest.mark.parametrize("number", [6, 7, 9, 0, 2**32 - 1])
def test_another_number_than_the_next_is_a_doubt_and_the_notice_still_counts(number: int) -> None:
    sequences = Sequences()
    sequences.read(message(b"hashblock", 7))
    doubt, notice = sequences.read(message(b"hashblock", number))
    assert doubt == Doubt(f"hashblock {number} came where 8 was due")
    assert notice == NewBlock()
    assert sequences.read(message(b"hashblock", (number + 1) % 2**32)) == (NewBlock(),)


def test_numbers_wrap_and_each_topic_has_its_own() -> None:
    sequences = Sequences()
    sequences.read(message(b"rawtx", 5))
    sequences.read(message(b"hashblock", 2**32 - 1))
    assert sequences.read(message(b"hashblock", 0)) == (NewBlock(),)
    assert sequences.read(message(b"rawtx", 6, body=b"raw")) == (NewTransaction(b"raw"),)


def test_after_a_new_connection_every_number_is_right() -> None:
    sequences = Sequences()
    sequences.read(message(b"hashblock", 7))
    sequences.forget()
    assert sequences.read(message(b"hashblock", 0)) == (NewBlock(),)


@pytest.mark.parametrize(
    "sent",
    [
        [],
        [b"hashblock"],
        [b"hashblock", b"x"],
        [b"hashblock", b"x", b"123"],
        [b"rawblock", b"x", b"1234"],
        [b""] * 3,
        [b"hashblock", b"x", b"1234", b"y"],
    ],
)
def test_what_is_no_notice_is_a_doubt(sent: list[bytes]) -> None:
    (doubt,) = Sequences().read(sent)
    assert isinstance(doubt, Doubt)


@asynccontextmanager
async def publisher() -> AsyncIterator[tuple[zmq.asyncio.Socket, str]]:
    context = zmq.asyncio.Context()
    socket = context.socket(zmq.PUB)
    socket.bind("tcp://127.0.0.1:*")
    try:
        yield socket, socket.getsockopt_string(zmq.LAST_ENDPOINT)
    finally:
        context.destroy(linger=0)


def listening(address: str, *, patience: float = 5) -> aclosing[AsyncGenerator[Change, None]]:
    return aclosing(notices(address, patience=timedelta(seconds=patience)))


async def test_silence_is_a_doubt_after_a_while() -> None:
    async with publisher() as (_, address), listening(address, patience=0.1) as changes:
        assert await anext(changes) == Doubt("nothing was heard yet")
        assert await anext(changes) == Doubt("connected to the publisher")
        assert await anext(changes) == Doubt("nothing was heard for 0.1s")


async def test_a_publisher_that_is_not_there_is_waited_for() -> None:
    async with listening("tcp://127.0.0.1:1", patience=0.2) as changes:
        assert await anext(changes) == Doubt("nothing was heard yet")
        async with asyncio.timeout(10):
            while True:
                change = await anext(changes)
                assert isinstance(change, Doubt)
                if change == Doubt("nothing was heard for 0.2s"):
                    return


async def test_other_topics_are_not_subscribed_to() -> None:
    async with publisher() as (socket, address), listening(address) as changes:
        await anext(changes)
        await anext(changes)
        hearing = asyncio.ensure_future(anext(changes))
        while not hearing.done():  # a publisher drops what nobody has subscribed to yet
            for topic in (b"rawblock", b"sequence", b"hashtx", b"hashblock"):
                await socket.send_multipart(message(topic, 0))
            await asyncio.sleep(0.05)
        assert await hearing == NewBlock()


async def test_a_message_of_gigantic_size_ends_the_connection_not_the_memory() -> None:
    async with publisher() as (socket, address), listening(address) as changes:
        await anext(changes)
        await anext(changes)
        hearing = asyncio.ensure_future(anext(changes))
        while not hearing.done():
            await socket.send_multipart(message(b"rawtx", 0, body=b"x" * 20_000_000))
            await asyncio.sleep(0.5)
        assert await hearing == Doubt("the connection to the publisher was lost")
