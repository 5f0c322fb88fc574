"""How tests find real programs, and what happens when one is missing."""

from pathlib import Path

import pytest

from tests.real import require_program


def test_the_environment_names_the_program_first(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    program = tmp_path / "anvil"
    program.touch()
    monkeypatch.setenv("PYROMETER_ANVIL", str(program))
    assert require_program("anvil", "install it") == program


def test_a_missing_program_is_a_skip_that_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CI", raising=False)
    with pytest.raises(pytest.skip.Exception, match="no-such-program is missing: install it so"):
        require_program("no-such-program", "install it so")


def test_in_ci_a_missing_program_is_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CI", "true")
    with pytest.raises(pytest.fail.Exception, match="no-such-program is missing"):
        require_program("no-such-program", "install it so")


def test_a_program_named_by_the_environment_that_is_not_there_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYROMETER_ANVIL", "/nowhere/anvil")
    monkeypatch.delenv("CI", raising=False)
    with pytest.raises(pytest.skip.Exception):
        require_program("anvil", "install it")
