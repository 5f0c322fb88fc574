"""The configuration of Alertmanager that we hand out is one that it accepts, and sends each alert where it belongs."""

import asyncio
from pathlib import Path

import pytest

from tests.integration.alertmanager import program

CONFIG = Path(__file__).parents[2] / "deploy" / "alertmanager" / "alertmanager.yml"

pytestmark = pytest.mark.real


async def amtool(*arguments: str) -> tuple[int | None, str]:
    process = await asyncio.create_subprocess_exec(
        program("amtool"), *arguments, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    output, _ = await process.communicate()
    return process.returncode, output.decode()


async def test_alertmanager_accepts_it() -> None:
    code, output = await amtool("check-config", str(CONFIG))
    assert code == 0, output


@pytest.mark.parametrize(
    ("labels", "receiver"),
    [
        (("alertname=PyrometerHotShareHigh", "severity=critical"), "pager"),
        (("alertname=PyrometerWalletBand", "severity=warning"), "chat"),
        (("alertname=PyrometerDisagreement", "severity=info"), "nobody"),
        (("alertname=PyrometerWatchdog", "severity=info"), "dead-mans-switch"),
    ],
)
async def test_an_alert_goes_to_its_receiver(labels: tuple[str, str], receiver: str) -> None:
    code, output = await amtool(
        "config", "routes", "test", f"--config.file={CONFIG}", f"--verify.receivers={receiver}", *labels
    )
    assert code == 0, output
