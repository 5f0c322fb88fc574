"""What is exposed is what Prometheus itself finds well-formed and well-named."""

import asyncio
from datetime import timedelta

import pytest
from prometheus_client import generate_latest

from tests.build import ETH, ETHER, complete
from tests.real import require_program
from tests.unit.test_metrics import Clock, metrics, report

pytestmark = pytest.mark.real


async def test_promtool_has_nothing_to_say_against_a_full_scrape() -> None:
    promtool = require_program("promtool", "apt-get install prometheus")
    subject = metrics(Clock())
    subject.offer(await report(complete(1, {(1, ETH): 6 * ETHER}, unread=[(2, ETH)])))
    subject.read(timedelta(seconds=1), chain="ethereum", block="0xb1")
    subject.detected(timedelta(seconds=1), chain="ethereum", block="0xb1")
    process = await asyncio.create_subprocess_exec(
        promtool,
        "check",
        "metrics",
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    out, _ = await process.communicate(generate_latest(subject.registry))
    assert (process.returncode, out.decode()) == (0, "")
