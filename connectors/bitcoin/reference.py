"""The only door to bitcoinlib, which is imported late and never touches the home directory."""

from __future__ import annotations

import atexit
import logging
import os
import sys
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from importlib import import_module
from pathlib import Path
from types import ModuleType

FOLDER_VARIABLE = "BCL_DATA_DIR"
LONGEST_SCRIPT = 1000
NAMES = {
    "p2pk": "p2pk",
    "multisig": "multisig",
    "nulldata": "nulldata",
    "nulldata_1": "nulldata",
    "nulldata_2": "nulldata",
}


def script_type(script: bytes) -> str:
    """What an output script without an address is, for reports: `p2pk`, `multisig`, `nulldata` or `unknown`.

    About 0.2 ms a script: for the few that people are told of, never for a whole block.
    """
    if len(script) > LONGEST_SCRIPT:
        return "unknown"
    scripts = bitcoinlib("scripts")
    try:
        types = scripts.Script.parse_bytes(script).script_types
    except scripts.ScriptError:
        return "unknown"
    return NAMES.get(types[0], "unknown") if len(types) == 1 else "unknown"


def bitcoinlib(module: str) -> ModuleType:
    """A module of bitcoinlib, `keys` or `transactions`. The first call takes a second or two.

    On import bitcoinlib makes a folder for itself, `~/.bitcoinlib` unless the environment names another, which a
    read-only container has not got. ImportError where it is not installed, OSError where there is no folder at all.
    """
    if "bitcoinlib" not in sys.modules:
        with _environment(FOLDER_VARIABLE, _folder().name), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # it calls deprecated parts of SQLAlchemy and leaves a file to be collected
            import_module("bitcoinlib")
        logging.getLogger("bitcoinlib").propagate = False  # it logs whatever it raises
        logging.getLogger("bitcoinlib").addHandler(logging.NullHandler())
    return import_module(f"bitcoinlib.{module}")


@cache
def _folder() -> tempfile.TemporaryDirectory[str]:
    """Where bitcoinlib keeps its settings until the process ends; told not to write a log."""
    folder = tempfile.TemporaryDirectory(prefix="pyrometer-bitcoinlib-", ignore_cleanup_errors=True)
    atexit.register(folder.cleanup)
    Path(folder.name, "config.ini").write_text("[logs]\nenable_bitcoinlib_logging = False\n")
    return folder


@contextmanager
def _environment(name: str, value: str) -> Iterator[None]:
    before = os.environ.get(name)
    os.environ[name] = value
    try:
        yield
    finally:
        if before is None:
            del os.environ[name]
        else:
            os.environ[name] = before
