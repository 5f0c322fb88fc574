"""Pyrometer: how much of an exchange's money is hot, live, against what stands behind it."""

from importlib.metadata import PackageNotFoundError
from importlib.metadata import version as installed_version


def version() -> str:
    """The version of the installed distribution, or `unknown` when it runs from a bare checkout."""
    try:
        return installed_version("pyrometer")
    except PackageNotFoundError:
        return "unknown"
