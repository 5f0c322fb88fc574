"""Law 1 on the real process: a node that dies leaves no frozen number, no zero, and a reason."""

from pathlib import Path

import pytest

from tests.integration.anvil import AnvilNode, Forger
from tests.system.daemon import Daemon, gauges, run_command, running_daemon
from tests.system.exchange import COLD, HOT, config, fund, move

pytestmark = [pytest.mark.real, pytest.mark.timeout(300)]

NUMBERS = r"pyrometer_(holdings|wallet_balance|exposure_value|chain_height|hot_share_ratio\{bound=\"value\")"


async def verdict(daemon: Daemon, wanted: str) -> None:
    await daemon.becomes("/api/v1/status", lambda body: body.get("verdict") == wanted)


async def test_a_dead_node_freezes_nothing_zeroes_nothing_and_comes_back_by_itself(tmp_path: Path) -> None:
    async with AnvilNode(state=tmp_path / "state.json") as anvil:
        await fund(anvil, hot=10_000, cold=990_000)
        rules = [
            {"kind": "hot_share", "name": "hot-share", "limit": 0.05},
            {"kind": "blind", "hold": "1s", "clear_after": "0s"},
        ]
        async with running_daemon(tmp_path, config(anvil.url, policies=rules)) as daemon:
            await verdict(daemon, "ok")
            before = await daemon.metrics()
            assert len(gauges(before, NUMBERS)) == 10
            assert (await daemon.ask("/readyz"))[0] == 200

            await anvil.stop()
            await verdict(daemon, "unknown")
            after = await daemon.metrics()
            assert gauges(after, NUMBERS) == {}
            unknown = 'pyrometer_verdict{policy="hot-share",severity="critical",subject="all",verdict="unknown"}'
            assert after[unknown] == 1
            assert gauges(after, "pyrometer_unread_accounts") == {
                'pyrometer_unread_accounts{chain="ethereum",reason="unavailable"}': 2
            }
            age = 'pyrometer_chain_reading_age_seconds{chain="ethereum"}'
            assert (await daemon.metrics())[age] > after[age] > 2
            status, body = await daemon.ask("/readyz")
            assert status == 503
            assert body["reasons"][0].startswith("ethereum: unavailable: ")
            assert (await daemon.ask("/healthz"))[0] == 200
            wallet = await daemon.get("/api/v1/wallets/eth-hot-1")
            assert (wallet["holdings"], wallet["last"]["ETH"]["amount"]) == ({}, "10")
            (blind,) = await daemon.becomes("/api/v1/findings", lambda body: body and body[0]["state"] == "firing")
            assert (blind["alert"], blind["subject"]) == ("PyrometerBlind", "chain:ethereum")

            code, out, _ = await run_command("once", "--config", str(daemon.file), "--json", cwd=tmp_path)
            assert code == 4
            assert '"holdings": {}' in out

            await anvil.start()
            await verdict(daemon, "ok")
            assert len(gauges(await daemon.metrics(), NUMBERS)) == 10
            assert (await daemon.ask("/readyz"))[0] == 200
            await daemon.becomes("/api/v1/findings", lambda body: body == [])


async def test_a_test_chain_that_begins_anew_is_followed(tmp_path: Path) -> None:
    async with AnvilNode() as anvil:
        await fund(anvil, hot=10_000, cold=990_000)
        async with running_daemon(tmp_path, config(anvil.url)) as daemon:
            await verdict(daemon, "ok")
            await anvil.restart(genesis_time=anvil.genesis_time + 5)
            await fund(anvil, hot=20_000, cold=980_000)
            await daemon.becomes(
                "/api/v1/wallets/eth-hot-1", lambda body: body["holdings"].get("ETH", {}).get("amount") == "20"
            )


async def test_one_account_in_error_is_unread_with_its_reason_and_the_others_stand(tmp_path: Path) -> None:
    async with AnvilNode() as anvil, Forger(anvil.url).running() as node:
        await fund(anvil, hot=10_000, cold=990_000)
        async with running_daemon(tmp_path, config(node.url)) as daemon:
            await verdict(daemon, "ok")
            node.refused.add(COLD)
            await move(anvil, HOT, COLD, thousandths=1_000)
            await daemon.becomes("/api/v1/wallets/eth-cold-1", lambda body: body["unread"] == 1)
            wallets = await daemon.get("/api/v1/wallets")
            assert wallets["eth-hot-1"]["holdings"]["ETH"]["amount"] == "9"
            assert wallets["eth-cold-1"]["last"]["ETH"]["amount"] == "990"
            reasons = gauges(await daemon.metrics(), "pyrometer_unread_accounts")
            assert reasons == {'pyrometer_unread_accounts{chain="ethereum",reason="node_error"}': 1}
            await verdict(daemon, "unknown")

            node.refused.clear()
            await move(anvil, HOT, COLD, thousandths=1_000)
            await verdict(daemon, "ok")


async def test_a_node_of_another_chain_is_never_read(tmp_path: Path) -> None:
    async with AnvilNode(chain_id=5) as anvil:
        await fund(anvil, hot=10_000, cold=990_000)
        async with running_daemon(tmp_path, config(anvil.url)) as daemon:
            chains = await daemon.becomes("/api/v1/chains", lambda body: body["ethereum"]["reason"] == "misconfigured")
            assert chains["ethereum"]["height"] is None
            assert "5" in chains["ethereum"]["detail"]
            code, _, _ = await run_command("check", "--config", str(daemon.file), "--live", cwd=tmp_path)
            assert code == 4


async def test_garbage_of_ten_megabytes_is_no_answer(tmp_path: Path) -> None:
    async with AnvilNode() as anvil, Forger(anvil.url).running() as node:
        await fund(anvil, hot=10_000, cold=990_000)
        async with running_daemon(tmp_path, config(node.url)) as daemon:
            await verdict(daemon, "ok")
            node.garbage = b"[" + b"0," * 5_000_000 + b"0]"
            await verdict(daemon, "unknown")
            chains = await daemon.get("/api/v1/chains")
            assert chains["ethereum"]["reason"] == "bad_answer"
            node.garbage = None
            await verdict(daemon, "ok")
