"""The gate of the real daemon, read by the documented signer: closed by a theft, and over kill -9; opened by people."""

import asyncio
import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.integration.anvil import AnvilNode, Forger
from tests.integration.mosquitto import PASSWORD, USER, Mosquitto
from tests.integration.subscriber import subscribed
from tests.signers import over_http
from tests.system.daemon import Daemon, running_daemon
from tests.system.exchange import COLD, OUTSIDE, config, fund, move

pytestmark = [pytest.mark.real, pytest.mark.timeout(300)]

COLD_GATE, HOT_GATE = "/api/v1/gate/eth-cold-1", "/api/v1/gate/eth-hot-1"
STOPS = {
    "kind": "cold_moved",
    "name": "cold-moved",
    "closes": "wallets",
    "keep": "1s",
    "clear_after": "100ms",
}


async def say(daemon: Daemon, path: str, *, opens: bool, reason: str = "SEC-1") -> tuple[int, Any]:
    async with (
        aiohttp.ClientSession() as session,
        session.post(f"{daemon.url}{path}", json={"open": opens, "reason": reason}) as response,
    ):
        return response.status, await response.json(content_type=None)


async def opens_at_last(daemon: Daemon, path: str) -> None:
    """As an operator who tries again when a finding, or the first look at the chain, has come in between."""
    async with asyncio.timeout(60):
        while (answer := await say(daemon, path, opens=True, reason="SEC-4711"))[0] != 200:
            assert answer[0] == 409, answer
            await asyncio.sleep(0.2)
    assert answer[1]["gate"] == "open"


def audited(folder: Path) -> list[tuple[str, str, str]]:
    """Who did what, and why, as the audit log has it."""
    with closing(sqlite3.connect(folder / "pyrometer.db")) as database:
        bodies = [json.loads(body) for (body,) in database.execute("select body from pyrometer_audit order by number")]
    return [(body["who"], body["what"], body["why"]) for body in bodies]


async def opened(daemon: Daemon, path: str = COLD_GATE) -> None:
    await daemon.becomes(path, lambda body: body.get("gate") == "open")


async def test_a_theft_closes_the_gate_which_stays_closed_over_kill_9_until_an_operator_opens_it(
    tmp_path: Path,
) -> None:
    may_sign = over_http()

    async def signs(daemon: Daemon, wallet: str = "eth-cold-1") -> bool:
        return await asyncio.to_thread(may_sign, wallet, url=daemon.url)

    async with AnvilNode() as anvil:
        await fund(anvil, hot=10_000, cold=990_000)
        async with running_daemon(tmp_path, config(anvil.url, policies=[STOPS], chain={"max_age": "60s"})) as daemon:
            await opened(daemon)
            assert await signs(daemon)
            assert not await signs(daemon, "nobody")
            await move(anvil, COLD, OUTSIDE, thousandths=1)
            said = await daemon.becomes(COLD_GATE, lambda body: body["gate"] == "closed" and body["findings"])
            assert said["reason"].startswith("PyrometerColdMoved (cold-moved, eth-cold-1): eth-cold-1 pays out 0.001")
            assert not await signs(daemon)
            assert await signs(daemon, "eth-hot-1")
            wallets = await daemon.becomes("/api/v1/wallets", lambda body: body["eth-cold-1"]["gate"] == "closed")
            assert wallets["eth-hot-1"]["gate"] == "open"
            assert (await daemon.metrics())['pyrometer_gate_open{wallet="eth-cold-1"}'] == 0
            # The finding is over; the gate is not.
            resolved = "/api/v1/findings?state=resolved"
            over = await daemon.becomes(resolved, lambda body: [one for one in body if one["id"] in said["findings"]])
            assert over[0]["fired"] == said["since"]  # the very pass
            assert (await daemon.get(COLD_GATE))["gate"] == "closed"

            await daemon.stop(kill=True)
            assert not await signs(daemon)
            await daemon.start()
            first = await daemon.get(COLD_GATE)
            assert (first["gate"], first["since"], first["findings"]) == ("closed", said["since"], said["findings"])
            await opened(daemon, HOT_GATE)
            assert (await daemon.get(COLD_GATE))["reason"] == said["reason"]
            assert not await signs(daemon)

            assert (await say(daemon, COLD_GATE, opens=True, reason=" "))[0] == 400
            status, body = await say(daemon, COLD_GATE, opens=True, reason="SEC-4711")
            assert (status, body["gate"], body["by"], body["reason"]) == (200, "open", "local", "SEC-4711")
            assert await signs(daemon)
            await daemon.stop(kill=True)
            assert [(who, what) for who, what, _ in audited(tmp_path)] == [
                ("pyrometer", "gate_closed"),
                ("local", "refused"),  # an opening without a reason
                ("local", "gate_opened"),
            ]
            assert [why for _, what, why in audited(tmp_path) if what != "refused"] == [said["reason"], "SEC-4711"]
            await daemon.start()
            await opened(daemon)
            assert (await daemon.get(COLD_GATE))["by"] == "local"


async def test_a_gate_is_closed_while_nobody_sees_its_chain_and_opens_by_itself(tmp_path: Path) -> None:
    async with AnvilNode() as anvil, Forger(anvil.url).running() as node:
        await fund(anvil, hot=10_000, cold=990_000)
        async with running_daemon(tmp_path, config(node.url, policies=[STOPS])) as daemon:
            await opened(daemon)
            node.drop = True
            said = await daemon.becomes(COLD_GATE, lambda body: body["gate"] == "closed")
            assert said["reason"].startswith("nobody sees ethereum: ")
            assert not said["findings"]
            status, body = await say(daemon, COLD_GATE, opens=True)
            assert (status, "nobody sees ethereum" in body["detail"]) == (409, True)
            node.drop = False
            await opened(daemon)


async def test_without_the_store_a_gate_can_be_closed_and_not_opened(tmp_path: Path) -> None:
    async with AnvilNode() as anvil:
        await fund(anvil, hot=10_000, cold=990_000)
        async with running_daemon(tmp_path, config(anvil.url, policies=[STOPS])) as daemon:
            await opened(daemon)
            with closing(sqlite3.connect(tmp_path / "pyrometer.db", isolation_level=None, timeout=30)) as database:
                database.execute("BEGIN IMMEDIATE")
                status, body = await say(daemon, COLD_GATE, opens=False, reason="SEC-1")
                assert (status, body["gate"], body["reason"]) == (200, "closed", "SEC-1")
                status, body = await say(daemon, COLD_GATE, opens=True)
                assert (status, "stays closed" in body["detail"]) == (503, True)
                assert (await daemon.get(COLD_GATE))["gate"] == "closed"
                database.execute("ROLLBACK")
            await daemon.logged("store up: every gate is saved")
            await daemon.stop(kill=True)
            assert ("local", "gate_closed", "SEC-1") in audited(tmp_path)
            await daemon.start()
            assert (await daemon.get(COLD_GATE))["reason"] == "SEC-1"


async def test_a_wallet_that_is_renamed_while_its_gate_is_closed_stays_closed_for_every_signer(tmp_path: Path) -> None:
    """By a reload, and by a restart after kill -9; whoever asks for the old name reads no word but closed."""
    may_sign = over_http()

    def called(name: str, url: str, *, broker: Mosquitto) -> dict[str, Any]:
        mqtt = {"host": "127.0.0.1", "port": broker.port, "username": USER, "password_file": "password"}
        more = config(url, policies=[STOPS], chain={"max_age": "60s"}, mqtt=mqtt)
        more["wallets"][name] = more["wallets"].pop("eth-cold-1")
        return more

    async def closed(daemon: Daemon, name: str) -> dict[str, Any]:
        said = await daemon.becomes(f"/api/v1/gate/{name}", lambda body: "closed for eth-cold-1 since" in str(body))
        await subscriber.until(lambda: b'"gate":"closed"' in subscriber.holds.get(f"gate/{name}", b""))
        for gone in {"eth-cold-1", "second", "third"} - {name}:
            assert (await daemon.ask(f"/api/v1/gate/{gone}"))[0] == 404
            assert not await asyncio.to_thread(may_sign, gone, url=daemon.url)
            await subscriber.until(lambda gone=gone: f"gate/{gone}" not in subscriber.holds)  # type: ignore[misc]
        assert not await asyncio.to_thread(may_sign, name, url=daemon.url)
        return dict(said)

    broker = Mosquitto(tmp_path)
    broker.start()
    (tmp_path / "password").write_text(f"{PASSWORD}\n")
    try:
        async with AnvilNode() as anvil, subscribed(broker) as subscriber:
            await fund(anvil, hot=10_000, cold=990_000)
            first = called("eth-cold-1", anvil.url, broker=broker)
            async with running_daemon(tmp_path, first) as daemon:
                await opened(daemon)
                await move(anvil, COLD, OUTSIDE, thousandths=1)
                said = await daemon.becomes(COLD_GATE, lambda body: body["gate"] == "closed" and body["findings"])
                daemon.configure(called("second", anvil.url, broker=broker))
                assert (await daemon.ask("/-/reload", method="POST"))[0] == 200
                second = await closed(daemon, "second")
                assert second["reason"].startswith(f"{said['reason']} (closed for eth-cold-1 since ")
                assert set(said["findings"]) <= set(second["findings"])

                await daemon.stop(kill=True)
                daemon.configure(called("third", anvil.url, broker=broker))
                await daemon.start()
                third = await closed(daemon, "third")
                assert "closed for second since" in third["reason"]
                await opens_at_last(daemon, "/api/v1/gate/third")

                await daemon.stop(kill=True)
                await daemon.start()
                await opened(daemon, "/api/v1/gate/third")
                told = [(who, what) for who, what, _ in audited(tmp_path) if what.startswith("gate_")]
                assert told[:3] == [("pyrometer", "gate_closed")] * 3
                assert told[-1] == ("local", "gate_opened")
    finally:
        broker.stop()
