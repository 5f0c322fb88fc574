"""The real process on a real PostgreSQL: killed with it, or left without it, it loses no finding, page or day."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.integration.alertmanager import running_alertmanager
from tests.integration.anvil import AnvilNode
from tests.integration.postgres import PASSWORD, Postgres, started
from tests.integration.postgres_databases import PostgresDatabase
from tests.system.daemon import Daemon, run_command, running_daemon, until
from tests.system.exchange import COLD, HOT, config, fund, move
from tests.system.test_one_page import active, becomes_finding, wait_for_verdict

pytestmark = [pytest.mark.real, pytest.mark.timeout(300)]

OUTCOMES = "select event, settled is not null, refusal from pyrometer_notifications order by seq"


@pytest.fixture(scope="module")
def running() -> Iterator[Postgres]:
    yield from started()


@pytest.fixture
def database(running: Postgres) -> PostgresDatabase:
    running.start_again()
    return PostgresDatabase(running)


async def start_again(server: Postgres) -> None:
    await asyncio.to_thread(server.start_again)


async def test_daemon_and_database_killed_between_finding_and_page_lose_neither(
    tmp_path: Path, database: PostgresDatabase
) -> None:
    async with AnvilNode() as anvil, running_alertmanager(tmp_path) as alertmanager:
        await fund(anvil, hot=10_000, cold=990_000)
        whole = config(anvil.url, store=database.url, alertmanager={"endpoints": [alertmanager.url]})
        async with running_daemon(tmp_path, whole) as daemon:
            await wait_for_verdict(daemon, "ok")
            await alertmanager.kill()
            await move(anvil, COLD, HOT, thousandths=90_000)
            found = await becomes_finding(daemon, "firing")
            await _stored(database, [("firing", False, None)])
            await daemon.stop(kill=True)
        database.server.kill()
        await start_again(database.server)
        await alertmanager.start()
        async with running_daemon(tmp_path, whole) as daemon:
            await until(lambda: alertmanager.heard("firing", subject="all"), what=daemon.log)
            again = await becomes_finding(daemon, "firing")
            assert (again["id"], again["since"]) == (found["id"], found["since"])
            await move(anvil, HOT, COLD, thousandths=90_000)
            await until(lambda: alertmanager.heard("resolved", subject="all"), what=daemon.log)
            await _stored(database, [("firing", True, None), ("resolved", True, None)])
            assert await daemon.stop() == 0
        assert len(alertmanager.heard("firing", subject="all")) == 1


async def test_a_database_that_dies_under_a_daemon_keeps_nobody_from_being_paged_and_gets_it_all_when_it_is_back(
    tmp_path: Path, database: PostgresDatabase
) -> None:
    async with AnvilNode() as anvil, running_alertmanager(tmp_path) as alertmanager:
        await fund(anvil, hot=10_000, cold=990_000)
        whole = config(anvil.url, store=database.url, alertmanager={"endpoints": [alertmanager.url]})
        async with running_daemon(tmp_path, whole) as daemon:
            await wait_for_verdict(daemon, "ok")
            database.server.kill()
            await move(anvil, COLD, HOT, thousandths=90_000)
            await until(lambda: alertmanager.heard("firing", subject="all"), what=daemon.log)
            body = await daemon.becomes("/readyz", lambda body: body["reasons"])
            assert PASSWORD not in str(body)
            assert (await daemon.metrics())["pyrometer_store_up"] == 0
            await daemon.logged("store down: everything is kept in memory")
            found = await becomes_finding(daemon, "firing")
            await start_again(database.server)
            await daemon.becomes("/readyz", lambda body: not body["reasons"])
            await _stored(database, [("firing", True, None)])
            await daemon.stop(kill=True)
            assert PASSWORD not in str(daemon.log)
        async with running_daemon(tmp_path, whole) as daemon:
            again = await becomes_finding(daemon, "firing")
            assert again["id"] == found["id"]
            assert len(await active(alertmanager)) == 1
        assert len(alertmanager.heard("firing", subject="all")) == 1


async def test_the_history_reaches_back_over_a_restart_of_both(tmp_path: Path, database: PostgresDatabase) -> None:
    async with AnvilNode() as anvil:
        await fund(anvil, hot=10_000, cold=990_000)
        whole = config(anvil.url, store=database.url, history={"grain": "1s"})
        began = datetime.now(UTC).replace(microsecond=0)
        async with running_daemon(tmp_path, whole) as daemon:
            await wait_for_verdict(daemon, "ok")
            (first, *_) = await _known_points(daemon, since=began)
            await daemon.stop(kill=True)
        database.server.kill()
        await start_again(database.server)
        async with running_daemon(tmp_path, whole) as daemon:
            await wait_for_verdict(daemon, "ok")
            assert first in await _known_points(daemon, since=began)


async def _known_points(daemon: Daemon, *, since: datetime) -> list[dict[str, Any]]:
    """Those of the hot share from then on that are wholly known, once there are any."""

    def known(body: Any) -> list[dict[str, Any]]:  # noqa: ANN401 - a JSON value
        return [point for point in body["points"] if point["value"] == "0.01" and point["known"] == 1]

    begin, end = (f"{moment:%Y-%m-%dT%H:%M:%SZ}" for moment in (since, since + timedelta(minutes=10)))
    path = f"/api/v1/history?metric=hot_share&from={begin}&to={end}&step=1s"
    return known(await daemon.becomes(path, known))


async def test_a_day_that_ended_while_both_were_down_is_closed_and_reported(
    tmp_path: Path, database: PostgresDatabase
) -> None:
    """What was kept is set back by 25 hours, so that its day is over when the daemon comes back."""
    async with AnvilNode() as anvil:
        await fund(anvil, hot=10_000, cold=990_000)
        whole = config(anvil.url, store=database.url, history={"grain": "1s"})
        async with running_daemon(tmp_path, whole) as daemon:
            await wait_for_verdict(daemon, "ok")
            await _stored_some(database)
            await daemon.stop()
        await database.run("update pyrometer_snapshots set at = at - interval '25 hours'")
        async with running_daemon(tmp_path, whole) as daemon:
            day = (await daemon.logged("a day is closed"))["day"]
            await daemon.stop(kill=True)
        database.server.kill()
        await start_again(database.server)
        first = await run_command("report", "--config", str(daemon.file), "--date", day, cwd=tmp_path)
        again = await run_command("report", "--config", str(daemon.file), "--date", day, cwd=tmp_path)
        assert first == again
        assert first[0] == 4, first  # most of the day nobody watched
        assert first[1].startswith(f"# Daily report of Example Exchange KK, {day}\n")


async def test_check_live_says_whether_the_database_answers(tmp_path: Path, database: PostgresDatabase) -> None:
    async with AnvilNode() as anvil:
        daemon = Daemon(tmp_path, config(anvil.url, store=database.url))
        code, out, _ = await run_command("check", "--live", "--config", str(daemon.file), cwd=tmp_path)
        assert [line.split() for line in out.splitlines() if " store" in line] == [["ok", "store"]]
        database.server.kill()
        code, out, err = await run_command("check", "--live", "--config", str(daemon.file), cwd=tmp_path)
        (line,) = (line for line in out.splitlines() if " store" in line)
        assert code == 4
        assert line.startswith("FAILED")
        assert f"store: store 127.0.0.1:{database.server.port}/{database.name}: " in line
        assert PASSWORD not in out + err
        assert "Traceback" not in out + err


async def test_a_report_from_a_database_that_is_down_is_one_line_and_1(
    tmp_path: Path, database: PostgresDatabase
) -> None:
    daemon = Daemon(tmp_path, config("http://127.0.0.1:9", store=database.url))
    database.server.kill()
    code, out, err = await run_command("report", "--config", str(daemon.file), "--date", "2026-11-20", cwd=tmp_path)
    assert (code, out, len(err.strip().splitlines())) == (1, "", 1), err
    assert PASSWORD not in err


async def _stored(database: PostgresDatabase, expected: list[tuple[object, ...]]) -> None:
    """Waits until the notifications are these, by event, whether settled, and refusal."""
    found: list[tuple[object, ...]] = []
    try:
        async with asyncio.timeout(60):
            while (found := await database.run(OUTCOMES)) != expected:  # noqa: ASYNC110 - in another process
                await asyncio.sleep(0.1)
    except TimeoutError:
        raise AssertionError(f"the notifications stayed {found}") from None


async def _stored_some(database: PostgresDatabase) -> None:
    async with asyncio.timeout(60):
        while await database.run("select count(*) from pyrometer_snapshots") == [(0,)]:  # noqa: ASYNC110 - elsewhere
            await asyncio.sleep(0.1)
