"""The scenarios that come with the program, and how the command line names one."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from daemon.diagnosis import nearest
from daemon.document import shown
from daemon.errors import ConfigError

FOLDER = Path(__file__).parent / "scenarios"


def shipped() -> Mapping[str, Path]:
    """Name → file of every scenario that comes with the program, by name."""
    return {path.stem: path for path in sorted(FOLDER.glob("*.yaml"))}


def find(text: str) -> Path:
    """The file of a shipped scenario's name, or the file that is named; ConfigError when it is neither."""
    known = shipped()
    if text in known:
        return known[text]
    if not Path(text).is_file():
        raise ConfigError(shown(text), f"is neither a file nor a scenario{nearest(text, known)}")
    return Path(text)
