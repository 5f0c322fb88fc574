"""The printable report in a real browser: it draws both charts, and nothing of it goes wrong."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from daemon.reporting.rendering import rendered
from tests.integration.chromium import Chromium
from tests.kept import FIRST, kept, reporter

pytestmark = pytest.mark.timeout(180)


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The report of a day with an outage, as a file."""
    folder = tmp_path_factory.mktemp("report")

    async def made() -> None:
        async with kept(folder) as store:
            text = rendered(await reporter(store).report(FIRST), form="html")
        (folder / "report.html").write_text(text)

    with ThreadPoolExecutor(1) as thread:  # a loop of its own, beside that of the test
        thread.submit(lambda: asyncio.run(made())).result()
    return folder / "report.html"


async def test_the_report_is_shown_without_an_error_in_the_console(page: Path, tmp_path: Path) -> None:
    browser = Chromium(tmp_path)
    dom, console = await browser.dom_and_console(page.as_uri())
    assert "Daily report of Example Exchange KK, 2026-11-20" in dom
    assert dom.count('<rect class="unknown"') == 10
    assert console == []


async def test_a_console_with_an_error_would_be_noticed(tmp_path: Path) -> None:
    file = tmp_path / "bad.html"
    file.write_text("<!doctype html><script>console.error('it broke')</script>")
    _, console = await Chromium(tmp_path).dom_and_console(file.as_uri())
    assert any("it broke" in line for line in console)


async def test_the_report_can_be_printed(page: Path, tmp_path: Path) -> None:
    pdf = tmp_path / "report.pdf"
    await Chromium(tmp_path).print_to(page.as_uri(), to=pdf)
    assert pdf.read_bytes().startswith(b"%PDF")
