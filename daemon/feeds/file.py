"""Sources that are files, YAML or CSV, which something else writes."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field, field_validator

from daemon.feeds.source import SourceConfig

SUFFIXES = (".yaml", ".yml", ".csv")


class FileSource(SourceConfig):
    """A file that is read again when it has changed."""

    kind: Literal["file"]
    path: Path = Field(description="the file, .yaml, .yml or .csv, beside this one")

    @field_validator("path")
    @classmethod
    def _has_a_form(cls, value: Path) -> Path:
        if value.suffix not in SUFFIXES:
            raise ValueError("expected a file whose name ends in .yaml, .yml or .csv")
        return value
