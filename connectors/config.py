"""What the configuration of every chain has in common: durations with units, named endpoints, ages and agreement."""

import re
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Self
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
from pydantic.config import JsonDict

DURATION = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d)")
SECONDS = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86400}
LONGEST = 36_525 * 86400
AN_INSTANT = timedelta(0)


def parse_duration(value: object) -> timedelta:
    """`500ms`, `30s`, `5m`, `2h`, `1d` or parts of falling size in a row, `1h30m`; ValueError for anything else."""
    if isinstance(value, timedelta):
        return value
    text = value.strip() if isinstance(value, str) else ""
    parts = DURATION.findall(text)
    seconds = sum(float(number) * SECONDS[unit] for number, unit in parts)
    if not parts or "".join(number + unit for number, unit in parts) != text:
        raise ValueError("expected a duration with a unit, such as 500ms, 30s, 5m, 2h or 1d")
    if seconds > LONGEST:
        raise ValueError("expected a duration of at most 100 years")
    return timedelta(seconds=seconds)


def format_duration(value: timedelta) -> str:
    """The shortest text that parse_duration reads back to the same value."""
    milliseconds = round(value.total_seconds() * 1000)
    for unit, size in (("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1000)):
        if milliseconds and milliseconds % size == 0:
            return f"{milliseconds // size}{unit}"
    return f"{milliseconds}ms" if milliseconds else "0s"


Duration = Annotated[
    timedelta,
    BeforeValidator(parse_duration),
    PlainSerializer(format_duration, return_type=str),
    WithJsonSchema({"type": "string", "pattern": r"^(\d+(\.\d+)?(ms|s|m|h|d))+$", "examples": ["30s", "5m"]}),
]


class Strict(BaseModel):
    """Base of every configuration model: unknown keys are refused, values are frozen."""

    model_config = ConfigDict(extra="forbid", frozen=True)


def masked(url: SecretStr) -> str:
    """What may be shown of a URL: scheme, host and port; its user part, path and query may be keys."""
    parts = urlsplit(url.get_secret_value())
    host = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"
    hidden = "@" in parts.netloc or parts.path.strip("/") or parts.query or parts.fragment
    return f"{host}/***" if hidden else host


def _one_of_url_and_file(schema: JsonDict) -> None:
    """For editors: the loader puts what `url_file` holds in the place of `url`."""
    schema["required"] = []
    schema["oneOf"] = [{"required": ["url"]}, {"required": ["url_file"]}]


class NamedUrl(Strict):
    """A service on the network. A bare URL in a list stands for `{url: ...}`.

    `url_file` is read by whoever loads the configuration, who puts its text into `url`.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, json_schema_extra=_one_of_url_and_file)

    url: Annotated[SecretStr, PlainSerializer(masked, return_type=str, when_used="json")] = Field(
        description="http:// or https:// URL; of a configured one only scheme and host are ever shown"
    )
    url_file: Path | None = Field(None, description="instead of `url`: a file that holds it, beside this one")
    name: str = Field(
        "",
        pattern=r"^[A-Za-z0-9._:\[\]-]{0,100}$",
        description="how metrics, logs and alerts call it; default: host and port of the URL",
    )

    @field_validator("url")
    @classmethod
    def _is_url(cls, value: SecretStr) -> SecretStr:
        if not is_http_url(value.get_secret_value()):
            raise ValueError("expected an http:// or https:// URL")
        return value

    @property
    def provider(self) -> str:
        """The name that may be shown: never the URL, whose path or user part may be an API key."""
        parts = urlsplit(self.url.get_secret_value())
        return self.name or (f"{parts.hostname}:{parts.port}" if parts.port else str(parts.hostname))


def is_http_url(text: str) -> bool:
    """Whether `text` is a whole http or https URL: a host, a possible port, no white space, no `@` but the one
    after the user part (an unescaped `/` in a password would otherwise end up among what is shown)."""
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:  # its message repeats the part that may be a password
        return False
    spaced = any(character.isspace() or not character.isprintable() for character in text)
    astray = text.count("@") != parts.netloc.count("@")
    return parts.scheme in ("http", "https") and bool(parts.hostname) and port != 0 and not spaced and not astray


class EndpointConfig(NamedUrl):
    """One node of a chain."""

    requests_per_second: float | None = Field(
        None, gt=0, le=1e6, description="ceiling on requests a second; default: none"
    )


def _from_url(value: object) -> object:
    return {"url": value} if isinstance(value, str) else value


Endpoint = Annotated[EndpointConfig, BeforeValidator(_from_url, json_schema_input_type=str | EndpointConfig)]
Receiver = Annotated[NamedUrl, BeforeValidator(_from_url, json_schema_input_type=str | NamedUrl)]


def told_apart(names: Sequence[str]) -> None:
    """Raises ValueError when two endpoints have one name: counters and alerts could not tell them apart."""
    doubled = next((name for name in names if names.count(name) > 1), None)
    if doubled is not None:
        raise ValueError(f"two endpoints are called {doubled}; give each a `name` of its own")


class ReadingConfig(Strict):
    """How a chain is read, whatever is asked and in which protocol."""

    agree: int = Field(1, ge=1, description="how many nodes must give the same value at one block hash")
    confirmations: int = Field(1, ge=1, description="read this deep: 1 is the newest block")
    poll: Duration = Field(
        timedelta(seconds=1), gt=AN_INSTANT, description="how often the nodes are asked for their newest block"
    )
    timeout: Duration = Field(
        timedelta(seconds=10), gt=AN_INSTANT, description="deadline of one request, answer included"
    )
    max_age: Duration = Field(
        timedelta(seconds=60), gt=AN_INSTANT, description="a reading older than this is no longer current"
    )
    max_tip_age: Duration = Field(
        timedelta(minutes=10), gt=AN_INSTANT, description="nodes whose newest block is older than this stand still"
    )

    @property
    def providers(self) -> tuple[str, ...]:
        """The names of all that can be asked, the preferred one first."""
        raise NotImplementedError

    @property
    def reader(self) -> str:
        """How balances are read, for people."""
        raise NotImplementedError

    @property
    def identity(self) -> tuple[str, str]:
        """Which chain it is: the same for two that are configured by other names or nodes."""
        raise NotImplementedError

    @model_validator(mode="after")
    def _enough_nodes(self) -> Self:
        names = self.providers
        if self.agree > len(names):
            raise ValueError(f"agree: {self.agree} needs at least {self.agree} endpoints, found {len(names)}")
        told_apart(names)
        return self


class ChainConfig(ReadingConfig):
    """A chain whose nodes all speak one protocol."""

    endpoints: tuple[Endpoint, ...] = Field(min_length=1, description="the nodes, the preferred one first")

    @property
    def providers(self) -> tuple[str, ...]:
        return tuple(endpoint.provider for endpoint in self.endpoints)
