"""`pyrometer replay` as a command: what it prints, its exit codes, and errors as one line."""

from __future__ import annotations

import asyncio
import json
import signal
from asyncio.subprocess import PIPE
from pathlib import Path

import pytest

from tests.system.daemon import PATIENCE, command, env, run_command

pytestmark = pytest.mark.timeout(180)

THEFT = str(Path(__file__).parents[1] / "data" / "small_theft.yaml")


async def test_a_replay_tells_the_story_and_what_came_of_it(tmp_path: Path) -> None:
    code, out, err = await run_command("replay", THEFT, cwd=tmp_path)
    assert (code, err) == (0, "")
    lines = out.splitlines()
    assert any("·" in line and "hot pays thief 45 ETH (interpolated)" in line for line in lines)
    assert any("BREACH" in line and "below its floor of 20" in line for line in lines)
    assert any("PyrometerWalletBand fires: 46 ETH gone, 23.3" in line for line in lines)
    assert "  met      PyrometerHotShareHigh on all: 2024-01-01 00:05:01, 10 min 06 s before the first theft" in out
    assert lines[-1] == "Other alarms: none. Everything that was expected came in time."


async def test_json_is_one_object_with_every_alert_and_expectation(tmp_path: Path) -> None:
    code, out, err = await run_command("replay", THEFT, "--json", cwd=tmp_path)
    assert (code, err) == (0, "")
    body = json.loads(out)
    assert (body["incident"], body["passed"]) == ("small-theft", True)
    assert [alert["event"] for alert in body["alerts"]] == ["filled", "drain"]
    assert body["alerts"][1]["lost_units"] == {"ETH": str(46 * 10**18)}
    assert body["alerts"][1]["left_share"]["ETH"].startswith("0.23")
    assert [expected["met"] for expected in body["expected"]] == [True, True]


async def test_an_expectation_that_is_not_met_is_exit_code_5(tmp_path: Path) -> None:
    rules = tmp_path / "lax.yaml"
    rules.write_text(
        "title: lax\ncitation: made up\nconfidence: low\n"
        "rules: [{kind: hot_share, name: half, limit: 0.5, scope: all, severity: critical}]\n"
    )
    code, out, _ = await run_command("replay", THEFT, "--policy", str(rules), cwd=tmp_path)
    assert code == 5
    assert "missed   PyrometerHotShareHigh on all: never fired" in out
    assert "Of 2 expected alarms: 2 not in time." in out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["coincheque"], "is neither a file nor a scenario; did you mean coincheck?"),
        ([THEFT, "--policy", "jp-pse"], "no such preset"),
        ([THEFT, "--alertmanager", "nowhere"], "expected http://<host>:<port>"),
    ],
)
async def test_what_cannot_be_played_is_one_line_and_2(tmp_path: Path, arguments: list[str], said: str) -> None:
    code, out, err = await run_command("replay", *arguments, cwd=tmp_path)
    assert (code, out.count("\n") <= 3) == (2, True)
    assert err.count("\n") == 1
    assert said in err


async def test_the_schema_of_scenarios_is_json(tmp_path: Path) -> None:
    code, out, _ = await run_command("schema", "--scenario", cwd=tmp_path)
    assert code == 0
    assert json.loads(out)["title"] == "pyrometer scenario"


async def test_ctrl_c_ends_it_without_a_traceback(tmp_path: Path) -> None:
    process = await asyncio.create_subprocess_exec(
        *command("replay", "coincheck", "--speed", "60"), stdout=PIPE, stderr=PIPE, cwd=tmp_path, env=env()
    )
    assert process.stdout is not None
    async with asyncio.timeout(PATIENCE):
        while b"BREACH" not in await process.stdout.readline():
            pass
        process.send_signal(signal.SIGINT)
        _, err = await process.communicate()
    assert (process.returncode, err) == (130, b"")
