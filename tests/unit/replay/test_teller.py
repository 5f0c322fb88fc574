"""The story on a terminal and off it, and the account of a day."""

import io
import re
from dataclasses import replace
from datetime import timedelta

from rich.console import Console

from daemon.replay.story import Line, Word
from daemon.replay.teller import Teller
from tests.replayed import Monitor, moment

ESCAPES = re.compile(r"\x1b\[[0-9;]*m")
SCRIPT = Line(moment("09:40"), Word.SCRIPT, "An operator moves 1,500 ETH.")
FOUND = Line(moment("09:43"), Word.BREACH, "The hot share is 7.55 %, over the limit." + " Move them back." * 8)


def printed(*lines: Line, terminal: bool) -> str:
    out = io.StringIO()
    teller = Teller(Console(file=out, force_terminal=terminal, width=60, color_system="standard" if terminal else None))
    for line in lines:
        teller.line(line)
    return out.getvalue()


def test_off_a_terminal_each_line_is_one_plain_line() -> None:
    """For logs and pipes: no escapes, no wrapping, however long."""
    text = printed(SCRIPT, FOUND, terminal=False)
    assert text.splitlines() == [
        "09:40  ·         An operator moves 1,500 ETH.",
        f"09:43  BREACH    {FOUND.text}",
    ]


def test_on_a_terminal_text_wraps_under_itself() -> None:
    lines = ESCAPES.sub("", printed(FOUND, terminal=True)).splitlines()
    assert len(lines) > 2
    assert lines[0].startswith("09:43  BREACH")
    assert {line[:17] for line in lines[1:]} == {" " * 17}


def test_what_really_happens_looks_different_from_what_is_found() -> None:
    """The script is dim; a finding is not."""
    script, found = printed(SCRIPT, terminal=True), printed(FOUND, terminal=True)
    assert "\x1b[2;3m" in script
    assert "\x1b[2;3m" not in found


def test_square_brackets_in_a_text_are_text() -> None:
    line = Line(moment("10:00"), Word.STATUS, "ethereum [bold] at block 1")
    assert "[bold]" in printed(line, terminal=False)
    assert "[bold]" in printed(line, terminal=True)


async def told(*times: str) -> list[str]:
    """What is printed of a day in which only these minutes are read; `!` before a time: the node is dark."""
    out = io.StringIO()
    teller, monitor = Teller(Console(file=out)), Monitor()
    for time in times:
        report = await (monitor.sees_nothing(time[1:]) if time.startswith("!") else monitor.sees(time))
        teller.report(report)
    midnight = replace(report, at=moment("24:00") + timedelta(seconds=1))
    teller.report(midnight)
    return out.getvalue().splitlines()


async def test_reports_are_told_as_what_changed() -> None:
    lines = await told("09:30", "09:33", "09:41", "09:45")
    assert [line[:13].split() for line in lines[:2]] == [["09:30", "STATUS"], ["09:41", "BREACH"]]


async def test_midnight_brings_the_account_of_the_day() -> None:
    lines = "\n".join(
        await told("09:30", "09:41", "11:45", "15:02", "15:04", "17:00", "!17:16", "!17:30", "17:45", "17:50")
    )
    assert "The day in 10 reports. Pages: 09:41 jp-psa/hot-share on all; 11:45 hot-floor on eth-hot-1" in lines
    assert "17:30 blind on chain:ethereum. Still standing: none." in lines
    assert "Highest hot share 7.48 % at 09:41." in lines
    assert "Something was unknown for 29 min; it was never shown as zero." in lines


async def test_a_quiet_day_has_a_short_account() -> None:
    lines = "\n".join(await told("00:10", "04:10"))
    assert "Pages: none. Still standing: none." in lines
    assert "unknown" not in lines


async def test_a_day_does_not_begin_with_yesterdays_account() -> None:
    """After the account a new one begins: the next day's pages are its own."""
    out = io.StringIO()
    teller, monitor = Teller(Console(file=out)), Monitor()
    high = await monitor.sees("09:41")
    quiet = await monitor.sees("09:30")
    for report in (high, replace(quiet, at=moment("24:01")), replace(quiet, at=moment("48:01"))):
        teller.report(replace(report, findings=report.findings if report is high else ()))
    accounts = [line for line in out.getvalue().splitlines() if "Pages:" in line]
    assert "09:41 jp-psa/hot-share" in accounts[0]
    assert "Pages: none" in accounts[1]


async def test_what_nobody_could_know_before_the_first_reading_is_no_gap() -> None:
    out = io.StringIO()
    teller, monitor = Teller(Console(file=out)), Monitor()
    teller.report(await monitor.judges("00:01"))
    teller.report(await monitor.sees("09:00"))
    teller.report(replace(await monitor.sees("09:01"), at=moment("24:01")))
    assert "Pages: none" in out.getvalue()
    assert "unknown" not in out.getvalue()
