"""What the configuration of every chain has in common: durations with units, named endpoints, ages and agreement."""

import re
from datetime import timedelta
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    SecretStr,
    WithJsonSchema,
    field_validator,
    model_validator,
)

DURATION = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d)")
SECONDS = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86400}


def parse_duration(value: object) -> timedelta:
    """`500ms`, `30s`, `5m`, `2h`, `1d` or parts of falling size in a row, `1h30m`; ValueError for anything else."""
    if isinstance(value, timedelta):
        return value
    text = value.strip() if isinstance(value, str) else ""
    parts = DURATION.findall(text)
    if not parts or "".join(number + unit for number, unit in parts) != text:
        raise ValueError("expected a duration with a unit, such as 500ms, 30s, 5m, 2h or 1d")
    return timedelta(seconds=sum(float(number) * SECONDS[unit] for number, unit in parts))


def format_duration(value: timedelta) -> str:
    """The shortest text that parse_duration reads back to the same value."""
    milliseconds = round(value.total_seconds() * 1000)
    for unit, size in (("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1000)):
        if milliseconds and milliseconds % size == 0:
            return f"{milliseconds // size}{unit}"
    return f"{milliseconds}ms"


Duration = Annotated[
    timedelta,
    BeforeValidator(parse_duration),
    PlainSerializer(format_duration, return_type=str),
    WithJsonSchema({"type": "string", "pattern": r"^(\d+(\.\d+)?(ms|s|m|h|d))+$", "examples": ["30s", "5m"]}),
]


class Strict(BaseModel):
    """Base of every configuration model: unknown keys are refused, values are frozen."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class EndpointConfig(Strict):
    """One node. A bare URL in the list stands for `{url: ...}`."""

    url: SecretStr = Field(description="http(s) URL of the node's API; credentials in it are never shown")
    name: str = Field("", description="how metrics, logs and alerts call it; default: host and port of the URL")
    requests_per_second: float | None = Field(None, gt=0, description="ceiling on requests a second; default: none")

    @field_validator("url")
    @classmethod
    def _is_url(cls, value: SecretStr) -> SecretStr:
        parts = urlsplit(value.get_secret_value())
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError("expected an http:// or https:// URL")
        return value

    @property
    def provider(self) -> str:
        """The name that may be shown: never the URL, whose path or user part may be an API key."""
        parts = urlsplit(self.url.get_secret_value())
        return self.name or (f"{parts.hostname}:{parts.port}" if parts.port else str(parts.hostname))


def _from_url(value: object) -> object:
    return {"url": value} if isinstance(value, str) else value


Endpoint = Annotated[EndpointConfig, BeforeValidator(_from_url)]


class ChainConfig(Strict):
    """What every kind of chain can be told."""

    endpoints: tuple[Endpoint, ...] = Field(min_length=1, description="the nodes, the preferred one first")
    agree: int = Field(1, ge=1, description="how many nodes must give the same value at one block hash")
    confirmations: int = Field(1, ge=1, description="read this deep: 1 is the newest block")
    poll: Duration = Field(timedelta(seconds=1), description="how often the nodes are asked for their newest block")
    timeout: Duration = Field(timedelta(seconds=10), description="deadline of one request, answer included")
    max_age: Duration = Field(timedelta(seconds=60), description="a reading older than this is no longer current")
    max_tip_age: Duration = Field(
        timedelta(minutes=10), description="a newest block older than this means that the nodes stand still"
    )

    @model_validator(mode="after")
    def _enough_nodes(self) -> "ChainConfig":
        names = [endpoint.provider for endpoint in self.endpoints]
        if self.agree > len(names):
            raise ValueError(f"agree: {self.agree} needs at least {self.agree} endpoints, found {len(names)}")
        doubled = next((name for name in names if names.count(name) > 1), None)
        if doubled is not None:
            raise ValueError(f"two endpoints are called {doubled}; give each a `name` of its own")
        return self
