"""What is configured of the HTTP server."""

from __future__ import annotations

import re
from pathlib import Path

from pydantic import Field, field_validator, model_validator

from connectors.config import Strict
from daemon.broker import is_loopback

LISTEN = re.compile(r"(?P<host>\[[0-9A-Fa-f:.%]+\]|[A-Za-z0-9.-]+):(?P<port>\d{1,5})")


class ApiConfig(Strict):
    """The HTTP server."""

    listen: str = Field("127.0.0.1:9517", description="address and port; port 0 takes a free one")
    tokens_file: Path | None = Field(None, description="who may use it; required unless it listens on loopback only")

    @field_validator("listen")
    @classmethod
    def _host_and_port(cls, value: str) -> str:
        match = LISTEN.fullmatch(value)
        if match is None or int(match["port"]) > 65_535:
            raise ValueError("expected host:port, such as 127.0.0.1:9517 or [::1]:9517")
        return value

    @model_validator(mode="after")
    def _guarded(self) -> ApiConfig:
        if self.tokens_file is None and not self.loopback:
            raise ValueError("listening beyond loopback needs a tokens_file; or listen on 127.0.0.1")
        return self

    @property
    def host(self) -> str:
        return self.listen.rpartition(":")[0].strip("[]")

    @property
    def port(self) -> int:
        return int(self.listen.rpartition(":")[2])

    @property
    def loopback(self) -> bool:
        """Whether only this machine can reach it."""
        return is_loopback(self.host)
