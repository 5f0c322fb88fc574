"""`pyrometer report` as it is called: what it prints, and its exit codes."""

from __future__ import annotations

import sqlite3
import zlib
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
import yaml

from daemon.__main__ import main
from daemon.history.closing import sha256
from tests.system.exchange import config

pytestmark = pytest.mark.timeout(180)

Run = Callable[..., int]


@pytest.fixture
def run(database: Path, tmp_path: Path) -> Run:
    """The command on the two days."""
    file = tmp_path / "pyrometer.yaml"
    whole = {
        "entity": "Example Exchange KK",
        "currency": "JPY",
        "store": f"sqlite+aiosqlite:///{database}",
        "history": {"grain": "10m"},
        "report": {"timezone": "Asia/Tokyo"},
        **config("http://127.0.0.1:9"),
    }
    file.write_text(yaml.safe_dump(whole))
    return lambda *arguments: main(["report", "--config", str(file), *arguments])


def test_a_day_that_is_wholly_known_is_printed_with_exit_code_0(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--date", "2026-11-21") == 0
    assert capsys.readouterr().out.startswith("# Daily report of Example Exchange KK, 2026-11-21\n")


def test_a_day_with_gaps_is_printed_with_exit_code_4(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--date", "2026-11-20", "--format", "html") == 4
    assert "This day has gaps" in capsys.readouterr().out


def test_the_json_that_is_printed_is_what_was_hashed(
    run: Run, database: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run("--date", "2026-11-21", "--format", "json")
    with closing(sqlite3.connect(database)) as rows:
        (digest,) = rows.execute("select sha256 from pyrometer_reports where day = '2026-11-21'").fetchone()
    assert sha256(capsys.readouterr().out) == digest


def test_a_second_call_prints_the_same_bytes(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    run("--date", "2026-11-21", "--format", "csv")
    first = capsys.readouterr().out
    run("--date", "2026-11-21", "--format", "csv")
    assert capsys.readouterr().out == first


def test_an_unknown_day_is_one_line_and_exit_code_2(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--date", "2026-12-24") == 2
    expected = "pyrometer: --date: 2026-12-24 is not closed; the last day that is closed is 2026-11-21\n"
    assert capsys.readouterr().err == expected


def test_a_changed_report_is_one_line_and_exit_code_1(
    run: Run, database: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run("--date", "2026-11-21")
    with closing(sqlite3.connect(database)) as rows, rows:
        rows.execute("update pyrometer_reports set body = ?", (zlib.compress(b"{}"),))
    capsys.readouterr()
    assert run("--date", "2026-11-21") == 1
    assert capsys.readouterr().err.startswith("pyrometer: the stored report of 2026-11-21 was changed: its hash is not")


def test_a_store_that_is_not_there_is_one_line_and_exit_code_1(
    run: Run, database: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for file in database.parent.glob(f"{database.name}*"):
        file.unlink()
    database.mkdir()
    assert run("--date", "2026-11-21") == 1
    assert "unable to open database file" in capsys.readouterr().err


def test_no_date_is_refused_by_its_form(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        run("--date", "yesterday")
    assert ended.value.code == 2
    assert "expected a day such as 2026-11-23, found yesterday" in capsys.readouterr().err
