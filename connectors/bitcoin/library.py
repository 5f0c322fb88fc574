"""The only door to bitcoinlib, which is imported late and never touches the home directory."""

from __future__ import annotations

import atexit
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


def bitcoinlib(module: str) -> ModuleType:
    """A module of bitcoinlib, `keys` or `transactions`. The first call takes a second or two.

    On import bitcoinlib makes a folder for itself, `~/.bitcoinlib` unless the environment names another, which a
    read-only container has not got. ImportError where it is not installed, OSError where there is no folder at all.
    """
    if "bitcoinlib" not in sys.modules:
        with _environment(FOLDER_VARIABLE, _folder().name), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # it calls deprecated parts of SQLAlchemy and leaves a file to be collected
            import_module("bitcoinlib")
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
