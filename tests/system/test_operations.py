"""What docs/operations.md tells an ops team to do with the store, done by its very commands on the real daemon."""

from __future__ import annotations

import json
import resource
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Protocol

import pytest
import yaml

from tests.integration.alertmanager import running_alertmanager
from tests.integration.anvil import AnvilNode, free_port
from tests.integration.postgres import PASSWORD, Postgres, started
from tests.integration.postgres_databases import PostgresDatabase
from tests.system.daemon import Daemon, run_command, running_daemon, until
from tests.system.exchange import COLD, ETHER, HOT, OUTSIDE, config, fund, move
from tests.system.operators import DEAD, PEOPLE, at_work, guarded, is_ready, system
from tests.system.written import matches, require, written

pytestmark = [pytest.mark.real, pytest.mark.timeout(600)]

STOPS = {"kind": "cold_moved", "name": "cold-moved", "closes": "wallets", "keep": "30d"}
SHARE = {"kind": "hot_share", "name": "hot-share", "limit": 0.05, "clear_after": "300ms"}


class Database(Protocol):
    """Where the daemon keeps what it keeps, as the tests of both kinds look at it."""

    page: str
    """The heading under which docs/operations.md says how it is backed up."""

    @property
    def url(self) -> str: ...

    @property
    def variables(self) -> dict[str, str]: ...

    async def yesterday(self) -> None:
        """Sets the history back by 25 hours, so that its day is over."""


class Lite:
    page = "### Backing up and restoring: SQLite"
    variables: dict[str, str] = {}  # noqa: RUF012 - a constant

    def __init__(self, folder: Path) -> None:
        self._file = folder / "pyrometer.db"

    @property
    def url(self) -> str:
        return f"sqlite+aiosqlite:///{self._file}"

    async def yesterday(self) -> None:
        back = "strftime('%Y-%m-%d %H:%M:%f000', at, '-25 hours')"
        with closing(sqlite3.connect(self._file)) as database, database:
            database.execute(f"update pyrometer_snapshots set at = {back}")


class Postgresql:
    page = "### Backing up and restoring: PostgreSQL"

    def __init__(self, database: PostgresDatabase) -> None:
        self._database = database

    @property
    def url(self) -> str:
        return of_role(self._database, "first")

    @property
    def variables(self) -> dict[str, str]:
        port = str(self._database.server.port)
        return {"PGHOST": "127.0.0.1", "PGPORT": port, "PGUSER": "ledger", "PGPASSWORD": PASSWORD}

    async def yesterday(self) -> None:
        await self._database.run("update pyrometer_snapshots set at = at - interval '25 hours'")


def of_role(database: PostgresDatabase, password: str) -> str:
    return f"postgresql+asyncpg://pyrometer:{password}@127.0.0.1:{database.server.port}/{database.name}"


@pytest.fixture(scope="module")
def running() -> Iterator[Postgres]:
    yield from started()


@pytest.fixture
def exchange_database(running: Postgres) -> PostgresDatabase:
    """The database `pyrometer` of the role `pyrometer`, whose password is `first`, new for each test."""
    running.execute(
        "drop database if exists pyrometer with (force)",
        "drop role if exists pyrometer",
        "create role pyrometer login password 'first'",
        "create database pyrometer owner pyrometer encoding 'UTF8' template template0",
    )
    database = PostgresDatabase(running)
    database.name = "pyrometer"
    return database


@pytest.fixture(params=["sqlite", "postgresql"])
def kept(request: pytest.FixtureRequest, tmp_path: Path) -> Database:
    if request.param == "sqlite":
        return Lite(tmp_path)
    return Postgresql(request.getfixturevalue("exchange_database"))


async def test_a_backup_brings_back_findings_gates_announcements_reports_and_the_audit_log(
    tmp_path: Path, kept: Database
) -> None:
    """Taken while it runs, restored after the database is destroyed, by the written commands; and what is lost."""
    require("curl", "jq", *(["sqlite3"] if isinstance(kept, Lite) else ["pg_dump", "psql"]))
    steps = written("operations.md", under=kept.page)
    ruin = next(place for place, step in enumerate(steps) if step.command == "systemctl stop pyrometer")
    async with AnvilNode() as anvil:
        await fund(anvil, hot=10_000, cold=990_000)
        whole = config(anvil.url, store=kept.url, policies=[STOPS, SHARE], chain={"max_age": "60s"})
        whole |= {"history": {"grain": "1s"}, "api": guarded(tmp_path, PEOPLE)}
        async with running_daemon(tmp_path, whole) as daemon:
            daemon.token = PEOPLE["aya"]
            report = await a_day_is_reported(daemon, kept)
            plan = await announced(daemon, at_most="2")
            await anvil.send(COLD, to=OUTSIDE, value=ETHER)
            await daemon.becomes(f"/api/v1/announcements/{plan}", lambda body: body["left"] == "1")
            await move(anvil, COLD, HOT, thousandths=1)
            await move(anvil, COLD, "0x" + "66" * 20, thousandths=500)
            before = await everything(daemon)
            await daemon.becomes("/api/v1/movements?stage=mined", lambda body: len(body) == 3)
            async with at_work(daemon, token=PEOPLE["aya"], **kept.variables) as it:
                await it.follow(steps[:ruin])
                later = await announced(daemon, at_most="3")
                word = {"open": False, "reason": "after the backup"}
                assert (await daemon.ask("/api/v1/gate/eth-hot-1", method="POST", body=word))[0] == 200
                _, (head,) = await it.run("pyrometer audit verify --config pyrometer.yaml --json | jq -r .head")
                await it.follow(steps[ruin:], hooks=system(daemon))
                code, lines = await it.run(f"pyrometer audit verify --config pyrometer.yaml --holds {head}")
            assert (code, lines[0].startswith("BROKEN: no record has the hash")) == (6, True)
            assert await everything(daemon) == before
            assert (await daemon.ask(f"/api/v1/announcements/{later}"))[0] == 404
            # What a person said since is lost.
            await daemon.becomes("/api/v1/gate/eth-hot-1", lambda body: body["gate"] == "open")
            one = await daemon.becomes(f"/api/v1/announcements/{plan}", lambda body: body["left"] == "1")
            assert one["state"] == "approved"
            await daemon.becomes("/api/v1/movements?stage=mined", lambda body: len(body) == 3)
            again = await run_command(*report.asked, cwd=tmp_path)
            assert again == report.answer


class Reported:
    def __init__(self, asked: tuple[str, ...], answer: tuple[int, str, str]) -> None:
        self.asked, self.answer = asked, answer


async def a_day_is_reported(daemon: Daemon, kept: Database) -> Reported:
    """A day of a few seconds, closed by a restart on the day after."""
    await is_ready(daemon)
    history = "/api/v1/history?metric=hot_share&scope=all&step=1s"
    since = datetime.now(UTC) - timedelta(minutes=1)
    span = f"&from={since:%Y-%m-%dT%H:%M:%SZ}&to={since + timedelta(minutes=5):%Y-%m-%dT%H:%M:%SZ}"
    await daemon.becomes(history + span, lambda body: [one for one in body["points"] if one["known"]])
    await daemon.stop()
    await kept.yesterday()
    await daemon.start()
    day = (await daemon.logged("a day is closed"))["day"]
    asked = ("report", "--config", "pyrometer.yaml", "--date", day, "--format", "json")
    answer = await run_command(*asked, cwd=daemon.file.parent)
    assert (answer[0], answer[2]) == (4, "")
    await is_ready(daemon)
    return Reported(asked, answer)


async def announced(daemon: Daemon, *, at_most: str) -> str:
    """By Aya, approved by Ben; its id."""
    now = datetime.now(UTC)
    plan = {"wallet": "eth-cold-1", "asset": "ETH", "at_most": at_most, "destinations": [OUTSIDE], "ticket": "OPS-1"}
    plan |= {"starts": now.isoformat(), "ends": (now + timedelta(hours=1)).isoformat()}
    status, one = await daemon.ask("/api/v1/announcements", method="POST", token=PEOPLE["aya"], body=plan)
    assert status == 201, one
    approval = f"/api/v1/announcements/{one['id']}/approval"
    assert (await daemon.ask(approval, method="POST", token=PEOPLE["ben"]))[0] == 200
    return str(one["id"])


async def everything(daemon: Daemon) -> dict[str, Any]:
    """The finding on the vault, once it fires, and what its gate says."""
    found = await daemon.becomes("/api/v1/findings", lambda body: [one for one in body if one["state"] == "firing"])
    gate = await daemon.becomes("/api/v1/gate/eth-cold-1", lambda body: body["gate"] == "closed" and body["findings"])
    told = [(one["id"], one["alert"], one["since"], one["state"]) for one in found]
    return {"findings": told, "gate": (gate["since"], gate["findings"], gate["reason"])}


async def test_the_audit_log_is_verified_and_what_was_changed_in_it_is_named(tmp_path: Path) -> None:
    require("sqlite3")
    whole = config(DEAD, api=guarded(tmp_path, PEOPLE))
    async with running_daemon(tmp_path, whole) as daemon, at_work(daemon) as it:
        for who in ("aya", "ben", "aya"):
            assert (await daemon.ask("/-/reload", method="POST", token=PEOPLE[who]))[0] == 200
        good, *bad = written("operations.md", under="## The audit log")
        await it.follow([good])
        await it.run("sqlite3 pyrometer.db \"update pyrometer_audit set body = replace(body, 'ben', 'aya')\"")
        command, code = bad
        found, lines = await it.run(command.command)
        assert (matches(command.shown, lines), code.shown) == (True, (str(found),)), lines


async def test_an_upgrade_is_made_by_the_book_and_so_is_the_way_back_from_a_newer_database(tmp_path: Path) -> None:
    require("curl", "sqlite3")
    async with AnvilNode() as anvil:
        await fund(anvil, hot=10_000, cold=990_000)
        whole = config(anvil.url, policies=[STOPS, SHARE], chain={"max_age": "60s"})
        whole["api"] = {"listen": f"127.0.0.1:{free_port()}"}
        async with running_daemon(tmp_path, whole) as daemon:
            await is_ready(daemon)
            await move(anvil, COLD, OUTSIDE, thousandths=1)
            before = await everything(daemon)
            async with at_work(daemon) as it:
                await it.follow(written("operations.md", under="## Upgrades"), hooks=system(daemon))
                assert await everything(daemon) == before
                await daemon.stop()
                newer(tmp_path)
                await daemon.start()
                await pages_from_memory_alone(daemon, anvil)
                await it.follow(written("operations.md", under="### Going back"), hooks=system(daemon))
            await daemon.becomes(
                "/api/v1/findings", lambda body: before["findings"][0][0] in [one["id"] for one in body]
            )
            assert (await daemon.metrics())["pyrometer_store_up"] == 1
            assert await daemon.stop() == 0


def newer(folder: Path) -> None:
    """What a version that is to come would leave."""
    with closing(sqlite3.connect(folder / "pyrometer.db")) as database, database:
        database.execute("update pyrometer_schema set version = 4")


async def pages_from_memory_alone(daemon: Daemon, anvil: AnvilNode) -> None:
    """All that docs/operations.md says of an older version on a newer database."""
    await move(anvil, COLD, HOT, thousandths=90_000)
    await daemon.becomes(
        "/api/v1/findings", lambda body: [one for one in body if one["policy"] == "hot-share" and one["fired"]]
    )
    status, body = await daemon.ask("/readyz")
    assert status == 503
    assert any("written by a newer Pyrometer" in reason for reason in body["reasons"])
    assert (await daemon.metrics())["pyrometer_store_up"] == 0
    assert (await daemon.get("/api/v1/gate/eth-hot-1"))["gate"] == "closed"
    assert (await daemon.ask("/-/reload", method="POST"))[0] == 503
    code, out, _ = await run_command("once", "--config", "pyrometer.yaml", "--json", cwd=daemon.file.parent)
    assert (code, json.loads(out)["entity"]) == (3, "Example Exchange KK")


async def test_a_disk_that_takes_no_more_stops_no_judgement_and_gets_it_all_when_there_is_room(tmp_path: Path) -> None:
    """Every write to a file fails, as the limit of the process says."""
    async with AnvilNode() as anvil, running_alertmanager(tmp_path) as alertmanager:
        await fund(anvil, hot=10_000, cold=990_000)
        whole = config(anvil.url, policies=[STOPS], chain={"max_age": "60s"}, api=guarded(tmp_path, PEOPLE))
        whole["alertmanager"] = {"endpoints": [alertmanager.url]}
        async with running_daemon(tmp_path, whole) as daemon:
            daemon.token = PEOPLE["aya"]
            await is_ready(daemon)
            unlimited = resource.prlimit(daemon.pid, resource.RLIMIT_FSIZE, (0, resource.RLIM_INFINITY))
            await move(anvil, COLD, OUTSIDE, thousandths=1)
            await until(lambda: alertmanager.heard("firing", subject="eth-cold-1"), what=daemon.log)
            await daemon.becomes("/readyz", lambda body: any("store" in reason for reason in body["reasons"]))
            assert (await daemon.get("/api/v1/gate/eth-cold-1"))["gate"] == "closed"
            assert (await daemon.ask("/-/reload", method="POST"))[0] == 503
            resource.prlimit(daemon.pid, resource.RLIMIT_FSIZE, unlimited)
            await is_ready(daemon)
            (found,) = await daemon.get("/api/v1/findings")
            await daemon.stop(kill=True)
            await daemon.start()
            await is_ready(daemon)
            assert [one["id"] for one in await daemon.get("/api/v1/findings")] == [found["id"]]
            gate = await daemon.get("/api/v1/gate/eth-cold-1")
            assert (gate["gate"], gate["findings"]) == ("closed", [found["id"]])


async def test_the_password_of_postgresql_is_changed_under_a_daemon_that_goes_on(
    tmp_path: Path, exchange_database: PostgresDatabase
) -> None:
    database = exchange_database
    (tmp_path / "store").write_text(of_role(database, "first"))
    whole = config(DEAD, store_file="store")
    daemon = Daemon(tmp_path, whole)
    without = {key: value for key, value in yaml.safe_load(daemon.file.read_text()).items() if key != "store"}
    daemon.file.write_text(yaml.safe_dump(without))
    try:
        await daemon.start()
        await daemon.becomes("/readyz", lambda body: not any("store" in one for one in body["reasons"]))
        await database.run("alter role pyrometer password 'second'")
        assert (await daemon.ask("/-/reload", method="POST"))[0] == 200  # the audit log took it
        (tmp_path / "store").write_text(of_role(database, "second"))
        status, body = await daemon.ask("/-/reload", method="POST")
        assert (status, "restart to change it" in body["detail"]) == (422, True)
        await daemon.stop()
        await daemon.start()
        assert (await daemon.ask("/-/reload", method="POST"))[0] == 200
        code, out, _ = await run_command("audit", "verify", "--config", "pyrometer.yaml", cwd=tmp_path)
        assert (code, out.startswith("ok: 3 records hold")) == (0, True)  # the refused one among them
    finally:
        await daemon.stop(kill=True)
