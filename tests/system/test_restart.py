"""The real process is killed and started again on a real chain: what it knew it knows, and what happened shows."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.integration.anvil import AnvilNode
from tests.system.daemon import Daemon, running_daemon, until
from tests.system.exchange import COLD, ETHER, HOT, OUTSIDE, config, fund, move

pytestmark = [pytest.mark.real, pytest.mark.timeout(300)]

COLD_MOVED = {"kind": "cold_moved", "clear_after": "200ms"}
DRAIN = {"kind": "drain", "window": "10m", "max_share": 0.1, "clear_after": "200ms"}
Found = list[dict[str, Any]]


@pytest.fixture
async def anvil() -> AsyncIterator[AnvilNode]:
    async with AnvilNode() as node:
        await fund(node, hot=10_000, cold=90_000)
        yield node


def watching(anvil: AnvilNode, *policies: dict[str, Any]) -> dict[str, Any]:
    return config(anvil.url, policies=list(policies))


async def is_ready(it: Daemon) -> None:
    await it.becomes("/readyz", lambda body: body["status"] == "ready")


async def again(it: Daemon) -> None:
    """Killed as by the system, and started again."""
    await it.stop(kill=True)
    await it.start()


async def finding(it: Daemon, alert: str) -> dict[str, Any]:
    """The one open finding with that alert, once it fires."""

    def fires(body: Found) -> bool:
        return [one["state"] for one in body if one["alert"] == alert] == ["firing"]

    (found,) = [one for one in await it.becomes("/api/v1/findings", fires) if one["alert"] == alert]
    return dict(found)


async def wrote(it: Daemon, kind: str, *, text: str) -> None:
    """Until the store holds a row of this kind with this in it."""
    file = it.file.parent / "pyrometer.db"

    def is_there() -> bool:
        with closing(sqlite3.connect(file)) as connection:
            rows = connection.execute("select body from pyrometer_memory where kind = ?", (kind,)).fetchall()
        return any(text in body for (body,) in rows)

    await until(is_there, what=f"no {kind} with {text}")


async def begun(it: Daemon, anvil: AnvilNode) -> None:
    """Until it has written down which block it has read, and what was held there."""
    await is_ready(it)
    await wrote(it, "branch", text=(await anvil.head())[1])


async def passes(it: Daemon, *, blocks: int, anvil: AnvilNode) -> None:
    """So many blocks are made and judged."""
    for _ in range(blocks):
        await anvil.mine()
        _, tip = await anvil.head()
        await it.becomes("/api/v1/chains", partial(_is_at, tip))


def _is_at(tip: str, chains: dict[str, Any]) -> bool:
    return bool(chains["ethereum"]["hash"] == tip)


@pytest.mark.parametrize("moment", [0.0, 0.02, 0.1, 0.4, 1.5])
async def test_whenever_it_is_killed_a_payment_out_of_the_vault_is_one_finding(
    anvil: AnvilNode, tmp_path: Path, moment: float
) -> None:
    async with running_daemon(tmp_path, watching(anvil, COLD_MOVED)) as it:
        await begun(it, anvil)
        await move(anvil, COLD, OUTSIDE, thousandths=1)
        await it.logged("a cold wallet pays")
        await asyncio.sleep(moment)
        before = await it.get("/api/v1/findings")
        await again(it)
        found = await finding(it, "PyrometerColdMoved")
        if before:
            assert [one["id"] for one in before] == [found["id"]]
        (moved,) = await it.becomes("/api/v1/movements?wallet=eth-cold-1&stage=mined", len)
        await passes(it, blocks=3, anvil=anvil)
        (same,) = await it.get("/api/v1/findings")
        assert (same["id"], same["verdict"], same["state"]) == (found["id"], "breach", "firing")
        assert [one["transaction"] for one in same["evidence"]["transactions"]] == [moved["transaction"]]
        assert [step["stage"] for step in moved["history"]] in (["mined"], ["pending", "mined"])


async def test_a_payment_that_waits_at_the_restart_and_is_mined_then_is_one_finding(
    anvil: AnvilNode, tmp_path: Path
) -> None:
    async with running_daemon(tmp_path, watching(anvil, COLD_MOVED)) as it:
        await is_ready(it)
        await anvil.send(COLD, to=OUTSIDE, value=ETHER)
        found = await finding(it, "PyrometerColdMoved")
        await again(it)
        await is_ready(it)
        assert (await finding(it, "PyrometerColdMoved"))["id"] == found["id"]
        await anvil.mine()
        mined = "/api/v1/movements?wallet=eth-cold-1&stage=mined"
        (moved,) = await it.becomes(mined, len)
        assert [step["stage"] for step in moved["history"]] == ["pending", "mined"]
        assert (await finding(it, "PyrometerColdMoved"))["id"] == found["id"]


async def test_a_payment_that_is_mined_while_nobody_watches_is_told_by_the_restart(
    anvil: AnvilNode, tmp_path: Path
) -> None:
    async with running_daemon(tmp_path, watching(anvil, COLD_MOVED)) as it:
        await is_ready(it)
        await anvil.send(COLD, to=OUTSIDE, value=ETHER)
        found = await finding(it, "PyrometerColdMoved")
        await wrote(it, "branch", text=(await anvil.head())[1])
        await it.stop(kill=True)
        await anvil.mine()
        await move(anvil, COLD, OUTSIDE, thousandths=5)
        await it.start()
        movements = await it.becomes("/api/v1/movements?wallet=eth-cold-1&stage=mined", lambda body: len(body) == 2)
        assert [len(one["history"]) for one in movements] == [1, 2]
        assert (await finding(it, "PyrometerColdMoved"))["id"] == found["id"]


@pytest.mark.parametrize(("second", "fires"), [(8_000, True), (700, False)], ids=["nine and eight", "nine and less"])
async def test_a_thief_who_waits_for_a_restart_gains_nothing(
    anvil: AnvilNode, tmp_path: Path, second: int, *, fires: bool
) -> None:
    """Nine percent before it and some after it within one window are more than a tenth."""
    async with running_daemon(tmp_path, watching(anvil, DRAIN)) as it:
        await is_ready(it)
        await wrote(it, "window", text='"100')
        await move(anvil, HOT, OUTSIDE, thousandths=9_000)
        await passes(it, blocks=1, anvil=anvil)
        assert await it.get("/api/v1/findings") == []
        await again(it)
        await is_ready(it)
        await move(anvil, COLD, OUTSIDE, thousandths=second)
        await passes(it, blocks=1, anvil=anvil)
        if not fires:
            assert await it.get("/api/v1/findings") == []
            return
        found = await finding(it, "PyrometerDrain")
        assert (found["evidence"]["highest"], found["evidence"]["held_at_most"]) == ("100", "83")
        await again(it)
        assert (await finding(it, "PyrometerDrain"))["id"] == found["id"]
        await is_ready(it)
        await passes(it, blocks=3, anvil=anvil)
        assert [(one["id"], one["verdict"]) for one in await it.get("/api/v1/findings")] == [(found["id"], "breach")]


async def test_what_goes_while_nobody_watches_is_a_drain_and_says_that_nobody_watched(
    anvil: AnvilNode, tmp_path: Path
) -> None:
    async with running_daemon(tmp_path, watching(anvil, DRAIN)) as it:
        await is_ready(it)
        await wrote(it, "window", text='"100')
        assert await it.stop() == 0
        await move(anvil, HOT, OUTSIDE, thousandths=10_000)
        await move(anvil, COLD, OUTSIDE, thousandths=1)
        await it.start()
        found = await finding(it, "PyrometerDrain")
        assert found["evidence"]["highest"] == "100"
        gap = found["evidence"]["not_watched"]
        assert found["evidence"]["highest_until"] == gap["from"] < gap["until"] == found["evidence"]["watched_since"]


async def test_what_a_reorganisation_undoes_while_nobody_watches_does_not_stand(
    anvil: AnvilNode, tmp_path: Path
) -> None:
    """Neither a payment as mined, nor a deposit as something that has left."""
    rich = "0x" + "ab" * 20
    await anvil.set_balances({rich: 10**21})
    await anvil.mine()
    async with running_daemon(tmp_path, watching(anvil, COLD_MOVED, DRAIN)) as it:
        await is_ready(it)
        await move(anvil, rich, HOT, thousandths=50_000)
        await passes(it, blocks=1, anvil=anvil)
        await move(anvil, COLD, OUTSIDE, thousandths=1)
        await passes(it, blocks=2, anvil=anvil)
        assert len(await it.get("/api/v1/movements?stage=mined")) == 2
        await wrote(it, "window", text='"150')
        await wrote(it, "branch", text=(await anvil.head())[1])
        await it.stop(kill=True)
        await anvil.rpc("anvil_reorg", 5, [])
        await anvil.mine()
        await it.start()
        await is_ready(it)
        movements = await it.becomes("/api/v1/movements", lambda body: {one["stage"] for one in body} == {"pending"})
        assert [[step["stage"] for step in one["history"]] for one in movements] == [["mined", "pending"]] * 2
        await passes(it, blocks=2, anvil=anvil)
        alerts = {one["alert"] for one in await it.get("/api/v1/findings")}
        assert alerts == {"PyrometerColdMoved"}
