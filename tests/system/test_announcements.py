"""Staff sweep the wallets of an exchange while it is being robbed: the sweep was announced, the theft was not."""

from __future__ import annotations

import hashlib
import json
import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.integration.anvil import AnvilNode
from tests.system.daemon import Daemon, run_command, running_daemon, until
from tests.system.exchange import COLD, ETHER, HOT, config

pytestmark = [pytest.mark.real, pytest.mark.timeout(600)]

ROBBED, FRESH, THIEF = "0x" + "a2" * 20, "0x" + "f5" * 20, "0x" + "66" * 20
PEOPLE = {"aya": "aya-throw-away", "ben": "ben-throw-away"}
RULES = [
    {"kind": "cold_moved"},
    {"kind": "drain", "name": "drain-asset", "window": "10m", "max_share": 0.1},
    {"kind": "drain", "name": "drain-wallet", "window": "10m", "max_share": 0.1, "of": "wallet"},
    {"kind": "unknown_destination", "tiers": ["hot", "cold"]},
]


def exchange(folder: Path, url: str) -> dict[str, Any]:
    entries = [
        {"name": name, "scope": "operate", "sha256": hashlib.sha256(text.encode()).hexdigest()}
        for name, text in PEOPLE.items()
    ]
    (folder / "tokens.yaml").write_text(yaml.safe_dump(entries))
    whole = config(url, policies=RULES, api={"listen": "127.0.0.1:0", "tokens_file": "tokens.yaml"})
    whole["wallets"]["eth-hot-2"] = {"chain": "ethereum", "tier": "hot", "addresses": [ROBBED]}
    return whole


async def announced(daemon: Daemon, wallet: str, *, at_most: str) -> str:
    """Announced by Aya, approved by Ben; its id."""
    now = datetime.now(UTC)
    plan = {
        "wallet": wallet,
        "asset": "ETH",
        "at_most": at_most,
        "destinations": [FRESH],
        "starts": now.isoformat(),
        "ends": (now + timedelta(hours=1)).isoformat(),
        "ticket": "EMERGENCY-1",
    }
    route = "/api/v1/announcements"
    status, one = await daemon.ask(route, method="POST", token=PEOPLE["aya"], body=plan)
    assert status == 201, one
    approval = f"{route}/{one['id']}/approval"
    assert (await daemon.ask(approval, method="POST", token=PEOPLE["aya"]))[0] == 403
    status, one = await daemon.ask(approval, method="POST", token=PEOPLE["ben"])
    assert (status, one["state"]) == (200, "approved")
    return str(one["id"])


def firing(findings: list[dict[str, Any]]) -> set[str]:
    return {f"{one['alert']} {one['subject']}" for one in findings if one["state"] == "firing"}


async def a_block_later(daemon: Daemon, anvil: AnvilNode) -> None:
    """What came before it was judged by then."""
    height = (await anvil.head())[0] + 1
    await anvil.mine()
    await daemon.becomes("/api/v1/chains", lambda body: body["ethereum"]["height"] >= height)


def consumed(folder: Path) -> list[str]:
    """The stages of the payments that the store knows to be explained."""
    with closing(sqlite3.connect(folder / "pyrometer.db")) as connection:
        rows = connection.execute("select body from pyrometer_memory where kind = 'consumption'").fetchall()
    return [json.loads(body)["stage"] for (body,) in rows]


async def test_an_announced_sweep_in_an_emergency_stays_silent_beside_the_theft_and_one_unit_more_does_not(
    tmp_path: Path,
) -> None:
    async with AnvilNode() as anvil:
        await anvil.set_balances({HOT: 10 * ETHER, COLD: 90 * ETHER, ROBBED: 10 * ETHER, THIEF: ETHER})
        await anvil.mine()
        async with running_daemon(tmp_path, exchange(tmp_path, anvil.url)) as daemon:
            daemon.token = PEOPLE["aya"]
            await daemon.becomes("/readyz", lambda body: body["status"] == "ready")
            # The theft.
            await anvil.send(ROBBED, to=THIEF, value=5 * ETHER)
            await anvil.mine()
            robbed = {"PyrometerDrain eth-hot-2/ETH", "PyrometerUnknownDestination eth-hot-2"}
            await daemon.becomes("/api/v1/findings", lambda body: firing(body) == robbed)
            # The staff, an announcement for each wallet; the sweeps lie in one block.
            plans = [
                await announced(daemon, "eth-hot-1", at_most="10"),
                await announced(daemon, "eth-cold-1", at_most="90"),
            ]
            await anvil.send(HOT, to=FRESH, value=10 * ETHER)
            await anvil.send(COLD, to=FRESH, value=90 * ETHER)
            await anvil.mine()
            for plan in plans:
                route = f"/api/v1/announcements/{plan}"
                one = await daemon.becomes(route, lambda body: body["left"] == "0")
                assert [payment["stage"] for payment in one["payments"]] in (["pending"], ["mined"])
            await daemon.becomes(
                "/api/v1/wallets", lambda body: body["eth-cold-1"]["holdings"].get("ETH", {}).get("amount") == "0"
            )
            # What is judged after the sweep: a block later at the latest.
            await a_block_later(daemon, anvil)
            report = await daemon.get("/api/v1/report")
            assert firing(report["findings"]) == robbed
            asset = next(one for one in report["verdicts"] if (one["policy"], one["subject"]) == ("drain-asset", "ETH"))
            assert asset["verdict"] == "ok"
            # What was used up stays used up over a restart, and what was announced stays announced.
            await until(lambda: consumed(tmp_path) == ["mined", "mined"], what="the payments that were explained")
            await daemon.stop(kill=True)
            await daemon.start()
            await daemon.becomes("/readyz", lambda body: body["status"] == "ready")
            for plan in plans:
                await daemon.becomes(f"/api/v1/announcements/{plan}", lambda body: body.get("left") == "0")
            await a_block_later(daemon, anvil)
            assert firing(await daemon.get("/api/v1/findings")) == robbed
            # One unit more than was announced.
            await anvil.set_balances({COLD: 1})
            await anvil.mine()
            await anvil.send(COLD, to=FRESH, value=1)
            await anvil.mine()
            beyond = {"PyrometerColdMoved eth-cold-1", "PyrometerUnknownDestination eth-cold-1"}
            await daemon.becomes("/api/v1/findings", lambda body: firing(body) == robbed | beyond)
            assert (await daemon.ask("/-/reload", method="POST"))[0] == 200
            assert await daemon.stop() == 0
        await the_log_holds_until_somebody_changes_it(tmp_path)


async def test_who_is_announced_is_known_for_that_transfer_and_its_twin_rings(tmp_path: Path) -> None:
    """The same amount to the same stranger, from a wallet that was announced and from one that was not."""
    async with AnvilNode() as anvil:
        await anvil.set_balances({HOT: 10 * ETHER, COLD: 90 * ETHER, ROBBED: 10 * ETHER})
        await anvil.mine()
        async with running_daemon(tmp_path, exchange(tmp_path, anvil.url)) as daemon:
            daemon.token = PEOPLE["aya"]
            await daemon.becomes("/readyz", lambda body: body["status"] == "ready")
            plan = await announced(daemon, "eth-hot-1", at_most="1")
            await anvil.send(HOT, to=FRESH, value=ETHER // 2)
            await daemon.becomes(f"/api/v1/announcements/{plan}", lambda body: body["left"] == "0.5")
            await a_block_later(daemon, anvil)
            assert firing(await daemon.get("/api/v1/findings")) == set()
            await anvil.send(ROBBED, to=FRESH, value=ETHER // 2)
            twin = {"PyrometerUnknownDestination eth-hot-2"}
            await daemon.becomes("/api/v1/findings", lambda body: firing(body) == twin)
            await anvil.send(HOT, to=FRESH, value=ETHER // 2 + 1)
            exceeding = twin | {"PyrometerUnknownDestination eth-hot-1"}
            found = await daemon.becomes("/api/v1/findings", lambda body: firing(body) == exceeding)
            (summary,) = (one["summary"] for one in found if one["subject"] == "eth-hot-1")
            more = "0.500000000000000001 ETH to " + FRESH + ", 0.000000000000000001 more than was announced"
            assert more.lower() in summary.lower()


async def the_log_holds_until_somebody_changes_it(folder: Path) -> None:
    """What was announced, refused, approved and reloaded, and a record that is changed in the database."""
    file = folder / "pyrometer.db"
    with closing(sqlite3.connect(file)) as connection, connection:
        texts = connection.execute("select body from pyrometer_audit order by number").fetchall()
        told = [(json.loads(text)["who"], json.loads(text)["what"]) for (text,) in texts]
    sweep = [("aya", "announce"), ("aya", "refused"), ("ben", "approve")]
    assert told == [*sweep, *sweep, ("aya", "reload")]
    verify = ("audit", "verify", "--config", str(folder / "pyrometer.yaml"))
    code, out, _ = await run_command(*verify, "--json", cwd=folder)
    found = json.loads(out)
    assert (code, found["holds"], found["records"]) == (0, True, 7)
    assert (await run_command(*verify, "--holds", found["head"], cwd=folder))[0] == 0
    with closing(sqlite3.connect(file)) as connection, connection:
        connection.execute("update pyrometer_audit set body = replace(body, 'ben', 'aya') where number = 3")
    code, out, _ = await run_command(*verify, cwd=folder)
    assert code == 6
    assert out.startswith("BROKEN at record 3: body: ")
