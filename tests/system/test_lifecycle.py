"""The process itself: signals, reload, exit codes, and errors as one line."""

import json
import socket
from pathlib import Path

import pytest
import yaml

from tests.integration.anvil import AnvilNode
from tests.system.daemon import Daemon, run_command, running_daemon
from tests.system.exchange import OUTSIDE, config, fund

pytestmark = [pytest.mark.real, pytest.mark.timeout(300)]


async def started(daemon: Daemon) -> None:
    await daemon.becomes("/api/v1/status", lambda body: body.get("verdict") == "ok")


async def test_sigterm_ends_it_in_good_order_with_0(tmp_path: Path) -> None:
    async with AnvilNode() as anvil:
        await fund(anvil, hot=10_000, cold=990_000)
        async with running_daemon(tmp_path, config(anvil.url)) as daemon:
            await started(daemon)
            assert await daemon.stop() == 0
            assert [entry["event"] for entry in daemon.log if entry.get("level") == "error"] == []


async def test_sigterm_before_any_node_has_answered_ends_it_too(tmp_path: Path) -> None:
    async with running_daemon(tmp_path, config("http://127.0.0.1:9")) as daemon:
        assert await daemon.stop() == 0


async def test_reload_swaps_wallets_and_rules_and_keeps_the_readings(tmp_path: Path) -> None:
    async with AnvilNode() as anvil:
        await fund(anvil, hot=40_000, cold=960_000)
        await anvil.set_balances({OUTSIDE: 7 * 10**18})
        await anvil.mine()
        whole = config(anvil.url)
        async with running_daemon(tmp_path, whole) as daemon:
            await started(daemon)
            before = (await daemon.get("/api/v1/config"))["sha256"]
            whole["wallets"]["eth-hot-2"] = {"chain": "ethereum", "tier": "hot", "addresses": [OUTSIDE]}
            whole["policies"] = [{"kind": "hot_share", "name": "tighter", "limit": 0.04}]
            daemon.configure(whole)
            status, body = await daemon.ask("/-/reload", method="POST")
            assert (status, body["reloaded"]) == (200, True)
            assert body["sha256"] != before
            wallets = await daemon.becomes("/api/v1/wallets", lambda body: body.get("eth-hot-2", {}).get("holdings"))
            assert wallets["eth-hot-2"]["holdings"]["ETH"]["amount"] == "7"
            findings = await daemon.becomes(
                "/api/v1/findings",
                lambda body: [i for i in body if i["policy"] == "tighter" and i["state"] == "firing"],
            )
            assert {item["policy"] for item in findings} == {"tighter"}
            assert (await daemon.metrics())["pyrometer_config_reload_success"] == 1


async def test_a_removed_wallet_leaves_no_series_and_its_finding_is_closed(tmp_path: Path) -> None:
    async with AnvilNode() as anvil:
        await fund(anvil, hot=10_000, cold=990_000)
        band = {"kind": "wallet_band", "name": "band", "wallets": ["eth-hot-1"], "asset": "ETH", "ceiling": 5}
        whole = config(anvil.url, policies=[band])
        async with running_daemon(tmp_path, whole) as daemon:
            await daemon.becomes("/api/v1/findings", lambda body: [i for i in body if i["subject"] == "eth-hot-1"])
            del whole["wallets"]["eth-hot-1"]
            whole["policies"] = []
            daemon.configure(whole)
            daemon.hang_up()
            await daemon.logged("reloaded")
            await daemon.becomes("/api/v1/findings", lambda body: body == [])
            assert not [name for name in await daemon.metrics() if "eth-hot-1" in name]
            (closed,) = await daemon.get("/api/v1/findings?state=resolved")
            assert closed["why_resolved"] == "no longer judged"


@pytest.mark.parametrize("way", ["signal", "http"])
async def test_a_bad_file_leaves_the_running_configuration_intact(tmp_path: Path, way: str) -> None:
    async with AnvilNode() as anvil:
        await fund(anvil, hot=10_000, cold=990_000)
        async with running_daemon(tmp_path, config(anvil.url)) as daemon:
            await started(daemon)
            before = await daemon.get("/api/v1/config")
            daemon.configure({**config(anvil.url), "walets": {}})
            if way == "signal":
                daemon.hang_up()
                await daemon.logged("reload refused, the running configuration stays")
            else:
                status, body = await daemon.ask("/-/reload", method="POST")
                assert status == 422
                assert "walets" in body["detail"]
                assert "wallets" in body["detail"]
            assert await daemon.get("/api/v1/config") == before
            assert (await daemon.get("/api/v1/status"))["verdict"] == "ok"
            assert (await daemon.metrics())["pyrometer_config_reload_success"] == 0


async def test_what_takes_a_restart_is_refused_by_reload(tmp_path: Path) -> None:
    async with AnvilNode() as anvil:
        await fund(anvil, hot=10_000, cold=990_000)
        async with running_daemon(tmp_path, config(anvil.url)) as daemon:
            await started(daemon)
            daemon.configure({**config(anvil.url), "store": "sqlite+aiosqlite:///elsewhere.db"})
            status, body = await daemon.ask("/-/reload", method="POST")
            assert status == 422
            assert "store differs from the running configuration; restart to change it" in body["detail"]


async def test_an_address_that_is_taken_is_fatal_in_one_line(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        listen = f"127.0.0.1:{taken.getsockname()[1]}"
        Daemon(tmp_path, config("http://127.0.0.1:9", api={"listen": listen}))
        code, _, err = await run_command("run", "--config", "pyrometer.yaml", cwd=tmp_path)
    assert code == 1
    last = err.strip().splitlines()[-1]
    assert last.startswith(f"pyrometer: api.listen: {listen}: ")
    assert "Traceback" not in err


async def test_a_bad_configuration_is_one_line_and_2_for_every_command(tmp_path: Path) -> None:
    (tmp_path / "pyrometer.yaml").write_text(yaml.safe_dump({"entity": "x"}))
    for verb in ("run", "once", "check"):
        code, out, err = await run_command(verb, "--config", "pyrometer.yaml", cwd=tmp_path)
        assert (code, out, len(err.strip().splitlines())) == (2, "", 1), err
        assert err.startswith("pyrometer: pyrometer.yaml")


async def test_check_counts_what_it_found_and_live_asks_everything(tmp_path: Path) -> None:
    async with AnvilNode() as anvil:
        await fund(anvil, hot=10_000, cold=990_000)
        dead = "http://127.0.0.1:9"
        daemon = Daemon(tmp_path, config(anvil.url, dead, alertmanager={"endpoints": [dead]}))
        code, out, _ = await run_command("check", "--config", str(daemon.file), cwd=tmp_path)
        assert code == 0
        assert "2 wallets, 2 accounts, 6 rules" in out
        code, out, _ = await run_command("check", "--config", str(daemon.file), "--live", cwd=tmp_path)
        words = {line[9:].split(":")[0]: line.split()[0] for line in out.splitlines()}
        assert code == 4
        assert words["chain ethereum, node node-1"] == "ok"
        assert words["chain ethereum, node node-2"] == "FAILED"
        assert words["store"] == "ok"
        assert words["alertmanager/127.0.0.1"] == "FAILED"


@pytest.mark.parametrize("speed", ["0", "-1", "nan", "1e9", "fast"])
async def test_a_demo_at_an_impossible_speed_is_one_line_and_2(tmp_path: Path, speed: str) -> None:
    code, out, err = await run_command("demo", "--speed", speed, cwd=tmp_path)
    assert (code, out) == (2, "")
    assert "--speed: " in err
    assert "Traceback" not in err


async def test_schema_and_version_need_nothing(tmp_path: Path) -> None:
    code, out, _ = await run_command("schema", cwd=tmp_path)
    assert code == 0
    assert "wallets" in json.loads(out)["properties"]
    code, out, _ = await run_command("version", cwd=tmp_path)
    assert code == 0
    assert out.startswith("pyrometer ")
    assert "web3 8" in out


async def test_once_prints_a_table_and_its_exit_code_is_the_verdict(tmp_path: Path) -> None:
    async with AnvilNode() as anvil:
        for hot, code in ((10_000, 0), (90_000, 3)):
            await fund(anvil, hot=hot, cold=1_000_000 - hot)
            daemon = Daemon(tmp_path, config(anvil.url))
            got, out, err = await run_command("once", "--config", str(daemon.file), cwd=tmp_path)
            assert (got, err) == (code, "")
            assert "eth-hot-1" in out
            assert ("breach" in out) == (code == 3)
    got, out, _ = await run_command("once", "--config", str(daemon.file), cwd=tmp_path)
    assert got == 4
    assert "unknown" in out
