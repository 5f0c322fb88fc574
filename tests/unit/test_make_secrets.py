"""deploy/secrets/make-secrets: what it makes, who can read it, and what a second run leaves alone."""

from __future__ import annotations

import hashlib
import os
import shutil
import stat
import subprocess
from pathlib import Path

import pytest

from daemon.tokens import Scope, load_tokens
from tests.real import ROOT

SCRIPT = ROOT / "deploy" / "secrets" / "make-secrets"
NOBODY = "https://replace-me.invalid/\n"
PEOPLE = {"prometheus": Scope.READ, "operator": Scope.OPERATE, "admin": Scope.ADMIN}


def make(folder: Path, *, shell: str = "sh", path: str = os.environ["PATH"]) -> str:
    """What it prints."""
    program = shutil.which(shell)
    if program is None:
        pytest.skip(f"{shell} is missing: apt-get install {shell}")
    ran = subprocess.run(
        [program, SCRIPT, folder], capture_output=True, text=True, check=False, env={"PATH": path, "TMPDIR": "/tmp"}
    )
    assert ran.returncode == 0, ran.stderr
    assert ran.stderr == ""
    return ran.stdout


def contents(folder: Path) -> dict[str, str]:
    return {path.name: path.read_text() for path in folder.iterdir()}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "secrets"


@pytest.mark.parametrize("shell", ["sh", "bash"])
def test_passwords_and_tokens_are_long_and_no_two_alike(folder: Path, shell: str) -> None:
    make(folder, shell=shell)
    made = {name: text for name, text in contents(folder).items() if text != NOBODY}
    secrets = {name: text for name, text in made.items() if name.endswith(("_password", "_token"))}
    assert len(secrets) == 10
    assert len(set(secrets.values())) == 10
    for text in secrets.values():
        assert len(bytes.fromhex(text)) == 24
        assert text.endswith("\n")


def test_nobody_else_on_the_machine_reaches_them_and_a_container_can_read_the_one_it_is_shown(folder: Path) -> None:
    make(folder)
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert {stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()} == {0o444}


def test_the_api_takes_each_token_by_its_hash_alone(folder: Path) -> None:
    make(folder)
    tokens = {token.name: token for token in load_tokens(folder / "tokens.yaml")}
    assert {name: token.scope for name, token in tokens.items()} == PEOPLE
    for name, token in tokens.items():
        text = (folder / f"{name}_token").read_text().strip()
        assert token.sha256 == hashlib.sha256(text.encode()).hexdigest()


def test_a_second_run_changes_nothing(folder: Path) -> None:
    make(folder)
    before = contents(folder)
    assert "made" not in make(folder)
    assert contents(folder) == before


def test_it_asks_for_what_others_hand_out_until_that_is_there(folder: Path) -> None:
    made = make(folder)
    placeholders = {name for name, text in contents(folder).items() if text == NOBODY}
    assert {line.rpartition("/")[2] for line in made.splitlines() if line.startswith("put yours into")} == placeholders
    (folder / "slack_security").chmod(0o600)
    (folder / "slack_security").write_text("https://hooks.example/1\n")
    assert "slack_security" not in make(folder)
    assert (folder / "slack_security").read_text() == "https://hooks.example/1\n"


def test_what_is_removed_is_made_anew_and_what_follows_from_it(folder: Path) -> None:
    make(folder)
    before = contents(folder)
    (folder / "admin_token").unlink()
    told = [line for line in make(folder).splitlines() if line.startswith("made")]
    assert told == [f"made {folder}/admin_token", f"made {folder}/tokens.yaml"]
    after = contents(folder)
    assert {name for name, text in before.items() if after[name] != text} == {"admin_token", "tokens.yaml"}
    (folder / "mqtt_books_password").unlink()
    make(folder)
    last = contents(folder)
    assert {name for name in last if last[name] != after[name]} == {"mqtt_books_password", "mosquitto_passwords"}


def test_tokens_that_people_added_stay(folder: Path) -> None:
    make(folder)
    theirs = f"- {{name: anna, scope: operate, sha256: {hashlib.sha256(b'hers').hexdigest()}}}\n"
    (folder / "tokens.yaml").chmod(0o600)
    with (folder / "tokens.yaml").open("a") as file:
        file.write(theirs)
    (folder / "operator_token").unlink()
    make(folder)
    assert [token.name for token in load_tokens(folder / "tokens.yaml")] == [*PEOPLE, "anna"]


def test_without_openssl_it_says_what_to_install_and_makes_nothing(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    for tool in ("sh", "mkdir", "chmod", "dirname"):
        (tmp_path / "bin" / tool).symlink_to(shutil.which(tool) or tool)
    ran = subprocess.run(
        [tmp_path / "bin" / "sh", SCRIPT, folder],
        capture_output=True,
        text=True,
        check=False,
        env={"PATH": str(tmp_path / "bin")},
    )
    assert (ran.returncode, ran.stderr) == (1, "make-secrets: openssl is missing: install it\n")
    assert contents(folder) == {}


def test_none_of_it_can_be_committed() -> None:
    ignored = subprocess.run(
        ["git", "check-ignore", "deploy/secrets/tokens.yaml", "deploy/secrets/mqtt_password"],
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
    )
    if ignored.returncode == 128:
        pytest.skip("no git repository here")
    assert len(ignored.stdout.split()) == 2
