"""Liabilities from a real Mosquitto: the newest holds, a bad one is told, a broker that was killed is found again."""

from __future__ import annotations

import asyncio
import gc
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest
from aiomqtt import Client, ProtocolVersion

from connectors.transport import REAL
from daemon.broker import MOST_BYTES
from daemon.feeds.liabilities import MqttLiabilities
from daemon.feeds.mqtt import MqttReader, opened_mqtt
from daemon.feeds.rows import AMOUNTS
from daemon.feeds.source import FeedError, Measure, Raw, Row
from daemon.feeds.values import FeedReason
from tests.integration.mosquitto import PASSWORD, USER, Mosquitto

pytestmark = [pytest.mark.real, pytest.mark.timeout(120)]

DEADLINE = 60.0


@pytest.fixture
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mosquitto]:
    server = Mosquitto(tmp_path_factory.mktemp("mosquitto"))
    server.start()
    yield server
    server.stop()


@asynccontextmanager
async def listening(url: str, **keys: object) -> AsyncIterator[MqttReader]:
    config = MqttLiabilities.model_validate({"kind": "mqtt", "url": url, **keys})
    async with opened_mqtt(config, folder=Path(), columns=AMOUNTS, timing=REAL) as reader:
        yield reader


def owed(amount: int) -> dict[str, object]:
    return {"at": "2026-11-23T09:00:00Z", "amounts": {"BTC": amount}}


async def next_of(reader: MqttReader) -> Raw:
    return await asyncio.wait_for(reader.read(), timeout=DEADLINE)


async def refused(reader: MqttReader) -> FeedError:
    with pytest.raises(FeedError) as caught:
        await next_of(reader)
    assert PASSWORD not in repr(caught.value)
    assert "\n" not in caught.value.detail
    return caught.value


async def test_what_is_retained_comes_at_once(broker: Mosquitto) -> None:
    await broker.publish({"at": "2026-11-23T09:00:00Z", "amounts": {"BTC": "1.5"}, "merkle_root": "ab"})
    async with listening(broker.url) as reader:
        assert reader.pushed
        raw = await next_of(reader)
    assert raw == Raw([Row("BTC", "1.5")], datetime(2026, 11, 23, 9, tzinfo=UTC), "ab")


async def test_what_is_retained_and_says_not_how_old_it_is_counts_for_nothing(broker: Mosquitto) -> None:
    """Whoever wrote it may be dead for days; a message that comes as it is published is as of now."""
    undated = {"amounts": {"BTC": 1}}
    await broker.publish(undated)
    async with listening(broker.url) as reader:
        error = await refused(reader)
        assert (error.reason, error.detail.partition(",")[0]) == (
            FeedReason.STALE,
            "the message is retained and says not as of when it is",
        )
        await broker.publish(undated)
        assert await next_of(reader) == Raw([Row("BTC", 1)])


async def test_numbers_are_read_exactly(broker: Mosquitto) -> None:
    await broker.publish(b'{"at": 0, "amounts": {"BTC": 0.1000000000000000055}, "units": {"ETH": 7}}')
    async with listening(broker.url) as reader:
        rows = (await next_of(reader)).rows
    assert rows == [Row("BTC", Decimal("0.1000000000000000055")), Row("ETH", 7, Measure.UNITS)]


async def test_each_message_is_an_answer(broker: Mosquitto) -> None:
    async with listening(broker.url) as reader:
        for amount in (1, 2, 3):
            await broker.publish(owed(amount))
            assert (await next_of(reader)).rows == [Row("BTC", amount)]


async def test_of_messages_that_wait_only_the_newest_is_kept(broker: Mosquitto) -> None:
    async with listening(broker.url) as reader:
        await broker.publish(owed(0))
        await next_of(reader)
        for amount in range(1, 51):
            await broker.publish(owed(amount))
        end = time.monotonic() + DEADLINE
        while (found := await next_of(reader)).rows != [Row("BTC", 50)]:
            assert time.monotonic() < end, found


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"nothing",
        b'{"amounts": {"BTC": 1',
        b'{"amounts": {"BTC": 1, "BTC": 2}}',
        b'{"amounts": {"BTC": NaN}}',
        b'{"amounts": [1]}',
        b'{"BTC": 1}',
        b'{"amounts": {"BTC": 1}, "at": "soon"}',
        b"\xff\xfe",
    ],
)
async def test_a_malformed_message_is_a_bad_answer_and_the_next_a_good_one(broker: Mosquitto, payload: bytes) -> None:
    async with listening(broker.url) as reader:
        await broker.publish(owed(1))
        await next_of(reader)
        await broker.publish(payload, retain=False)
        assert (await refused(reader)).reason is FeedReason.BAD_ANSWER
        await broker.publish(owed(2))
        assert (await next_of(reader)).rows == [Row("BTC", 2)]


async def test_a_message_past_the_bound_never_comes(broker: Mosquitto) -> None:
    async with listening(broker.url) as reader:
        await broker.publish(owed(1))
        await next_of(reader)
        await broker.publish(b" " * MOST_BYTES + b"{}", retain=False)
        await broker.publish(owed(2))
        assert (await next_of(reader)).rows == [Row("BTC", 2)]


async def test_another_topic_says_nothing_to_us(broker: Mosquitto) -> None:
    async with listening(broker.url, topic="pyrometer/of/ours") as reader:
        await broker.publish(owed(1))
        await broker.publish(owed(2), topic="pyrometer/of/ours")
        assert (await next_of(reader)).rows == [Row("BTC", 2)]


async def test_a_broker_that_is_killed_is_found_again(broker: Mosquitto) -> None:
    async with listening(broker.url) as reader:
        await broker.publish(owed(1))
        await next_of(reader)
        waiting = asyncio.create_task(next_of(reader))
        await asyncio.sleep(0)
        broker.stop()
        with pytest.raises(FeedError) as broken:
            await waiting
        gone = await refused(reader)
        broker.start()
        await broker.publish(owed(2))
        assert (await next_of(reader)).rows == [Row("BTC", 2)]
    assert {broken.value.reason, gone.reason} == {FeedReason.UNAVAILABLE}


async def test_a_wrong_password_is_ours_to_mend(broker: Mosquitto) -> None:
    async with listening(broker.url_of("wrong")) as reader:
        error = await refused(reader)
    assert error.reason is FeedReason.MISCONFIGURED
    assert error.detail == f"127.0.0.1:{broker.port}: refuses us (Not authorized)"


async def test_who_is_cancelled_while_waiting_leaves_the_broker(broker: Mosquitto) -> None:
    async with listening(broker.url) as reader:
        await broker.publish(owed(1))
        await next_of(reader)
        waiting = asyncio.create_task(reader.read())
        await asyncio.sleep(0)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        await broker.publish(owed(2))
        assert (await next_of(reader)).rows == [Row("BTC", 2)]
    await _nobody_is_connected(broker)


async def test_who_is_cancelled_while_connecting_leaves_nothing_open(broker: Mosquitto) -> None:
    for _ in range(5):
        async with listening(broker.url) as reader:
            connecting = asyncio.create_task(reader.read())
            await asyncio.sleep(0.001)
            connecting.cancel()
            with pytest.raises(asyncio.CancelledError):
                await connecting
    await _nobody_is_connected(broker)


# Where TLS fails, paho leaves the socket to the garbage collection, which is done here, where it is looked over.
@pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")
async def test_tls_is_not_spoken_with_who_shows_no_certificate(broker: Mosquitto) -> None:
    async with listening(broker.url.replace("mqtt://", "mqtts://"), timeout="2s") as reader:
        assert (await refused(reader)).reason is FeedReason.UNAVAILABLE
    del reader
    gc.collect()


async def test_a_certificate_that_is_none_is_ours_to_mend(tmp_path: Path) -> None:
    with pytest.raises(FeedError) as caught:
        async with listening("mqtts://127.0.0.1", certificate=str(tmp_path / "missing.pem")):
            pass
    assert caught.value.reason is FeedReason.MISCONFIGURED


async def _nobody_is_connected(broker: Mosquitto) -> None:
    """The broker itself counts: one is left, who asks."""
    async with Client(
        "127.0.0.1", broker.port, username=USER, password=PASSWORD, protocol=ProtocolVersion.V5
    ) as client:
        await client.subscribe("$SYS/broker/clients/connected", qos=1)
        async with asyncio.timeout(DEADLINE):
            async for message in client.messages:
                if message.payload == b"1":
                    return
