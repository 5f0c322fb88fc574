"""Approvals from real databases, servers, files and a broker: exact, whole or what is new, and back after a crash."""

from __future__ import annotations

import asyncio
import csv
import io
import json
import os
import sqlite3
import time
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from aiomqtt import Client, ProtocolVersion

from connectors.transport import REAL
from daemon.app import utc_now
from daemon.detection.approval import Approval, Approved
from daemon.feeds.approvals import MqttApprovals
from daemon.feeds.approved import OVERLAP
from daemon.feeds.mqtt import MOST_WAITING, opened_topic
from daemon.feeds.source import FeedError
from daemon.feeds.values import Fault, FeedReason
from tests.approving import DEADLINE, approvals, fault, followed, once, source
from tests.integration.mosquitto import PASSWORD, USER, Mosquitto
from tests.integration.postgres import Postgres
from tests.pricing import Figures

pytestmark = [pytest.mark.real, pytest.mark.timeout(180)]

ALL = "select id, asset, amount, destination, at, chain, fee, tag from withdrawals order by at, id"
NEW = "select id, asset, amount, destination, at from withdrawals where at > :since order by at, id"
TOPIC = "pyrometer/feed/approvals"


def ids(said: Approved) -> list[str]:
    return [one.id for one in said.approvals]


def told(number: int, **changes: object) -> dict[str, object]:
    """One approval as JSON says it."""
    at = f"{utc_now() - timedelta(seconds=5):%Y-%m-%dT%H:%M:%SZ}"
    return {"id": f"w{number}", "asset": "BTC", "amount": "0.5", "destination": "bc1qx", "at": at, **changes}


# PostgreSQL.


@pytest.fixture(scope="module")
def running() -> Iterator[Postgres]:
    server = Postgres()
    server.start()
    try:
        yield server
    finally:
        server.remove()


@pytest.fixture
def postgres(running: Postgres) -> Postgres:
    running.start_again()
    running.execute(
        "drop table if exists withdrawals",
        "create table withdrawals (id uuid primary key, asset text, amount numeric, destination text, at timestamptz, "
        "chain text, fee numeric, tag bigint)",
    )
    return running


def uuid(number: int) -> str:
    return f"00000000-0000-0000-0000-{number:012d}"


def approve(postgres: Postgres, number: int, *, amount: str = "0.5", ago: str = "1 minute") -> None:
    postgres.execute(
        f"insert into withdrawals values ('{uuid(number)}', 'BTC', {amount}, 'bc1qx', now() - interval '{ago}')"
    )


async def test_a_query_without_since_gives_all_that_there_is_each_time(postgres: Postgres) -> None:
    postgres.execute(
        f"insert into withdrawals values ('{uuid(1)}', 'BTC', 0.12345678, 'bc1qx', '2026-01-01 09:00+09', 'bitcoin', "
        "0.0001, 77)"
    )
    async with followed(source(kind="sql", url=postgres.url, query=ALL)) as heard:
        await heard.until(lambda: heard.named)
        first = heard.good[-1]
        assert first.complete
        assert first.approvals == (
            Approval(
                id=uuid(1),
                asset="BTC",
                coins=Decimal("0.12345678"),
                destination="bc1qx",
                at=datetime(2026, 1, 1, tzinfo=UTC),
                chain="bitcoin",
                fee=Decimal("0.0001"),
                tag="77",
            ),
        )
        await heard.until(lambda: heard.good[-1] is not first)
        assert heard.good[-1].approvals is first.approvals
        assert heard.good[-1].asked > first.asked
        postgres.execute("delete from withdrawals")
        await heard.until(lambda: not heard.named)


async def test_a_query_with_since_is_asked_for_what_is_new(postgres: Postgres) -> None:
    approve(postgres, 1, ago="2 days")
    approve(postgres, 2, ago="23 hours")
    approve(postgres, 3, ago="20 minutes")
    async with followed(source(kind="sql", url=postgres.url, query=NEW, reach="1d")) as heard:
        await heard.until(lambda: heard.good)
        assert ids(heard.good[0]) == [uuid(2), uuid(3)]
        assert not heard.good[0].complete
        await heard.until(lambda: len(heard.good) > 1)
        assert ids(heard.good[1]) == [uuid(3)]
        approve(postgres, 4, ago="24 minutes")  # committed later than its time says
        await heard.until(lambda: heard.named == [uuid(4), uuid(3)])
        approve(postgres, 5, ago="1 minute")
        await heard.until(lambda: uuid(5) in heard.named)
        await heard.until(lambda: heard.named == [uuid(5)])  # the others are older than the overlap now
        assert timedelta(minutes=5) == OVERLAP


async def test_since_is_bound_where_it_stands_and_is_no_part_of_a_type_or_a_text(postgres: Postgres) -> None:
    approve(postgres, 1)
    query = (
        "select id, asset, amount, 'a:since'::text destination, at from withdrawals "
        "where at > :since and extract(epoch from at) > extract(epoch from :since) and 'x:y' like 'x:%'"
    )
    (found,) = await approvals(source(kind="sql", url=postgres.url, query=query))
    assert found.destination == "a:since"


async def test_a_bad_row_changes_neither_what_was_heard_nor_what_is_asked_for_next(postgres: Postgres) -> None:
    approve(postgres, 1, ago="20 minutes")
    async with followed(source(kind="sql", url=postgres.url, query=NEW)) as heard:
        await heard.until(lambda: heard.good)
        approve(postgres, 2, ago="10 minutes")
        approve(postgres, 3, amount="-1", ago="1 second")
        bad = await heard.failed(FeedReason.BAD_ANSWER)
        assert bad.detail == f"row 3 (id {uuid(3)}): amount: -1 is negative"
        good = len(heard.good)
        postgres.execute(f"update withdrawals set amount = 1 where id = '{uuid(3)}'")
        await heard.until(lambda: len(heard.good) > good)
        assert ids(heard.good[good]) == [uuid(1), uuid(2), uuid(3)]


async def test_a_server_that_is_killed_amid_a_query_is_asked_on_from_where_it_stood(postgres: Postgres) -> None:
    approve(postgres, 1, ago="20 minutes")
    postgres.execute("create table if not exists pace (seconds float)", "truncate pace", "insert into pace values (0)")
    query = (
        "with slowly as materialized (select pg_sleep(seconds) from pace) select id, asset, amount, destination, at "
        "from withdrawals, slowly where at > :since order by at"
    )
    async with followed(source(kind="sql", url=postgres.url, query=query)) as heard:
        await heard.until(lambda: heard.named == [uuid(1)])
        postgres.execute("update pace set seconds = 30")
        await _sleeping(postgres)
        postgres.kill()
        await heard.failed(FeedReason.UNAVAILABLE)
        good = len(heard.good)
        postgres.start_again()
        postgres.execute("update pace set seconds = 0")
        approve(postgres, 2)
        await heard.until(lambda: len(heard.good) > good and uuid(2) in heard.named)
        assert ids(heard.good[good])[0] == uuid(1)


async def _sleeping(postgres: Postgres) -> None:
    """Until the server works on the query that sleeps."""
    query = (
        "select 'x' id, 'BTC' asset, count(*) amount, 'y' destination, now() - interval '1 s' as at "
        "from pg_stat_activity where wait_event = 'PgSleep' having count(*) > 0"
    )
    end = time.monotonic() + DEADLINE
    while not await approvals(source(kind="sql", url=postgres.url, query=query)):
        assert time.monotonic() < end
        await asyncio.sleep(0.05)


async def test_a_hundred_thousand_rows_come_whole(postgres: Postgres) -> None:
    postgres.execute(
        "insert into withdrawals select ('00000000-0000-0000-0000-' || lpad(n::text, 12, '0'))::uuid, 'BTC', n / 1e8, "
        "'bc1q' || n, now() - interval '1 hour' from generate_series(1, 100000) n"
    )
    found = await approvals(source(kind="sql", url=postgres.url, query=ALL, timeout="60s"))
    assert len(found) == 100_000
    assert sum(one.coins for one in found) == Decimal(100_000 * 100_001 // 2).scaleb(-8)


async def test_times_without_a_zone_are_refused(postgres: Postgres) -> None:
    approve(postgres, 1)
    query = "select id, asset, amount, destination, at::timestamp at from withdrawals"
    found = await fault(source(kind="sql", url=postgres.url, query=query))
    assert "at: expected a time as unix seconds, or as in 2026-11-23T09:00:00Z with its time zone" in found.detail


# SQLite.


@pytest.fixture
def ledger(tmp_path: Path) -> Path:
    path = tmp_path / "ledger.db"
    change(path, "create table withdrawals (id integer, asset text, amount text, destination text, at integer)")
    return path


def change(path: Path, statement: str, *values: object) -> None:
    with sqlite3.connect(path) as connection:
        connection.execute(statement, values)
    connection.close()


@pytest.mark.parametrize(
    "written",
    ["unixepoch(:since)", "strftime('%s', :since) + 0"],
)
async def test_sqlite_is_asked_for_what_is_new(ledger: Path, written: str) -> None:
    now = int(utc_now().timestamp())
    for number, ago in enumerate((3 * 86_400, 600, 60), start=1):
        change(ledger, "insert into withdrawals values (?, 'BTC', '0.5', 'bc1qx', ?)", number, now - ago)
    query = f"select * from withdrawals where at > {written} order by at"
    async with followed(source(kind="sql", url=f"sqlite+aiosqlite:///{ledger}", query=query)) as heard:
        await heard.until(lambda: heard.good)
        assert (ids(heard.good[0]), heard.good[0].complete) == (["2", "3"], False)
        await heard.until(lambda: heard.named == ["3"])


@pytest.mark.parametrize("form", ["%Y-%m-%d %H:%M:%S+00:00", "%Y-%m-%dT%H:%M:%SZ", "%Y-%m-%dT%H:%M:%S.%f+00:00"])
async def test_times_that_are_texts_are_compared_as_texts_and_none_is_missed(ledger: Path, form: str) -> None:
    newest = utc_now() - timedelta(minutes=1)
    for number, at in enumerate((newest - OVERLAP + timedelta(seconds=1), newest), start=1):
        change(ledger, "insert into withdrawals values (?, 'BTC', '0.5', 'bc1qx', ?)", number, at.strftime(form))
    query = "select * from withdrawals where at > :since order by at"
    async with followed(source(kind="sql", url=f"sqlite+aiosqlite:///{ledger}", query=query)) as heard:
        await heard.until(lambda: len(heard.good) > 1)
        assert [ids(one) for one in heard.good[:2]] == [["1", "2"]] * 2


async def test_sqlite_without_since_gives_everything(ledger: Path) -> None:
    change(ledger, "insert into withdrawals values (1, 'ETH', '1.000000000000000001', '0xab', 1000000000)")
    said = await once(source(kind="sql", url=f"sqlite+aiosqlite:///{ledger}", query="select * from withdrawals"))
    assert isinstance(said, Approved)
    assert (said.complete, said.approvals[0].coins) == (True, Decimal("1.000000000000000001"))


async def test_a_real_number_is_refused(ledger: Path) -> None:
    change(ledger, "insert into withdrawals values (1, 'ETH', '1', '0xab', 1000000000)")
    query = "select id, asset, cast(amount as real) amount, destination, at from withdrawals"
    found = await fault(source(kind="sql", url=f"sqlite+aiosqlite:///{ledger}", query=query))
    assert found.detail.startswith("row 1 (id 1): amount: a binary fraction, which is not exact")


# HTTP.


@pytest.fixture
async def office() -> AsyncIterator[Figures]:
    async with Figures("[]").serving() as server:
        yield server


async def test_a_server_is_asked_for_all_and_its_words_are_taken_apart_by_an_expression(office: Figures) -> None:
    office.body = json.dumps(
        {
            "as_of": "2026-01-05T00:00:00Z",
            "list": [
                {"ref": 1, "coin": "BTC", "qty": 0.10000001, "to": "bc1qx", "ts": 1_700_000_000, "state": "approved"},
                {"ref": 2, "coin": "BTC", "qty": 1, "to": "bc1qy", "ts": 1_700_000_000, "state": "asked for"},
            ],
        }
    )
    values = "list[?state=='approved'].{id: ref, asset: coin, amount: qty, destination: to, at: ts}"
    said = await once(source(kind="http", url=office.url, values=values, at="as_of"))
    assert isinstance(said, Approved)
    assert (said.complete, said.asked) == (True, datetime(2026, 1, 5, tzinfo=UTC))
    assert [(one.id, one.coins, one.destination) for one in said.approvals] == [("1", Decimal("0.10000001"), "bc1qx")]


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ("{}", "expected a list of approvals"),
        ("[1]", "entry 1: expected a mapping"),
        ('[{"id": 1', "the answer is not JSON"),
        ('[{"id": 1, "id": 2}]', "the answer is not JSON"),
        ("[{}]", "row 1: id: expected a text or a whole number, found nothing"),
        (json.dumps([told(1, amount="1"), told(1, amount="2")]), "row 2 (id w1): stands twice"),
    ],
)
async def test_an_answer_that_can_not_be_right_is_refused(office: Figures, body: str, words: str) -> None:
    office.body = body
    found = await fault(source(kind="http", url=office.url, values="@"))
    assert found.reason is FeedReason.BAD_ANSWER
    assert words in found.detail


async def test_a_server_that_fails_and_lies_is_heard_again(office: Figures) -> None:
    office.body = json.dumps([told(1)])
    async with followed(source(kind="http", url=office.url, values="@", timeout="500ms")) as heard:
        await heard.until(lambda: heard.named == ["w1"])
        office.status = 503
        await heard.failed(FeedReason.UNAVAILABLE)
        office.status, office.body = 200, json.dumps([told(1), told(2, destination="")])
        assert "row 2 (id w2): destination" in (await heard.failed(FeedReason.BAD_ANSWER)).detail
        office.silent = True
        await heard.failed(FeedReason.TIMEOUT)
        office.silent, office.body = False, json.dumps([told(1), told(2)])
        await heard.until(lambda: heard.named == ["w1", "w2"])


async def test_an_answer_of_many_megabytes_is_taken_apart_beside_the_loop(office: Figures) -> None:
    """While it is, others have their turn: that is all that is asked here, the times depend on the machine."""
    office.body = json.dumps([told(number, tag="x" * 200) for number in range(20_000)])
    assert len(office.body) > 4 * 1024 * 1024
    turns = 0

    async def turning() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0.005)

    beside = asyncio.create_task(turning())
    found = await approvals(source(kind="http", url=office.url, values="@"))
    beside.cancel()
    assert len(found) == 20_000
    assert turns > 5


# Files.


def written(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


async def test_files_of_every_form_say_the_same(tmp_path: Path) -> None:
    rows = [told(1, tag="77"), told(2, amount="1.00000001", tag="")]
    text = io.StringIO()
    table = csv.DictWriter(text, fieldnames=list(rows[0]))
    table.writeheader()
    table.writerows(rows)
    written(tmp_path / "a.csv", text.getvalue())
    written(tmp_path / "a.json", json.dumps(rows) + "\n")
    lines = "".join(f"  - {json.dumps(row)}\n" for row in rows)
    written(tmp_path / "a.yaml", f"at: 2026-01-05T00:00:00Z\napprovals:\n{lines}")
    found = {
        name: await once(source(kind="file", path=name), folder=tmp_path) for name in ("a.csv", "a.json", "a.yaml")
    }
    assert all(isinstance(said, Approved) and said.complete for said in found.values())
    assert len({said.approvals for said in found.values() if isinstance(said, Approved)}) == 1
    yaml = found["a.yaml"]
    assert isinstance(yaml, Approved)
    assert yaml.asked == datetime(2026, 1, 5, tzinfo=UTC)


async def test_a_file_is_as_of_when_it_was_written(tmp_path: Path) -> None:
    path = written(tmp_path / "a.json", "[]\n")
    os.utime(path, (1_700_000_000, 1_700_000_000))
    said = await once(source(kind="file", path="a.json"), folder=tmp_path)
    assert isinstance(said, Approved)
    assert said.asked == datetime.fromtimestamp(1_700_000_000, tz=UTC)


async def test_a_file_that_is_spoiled_is_refused_until_it_is_good_again(tmp_path: Path) -> None:
    path = written(tmp_path / "a.json", json.dumps([told(1)]) + "\n")
    async with followed(source(kind="file", path="a.json"), folder=tmp_path) as heard:
        await heard.until(lambda: heard.named == ["w1"])
        written(path, "[{}, \n")
        assert (await heard.failed(FeedReason.BAD_ANSWER)).detail == "the file is no JSON, or says a name twice"
        path.unlink()
        await heard.failed(FeedReason.UNAVAILABLE)
        written(path, json.dumps([told(2)]) + "\n")
        await heard.until(lambda: heard.named == ["w2"])


# MQTT.


@pytest.fixture
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mosquitto]:
    server = Mosquitto(tmp_path_factory.mktemp("mosquitto"))
    server.start()
    yield server
    server.stop()


async def publish(broker: Mosquitto, value: object, *, retain: bool = False) -> None:
    await broker.publish(value, topic=TOPIC, retain=retain)


async def test_a_message_is_one_approval_a_list_or_a_list_with_its_time(broker: Mosquitto) -> None:
    async with followed(source(kind="mqtt", url=broker.url)) as heard:
        await _until_it_listens(broker, lambda: heard.named)
        await publish(broker, told(1))
        await heard.until(lambda: heard.named == ["w1"])
        await publish(broker, [told(2), told(3)])
        await heard.until(lambda: heard.named == ["w2", "w3"])
        await publish(broker, {"at": told(0)["at"], "approvals": []})
        await heard.until(lambda: not heard.named)
        assert not any(one.complete for one in heard.good)


async def test_every_message_counts_however_many_wait(broker: Mosquitto) -> None:
    async with followed(source(kind="mqtt", url=broker.url)) as heard:
        await _until_it_listens(broker, lambda: heard.named)
        await asyncio.gather(*(publish(broker, told(number)) for number in range(50)))
        wanted = {f"w{number}" for number in range(50)}
        await heard.until(lambda: {name for one in heard.good for name in ids(one)} >= wanted)
    assert heard.faults == []


async def test_a_bad_message_is_told_and_the_next_one_heard(broker: Mosquitto) -> None:
    async with followed(source(kind="mqtt", url=broker.url)) as heard:
        await _until_it_listens(broker, lambda: heard.named)
        await publish(broker, told(1, amount="NaN"))
        bad = await heard.failed(FeedReason.BAD_ANSWER)
        assert bad.detail == "row 1 (id w1): amount: expected a number, found 'NaN'"
        await publish(broker, b"{")
        await heard.until(lambda: heard.faults[-1].detail.startswith("the message is no JSON"))
        await publish(broker, told(2))
        await heard.until(lambda: heard.named == ["w2"])


async def test_a_retained_message_speaks_as_of_its_newest_approval(broker: Mosquitto) -> None:
    old = told(1, at="2026-01-05T00:00:00Z")
    await publish(broker, [old, {**old, "id": "w0", "at": "2026-01-04T00:00:00Z"}], retain=True)
    said = await once(source(kind="mqtt", url=broker.url))
    assert isinstance(said, Approved)
    assert said.asked == datetime(2026, 1, 5, tzinfo=UTC)


async def test_a_retained_message_that_says_nothing_counts_for_nothing(broker: Mosquitto) -> None:
    await publish(broker, [], retain=True)
    said = await once(source(kind="mqtt", url=broker.url))
    assert isinstance(said, Fault)
    assert said.reason is FeedReason.STALE


async def test_a_broker_that_is_killed_is_found_again(broker: Mosquitto) -> None:
    async with followed(source(kind="mqtt", url=broker.url, timeout="2s")) as heard:
        await _until_it_listens(broker, lambda: heard.named)
        broker.stop()
        await heard.failed(FeedReason.UNAVAILABLE)
        broker.start()
        await publish(broker, [told(2)], retain=True)
        await heard.until(lambda: heard.named == ["w2"])


async def test_what_is_published_while_the_connection_is_lost_is_kept_by_the_broker(broker: Mosquitto) -> None:
    config = MqttApprovals.model_validate({"kind": "mqtt", "url": broker.url})
    async with opened_topic(config, folder=Path(), timing=REAL, every_one=True) as topic:
        waiting = asyncio.create_task(topic.next())
        await _until_it_listens(broker, waiting.done)
        await waiting
        await topic.close()
        for number in range(3):
            await publish(broker, told(number))
        found: list[str] = []
        async with asyncio.timeout(DEADLINE):
            while len(found) < 3:
                one = json.loads(bytes((await topic.next()).payload or b""))
                if one["id"] != "listening":
                    found.append(one["id"])
    assert found == ["w0", "w1", "w2"]


async def test_what_finds_no_room_is_told_as_lost(broker: Mosquitto) -> None:
    config = MqttApprovals.model_validate({"kind": "mqtt", "url": broker.url})
    async with opened_topic(config, folder=Path(), timing=REAL, every_one=True) as topic:
        waiting = asyncio.create_task(topic.next())
        await _until_it_listens(broker, waiting.done)
        await waiting
        async with Client(
            "127.0.0.1", broker.port, username=USER, password=PASSWORD, protocol=ProtocolVersion.V5
        ) as client:
            for number in range(MOST_WAITING + 300):
                await client.publish(TOPIC, json.dumps(told(number)).encode(), qos=1)
        with pytest.raises(FeedError, match="messages came faster than they could be read, and are lost"):
            async with asyncio.timeout(DEADLINE):
                while True:
                    await asyncio.sleep(0.2)
                    await topic.next()


async def _until_it_listens(broker: Mosquitto, heard: Callable[[], object]) -> None:
    """Publishes something until it has come: before that, nobody knows whether the subscription stands."""
    async with asyncio.timeout(DEADLINE):
        while not heard():
            await publish(broker, told(0, id="listening"))
            await asyncio.sleep(0.05)
