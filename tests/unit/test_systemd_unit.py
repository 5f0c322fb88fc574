"""The unit of deploy/systemd: systemd takes it, finds it closed, and it says what the daemon does."""

from __future__ import annotations

import re
import subprocess
from configparser import RawConfigParser
from datetime import timedelta
from pathlib import Path

import pytest

from connectors.config import parse_duration
from daemon.__main__ import BAD_CONFIGURATION
from daemon.app import CYCLE_LIMIT
from tests.manifests import as_read
from tests.real import require_program

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "deploy" / "systemd"
UNIT = FOLDER / "pyrometer.service"
PAGE = ROOT / "docs" / "deployment-systemd.md"
MOST_EXPOSED = 1.0
"""As `systemd-analyze security` rates, from 0 (closed) to 10 (open)."""

HINT = "apt-get install systemd"


def analyze(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    program = require_program("systemd-analyze", HINT)
    command = [program, *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=15, check=False)


def seconds(text: str) -> float:
    """systemd's `2min` and `30s`."""
    return parse_duration(text.replace("min", "m")).total_seconds()


@pytest.fixture(scope="module")
def service() -> dict[str, list[str]]:
    """Every key of [Service] with its values, in order."""
    section = UNIT.read_text().partition("\n[Service]\n")[2].partition("\n[Install]\n")[0]
    found: dict[str, list[str]] = {}
    for key, value in re.findall(r"^(\w+)=(.*)$", section, re.M):
        found.setdefault(key, []).append(value)
    return found


@pytest.mark.real
def test_systemd_has_nothing_to_say_against_the_unit(tmp_path: Path) -> None:
    """The program is not installed where it is tested; everything else stands as it is shipped."""
    copy = tmp_path / UNIT.name
    copy.write_text(UNIT.read_text().replace("/opt/pyrometer/bin/pyrometer", "/bin/true"))
    checked = analyze("verify", "--man=no", "--recursive-errors=no", copy)
    assert (checked.returncode, checked.stdout + checked.stderr) == (0, "")


@pytest.mark.real
def test_systemd_would_say_what_is_wrong_with_a_unit(tmp_path: Path) -> None:
    copy = tmp_path / UNIT.name
    text = UNIT.read_text().replace("/opt/pyrometer/bin/pyrometer", "/bin/true")
    copy.write_text(text.replace("ProtectSystem=strict", "ProtectSystem=very"))
    assert "protect system" in analyze("verify", "--man=no", "--recursive-errors=no", copy).stderr


@pytest.mark.real
def test_its_exposure_is_what_the_documentation_says() -> None:
    """Of the systemd that the documentation speaks of; others may rate otherwise, but not worse."""
    options = ("security", "--offline=true", "--no-pager", f"--threshold={round(MOST_EXPOSED * 10)}")
    rated = analyze(*options, UNIT)
    assert rated.returncode == 0, rated.stdout
    (level,) = re.findall(r"Overall exposure level for pyrometer\.service: ([\d.]+)", rated.stdout)
    if analyze("--version").stdout.startswith("systemd 252 "):
        assert float(level) == MOST_EXPOSED
    assert f"Overall exposure level for pyrometer.service: {MOST_EXPOSED} OK" in PAGE.read_text()


@pytest.mark.real
def test_the_limit_of_exposure_would_be_noticed(tmp_path: Path) -> None:
    copy = tmp_path / UNIT.name
    copy.write_text(UNIT.read_text().replace("ProtectSystem=strict\n", ""))
    assert analyze("security", "--offline=true", f"--threshold={round(MOST_EXPOSED * 10)}", copy).returncode != 0


def test_it_waits_for_the_word_of_the_daemon_itself(service: dict[str, list[str]]) -> None:
    assert (service["Type"], service["NotifyAccess"]) == (["notify"], ["main"])
    assert service["ExecReload"] == ["/bin/kill -HUP $MAINPID"]


def test_the_watchdog_bears_more_than_what_the_health_check_complains_of(service: dict[str, list[str]]) -> None:
    (watchdog,) = service["WatchdogSec"]
    assert seconds(watchdog) >= 2 * CYCLE_LIMIT.total_seconds()
    assert f"{CYCLE_LIMIT // timedelta(seconds=1)} s" in UNIT.read_text()


def test_a_bad_configuration_is_not_tried_again_and_everything_else_for_ever(service: dict[str, list[str]]) -> None:
    assert service["Restart"] == ["always"]
    assert service["RestartPreventExitStatus"] == [str(BAD_CONFIGURATION)]
    assert "\nStartLimitIntervalSec=0\n" in UNIT.read_text()


def test_it_is_given_as_long_to_end_as_in_the_other_stack(service: dict[str, list[str]]) -> None:
    (stop,) = service["TimeoutStopSec"]
    assert seconds(stop) == as_read().pod["spec"]["terminationGracePeriodSeconds"]


def test_secrets_come_as_credentials_and_only_its_state_can_be_written(service: dict[str, list[str]]) -> None:
    for credential in service["LoadCredential"]:
        name, _, path = credential.partition(":")
        assert path == f"/etc/pyrometer/secrets/{name}"
        assert f"${{CREDENTIALS_DIRECTORY}}/{name}" in PAGE.read_text()
    assert service["StateDirectory"] == ["pyrometer"]
    assert service["WorkingDirectory"] == ["/var/lib/pyrometer"]
    assert service["ProtectSystem"] == ["strict"]
    assert "ReadWritePaths" not in service


def test_its_user_is_the_one_that_is_made_for_it(service: dict[str, list[str]]) -> None:
    lines = [line.split() for line in (FOLDER / "pyrometer.sysusers").read_text().splitlines()]
    (user,) = [words for words in lines if words[0] == "u"]
    assert [user[1]] == service["User"] == service["Group"]
    assert user[-1] == service["WorkingDirectory"][0]


def test_no_section_is_unknown() -> None:
    parser = RawConfigParser(strict=False)
    parser.read_string(UNIT.read_text())
    assert parser.sections() == ["Unit", "Service", "Install"]
