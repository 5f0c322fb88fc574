"""Finds the real programs that tests run against, and says what to install when one is missing."""

import os
import shutil
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


def find_program(name: str) -> Path | None:
    """From `PYROMETER_<NAME>`, the search path, or the node packages in the repository's root."""
    told = os.environ.get(f"PYROMETER_{name.upper().replace('-', '_')}")
    if told:
        return Path(told)
    found = shutil.which(name)
    if found:
        return Path(found)
    packages = ROOT / "node_modules"
    return next(iter([*packages.glob(f".bin/{name}"), *packages.glob(f"@*/*/bin/{name}")]), None)


def require_program(name: str, hint: str) -> Path:
    """The program, else the test is skipped with `hint` saying how to install it; a failure in CI."""
    found = find_program(name)
    if found is not None and found.exists():
        return found
    reason = f"{name} is missing: {hint}"
    if os.environ.get("CI") == "true":
        pytest.fail(reason)
    pytest.skip(reason)
