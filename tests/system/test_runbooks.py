"""The commands of the runbooks, as somebody on call pastes them, on a real daemon in the middle of a theft."""

from __future__ import annotations

import asyncio
import os
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.integration.anvil import AnvilNode
from tests.real import require_program
from tests.system.daemon import ROOT, running_daemon
from tests.system.exchange import COLD, HOT, OUTSIDE, config, fund, move

pytestmark = [pytest.mark.real, pytest.mark.timeout(180)]

SHELL = """
set -euo pipefail
curl() { command curl --fail-with-body "$@"; }  # what the API refuses is a mistake of the runbook
"""
TOLD = ("PyrometerColdMoved", "PyrometerDrain", "PyrometerHotShareHigh")
"""What fires here, so that its commands have something to show."""


def commands() -> list[tuple[str, str]]:
    """(page, line) of all that asks the daemon."""
    pages = sorted((ROOT / "docs" / "alerts").glob("*.md"))
    lines = [(page.stem, line.strip()) for page in pages for line in page.read_text().splitlines()]
    return [(page, line) for page, line in lines if line.startswith("curl") and "$PYROMETER" in line]


async def shell(line: str, **variables: str) -> tuple[int | None, str]:
    process = await asyncio.create_subprocess_exec(
        "bash",
        "-c",
        SHELL + line,
        env={"PATH": os.environ["PATH"], "TOKEN": "none", **variables},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output, _ = await process.communicate()
    return process.returncode, output.decode()


async def test_every_command_of_every_runbook_works_and_shows_something_of_what_fires(tmp_path: Path) -> None:
    require_program("jq", "apt-get install jq")
    require_program("curl", "apt-get install curl")
    guarantee = {"chain": "ethereum", "tier": "cold", "owner": "guarantee", "addresses": ["0x" + "b1" * 20]}
    reserve = {"kind": "reserve", "name": "reserve", "required": 1}
    (tmp_path / "owed.yaml").write_text(f"at: '{datetime.now(UTC).isoformat()}'\namounts: {{ETH: 100}}\n")
    async with AnvilNode() as anvil:
        await fund(anvil, hot=10_000, cold=90_000)
        whole = config(anvil.url, policies=["theft", "jp-psa", reserve])
        whole["wallets"]["eth-guarantee"] = guarantee
        whole["feeds"]["reserves"] = {"fund": 100}
        whole["feeds"]["liabilities"] = [{"kind": "file", "path": "owed.yaml"}]
        async with running_daemon(tmp_path, whole) as daemon:
            await daemon.becomes("/api/v1/status", lambda body: body.get("verdict") == "breach")
            await move(anvil, COLD, HOT, thousandths=1_000)
            await move(anvil, COLD, OUTSIDE, thousandths=60_000)
            await daemon.becomes(
                "/api/v1/findings",
                lambda body: set(TOLD) <= {one["alert"] for one in body if one["state"] == "firing"},
            )
            variables = {"PYROMETER": daemon.url, "W": "eth-cold-1", "A": "ETH", "S": "all", "P": "reserve"}
            found = [(page, line, *await shell(line, **variables)) for page, line in commands()]
    assert len(found) > 35
    assert not [(page, line, output) for page, line, code, output in found if code != 0]
    assert not [(page, line) for page, line, _, output in found if page in TOLD and not output.strip()]
