"""What a subscriber reads on a real Mosquitto while the sink publishes, the broker comes and goes, and rights lack."""

from __future__ import annotations

import asyncio
import gc
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from daemon.broker import Broker
from daemon.emit.board import CALM_SECONDS
from daemon.emit.config import TlsConfig
from daemon.emit.mqtt import trouble_with
from daemon.model import State
from tests.integration.mosquitto import PASSWORD, USER, Mosquitto
from tests.integration.mosquitto_tls import Authority
from tests.integration.subscriber import Subscriber, kept, subscribed
from tests.publishing import Publishing, finding, gate, publishing, told
from tests.system.daemon import until

pytestmark = [pytest.mark.real, pytest.mark.timeout(180)]


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Mosquitto]:
    server = Mosquitto(tmp_path)
    server.start()
    yield server
    server.stop()


async def calm(subject: Publishing) -> None:
    """Until the broker has everything."""
    await until(lambda: subject.sink.problem is None and subject.sink.pending == 0, what=subject.sink.problem)


async def test_every_topic_is_kept_with_qos_1_and_an_end_and_findings_without_one(broker: Mosquitto) -> None:
    async with publishing(broker, expiry=30) as subject:
        subject.says(told("hot", "warm-2", findings=[finding("a1")], gates=[gate("hot"), gate("warm-2", open=False)]))
        await calm(subject)
        found = await kept(broker)
    names = {"asset/ETH", "exposure", "finding/a1", "gate/hot", "gate/warm-2", "status", "wallet/hot", "wallet/warm-2"}
    assert found.keys() == names
    assert {one.qos for one in found.values()} == {1}
    assert found["finding/a1"].lives is None
    lives = [one.lives for name, one in found.items() if name != "finding/a1"]
    assert all(left is not None and 1 <= left <= 30 for left in lives)
    assert found["status"].payload == b"online"
    assert found["gate/warm-2"].body["gate"] == "closed"
    assert found["wallet/hot"].body["holdings"]["ETH"]["units"] == "5"


async def test_gates_and_findings_come_before_everything_else_and_before_the_sign_of_life(broker: Mosquitto) -> None:
    async with subscribed(broker) as subscriber, publishing(broker) as subject:
        wallets = [f"w{number}" for number in range(200)]
        subject.says(told(*wallets, findings=[finding("a1"), finding("a2")], gates=[gate("w1", open=False)]))
        await calm(subject)
        await subscriber.until(lambda: len(subscriber.heard) >= 206)
        first = [one.topic for one in subscriber.heard[:4]]
        assert first == ["gate/w1", "finding/a1", "finding/a2", "status"]


async def test_a_gate_that_closes_overtakes_a_thousand_wallets_that_changed(broker: Mosquitto) -> None:
    wallets = [f"w{number}" for number in range(1000)]
    async with subscribed(broker) as subscriber, publishing(broker, expiry=60) as subject:
        subject.says(told(*wallets, gates=[gate("w1")]))
        await calm(subject)
        await subscriber.until(lambda: len({one.topic for one in subscriber.of("wallet/")}) == 1000)
        changed = told(*wallets, gates=[gate("w1")], hot=6)
        closed = told(*wallets, gates=[gate("w1", open=False, findings=("a1",))], findings=[finding("a1")], hot=6)
        await asyncio.sleep(CALM_SECONDS)
        subscriber.heard.clear()
        subject.says(changed)
        await subscriber.until(lambda: subscriber.heard)
        began = time.monotonic()
        subject.says(closed)
        await subscriber.until(lambda: subscriber.of("gate/w1"))
        took = time.monotonic() - began
        await subscriber.until(lambda: len({one.topic for one in subscriber.of("wallet/")}) == 1000)
        order = [one.topic for one in subscriber.heard]
        assert order.index("gate/w1") == order.index("finding/a1") - 1 < 999
    print(f"closed {took * 1000:.1f} ms after the report")  # noqa: T201 - a figure to look at
    assert took < 5


async def test_what_is_not_urgent_is_told_once_a_second_at_most_and_the_newest_holds(broker: Mosquitto) -> None:
    async with subscribed(broker) as subscriber, publishing(broker, expiry=60) as subject:
        subject.says(told(hot=1))
        await calm(subject)
        began = time.monotonic()
        for hot in range(2, 40):
            subject.says(told(hot=hot))
            await asyncio.sleep(0.05)
        newest = {"units": "39"}.items()
        await subscriber.until(
            lambda: subscriber.of("wallet/hot")[-1].body["holdings"]["ETH"].items() >= newest, seconds=30
        )
        assert len(subscriber.of("wallet/hot")) <= 3 + (time.monotonic() - began)


async def test_what_is_over_is_cleared(broker: Mosquitto) -> None:
    async with subscribed(broker) as subscriber, publishing(broker) as subject:
        subject.says(told("hot", "old", findings=[finding("a1")], gates=[gate("hot"), gate("old")]))
        await calm(subject)
        subject.says(told("hot", gates=[gate("hot")]))
        await subscriber.until(
            lambda: subscriber.holds.keys() == {"asset/ETH", "exposure", "gate/hot", "status", "wallet/hot"}
        )
        await calm(subject)
        assert (await kept(broker)).keys() == subscriber.holds.keys() - {"end"}


async def test_what_an_earlier_run_has_left_is_cleared_and_what_still_holds_stays(broker: Mosquitto) -> None:
    async with publishing(broker) as subject:
        subject.says(told(findings=[finding("gone"), finding("stays")], gates=[gate("hot"), gate("unknown")]))
        await calm(subject)
    async with publishing(broker) as subject:
        subject.says(told(findings=[finding("stays")], gates=[gate("hot")]))
        await until(lambda: subject.sink.counts["delivered"] >= 8)
        await calm(subject)
        left = await kept(broker)
    assert {name for name in left if name.startswith(("finding/", "gate/"))} == {"finding/stays", "gate/hot"}


async def test_messages_end_by_themselves_when_the_pipe_falls_silent(broker: Mosquitto) -> None:
    """The worker still has its connection: what it repeats must not make old judgements look new."""
    async with publishing(broker, expiry=2) as subject:
        subject.says(told(findings=[finding("a1")], gates=[gate("hot")]))
        await calm(subject)
        subject.falls_silent()
        end = time.monotonic() + 30
        while set(left := await kept(broker)) != {"finding/a1"}:
            assert time.monotonic() < end, left
            await asyncio.sleep(0.2)


async def test_messages_are_renewed_for_as_long_as_the_pipe_speaks(broker: Mosquitto) -> None:
    async with publishing(broker, expiry=3) as subject:
        subject.says(told(gates=[gate("hot")]))
        await calm(subject)
        before = (await kept(broker))["gate/hot"].body["expires"]
        end = time.monotonic() + 7
        while time.monotonic() < end:
            assert {"gate/hot", "status", "exposure", "wallet/hot"} <= (await kept(broker)).keys()
            await asyncio.sleep(0.3)
        assert (await kept(broker))["gate/hot"].body["expires"] > before


async def test_a_clean_stop_says_offline_and_first_what_nobody_may_miss(broker: Mosquitto) -> None:
    async with subscribed(broker) as subscriber:
        async with publishing(broker) as subject:
            subject.says(told(gates=[gate("hot")]))
            await calm(subject)
            await subscriber.until(lambda: len(subscriber.heard) == 5)
            subscriber.heard.clear()
            subject.says(told(gates=[gate("hot", open=False)], findings=[finding("last")]))
        await subscriber.until(lambda: subscriber.holds.get("status") == b"offline")
        assert [one.topic for one in subscriber.heard] == ["gate/hot", "finding/last", "status"]


async def test_a_broker_that_was_killed_is_told_everything_again(broker: Mosquitto) -> None:
    async with publishing(broker) as subject:
        subject.says(told(findings=[finding("before")], gates=[gate("hot")]))
        await calm(subject)
        broker.stop()
        await until(lambda: subject.sink.problem is not None)
        subject.says(told(findings=[finding("meanwhile")], gates=[gate("hot", open=False)]))
        assert subject.sink.pending > 0
        broker.start()
        await calm(subject)
        left = await kept(broker)
    assert {"finding/meanwhile", "gate/hot", "status"} <= left.keys()
    assert "finding/before" not in left
    assert left["gate/hot"].body["gate"] == "closed"
    assert subject.sink.counts["failed"] >= 1


async def test_a_broker_that_remembers_keeps_nothing_that_ended_while_it_was_away(tmp_path: Path) -> None:
    broker = Mosquitto(tmp_path, persistent=True)
    broker.start()
    try:
        async with publishing(broker, expiry=60) as subject:
            subject.says(told(findings=[finding("before"), finding("both")], gates=[gate("hot"), gate("old")]))
            await calm(subject)
            broker.stop(kill=False)
            await until(lambda: subject.sink.problem is not None)
            subject.says(told(findings=[finding("both")], gates=[gate("hot")]))
            broker.start()
            await calm(subject)
            left = await kept(broker)
        assert {name for name in left if name.startswith(("finding/", "gate/"))} == {"finding/both", "gate/hot"}
    finally:
        broker.stop()


async def test_a_broker_that_freezes_holds_nobody_up_and_has_all_of_it_when_it_thaws(broker: Mosquitto) -> None:
    async with publishing(broker, deadline=1) as subject:
        subject.says(told(gates=[gate("hot")]))
        await calm(subject)
        broker.freeze()
        try:
            slowest = 0.0
            for hot in range(30):
                began = time.monotonic()
                subject.says(told(gates=[gate("hot", open=False)], findings=[finding("a1")], hot=hot))
                slowest = max(slowest, time.monotonic() - began)
                await asyncio.sleep(0.02)
            await until(lambda: subject.sink.problem is not None)
        finally:
            broker.thaw()
        print(f"slowest offer to a frozen broker: {slowest * 1000:.1f} ms")  # noqa: T201 - likewise
        await calm(subject)
        left = await kept(broker)
    assert left["gate/hot"].body["gate"] == "closed"
    assert left["status"].payload == b"online"
    assert left["wallet/hot"].body["holdings"]["ETH"]["units"] == "29"


async def test_rights_that_lack_are_told_and_the_rest_is_published(tmp_path: Path) -> None:
    rights = "topic readwrite pyrometer/status\ntopic readwrite pyrometer/finding/#\ntopic read pyrometer/#\n"
    broker = Mosquitto(tmp_path, rights=rights + "topic write pyrometer/end\n")
    broker.start()
    try:
        async with publishing(broker) as subject:
            subject.says(told(findings=[finding("a1")], gates=[gate("hot")]))
            expected = f"127.0.0.1:{broker.port}: does not take pyrometer/gate/hot and "
            await until(lambda: (subject.sink.problem or "").startswith(expected), what=subject.sink)
            assert subject.sink.counts["refused"] >= 1
            assert subject.sink.pending >= 1
            await until(lambda: subject.sink.counts["delivered"] >= 2)
            assert (await kept(broker)).keys() == {"status", "finding/a1"}
        trouble = await trouble_with(Broker("127.0.0.1", broker.port, USER, PASSWORD), prefix="pyrometer")
        expected = f"127.0.0.1:{broker.port}: refuses what is published under pyrometer/ (Not authorized)"
        assert trouble == expected
    finally:
        broker.stop()


@pytest.mark.parametrize(
    ("password", "expected"),
    [(PASSWORD, None), ("wrong", "refuses us (Not authorized)")],
)
async def test_a_check_asks_the_broker_and_leaves_no_trace(
    broker: Mosquitto, password: str, expected: str | None
) -> None:
    async with subscribed(broker) as subscriber:
        trouble = await trouble_with(Broker("127.0.0.1", broker.port, USER, password), prefix="pyrometer")
        assert trouble == (expected and f"127.0.0.1:{broker.port}: {expected}")
    assert await kept(broker) == {}
    assert {one.topic for one in subscriber.heard} <= {"check"}


async def test_a_check_of_a_broker_that_is_away_says_so() -> None:
    assert await trouble_with(Broker("127.0.0.1", 9), prefix="pyrometer") == "127.0.0.1:9: can't be reached"


async def test_a_wrong_password_is_told_and_tried_again(broker: Mosquitto) -> None:
    async with publishing(Broker("127.0.0.1", broker.port, USER, "wrong")) as subject:
        subject.says(told())
        expected = f"127.0.0.1:{broker.port}: refuses us (Not authorized)"
        await until(lambda: subject.sink.problem == expected and subject.sink.counts["failed"] >= 2)


def over_tls(port: int, authority: Authority, *, known: bool = True, certified: bool = True) -> Broker:
    folder = authority.certificate.parent
    certificate, key = authority.signed("pyrometer") if certified else (None, None)
    ours = TlsConfig(ca_file=authority.certificate if known else None, cert_file=certificate, key_file=key)
    return Broker("127.0.0.1", port, USER, PASSWORD, ours.context(folder))


@pytest.fixture
def secure(tmp_path: Path) -> Iterator[Callable[[], tuple[Mosquitto, Authority]]]:
    started: list[Mosquitto] = []

    def start() -> tuple[Mosquitto, Authority]:
        authority = Authority(tmp_path)
        certificate, key = authority.signed("broker")
        files = (f"cafile {authority.certificate}", f"certfile {certificate}", f"keyfile {key}")
        broker = Mosquitto(tmp_path, more=(*files, "require_certificate true"))
        for path in tmp_path.iterdir():
            path.chmod(0o644)
        broker.start()
        started.append(broker)
        return broker, authority

    yield start
    for broker in started:
        broker.stop()


async def test_tls_with_certificates_on_both_sides(secure: Callable[[], tuple[Mosquitto, Authority]]) -> None:
    broker, authority = secure()
    async with publishing(over_tls(broker.port, authority)) as subject:
        subject.says(told(gates=[gate("hot")]))
        await calm(subject)
        assert subject.sink.counts["delivered"] >= 5
    assert await trouble_with(over_tls(broker.port, authority), prefix="pyrometer") is None


# Where TLS fails, paho leaves the socket to the garbage collection, which is done here, where it is looked over.
@pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("lacking", ["known", "certified"])
async def test_tls_is_not_spoken_with_strangers(
    secure: Callable[[], tuple[Mosquitto, Authority]], lacking: str
) -> None:
    broker, authority = secure()
    where = over_tls(broker.port, authority, **{lacking: False})
    expected = "can't be reached (its certificate is not good)" if lacking == "known" else "can't be reached"
    assert await trouble_with(where, prefix="pyrometer") == f"127.0.0.1:{broker.port}: {expected}"
    await asyncio.sleep(0.05)
    gc.collect()


async def test_a_finding_that_is_pending_is_told_as_such_and_again_when_it_fires(broker: Mosquitto) -> None:
    async with subscribed(broker) as subscriber, publishing(broker) as subject:
        subject.says(told(findings=[finding("a1", state=State.PENDING)]))
        await subscriber.until(lambda: subscriber.of("finding/a1"))
        subject.says(told(findings=[finding("a1")]))
        await subscriber.until(lambda: len(subscriber.of("finding/a1")) == 2)
        assert [one.body["state"] for one in subscriber.of("finding/a1")] == ["pending", "firing"]


async def test_nobody_of_ours_is_left_at_a_broker_that_refused_or_froze(broker: Mosquitto) -> None:
    """Each try leaves no socket behind."""
    async with subscribed(broker) as subscriber, publishing(broker, deadline=1, expiry=60) as subject:
        subject.says(told())
        await calm(subject)
        broker.freeze()
        try:
            await until(lambda: subject.sink.counts["failed"] >= 3)
        finally:
            broker.thaw()
        await calm(subject)
        await _clients(broker, subscriber)


async def _clients(broker: Mosquitto, subscriber: Subscriber) -> None:
    """Until the broker counts ours, the test's, and the one that asks."""
    async with subscribed(broker, prefix="$SYS/broker/clients") as counting:
        await counting.until(lambda: counting.holds.get("connected") == b"3")
    assert subscriber.heard
